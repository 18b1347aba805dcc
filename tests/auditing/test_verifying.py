from __future__ import annotations

import numpy as np
import pytest

from eyeshot.auditing.describing import oriented
from eyeshot.auditing.grouping import inverse
from eyeshot.auditing.verifying import agreement, detail_of, score_pairs


@pytest.mark.parametrize("orientation", range(8))
def test_an_equal_picture_has_the_score_one_in_its_orientation(orientation: int) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    grey[1] = oriented(grey[:1], inverse(orientation))[0]
    pair = np.array([0]), np.array([1])
    assert score_pairs(grey, *pair, np.array([orientation]))[0] == pytest.approx(1.0)
    other = (orientation + 1) % 8
    assert score_pairs(grey, *pair, np.array([other]))[0] < 0.1


def test_the_score_is_the_share_of_the_detail_that_agrees() -> None:
    random = np.random.default_rng(1)
    one = random.integers(0, 256, (1, 64, 64), dtype=np.uint8)
    half = one.copy()
    half[:, :, 32:] = random.integers(0, 256, (1, 64, 32))
    assert agreement(detail_of(one), detail_of(half))[0] == pytest.approx(0.5, abs=0.07)


def test_pairs_that_thumbnails_leave_open_are_decided_by_finer_ones() -> None:
    random = np.random.default_rng(2)
    grey = random.integers(0, 256, (2, 64, 64), dtype=np.uint8)
    grey[1, :, :28] = grey[0, :, :28]
    asked = []

    def fine(positions: np.ndarray) -> np.ndarray:
        asked.append(positions.tolist())
        return random.integers(0, 256, (len(positions), 96, 96), dtype=np.uint8)

    pair = np.array([0]), np.array([1]), np.array([0])
    assert score_pairs(grey, *pair)[0] > 0.3
    assert score_pairs(grey, *pair, read_fine=fine)[0] < 0.1
    assert asked == [[0, 1]]
