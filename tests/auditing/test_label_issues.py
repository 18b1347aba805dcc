from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from eyeshot.auditing import AuditReport, Finding, audit, train_vs_test
from eyeshot.core.errors import InputError
from eyeshot.models import linear_probe
from labelled_pictures import COLOURS, move, picture, sees_colour, write_pictures


def looked_at(train: Path, test: Path | None = None, **options: object) -> AuditReport:
    return audit(train, test, backbone=sees_colour(), cache=train.parent / "cache", **options).report  # type: ignore[arg-type]


def of_kind(report: AuditReport, kind: str) -> list[Finding]:
    return [one for one in report.findings if one.kind == kind]


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "train")


def test_wrong_labels_are_found_with_their_class_and_nothing_else_is(train: Path) -> None:
    wrong = {move(train, "red/03.png", "green"): "red", move(train, "blue/07.png", "red"): "blue"}
    report = looked_at(train)
    issues = of_kind(report, "label-issue")
    assert {one.images[0].id: one.evidence["proposed"] for one in issues} == wrong
    assert {one.suggestion for one in issues} == {"relabel"}
    assert {one.confidence_basis for one in issues} == {"model"}
    assert [one.evidence["rank"] for one in issues] == [1.0, 2.0]
    assert report.label_issues is not None
    assert (report.label_issues.judged, report.label_issues.precision) == (90, "not measured on these images")
    assert report.label_issues.agreed == pytest.approx(88 / 90)
    assert any("2 of 90 labels" in said for said in report.answer)


def test_right_labels_give_no_issue(train: Path) -> None:
    report = looked_at(train)
    assert of_kind(report, "label-issue") == []
    assert report.label_issues is not None
    assert "No label looks wrong" in report.label_issues.words


def test_nearest_images_are_of_their_class_no_copies_and_no_suspects(train: Path) -> None:
    wrong = move(train, "red/03.png", "green")
    other = move(train, "red/04.png", "green")
    ImageOps.mirror(picture(COLOURS["red"], 2003)).save(train / "red" / "mirrored.png")
    shutil.copy(train / wrong, train / "red" / "copy.png")
    report = looked_at(train)
    issue = next(one for one in of_kind(report, "label-issue") if one.images[0].id == wrong)
    given, proposed = issue.evidence["nearest_given"], issue.evidence["nearest_proposed"]
    assert isinstance(given, list)
    assert isinstance(proposed, list)
    assert {name.split("/")[0] for name in given} == {"green"}
    assert {name.split("/")[0] for name in proposed} == {"red"}
    assert not {wrong, other, "red/mirrored.png", "red/copy.png"} & {*given, *proposed}
    assert len(given) == len(proposed) == 3


def test_copies_never_speak_for_each_other(train: Path) -> None:
    """Six copies of a red picture under "green": with five of them in training the sixth would be green."""
    first = move(train, "red/03.png", "green")
    for number in range(5):
        shutil.copy(train / first, train / "green" / f"again-{number}.png")
    found = {one.images[0].id for one in of_kind(looked_at(train), "label-issue")}
    assert found == {first, *(f"green/again-{number}.png" for number in range(5))}


def test_two_classes_that_are_taken_for_each_other_are_one_pair(train: Path) -> None:
    for number in range(4):
        move(train, f"red/{number:02}.png", "blue")
        move(train, f"blue/{number:02}.png", "red")
    report = looked_at(train)
    assert report.label_issues is not None
    (pair,) = report.label_issues.pairs
    assert (pair.first, pair.second, pair.confusable) == ("blue", "red", True)
    assert (pair.first_as_second, pair.second_as_first) == (4, 4)


def test_issues_in_one_direction_make_no_confusable_pair(train: Path) -> None:
    for number in range(5):
        move(train, f"red/{number:02}.png", "blue")
    report = looked_at(train)
    assert report.label_issues is not None
    (pair,) = report.label_issues.pairs
    assert (pair.first_as_second, pair.second_as_first, pair.confusable) == (5, 0, False)


def test_usual_pictures_are_no_outliers(train: Path) -> None:
    assert len(of_kind(looked_at(train), "outlier")) <= 6


def test_an_odd_picture_is_an_outlier_and_a_wrong_label_is_not_named_twice(train: Path) -> None:
    wrong = move(train, "red/03.png", "green")
    picture((235, 235, 20), 5).save(train / "green" / "yellow.png")
    picture((240, 20, 240), 6).save(train / "blue" / "pink.png")
    report = looked_at(train)
    outliers = {one.images[0].id for one in of_kind(report, "outlier")}
    issues = {one.images[0].id for one in of_kind(report, "label-issue")}
    assert {"green/yellow.png", "blue/pink.png"} <= outliers | issues
    assert wrong in issues
    assert not outliers & issues
    scores = [one.evidence["score"] for one in of_kind(report, "outlier")]
    assert scores == sorted(scores, reverse=True)


def test_findings_and_their_ids_are_the_same_in_a_second_run_and_after_renaming(train: Path) -> None:
    move(train, "red/03.png", "green")
    picture((240, 20, 240), 6).save(train / "blue" / "pink.png")
    first = looked_at(train)
    (train / "red" / "10.png").rename(train / "red" / "zz.png")
    second = looked_at(train)
    assert [one.id for one in first.findings] == [one.id for one in second.findings]


