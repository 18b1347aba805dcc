from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from eyeshot.coverage.shift_axis import shift_axis


def two_clouds(count: int = 60, width: int = 8, *, apart: float = 0.0, seed: int = 0):
    points = np.random.default_rng(seed).normal(size=(2 * count, width)).astype(np.float32)
    points[count:, 0] += apart
    cloud = np.repeat(np.array(["train", "target"]), count)
    return points, cloud, [f"{name}-{row}" for row, name in enumerate(cloud)]


def ones(points: np.ndarray) -> np.ndarray:
    return np.ones(points.shape[1], np.float32)


def area(xy: np.ndarray, cloud: np.ndarray) -> float:
    return float(roc_auc_score(cloud == "target", xy[:, 0]))


def test_the_direction_of_a_shift_lies_across_with_the_target_to_the_right():
    points, cloud, ids = two_clouds(apart=5.0)
    xy = shift_axis(points, cloud, ids, scales=ones(points), seed=0)
    assert xy.shape == (120, 2)
    assert xy.dtype == np.float32
    assert area(xy, cloud) > 0.99
    assert np.corrcoef(xy[:, 0], points[:, 0])[0, 1] > 0.95
    gap = xy[60:, 0].mean() - xy[:60, 0].mean()
    assert gap == pytest.approx(5.0, rel=0.15)  # a length in the reference space


def test_two_samples_of_one_cloud_are_not_told_apart_although_a_fitted_direction_could():
    points, cloud, ids = two_clouds(width=150)
    fitted = LogisticRegression(max_iter=500).fit(points, cloud == "target").decision_function(points)
    assert roc_auc_score(cloud == "target", fitted) > 0.99
    assert area(shift_axis(points, cloud, ids, scales=ones(points), seed=0), cloud) < 0.65


def test_a_view_is_placed_by_the_fold_that_holds_its_source():
    points, cloud, ids = two_clouds(width=40)
    views = points[:60]
    xy = shift_axis(
        np.concatenate([points, views]),
        np.concatenate([cloud, np.repeat("mirror", 60)]),
        [*ids, *ids[:60]],
        scales=ones(points),
        seed=0,
    )
    np.testing.assert_allclose(xy[120:], xy[:60], atol=1e-5)
    strangers = shift_axis(
        np.concatenate([points, views]),
        np.concatenate([cloud, np.repeat("validation", 60)]),
        [*ids, *(f"other-{row}" for row in range(60))],
        scales=ones(points),
        seed=0,
    )
    np.testing.assert_array_equal(strangers[:120], xy[:120])
    assert np.abs(strangers[120:, 0] - xy[:60, 0]).max() > 0.05  # the mean over folds, most of which know the point


def test_upwards_lies_the_first_component_of_what_is_left():
    points, cloud, ids = two_clouds(count=400, width=5, apart=8.0)
    points *= np.array([1, 1, 1, 4, 1], np.float32)
    xy = shift_axis(points, cloud, ids, scales=ones(points), seed=0)
    expected = PCA(n_components=1).fit_transform(points[:, 1:])[:, 0]
    assert abs(np.corrcoef(xy[:, 1], expected)[0, 1]) > 0.99


def test_the_component_is_of_points_whose_whitening_is_undone():
    points, cloud, ids = two_clouds(count=400, width=5, apart=8.0)
    scales = np.array([1, 1, 9, 1, 1], np.float32)
    xy = shift_axis(points, cloud, ids, scales=scales, seed=0)
    assert abs(np.corrcoef(xy[:, 1], points[:, 2])[0, 1]) > 0.98
    assert xy[:, 1].std() == pytest.approx(1.0, abs=0.1)  # yet in the unit of the reference space


def test_the_same_seed_repeats_and_few_points_are_placed():
    points, cloud, ids = two_clouds(count=3)
    one = shift_axis(points, cloud, ids, scales=ones(points), seed=4)
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, shift_axis(points, cloud, ids, scales=ones(points), seed=4))


def test_one_point_is_too_few():
    points, cloud, ids = two_clouds(count=1)
    with pytest.raises(ValueError, match="at least 2"):
        shift_axis(points, cloud, ids, scales=ones(points), seed=0)
