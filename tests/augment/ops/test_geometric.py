import math

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import RandomResizedCrop, functional

from eyeshot.augment import stack
from eyeshot.augment.ops.geometric import QUARTER_TURNS, Affine, Perspective, ResizedCrop, Rotate, flip, homography

from ..helpers import applied, drawn, largest_difference, textured


def test_flips_are_those_of_torchvision():
    images = textured()
    assert torch.equal(flip(images, sideways=True, upside_down=False), functional.horizontal_flip(images))
    assert torch.equal(flip(images, sideways=False, upside_down=True), functional.vertical_flip(images))


def test_a_half_turn_is_two_quarter_turns():
    images = textured(height=9, width=14)
    assert torch.equal(flip(images, sideways=True, upside_down=True), torch.rot90(images, 2, (2, 3)))


def test_quarter_turns_are_exact_on_squares():
    images = textured(3)
    turned = QUARTER_TURNS.apply(images, {"turns": torch.tensor([1, 2, 3])})
    for number, count in enumerate((1, 2, 3)):
        assert torch.equal(turned[number], torch.rot90(images[number], count, (1, 2)))


def test_quarter_turns_are_drawn_evenly_and_are_never_none():
    turns = [QUARTER_TURNS.draw(np.random.default_rng(number), (8, 8))["turns"] for number in range(900)]
    assert sorted(set(turns)) == [1, 2, 3]
    assert all(abs(turns.count(count) - 300) < 60 for count in (1, 2, 3))


def test_quarter_turns_keep_the_shape_of_oblong_images_and_turn_their_middle():
    images = textured(1, height=20, width=30)
    turned = applied(QUARTER_TURNS, images, turns=1)
    middle = images[:, :, :, 5:25]
    assert largest_difference(turned[:, :, :, 5:25], torch.rot90(middle, 1, (2, 3))) <= 1


@pytest.mark.parametrize("angle", [-170.0, -31.0, 12.5, 90.0])
def test_turns_agree_with_torchvision_inside_of_the_image(angle):
    images = textured(height=40, width=40)
    expected = functional.rotate(images, angle, interpolation=InterpolationMode.BILINEAR)
    turned = applied(Rotate(180.0), images, angle=angle)
    down, along = np.mgrid[:40, :40] - 19.5
    inside = torch.from_numpy(np.hypot(down, along) < 18)
    assert largest_difference(turned[..., inside], expected[..., inside]) <= 1


def test_turns_leave_no_black_corner():
    images = torch.full((1, 3, 32, 32), 200, dtype=torch.uint8)
    assert set(applied(Rotate(45.0), images, angle=45.0).unique().tolist()) == {200}


def test_corners_are_the_reflection_of_the_image():
    images = textured(1)
    shifted = applied(Affine(shift=0.5), images, angle=0.0, scale=1.0, shift_x=0.25, shift_y=0.0, ratio=1.0)
    assert torch.equal(shifted[..., 8:], images[..., :-8])
    assert torch.equal(shifted[..., :8], images[..., :8].flip(3))


def test_affine_agrees_with_torchvision_inside_of_the_image():
    images = textured(height=48, width=48)
    ours = applied(Affine(), images, angle=12.0, scale=0.9, shift_x=3 / 48, shift_y=-2 / 48, ratio=1.0)
    theirs = functional.affine(
        images, angle=-12.0, translate=[3, -2], scale=0.9, shear=[0.0, 0.0],
        interpolation=InterpolationMode.BILINEAR,
    )  # fmt: skip
    inner = (slice(None), slice(None), slice(14, 34), slice(14, 34))
    assert largest_difference(ours[inner], theirs[inner]) <= 1


def test_affine_keeps_the_ratio_unless_it_may_stretch():
    images = torch.zeros(1, 3, 61, 61, dtype=torch.uint8)
    images[..., 20:41, 20:41] = 255
    kept = applied(Affine(), images, angle=0.0, scale=1.2, shift_x=0.0, shift_y=0.0, ratio=1.0)[0, 0] > 127
    stretched = applied(Affine(), images, angle=0.0, scale=1.0, shift_x=0.0, shift_y=0.0, ratio=1.96)[0, 0] > 127
    assert int(kept.any(0).sum()) == int(kept.any(1).sum()) == 25
    assert int(stretched.any(0).sum()) / int(stretched.any(1).sum()) == pytest.approx(1.96, rel=0.08)
    assert int(stretched.sum()) == pytest.approx(21 * 21, rel=0.08)


