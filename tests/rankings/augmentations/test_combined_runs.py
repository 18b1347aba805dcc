"""Short runs and the ranking of all on the small run: real training, on a clock that counts steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import SETTINGS, World, few_epochs

from counted_clock import counted_clock
from eyeshot.augment import Augmentation, augmentation
from eyeshot.core import SILENT
from eyeshot.models import FeatureBank
from eyeshot.rankings import AugmentationRanking
from eyeshot.rankings.augmentations.combined import (
    Scoreboard,
    make_scoreboard,
    rank_combined,
    shares_notes,
    weights_of_runs,
)
from eyeshot.rankings.augmentations.context import EvalContext, make_context, trained_backbone
from eyeshot.rankings.augmentations.data import Data, decode_tables
from eyeshot.rankings.augmentations.plan import Plan, prepare
from eyeshot.rankings.augmentations.ranking import rank_by_coverage
from eyeshot.rankings.augmentations.report import Candidate, RankedBy, Shift
from eyeshot.rankings.augmentations.scores import AugmentationScores, measure, unranked_records
from eyeshot.rankings.augmentations.settings import check_settings
from eyeshot.rankings.augmentations.short_runs import spend_budget
from eyeshot.sweep import NO_TURN, Costs, SweepResult, Trial

Spend = Callable[..., Any]
STEP_S, EVALUATE_S, BUDGET_S = 0.2, 0.5, 60.0
SHIFT = Shift(
    target_coverage=0.2, held_out_coverage=1.0, ratio=0.2, target_consistent=0.1, held_out_consistent=0.5, weight=0.8,
    domain_auc=None, count=40, words="A shift.",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Table:
    """All that a budget is spent on."""

    plan: Plan
    data: Data
    context: EvalContext
    measured: list[AugmentationScores]
    candidates: list[Candidate]
    ranked_by: RankedBy

    def board(self, *, probe_stage: bool = False, shift: Shift = SHIFT) -> Scoreboard:
        return make_scoreboard(
            self.measured, self.context.probe,
            ranked_by=self.ranked_by, shift=shift, target_is_validation=False, probe_stage=probe_stage,
            target_halves=self.context.halves.target, class_shares=self.plan.class_shares, seed=0,
        )  # fmt: skip


def lay(world: World, cache: Path, *more, shuffled: bool = False, **changes) -> Table:
    # An hour: this machine is timed here, and a busy one would refuse a minute. What is spent goes by the clock below.
    settings = check_settings(**(SETTINGS | {"test": world.test, "budget_s": 3600.0} | changes))
    plan = prepare(world.train, settings, cache=cache)
    plan = replace(plan, costs=Costs(STEP_S, EVALUATE_S), candidates=(*plan.candidates, *more))
    data = decode_tables(plan.tables, plan.backbone.geometry, settings, cache=cache)
    if shuffled:
        random = np.random.default_rng(5)
        parts = {
            name: replace(part, labels=random.permutation(part.labels))
            for name in ("sources", "more", "baseline")
            if (part := getattr(data, name)) is not None and len(part)
        }
        data = replace(data, **parts)
    with few_epochs():
        backbone, head, _, _ = trained_backbone(plan, data, SILENT, "")
    context = make_context(plan, data, FeatureBank(cache, backbone), head, SILENT)
    measured = [measure(context, one) for one in plan.candidates]
    records = unranked_records(measured, context.probe, classes=data.classes, model=backbone.name)
    ranking = rank_by_coverage(records, measured, context.probe, classes=data.classes, at_chance=False)
    return Table(plan, data, context, measured, *ranking)


@pytest.fixture(scope="module")
def spend() -> Spend:
    """Spends a budget on a clock that counts steps and evaluations, so that it buys the same everywhere."""

    def spent(table: Table, board: Scoreboard):
        with counted_clock(step_s=STEP_S, evaluate_s=EVALUATE_S):
            return spend_budget(
                table.plan, table.data, table.context, table.candidates, board, budget_s=BUDGET_S, progress=SILENT
            )

    return spent


@pytest.fixture(scope="module")
def outcome(world: World, spend: Spend, tmp_path_factory: pytest.TempPathFactory):
    """The small run, its candidates twice under other names, and two that do nothing."""
    more = [named("rotate-one", like="rotate-15"), named("rotate-two", like="rotate-15")]
    more += [named("nothing", like="clean"), named("noise", like="no-op")]
    table = lay(world, tmp_path_factory.mktemp("cache"), *more, max_images=90)
    board = table.board()
    short, budget, notes = spend(table, board)
    return (*rank_combined(table.candidates, board, short), budget, notes)


def named(name: str, *, like: str) -> Augmentation:
    found = augmentation(like)
    return replace(found, name=name, family="colour" if found.family == "control" else found.family)


def test_the_cure_is_first_and_nothing_ties_with_clean(outcome):
    candidates, order, budget, notes = outcome
    found = {one.name: one for one in candidates}
    ranked = [one for one in candidates if one.role == "ranked"]
    assert ranked[0].name == "invert"
    assert ranked[0].beats_clean
    assert [one.rank for one in ranked] == list(range(1, len(ranked) + 1))
    # A run with an operation that does nothing is the clean run, number for number.
    assert found["nothing"].run.log_loss_gain == 0
    assert found["nothing"].run.post_training_coverage_gain == 0
    assert found["nothing"].run.target_accuracy_gain == 0
    assert found["nothing"].run.target_accuracy_gain_interval == (0, 0)
    assert found["nothing"].combined == pytest.approx(0, abs=1e-9)
    for name in ("nothing", "noise", "no-op"):
        assert found[name].group == found["clean"].group
    assert order.weight == 0.8
    assert set(order.by_target) == set(order.by_validation) == {one.name for one in ranked}
    assert order.by_target[0] == "invert"
    assert budget.used_s <= BUDGET_S
    assert not notes


def test_one_operation_under_two_names_ties(outcome):
    found = {one.name: one for one in outcome[0]}
    one, two = found["rotate-one"], found["rotate-two"]
    assert one.group == two.group
    # Both draw the same samples, so that noise can't put the border of two groups between them.
    assert one.combined == two.combined
    assert one.combined_interval[0] <= two.combined_interval[1]
    assert two.combined_interval[0] <= one.combined_interval[1]


def test_combined_is_the_weighted_sum_of_what_cover_json_holds(outcome):
    candidates, order, _, _ = outcome
    for one in candidates:
        if one.role == "ranked":
            parts = {name: part.standardised for name, part in one.parts.items()}
            shares = weights_of_runs(0.8)
            assert one.combined == pytest.approx(sum(share * parts[name] for name, share in shares.items()))
            assert one.parts["coverage_gain"].value == pytest.approx(one.score)
            assert one.parts["target_accuracy"].value == pytest.approx(one.run.target_accuracy_gain)
            low, high = one.run.target_accuracy_interval
            assert 0 <= low <= one.run.target_accuracy <= high <= 1
            assert abs(one.parts["validation"].value) <= 1
            assert parts["coverage_gain"] == pytest.approx(
                one.parts["coverage_gain"].value / order.units["coverage_gain"]
            )
        elif one.role == "regulariser":
            assert set(one.parts) == {"validation", "half_masked"}
            assert one.parts["half_masked"].value == pytest.approx(one.run.half_masked_gain)
            assert 0 <= one.run.half_masked_before <= 1
        elif one.name == "shuffled-pixels":
            assert one.run is None
            assert one.combined is None


def test_the_assumed_shares_are_said_and_wrong_ones_are_warned_of(world: World, tmp_path: Path, spend):
    # The target is the training's own kind here, so that clean training knows it.
    table = lay(world, tmp_path, test=None, candidates=("mirror", "grey"))
    board = table.board()
    short, _, _ = spend(table, board)
    (said,) = shares_notes(short, board, words=table.plan.shares_words)
    assert said == (
        "Estimated accuracy on the target assumes that classes occur there as often as among the training images "
        "(--target-shares)."
    )
    wrong = replace(board, class_shares=np.array([0.85, 0.05, 0.05, 0.05]), _estimates={})
    _, warning = shares_notes(short, wrong, words="as often as shares.csv says")
    assert warning.startswith("Clean training: If the assumed class shares hold, at least ")
    known = {trial.name: trial.reference[0] for trial in short.trials.values() if trial.evaluations}
    for evaluation in known.values():
        right, wrongly = board.target_accuracy(evaluation)[0], wrong.target_accuracy(evaluation)[0]
        assert right == pytest.approx(evaluation.right.mean(), abs=0.15)
        assert wrongly < right - 0.2


def test_training_on_shuffled_labels_shows_no_skill(world: World, tmp_path: Path, spend):
    """No candidate's validation beats clean beyond noise where there is nothing to learn."""
    table = lay(
        world, tmp_path, shuffled=True, candidates=("mirror", "grey", "invert", "rotate-15", "*-blur", "jitter")
    )
    # Validation alone ranks, as where the target is the validation images.
    board = replace(table.board(shift=SHIFT.model_copy(update={"weight": 0.0})), target_is_validation=True)
    short, _, _ = spend(table, board)
    candidates, _ = rank_combined(table.candidates, board, short)
    runs = [one.run for one in candidates if one.run is not None]
    assert len(runs) >= 4
    chance = 1 / len(table.data.classes)
    # Without skill the estimate says chance, however sure or even the predictions are.
    assert np.mean([run.target_accuracy for run in runs]) == pytest.approx(chance, abs=0.15)
    assert np.mean([run.accuracy for run in runs]) == pytest.approx(chance, abs=0.15)
    assert np.mean([abs(run.accuracy_gain) for run in runs]) < 0.1
    _, warning = shares_notes(short, board, words=table.plan.shares_words)
    assert warning.startswith("Clean training: On the validation images the run (")
    assert warning.endswith("so the estimate means nothing.")


