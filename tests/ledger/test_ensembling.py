"""Ensembles of runs: bad input, what is stored, and predictions of test images."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eyeshot
from eyeshot.core.errors import InputError
from eyeshot.ledger import create_run, find_predictions, find_run, list_runs
from eyeshot.predictions import Accuracy, Predictions, load_predictions
from eyeshot.training import FinishedRun, TrainConfig, TrainResult
from eyeshot.training.weights_file import load_classifier

CLASSES = ("cat", "dog", "fox")
SIDE = 32


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(seed, *, n=100, skill=1.0, classes=CLASSES, fold=None, first=0):
    random = np.random.default_rng(seed)
    labels = np.arange(first, first + n) % len(classes)
    scores = random.normal(size=(n, len(classes)))
    scores[np.arange(n), labels] += skill
    values = np.exp(scores)
    ids = tuple(f"{classes[label]}/{number}.png" for number, label in enumerate(labels, first))
    return Predictions(ids, values / values.sum(1, keepdims=True), classes, labels, fold=fold)


def run_of(project, predictions, *, name="net", seed=0, result=None):
    folder = create_run(
        project / "eyeshot-out" / "runs", kind="train", key=f"{name}{seed}{predictions.fold}", model=name,
        augmentations=[], seed=seed, config={},
    )  # fmt: skip
    predictions.save(folder / "validation.npz")
    if result is not None:
        result.write(folder)
    return folder.name


def result_of(name, seed, fold):
    some = Accuracy.of_counts(1, 2)
    return TrainResult(
        key="k", model=name, pretrained=False, classes=CLASSES, augmentations=(),
        settings=TrainConfig(epochs=1, batch_size=8, learning_rate=0.1, seed=seed), size=32, fit="crop",
        interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3, data={"fold": fold, "train": "train"}, n_train=2,
        n_val=2, epoch_val_images=2, accuracy=some, per_class={}, epochs=1, steps=1, seconds=1, ended_early=None,
        alarms=(), failed_samples=0, history=(), hardware="", versions={}, weights={}, command="",
    )  # fmt: skip


def ensemble(*runs, **options):
    return eyeshot.ensemble(runs, progress=False, **options)


def test_an_ensemble_is_stored_as_a_run_with_predictions_out_of_fold(project):
    names = [run_of(project, table(seed), seed=seed) for seed in range(4)]
    report = ensemble(*names, method="soft")
    stored = find_predictions(report.run)
    assert [record.kind for record in list_runs(project / "eyeshot-out" / "runs")] == ["train"] * 4 + ["ensemble"]
    mean = np.mean([np.float16(find_predictions(name).probabilities).astype(float) for name in names], axis=0)
    assert np.allclose(stored.probabilities, mean, atol=1e-3)
    assert stored.accuracy() == report.accuracy
    assert report.gain.difference > 0
    assert report.answer.startswith("An ensemble is right on ")
    assert [member.weight for member in report.members] == [0.25] * 4
    assert set(report.per_class) == set(CLASSES)
    again = ensemble(*names, method="soft")
    assert again.run == report.run
    assert json.loads((project / "eyeshot-out" / "runs" / report.run / "ensemble.json").read_text())["version"] == 1


def test_an_ensemble_can_be_a_member(project):
    names = [run_of(project, table(seed), seed=seed) for seed in range(3)]
    first = ensemble(*names[:2], method="soft")
    assert ensemble(first.run, names[2], method="soft").n == 100


def test_what_cannot_be_told_apart_is_said_and_the_single_run_is_advised(project):
    base = table(0, n=60, skill=2.5)
    random = np.random.default_rng(1)
    noisy = base.probabilities * random.uniform(0.98, 1.02, base.probabilities.shape)
    other = Predictions(base.ids, noisy / noisy.sum(1, keepdims=True), CLASSES, base.labels)
    names = [run_of(project, base), run_of(project, other, seed=1)]
    report = ensemble(*names)
    assert report.advised == "best run"
    assert "is distinguishable from the best single run" in report.answer
    assert report.next_step == f"eyeshot predict {report.best_run}"
    runs = project / "eyeshot-out" / "runs"
    assert (report.run, {record.kind for record in list_runs(runs)}) == ("", {"train"})
    assert find_run(runs, "advised").name == report.best_run
    asked = ensemble(*names, method="soft")
    assert find_run(runs, "latest").name == asked.run
    assert (asked.advised, find_run(runs, "advised").name) == ("best run", report.best_run)


def test_an_ensemble_that_is_advised_is_called_advised_until_it_is_gone(project):
    runs = project / "eyeshot-out" / "runs"
    with pytest.raises(InputError, match="'advised' must be a run that eyeshot ensemble advised, but none has been"):
        find_run(runs, "advised")
    report = ensemble(*[run_of(project, table(seed), seed=seed) for seed in range(4)])
    assert report.advised == "ensemble"
    assert find_run(runs, "advised").name == report.run
    shutil.rmtree(runs / report.run)
    with pytest.raises(InputError, match="is gone"):
        find_run(runs, "advised")


def test_all_weight_on_one_run_is_no_ensemble(project):
    good, bad = run_of(project, table(0, skill=4.0)), run_of(project, table(1, skill=-3.0), seed=1)
    report = ensemble(good, bad, method="greedy")
    assert (report.run, report.advised, report.best_run) == ("", "best run", good)
    assert any(f"greedy puts all weight on {good}: that is no ensemble" in note for note in report.notes)
    assert report.next_step == f"eyeshot predict {good}"


def test_of_equally_good_methods_the_cheapest_is_stored(project):
    good = [run_of(project, table(seed, n=400, skill=1.5), seed=seed) for seed in range(2)]
    poor = [run_of(project, table(seed, n=400, skill=0.0), seed=seed) for seed in range(5, 10)]
    report = ensemble(*good, *poor)
    assert (report.method, report.advised) == ("greedy", "ensemble")
    costs = {row.method: row.cost for row in report.methods}
    assert costs["greedy"] < costs["soft"] == 7


def test_classes_in_another_order_are_brought_together(project):
    first, second = table(0), table(1)
    turned = Predictions(second.ids, second.probabilities[:, ::-1], CLASSES[::-1], 2 - second.labels)
    expected = ensemble(run_of(project, first), run_of(project, second, seed=1), method="soft")
    report = ensemble(run_of(project, first, name="a"), run_of(project, turned, name="b"), method="soft")
    assert report.accuracy == expected.accuracy


def test_other_classes_and_other_images_are_refused(project):
    first = run_of(project, table(0))
    with pytest.raises(InputError, match="Runs must have the same classes"):
        ensemble(first, run_of(project, table(1, classes=("cat", "dog", "wolf")), seed=1))
    with pytest.raises(InputError, match="Runs can be compared on the same images only"):
        ensemble(first, run_of(project, table(1, first=7), seed=2))


def test_one_run_is_no_ensemble(project):
    name = run_of(project, table(0))
    with pytest.raises(InputError, match="at least 2 runs, got 1"):
        ensemble(name)
    with pytest.raises(InputError, match=r"got 1. .* was given several times and is used once"):
        ensemble(name, name)


def test_a_copy_of_a_run_is_left_out_and_this_is_said(project):
    names = [run_of(project, table(seed), name=name) for seed, name in ((0, "a"), (0, "b"), (1, "c"))]
    report = ensemble(*names, method="soft")
    assert len(report.members) == 2
    assert "predicts exactly what" in report.notes[0]


def test_runs_that_differ_in_the_fold_are_one_member(project):
    whole = run_of(project, table(9))
    folds = [
        run_of(project, table(fold, n=50, first=50 * fold, fold=fold), seed=fold, result=result_of("net", 0, fold))
        for fold in range(2)
    ]
    report = ensemble(whole, *folds, method="soft")
    assert sorted(len(member.parts) for member in report.members) == [1, 2]
    assert report.methods[0].cost == 3


def test_a_missing_fold_is_named(project):
    runs = [
        run_of(project, table(seed + 9 * fold, n=50, first=50 * fold, fold=fold), seed=10 * seed + fold,
               result=result_of("net", seed, fold))
        for seed, fold in ((0, 0), (0, 1), (1, 0))
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"lack fold 1, which others have. Next: .*--fold 1"):
        ensemble(*runs)


def test_damaged_probabilities_are_refused(project):
    good, bad = table(0), table(1)
    bad.probabilities[3, 1] = np.nan
    with pytest.raises(InputError, match=r"1 rows of .* hold NaN"):
        ensemble(run_of(project, good), run_of(project, bad, seed=1))


def write_csv(file, predictions, values=None, labels=True):
    lines = [",".join(["id", *(["label"] if labels else []), *predictions.classes])]
    for number, name in enumerate(predictions.ids):
        row = (predictions.probabilities if values is None else values)[number]
        own = [predictions.classes[predictions.labels[number]]] if labels else []
        lines.append(",".join([name, *own, *(f"{value:.6f}" for value in row)]))
    file.write_text("\n".join(lines) + "\n")


def test_scores_before_softmax_are_told_and_converted_on_request(project):
    own, name = table(1), run_of(project, table(0))
    write_csv(project / "mine.csv", own, np.log(own.probabilities) + 3)
    with pytest.raises(InputError, match="--logits"):
        ensemble(name, project / "mine.csv")
    report = ensemble(name, project / "mine.csv", logits=True, method="soft")
    assert report.members[1].accuracy == own.accuracy()
    assert (report.members[1].name, report.members[1].own) == ("mine", True)


def test_predictions_without_labels_are_refused(project):
    files = [project / f"{number}.csv" for number in range(2)]
    for number, file in enumerate(files):
        write_csv(file, table(number), labels=False)
    with pytest.raises(InputError, match="none of the given predictions has labels"):
        ensemble(*files)


def test_methods_are_checked_before_anything_is_read(project):
    with pytest.raises(InputError, match=r"--method must be one of soft, .*got 'median'"):
        ensemble("a", "b", method="median")
    with pytest.raises(InputError, match="It needs --soup"):
        ensemble("a", "b", method="greedy-soup")


def picture(file, side_lit, seed):
    values = np.random.default_rng(seed).integers(0, 160, (SIDE, SIDE, 3))
    values[:, slice(0, SIDE // 2) if side_lit == "left" else slice(SIDE // 2, SIDE)] += 90
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(file)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project with two finished runs on the same split."""
    folder = tmp_path_factory.mktemp("project")
    for number in range(80):
        picture(
            folder / "train" / ("left", "right")[number % 2] / f"{number}.png", ("left", "right")[number % 2], number
        )
    for number in range(12):
        picture(folder / "test" / f"{number}.png", ("left", "right")[number % 2], 1000 + number)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        eyeshot.init("train", "test", progress=False)
        eyeshot.split(folds=2, leakage=False, progress=False).write("split.json")
        for seed in range(2):
            eyeshot.train(
                model="test_resnet.r160_in1k", from_scratch=True, size=SIDE, epochs=3, seed=seed, fold=0, progress=False
            )
    return folder


