from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bad_input import as_jpeg, photograph
from PIL import Image, ImageOps

from eyeshot.auditing import AuditReport, audit
from eyeshot.core.errors import InputError
from eyeshot.data import read_images


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """Two classes of four pictures, and a test folder of three."""
    for number in range(8):
        path = tmp_path / "train" / ("cat" if number < 4 else "dog") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_jpeg(photograph(number), 92))
    (tmp_path / "test").mkdir()
    for number in range(3):
        (tmp_path / "test" / f"{number}.jpg").write_bytes(as_jpeg(photograph(50 + number), 92))
    return tmp_path / "train", tmp_path / "test"


def kinds(report: AuditReport) -> dict[str, list[set[str]]]:
    found: dict[str, list[set[str]]] = {}
    for one in report.findings:
        found.setdefault(one.kind, []).append({f"{ref.split}/{ref.id}" for ref in one.images})
    return found


def test_clean_data_have_nothing_but_small_classes(data, tmp_path: Path) -> None:
    report = audit(*data, cache=tmp_path / "cache").report
    assert kinds(report).keys() == {"small-class"}
    assert report.groups == []
    assert report.n_files == 11


def test_one_picture_under_two_labels_comes_first_and_both_are_to_be_dropped(data, tmp_path: Path) -> None:
    train, test = data
    shutil.copy(train / "cat" / "0.jpg", train / "dog" / "x.jpg")
    ImageOps.mirror(Image.open(train / "cat" / "1.jpg")).save(train / "dog" / "y.png")
    report = audit(train, test, cache=tmp_path / "cache").report
    assert kinds(report)["conflict"] == [
        {"train/cat/0.jpg", "train/dog/x.jpg"},
        {"train/cat/1.jpg", "train/dog/y.png"},
    ] or kinds(report)["conflict"] == [
        {"train/cat/1.jpg", "train/dog/y.png"},
        {"train/cat/0.jpg", "train/dog/x.jpg"},
    ]
    assert {one.suggestion for one in report.findings if one.kind == "conflict"} == {"drop-both"}
    (pair,) = report.conflicts
    assert (pair.first, pair.second, pair.pictures, pair.images) == ("cat", "dog", 2, 4)
    assert "two labels" in report.answer[0]
    assert report.findings[0].kind == "conflict"


def test_a_turned_copy_in_test_is_a_leak(data, tmp_path: Path) -> None:
    train, test = data
    Image.open(train / "dog" / "5.jpg").transpose(Image.Transpose.ROTATE_270).save(test / "z.png")
    report = audit(train, test, cache=tmp_path / "cache").report
    assert kinds(report)["leak"] == [{"train/dog/5.jpg", "test/z.png"}]


def test_near_duplicates_come_in_training_first_and_by_certainty(data, tmp_path: Path) -> None:
    train, test = data
    Image.open(test / "0.jpg").transpose(Image.Transpose.ROTATE_90).save(test / "turned.png")
    for number, quality in ((4, 8), (5, 60), (6, 25)):
        (train / "dog" / f"again{number}.jpg").write_bytes(as_jpeg(photograph(number), quality))
    report = audit(train, test, cache=tmp_path / "cache").report
    near = [one for one in report.findings if one.kind == "near-copy"]
    assert [one.images[0].split for one in near] == ["train", "train", "train", "test"]
    scores = [float(str(one.evidence["score"])) for one in near[:3]]
    assert scores == sorted(scores, reverse=True)
    assert report.duplicates.train.train_images == 6
    assert report.duplicates.test.test_images == 2
    assert report.duplicates.across.groups == 0


def test_files_that_cannot_be_decoded_are_broken_files_and_no_training_images(data, tmp_path: Path) -> None:
    train, test = data
    for number in range(3):
        (train / "dog" / f"torn{number}.jpg").write_bytes(as_jpeg(photograph(90 + number), 92)[:3000])
    (train / "dog" / "empty.jpg").write_bytes(b"")
    report = audit(train, test, cache=tmp_path / "cache").report
    assert (report.n_train, report.n_test, report.n_files) == (8, 3, 15)
    assert "4 broken files" in report.answer[0]
    assert "4 files cannot be read (3 truncated, 1 empty file (0 bytes))" in report.answer[1]


def test_what_is_a_finding_is_no_note_too(data, tmp_path: Path) -> None:
    train, test = data
    shutil.copy(train / "cat" / "0.jpg", train / "dog" / "x.jpg")
    (train / "eel").mkdir()
    (train / "eel" / "9.jpg").write_bytes(as_jpeg(photograph(9), 92))
    (train / "fox").mkdir()
    report = audit(train, test, cache=tmp_path / "cache").report
    empty, few = report.notes
    assert empty == "Class folder 'fox' has no usable image."
    assert few.startswith("Whether a classifier tells test from training was not measured")


def test_a_second_run_decodes_nothing_and_finds_the_same(data, tmp_path: Path) -> None:
    first = audit(*data, cache=tmp_path / "cache").report
    second = audit(*data, cache=tmp_path / "cache").report
    assert (first.read, second.read) == (11, 0)
    left_out = {"read", "seconds", "cpu_seconds"}
    assert first.model_dump(exclude=left_out) == second.model_dump(exclude=left_out)


def test_each_file_is_opened_once(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = data
    Image.open(train / "dog" / "5.jpg").rotate(90).save(test / "z.png")
    (train / "dog" / "torn.jpg").write_bytes(as_jpeg(photograph(90), 92)[:3000])
    opened: list[Image.Image] = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda *given, **named: opened.append(real(*given, **named)) or opened[-1])
    monkeypatch.setattr(
        "eyeshot.auditing.copies.near.read_grey",
        lambda paths, side, workers: np.zeros((len(paths), side, side), "u1"),
    )
    report = audit(train, test, cache=tmp_path / "cache", thorough=False).report
    assert report.read == len(opened) == 13
    assert kinds(report)["unreadable"] == [{"train/dog/torn.jpg"}]


