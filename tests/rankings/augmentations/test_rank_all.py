"""Short runs and the ranking of all on the small run: real training, on a clock that counts steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counted_clock import counted_clock
from small_run import SETTINGS, World, few_epochs

from eyeshot.augment import Augmentation, augmentation
from eyeshot.core import SILENT
from eyeshot.models import FeatureBank
from eyeshot.rankings import AugmentationRanking
from eyeshot.rankings.augmentations.candidates import Judged, judge
from eyeshot.rankings.augmentations.data import Data, decode_tables
from eyeshot.rankings.augmentations.measure import Bench, Measured, measure
from eyeshot.rankings.augmentations.plan import Plan, prepare
from eyeshot.rankings.augmentations.rank_all import Ranker, make_ranker, rank_all
from eyeshot.rankings.augmentations.report import Shift
from eyeshot.rankings.augmentations.set_up import set_up, trained_backbone
from eyeshot.rankings.augmentations.settings import check_settings
from eyeshot.rankings.augmentations.short_runs import spend_budget
from eyeshot.sweep import NO_TURN, Costs, SweepResult, Trial

Spend = Callable[..., Any]
STEP_S, EVALUATE_S, BUDGET_S = 0.2, 0.5, 60.0
SHIFT = Shift(
    target_coverage=0.2, held_out_coverage=1.0, ratio=0.2, target_reached=0.1, held_out_reached=0.5, weight=0.8,
    domain_auc=None, count=40, words="A shift.",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Table:
    """All that a budget is spent on."""

    plan: Plan
    data: Data
    bench: Bench
    measured: list[Measured]
    judged: Judged

    def ranker(self, *, head_stage: bool = False, shift: Shift = SHIFT) -> Ranker:
        return make_ranker(
            self.measured, self.judged, self.bench.head,
            shift=shift, target_is_validation=False, head_stage=head_stage, seed=0,
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
    bench = set_up(plan, data, FeatureBank(cache, backbone), head, SILENT)
    measured = [measure(bench, one) for one in plan.candidates]
    judged = judge(measured, bench.head, classes=data.classes, model=backbone.name)
    return Table(plan, data, bench, measured, judged)


@pytest.fixture(scope="module")
def spend() -> Spend:
    """Spends a budget on a clock that counts steps and evaluations, so that it buys the same everywhere."""

    def spent(table: Table, ranker: Ranker):
        with counted_clock(step_s=STEP_S, evaluate_s=EVALUATE_S):
            return spend_budget(
                table.plan, table.data, table.bench, table.judged, ranker, budget_s=BUDGET_S, progress=SILENT
            )

    return spent


@pytest.fixture(scope="module")
def outcome(world: World, spend: Spend, tmp_path_factory: pytest.TempPathFactory):
    """The small run, its candidates twice under other names, and two that do nothing."""
    more = [named("rotate-one", like="rotate-15"), named("rotate-two", like="rotate-15")]
    more += [named("nothing", like="clean"), named("noise", like="no-op")]
    table = lay(world, tmp_path_factory.mktemp("cache"), *more, sample=90)
    ranker = table.ranker()
    short, budget, notes = spend(table, ranker)
    return (*rank_all(table.judged, ranker, short), budget, notes)


def named(name: str, *, like: str) -> Augmentation:
    found = augmentation(like)
    return replace(found, name=name, family="colour" if found.family == "control" else found.family)


def test_the_cure_is_first_and_nothing_ties_with_clean(outcome):
    judged, order, budget, notes = outcome
    found = {one.name: one for one in judged.candidates}
    ranked = [one for one in judged.candidates if one.role == "ranked"]
    assert ranked[0].name == "invert"
    assert judged.clear
    assert [one.rank for one in ranked] == list(range(1, len(ranked) + 1))
    # A run with an operation that does nothing is the clean run, number for number.
    assert found["nothing"].run.log_loss_gain == 0
    assert found["nothing"].run.cover_after_run_gain == 0
    assert found["nothing"].combined == pytest.approx(0, abs=1e-9)
    for name in ("nothing", "noise", "no-op"):
        assert found[name].tie_group == found["clean"].tie_group
    assert order.weight == 0.8
    assert set(order.by_cover) == set(order.by_validation) == {one.name for one in ranked}
    assert order.by_cover[0] == "invert"
    assert budget.used_s <= BUDGET_S
    assert not notes


def test_one_operation_under_two_names_ties(outcome):
    found = {one.name: one for one in outcome[0].candidates}
    one, two = found["rotate-one"], found["rotate-two"]
    assert one.tie_group == two.tie_group
    assert one.combined_interval[0] <= two.combined_interval[1]
    assert two.combined_interval[0] <= one.combined_interval[1]


def test_combined_is_the_weighted_sum_of_what_cover_json_holds(outcome):
    judged, order, _, _ = outcome
    for one in judged.candidates:
        if one.role == "ranked":
            parts = {name: part.standardised for name, part in one.parts.items()}
            cover = parts["reach"]
            if one.parts["cover_after_run"].value is not None:
                cover = max(cover, parts["cover_after_run"])
            assert one.combined == pytest.approx(0.8 * cover + 0.2 * parts["validation"])
            assert one.parts["reach"].value == pytest.approx(one.score)
            assert one.parts["cover_after_run"].value == pytest.approx(one.run.cover_after_run_gain)
            assert abs(one.parts["validation"].value) <= 1
            assert parts["reach"] == pytest.approx(one.parts["reach"].value / order.spreads["reach"])
        elif one.role == "harder":
            assert set(one.parts) == {"validation", "hidden"}
            assert one.parts["hidden"].value == pytest.approx(one.run.hidden_gain)
            assert 0 <= one.run.hidden_before <= 1
        elif one.name == "shuffled-pixels":
            assert one.run is None
            assert one.combined is None


def test_training_on_shuffled_labels_shows_no_skill(world: World, tmp_path: Path, spend):
    """No candidate's validation beats clean beyond noise where there is nothing to learn."""
    table = lay(
        world, tmp_path, shuffled=True, candidates=("mirror", "grey", "invert", "rotate-15", "*-blur", "jitter")
    )
    ranker = table.ranker(shift=SHIFT.model_copy(update={"weight": 0.0}))
    short, _, _ = spend(table, ranker)
    judged, _ = rank_all(table.judged, ranker, short)
    runs = [one.run for one in judged.candidates if one.run is not None]
    assert len(runs) >= 4
    chance = 1 / len(table.data.classes)
    assert np.mean([run.accuracy for run in runs]) == pytest.approx(chance, abs=0.15)
    assert np.mean([abs(run.accuracy_gain) for run in runs]) < 0.1


