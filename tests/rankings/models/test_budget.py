"""The budget of `rank models` on a clock that only the networks' images move, and the same command again."""

from __future__ import annotations

import json
import time

import pytest
from made_networks import write_networks, write_pictures

from eyeshot import rank_models
from eyeshot.core import ModelError
from eyeshot.rankings.models import job, rungs

IMAGE_S = 0.01
BUDGET_S = 240.0
TIGHT_S = 120.0
"""Just enough for two trainings of 20 epochs, about 37 seconds each with some slack, in three quarters of it."""
MODELS = ["nets:timed", "nets:second"]


class Clock:
    """Seconds of images in a network, times `factor`; from some step on training is slower by `load`."""

    def __init__(self, factor=1.0, load=1.0, busy_from=0):
        self.now = self.start = 5000.0
        self.factor, self.load, self.busy_from = factor, load, busy_from
        self.trained = 0

    def __call__(self):
        return self.now

    def tick(self, images, training):
        self.trained += training
        busy = training and self.trained > self.busy_from
        self.now += IMAGE_S * images * self.factor * (self.load if busy else 1.0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_networks(tmp_path)
    write_pictures(tmp_path / "train")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EYESHOT_CACHE", raising=False)
    return tmp_path


@pytest.fixture
def ranked(here, monkeypatch):
    def rank(clock, cache="cache", budget_s=BUDGET_S, models=MODELS):
        monkeypatch.setattr(time, "perf_counter", clock)
        return rank_models("train", models=models, size=64, budget_s=budget_s, progress=False, cache=here / cache)

    return rank


def numbers(report):
    """All that a repeat must give again."""
    values = json.loads(report.model_dump_json())
    for name in ("used_s", "command"):
        values.pop(name)
    return values


def without_times(report):
    values = numbers(report)
    for name in ("cheap", "advised", "headline"):  # say how fast
        values.pop(name)
    for model in values["models"]:
        del model["cost"], model["resolution"], model["probe"]["seconds"], model["fine_tuning"]["seconds"]
    return values


def test_the_same_command_again_gives_the_same_numbers_and_computes_nothing(ranked, monkeypatch):
    first = ranked(Clock())
    assert [model.fine_tuning is not None for model in first.models] == [True, True]
    assert first.models[0].resolution is not None or first.models[1].resolution is not None
    for module, name in ((job, "run_probe"), (rungs, "fine_tune"), (rungs, "measure_pace"), (rungs, "learning_curve"),
                         (rungs, "compare_sizes")):  # fmt: skip
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("it was computed again"))
    assert numbers(ranked(Clock(factor=40.0))) == numbers(first)


def test_a_model_added_later_is_the_only_one_that_is_trained_and_gets_a_curve(ranked, monkeypatch):
    first = ranked(Clock(), models=MODELS[:1])
    tuned, curves = [], []
    usual_tune, usual_curve = rungs.fine_tune, rungs.learning_curve

    def tune(backbone, *arguments, **options):
        tuned.append(backbone.name)
        return usual_tune(backbone, *arguments, **options)

    def curve(*arguments, **options):
        curves.append(1)
        return usual_curve(*arguments, **options)

    monkeypatch.setattr(rungs, "fine_tune", tune)
    monkeypatch.setattr(rungs, "learning_curve", curve)
    both = {model.name: model for model in ranked(Clock()).models}
    assert (tuned, len(curves)) == (MODELS[1:], 1)
    assert all(model.fine_tuning and model.curve for model in both.values())
    (before,) = first.models
    assert both[MODELS[0]].fine_tuning == before.fine_tuning
    assert both[MODELS[0]].curve == before.curve


def test_a_lost_gpu_in_a_short_training_is_no_matter_of_the_model(ranked, monkeypatch):
    usual = rungs.fine_tune

    def lost(backbone, *arguments, **options):
        if backbone.name == MODELS[1]:
            raise RuntimeError("CUDA error: unspecified launch failure")
        return usual(backbone, *arguments, **options)

    monkeypatch.setattr(rungs, "fine_tune", lost)
    with pytest.raises(ModelError, match="The GPU stopped answering"):
        ranked(Clock())
    monkeypatch.setattr(rungs, "fine_tune", usual)
    report = ranked(Clock())
    assert all(model.fine_tuning for model in report.models)
    assert not any("was not fine-tuned" in note for note in report.notes)


def test_where_the_budget_left_something_out_the_same_command_leaves_out_the_same(ranked):
    first = ranked(Clock(), budget_s=45.0)
    tuned = [model.name for model in first.models if model.fine_tuning]
    assert len(tuned) == 1
    assert any("A larger --budget reaches further, and trains all models anew" in note for note in first.notes)
    assert numbers(ranked(Clock(factor=0.01), budget_s=45.0)) == numbers(first)
    larger = ranked(Clock(), budget_s=1000.0)
    assert all(model.fine_tuning for model in larger.models)


def test_a_recipe_whose_training_ends_at_chance_counts_as_untested(ranked, monkeypatch):
    monkeypatch.setattr(rungs, "fell_to_chance", lambda tuned, classes: tuned.n_train > 0 and classes > 1)
    report = ranked(Clock())
    assert {model.state for model in report.models} == {"recipe untested"}
    assert not any(model.fine_tuning for model in report.models)
    assert sum("its training ended at chance" in note for note in report.notes) == len(report.models)
    assert report.advised.name in {model.name for model in report.models}


def test_a_pace_that_is_measured_a_little_differently_ends_in_the_same_numbers(ranked):
    assert without_times(ranked(Clock(), "one")) == without_times(ranked(Clock(factor=1.03), "two"))


@pytest.mark.parametrize(("load", "busy_from"), [(2.0, 6), (4.0, 30)])
def test_a_machine_that_becomes_slow_while_models_are_trained_does_not_use_more_than_the_budget(
    ranked, load, busy_from
):
    planned = ranked(Clock(), "planned", budget_s=TIGHT_S)
    assert all(model.fine_tuning and not model.fine_tuning.notes for model in planned.models)
    clock = Clock(load=load, busy_from=busy_from)
    report = ranked(clock, budget_s=TIGHT_S)
    assert clock.now - clock.start <= TIGHT_S
    shortened = [model.name for model in report.models if model.fine_tuning and model.fine_tuning.notes]
    skipped = [note for note in report.notes if "slower than planned" in note]
    assert shortened or skipped
    usual = {model.name: model.fine_tuning.steps for model in planned.models}
    for model in report.models:
        if model.fine_tuning:
            assert 16 <= model.fine_tuning.steps <= usual[model.name]
    assert numbers(ranked(Clock(), budget_s=TIGHT_S)) == numbers(report)


def test_a_first_model_that_takes_far_longer_than_estimated_is_stopped_and_the_same_command_goes_on(
    ranked, monkeypatch
):
    clock = Clock()
    usual = job.estimate_probe

    def estimated(plan, backbone):
        estimate = usual(plan, backbone)
        clock.factor = 100.0  # from here on
        return estimate

    monkeypatch.setattr(job, "estimate_probe", estimated)
    with pytest.raises(ModelError, match="spent before it was done"):
        ranked(clock, budget_s=30.0, models=MODELS[:1])
    monkeypatch.setattr(job, "estimate_probe", usual)
    assert ranked(Clock(), budget_s=30.0, models=MODELS[:1]).models[0].name == MODELS[0]
