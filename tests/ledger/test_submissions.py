"""`eyeshot.submit()`: what is recorded, what is said before a submission is spent, and when validation is doubted."""

from pathlib import Path

import numpy as np
import pytest

import eyeshot
from eyeshot.core.errors import InputError
from eyeshot.ledger.submissions import SubmissionReport
from stored_runs import store_run

N = 1000
TRUTH = np.random.default_rng(1).integers(0, 4, N)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "eyeshot.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sent(name, changed, *, ids="{:04}.jpg"):
    """A submission that is wrong on the first `changed` images."""
    answers = TRUTH.copy()
    answers[:changed] = (answers[:changed] + 1) % 4
    Path(name).write_text("id,label\n" + "".join(f"{ids.format(row)},{label}\n" for row, label in enumerate(answers)))
    return name


def own_run(name, accuracy, n=2000):
    """A file of predictions with labels, as right as it is said."""
    right = np.arange(n) < round(accuracy * n)
    lines = "".join(f"v{row},{0.9 if hit else 0.1},{0.1 if hit else 0.9},a\n" for row, hit in enumerate(right))
    Path(name).write_text(f"id,a,b,label\n{lines}")
    return name


def test_the_first_is_recorded_and_its_score_is_added_later():
    first = eyeshot.submit(sent("a.csv", 100))
    assert first.answer == "a.csv is recorded, 1,000 rows: no earlier submission to compare it with."
    assert first.next_step == "eyeshot submit a.csv --score SCORE"
    assert eyeshot.submit("a.csv").submission == first.submission
    scored = eyeshot.submit("a.csv", score="0.900", public_share=1)
    assert scored.answer.startswith("Recorded 0.9 for a.csv. Noise reaches 1.9 points to either side on 1,000 public")
    assert (scored.submission.score, scored.submission.digits, scored.public) == (0.9, 3, 1000)
    assert len(Path("submissions.jsonl").read_text().splitlines()) == 2
    assert len(scored.submissions) == 1


def test_before_one_is_spent_agreement_and_bounds_are_said_even_if_the_earlier_file_is_gone():
    eyeshot.submit(sent("a.csv", 100), score="0.900", public_share=1)
    Path("a.csv").unlink()
    report = eyeshot.submit(sent("b.csv", 150, ids="test/{}.png"))
    (other,) = report.comparisons
    assert (other.equal, other.n, other.agreement) == (950, 1000, 0.95)
    assert (report.low, report.high) == (other.low, other.high) == (0.85, 0.95)
    assert "agrees with a.csv (0.9) on 95.0 % of 1,000 images; its score lies between 0.8500 and 0.95" in report.answer
    eyeshot.submit(sent("c.csv", 160), score="0.840")
    narrower = eyeshot.submit("b.csv")
    assert (narrower.low, narrower.high) == (0.85, 0.85)
    assert [each.name for each in narrower.comparisons] == ["c.csv", "a.csv"]
    assert eyeshot.submit("b.csv", score=0.85).submission.score == 0.85


def test_with_a_public_part_bounds_are_wider_and_the_assumption_is_said():
    eyeshot.submit(sent("a.csv", 100), score=0.9, public_share=0.5)
    report = eyeshot.submit(sent("b.csv", 150))
    # 0.9 was given with one decimal: 425 to 475 of 500 may be right, and 50 public answers may differ.
    assert (report.low, report.high) == (0.75, 1.0)
    assert report.assumption == "The score is the accuracy on 500 of 1,000 images (50 %), drawn at random."
    sharper = eyeshot.submit("a.csv", score="0.9000")
    assert (sharper.submission.digits, sharper.submission.public_share) == (4, 0.5)
    again = eyeshot.submit("b.csv")
    assert (again.low, again.high) == (0.8, 1.0)
    assert 0.9 - again.low == pytest.approx(50 / 500)


def test_equal_answers_in_another_file_tell_nothing_new():
    eyeshot.submit(sent("a.csv", 100), score=0.9)
    report = eyeshot.submit(sent("b.csv", 100, ids="{}"))
    assert report.answer == "b.csv has the same answers as a.csv, whose score is 0.9: sending it tells nothing new."


def test_scores_that_differ_by_less_than_noise_are_not_distinguishable():
    eyeshot.submit(sent("a.csv", 100), score="0.9000", public_share=1)
    near = eyeshot.submit(sent("b.csv", 101), score="0.8990")
    assert "It is not distinguishable from a.csv (0.9)." in near.answer
    far = eyeshot.submit(sent("c.csv", 300), score="0.7000")
    assert "It is worse than b.csv (0.899) and a.csv (0.9)." in far.answer
    between = eyeshot.submit(sent("d.csv", 102), score="0.8980")
    assert "It is better than c.csv (0.7); not distinguishable from b.csv (0.899) and a.csv (0.9)." in between.answer