def test_pretrained_weights_get_a_head_stage_and_only_the_better_ones_the_network(world: World, tmp_path: Path, spend):
    table = lay(world, tmp_path, candidates=("colour", "mixing"))
    board = table.board(probe_stage=True)
    short, budget, notes = spend(table, board)
    assert budget.rungs[0].stage == "probe"
    everyone = budget.rungs[0].candidates
    trained = budget.rungs[1].candidates
    assert 8 <= trained < everyone
    assert f"{trained} of {everyone} candidates" in notes[0]
    candidates, _ = rank_combined(table.candidates, board, short)
    stages = {one.name: one.run.stage for one in candidates if one.run is not None}
    assert sum(stage == "network" for stage in stages.values()) == trained
    for one in candidates:
        if one.role == "ranked":
            parts = {name: part.standardised for name, part in one.parts.items() if part.value is not None}
            assert {"coverage_gain", "probe_validation"} <= set(parts)
            shares = weights_of_runs(board.weight)
            # Where only a probe was trained, nothing is estimated, and coverage gain alone counts.
            assert one.combined == pytest.approx(sum(share * parts.get(part, 0) for part, share in shares.items()))
    head_only = [one for one in candidates if one.run is not None and one.run.stage == "probe"]
    assert all(one.run.log_loss_gain is not None for one in head_only)
    assert all(one.parts["target_accuracy"].value is None for one in head_only if one.role == "ranked")
    assert all(one.parts["target_accuracy"].standardised == 0 for one in head_only if one.role == "ranked")


