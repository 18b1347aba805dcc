"""`demo()`: the ranking on digits with a known shift, and the ranks of the augmentations that undo this shift."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from eyeshot.core import Progress, find_workspace, make_folder, points
from eyeshot.data import write_digits
from eyeshot.rankings.augmentations.job import rank_augmentations
from eyeshot.rankings.augmentations.report import Candidate, RankingReport
from eyeshot.rankings.augmentations.result import AugmentationRanking

MODEL = "test_resnet.r160_in1k"
VAL_SHARE = 0.3
SCRATCH_TIME_S = 75.0
PLANTED = {"inverted": "invert", "with thicker strokes": "dilation", "turned by up to 30°": "rotate-15"}
"""What was done to each third of the target, and the augmentation that does the same."""
NOT_PLANTED = ("mirror", "half-turns")


class DemoData(NamedTuple):
    """Folders of the digits of a demo."""

    train: Path
    test: Path


def demo(
    *,
    out: str | Path | None = None,
    seed: int = 0,
    budget_s: float = 0.0,
    progress: Progress | bool | None = None,
    command: str = "",
) -> AugmentationRanking:
    """Rank augmentations on handwritten digits: a third of the target is inverted, a third thicker, a third turned.

    Args:
        out: folder for the digits; None: eyeshot-out/demo.
        seed: seed of the choice of training digits and of all other random choices.
        budget_s: seconds for short trainings after the ranking by coverage; 0 for none.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.
        command: what was typed, for the report.

    Raises:
        StorageError: the folder or the cache cannot be written.
    """
    train, test = demo_data(out, seed)
    settings = demo_settings(test, seed, budget_s=budget_s)
    return rank_augmentations(train, **settings, decisions=False, split=False, progress=progress, command=command)


def demo_data(out: str | Path | None, seed: int) -> DemoData:
    """Write the digits.

    Raises:
        StorageError: the folder cannot be written.
    """
    folder = make_folder(find_workspace().results("demo") if out is None else Path(out))
    return DemoData(*write_digits(folder / f"digits-{seed}", seed=seed))


def demo_settings(test: Path, seed: int, *, budget_s: float = 0.0) -> dict[str, Any]:
    """Options of the demo for `rank_augmentations`."""
    return {
        "test": test,
        "model": MODEL,
        "from_scratch": True,
        "size": 32,
        "val_share": VAL_SHARE,
        "seed": seed,
        "scratch_time_s": SCRATCH_TIME_S,
        "budget_s": budget_s,
    }


def planted_lines(report: RankingReport) -> list[str]:
    """The ranks of the augmentations that undo the planted shifts, and of two that undo none, in sentences."""
    ranked = [candidate.name for candidate in report.of("ranked")]
    lines = []
    for shift, name in PLANTED.items():
        lines.append(f"a third {shift}: {name} {_came(report.candidate(name), ranked)}")
    for name in NOT_PLANTED:
        lines.append(f"no digit was changed like this: {name} {_came(report.candidate(name), ranked)}")
    return lines


def _came(candidate: Candidate, ranked: list[str]) -> str:
    gain = f"{points(candidate.score)} of the target gained" if candidate.score is not None else "no gain measured"
    if candidate.name not in ranked:
        return f"is label-breaking here ({gain})"
    low = candidate.interval[0] if candidate.interval else 0.0
    sure = "" if low > 0 else ", not distinguishable from none"
    return f"is number {ranked.index(candidate.name) + 1} of {len(ranked)} ({gain}{sure})"