def test_processes_find_what_threads_do(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, _ = data
    shutil.copy(train / "cat" / "0.jpg", train / "dog" / "x.jpg")
    (train / "dog" / "torn.jpg").write_bytes(as_jpeg(photograph(90), 92)[:3000])
    threads = audit(*data, cache=tmp_path / "threads", workers=2).report
    monkeypatch.setattr("eyeshot.core.parallel.MANY", 1)
    processes = audit(*data, cache=tmp_path / "processes", workers=2).report
    left_out = {"seconds", "cpu_seconds"}
    assert processes.model_dump(exclude=left_out) == threads.model_dump(exclude=left_out)
    assert processes.read == 12  # one of the 13 is the same file again
    shutil.move(train / "cat" / "1.jpg", train / "cat" / "moved.jpg")
    assert audit(*data, cache=tmp_path / "processes", workers=2).report.read == 0


def test_what_other_commands_have_read_the_headers_of_is_measured_too(data, tmp_path: Path) -> None:
    alone = audit(*data, cache=tmp_path / "alone").report
    for folder, labelled in zip(data, (True, False), strict=True):
        read_images(folder, labelled=labelled, cache=tmp_path / "cache")
    after = audit(*data, cache=tmp_path / "cache").report
    left_out = {"seconds", "cpu_seconds"}
    assert after.model_dump(exclude=left_out) == alone.model_dump(exclude=left_out)


def test_only_what_changed_is_read_again_and_renamed_files_are_known(data, tmp_path: Path) -> None:
    train, test = data
    audit(train, test, cache=tmp_path / "cache")
    (train / "cat" / "0.jpg").rename(train / "cat" / "renamed.jpg")
    (train / "cat" / "1.jpg").write_bytes(as_jpeg(photograph(99), 92))
    assert audit(train, test, cache=tmp_path / "cache").report.read == 1


def test_files_are_never_touched(data, tmp_path: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.jpg")}
    audit(*data, cache=tmp_path / "cache").save(tmp_path / "out")
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.jpg")} == before


def test_what_is_written_says_the_same_as_the_report(data, tmp_path: Path) -> None:
    train, test = data
    shutil.copy(train / "cat" / "0.jpg", train / "dog" / '=x,"1\n.jpg')
    result = audit(train, test, cache=tmp_path / "cache")
    result.save(tmp_path / "out")
    assert AuditReport.model_validate_json((tmp_path / "out" / "audit.json").read_text("utf-8")) == result.report
    with open(tmp_path / "out" / "findings.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(one.images) for one in result.report.findings)
    assert {row["finding"] for row in rows} == {one.id for one in result.report.findings}


def test_a_csv_with_two_labels_for_one_path_is_a_finding(data, tmp_path: Path) -> None:
    train, _ = data
    labels = tmp_path / "labels.csv"
    lines = ["path,label", *(f"cat/{n}.jpg,cat" for n in range(4)), *(f"dog/{n}.jpg,dog" for n in range(4, 8))]
    labels.write_text("\n".join([*lines, "cat/2.jpg,dog"]) + "\n", encoding="utf-8")
    report = audit(train, labels=labels, cache=tmp_path / "cache").report
    assert kinds(report)["two-labels"] == [{"train/cat/2.jpg"}]
    assert report.n_train == 7


def test_classes_that_differ_by_case_are_named(data, tmp_path: Path) -> None:
    train, _ = data
    (train / "Cat").mkdir()
    (train / "Cat" / "9.jpg").write_bytes(as_jpeg(photograph(9), 92))
    report = audit(train, cache=tmp_path / "cache").report
    (one,) = [one for one in report.findings if one.kind == "class-names-alike"]
    assert one.evidence["classes"] == ["Cat", "cat"]


def test_images_without_classes_are_looked_at_too(data, tmp_path: Path) -> None:
    _, test = data
    report = audit(test, cache=tmp_path / "cache").report
    assert (report.n_train, report.classes) == (3, [])


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="must hold images"):
        audit(tmp_path / "none", cache=tmp_path / "cache")


def test_train_and_test_that_differ_in_brightness_are_told_apart_by_it(tmp_path: Path) -> None:
    for number in range(60):
        split = "test" if number % 2 else "train"
        path = tmp_path / split / ("a/" if split == "train" else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.asarray(photograph(number, (64, 64))).astype(float)
        Image.fromarray((values * (0.5 if number % 2 else 1.0)).astype(np.uint8)).save(path)
    report = audit(tmp_path / "train", tmp_path / "test", cache=tmp_path / "cache").report
    by_name = {one.name: one for one in report.distributions}
    bright = by_name["brightness"]
    assert bright.effect is not None
    assert bright.noise is not None
    assert bright.effect > 0.8 > bright.noise
    assert "darker" in bright.words
    assert by_name["file format"].effect == 0
    assert "no farther apart" in by_name["file format"].words
    assert report.adversarial is not None
    assert report.adversarial.auc > 0.9
    assert "bright" in json.dumps(report.adversarial.gives_away) or "border" in json.dumps(
        report.adversarial.gives_away
    )


def test_two_equal_odd_files_are_two_findings_with_ids_of_their_own(data, tmp_path: Path) -> None:
    train, _ = data
    for name in ("red-1.png", "red-2.png"):
        Image.new("RGB", (50, 50), "red").save(train / "cat" / name)
    report = audit(train, cache=tmp_path / "cache").report
    assert [one.kind for one in report.findings].count("one-colour") == 2
    assert len({one.id for one in report.findings}) == len(report.findings)
