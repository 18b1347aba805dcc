"""Does a recipe train long enough? Clean with the recipe's epochs, and with twice as many, over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.augmentation_truth.recipes import MODELS
from benchmarks.augmentation_truth.runner import Runner, open_bench
from benchmarks.augmentation_truth.trained import accuracies, train_and_read
from benchmarks.augmentation_truth.work_list import Wanted
from benchmarks.common import keep
from eyeshot.core.errors import InputError

FIRST_SEED = 100
"""Seeds other than those of the tables."""
MEAN = "mean of all"


def check_recipe(
    source: str, name: str, *, seeds: int, work: Path, say: Callable[[str], None], first_seed: int = FIRST_SEED
) -> dict[str, Any]:
    """Train clean twice as long, and keep the comparison under `benchmarks/results`.

    The doubling counts as no change if the difference of the means, averaged over all targets, is smaller than its
    standard error over seeds (both trainings of a seed start equally, so the error is that of the paired differences).

    Raises:
        InputError: a head on frozen features has no epochs to double.
    """
    model = MODELS[name]
    if model.frozen:
        raise InputError(f"{name} is fitted to its minimum: there are no epochs to double.")
    runner = Runner(tables=work / "tables", work=work)
    bench = open_bench(Wanted(source, name, (), seeds), model, runner)
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    epochs = 0
    for seed in range(first_seed, first_seed + seeds):
        backbone = model.load(source, seed=seed)
        settings = model.settings(backbone, len(bench.data.train.labels), seed=seed)
        epochs = settings.epochs
        for times in (1, 2):
            longer = settings.model_copy(update={"epochs": times * epochs})
            _, read = train_and_read(
                backbone, bench.data, bench.candidates["clean"], longer,
                folder=work / "runs" / f"check-{source}-{name}-{seed}-{times}",
            )  # fmt: skip
            targets = {
                target: accuracies(read[target], bench.data.targets[target], len(bench.data.classes))[0]
                for target in bench.task.targets
            }
            found[times].append(targets | {MEAN: fmean(targets.values())})
            say(f"{source} {name} seed {seed}, {longer.epochs} epochs: {found[times][-1]}")
    compared = {target: compare([of_seed[target] for of_seed in found[1]], [of_seed[target] for of_seed in found[2]])
                for target in found[1][0]}  # fmt: skip
    result = {
        "source": source,
        "model": name,
        "epochs": epochs,
        "seeds": seeds,
        "first_seed": first_seed,
        "n_train": len(bench.data.train.labels),
        "far_enough": stands_still(compared[MEAN]),
        "targets": compared,
    }
    again = "" if first_seed == FIRST_SEED else f"_from_seed_{first_seed}"
    keep(f"truth_recipe_{source}_{name.replace('-', '_')}{again}", result)
    return result


def stands_still(compared: Mapping[str, float]) -> bool:
    """Whether doubling the epochs changes the accuracy by less than the standard error of the change over seeds."""
    return abs(compared["change"]) < compared["standard_error"]


def compare(once: list[float], twice: list[float]) -> dict[str, float]:
    """Mean and spread with the recipe, mean with twice its epochs, and the change with its standard error."""
    differences = [second - first for first, second in zip(once, twice, strict=True)]
    return {
        "accuracy": fmean(once),
        "standard_deviation": stdev(once),
        "doubled": fmean(twice),
        "change": fmean(differences),
        "standard_error": stdev(differences) / len(differences) ** 0.5,
    }
