"""The benchmarks are no package that is installed: their folder is found from here."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

SIDE = 32


@pytest.fixture
def two_folders(tmp_path: Path) -> tuple[Path, Path]:
    """A user's source and target: bright squares left or right, 16 and 8 images a class, the target darker."""
    random = np.random.default_rng(0)
    for folder, count, light in ((tmp_path / "mine", 16, 255), (tmp_path / "theirs", 8, 120)):
        for label, column in (("left", 4), ("right", 20)):
            (folder / label).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
                row = int(random.integers(2, 20))
                pixels[row : row + 8, column : column + 8] = light
                Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return tmp_path / "mine", tmp_path / "theirs"
