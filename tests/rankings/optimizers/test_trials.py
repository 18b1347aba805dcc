"""Plans of trials, learning rates, recipes and verdicts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up_ranking import COUNT, rate, trained

from eyeshot.core import InputError
from eyeshot.predictions import holm
from eyeshot.rankings.optimizers.trials import (
    TrialPlan,
    Trials,
    assumed_steps,
    best_rate,
    plan_trials,
    rate_grid,
    training_seconds,
    trial_settings,
)
from eyeshot.rankings.optimizers.verdict import conclude, judge
from eyeshot.training import OPTIMIZERS, TrainConfig

BASE = TrainConfig(epochs=20, learning_rate=1e-3, batch_size=10, weight_decay=0.05)
NAMES = ("adamw", "sgd", "nadamw", "radamw")
COUNTS = (100, 50, 80, 20)
PLAN: Any = SimpleNamespace(settings=BASE, backbone=SimpleNamespace(pretrained=False))


def plan(budget_s: float, *, seeds: int = 3, names: tuple[str, ...] = NAMES) -> TrialPlan:
    return plan_trials(
        PLAN, names, counts=COUNTS, step_s=assumed_steps(0.1, names), before_s=0.0, budget_s=budget_s, seeds=seeds,
        rates=3,
    )  # fmt: skip


def test_rates_lie_around_what_is_usual_for_the_optimizer() -> None:
    assert rate_grid("adamw", 1e-3, 3) == pytest.approx([1e-3 / 3, 1e-3, 3e-3], rel=0.01)
    assert rate_grid("sgd", 1e-3, 3)[1] == pytest.approx(0.1)
    assert rate_grid("lion", 1e-3, 1) == pytest.approx([2e-4])
    assert rate_grid("prodigy", 1e-3, 3)[1] == 1.0
    assert rate_grid("sgd", 1e-2, 3)[1] == OPTIMIZERS["sgd"].highest_rate < 1.0
    for name in OPTIMIZERS:
        assert sorted(rate_grid(name, 1e-3, 5)) == rate_grid(name, 1e-3, 5)


@pytest.mark.parametrize(("name", "decay"), [("sgd", 5e-4), ("lamb", 0.02), ("lion", 0.25), ("nadamw", 0.05)])
def test_weight_decay_pulls_as_adamws_does_and_has_the_customary_values(name: str, decay: float) -> None:
    settings = trial_settings(BASE, name, 0.1, epochs=5, seed=7)
    assert settings.weight_decay == pytest.approx(decay)
    assert (settings.optimizer, settings.learning_rate, settings.epochs, settings.seed) == (name, 0.1, 5, 7)


def test_a_recipe_stays_valid_whatever_the_optimizer() -> None:
    base = BASE.model_copy(update={"momentum": 0.8, "optimizer": "sgd", "freeze": "head-first", "head_epochs": 9})
    for name in OPTIMIZERS:
        settings = trial_settings(base, name, 1e-3, epochs=4, seed=0)
        assert TrainConfig.model_validate(settings.model_dump()) == settings


def test_only_an_optimizer_with_its_own_schedule_changes_it() -> None:
    assert trial_settings(BASE, "schedulefree-adamw", 1e-3, epochs=5, seed=0).schedule == "constant"
    assert trial_settings(BASE, "sgd", 1e-3, epochs=5, seed=0).schedule == "cosine"


def test_a_large_budget_trains_the_whole_recipe_and_a_smaller_one_fewer_epochs_then_seeds() -> None:
    large, middle = plan(10_000), plan(300)
    assert (large.epochs, large.seeds) == (20, 3)
    assert large.seconds <= 10_000
    assert "all epochs" in large.words
    assert 3 <= middle.epochs < 20
    assert middle.seconds <= 300
    assert "the order may be another in longer trainings" in middle.words
    fewest = plan(3 / middle.epochs * middle.seconds * 0.99)
    assert (fewest.epochs, fewest.seeds) == (3, 2)


def test_a_budget_for_less_is_refused_with_what_would_do() -> None:
    with pytest.raises(InputError, match=r"--budget must hold 4 optimizers .* got 20 s. Give --budget \dm") as caught:
        plan(20)
    minutes = int(str(caught.value).split("Give --budget ")[1].split("m")[0])
    assert plan(60 * minutes).epochs >= 3


def test_the_estimate_counts_steps_and_forward_passes() -> None:
    seconds = training_seconds(0.3, read_step_s=0.3, epochs=2, batch_size=10, n_train=100, n_val=50, pretrained=False)
    assert seconds == pytest.approx(2 * (10 * 0.3 + 50 * 0.01) + 50 * 0.01)
    assert assumed_steps(0.1, ["sam-sgd", "sgd"]) == {"adamw": 0.1, "sam-sgd": 0.2, "sgd": 0.1}


def test_the_best_rate_has_the_highest_accuracy_then_the_lowest_loss() -> None:
    assert best_rate([rate(1, 30), rate(2, 33), rate(3, 31)]) == 1
    assert best_rate([rate(1, 33, log_loss=0.6), rate(2, 33, log_loss=0.4)]) == 1
    assert best_rate([rate(1, 10), rate(2, None)]) == 0
    assert best_rate([rate(1, None)]) is None


def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: float, *, budget_s: float = 1e9) -> Trials:
    """Trials that train nothing: accuracy falls with the distance from the rate `best`."""
    made = TrialPlan(3, 2, 3, assumed_steps(0.1, NAMES), 1.0, "")
    images: Any = SimpleNamespace(
        train_rows=range(100), val_rows=range(50), inner_rows=range(80), inner_val_rows=range(20)
    )
    trials = Trials(PLAN, images, made, tmp_path, budget_s=budget_s, command="")
    asked: list[float] = []

    def try_rate(name: str, learning_rate: float, step: Any) -> Any:
        asked.append(learning_rate)
        far = abs(learning_rate - best) / best
        return rate(learning_rate, max(0, 40 - round(10 * far)))

    monkeypatch.setattr(trials, "_try_rate", try_rate)
    return trials


def test_beyond_the_end_of_the_grid_more_rates_are_tried_while_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = answering(tmp_path, monkeypatch, 3.7e-5)._choose_rate(["adamw"], 0, lambda _: None)  # type: ignore[arg-type,return-value]
    assert len(far.rates) == 5
    assert far.learning_rate == pytest.approx(3.7e-5)
    inside = answering(tmp_path, monkeypatch, 1e-3)._choose_rate(["adamw"], 0, lambda _: None)  # type: ignore[arg-type,return-value]
    assert len(inside.rates) == 3
    hurried = answering(tmp_path, monkeypatch, 3.7e-5, budget_s=1)._choose_rate(["adamw"], 0, lambda _: None)  # type: ignore[arg-type,return-value]
    assert len(hurried.rates) == 3


def test_a_planted_difference_is_found_and_equal_ones_cannot_be_told_apart() -> None:
    trials = [
        trained("adamw", [0.70, 0.71, 0.70], seed=0),
        trained("sgd", [0.85, 0.86, 0.85], base=0.1, seed=1),
        trained("nadamw", [0.70, 0.71, 0.71], seed=2),
        trained("lion", [0.50, 0.49, 0.50], base=2e-4, seed=3),
    ]
    tried, notes = judge(trials, BASE, COUNT)
    verdicts = {each.optimizer: each.difference.verdict for each in tried if each.difference}
    assert verdicts == {"sgd": "better", "nadamw": "not distinguishable", "lion": "worse"}
    raw = [each.difference.p for each in tried if each.difference]
    assert [each.difference.p_adjusted for each in tried if each.difference] == pytest.approx(holm(raw))
    answer, choice = conclude(tried, [])
    assert choice == "sgd"
    assert answer.startswith("Take sgd: it is better than adamw by 15.")
    assert "after allowance for 3 comparisons" in answer
    assert notes == []
    assert tried[1].weight_decay == pytest.approx(5e-4)


def test_without_a_better_one_the_advice_is_to_stay() -> None:
    trials = [trained("adamw", [0.7, 0.71]), trained("sgd", [0.7, 0.72], seed=1), trained("lion", [0.4, 0.41], seed=2)]
    tried, _ = judge(trials, BASE, COUNT)
    assert conclude(tried, []) == (
        "Stay with adamw: sgd cannot be told apart from it, and lion is worse.", "adamw",
    )  # fmt: skip


def test_with_one_seed_the_test_is_mcnemars_over_images() -> None:
    tried, _ = judge([trained("adamw", [0.7]), trained("sgd", [0.7], seed=1)], BASE, COUNT)
    assert tried[1].difference is not None
    assert tried[1].difference.only_here is not None


def test_a_diverged_seed_counts_as_wrong_and_a_hopeless_optimizer_is_left_out() -> None:
    hopeless = trained("lion", [])
    hopeless.rates, hopeless.learning_rate = [rate(1.0, None), rate(3.0, None)], None
    tried, notes = judge([trained("adamw", [0.7, 0.7]), trained("sgd", [0.7, None], seed=1), hopeless], BASE, COUNT)
    assert [each.optimizer for each in tried] == ["adamw", "sgd"]
    assert tried[1].accuracies[1] == 0
    assert tried[1].diverged == 1
    assert any("lion: the loss did not stay finite at any learning rate from 1 to 3" in note for note in notes)
    assert any("with 1 of 2 seeds the loss did not stay finite" in note for note in notes)


def test_a_rate_at_the_edge_is_said() -> None:
    trials = trained("adamw", [0.7])
    trials.learning_rate = trials.rates[0].learning_rate
    tried, notes = judge([trials], BASE, COUNT)
    assert tried[0].at_edge
    assert "is the lowest that was tried" in notes[0]
