from __future__ import annotations

from pathlib import Path

import pytest
from small_run import SETTINGS, World

from eyeshot.core.errors import InputError
from eyeshot.rankings.augmentations import plan
from eyeshot.rankings.augmentations.halving import Costs
from eyeshot.rankings.augmentations.kept_costs import KeptCosts
from eyeshot.rankings.augmentations.plan import prepare
from eyeshot.rankings.augmentations.settings import check_settings


def test_costs_come_back_for_the_same_command_alone(tmp_path: Path):
    KeptCosts(tmp_path, "model", 60.0).keep(Costs(0.5, 2.0, 0.1), 32)
    assert KeptCosts(tmp_path, "model", 60.0).load() == (Costs(0.5, 2.0, 0.1), 32)
    assert KeptCosts(tmp_path, "model", 90.0).load() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"costs": [1], "batch_size": 2}', '{"costs": ["a", 1, 1]}'])
def test_what_cannot_be_read_is_timed_again(tmp_path: Path, text: str):
    kept = KeptCosts(tmp_path, "model")
    kept.keep(Costs(0.5, 2.0), 32)
    (file,) = (tmp_path / "step-costs").iterdir()
    file.write_text(text)
    assert kept.load() is None


def test_a_command_that_was_accepted_is_accepted_again_on_a_busy_machine(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    quick, slow = Costs(0.01, 0.05), Costs(30.0, 60.0)
    settings = check_settings(**(SETTINGS | {"test": world.test, "budget_s": 60.0}))
    monkeypatch.setattr(plan, "probe_costs", lambda *_, **__: (slow, 32))
    with pytest.raises(InputError, match="--budget must be enough"):
        prepare(world.train, settings, cache=tmp_path)
    monkeypatch.setattr(plan, "probe_costs", lambda *_, **__: (quick, 32))
    prepare(world.train, settings, cache=tmp_path)
    monkeypatch.setattr(plan, "probe_costs", lambda *_, **__: (slow, 32))
    assert prepare(world.train, settings, cache=tmp_path).costs == quick
    with pytest.raises(InputError, match="--budget must be enough"):
        prepare(world.train, settings.model_copy(update={"budget_s": 61.0}), cache=tmp_path)


def test_another_machine_times_its_own_steps(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = check_settings(**(SETTINGS | {"test": world.test, "budget_s": 60.0}))
    monkeypatch.setattr(plan, "probe_costs", lambda *_, **__: (Costs(0.01, 0.05), 32))
    prepare(world.train, settings, cache=tmp_path)
    monkeypatch.setattr(plan, "probe_costs", lambda *_, **__: (Costs(0.02, 0.05), 32))
    monkeypatch.setattr(plan.platform, "node", lambda: "another")
    assert prepare(world.train, settings, cache=tmp_path).costs == Costs(0.02, 0.05)
