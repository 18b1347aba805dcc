from __future__ import annotations

import numpy as np
from synthetic_ranking import make_map, make_ranking

from eyeshot.reports.joint_map import best_projection, clouds_on_map, figure_json, frames_of, point_lists, square_frame


def test_the_frame_is_a_square_around_the_points() -> None:
    xy = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32) * [3, 1]
    left, right, bottom, top = square_frame(xy)
    assert np.isclose(right - left, top - bottom)
    inside = (xy[:, 0] > left) & (xy[:, 0] < right) & (xy[:, 1] > bottom) & (xy[:, 1] < top)
    assert inside.mean() > 0.98


def test_one_far_point_does_not_press_the_others_into_a_spot() -> None:
    xy = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    before = square_frame(xy)
    xy[0] = 1e6
    after = square_frame(xy)
    assert after[1] - after[0] < 2 * (before[1] - before[0])


def test_odd_points_still_have_a_frame() -> None:
    for xy in (np.empty((0, 2)), np.zeros((5, 2)), np.full((5, 2), np.nan), np.array([[1.0, np.inf], [2.0, 3.0]])):
        left, right, bottom, top = square_frame(xy.astype(np.float32))
        assert left < right
        assert bottom < top


def test_what_is_switched_on_later_does_not_change_the_frames() -> None:
    points = make_map(["a", "b"], train=30, target=30, validation=30, samples=10)
    before = frames_of(points)
    for projection in points.projections:
        projection.xy[points.cloud == "grey"] += 100
    assert frames_of(points) == before


def test_every_point_is_in_one_cloud_and_keeps_its_data() -> None:
    cover = make_ranking(["a", "b"])
    points = cover.map
    assert points is not None
    clouds = clouds_on_map(points, "test")
    assert sorted(np.concatenate([cloud.points for cloud in clouds])) == list(range(len(points.cloud)))
    lists = point_lists(cover, points, clouds, sprites=True)
    for cloud, entry in zip(clouds, lists["clouds"], strict=True):
        assert entry["label"] == points.label[cloud.points].tolist()
        assert entry["sprite"] == cloud.points.tolist()
        assert len(entry["ids"]) == len(cloud.points)


def test_coordinates_travel_as_float32() -> None:
    points = make_map(["a", "b"], train=30, target=30, validation=30, samples=10)
    text = str(figure_json(points, clouds_on_map(points, "test")))
    assert "float32" in text
    assert "float64" not in text


def test_the_first_map_is_the_one_that_agrees_most() -> None:
    points = make_map(["a", "b"], train=9, target=9, validation=9, samples=9)
    assert best_projection(points) == 1
    for projection in points.projections:
        projection.info.agreement = float("nan")
    assert best_projection(points) == 0