def test_the_list_asks_for_the_score_that_is_missing_and_then_for_another_step(project):
    eyeshot.submit(sent("a.csv", 100))
    assert eyeshot.submit().next_step == "eyeshot submit a.csv --score SCORE"
    eyeshot.submit("a.csv", score="0.9")
    assert eyeshot.submit().next_step == "eyeshot train"
    store_run(project, [True, False])
    assert eyeshot.submit().next_step == "eyeshot errors"


def test_what_does_not_fit_the_sample_is_warned_of(project):
    Path("sample.csv").write_text("id,label\n" + "".join(f"{row:04}.jpg,0\n" for row in range(N)))
    (project / "eyeshot.toml").write_text('[submission]\nfile = "sample.csv"\nid_column = "id"\n')
    assert eyeshot.submit(sent("good.csv", 100)).warnings == ()
    renamed = eyeshot.submit(sent("ids.csv", 90, ids="x{}.jpg")).warnings
    assert renamed[0].startswith("1000 of 1000 ids of sample.csv are missing: ")
    assert renamed[1].startswith("1000 ids are not in sample.csv: ")
    Path("columns.csv").write_text(Path("good.csv").read_text().replace("id,label", "id,class"))
    (columns, hint) = eyeshot.submit("columns.csv").warnings
    assert "must be those of sample.csv, 'id' and 'label', but are 'id' and 'class'" in columns
    assert "eyeshot predict RUN --out FILE" in hint
    short = Path("good.csv").read_text().splitlines()[:-3]
    Path("short.csv").write_text("\n".join([*short, short[-1]]))
    with pytest.raises(InputError, match="repeats"):
        eyeshot.submit("short.csv")
    Path("short.csv").write_text("\n".join(short))
    assert eyeshot.submit("short.csv").warnings[0].startswith("3 of 1000 ids of sample.csv are missing")


def test_scores_that_cannot_all_be_are_told():
    eyeshot.submit(sent("a.csv", 0), score="0.900", public_share=1)
    eyeshot.submit(sent("b.csv", 10), score="0.500")
    report = eyeshot.submit(sent("c.csv", 20))
    assert "contradict each other" in " ".join(report.notes)
    assert (report.low, report.high) == (None, None)


def test_submissions_of_other_images_or_spellings_are_not_compared():
    eyeshot.submit(sent("a.csv", 0), score=0.9)
    Path("b.csv").write_text("id,label\n1,0\n2,1\n")
    report = eyeshot.submit("b.csv")
    assert report.comparisons == ()
    assert "1 earlier submission of other images" in report.notes[0]


@pytest.mark.parametrize(("options", "said"), [
    ({"score": 91.3}, r"Did you mean --score 0\.913\?"), ({"score": "-0.1"}, "from 0 to 1, got '-0.1'"),
    ({"score": "nan"}, "got 'nan'"), ({"score": "good"}, "got 'good'"), ({"score": 913}, "got '913'"),
    ({"public_share": 50}, r"Did you mean --public-share 0\.5\?"), ({"public_share": 0}, "above 0"),
    ({"run": "none"}, "none"),
])  # fmt: skip
def test_numbers_out_of_range_and_unknown_runs_are_refused_before_anything_is_stored(options, said):
    sent("a.csv", 0)
    with pytest.raises(InputError, match=said):
        eyeshot.submit("a.csv", **options)
    assert not Path("submissions.jsonl").exists()
    assert eyeshot.submit("a.csv").submission.run == ""


def test_a_file_that_is_gone_may_be_named_by_name_or_content():
    line = eyeshot.submit(sent("a.csv", 10)).submission
    Path("a.csv").unlink()
    assert eyeshot.submit("a.csv", score=0.9).submission.score == 0.9
    assert eyeshot.submit(line.content[:8], score=0.8).submission.score == 0.8
    eyeshot.submit(sent("a.csv", 11))
    Path("a.csv").unlink()
    with pytest.raises(InputError, match=r"2 recorded submissions are called 'a.csv'"):
        eyeshot.submit("a.csv", score=0.9)
    with pytest.raises(InputError, match="no file and none that was recorded"):
        eyeshot.submit("x.csv")


