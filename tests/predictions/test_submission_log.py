"""Bounds by brute force on tiny sets, answers read from any form, and a log that survives a kill."""

import itertools
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from eyeshot.core.errors import InputError
from eyeshot.predictions import (
    Submission,
    append_submission,
    difference_noise,
    equal_answers,
    keep_answers,
    kept_answers,
    read_submissions,
    right_bounds,
    right_counts,
    score_noise,
)
from eyeshot.predictions.submission_log import read_answers


def brute_force(first, second, count, right):
    """All numbers of right answers that `second` can have on a public part of `count` images where `first` has `right`.

    Three classes: where two answers differ, both can be wrong.
    """
    possible = set()
    for public in itertools.combinations(range(len(first)), count):
        for truth in itertools.product(range(3), repeat=count):
            if sum(first[image] == label for image, label in zip(public, truth, strict=True)) == right:
                possible.add(sum(second[image] == label for image, label in zip(public, truth, strict=True)))
    return possible


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_bounds_are_those_of_brute_force(n):
    first = [0] * n
    for differing in range(n + 1):
        second = [1] * differing + [0] * (n - differing)
        for count in range(1, n + 1):
            for right in range(count + 1):
                possible = brute_force(first, second, count, right)
                expected = (min(possible), max(possible))
                assert right_bounds((right, right), count, n, differing) == expected
                assert possible == set(range(expected[0], expected[1] + 1))


