from __future__ import annotations

import numpy as np
import pytest
import torch
from brute_force import slow_radii
from hypothesis import given, settings
from hypothesis import strategies as st

from eyeshot.coverage.neighbours import distance_blocks, first_in_halves, nearest_sorted, radii, radii_in_halves


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(2, 40), st.sampled_from([2, 7, 64]))
def test_radii_equal_sorted_distances_in_float64(seed, count, width):
    random = np.random.default_rng(seed)
    points = random.normal(size=(count, width)).astype(np.float32)
    neighbours = int(random.integers(1, count))
    np.testing.assert_allclose(radii(points, neighbours), slow_radii(points, neighbours), rtol=5e-3, atol=1e-3)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(14, 60), st.integers(1, 6))
def test_radii_in_halves_equal_those_of_each_half_alone(seed, count, neighbours):
    random = np.random.default_rng(seed)
    points = random.normal(size=(count, 4)).astype(np.float32)
    halves = np.array([random.permutation(count) < count // 2 for _ in range(3)])
    found = radii_in_halves(points, neighbours, halves)
    for number, half in enumerate(halves):
        np.testing.assert_allclose(found[number, half], slow_radii(points[half], neighbours), rtol=5e-3, atol=1e-3)


def test_blocks_hold_every_row_once_and_the_right_distances(monkeypatch):
    monkeypatch.setattr("eyeshot.coverage.neighbours.BLOCK_BYTES", 4 * 30 * 16)
    random = np.random.default_rng(0)
    points, others = random.normal(size=(50, 3)), random.normal(size=(30, 3))
    blocks = list(distance_blocks(torch.tensor(points, dtype=torch.float32), torch.tensor(others, dtype=torch.float32)))
    assert [(rows.start, rows.stop) for rows, _ in blocks] == [(0, 16), (16, 32), (32, 48), (48, 50)]
    squared = ((points[:, None] - others) ** 2).sum(axis=2)
    np.testing.assert_allclose(torch.cat([part for _, part in blocks]), squared, rtol=1e-3, atol=1e-4)


def test_no_block_is_larger_than_its_share_of_memory():
    points, others = torch.zeros(3000, 2), torch.zeros(40_000, 2)
    largest = max(part.numel() * 4 for _, part in distance_blocks(points, others, columns_per_other=2))
    assert 16 * 2**20 < largest <= 32 * 2**20


def test_the_radius_of_a_doubled_point_is_zero():
    points = np.random.default_rng(1).normal(size=(20, 64)).astype(np.float32)
    points[7] = points[3]
    found = radii(points, 1)
    assert found[[3, 7]].tolist() == [0, 0]
    assert (np.delete(found, [3, 7]) > 1).all()


@pytest.mark.parametrize("needed", [1, 5])
def test_the_first_of_a_half_are_its_nearest_in_order(needed):
    random = np.random.default_rng(2)
    squared = torch.from_numpy(random.random((9, 100)))
    halves = torch.from_numpy(np.array([random.permutation(100) < 50 for _ in range(4)]))
    nearest, order = nearest_sorted(squared, halves, needed)
    picked = first_in_halves(order, halves, needed)
    for number, half in enumerate(halves.numpy()):
        for row in range(9):
            expected = sorted(squared[row].numpy()[half])[:needed]
            assert nearest[row, picked[number, row]].tolist() == expected
