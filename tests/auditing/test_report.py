from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from decisions_made import key
from eyeshot.auditing import AuditReport, CopyGroup, Finding, ImageRef, read_groups
from eyeshot.auditing.findings import LabelIssues, count_duplicates, first_things_to_do, make_finding
from eyeshot.core.errors import InputError


def reference(split: str, picture: int) -> ImageRef:
    return ImageRef(split=split, id=f"{picture}.png", label="ant", content=key(picture))


def test_near_copies_of_an_audit_are_read_those_of_training_alone(tmp_path: Path) -> None:
    members = [
        [reference("train", 1), reference("train", 2), reference("test", 3)],
        [reference("train", 4), reference("test", 5)],
    ]
    groups = [
        CopyGroup(images=images, medoid=0, diameter=0.2, identical=False, labels=["ant"], findings=[])
        for images in members
    ]
    report = AuditReport(train="a", test="b", n_train=4, n_test=2, n_files=6, groups=groups)
    (tmp_path / "audit.json").write_text(report.model_dump_json(), "utf-8")
    assert read_groups(tmp_path / "audit.json") == [(key(1), key(2))]


@pytest.mark.parametrize("text", ["", "{}", "[1]", "{"])
def test_another_file_is_no_audit(tmp_path: Path, text: str) -> None:
    (tmp_path / "audit.json").write_text(text, "utf-8")
    with pytest.raises(InputError, match="was not written by `eyeshot audit`"):
        read_groups(tmp_path / "audit.json")
    with pytest.raises(InputError, match="Cannot read"):
        read_groups(tmp_path / "none.json")


def group(*sides: str, first: int = 0) -> CopyGroup:
    images = [reference(side, first + number) for number, side in enumerate(sides)]
    return CopyGroup(images=images, medoid=0, diameter=0.0, identical=True, labels=["ant"], findings=[])


def report_of(*groups: CopyGroup, **more: Any) -> AuditReport:
    return AuditReport(
        train="a", test="b", n_train=9, n_test=9, n_files=18, groups=list(groups),
        duplicates=count_duplicates(groups), **more,
    )  # fmt: skip


def broken(count: int, reason: str) -> list[Finding]:
    refs = [ImageRef(split="train", id=f"{reason}-{number}.jpg") for number in range(count)]
    return [
        make_finding("unreadable", [ref], f"{ref.id}: {reason}.", suggestion="drop", evidence={"reason": reason})
        for ref in refs
    ]


def test_duplicates_in_training_in_test_and_across_are_counted_apart() -> None:
    duplicates = count_duplicates([
        group("train", "train", "train"), group("test", "test", first=10),
        group("train", "train", "test", first=20), group("train", "test", "test", first=30),
    ])  # fmt: skip
    counts = {
        name: (each.groups, each.train_images, each.test_images)
        for name in ("train", "test", "across")
        for each in [getattr(duplicates, name)]
    }
    assert counts == {"train": (2, 5, 0), "test": (2, 0, 4), "across": (2, 3, 3)}


def test_the_answer_is_one_sentence_that_counts_and_then_what_to_do_about_each() -> None:
    findings = [*broken(420, "truncated"), *broken(3, "empty file (0 bytes)")]
    issues = LabelIssues(reader="x", judged=90, agreed=0.9, precision="", pairs=[], words="12 of 90 labels look wrong.")
    report = report_of(
        group("train", "train"), group("train", "train", "test", first=10),
        group("train", "train", first=20).model_copy(update={"labels": ["ant", "bee"]}), findings=findings,
        label_issues=issues, counts={"leak": 1, "label-issue": 12, "unreadable": 423, "identical": 1},
    )  # fmt: skip
    headline, *sentences = first_things_to_do(report)
    assert headline == (
        "Before training, look at 1 test image that is also in training, 12 doubtful labels, 423 broken files and 2 "
        "duplicate training images."
    )
    assert [sentence.split(" ", 1)[0] for sentence in sentences] == ["1", "12", "423", "2"]
    assert "423 files cannot be read (420 truncated, 3 empty file (0 bytes))" in sentences[2]
    assert "2 training images are duplicates of each other (1 group)" in sentences[3]


def test_of_clean_data_the_answer_says_that_nothing_needs_fixing() -> None:
    assert first_things_to_do(report_of()) == [
        "Nothing needs fixing before training: no conflicting labels, no duplicates, no broken files."
    ]


def test_many_reasons_of_broken_files_are_summed_up() -> None:
    findings = [finding for number in range(5) for finding in broken(6 - number, f"reason {number}")]
    sentence = first_things_to_do(report_of(findings=findings, counts={"unreadable": 20}))[1]
    assert "(6 reason 0, 5 reason 1, 4 reason 2, 5 other)" in sentence
