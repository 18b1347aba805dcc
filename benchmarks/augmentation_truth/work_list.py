"""What is to be trained, and in which order: one complete table after another, the cheapest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.augmentation_truth.recipes import CANDIDATES, CONTROLS
from benchmarks.augmentation_truth.table import Key

TABLES = (
    ("digits", "small-cnn"),
    ("digits", "squeezenet-head"),
    ("photo", "squeezenet-head"),
    ("sketch", "squeezenet-head"),
    ("photo", "small-cnn"),
    ("sketch", "small-cnn"),
    ("digits", "small-vit"),
    ("photo", "small-vit"),
    ("sketch", "small-vit"),
    ("photo", "squeezenet-tuned"),
    ("sketch", "squeezenet-tuned"),
    ("photo", "efficientnet-tuned"),
    ("digits", "squeezenet-tuned"),
)
"""(source, model), in the order in which they are trained."""


@dataclass(frozen=True)
class Wanted:
    """A table: its source, model, candidates with the controls, and seeds."""

    source: str
    model: str
    candidates: tuple[str, ...]
    seeds: int

    @property
    def keys(self) -> list[Key]:
        """Its trainings: all candidates with a seed, clean first, before the next seed."""
        names = [*CONTROLS, *(name for name in self.candidates if name not in CONTROLS)]
        return [(name, seed) for seed in range(self.seeds) for name in names]


def work_list(
    sources: Sequence[str], models: Sequence[str], *, candidates: tuple[str, ...], seeds: int
) -> list[Wanted]:
    """The tables of these sources and models; empty lists mean all built-in ones."""
    chosen = [
        (source, model)
        for source, model in TABLES
        if (not sources or source in sources) and (not models or model in models)
    ]
    chosen += [(source, model) for source in sources for model in models if (source, model) not in chosen]
    return [Wanted(source, model, candidates or CANDIDATES, seeds) for source, model in chosen]
