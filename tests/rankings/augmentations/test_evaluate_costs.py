"""What a step costs is timed once for a command and a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_run import SETTINGS, World

from eyeshot.rankings.augmentations import evaluate
from eyeshot.rankings.augmentations.plan import prepare
from eyeshot.rankings.augmentations.settings import check_settings
from eyeshot.sweep import Costs


def timing(patch: pytest.MonkeyPatch, costs: Costs) -> None:
    patch.setattr(evaluate, "_time_costs", lambda *_, **__: (costs, 32))


def planned_costs(world: World, cache: Path, **changes: Any) -> Costs | None:
    settings = check_settings(**(SETTINGS | {"test": world.test, "budget_s": 60.0} | changes))
    return prepare(world.train, settings, cache=cache).costs


def test_the_same_command_plans_the_same_on_a_busy_machine(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, slow = Costs(0.01, 0.05, 0.002), Costs(30.0, 60.0, 2.0)
    timing(monkeypatch, quick)
    assert planned_costs(world, tmp_path) == quick
    timing(monkeypatch, slow)
    assert planned_costs(world, tmp_path) == quick
    assert planned_costs(world, tmp_path, budget_s=600.0) == quick
    assert planned_costs(world, tmp_path, batch_size=8) == slow


@pytest.mark.parametrize("text", ["", "{", "[]", '{"costs": null}'])
def test_what_cannot_be_read_is_timed_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    timing(monkeypatch, Costs(0.5, 2.0, 0.1))
    planned_costs(world, tmp_path)
    (file,) = (tmp_path / "short-runs").glob("costs-*.json")
    file.write_text(text)
    file.with_name(f"{file.name}.copy").write_text(text)
    timing(monkeypatch, Costs(0.7, 2.0, 0.1))
    assert planned_costs(world, tmp_path) == Costs(0.7, 2.0, 0.1)


def test_of_a_damaged_file_the_copy_is_read(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timing(monkeypatch, Costs(0.5, 2.0, 0.1))
    planned_costs(world, tmp_path)
    (file,) = (tmp_path / "short-runs").glob("costs-*.json")
    file.write_text("{")
    timing(monkeypatch, Costs(0.7, 2.0, 0.1))
    assert planned_costs(world, tmp_path) == Costs(0.5, 2.0, 0.1)


def test_another_machine_times_its_own_steps(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timing(monkeypatch, Costs(0.01, 0.05))
    planned_costs(world, tmp_path)
    timing(monkeypatch, Costs(0.02, 0.05))
    monkeypatch.setattr(evaluate.platform, "node", lambda: "another")
    assert planned_costs(world, tmp_path) == Costs(0.02, 0.05)


def test_a_step_and_an_evaluation_are_timed_for_real(world: World, tmp_path: Path) -> None:
    costs = planned_costs(world, tmp_path)
    assert costs is not None
    assert 0 < costs.step_s < 60
    assert evaluate.SPACE_S < costs.evaluate_s < 60
    assert 0 < costs.extra_s < 60
