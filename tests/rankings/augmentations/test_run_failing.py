"""Devices without room, trainings that diverge and lost GPUs in the main job: what is told, and what goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_run import SETTINGS, World, run

from counted_clock import EVALUATE_S, STEP_S, counted_clock
from eyeshot.core.errors import ModelError
from eyeshot.data import DataConfig, Geometry
from eyeshot.models import feature_bank
from eyeshot.rankings import AugmentationRanking, prepare, rank_augmentations
from eyeshot.rankings.augmentations import evaluate, short_runs
from eyeshot.rankings.augmentations.settings import check_settings
from eyeshot.reports import write_ranking_page
from eyeshot.training import plan_training, train_folder

FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
LOST = "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be reported elsewhere"
DIVERGED = ModelError("Training diverged: the loss is nan.")
BUDGET_S = 16.0


def failing(name: str, error: Exception, *, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training with this candidate (`clean`: with none) fails."""
    usual = short_runs.CandidateTraining.__call__

    def train(training, trial, *arguments, **options):
        if trial.name == name:
            raise error
        return usual(training, trial, *arguments, **options)

    monkeypatch.setattr(short_runs.CandidateTraining, "__call__", train)


@pytest.mark.parametrize(
    ("error", "words"),
    [(FULL, "ran out of memory"), (DIVERGED, "loss is nan")],
)
def test_a_candidate_whose_training_fails_says_so_and_the_others_go_on(
    rerun: Callable[..., AugmentationRanking], monkeypatch, error: Exception, words: str
):
    failing("mirror", error, monkeypatch=monkeypatch)
    with counted_clock() as calls:
        result = rerun(budget_s=BUDGET_S)
    report = result.report
    mirror = report.candidate("mirror")
    assert words in mirror.run.ended
    assert any(words in reason for reason in mirror.reasons)
    assert mirror.run.log_loss_gain is None
    assert mirror.parts["validation"].value is None
    for name in ("invert", "edges", "mixup"):
        assert report.candidate(name).run.ended is None
        assert report.candidate(name).run.steps > 0
    assert report.order is not None
    monkeypatch.undo()
    before = len(calls)
    with counted_clock() as calls:
        again = rerun(budget_s=BUDGET_S).report
    assert before
    assert calls == []
    assert again.candidates == report.candidates
    assert again.budget == report.budget


@pytest.mark.parametrize("error", [FULL, DIVERGED])
def test_where_clean_training_fails_the_ranking_by_coverage_stands(
    rerun: Callable[..., AugmentationRanking], first: AugmentationRanking, monkeypatch, tmp_path: Path, error: Exception
):
    failing("clean", error, monkeypatch=monkeypatch)
    with counted_clock() as calls:
        result = rerun(budget_s=BUDGET_S)
    report = result.report
    assert calls.count("evaluate") == 0
    assert any("Short runs ended, because clean training failed" in note for note in report.notes)
    assert any("ranking by coverage stands" in note for note in report.notes)
    assert report.order is None
    assert report.candidates == first.report.candidates
    assert report.advice == first.report.advice
    write_ranking_page(result, tmp_path / "augmentations.html")
    assert "clean training failed" in (tmp_path / "augmentations.html").read_text("utf-8")


def test_a_lost_gpu_in_short_runs_is_no_matter_of_one_candidate(rerun: Callable[..., AugmentationRanking], monkeypatch):
    failing("mirror", RuntimeError(LOST), monkeypatch=monkeypatch)
    with counted_clock(), pytest.raises(ModelError, match="The GPU stopped answering"):
        rerun(budget_s=BUDGET_S)
    monkeypatch.undo()
    with counted_clock():
        report = rerun(budget_s=BUDGET_S).report
    assert report.candidate("mirror").run.ended is None


def test_a_lost_gpu_is_reported_by_the_ranking_and_by_train_and_what_was_computed_is_kept(
    world: World, first: AugmentationRanking, tmp_path: Path, monkeypatch
):
    usual, calls = feature_bank.extract, []

    def dying(*arguments, **options):
        calls.append(1)
        if len(calls) == 6:
            raise getattr(torch, "AcceleratorError", RuntimeError)(LOST)
        return usual(*arguments, **options)

    monkeypatch.setattr(feature_bank, "extract", dying)
    with pytest.raises(ModelError, match=r"stopped answering \(CUDA error: an illegal memory access was encountered\)"):
        run(world, tmp_path)
    before = len(calls)
    whole = run(world, tmp_path)
    assert before == 6
    assert whole.report.candidates == first.report.candidates
    settings = {"model": SETTINGS["model"], "from_scratch": True, "size": 32}
    plan = plan_training(DataConfig(train=world.train), **settings, out=tmp_path / "run")

    def broken(*arguments, **options):
        raise RuntimeError(LOST)

    monkeypatch.setattr("eyeshot.training.folders.train", broken)
    with pytest.raises(ModelError, match="run the same command again, or --device cpu"):
        train_folder(plan)


