"""A sweep without trainings: trials come to what learning curves say, and time passes on a clock that is counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eyeshot.core import key_of
from eyeshot.ledger import open_ledger
from eyeshot.sweep import Budget, Costs
from eyeshot.sweep.search.campaign import Campaign
from eyeshot.sweep.search.space import read_space
from eyeshot.sweep.search.work import Work

SPACE = ("training.learning_rate=1e-4..1e-2", "augmentation=none,mirror,mixup")
RECIPE = {"optimizer": "adamw", "learning_rate": 1e-3, "batch_size": 16, "weight_decay": 0.05}


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Learner:
    """The task of a sweep. A trial's curve follows from its number: no two of them are alike.

    Attributes:
        done: (trial, level) in the order in which they were done.
    """

    def __init__(
        self, clock: Clock | None = None, *, slower: float = 1.0, n_train: int = 800, image_s: float = 1e-3,
        fails: Callable[[Work], Exception | None] = lambda item: None,
    ) -> None:  # fmt: skip
        self.clock, self.slower, self.image_s, self.fails = clock or Clock(), slower, image_s, fails
        self.n_train, self.n_val = n_train, n_train // 4
        self.done: list[tuple[int, str]] = []

    def __call__(self, item: Work) -> dict[str, Any]:
        images = self.n_train + self.n_val
        if item.kind == "measure":
            self.clock.now += 40 * self.image_s
            return {
                "model": item.config["model"], "decode_s": 0.0, "forward_s": self.image_s, "n_train": self.n_train,
                "n_val": self.n_val, "epochs": 9, "settings": RECIPE, "last-stage_s": 2 * self.image_s,
                "none_s": 3 * self.image_s, "seconds": 40 * self.image_s,
            }  # fmt: skip
        error = self.fails(item)
        if error is not None:
            raise error
        level = item.levels[-1]
        if level.rung == "probe":
            seconds = images * self.image_s if item.number == 0 else 0.1
        else:
            seconds = level.epochs * self.n_train * self.image_s * (2 if level.rung == "last stage" else 3)
        seconds *= self.slower
        if level.rung != "probe" and seconds > item.left_s:
            self.clock.now += item.left_s
            return {"over": True, "seconds": item.left_s}
        seconds += 0 if level.rung == "probe" else self.n_val * self.image_s * self.slower
        self.clock.now += seconds
        self.done.append((item.number, level.name))
        value = curve(item.number, item.levels)
        return {"value": value, "loss": 1 - value, "n": 1000, "seconds": seconds, "fit_s": 0.1, "notes": []}


def curve(number: int, levels: Sequence[Any]) -> float:
    """Accuracy after these levels: an asymptote that is approached the faster the more is trained, in thousandths."""
    draws = [int(key_of(number, name)[:6], 16) / 16**6 for name in ("end", "rate", "begin")]
    epochs = sum(level.epochs for level in levels)
    value = 0.6 + 0.35 * draws[0] - (0.1 + 0.2 * draws[2]) * math.exp(-(0.1 + draws[1]) * epochs)
    return round(value, 3)


def make_campaign(root: Path, task: Learner, *, seconds: float, **options: Any) -> Campaign:
    """A sitting of the sweep in `root`; it takes up what an earlier one left. The ledger is closed by the caller."""
    folder = root / "sweeps" / "simulated"
    folder.mkdir(parents=True, exist_ok=True)
    from eyeshot.sweep import DecisionFile, InProcess

    spent_s = float(DecisionFile(folder / "sweep.json").get("seconds") or 0.0)
    space = read_space(options.pop("space", SPACE))
    return Campaign(
        "simulated", "does it hold?", ledger=open_ledger(root, write=True), folder=folder, task=task,
        executor=options.pop("executor", None) or InProcess(),
        budget=Budget(seconds, Costs(0.0, 0.0), spent_s=spent_s, clock=task.clock), space=space, model="small",
        **({"most": 12} | options),
    )  # fmt: skip


def spend(root: Path, task: Learner, *, seconds: float = 1e6, rounds: int = 1, **options: Any) -> Campaign:
    """A whole sitting, of so many rounds at most."""
    campaign = make_campaign(root, task, seconds=seconds, rounds=rounds, **options)
    try:
        campaign.spend()
    finally:
        campaign.ledger.close()
    return campaign
