"""The noise of this data and model: how far accuracies of one recipe differ between seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from eyeshot.core import EyeshotError, key_of, replacing
from eyeshot.ledger.recipes import recipe_of
from eyeshot.ledger.runs import LOGGED, RECORD_FILE, RunRecord
from eyeshot.predictions import seed_variance
from eyeshot.training import RESULT_FILE, read_result, read_validation

NOISE_FILE = "noise.json"
ENOUGH_OF_MODEL = 3
"""Degrees of freedom from which the noise of a model is that of its own recipes, and not of all."""


def pooled_noise(accuracies: Iterable[Sequence[float]]) -> tuple[float, int]:
    """Variance of accuracy between seeds of one recipe, pooled over recipes, and its degrees of freedom.

    Args:
        accuracies: for each recipe those of its seeds; a recipe with a single seed says nothing.

    Returns:
        0 and 0 where no recipe has several seeds.
    """
    several = [np.asarray(values, np.float64) for values in accuracies if len(values) > 1]
    freedom = sum(len(values) - 1 for values in several)
    if not freedom:
        return 0.0, 0
    return float(sum(((values - values.mean()) ** 2).sum() for values in several) / freedom), freedom


def project_noise(
    runs: Path, *, images: Sequence[int], models: Collection[str], keep: bool = False
) -> tuple[float, float]:
    """The noise between seeds over all runs of the project that validated on so many images.

    Runs are one recipe where they differ in nothing but the seed; logged runs where they were logged as seeds of one
    experiment.

    Args:
        runs: folder of all runs.
        images: that they validated on; several numbers are those of folds that are joined. Each fold is a training of
            its own, so that their noise averages out.
        models: their recipes alone count where they have at least 3 degrees of freedom.
        keep: write down what the results say, in `noise.json` beside the folder of runs, so that each is read once.

    Returns:
        the variance and its degrees of freedom; 0 and 0 where no recipe has several seeds.
    """
    facts = _facts(runs, keep=keep)
    fitting = [fact for fact in facts.values() if fact.get("images") in images]
    own = pooled_noise(_by_recipe(fact for fact in fitting if fact["model"] in models))
    variance, freedom = own if own[1] >= ENOUGH_OF_MODEL else pooled_noise(_by_recipe(fitting))
    return variance * sum(count**2 for count in images) / sum(images) ** 2, freedom


def noise_of(
    runs: Path, members: Sequence[NDArray[np.bool_]], *, images: Sequence[int], models: Collection[str],
    keep: bool = False,
) -> tuple[float, float]:  # fmt: skip
    """The noise between seeds by which members are judged: that of the project, or their own if that tells more.

    Args:
        members: bool (seeds, n) each, which answers are right.
        runs, images, models, keep: as for `project_noise`.

    Returns:
        the variance of accuracy and its degrees of freedom; 0 and 0 where it is not measured.
    """
    own, project = seed_variance(members), project_noise(runs, images=images, models=models, keep=keep)
    return own if own[1] > project[1] else project


def noise_sd(noise: tuple[float, float]) -> float | None:
    """Standard deviation between seeds; None where it is not measured."""
    return math.sqrt(noise[0]) if 0 < noise[1] < math.inf else None


def _by_recipe(facts: Iterable[Mapping[str, Any]]) -> list[list[float]]:
    """For each recipe the accuracies of its seeds, each seed once: the same seed twice is the same training."""
    groups: dict[str, dict[Any, float]] = {}
    for fact in facts:
        groups.setdefault(fact["recipe"], {})[fact["seed"]] = fact["accuracy"]
    return [list(seeds.values()) for seeds in groups.values()]


def _facts(runs: Path, *, keep: bool) -> dict[str, dict[str, Any]]:
    """What each finished run says for the noise, from `noise.json` where it is known."""
    file = runs.parent / NOISE_FILE
    try:
        known = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # not there yet, or damaged: read again
        known = {}
    facts: dict[str, dict[str, Any]] = {}
    for folder in sorted(path.parent for path in runs.glob(f"*/{RECORD_FILE}")):
        if (fact := known.get(folder.name)) is None:
            fact = _fact(folder)
        if fact is not None:
            facts[folder.name] = fact
    if keep and facts != known:
        try:
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        except EyeshotError:  # a folder that cannot be written is still read
            pass
    return facts


def _fact(folder: Path) -> dict[str, Any] | None:
    """Recipe, seed, model, images and accuracy of a finished run; empty for one that says nothing; None: not done."""
    try:
        record = RunRecord.model_validate_json((folder / RECORD_FILE).read_text(encoding="utf-8"))
        if record.kind == LOGGED:
            table = read_validation(folder)
            accuracy, seed, recipe = table.accuracy(), record.config["seed"], record.config["recipe"]
        else:
            if not (folder / RESULT_FILE).is_file():
                return None  # it trains still
            result = read_result(folder)
            if result is None or record.kind != "train" or result.ended_early is not None:
                return {}  # what time allowed is no recipe
            accuracy, seed = result.accuracy, result.settings.seed
            # Each fold leaves other images out: its seeds are compared among themselves.
            recipe = key_of(recipe_of(result), result.data.get("fold"), result.n_train, result.n_val)
    except (EyeshotError, OSError, ValueError, KeyError, ValidationError):  # damaged, or of another version
        return {}
    if accuracy.value is None or seed is None:
        return {}
    return {
        "recipe": recipe, "seed": seed, "model": record.model, "images": accuracy.n, "accuracy": accuracy.value,
    }  # fmt: skip