def test_features_in_smaller_batches_are_reported_in_a_note(
    world: World, first: AugmentationRanking, tmp_path: Path, monkeypatch
):
    usual = feature_bank.extract

    def narrow(*arguments, batch_size: int, **options):
        if batch_size > 16:
            raise FULL
        return usual(*arguments, batch_size=batch_size, **options)

    monkeypatch.setattr(feature_bank, "extract", narrow)
    report = run(world, tmp_path).report
    assert "features: batches of 16, because cpu has no room for more." in report.notes
    assert not any("no room" in note for note in first.report.notes)
    assert [candidate.name for candidate in report.of("ranked")] == [
        candidate.name for candidate in first.report.of("ranked")
    ]


def test_evaluations_are_in_the_batches_that_features_fitted_in(
    rerun: Callable[..., AugmentationRanking], world: World, tmp_path: Path, monkeypatch
):
    usual, sizes = feature_bank.extract, []

    def narrow(*arguments, batch_size: int, **options):
        if batch_size > 16:
            raise FULL
        return usual(*arguments, batch_size=batch_size, **options)

    evaluate_state = short_runs.evaluate_state

    def evaluating(evaluator, *arguments, **options):
        sizes.append(evaluator.batch_size)
        return evaluate_state(evaluator, *arguments, **options)

    monkeypatch.setattr(feature_bank, "extract", narrow)
    monkeypatch.setattr(short_runs, "evaluate_state", evaluating)
    with counted_clock():
        run(world, tmp_path / "new", budget_s=BUDGET_S)
    assert set(sizes) == {16}


def test_steps_in_smaller_batches_are_reported_in_a_note(world: World, tmp_path: Path, monkeypatch):
    usual, sizes = evaluate.TrainingRun, []

    def narrow(*arguments, config, **options):
        sizes.append(config.batch_size)
        if config.batch_size > 12:
            raise FULL
        return usual(*arguments, config=config, **options)

    monkeypatch.setattr(evaluate, "TrainingRun", narrow)
    settings = check_settings(**(SETTINGS | {"test": world.test, "budget_s": 900.0}))
    plan = prepare(world.train, settings, cache=tmp_path)
    # On a CPU batches of 16 are timed in the place of larger ones.
    assert max(sizes) == 16
    assert plan.run_settings.batch_size == 8
    assert "short runs: batches of 8, because cpu has no room for more." in plan.notes


def test_no_room_for_two_images_is_reported_before_the_long_work(world: World, tmp_path: Path, monkeypatch):
    def full(*arguments, **options):
        raise FULL

    monkeypatch.setattr(evaluate, "TrainingRun", full)
    with pytest.raises(ModelError, match="must have memory for 2 images at once"):
        rank_augmentations(world.train, cache=tmp_path, **(SETTINGS | {"test": world.test, "budget_s": 900.0}))
    # Only the small pictures that duplicates are looked for in.
    assert [folder.name for folder in (tmp_path / "pixels").iterdir()] == [Geometry(64).fingerprint]


def test_where_no_candidate_keeps_labels_nothing_is_trained(rerun: Callable[..., AugmentationRanking], tmp_path: Path):
    (tmp_path / "black.py").write_text("def black(image):\n    return image * 0\n", encoding="utf-8")
    with counted_clock() as calls:
        report = rerun(candidates=(f"{tmp_path / 'black.py'}:black",), budget_s=BUDGET_S).report
    assert "custom" in [candidate.family for candidate in report.of("label-breaking")]
    assert report.of("ranked") == report.of("regulariser") == []
    assert calls == []
    assert report.order is None
    assert "Short runs: no candidate is left that keeps labels." in report.notes


def test_a_budget_buys_steps_by_their_costs(rerun: Callable[..., AugmentationRanking]):
    """A check of the clock that these tests use: steps and evaluations sum up to the seconds used."""
    with counted_clock() as calls:
        report = rerun(budget_s=BUDGET_S).report
    evaluations = calls.count("evaluate")
    assert report.budget.used_s == pytest.approx(STEP_S * report.budget.steps + EVALUATE_S * evaluations)
