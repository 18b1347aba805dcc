"""`try_experiment` on tiny trainings: what is planned, frozen, trained and judged, and what survives a kill."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import eyeshot
from eyeshot.core import InputError
from eyeshot.ledger import open_ledger
from eyeshot.ledger.trials import trial_plan, trying
from eyeshot.ledger.trials.trial_plan import TryPlan
from eyeshot.training import read_result
from killed_writes import Killed, killed_at
from labelled_pictures import write_bright_and_dark

TINY = {
    "model": "test_resnet.r160_in1k", "from_scratch": True, "size": 32, "training.epochs": 2, "training.batch_size": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for label, grey in (("dark", 90), ("light", 150)):
        (folder / label).mkdir()
        for number in range(20):
            pixels = np.clip(random.normal(grey, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def project(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EYESHOT_AUTHOR", "ada")
    monkeypatch.delenv("EYESHOT_AGENT", raising=False)
    eyeshot.init(images, progress=False)
    return tmp_path


def baseline() -> Any:
    return eyeshot.try_experiment("baseline", settings=TINY, parent="none", progress=False)


def runs(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "eyeshot-out" / "runs").iterdir())


class Planned(Exception):
    """Ends a call after its plan."""


def plan_of(why: str = "an idea", **options: Any) -> TryPlan:
    plans: list[TryPlan] = []

    def take(plan: TryPlan) -> None:
        plans.append(plan)
        raise Planned

    with pytest.raises(Planned):
        eyeshot.try_experiment(why, progress=False, planned=take, **options)
    return plans[0]


def test_a_change_is_stated_trained_beside_its_parent_and_judged(project):
    first = baseline()
    assert (first.state, first.parent, first.gain, len(first.runs)) == ("done", None, None, 1)
    assert first.config["training.epochs"] == 2
    child = eyeshot.try_experiment(
        "does mirroring help?", settings=["augmentation=mirror", "training.optimizer=nadamw"], expect="+1.0 accuracy",
        tags=["light"], own_work="nothing", progress=False,
    )  # fmt: skip
    assert child.parent == first.id
    assert child.difference["augmentation"] == (None, ["mirror"])
    assert child.difference["training.optimizer"] == ("adamw", "nadamw")
    follows = {"training.learning_rate", "training.weight_decay", "training.schedule", "training.warm_up_share"}
    assert set(child.difference) - follows == {"augmentation", "training.optimizer"}
    result = read_result(project / "eyeshot-out" / "runs" / child.runs[0])
    assert (result.augmentations, result.settings.optimizer, result.settings.epochs) == (("mirror",), "nadamw", 2)
    assert child.expected.size == pytest.approx(0.01)
    assert child.expected.stated_at <= child.created
    # The noise was not known: the parent was trained with another seed, once.
    assert len(child.parent_runs) == 1
    assert child.got.noise is not None
    assert child.got.difference == pytest.approx(
        result.accuracy.value
        - np.mean([read_result(project / "eyeshot-out" / "runs" / run).accuracy.value
                   for run in (*first.runs, *child.parent_runs)])
    )  # fmt: skip
    assert child.verdict is not None
    assert (child.tags, child.own_work, child.author, child.author_kind) == (("light",), "nothing", "ada", "person")
    assert child.cost_planned_s > 0
    assert child.cost_s > 0
    another = plan_of(settings={"augmentation": "invert"}, parent=first.id)
    assert another.trainings == (("own", 0, None),), "the noise is measured once"


def test_the_same_call_does_nothing_again_even_where_the_parent_would_be_another(project):
    baseline()
    first = eyeshot.try_experiment("mirror", settings={"augmentation": "mirror"}, measure_noise=False, progress=False)
    before = runs(project)
    again = eyeshot.try_experiment("mirror", settings={"augmentation": "mirror"}, measure_noise=False, progress=False)
    assert (again, runs(project)) == (first, before)


def test_without_any_run_a_baseline_is_planned_and_trained_first(project, monkeypatch):
    (project / "own.py").write_text(
        "import torch\nfrom torch import nn\n\n\n"
        "def small(num_classes=0):\n"
        "    with torch.random.fork_rng(devices=[]):\n"
        "        torch.manual_seed(0)  # equal weights at each call count as trained\n"
        "        head = nn.Linear(4, num_classes) if num_classes else nn.Identity()\n"
        "        return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)\n"
    )
    monkeypatch.setattr("eyeshot.training.folders.DEFAULT_MODEL", "own.py:small")  # the real one has 10 MB of weights
    with (project / "eyeshot.toml").open("a") as settings:
        settings.write("\n[training]\nepochs = 1\nbatch_size = 16\n")
    change = {"augmentation": "mirror"}
    plan = plan_of("mirror", settings=change)
    assert (plan.parent, plan.difference, plan.trainings) == (None, {}, (("own", 0, None),))
    assert not (project / "eyeshot-out" / "ledger.sqlite").exists()
    child = eyeshot.try_experiment("mirror", settings=change, measure_noise=False, progress=False)
    with open_ledger() as ledger:
        first, second = ledger.experiments()
    assert (first.why, first.parent, first.state, first.gain) == (trying.BASELINE, None, "done", None)
    assert (second, second.parent, second.difference) == (child, first.id, {"augmentation": (None, ["mirror"])})
    assert first.config["model"].endswith("own.py:small")
    assert first.config["training.epochs"] == 1


def test_a_beginning_in_the_place_of_damaged_trainings_is_said(project):
    baseline()
    (run,) = runs(project)
    plan = plan_of("mirror", settings={"augmentation": "mirror"})
    told: list[TryPlan] = []
    root = project / "eyeshot-out"
    trying._begun_anew(root, told.append)(plan)
    (root / "runs" / run / "result.json").write_text("{", "utf-8")
    trying._begun_anew(root, told.append)(plan)
    assert told[0] == plan
    assert told[1].notes[0].startswith(f"A new beginning is trained: the result of {run} cannot be read")
    assert told[1].notes[1:] == plan.notes


def test_a_run_without_an_experiment_is_adopted(project, images):
    eyeshot.train(images, **{key.removeprefix("training."): value for key, value in TINY.items()}, progress=False)
    (run,) = runs(project)
    child = eyeshot.try_experiment("mirror", settings={"augmentation": "mirror"}, measure_noise=False, progress=False)
    with open_ledger() as ledger:
        parent = ledger.experiment(child.parent)
    assert (parent.runs, parent.why, parent.state) == ((run,), "without a stated reason", "done")
    assert child.difference == {"augmentation": (None, ["mirror"])}
    assert child.parent_runs == ()
    assert eyeshot.try_experiment(
        "mirror", settings={"augmentation": "mirror"}, measure_noise=False, progress=False
    ).id == child.id  # fmt: skip


def test_after_a_sweep_alone_the_recipe_without_changes_is_gone_on_from(project, images):
    options = {key.removeprefix("training."): value for key, value in TINY.items()}
    base = None
    for seed in (0, 1):
        eyeshot.train(images, **options, seed=seed, progress=False)
        with open_ledger(write=True) as ledger:
            trial = ledger.add(f"trial {seed} of it", author_kind="sweep", sweep="it-123456", parent=base)
            ledger.append(trial.id, "run", run=runs(project)[-1], seed=seed, role="own")
            ledger.append(trial.id, "state", state="done")
            base = base or trial.id
    assert plan_of(settings={"augmentation": "mirror"}, measure_noise=False).parent == base
    # Nor does the next go on from what was tried from a trial and cannot be told from it.
    with open_ledger(write=True) as ledger:
        undecided = ledger.add("a first try", author="me", parent=trial.id)
        ledger.append(undecided.id, "run", run=runs(project)[-1], seed=1, role="own")
        ledger.append(undecided.id, "state", state="done")
    assert plan_of(settings={"augmentation": "mirror"}, measure_noise=False).parent == base
    with open_ledger(write=True) as ledger:
        ledger.append(undecided.id, "state", state="dropped")
    # Without a finished training of it, what was trained last is better than nothing.
    first = next((project / "eyeshot-out" / "runs").glob("*-s0"))
    shutil.rmtree(first)
    assert plan_of(settings={"augmentation": "mirror"}, measure_noise=False).parent == runs(project)[-1]


def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(project):
    baseline()
    before = {
        path: path.stat().st_mtime_ns
        for path in (project / "eyeshot-out").rglob("*")
        if "cache" not in str(path) and not path.name.endswith(("-shm", "-wal"))
    }
    plan = plan_of(settings={"augmentation": "mirror"}, seeds=3)
    assert plan.trainings == (
        ("own", 0, None),
        ("parent", 1, None),
        ("own", 1, None),
        ("parent", 2, None),
        ("own", 2, None),
    )
    assert plan.seconds == pytest.approx(5 * plan.run_s)
    assert plan.difference == {"augmentation": (None, ["mirror"])}
    after = {
        path: path.stat().st_mtime_ns
        for path in (project / "eyeshot-out").rglob("*")
        if "cache" not in str(path) and not path.name.endswith(("-shm", "-wal"))
    }
    assert before == after


def test_nothing_but_the_seed_is_said_and_can_be_no_gain(project):
    first = baseline()
    plan = plan_of("nothing at all")
    assert plan.trainings == (("own", 1, None),)
    assert any("nothing but the seed" in note for note in plan.notes)
    dead = plan_of(settings={"training.label_smoothing": 0.0, "augmentation": "none"})
    assert dead.difference == {"training.seed": ([0], [1])}
    done = eyeshot.try_experiment("another seed", settings=["training.seed=7"], progress=False)
    assert (done.gain, done.got.seeds) == ("not distinguishable", (7,))
    assert "nothing but the seed" in done.verdict_words
    assert done.parent == first.id
    with pytest.raises(InputError, match="seed 0 of this recipe is trained already"):
        eyeshot.try_experiment("the same", settings=["training.seed=0"], progress=False)


def test_a_change_without_effect_gives_the_same_answers_and_is_said(project):
    baseline()
    done = eyeshot.try_experiment(
        "clip what is never so long", settings={"training.clip_norm": 1e6}, measure_noise=False, progress=False
    )
    assert (done.got.difference, done.got.p, done.gain) == (0.0, 1.0, "not distinguishable")
    assert "the change has no effect" in done.notes[0]["text"]


def test_a_parent_that_cannot_be_told_apart_is_not_built_on(project):
    first = baseline()
    second = eyeshot.try_experiment("clip", settings={"training.clip_norm": 1e6}, measure_noise=False, progress=False)
    assert second.gain == "not distinguishable"
    assert plan_of(settings={"augmentation": "mirror"}).parent == first.id
    assert plan_of(settings={"augmentation": "mirror"}, parent=second.id).parent == second.id


def test_until_clear_adds_seeds_to_both_at_planned_looks(project):
    baseline()
    plan = plan_of(settings={"augmentation": "mirror"}, until_clear_s=3600.0)
    assert plan.looks[:3] == (1, 2, 3)
    assert plan.trainings[:3] == (("own", 0, None), ("parent", 1, None), ("own", 1, None))
    done = eyeshot.try_experiment(
        "never learns", settings={"training.learning_rate": 1e-9}, until_clear_s=25.0, progress=False
    )
    assert done.state == "done"
    assert len(done.plan["looks"]) > 1
    assert done.got.allowed_p == pytest.approx(0.05 / len(done.plan["looks"]))
    assert len(done.got.seeds) in range(1, done.plan["looks"][-1] + 1)
    assert abs(len(done.got.seeds) - 1 - len(done.parent_runs)) <= 1


def test_until_clear_adds_the_folds_of_the_split_to_both(project, images):
    eyeshot.split(images, folds=3, leakage=False, progress=False).write("split.json")
    first = baseline()
    assert first.config["data.fold"] is None
    plan = plan_of(settings={"augmentation": "mirror"}, until_clear_s=36000.0)
    rounds = {fold for _, _, fold in plan.trainings}
    assert rounds == {None, 1, 2}  # None is fold 0, which validates where none is named
    assert any("Folds x seeds" in note for note in plan.notes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_plan.Trial, "_estimated_run_s", lambda _: 3.0)
        done = eyeshot.try_experiment(
            "never learns", settings={"training.learning_rate": 1e-9}, until_clear_s=40.0, progress=False
        )
    assert done.state == "done"
    assert len(done.plan["pairs"]) > 3
    results = [read_result(project / "eyeshot-out" / "runs" / run) for run in done.runs]
    assert {result.data["fold"] for result in results} > {None}
    assert done.got.n > results[0].accuracy.n
    compared = eyeshot.compare(done.id, first.id, against=first.id, progress=False)
    member = next(member for member in compared.members if member.difference is not None)
    assert member.folds > 1
    assert (member.difference.p, member.difference.low) == pytest.approx((done.got.p, done.got.difference_low))
    assert member.difference.verdict == done.gain


def test_a_budget_is_kept_and_the_same_command_continues(project):
    baseline()
    options: dict[str, Any] = {"settings": {"training.epochs": 400}, "measure_noise": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_plan.Trial, "_estimated_run_s", lambda _: 7200.0)
        with pytest.raises(InputError, match="--budget must suffice for 1 training of about 2 h"):
            eyeshot.try_experiment("long", budget_s=3600.0, progress=False, **options)
    with pytest.raises(InputError, match="did not suffice to plan it"):
        eyeshot.try_experiment("long", budget_s=0.001, progress=False, **options)
    with open_ledger() as ledger:
        assert len(ledger.experiments()) == 1
    # What a few steps promised may be more than is needed; the budget counts all the same.
    plan = plan_of("long", **options)
    assert plan.run_s > 3
    begin = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_plan.Trial, "_estimated_run_s", lambda _: 0.1)
        stopped = eyeshot.try_experiment("long", budget_s=6.0, progress=False, **options)
    assert time.monotonic() - begin < 12  # loading is part of it; a step takes milliseconds
    assert (stopped.state, stopped.verdict) == ("stopped", None)
    assert "the same command continues" in stopped.words
    assert len(stopped.runs) == 1
    with pytest.MonkeyPatch.context() as patch:  # what is left is not trained here, only taken up
        taken: list[Any] = []
        patch.setattr(trying, "train_folder", lambda plan, **_: taken.append(plan.folder.name))
        patch.setattr(trying, "judge", lambda *_, **__: (None, None))
        done = eyeshot.try_experiment("long", budget_s=600.0, progress=False, **options)
    assert taken == list(stopped.runs)
    assert (done.id, done.state) == (stopped.id, "done")


def test_a_failure_is_kept_with_its_reason_and_raised(project, monkeypatch):
    from eyeshot.core import ModelError

    baseline()

    def fail(*_: Any, **__: Any) -> None:
        raise ModelError("the loss is not finite")

    with monkeypatch.context() as patch:
        patch.setattr("eyeshot.ledger.trials.trying.train_folder", fail)
        with pytest.raises(ModelError, match="not finite"):
            eyeshot.try_experiment("too fast", settings={"training.learning_rate": 100.0}, progress=False)
    with open_ledger() as ledger:
        failed = ledger.experiments()[-1]
    assert (failed.state, failed.words) == ("failed", "the loss is not finite")


def test_images_that_changed_since_the_parent_are_a_change_or_train_it_again(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    folder = tmp_path / "images"
    for label, grey in (("dark", 90), ("light", 150)):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(np.clip(random.normal(grey, 40, (32, 32, 3)), 0, 255).astype(np.uint8)).save(
                folder / label / f"{number}.png"
            )
    monkeypatch.chdir(tmp_path)
    eyeshot.init(folder, progress=False)
    first = baseline()
    validated = set(np.load(tmp_path / "eyeshot-out" / "runs" / first.runs[0] / "validation.npz")["ids"])
    gone, other, *_ = (path for path in sorted(folder.rglob("*.png")) if str(path.relative_to(folder)) not in validated)
    eyeshot.add_decision("drop", [other])
    plan = plan_of("without one image", settings={"data.decisions": "decisions.jsonl"})
    assert plan.difference["data.decided"] == (None, "1 of 24 images left out, 0 under another label (1 decision)")
    assert set(plan.difference) == {"data.decisions", "data.decided"}
    gone.unlink()
    plan = plan_of("one image less")
    assert set(plan.difference) == {"data.contents"}
    assert plan.trainings == (("own", 0, None),)
    both = plan_of("mirror", settings={"augmentation": "mirror"})
    assert any("the parent is trained again" in note for note in both.notes)
    assert ("parent", 0, None) in both.trainings


def test_more_decisions_than_the_parent_had_are_counted_in_the_difference(tmp_path, monkeypatch):
    write_bright_and_dark(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    eyeshot.init(tmp_path / "images", progress=False)
    files = sorted((tmp_path / "images").rglob("*.png"))
    eyeshot.add_decision("drop", [files[0]])
    baseline()
    eyeshot.add_decision("drop", [files[-1]])
    eyeshot.add_decision("relabel", [files[1]], label=files[-1].parent.name)
    plan = plan_of("better labels")
    assert set(plan.difference) == {"data.contents", "data.decided"}
    count = len(files)
    assert plan.difference["data.decided"] == (
        f"1 of {count} images left out, 0 under another label (1 decision)",
        f"2 of {count} images left out, 1 under another label (3 decisions)",
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"settings": ["training.optimiser=nadamw"]}, "Nearest: .*optimizer|optimizer"),
        ({"settings": ["optimizer=nadamw"]}, "Nearest: training.optimizer"),
        ({"settings": ["augmentation=mirorr"]}, "mirror"),
        ({"settings": ["data.fold=1"]}, "same validation images"),
        ({"settings": ["training.time_cap_s=5"]}, "--budget"),
        ({"settings": ["size=big"]}, "side in pixels"),
        ({"settings": ["size=-5"]}, "at least 1 pixel, got '-5'"),
        ({"settings": ["model="]}, "takes a timm tag .* got ''"),
        ({"settings": {"model": None}}, "takes a timm tag"),
        ({"tags": ["a,b"]}, "without a comma, got 'a,b'"),
        ({"settings": ["augmentation=mirror", "augmentation=invert"]}, "given twice"),
        ({"expect": "1.0 accuracy"}, "needs one direction"),
        ({"seeds": 0}, "from 1 to 50"),
        ({"seeds": 3, "until_clear_s": 60.0}, "Leave one of them out"),
        ({"parent": "nobody"}, "an experiment or a run, got 'nobody'"),
        ({"why": "  "}, "needs a reason"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_stated(project, options, says):
    with pytest.raises(InputError, match=says):
        eyeshot.try_experiment(**({"why": "an idea", "progress": False} | options))
    assert not (project / "eyeshot-out" / "ledger.sqlite").exists()


def baseline_and_change() -> None:
    eyeshot.try_experiment("baseline", settings=TINY, parent="none", progress=False)
    eyeshot.try_experiment("mirror", settings={"augmentation": "mirror"}, expect="up accuracy", seeds=2, progress=False)


def what_came(root: Path) -> list[dict[str, Any]]:
    """All that experiments say but times and ids; that each was stated and finished once is checked."""
    with open_ledger(root) as ledger:
        experiments = ledger.experiments()
        for experiment in experiments:
            events = [(event.kind, event.data.get("state")) for event in ledger.events(experiment.id)]
            assert (events.count(("stated", None)), events.count(("state", "done"))) == (1, 1)
    names = {experiment.id: experiment.why for experiment in experiments}
    trained = {run for experiment in experiments for run in (*experiment.runs, *experiment.parent_runs)}
    assert {file.parent.name for file in (root / "runs").glob("*/run.json")} == trained
    return [
        experiment.model_dump(include={"why", "state", "difference", "gain", "verdict", "seeds", "config", "words"})
        | {
            "parent": names.get(experiment.parent or ""),
            "expected": experiment.expected and experiment.expected.model_dump(exclude={"stated_at"}),
            "got": experiment.got and experiment.got.model_dump(exclude={"against", "seconds"}),
            "runs": (len(set(experiment.runs)), len(set(experiment.parent_runs))),
            "notes": [note["text"] for note in experiment.notes],
        }
        for experiment in experiments
    ]


@pytest.fixture(scope="module")
def uninterrupted(images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What comes of `baseline_and_change` where nothing is killed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        eyeshot.init(images, progress=False)
        baseline_and_change()
    came = what_came(folder / "eyeshot-out")
    assert [(one["why"], one["state"], one["runs"]) for one in came] == [
        ("baseline", "done", (1, 0)), ("mirror", "done", (2, 1)),
    ]  # fmt: skip
    return came


@pytest.mark.slow
def test_killed_between_writes_again_and_again_the_same_calls_end_as_if_nothing_had_been(project, uninterrupted):
    random, kills, finished = np.random.default_rng(2), 0, False
    while not finished:
        with killed_at(int(random.integers(1, 20))):
            try:
                baseline_and_change()
                finished = True
            except Killed:
                kills += 1
        assert kills < 100, "it goes on from where it was"
    assert kills > 5
    assert what_came(project / "eyeshot-out") == uninterrupted


KILLS = int(os.environ.get("EYESHOT_KILLS", "1"))
PROGRAM = """
import eyeshot
eyeshot.try_experiment("baseline", settings={tiny!r}, parent="none", progress=False)
eyeshot.try_experiment("mirror", settings={{"augmentation": "mirror"}}, expect="up accuracy", seeds=2, progress=False)
"""


@pytest.mark.slow
@pytest.mark.timeout(180 + 60 * KILLS)
def test_after_real_kills_every_experiment_is_finished_exactly_once(project, uninterrupted):
    """Each process is killed a moment after it has said something; the last one is left alone."""
    program, random = PROGRAM.format(tiny=TINY), np.random.default_rng(1)
    root, killed = project / "eyeshot-out", 0
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", program], cwd=project)
        before = said(root)
        while process.poll() is None and said(root) == before:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.5))
        process.kill()
        killed += process.wait(timeout=60) != 0
    assert killed >= min(KILLS, 2), "kills hit processes at work"
    process = subprocess.run([sys.executable, "-c", program], cwd=project, timeout=170, check=False)
    assert process.returncode == 0
    assert what_came(root) == uninterrupted


def said(root: Path) -> int:
    """Bytes of what all experiments have said."""
    return sum(file.stat().st_size for file in root.glob("experiments/*/events.jsonl"))


def test_a_parent_whose_answers_are_gone_is_refused_before_anything_is_trained(project):
    parent = eyeshot.try_experiment("baseline", settings=TINY, parent="none", progress=False)
    runs = project / "eyeshot-out" / "runs"
    (runs / parent.runs[0] / "validation.npz").unlink()
    before = sorted(runs.iterdir())
    for name in (parent.id, parent.runs[0]):
        with pytest.raises(InputError, match=r"validation.npz' is missing. Delete result.json"):
            eyeshot.try_experiment("mirror", settings={"augmentation": "mirror"}, parent=name, progress=False)
    assert sorted(runs.iterdir()) == before


def test_other_weights_and_a_start_from_scratch_keep_the_size_of_the_images(project):
    baseline()
    weights = str(project / "eyeshot-out" / "runs" / runs(project)[0] / "weights.safetensors")
    assert Path(weights).is_file()
    with_weights = eyeshot.try_experiment("weights", settings={"weights": weights}, measure_noise=False, progress=False)
    assert {"weights", "from_scratch"} <= set(with_weights.difference)
    assert "size" not in with_weights.difference
    scratch = plan_of(settings={"from_scratch": True}, parent=with_weights.id, measure_noise=False)
    assert set(scratch.difference) & {"size", "mean", "std", "interpolation", "fit"} == set()
    assert scratch.difference["from_scratch"] == (False, True)