def test_small_classes_are_left_out_and_said(train: Path) -> None:
    (train / "rare").mkdir()
    for number in range(3):
        picture((240, 240, 240), number).save(train / "rare" / f"{number}.png")
    report = looked_at(train)
    assert report.label_issues is not None
    assert report.label_issues.judged == 90
    assert any("labels of 3 images were not checked" in note for note in report.notes)


def test_one_class_alone_and_unlabelled_images_end_no_run(train: Path, tmp_path: Path) -> None:
    shutil.rmtree(train / "red")
    shutil.rmtree(train / "blue")
    assert looked_at(train).label_issues is None
    flat = tmp_path / "flat"
    shutil.copytree(train / "green", flat)
    report = looked_at(flat)
    assert report.label_issues is None
    assert any("at least two classes" in note for note in report.notes)


def test_folds_that_cannot_be_made_end_no_run_and_are_said(train: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise InputError("Copies tie all images of 'red' into fold 0.")

    monkeypatch.setattr(linear_probe, "make_folds", refuse)
    report = looked_at(train)
    assert report.label_issues is None
    assert any("not checked: Copies tie" in note for note in report.notes)


def test_without_a_model_nothing_is_said_about_labels(train: Path) -> None:
    report = audit(train, cache=train.parent / "cache").report
    assert (report.label_issues, report.adversarial_features) == (None, None)


def test_a_broken_file_ends_no_run_and_has_no_label_issue(train: Path) -> None:
    (train / "red" / "00.png").write_bytes((train / "red" / "00.png").read_bytes()[:300])
    report = looked_at(train)
    assert report.label_issues is not None
    assert report.label_issues.judged == 89


@pytest.mark.parametrize(("shade", "apart"), [(0, False), (60, True)])
def test_test_images_of_another_shade_are_told_by_features_with_the_surest_at_both_ends(
    train: Path, tmp_path: Path, shade: int, apart: bool
) -> None:
    (tmp_path / "test").mkdir()
    for number, colour in enumerate(list(COLOURS.values()) * 12):
        values = np.asarray(picture(colour, 5000 + number)).astype(int) + shade
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(tmp_path / "test" / f"{number}.png")
    report = looked_at(train, tmp_path / "test")
    found = report.adversarial_features
    assert found is not None
    assert (found.n_train, found.n_test) == (90, 36)
    assert found.interval[0] <= found.auc <= found.interval[1]
    assert (found.interval[0] > 0.5) == apart
    assert {ref.split for ref in found.low} == {"train"}
    assert {ref.split for ref in found.high} == {"test"}
    assert ("cannot tell" in found.words) != apart


def test_the_surest_test_images_are_those_least_like_training(train: Path, tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    for number in range(40):
        colour = COLOURS["red"] if number % 2 else (235, 235, 235)
        picture(colour, 7000 + number).save(tmp_path / "test" / f"{'red' if number % 2 else 'white'}-{number}.png")
    found = looked_at(train, tmp_path / "test").adversarial_features
    assert found is not None
    assert all(ref.id.startswith("white") for ref in found.high)
    assert {ref.label for ref in found.low} <= {"blue", "green"}


def test_a_leak_is_in_one_fold_with_its_original(train: Path, tmp_path: Path) -> None:
    """Test images that are copies of training images: nothing tells them apart, however well one is learnt by heart."""
    (tmp_path / "test").mkdir()
    for number in range(30):
        shutil.copy(train / "red" / f"{number:02}.png", tmp_path / "test" / f"r{number}.png")
        shutil.copy(train / "blue" / f"{number:02}.png", tmp_path / "test" / f"b{number}.png")
        shutil.copy(train / "green" / f"{number:02}.png", tmp_path / "test" / f"g{number}.png")
    found = looked_at(train, tmp_path / "test").adversarial_features
    assert found is not None
    assert found.auc == pytest.approx(0.5, abs=0.02)


def test_classes_of_a_few_images_end_no_run(tmp_path: Path) -> None:
    train = tmp_path / "few"
    for name, colour in COLOURS.items():
        (train / name).mkdir(parents=True)
        for number in range(4):
            picture(colour, number).save(train / name / f"{number}.png")
    report = looked_at(train)
    assert report.label_issues is None
    assert any("fewer than 5 different images" in note for note in report.notes)


def test_sides_of_a_few_pictures_and_their_copies_end_no_run(train: Path, tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    for number in range(25):
        Image.new("RGB", (48, 48), (250, 40, 40)).save(tmp_path / "test" / f"{number}.png")
    report = looked_at(train, tmp_path / "test")
    assert (report.adversarial, report.adversarial_features) == (None, None)
    assert any("5 that are not duplicates of each other, on either side" in note for note in report.notes)
    assert len(report.distributions) > 0


def test_an_area_far_below_a_half_is_not_called_alike() -> None:
    words = train_vs_test._auc_in_words(0.1, (0.04, 0.16), by="A classifier", why="")
    assert "errs more often than by chance" in words
    assert "cannot tell" not in words
