from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from eyeshot.auditing import AuditReport, audit
from eyeshot.core import CallbackProgress
from eyeshot.core.errors import InputError
from labelled_pictures import COLOURS, PER_CLASS, move, sees_colour, write_pictures

CLASSES = sorted(COLOURS)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "train")


def rows_of(train: Path) -> list[list[str]]:
    """The right class with 0.9, whatever folder the picture lies in."""
    found = []
    for path in sorted(train.rglob("*.png")):
        name = path.relative_to(train).as_posix()
        truth = name.split("from-")[-1].split("-")[0].split("/")[0]
        found.append([name, *("0.9" if one == truth else "0.05" for one in CLASSES)])
    return found


def write(file: Path, rows: list[list[str]], header: list[str] | None = None) -> Path:
    with open(file, "w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([header or ["path", *CLASSES], *rows])
    return file


def looked_at(train: Path, file: Path, **options: object) -> AuditReport:
    return audit(train, probabilities=file, cache=train.parent / "cache", **options).report  # type: ignore[arg-type]


def refused(train: Path, rows: list[list[str]], *words: str, header: list[str] | None = None) -> None:
    with pytest.raises(InputError) as raised:
        looked_at(train, write(train.parent / "p.csv", rows, header))
    for said in ("--probabilities", *words):
        assert said in str(raised.value)


def test_wrong_labels_are_found_without_a_model(train: Path) -> None:
    wrong = move(train, "red/03.png", "green")
    report = looked_at(train, write(train.parent / "p.csv", rows_of(train)))
    (issue,) = [one for one in report.findings if one.kind == "label-issue"]
    assert issue.images[0].id == wrong
    assert (issue.evidence["proposed"], issue.confidence) == ("red", pytest.approx(0.9))
    assert report.label_issues is not None
    assert report.label_issues.reader == "the probabilities of p.csv"
    assert not [one for one in report.findings if one.kind == "outlier"]


def test_with_a_model_too_the_nearest_images_vote_and_outliers_are_looked_for(train: Path) -> None:
    move(train, "red/03.png", "green")
    report = looked_at(train, write(train.parent / "p.csv", rows_of(train)), backbone=sees_colour())
    (issue,) = [one for one in report.findings if one.kind == "label-issue"]
    assert issue.confidence == pytest.approx(0.95)
    assert report.label_issues is not None
    assert "p.csv and a vote of nearest neighbours on features of mean-colour" in report.label_issues.reader


def test_order_of_rows_and_columns_kinds_of_paths_and_rounding_do_not_matter(train: Path) -> None:
    move(train, "red/03.png", "green")
    rows = rows_of(train)
    first = looked_at(train, write(train.parent / "p.csv", rows))
    turned = [[str(train / row[0]), row[3], "0.0501" if row[1] == "0.05" else row[1], row[2]] for row in rows[::-1]]
    other = looked_at(train, write(train.parent / "p.csv", turned, ["file", CLASSES[2], CLASSES[0], CLASSES[1]]))
    found = [[one.id for one in report.findings if one.kind == "label-issue"] for report in (first, other)]
    assert found[0] == found[1] != []


def test_rows_of_other_images_are_passed_over_and_said(train: Path) -> None:
    rows = [*rows_of(train), ["elsewhere/1.png", "0.2", "0.3", "0.5"]]
    report = looked_at(train, write(train.parent / "p.csv", rows))
    assert any("1 rows of p.csv name no image" in note and "elsewhere/1.png" in note for note in report.notes)


def test_probabilities_that_agree_with_every_label_are_doubted(train: Path) -> None:
    report = looked_at(train, write(train.parent / "p.csv", rows_of(train)))
    assert any("100.00 % of the labels" in note and "held-out" in note for note in report.notes)


def test_missing_images_are_named_with_their_number(train: Path) -> None:
    refused(train, rows_of(train)[3:], "without 3 of 90", "blue/00.png", "Add their rows")


def test_paths_from_elsewhere_are_shown_beside_what_is_missing(train: Path) -> None:
    rows = [[f"data/{row[0]}", *row[1:]] for row in rows_of(train)]
    refused(train, rows, "without 90 of 90", "look like 'data/blue/00.png'")


def test_images_that_cannot_be_read_need_no_row(train: Path) -> None:
    rows = rows_of(train)
    (train / "red" / "broken.png").write_bytes(b"")
    report = looked_at(train, write(train.parent / "p.csv", rows))
    assert report.label_issues is not None
    assert report.label_issues.judged == 3 * PER_CLASS


def test_unknown_and_missing_classes_are_named(train: Path) -> None:
    refused(train, rows_of(train), "unknown: 'grey'", "missing: 'green'", header=["path", "blue", "grey", "red"])
    short = [row[:3] for row in rows_of(train)]
    refused(train, short, "missing: 'red'", header=["path", "blue", "green"])


@pytest.mark.parametrize("cell", ["nan", "", "inf", "-0.1", "1.5", "much", "-3.2"])
def test_values_that_are_no_probabilities_are_named_with_row_and_class(train: Path, cell: str) -> None:
    rows = rows_of(train)
    rows[4][2] = cell
    refused(train, rows, "0 to 1", repr(cell) if cell else "None", "'green' in row 5", "softmax")


def test_rows_that_do_not_sum_to_one_are_named(train: Path) -> None:
    rows = rows_of(train)
    rows[4][1:] = ["0.5", "0.2", "0.2"]
    refused(train, rows, "sum to 1", "0.9000 in row 5", "1 such rows")


def test_an_image_named_twice_is_refused(train: Path) -> None:
    rows = rows_of(train)
    refused(train, [*rows, [f"./{rows[0][0]}", *rows[0][1:]]], "once", "rows 1 and 91")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff\xfe\x00bad", b"path\n", b"path;a;b\n1;2;3\n", "path,blue,green,red\n\xe9".encode("latin-1")],
)
def test_files_that_are_no_such_csv_are_refused(train: Path, content: bytes) -> None:
    file = train.parent / "p.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match="--probabilities must be a CSV file"):
        looked_at(train, file)


