"""Errors of runs: what is planted is found, what was done about it is known, and what cannot be used is refused."""

import json
import shlex
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

import eyeshot
from eyeshot.auditing import read_audit_images, read_errors
from eyeshot.auditing.error_actions import CURES, Done, carry_over
from eyeshot.auditing.error_report import ToDo
from eyeshot.core import SILENT, InputError
from eyeshot.data import Decisions, decide, find_log
from eyeshot.ledger import RunRecord
from eyeshot.predictions import load_predictions
from eyeshot.web import Review
from eyeshot.web.session import _report

SIDE = 24
CLASSES = ("개", "고양이", "새")
WRONG_LABELS = 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project with one run; a third of its images are dark. One picture stands under two labels."""
    folder = tmp_path_factory.mktemp("errors")
    random = np.random.default_rng(0)
    for number in range(240):
        name = CLASSES[number % 3]
        dark = (number // 3) % 3 == 0
        values = random.integers(0, 60, (SIDE, SIDE, 3)) + (0 if dark else 150)
        values[..., number % 3] += 45
        file = folder / "train" / name / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(file)
    shutil.copy(folder / "train" / CLASSES[0] / "0.png", folder / "train" / CLASSES[1] / "copied.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        eyeshot.init("train", progress=False)
        eyeshot.audit(progress=False).save(folder / "eyeshot-out" / "audit")
        eyeshot.split(folds=2, leakage=False, progress=False).write("split.json")
        eyeshot.train(model="test_resnet.r160_in1k", from_scratch=True, size=SIDE, epochs=1, progress=False)
    (run,) = (folder / "eyeshot-out" / "runs").iterdir()
    run.rename(run.parent / "first")
    return folder


def is_dark(name):
    number = name.rpartition("/")[2].removesuffix(".png")
    return number.isdigit() and (int(number) // 3) % 3 == 0


def write_run(project, name, choose, *, like="first"):
    """A run whose predictions are those that `choose` gives for the number of an image, its label and its id."""
    runs = project / "eyeshot-out" / "runs"
    if name != like:
        shutil.copytree(runs / like, runs / name)
    table = load_predictions(runs / like / "validation.npz")
    probabilities = np.full((len(table), len(table.classes)), 0.05)
    for row, (label, image) in enumerate(zip(table.labels.tolist(), table.ids, strict=True)):
        probabilities[row, choose(row, label, image)] = 0.9
    replace(table, probabilities=probabilities).save(runs / name / "validation.npz")


def mostly_right(seed):
    """Right but for a tenth of the bright and two thirds of the dark images, and for wrong labels that all agree on."""
    random = np.random.default_rng(seed)

    def choose(row, label, image):
        if row < WRONG_LABELS:
            return (label + 1) % 3
        return (label + 1 + seed % 2) % 3 if random.random() < (0.66 if is_dark(image) else 0.1) else label

    return choose


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    result = folder / "eyeshot-out" / "runs" / "first" / "result.json"
    result.write_text(result.read_text("utf-8").replace(str(trained), str(folder)), "utf-8")
    for seed, name in enumerate(("first", "second", "third")):
        write_run(folder, name, mostly_right(seed))
    return folder


def test_a_planted_slice_is_found_with_its_cure_and_its_classes_do_not_explain_it(project):
    report = eyeshot.find_errors(network=False, progress=False).report
    found = {(part.property, part.side) for part in report.slices if part.found}
    assert ("brightness", "low") in found
    dark = next(part for part in report.slices if (part.property, part.side) == ("brightness", "low"))
    assert dark.chance_within < 0.05
    assert dark.rate.value > 2 * dark.rest.value
    assert not any("classes of these images" in part.words for part in report.slices if part.found)


def test_every_line_to_type_can_be_typed(project):
    from typer.main import get_command

    from eyeshot.cli import app

    report = eyeshot.find_errors(network=False, progress=False).report
    lines = [line for entry in report.to_do for line in entry.commands]
    assert len(lines) >= 4
    for line in [*lines, report.next_step]:
        _, *words = shlex.split(line)
        command = get_command(app)
        while hasattr(command, "commands"):
            command, words = command.commands[words[0]], words[1:]
        command.make_context(command.name, list(words))


def test_augmentations_that_are_proposed_exist():
    for names in CURES.values():
        assert {entry.name for entry in eyeshot.augmentations(*names)} == set(names)


def test_labels_that_all_runs_contradict_go_to_the_review_and_leave_it_when_decided(project):
    report = eyeshot.find_errors(network=False, progress=False).report
    planted = set(load_predictions(project / "eyeshot-out/runs/first/validation.npz").ids[:WRONG_LABELS])
    suspects = {finding.images[0].id for finding in report.findings}
    assert planted <= suspects
    folder = project / "eyeshot-out" / "errors"
    folder.mkdir()
    report.save(folder)
    images = read_audit_images(
        project / "train", None, labels=None, path_column=None, label_column=None, image_root=None,
        cache=project / "cache", workers=None, progress=SILENT,
    )  # fmt: skip
    log = find_log(None)
    review = Review(_report(None, folder), images, log.file)
    assert review.open_findings == len(report.findings)
    assert all(item.here for item in review.queue.items)
    log.append([decide("keep", [finding.images[0].content for finding in report.findings], author="someone")])
    review.refresh()
    assert review.open_findings == 0
    again = eyeshot.find_errors(network=False, progress=False).report
    assert again.findings == []
    entry = next(entry for entry in again.to_do if entry.kind == "labels")
    assert (entry.state, entry.acted) == ("acted", f"{len(suspects)} of {len(suspects)} images decided")
    assert entry.since == report.created


def test_shared_errors_are_counted_beside_what_chance_would_give(project):
    report = eyeshot.find_errors(["first", "second", "third"], network=False, progress=False).report
    wrong = [~load_predictions(project / f"eyeshot-out/runs/{name}/validation.npz").right for name in
             ("first", "second", "third")]  # fmt: skip
    assert report.shared == np.all(wrong, 0).sum()
    assert report.shared_expected == pytest.approx(len(wrong[0]) * np.prod([each.mean() for each in wrong]))
    assert [run.alone for run in report.runs] == [int((each & (np.sum(wrong, 0) == 1)).sum()) for each in wrong]
    assert report.run == min(report.runs, key=lambda run: run.errors).run


def test_an_ensemble_has_to_be_named_and_is_not_independent_of_its_members(project):
    combined = eyeshot.ensemble(["first", "second"], method="soft", progress=False)
    plain = eyeshot.find_errors(network=False, progress=False).report
    assert {run.run for run in plain.runs} == {"first", "second", "third"}
    named = eyeshot.find_errors(["first", "second", "third", combined.run], network=False, progress=False)
    assert (named.report.shared, named.report.shared_expected) == (plain.shared, plain.shared_expected)
    assert [run.run for run in named.report.runs if not run.counted] == [combined.run]
    assert any(f"{combined.run} is made of runs that are given too" in note for note in named.report.notes)
    alone = eyeshot.find_errors(["third", combined.run], network=False, progress=False).report
    assert alone.counted == 2


def test_an_ensemble_finds_its_images_through_a_member(project):
    combined = eyeshot.ensemble(["first", "second"], method="soft", progress=False)
    analysis = eyeshot.find_errors(combined.run, progress=False)
    assert analysis.report.run == combined.run
    assert analysis.report.slices
    assert {panel.image.id for panel in analysis.report.panels} == set(analysis.maps)
    assert any("those of its member" in note for note in analysis.report.notes)


def test_without_anything_to_do_the_next_step_names_the_run(project):
    write_run(project, "first", lambda row, label, image: label)
    report = eyeshot.find_errors("first", network=False, progress=False).report
    assert [entry for entry in report.to_do if entry.state == "open" and entry.commands] == []
    assert report.next_step == "eyeshot predict first --data TEST"
    text = (project / "eyeshot.toml").read_text("utf-8").replace("[data]\n", '[data]\ntest = "test"\n')
    (project / "eyeshot.toml").write_text(text, "utf-8")
    (project / "test").mkdir()
    assert eyeshot.find_errors("first", network=False, progress=False).report.next_step == "eyeshot predict first"


def test_pictures_with_two_labels_stand_beside_the_confused_pairs(project):
    report = eyeshot.find_errors("first", network=False, progress=False).report
    pairs = {frozenset((pair.first, pair.second)): pair for pair in report.pairs}
    shared = pairs[frozenset(CLASSES[:2])]
    assert (shared.same_picture, shared.near_duplicates) == (1, 0)
    assert all(pair.same_picture == 0 for names, pair in pairs.items() if names != frozenset(CLASSES[:2]))
    assert {row.label: row.two_labels for row in report.classes} == {CLASSES[0]: 1, CLASSES[1]: 1, CLASSES[2]: 0}
    entry = next(entry for entry in report.to_do if set(entry.classes) == set(CLASSES[:2]))
    assert "1 picture stands under both labels" in entry.words
    assert entry.commands == ["eyeshot review"]
    shutil.rmtree(project / "eyeshot-out" / "audit")
    without = eyeshot.find_errors("first", network=False, progress=False).report
    assert {pair.same_picture for pair in without.pairs} == {None}
    assert any("eyeshot audit" in entry.commands for entry in without.to_do)


def test_the_network_gives_nearest_training_images_of_both_classes_and_maps(project):
    analysis = eyeshot.find_errors("first", progress=False)
    report = analysis.report
    training = {file.relative_to(project / "train").as_posix() for file in (project / "train").rglob("*.png")}
    training -= set(load_predictions(project / "eyeshot-out/runs/first/validation.npz").ids)
    assert report.panels
    for panel in report.panels:
        assert {name.partition("/")[0] for name in panel.nearest_label} == {panel.image.label}
        assert {name.partition("/")[0] for name in panel.nearest_predicted} == {panel.predicted}
        assert set(panel.nearest_label) | set(panel.nearest_predicted) <= training
        pixels, saliency = analysis.maps[panel.image.id]
        assert (pixels.shape, saliency.shape) == ((SIDE, SIDE, 3), (SIDE, SIDE))
    properties = {part.property for part in report.slices}
    assert "distance to training images (median: 1)" in properties
    assert "coverage by training images" in properties or len(properties) > 5


def test_a_transformer_can_be_asked_too(project):
    eyeshot.train(model="test_vit.r160_in1k", from_scratch=True, size=32, epochs=1, progress=False)
    (run,) = (folder for folder in (project / "eyeshot-out" / "runs").iterdir() if "vit" in folder.name)
    analysis = eyeshot.find_errors(run.name, progress=False)
    assert analysis.maps
    assert all(saliency.max() == pytest.approx(1) for _, saliency in analysis.maps.values())


def test_folds_of_one_training_count_as_one(project):
    shutil.rmtree(project / "eyeshot-out" / "runs")
    for fold in (0, 1):
        eyeshot.train(model="test_resnet.r160_in1k", from_scratch=True, size=SIDE, epochs=1, fold=fold, progress=False)
    analysis = eyeshot.find_errors(progress=False)
    assert len(analysis.report.runs) == 1
    assert analysis.report.n == 241
    assert "are folds of one training" in analysis.report.notes[0]
    assert {panel.image.id for panel in analysis.report.panels} == set(analysis.maps)


def test_runs_of_other_images_are_left_out_by_default_and_refused_when_named(project):
    eyeshot.train(model="test_resnet.r160_in1k", from_scratch=True, size=SIDE, epochs=1, fold=1, progress=False)
    (other,) = (run for run in (project / "eyeshot-out" / "runs").iterdir() if run.name.startswith("20"))
    report = eyeshot.find_errors(network=False, progress=False).report
    assert [run.run for run in report.runs] == [other.name]
    assert "3 runs were validated on other images" in report.notes[0]
    with pytest.raises(InputError, match="Runs can be compared on the same images only"):
        eyeshot.find_errors(["first", other.name], network=False, progress=False)


def test_runs_of_other_classes_are_refused(project):
    file = project / "eyeshot-out" / "runs" / "second" / "validation.npz"
    replace(load_predictions(file), classes=("개", "고양이", "말")).save(file)
    with pytest.raises(InputError, match="differ in 2: 말 and 새"):
        eyeshot.find_errors(["first", "second"], network=False, progress=False)


def test_a_run_that_ended_in_nan_is_refused(project):
    file = project / "eyeshot-out" / "runs" / "first" / "validation.npz"
    table = load_predictions(file)
    replace(table, probabilities=np.full(table.probabilities.shape, np.nan)).save(file)
    with pytest.raises(InputError, match="'first' hold NaN"):
        eyeshot.find_errors("first", progress=False)


def test_an_unfinished_run_is_refused(project):
    (project / "eyeshot-out" / "runs" / "third" / "validation.npz").unlink()
    with pytest.raises(InputError, match="'third' is not finished"):
        eyeshot.find_errors("third", progress=False)
    shutil.rmtree(project / "eyeshot-out" / "runs")
    with pytest.raises(InputError, match=r"there is none in .* Next: eyeshot train"):
        eyeshot.find_errors(progress=False)


def test_a_file_takes_labels_from_a_run_or_the_project_and_is_refused_where_there_are_none(project):
    table = load_predictions(project / "eyeshot-out/runs/first/validation.npz")
    expected = eyeshot.find_errors("first", network=False, progress=False).report
    replace(table, run="").save(project / "labelled.npz")
    replace(table, labels=None, run="").save(project / "bare.npz")
    renamed = tuple(name.rpartition("/")[2].removesuffix(".png") for name in table.ids)
    replace(table, labels=None, run="", ids=renamed).save(project / "short.npz")
    for names in ("labelled.npz", ["bare.npz", "first"], "bare.npz", "short.npz"):  # of a run, or of the project
        analysis = eyeshot.find_errors(names, network=False, progress=False)
        assert analysis.report.errors == expected.errors
        assert {part.property for part in analysis.report.slices} == {part.property for part in expected.slices}
        assert analysis.paths
    (project / "eyeshot.toml").unlink()
    with pytest.raises(InputError, match="Add a column of labels"):
        eyeshot.find_errors("bare.npz", progress=False)


def test_images_that_are_gone_are_told_and_counted_all_the_same(project):
    table = load_predictions(project / "eyeshot-out/runs/first/validation.npz")
    for name in table.ids[:5]:
        (project / "train" / name).unlink()
    report = eyeshot.find_errors("first", network=False, progress=False).report
    assert report.n == len(table)
    assert any(note.startswith("5 validation images are not among the images any more") for note in report.notes)
    shutil.rmtree(project / "train")
    report = eyeshot.find_errors("first", progress=False).report
    assert report.n == len(table)
    assert any(note.startswith("The images cannot be read") for note in report.notes)


def test_a_project_that_was_moved_finds_its_images_by_the_project_file(project, tmp_path, monkeypatch):
    moved = tmp_path / "moved"
    project.rename(moved)
    monkeypatch.chdir(moved)
    analysis = eyeshot.find_errors("first", progress=False)
    assert analysis.report.slices
    assert all(file.startswith(str(moved)) for file in analysis.paths.values())
    assert analysis.maps


def test_a_run_without_errors_says_so(project):
    write_run(project, "first", lambda row, label, image: label)
    report = eyeshot.find_errors("first", network=False, progress=False).report
    assert report.answer == f"All {report.n} validation images are right."
    assert report.next_step == "eyeshot predict first --data TEST"
    assert (report.pairs, report.findings, [row for row in report.classes if row.worst]) == ([], [], [])


def test_a_damaged_report_is_told(project):
    folder = project / "eyeshot-out" / "errors"
    folder.mkdir()
    (folder / "errors.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(InputError, match="Run it again: eyeshot errors"):
        read_errors(folder / "errors.json")


def entry(name, since, **more):
    fields = {"id": name, "kind": "slice", "words": "w", "action": "a", "commands": [], "since": since}
    return ToDo.model_validate(fields | more)


def record(name, created, augmentations):
    return RunRecord(id=name, created=created, kind="train", key=name, model="m", augmentations=augmentations)


def test_a_list_is_continued_from_report_to_report():
    before, now = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC)
    earlier = [entry("slice:dark", before, tries=("jitter",)), entry("slice:grey", before, tries=("grey",)),
               entry("slice:old", before, tries=("mirror",))]  # fmt: skip
    found = [entry("slice:dark", now, tries=("jitter",)), entry("slice:new", now, tries=("invert",))]
    runs = [record("early", before - timedelta(days=1), ("jitter", "invert")),
            record("late", before + timedelta(days=1), ("grey",))]  # fmt: skip
    entries = carry_over(found, earlier, Done(Decisions(()), runs, frozenset(), 0.0))
    states = {each.id: (each.state, each.since) for each in entries}
    assert states == {
        "slice:dark": ("open", before),  # the run with jitter is older than the finding
        "slice:new": ("open", now),
        "slice:grey": ("acted", before),
        "slice:old": ("gone", before),
    }
    assert "late was trained with grey" in next(each.acted for each in entries if each.id == "slice:grey")
    assert [each.state for each in entries] == ["open", "open", "acted", "gone"]


def test_a_later_ranking_of_the_proposed_augmentations_counts_as_acted():
    since = datetime(2026, 1, 1, tzinfo=UTC)
    found = [entry("slice:dark", since, tries=("jitter",)), entry("slice:grey", since, tries=("grey",))]
    entries = carry_over(found, found, Done(Decisions(()), [], frozenset({"jitter"}), since.timestamp() + 60))
    assert {each.id: each.state for each in entries} == {"slice:dark": "acted", "slice:grey": "open"}


def test_merged_classes_settle_their_pair():
    since = datetime(2026, 1, 1, tzinfo=UTC)
    pair = entry("pair:a / b", since, kind="pair", classes=("a", "b"))
    merge = decide("merge-classes", [], classes=["a", "b"], label="a", author="someone")
    (after,) = carry_over([pair], [], Done(Decisions((merge,)), [], frozenset(), 0.0))
    assert (after.state, after.acted) == ("acted", "the classes were merged")
