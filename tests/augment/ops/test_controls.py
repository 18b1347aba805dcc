import torch

from eyeshot.augment import stack
from eyeshot.augment.ops.controls import IDENTITY, ONE_LEVEL_NOISE, SHUFFLED_PIXELS

from ..helpers import drawn, textured


def test_clean_changes_nothing():
    images = textured()
    assert torch.equal(IDENTITY.apply(images, {}), images)


def test_the_no_op_moves_values_by_at_most_one_level_and_as_often_up_as_down():
    images = torch.full((8, 3, 32, 32), 100, dtype=torch.uint8)
    steps = ONE_LEVEL_NOISE.apply(images, stack(drawn(ONE_LEVEL_NOISE, images))).int() - 100
    assert set(steps.unique().tolist()) == {-1, 0, 1}
    for step in (-1, 0, 1):
        assert abs(float((steps == step).float().mean()) - 1 / 3) < 0.02


def test_the_no_op_does_not_wrap_around_at_black_and_white():
    for level, allowed in ((0, {0, 1}), (255, {254, 255})):
        images = torch.full((2, 3, 16, 16), level, dtype=torch.uint8)
        result = ONE_LEVEL_NOISE.apply(images, stack(drawn(ONE_LEVEL_NOISE, images)))
        assert set(result.unique().tolist()) == allowed


def test_shuffling_keeps_every_pixel_with_its_colour():
    images = textured(height=12, width=17)
    shuffled = SHUFFLED_PIXELS.apply(images, stack(drawn(SHUFFLED_PIXELS, images)))
    for before, after in zip(images, shuffled, strict=True):
        assert sorted(before.flatten(1).T.tolist()) == sorted(after.flatten(1).T.tolist())


def test_shuffling_moves_pixels_anywhere_with_a_new_permutation_per_sample():
    first, second = (parameters["order"] for parameters in drawn(SHUFFLED_PIXELS, textured(2)))
    assert sorted(first) == list(range(32 * 32))
    assert (first == second).mean() < 0.01
    assert (abs(first - range(32 * 32)) > 32).mean() > 0.9