def test_affine_draws_stay_within_their_limits():
    operation = Affine(degrees=15.0, scale=(0.8, 1.2), shift=0.1, stretch=(0.5, 2.0))
    draws = [operation.draw(np.random.default_rng(number), (9, 9)) for number in range(500)]
    for name, low, high in (
        ("angle", -15, 15),
        ("scale", 0.8, 1.2),
        ("shift_x", -0.1, 0.1),
        ("shift_y", -0.1, 0.1),
        ("ratio", 0.5, 2),
    ):
        values = [draw[name] for draw in draws]
        span = high - low
        assert low <= min(values) < low + 0.05 * span
        assert high - 0.05 * span < max(values) <= high
    assert np.median([draw["ratio"] for draw in draws]) == pytest.approx(1.0, abs=0.15)


def test_a_homography_takes_its_points_where_it_should():
    random = np.random.default_rng(3)
    origins = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    targets = origins + random.uniform(-0.3, 0.3, (4, 2))
    matrix = homography(origins, targets)
    moved = np.c_[origins, np.ones(4)] @ matrix.T
    assert np.allclose(moved[:, :2] / moved[:, 2:], targets)


def test_perspective_shows_the_whole_image_between_the_moved_corners():
    operation, images = Perspective(0.5), textured(1, height=64, width=48)
    images[:] = 0
    images[..., 8:56, 6:42] = 255
    matrix = operation.draw(np.random.default_rng(5), (64, 48))["matrix"]
    seen = operation.apply(images, {"matrix": torch.from_numpy(matrix)[None]})[0, 0] > 127
    # Independently: where each pixel's centre comes from, by plain arithmetic.
    hits, inside = [], 0
    for row in range(64):
        for column in range(48):
            x, y, depth = matrix @ np.array([column - 23.5, row - 31.5, 1.0])
            if abs(x / depth) < 24 and abs(y / depth) < 32:
                inside += 1
                hits.append(bool(seen[row, column]) == (abs(x / depth) < 18 and abs(y / depth) < 24))
    assert np.mean(hits) > 0.99
    assert 0.25 < inside / (64 * 48) < 1


def test_perspective_moves_corners_inwards_only_and_by_a_quarter_of_the_side_at_most():
    for number in range(50):
        matrix = Perspective(0.5).draw(np.random.default_rng(number), (40, 60))["matrix"]
        back = np.linalg.inv(matrix.astype(np.float64))
        corners = np.array([[-30, -20, 1], [30, -20, 1], [30, 20, 1], [-30, 20, 1]]) @ back.T
        places = np.abs(corners[:, :2] / corners[:, 2:])
        assert (places <= np.array([30, 20]) + 1e-3).all()
        assert (places >= np.array([15, 10]) - 1e-3).all()


def test_crops_agree_with_torchvision():
    images = textured(height=40, width=30)
    ours = applied(ResizedCrop((0.2, 1.0)), images, top=5, left=3, height=21, width=17)
    theirs = functional.resized_crop(images, 5, 3, 21, 17, [40, 30], antialias=False)
    # torchvision repeats the crop's outermost pixels, we still see the image around it.
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    assert largest_difference(ours[inner], theirs[inner]) <= 1


def test_crops_have_torchvisions_distribution():
    operation = ResizedCrop((0.2, 1.0))
    ours = [operation.draw(np.random.default_rng(number), (64, 64)) for number in range(1500)]
    torch.manual_seed(0)
    crop, image = RandomResizedCrop(64, scale=(0.2, 1.0)), textured(1, 64, 64)
    theirs = [crop.make_params([image]) for _ in range(1500)]
    for name in ("height", "width", "top", "left"):
        one, other = (np.sort([draw[name] for draw in draws]) for draws in (ours, theirs))
        assert abs(one.mean() - other.mean()) < 4 * math.hypot(one.std(), other.std()) / math.sqrt(1500)
        assert abs(one.std() - other.std()) < 1.5


def test_a_crop_that_fits_nowhere_is_the_largest_centred_one():
    parameters = ResizedCrop((1.0, 1.0), ratio=(3 / 4, 4 / 3)).draw(np.random.default_rng(0), (10, 100))
    assert parameters == {"top": 0, "left": 43, "height": 10, "width": 13}


def test_warps_give_the_same_for_an_image_alone_and_in_a_batch():
    images = textured()
    for operation in (Rotate(30.0), Affine(degrees=9.0), Perspective(0.5), ResizedCrop((0.2, 1.0))):
        draws = drawn(operation, images)
        together = operation.apply(images, stack(draws))
        for number in range(len(images)):
            alone = operation.apply(images[number : number + 1], stack(draws[number : number + 1]))
            assert largest_difference(alone[0], together[number]) <= 1
