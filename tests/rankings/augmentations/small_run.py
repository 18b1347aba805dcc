"""The main job in about two seconds: four digits of scikit-learn, a small network, few epochs, few images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from eyeshot.data.digits import large_digits
from eyeshot.rankings import AugmentationRanking, rank_augmentations
from eyeshot.training import baseline

DIGITS = (0, 1, 4, 7)
EPOCHS = 15
SETTINGS: dict[str, Any] = {
    "model": "test_resnet.r160_in1k",
    "from_scratch": True,
    "size": 32,
    "max_images": 60,
    "samples_per_image": 2,
    "candidates": ("invert", "mirror", "mixup", "edges"),
    "projections": ("PCA",),
    "images": False,
    "budget_s": 0.0,
}


@dataclass(frozen=True)
class World:
    """Training digits in class folders, and other digits, inverted, as a flat target with their true classes."""

    train: Path
    test: Path
    truth: dict[str, str]


def write_world(root: Path) -> World:
    images, labels = large_digits()
    rows = np.flatnonzero(np.isin(labels, DIGITS))[:300]
    truth = {}
    for place, row in enumerate(rows):
        if place < 210:
            write(images[row], root / "train" / str(labels[row]) / f"{row}.png")
        else:
            write(255 - images[row], root / "test" / f"{row}.png")
            truth[f"{row}.png"] = str(labels[row])
    return World(root / "train", root / "test", truth)


def write(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@contextmanager
def few_epochs() -> Iterator[None]:
    """The baseline trains for a fixed number of epochs, which no clock cuts off."""
    usual = baseline.default_settings

    def settings(*arguments: Any, **options: Any) -> Any:
        chosen, reason = usual(*arguments, **options)
        return chosen.model_copy(update={"epochs": EPOCHS}), reason

    with patch.object(baseline, "default_settings", settings):
        yield


def run(world: World, cache: Path, **changes: Any) -> AugmentationRanking:
    with few_epochs():
        return rank_augmentations(world.train, cache=cache, **(SETTINGS | {"test": world.test} | changes))


def numbers(result: AugmentationRanking) -> dict[str, Any]:
    """All of `augmentations.json` that must repeat."""
    return result.report.model_dump(mode="json", exclude={"seconds", "command"})


def main() -> None:
    """Run it in a process of its own: FOLDER CACHE OUT; says so when all is imported."""
    folder, cache, out = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    world = World(folder / "train", folder / "test", {})
    print("ready", flush=True)
    run(world, cache).save(out)
    print("done", flush=True)


if __name__ == "__main__":
    main()
