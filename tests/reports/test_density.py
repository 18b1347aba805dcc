from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from eyeshot.reports.density import SHARES, density_contours, levels_around

FRAME = (-5.0, 5.0, -5.0, 5.0)


def inside_of(lines: list, xy: np.ndarray) -> np.ndarray:
    """Even-odd rule over all lines of one level: how often does a ray to the right cross them?"""
    crossed = np.zeros(len(xy), int)
    for _, xs, ys in lines:
        for (x0, x1), (y0, y1) in zip(pairwise(xs), pairwise(ys), strict=True):
            between = (y0 > xy[:, 1]) != (y1 > xy[:, 1])
            if between.any():
                crossed[between] += xy[between, 0] < x0 + (x1 - x0) * (xy[between, 1] - y0) / (y1 - y0)
    return crossed % 2 == 1


def test_each_line_goes_around_its_share_of_the_points() -> None:
    xy = np.random.default_rng(0).normal(size=(4000, 2)).astype(np.float32)
    lines = density_contours(xy, FRAME)
    for share in SHARES:
        assert inside_of([one for one in lines if one[0] == share], xy).mean() == pytest.approx(share, abs=0.05)


def test_islands_have_lines_of_their_own() -> None:
    random = np.random.default_rng(0)
    xy = np.concatenate([random.normal((-3, 0), 0.3, (200, 2)), random.normal((3, 0), 0.3, (200, 2))])
    outer = [one for one in density_contours(xy.astype(np.float32), FRAME) if one[0] == 0.9]
    assert sorted(np.sign(np.mean(xs)) for _, xs, _ in outer if len(xs) > 20) == [-1, 1]


def test_levels_hold_their_shares() -> None:
    density = np.arange(1.0, 11.0).reshape(2, 5)  # 55 in all
    assert levels_around(density, (10 / 55, 27 / 55, 1.0)) == [10.0, 8.0, 1.0]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_the_unit_of_the_map_does_not_matter(scale: float) -> None:
    xy = np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32)
    frame = tuple(scale * end for end in FRAME)
    one, other = density_contours(xy, FRAME), density_contours((scale * xy).astype(np.float32), frame)  # type: ignore[arg-type]
    assert [share for share, _, _ in one] == [share for share, _, _ in other]
    for (_, xs, _), (_, scaled, _) in zip(one, other, strict=True):
        np.testing.assert_allclose(np.array(scaled) / scale, xs, atol=2e-3)


def test_few_far_equal_or_unknown_points_break_nothing() -> None:
    assert density_contours(np.zeros((9, 2), np.float32), FRAME) == []
    assert density_contours(np.full((50, 2), 1e6, np.float32), FRAME) == []
    assert density_contours(np.full((50, 2), np.nan, np.float32), FRAME) == []
    assert density_contours(np.zeros((50, 2), np.float32), FRAME)