def test_pretrained_weights_get_a_head_stage_and_only_the_better_ones_the_network(world: World, tmp_path: Path, spend):
    table = lay(world, tmp_path, candidates=("colour", "mixing"))
    ranker = table.ranker(head_stage=True)
    short, budget, notes = spend(table, ranker)
    assert budget.rounds[0].stage == "head"
    everyone = budget.rounds[0].candidates
    trained = budget.rounds[1].candidates
    assert 8 <= trained < everyone
    assert f"{trained} of {everyone} candidates" in notes[0]
    judged, _ = rank_all(table.judged, ranker, short)
    stages = {one.name: one.run.stage for one in judged.candidates if one.run is not None}
    assert sum(stage == "network" for stage in stages.values()) == trained
    for one in judged.candidates:
        if one.role == "ranked":
            parts = {name: part.standardised for name, part in one.parts.items() if part.value is not None}
            assert {"reach", "head"} <= set(parts)
            cover = max(parts["reach"], parts.get("cover_after_run", parts["reach"]))
            # A network that few steps have set back does not take what the head has shown.
            assert one.combined == pytest.approx(
                ranker.weight * cover + (1 - ranker.weight) * max(parts["head"], parts.get("validation", parts["head"]))
            )
    head_only = [one for one in judged.candidates if one.run is not None and one.run.stage == "head"]
    assert all(one.run.log_loss_gain is not None for one in head_only)
    assert all(one.parts["cover_after_run"].value is None for one in head_only if one.role == "ranked")
    assert all(one.parts["cover_after_run"].standardised == 0 for one in head_only if one.role == "ranked")


def test_gains_on_top_of_a_base_are_zero_for_doing_nothing_more(world: World, tmp_path: Path, spend):
    table = lay(world, tmp_path, named("nothing", like="clean"), base="rotate-15")
    ranker = table.ranker()
    short, _, _ = spend(table, ranker)
    judged, _ = rank_all(table.judged, ranker, short)
    found = next(one for one in judged.candidates if one.name == "nothing")
    assert found.score == pytest.approx(0, abs=1e-9)
    assert found.run.log_loss_gain == 0
    assert found.run.cover_after_run_gain == 0


def test_without_a_turn_there_is_no_place_by_validation_nor_among_the_harder(world: World, tmp_path: Path):
    """The budget was over before anyone's turn: reach alone is known."""
    table = lay(world, tmp_path)
    nobody = SweepResult({one.name: Trial(one.name, one.name, ended=NO_TURN) for one in table.judged.candidates})
    judged, order = rank_all(table.judged, table.ranker(), nobody)
    harder = [one for one in judged.candidates if one.role == "harder"]
    assert harder
    for one in harder:
        assert (one.rank, one.combined, one.combined_interval) == (None, None, None)
        assert one.run.ended == NO_TURN
        assert any(NO_TURN in why for why in one.reasons)
    ranked = [one for one in judged.candidates if one.role == "ranked"]
    assert ranked[0].name == "invert"
    assert all(one.parts["validation"].rank is None for one in ranked)
    assert order.agreement is None


def test_a_frame_holds_the_ranking_of_all(outcome, first: AugmentationRanking):
    judged = outcome[0]
    shown = replace(first, report=first.report.model_copy(update={"candidates": judged.candidates}))
    rows = {row["name"]: row for row in shown.to_frame().to_dicts()}
    best = next(one for one in judged.candidates if one.name == "invert")
    assert rows["invert"]["combined"] == best.combined
    assert (rows["invert"]["combined_low"], rows["invert"]["combined_high"]) == best.combined_interval
    assert rows["shuffled-pixels"]["combined"] is None
    assert f"<td>{best.combined:+.2f}</td>" in shown._repr_html_()