@settings(max_examples=200, deadline=None)
@given(some.data())
def test_bounds_of_several_scores_hold_the_truth(data):
    n = data.draw(some.integers(1, 8))
    answers = some.lists(some.integers(0, 2), min_size=n, max_size=n)
    truth, new = data.draw(answers), data.draw(answers)
    public = data.draw(some.lists(some.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    right = sum(new[image] == truth[image] for image in public)
    for _ in range(3):
        old = data.draw(answers)
        its = sum(old[image] == truth[image] for image in public)
        digits = data.draw(some.integers(1, 4))
        counts = right_counts(round(its / len(public), digits), digits, len(public))
        low, high = right_bounds(counts, len(public), n, sum(map(int.__ne__, old, new)))
        assert low <= right <= high


def test_bounds_on_all_images_are_the_known_rule():
    # |b - a| <= 1 - g: 9,431 of 10,014 equal, accuracy 0.913 exactly.
    right = round(0.913 * 10_014)
    assert right_bounds((right, right), 10_014, 10_014, 583) == (right - 583, right + 583)


def test_a_rounded_score_stands_for_every_count_that_rounds_to_it():
    assert right_counts(0.913, 3, 1000) == (913, 913)
    fitting = [count for count in range(5008) if f"{count / 5007:.3f}" == "0.913"]
    assert right_counts(0.913, 3, 5007) == (fitting[0], fitting[-1]) == (4569, 4573)
    assert right_counts(0.9134, 4, 10) is None


def test_the_noise_is_that_of_simulated_leaderboards():
    random = np.random.default_rng(0)
    first = random.random((20_000, 500)) < 0.9
    changed = random.random(first.shape) < 0.06
    second = np.where(changed, random.random(first.shape) < 0.5, first)
    assert 1.96 * first.mean(1).std() == pytest.approx(score_noise(0.9, 500), rel=0.03)
    # Changed answers differ in being right half the time; the difference is at most as noisy as is said.
    difference = (second.mean(1) - first.mean(1)).std() * 1.96
    assert difference <= difference_noise(0.06, 0.0, 500)
    assert difference == pytest.approx(difference_noise(0.03, 0.024 * 0, 500), rel=0.05)


FORMS = {
    "names": "id,label\n00007.jpg,ant\n00012.jpg,bee\n00100.jpg,cat\n",
    "row numbers and semicolons": "\ufeff;file;target;usage\r\n0;00007;ant;x\r\n1;00012;bee;x\r\n2;00100;cat;x\r\n",
    "another order, ids as numbers": "image,label\n100,cat\n7,ant\n12,bee\n",
    "no header": "00007.jpg,ant\n00012.jpg,bee\n00100.jpg,cat\n00101.jpg,ant\n",
    "probabilities": "id,ant,bee,cat\n7,0.8,0.1,0.1\n12,0.1,0.5,0.4\n100,0.2,0.3,0.5\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_answers_are_read_from_any_form(tmp_path, form):
    file = tmp_path / "sent.csv"
    file.write_text(FORMS[form], encoding="utf-8", newline="")
    ids, answers = read_answers(file)
    expected = {"7": "ant", "12": "bee", "100": "cat"} | ({"101": "ant"} if form == "no header" else {})
    assert dict(zip(ids, answers, strict=True)) == expected


def test_one_probability_counts_as_the_class_above_one_half(tmp_path):
    (tmp_path / "sent.csv").write_text("id,label\na,0.7\nb,0.2\nc,0.5\n")
    assert read_answers(tmp_path / "sent.csv") == (["a", "b", "c"], ["1", "0", "1"])


@pytest.mark.parametrize(("text", "said"), [
    ("id,label\n7,a\n7,b\n7,b\n", "every column of .* repeats some. 'id' repeats 7"),
    ("id,one,two\n1,a,b\n2,a,b\n", "besides the ids .* has 'one' and 'two'"),
    ("id,label\n", "got a header only"),
])  # fmt: skip
def test_a_file_that_is_no_submission_is_refused(tmp_path, text, said):
    (tmp_path / "sent.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_answers(tmp_path / "sent.csv")


def test_answers_are_compared_whatever_the_spelling_of_ids_and_the_order(tmp_path):
    lines = []
    for name in ("names", "another order, ids as numbers"):
        file = tmp_path / f"{len(lines)}.csv"
        file.write_text(FORMS[name].replace("12,bee", "12,dog"))
        lines.append(keep_answers(file, tmp_path / "kept"))
        file.unlink()
    assert lines[0].images == lines[1].images
    first, second = (kept_answers(tmp_path / "kept", line.content, line.n) for line in lines)
    assert (equal_answers(first, second), equal_answers(second, first), equal_answers(first, first)) == (2, 2, 3)


def line(name="a.csv", **known):
    return Submission(time=datetime.now(UTC), content="c" * 32, name=name, n=3, images="i" * 32, **known)


def test_what_comes_later_is_added_and_what_is_not_said_stays(tmp_path):
    file = tmp_path / "submissions.jsonl"
    append_submission(file, line(run="r1", note="first"))
    append_submission(file, line(score=0.913, digits=3, public_share=0.5))
    append_submission(file, line(score=1.0, digits=0))
    (known,), bad = read_submissions(file)
    assert (known.run, known.note, known.score, known.digits, known.public_share) == ("r1", "first", 1.0, 0, 0.5)
    assert (bad, len(file.read_text().splitlines())) == ([], 3)


def test_bad_lines_are_left_out_and_said(tmp_path):
    file = tmp_path / "submissions.jsonl"
    append_submission(file, line())
    with file.open("a") as opened:
        opened.write('<<<<<<< ours\n{"content": 1}\n{"cut": ')
    append_submission(file, line(score=0.5, digits=1))
    (known,), bad = read_submissions(file)
    assert known.score == 0.5
    assert [text.partition(", ")[2] for text in bad] == [
        "line 2: not a submission; left out.", "line 3: not a submission; left out.", "line 4: cut off; left out.",
    ]  # fmt: skip


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from eyeshot.predictions import Submission, append_submission
for number in range(100_000):
    known = Submission(time=datetime.now(UTC), content=f"{number:032x}", name="a.csv", n=3, images="i", note="x" * 3000)
    append_submission(Path(sys.argv[1]), known)
    print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_a_kill_loses_no_line_that_was_reported_as_stored(tmp_path):
    file = tmp_path / "submissions.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for _ in range(20):
            running.stdout.readline()
        running.send_signal(signal.SIGKILL)
        reported = 20 + len(running.stdout.read().splitlines())
    append_submission(file, line())
    known, bad = read_submissions(file)
    assert len(known) in (reported + 1, reported + 2)
    assert len(bad) <= 1


def test_100_comparisons_of_10000_rows_take_less_than_a_second(tmp_path):
    random = np.random.default_rng(0)
    truth = random.integers(0, 500, 10_000)
    lines = []
    for number in range(6):
        answers = np.where(random.random(10_000) < 0.1, random.integers(0, 500, 10_000), truth)
        file = tmp_path / f"{number}.csv"
        file.write_text("id,label\n" + "".join(f"{row:05}.jpg,{label}\n" for row, label in enumerate(answers)))
        lines.append(keep_answers(file, tmp_path / "kept"))
    started = time.process_time()
    own = kept_answers(tmp_path / "kept", lines[0].content, lines[0].n)
    equal = [equal_answers(own, kept_answers(tmp_path / "kept", each.content, each.n)) for each in lines[1:] * 20]
    bounds = [right_bounds((4500, 4505), 5000, 10_000, 10_000 - each) for each in equal]
    assert time.process_time() - started < 1
    assert len(bounds) == 100
    assert all(7_800 < each < 8_400 for each in equal)
