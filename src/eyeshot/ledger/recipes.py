"""Which trainings are one recipe, equal in all but seed and fold: comparisons, ensembles and errors group runs so."""

from __future__ import annotations

import shlex

from eyeshot.core import key_of
from eyeshot.training import TrainResult

NOT_RECIPE = frozenset({"fold", "seed", "notes", "rules"})
"""Entries of a result's `data` that differ between seeds and folds of one recipe, or say nothing about images."""


def recipe_of(result: TrainResult) -> str:
    """Hash that is equal for trainings which differ in nothing but the seed and the fold."""
    words = shlex.split(result.command)
    return key_of(
        result.model, result.pretrained, result.augmentations, result.classes,
        result.settings.model_dump(mode="json", exclude={"seed"}),
        [result.size, result.fit, result.interpolation, list(result.mean), list(result.std)],
        {name: value for name, value in result.data.items() if name not in NOT_RECIPE},
        [words[place + 1] for place, word in enumerate(words[:-1]) if word == "--weights"],
    )  # fmt: skip