@pytest.fixture
def runs(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return sorted((tmp_path / "project" / "eyeshot-out" / "runs").iterdir())


def test_predicting_an_ensemble_predicts_what_its_members_lack_and_combines_it_once(runs):
    report = ensemble(*runs, method="soft")
    with pytest.raises(InputError, match="has not predicted the test images"):
        find_predictions(report.run, "test")
    eyeshot.predict(runs[0], progress=False)
    (predicted,) = eyeshot.predict(report.run, progress=False)
    members = [load_predictions(folder / "predictions" / "test.npz").probabilities.astype(float) for folder in runs]
    assert np.allclose(load_predictions(predicted.file).probabilities, np.mean(members, axis=0), atol=1e-3)
    assert (predicted.n, predicted.made, predicted.cost) == (12, True, 2)
    assert find_predictions(report.run, "test").run == report.run
    (again,) = eyeshot.predict(report.run, progress=False)
    assert not again.made
    picture(runs[0].parents[2] / "test" / "new.png", "left", 5)
    (changed,) = eyeshot.predict(report.run, progress=False)
    assert (changed.made, changed.n) == (True, 13)


def test_what_the_members_have_predicted_is_combined_at_once(runs):
    eyeshot.predict(runs, progress=False)
    report = ensemble(*runs, method="geometric")
    at_once = find_predictions(report.run, "test")
    assert set(report.estimates) == {member.name for member in report.used} | {"ensemble"}
    assert report.estimates["ensemble"].n == len(at_once)
    (predicted,) = eyeshot.predict(report.run, progress=False)
    assert not predicted.made
    assert (load_predictions(predicted.file).probabilities == at_once.probabilities).all()


def test_views_are_those_of_the_members(runs):
    report = ensemble(*runs, method="soft")
    (predicted,) = eyeshot.predict(report.run, tta=["vflip"], progress=False)
    members = [
        load_predictions(each.file).probabilities.astype(float)
        for each in eyeshot.predict(runs, tta=["vflip"], progress=False)
    ]
    assert np.allclose(load_predictions(predicted.file).probabilities, np.mean(members, axis=0), atol=1e-3)
    assert "fitted without vflip" in predicted.notes[0]


def test_parts_of_folds_are_averaged_before_members_are_combined(project):
    whole = run_of(project, table(9))
    folds = [
        run_of(project, table(fold, n=50, first=50 * fold, fold=fold), seed=fold, result=result_of("net", 0, fold))
        for fold in range(2)
    ]
    tests = {}
    for number, name in enumerate((whole, *folds)):
        test = tests[name] = replace(table(20 + number, n=12), labels=None, run=name, split="test", key=name)
        folder = project / "eyeshot-out" / "runs" / name / "predictions"
        folder.mkdir()
        test.save(folder / "test.npz")
    report = ensemble(whole, *folds, method="soft")
    mean = (tests[whole].probabilities + (tests[folds[0]].probabilities + tests[folds[1]].probabilities) / 2) / 2
    assert np.allclose(find_predictions(report.run, "test").probabilities, mean, atol=1e-3)


def test_a_file_of_the_users_own_is_asked_for_on_the_test_images(runs):
    own = find_predictions(runs[1])
    write_csv(runs[0].parents[2] / "mine.csv", own)
    report = ensemble(runs[0], "mine.csv", method="geometric")
    with pytest.raises(InputError, match="--own mine=FILE"):
        eyeshot.predict(report.run, progress=False)
    (other,) = eyeshot.predict(runs[1], progress=False)
    test = load_predictions(other.file)
    write_csv(runs[0].parents[2] / "mine_test.csv", test, labels=False)
    (predicted,) = eyeshot.predict(report.run, own=["mine=mine_test.csv"], progress=False)
    whole = ensemble(*runs, method="geometric")
    (expected,) = eyeshot.predict(whole.run, progress=False)
    assert np.allclose(
        load_predictions(predicted.file).probabilities, load_predictions(expected.file).probabilities, atol=2e-3
    )
    with pytest.raises(InputError, match="--own takes NAME=FILE"):
        eyeshot.predict(report.run, own=["mine_test.csv"], progress=False)


def test_files_of_the_same_name_have_their_own_test_predictions_which_may_be_scores(runs):
    root = runs[0].parents[2]
    answers = np.array([[0.9, 0.1], [0.4, 0.6]])
    for folder, run, row in zip(("one", "two"), runs, answers, strict=True):
        (root / folder).mkdir()
        write_csv(root / folder / "mine.csv", find_predictions(run))
        (made,) = eyeshot.predict(run, progress=False)
        test = load_predictions(made.file)
        write_csv(root / folder / "test.csv", test, np.tile(np.log(row), (len(test), 1)), labels=False)
    report = ensemble("one/mine.csv", "two/mine.csv", method="soft")
    assert [member.name for member in report.members] == ["one/mine.csv", "two/mine.csv"]
    own = [f"{folder}/mine.csv={folder}/test.csv" for folder in ("one", "two")]
    with pytest.raises(InputError, match="--logits"):
        eyeshot.predict(report.run, own=own, progress=False)
    (predicted,) = eyeshot.predict(report.run, own=own, logits=True, progress=False)
    assert np.allclose(load_predictions(predicted.file).probabilities, answers.mean(0), atol=2e-3)


def test_a_soup_is_one_network_with_the_mean_weights(runs):
    report = ensemble(*runs, soup=True, method="uniform-soup", device="cpu")
    folder = runs[0].parent / report.run
    backbone = FinishedRun(runs[0]).backbone
    states = [load_classifier(backbone, each, 2) for each in (*runs, folder)]
    for name, value in states[2].items():
        if value.is_floating_point():
            assert np.allclose(value, (states[0][name] + states[1][name]) / 2, atol=1e-5), name
    (predicted,) = eyeshot.predict(report.run, progress=False)
    assert (predicted.run, predicted.cost, predicted.file.parent.parent) == (report.run, 1, folder)
    assert {row.method for row in report.methods} >= {"uniform-soup", "greedy-soup"}
    images = eyeshot.read_images(Path("test"), labelled=False)
    (by_hand,), _ = FinishedRun(runs[0], weights=runs).predict(images, split="test", cache=folder / "cache")
    assert np.allclose(load_predictions(predicted.file).probabilities, by_hand.probabilities, atol=2e-3)


def test_the_python_lines_of_the_page_run_as_they_stand(runs, capsys):
    page = Path(__file__).resolve().parents[2] / "docs" / "results.md"
    (lines,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    exec(compile(lines, page.name, "exec"), {})
    answer, estimate = capsys.readouterr().out.splitlines()
    assert "are one recipe" in answer
    assert estimate.startswith("estimate ")
    assert len(eyeshot.read_images("test", labelled=False)) == 12


def test_soups_need_two_runs_of_one_network(project):
    names = [run_of(project, table(seed), seed=seed) for seed in range(2)]
    with pytest.raises(InputError, match=r"at least 2 runs of one model and size .* got 0"):
        ensemble(*names, soup=True)


def with_test(project, name, *, validates, spread, share=1.0, n=90):
    """A run with this skill on validation, and test predictions that are sure; not spread: mostly of one class."""
    run = run_of(project, table(len(name), skill=validates, n=300), name=name)
    labels = np.arange(n) % 3
    answers = labels if spread else np.where(np.arange(n) % 8, 0, labels)
    answers = np.where(np.random.default_rng(len(name)).random(n) < share, answers, (answers + 1) % 3)
    folder = project / "eyeshot-out" / "runs" / run / "predictions"
    folder.mkdir()
    ids = tuple(f"t{number}.png" for number in range(n))
    sure = np.eye(3)[answers] * 0.85 + 0.05
    Predictions(ids, sure, CLASSES, run=run, split="test").save(folder / "test.npz")
    return run


def test_under_a_shift_the_estimate_chooses_between_ensemble_and_single_run(project):
    """Together they validate better, but on the test images two of the three drag the third along."""
    collapsed = [with_test(project, name, validates=1.6, spread=False) for name in ("a", "bb")]
    transfers = with_test(project, "ccc", validates=1.2, spread=True)
    report = ensemble(*collapsed, transfers, method="soft")
    assert report.gain.real
    assert (report.choice.by, report.choice.chosen, report.advised) == ("estimate", transfers, "best run")
    assert report.best_run in collapsed
    assert f"{transfers} is chosen by the estimate on the test images" in report.answer
    assert report.next_step == f"eyeshot predict {transfers}"


def test_without_a_shift_validation_chooses_as_before(project):
    runs = [with_test(project, name, validates=1.6, spread=True) for name in ("a", "bb")]
    report = ensemble(*runs)
    assert report.choice.by == "validation"
    assert "is chosen by" not in report.answer
    alone = ensemble(runs[0], run_of(project, table(7, skill=1.5, n=300), name="d"))
    assert alone.choice is None
