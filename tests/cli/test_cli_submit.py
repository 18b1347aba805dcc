"""From predictions of one's own to a submission, its score and the list, as typed."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import Eyeshot


def predictions(file: str, sure: float) -> None:
    rows = "".join(f"{row},{sure if row % 2 else 1 - sure},{1 - sure if row % 2 else sure},b\n" for row in range(10))
    Path(file).write_text(f"id,a,b,label\n{rows}")


def test_predictions_become_a_submission_that_is_recorded_and_listed(eyeshot: Eyeshot) -> None:
    predictions("mine.csv", 0.8)
    Path("sample.csv").write_text("id;label\r\n" + "".join(f"{row:03};0\r\n" for row in reversed(range(10))))
    done = eyeshot("predict", "mine.csv", "--submission", "sample.csv", "--out", "sent.csv")
    assert (done.code, "ATTENTION" in done.out) == (0, True)
    assert done.out.endswith("Next: eyeshot submit sent.csv\n")
    assert Path("sent.csv").read_bytes().startswith(b"id;label\r\n009;0\r\n008;1\r\n")
    again = eyeshot("predict", "mine.csv", "--submission", "sample.csv", "--out", "sent.csv")
    assert (again.code, "--force" in again.err) == (2, True)
    several = eyeshot("predict", "mine.csv", "other.csv", "--submission", "sample.csv", "--out", "new.csv")
    assert (several.code, "eyeshot ensemble mine.csv other.csv" in several.err) == (2, True)

    assert eyeshot("submit").out == "No submission is recorded yet.\nNext: eyeshot submit submission.csv\n"
    first = eyeshot("submit", "sent.csv")
    assert "no earlier submission to compare it with" in first.out
    assert "Recorded 0.5 for sent.csv" in eyeshot("submit", "sent.csv", "--score", "0.50", "--public-share", "1").out
    predictions("mine.csv", 0.3)
    eyeshot("predict", "mine.csv", "--submission", "sample.csv", "--out", "second.csv")
    second = eyeshot("submit", "second.csv")
    assert "agrees with sent.csv (0.5) on 0.0 %" in second.out
    assert "The score is the accuracy on all 10 images." in second.out
    listed = eyeshot("submit")
    assert [name in listed.out for name in ("sent.csv", "second.csv", "validation")] == [True, True, True]
    assert "submissions.svg" in listed.out
    assert (Path("eyeshot-out") / "submissions" / "submissions.svg").stat().st_size > 1000
    facts = json.loads(eyeshot("submit", "--json").out)
    assert [each["name"] for each in facts["submissions"]] == ["sent.csv", "second.csv"]


def test_percent_is_asked_about_and_nothing_is_recorded(eyeshot: Eyeshot) -> None:
    Path("sent.csv").write_text("id,label\n1,a\n2,b\n")
    done = eyeshot("submit", "sent.csv", "--score", "91.3")
    assert (done.code, "Did you mean --score 0.913?" in done.err) == (2, True)
    assert not Path("submissions.jsonl").exists()