def test_options_without_a_file_are_refused_and_an_empty_list_says_what_is_next():
    with pytest.raises(InputError, match="belong to a submission"):
        eyeshot.submit(score=0.9)
    empty = eyeshot.submit()
    assert (empty.answer, empty.next_step) == ("No submission is recorded yet.", "eyeshot submit submission.csv")


def test_a_gap_beyond_noise_warns_and_points_to_the_audit():
    for name, wrong, validation in (("a.csv", 200, 0.92), ("b.csv", 210, 0.91)):
        eyeshot.submit(
            sent(name, wrong), score=f"{1 - wrong / N:.4f}", public_share=1, run=own_run(f"run_{name}", validation)
        )
    report = eyeshot.submit()
    assert report.gap == pytest.approx(-0.12)
    assert report.gap_low < -0.12 < report.gap_high < 0
    assert report.answer.startswith(
        "2 submissions, 2 with a score; the best is 0.8 (a.csv). The leaderboard is 12.0 points below"
    )
    assert "lower than validation by 12.0 points" in report.warnings[0]
    assert "eyeshot audit" in report.warnings[0]
    assert "eyeshot rank augmentations" in report.warnings[0]
    assert report.next_step == "eyeshot audit"
    picture = eyeshot.write_submissions_picture(report, "submissions.svg").read_text("utf-8")
    assert "a.csv</text>" in picture
    assert "noise alone (95 %)</text>" in picture
    assert eyeshot.write_submissions_picture(report, "again.svg").read_text("utf-8") == picture


def test_a_gap_within_noise_does_not_warn():
    eyeshot.submit(sent("a.csv", 100), score=0.905, public_share=0.5, run=own_run("run.csv", 0.91))
    report = eyeshot.submit()
    assert report.warnings == ()
    assert report.gap_low < 0 < report.gap_high


def test_without_a_gap_it_warns_seldom():
    from datetime import UTC, datetime

    from eyeshot.ledger.submissions import _gap_of
    from eyeshot.predictions import Accuracy, Submission

    random = np.random.default_rng(0)
    warned = 0
    for _ in range(2000):
        lines = []
        images, public = random.random(500), random.random(800)  # the same for all submissions, which go together
        for number in range(3):
            accuracy = 0.9 - 0.01 * number
            right, score = int((images < accuracy).sum()), float((public < accuracy).mean())
            lines.append(
                Submission(
                    time=datetime.now(UTC), content=str(number), name="a", n=800, images="", score=score, digits=4,
                    validation=Accuracy.of_counts(right, 500), public_share=1.0,
                )
            )  # fmt: skip
        warned += bool(_gap_of(lines)["warnings"])
    assert 0.02 < warned / 2000 < 0.06


def test_a_picture_needs_a_point():
    eyeshot.submit(sent("a.csv", 0))
    with pytest.raises(InputError, match="--run RUN"):
        eyeshot.write_submissions_picture(eyeshot.submit(), "submissions.svg")


def test_the_run_is_known_from_predict():
    own_run("mine.csv", 0.9, n=4)
    Path("sample.csv").write_text("id,label\nv0,a\nv1,a\nv2,a\nv3,a\n")
    eyeshot.predict("mine.csv", submission="sample.csv", out="sent.csv", progress=False)
    report = eyeshot.submit("sent.csv", score=1)
    assert report.submission.run == "mine.csv"
    assert report.submission.validation.value == 1.0


def test_latest_is_recorded_as_the_run_that_it_means_today(project):
    name = store_run(project, [True, False])
    for given in ("latest", f"eyeshot-out/runs/{name}", name[:-1]):
        assert eyeshot.submit(sent(f"{len(given)}.csv", len(given)), run=given).submission.run == name
    store_run(project, [True, True], seed=1)
    assert {each.run for each in eyeshot.submit().submissions} == {name}


def test_kept_answers_of_another_length_count_as_lost(project):
    first = eyeshot.submit(sent("a.csv", 0)).submission
    kept = project / "eyeshot-out" / "submissions" / f"{first.content}.npz"
    np.savez(kept, ids=["1"], labels=np.array([0], np.uint16), names=["0"], run="")
    assert "The answers of 1 submission are lost" in eyeshot.submit(sent("b.csv", 1)).notes[0]


def test_every_key_of_the_report_is_documented():
    import re

    from eyeshot.ledger.submissions import SubmissionComparison
    from eyeshot.predictions import Submission

    page = Path(__file__).resolve().parents[2] / "docs" / "results.md"
    words = set(re.findall(r"`([a-z_]+)`", page.read_text(encoding="utf-8")))
    records = (SubmissionReport, SubmissionComparison, Submission)
    assert {name for record in records for name in record.model_fields} - words == set()
