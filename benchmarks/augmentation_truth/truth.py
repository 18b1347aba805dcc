"""The truth of a task: accuracies by candidate and seed, from the tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.augmentation_truth.recipes import CONTROLS, SEEDS, candidate_fingerprint
from benchmarks.augmentation_truth.sources import OWN
from benchmarks.augmentation_truth.table import Row, read_table
from eyeshot.augment import augmentation
from eyeshot.core.errors import InputError


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth of a source, a model and a target.

    Attributes:
        names: K candidates, including controls.
        accuracy: float64 (K, S) on the target, by seed; only seeds with all candidates.
        val_accuracy: the same on validation images.
        seconds: mean time of a training with the evaluation on all targets.
        trainings: number in the table.
        n_target: number of images.
        finished: whether all wanted seeds are complete.
    """

    source: str
    model: str
    target: str
    names: tuple[str, ...]
    accuracy: NDArray[np.float64]
    val_accuracy: NDArray[np.float64]
    seconds: float
    trainings: int
    n_target: int
    finished: bool

    @property
    def shifted(self) -> bool:
        """Whether the target differs from the source's own held-out images."""
        return self.target != OWN

    @property
    def mean(self) -> NDArray[np.float64]:
        """float64 (K,), over seeds."""
        return np.asarray(self.accuracy.mean(1))

    def only(self, names: Iterable[str]) -> Truth:
        """The truth of some candidates."""
        wanted = set(names)
        rows = [number for number, name in enumerate(self.names) if name in wanted]
        return Truth(
            self.source, self.model, self.target, tuple(self.names[row] for row in rows), self.accuracy[rows],
            self.val_accuracy[rows], self.seconds, self.trainings, self.n_target, self.finished,
        )  # fmt: skip

    def without_controls(self) -> Truth:
        """The candidates that a ranking ranks."""
        return self.only(name for name in self.names if name not in CONTROLS)


def read_truths(folder: Path, *, seeds: int = SEEDS) -> tuple[list[Truth], list[str]]:
    """The truths of all tables in a folder, and what was left out, in sentences."""
    truths: list[Truth] = []
    problems: list[str] = []
    for file in sorted(folder.glob("*.csv")):
        table = read_table(file)
        problems += table.problems
        rows, said = current(table.rows, file.name)
        problems += said
        found = truths_of(rows, seeds=seeds)
        problems += [] if found or not rows else [f"{file.name}: no candidate, or no seed, is complete yet; left out."]
        truths += found
    return truths, problems


def current(rows: Iterable[Row], name: str) -> tuple[list[Row], list[str]]:
    """Rows of the most frequent recipe and of the current catalogue; what was left out is reported."""
    everything = list(rows)
    if not everything:
        return [], []
    recipe = Counter(row.recipe for row in everything).most_common(1)[0][0]
    kept = [row for row in everything if row.recipe == recipe and row.catalogue == today(row.candidate)]
    problems = []
    others = len({row.key for row in everything if row.recipe != recipe})
    if others:
        problems.append(f"{name}: {others} trainings by another recipe; left out.")
    old = sorted({row.candidate for row in everything if row.catalogue != today(row.candidate)})
    if old:
        problems.append(f"{name}: trained with another version of the catalogue: {', '.join(old)}; left out.")
    return kept, problems


def today(name: str) -> str | None:
    """Fingerprint of the candidate in the current catalogue; None if the name no longer exists."""
    try:
        return candidate_fingerprint(augmentation(name))
    except InputError:
        return None


def truths_of(rows: list[Row], *, seeds: int) -> list[Truth]:
    """A truth for each target; with all candidates that any seed has, and the seeds that have all candidates."""
    if not rows:
        return []
    targets = sorted({row.target for row in rows}, key=lambda target: (target != OWN, target))
    value: dict[tuple[str, int], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        value[row.key][row.target] = row
    names = list(dict.fromkeys(row.candidate for row in rows))
    whole = [
        seed
        for seed in sorted({row.seed for row in rows})
        if all(len(value.get((name, seed), {})) == len(targets) for name in names)
    ]
    if not whole or all(name in CONTROLS for name in names):
        return []
    trainings = len([key for key, found in value.items() if len(found) == len(targets)])
    seconds = float(np.mean([next(iter(found.values())).seconds for found in value.values()]))

    def of(target: str, what: str) -> NDArray[np.float64]:
        return np.array([[getattr(value[name, seed][target], what) for seed in whole] for name in names])

    return [
        Truth(
            rows[0].source, rows[0].model, target, tuple(names), of(target, "target_accuracy"),
            of(target, "val_accuracy"), seconds, trainings, rows_of_target(value, target), len(whole) >= seeds,
        )
        for target in targets
    ]  # fmt: skip


def rows_of_target(value: Mapping[tuple[str, int], Mapping[str, Row]], target: str) -> int:
    """n_target of the first row that has it."""
    return next(found[target].n_target for found in value.values() if target in found)