def test_a_file_or_folder_that_is_none_is_refused(train: Path) -> None:
    for place in (train.parent / "nothing.csv", train):
        with pytest.raises(InputError, match=r"--probabilities must be a file, got .*, which is not a file"):
            looked_at(train, place)


def test_columns_are_checked_before_any_image_is_decoded(train: Path) -> None:
    file = write(train.parent / "p.csv", rows_of(train), ["path", "blue", "grey", "red"])
    told: list[str] = []
    with pytest.raises(InputError, match="unknown: 'grey'"):
        looked_at(train, file, progress=CallbackProgress(lambda done, total, text: told.append(text)))
    assert set(told) == {"reading headers"}


def test_a_file_name_that_looks_like_a_pattern_is_a_name(train: Path) -> None:
    move(train, "red/03.png", "green")
    report = looked_at(train, write(train.parent / "p[0-9]*.csv", rows_of(train)))
    assert report.counts["label-issue"] == 1


def test_images_without_labels_are_refused(train: Path) -> None:
    file = write(train.parent / "p.csv", rows_of(train))
    with pytest.raises(InputError, match="at least two classes, got 0"):
        looked_at(train / "red", file)


def test_two_columns_of_one_class_are_refused(train: Path) -> None:
    refused(train, [[*row, "0.0"] for row in rows_of(train)], "got 4", header=["path", *CLASSES, " red "])


def test_many_classes_with_few_digits_are_probabilities(train: Path) -> None:
    rows = [[row[0], *(f"{float(cell) * 0.996:.3f}" for cell in row[1:])] for row in rows_of(train)]
    report = looked_at(train, write(train.parent / "p.csv", rows))
    assert report.label_issues is not None
    assert np.isclose(report.label_issues.agreed, 1)


def test_probabilities_at_chance_name_no_label(train: Path) -> None:
    random = np.random.default_rng(0)
    rows = [[name, *map(str, random.dirichlet(np.ones(3)).round(4))] for name, *_ in rows_of(train)]
    report = looked_at(train, write(train.parent / "p.csv", rows))
    assert not [one for one in report.findings if one.kind == "label-issue"]
    assert report.label_issues is not None
    assert report.label_issues.words.startswith("Nothing can be told about labels: the probabilities of p.csv agree")
    assert "always answering the largest class with 33 %" in report.label_issues.words


def test_columns_in_a_wrong_order_are_told_by_the_order_that_would_agree(train: Path) -> None:
    rows = [[name, second, third, first] for name, first, second, third in rows_of(train)]
    report = looked_at(train, write(train.parent / "p.csv", rows))
    assert not [one for one in report.findings if one.kind == "label-issue"]
    assert report.label_issues is not None
    assert "in another order it would be 100 %" in report.label_issues.words


def test_a_class_that_is_never_predicted_is_not_judged(train: Path) -> None:
    wrong = move(train, "red/03.png", "green")
    never, predicted = CLASSES[0], ["0.1", "0.6", "0.3"]  # in the place of the first class, the second
    rows = [[name, *(predicted if values[0] == "0.9" else values)] for name, *values in rows_of(train)]
    report = looked_at(train, write(train.parent / "p.csv", rows))
    issues = [one.images[0].id for one in report.findings if one.kind == "label-issue"]
    assert issues == [wrong]
    assert report.label_issues is not None
    assert report.label_issues.judged == 2 * PER_CLASS
    assert any(f"never predict their class, {never!r}" in note for note in report.notes)


def test_the_agreement_with_the_labels_is_said(train: Path) -> None:
    move(train, "red/03.png", "green")
    report = looked_at(train, write(train.parent / "p.csv", rows_of(train)))
    assert report.label_issues is not None
    assert "99 % of the labels agree" in report.label_issues.words
