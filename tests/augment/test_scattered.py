import numpy as np
import pytest
import torch

from eyeshot.augment import stack
from eyeshot.augment.scattered import CoarseDropout, HideAndSeek

from .helpers import drawn, textured


def hidden_by(operation, shape, count, seed=0):
    """Regions bool (count, H, W) and their parameters."""
    draws = drawn(operation, torch.empty(count, 3, *shape), seed=seed)
    return operation.region(stack(draws), shape)[:, 0], draws


@pytest.mark.parametrize("hidden", [0.2, 0.5])
def test_hide_and_seek_hides_its_share_of_every_place(hidden):
    regions, draws = hidden_by(HideAndSeek(hidden=hidden), (56, 56), 1500)
    everywhere = regions.float().mean(0)
    assert float(everywhere.mean()) == pytest.approx(hidden, abs=0.02)
    assert float((everywhere - hidden).abs().max()) < 0.07  # over 5 standard errors
    grids = [draw["grid"] for draw in draws]
    assert all(abs(grids.count(grid) - 375) < 85 for grid in (4, 5, 7, 14))


def test_hide_and_seek_tosses_a_coin_for_every_patch():
    regions, draws = hidden_by(HideAndSeek(), (140, 140), 400)
    hidden = {grid: [] for grid in (4, 5, 7, 14)}
    for region, draw in zip(regions, draws, strict=True):
        grid = draw["grid"]
        patches = region.view(grid, 140 // grid, grid, 140 // grid)
        assert torch.equal(patches.amin((1, 3)), patches.amax((1, 3)))  # whole patches
        hidden[grid].append(int(patches[:, 0, :, 0].sum()))
    for grid, counts in hidden.items():
        # Binomial, so independent: the variance of the number hidden is a quarter of the number of patches.
        assert np.var(counts) == pytest.approx(grid**2 / 4, rel=0.6)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (15, 22), (224, 100)])
def test_hide_and_seek_works_at_sizes_that_are_no_multiple(size):
    regions, _ = hidden_by(HideAndSeek(), size, 6)
    assert regions.shape == (6, *size)


@pytest.mark.parametrize(("shape", "side"), [((64, 64), 8), ((40, 96), 5), ((5, 9), 1)])
def test_coarse_dropout_hides_squares_of_an_eighth_of_the_side_inside_the_image(shape, side):
    regions, draws = hidden_by(CoarseDropout(), shape, 200)
    for region, draw in zip(regions, draws, strict=True):
        expected = torch.zeros(shape, dtype=torch.bool)
        assert draw["corners"].shape == (8, 2)
        for top, left in draw["corners"]:
            assert 0 <= top <= shape[0] - side
            assert 0 <= left <= shape[1] - side
            expected[top : top + side, left : left + side] = True
        assert torch.equal(region, expected)


def test_coarse_dropout_of_squares_that_do_not_meet_hides_eight_times_their_area():
    corners = np.array([[0, 0], [0, 20], [0, 40], [20, 0], [20, 20], [20, 40], [56, 0], [56, 56]])
    region = CoarseDropout().region(stack([{"corners": corners}]), (64, 64))
    assert int(region.sum()) == 8 * 8 * 8


def test_coarse_dropouts_corners_reach_every_place_evenly():
    _, draws = hidden_by(CoarseDropout(), (16, 16), 600)
    corners = np.concatenate([draw["corners"] for draw in draws])
    counts = np.bincount(corners[:, 0] * 15 + corners[:, 1], minlength=225)
    expected = len(corners) / 225
    # Chi-square with 224 degrees of freedom: mean 224, standard deviation 21.
    assert ((counts - expected) ** 2 / expected).sum() < 224 + 4 * 21.2


def test_what_is_not_hidden_stays_and_what_is_has_the_fill():
    images = textured()
    for operation in (HideAndSeek(fill="mean"), CoarseDropout(fill="black")):
        parameters = stack(drawn(operation, images))
        region = operation.region(parameters, (32, 32)).expand(-1, 3, -1, -1)
        result = operation.apply(images, parameters)
        assert torch.equal(result[~region], images[~region])
        for number in range(len(images)):
            for channel in range(3):
                values = result[number, channel][region[number, channel]].unique().tolist()
                mean = round(float(images[number, channel].float().mean()))
                assert len(values) == 1
                assert abs(values[0] - (0 if operation.fill == "black" else mean)) <= 1
