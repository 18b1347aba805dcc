"""The answer of a sweep says first whether anything beat the recipe that it began with."""

from __future__ import annotations

from typing import Any

import pytest

from eyeshot.sweep.search.report import SweepReport

BASE: dict[str, Any] = {
    "id": "base", "value": 0.833, "low": 0.8, "high": 0.86, "n": 500, "rung": "full", "difference": {}, "config": {},
}  # fmt: skip
OTHER = BASE | {"id": "other", "difference": {"augmentation": ["none", "invert"]}}


def report(best: dict[str, Any], gain: tuple[float, float, float] | None = None) -> SweepReport:
    return SweepReport(
        id="sweep", why="why", state="finished", budget_s=1.0, used_s=1.0, levels=[], trials={}, best=best, base=BASE,
        gain=None if gain is None else dict(zip(("value", "low", "high", "p"), (*gain, 0.04), strict=True)),
        agreement=[], failed=[], notes=[], next_command="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answered", "begin"),
    [
        (report(BASE), "Nothing beat the recipe without changes, base: 83.3 % at full"),
        (report(OTHER, (0.02, -0.01, 0.05)), "No trial can be told from the recipe without changes: "),
        (report(OTHER, (0.05, 0.01, 0.09)), "other beat the recipe without changes by 5.0 points"),
        (report(OTHER), "The most accurate is other, 83.3 % at full"),
    ],
)
def test_the_answer_begins_with_what_came(answered: SweepReport, begin: str) -> None:
    assert answered.answer.startswith(begin)