def test_gains_on_top_of_a_base_are_zero_for_doing_nothing_more(world: World, tmp_path: Path, spend):
    table = lay(world, tmp_path, named("nothing", like="clean"), baseline_aug="rotate-15")
    board = table.board()
    short, _, _ = spend(table, board)
    candidates, _ = rank_combined(table.candidates, board, short)
    found = next(one for one in candidates if one.name == "nothing")
    assert found.score == pytest.approx(0, abs=1e-9)
    assert found.run.log_loss_gain == 0
    assert found.run.post_training_coverage_gain == 0


def test_without_a_turn_there_is_no_place_by_validation_nor_among_regularisers(world: World, tmp_path: Path):
    """The budget was over before anyone's turn: coverage gain alone is known."""
    table = lay(world, tmp_path)
    nobody = SweepResult({one.name: Trial(one.name, one.name, ended=NO_TURN) for one in table.candidates})
    candidates, order = rank_combined(table.candidates, table.board(), nobody)
    regularisers = [one for one in candidates if one.role == "regulariser"]
    assert regularisers
    for one in regularisers:
        assert (one.rank, one.combined, one.combined_interval) == (None, None, None)
        assert one.run.ended == NO_TURN
        assert any(NO_TURN in why for why in one.reasons)
    ranked = [one for one in candidates if one.role == "ranked"]
    assert ranked[0].name == "invert"
    assert all(one.parts["validation"].rank is None for one in ranked)
    assert order.agreement is None


def test_a_frame_holds_the_ranking_of_all(outcome, first: AugmentationRanking):
    candidates = outcome[0]
    shown = replace(first, report=first.report.model_copy(update={"candidates": candidates}))
    rows = {row["name"]: row for row in shown.to_frame().to_dicts()}
    best = next(one for one in candidates if one.name == "invert")
    assert rows["invert"]["combined"] == best.combined
    assert (rows["invert"]["combined_low"], rows["invert"]["combined_high"]) == best.combined_interval
    assert rows["shuffled-pixels"]["combined"] is None
    assert f"<td>{best.combined:+.2f}</td>" in shown._repr_html_()
