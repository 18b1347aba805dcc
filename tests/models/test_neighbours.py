from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eyeshot.models.neighbours import (
    distance_blocks,
    first_in_halves,
    nearest_neighbours,
    nearest_sorted,
    radii,
    radii_in_halves,
)


def slow_radii(target, neighbours):
    points = np.asarray(target, np.float64)
    distances = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, neighbours - 1]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 7), st.booleans())
def test_nearest_neighbours_are_those_of_a_sort_without_the_point_itself_and_its_group(seed, count, wanted, same):
    random = np.random.default_rng(seed)
    others = random.normal(size=(count, 5)).astype(np.float32)
    points = others if same else random.normal(size=(12, 5)).astype(np.float32)
    groups = random.integers(0, 6, len(points)), random.integers(0, 6, count)
    order, squared = nearest_neighbours(points, None if same else others, wanted, groups=groups)
    assert order.shape == squared.shape == (len(points), min(wanted, count - same))
    for row, point in enumerate(points):
        distances = ((others.astype(np.float64) - point) ** 2).sum(axis=1)
        distances[groups[1] == groups[0][row]] = np.inf
        if same:
            distances[row] = np.inf
        expected = np.argsort(distances, kind="stable")[: order.shape[1]]
        near = np.isfinite(distances[expected])
        assert np.isfinite(squared[row]).tolist() == near.tolist()
        assert order[row][near].tolist() == expected[near].tolist()
        np.testing.assert_allclose(squared[row][near], distances[expected][near], rtol=1e-3, atol=1e-4)


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
    monkeypatch.setattr("eyeshot.models.neighbours.BLOCK_BYTES", 4 * 30 * 16)
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
