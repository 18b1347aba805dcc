import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import RandomErasing, functional

from eyeshot.augment import stack
from eyeshot.augment.ops.masking import (
    coarse_dropout,
    cutout,
    erasing,
    fill_colours,
    grid_mask,
    hide_and_seek,
    patch_mask,
)

from ..helpers import applied, drawn, textured


def hidden_by(operation, images, **parameters):
    return operation.region(stack([parameters] * len(images)), tuple(images.shape[2:]))[:, 0]


def test_erasing_is_that_of_torchvision():
    images = textured(height=24, width=30)
    box = np.array([3, 5, 13, 12])
    expected = functional.erase(images, 3, 5, 10, 7, torch.zeros(3, 1, 1, dtype=torch.uint8))
    assert torch.equal(applied(erasing(fill="black"), images, box=box), expected)


def test_erasing_has_torchvisions_distribution():
    boxes = np.array([erasing().draw(np.random.default_rng(n), (64, 64))["box"] for n in range(1500)])
    ours = np.c_[boxes[:, 0], boxes[:, 1], boxes[:, 2:] - boxes[:, :2]]
    torch.manual_seed(0)
    their_erasing, image = RandomErasing(p=1.0), textured(1, 64, 64)
    draws = [their_erasing.make_params([image]) for _ in range(1500)]
    theirs = np.array([[draw["i"], draw["j"], draw["h"], draw["w"]] for draw in draws])
    error = np.hypot(ours.std(0), theirs.std(0)) / np.sqrt(1500)
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 4 * error).all()


def test_erasing_with_noise_fills_each_image_with_its_own_values():
    images, operation = torch.zeros(2, 3, 40, 40, dtype=torch.uint8), erasing(fill="noise")
    draws = drawn(operation, images)
    for draw in draws:
        draw["box"] = np.array([0, 0, 40, 20])
    result = operation.apply(images, stack(draws)).float()
    assert float(result[..., 20:].max()) == 0
    assert 115 < float(result[..., :20].mean()) < 140
    assert not torch.equal(result[0], result[1])


def test_cutout_hides_a_square_of_half_the_side_cut_off_at_the_edges():
    images = torch.full((1, 3, 32, 32), 90, dtype=torch.uint8)
    areas = []
    for number in range(200):
        box = cutout().draw(np.random.default_rng(number), (32, 32))["box"]
        hidden = hidden_by(cutout(), images, box=box)
        rows, columns = int(hidden.any(2).sum()), int(hidden.any(1).sum())
        assert int(hidden.sum()) == rows * columns
        areas.append((rows, columns))
    assert max(areas) == (16, 16)
    assert min(rows for rows, _ in areas) == 8  # the centre stays in the image


def test_the_grid_hides_the_stated_share_in_the_mean():
    operation = grid_mask()
    images = torch.zeros(400, 3, 56, 56, dtype=torch.uint8)
    hidden = operation.region(stack(drawn(operation, images)), (56, 56)).float()
    assert float(hidden.mean()) == pytest.approx(0.16, abs=0.01)


def test_the_grid_repeats_with_its_period():
    hidden = hidden_by(grid_mask(), textured(1, 40, 40), period=10, down=0, along=3)[0]
    assert torch.equal(hidden[:30], hidden[10:])
    assert torch.equal(hidden[:, :30], hidden[:, 10:])
    assert hidden[6:10, 3:7].all()
    assert int(hidden[:10, :10].sum()) == 16


def test_patch_mask_hides_three_of_four_whole_patches():
    operation = patch_mask()
    draw = operation.draw(np.random.default_rng(0), (56, 56))
    hidden = hidden_by(operation, textured(1, 56, 56), **draw)[0]
    assert float(hidden.float().mean()) == 0.75
    patches = hidden.view(14, 4, 14, 4)
    assert torch.equal(patches.amin((1, 3)), patches.amax((1, 3)))


@pytest.mark.parametrize("size", [(14, 14), (15, 20), (5, 5), (1, 1)])
def test_patch_mask_works_at_sizes_that_are_no_multiple(size):
    operation = patch_mask()
    draw = operation.draw(np.random.default_rng(0), size)
    assert hidden_by(operation, textured(1, *size), **draw).shape == (1, *size)


def test_fills_are_what_they_say():
    images = torch.full((1, 3, 10, 10), 240, dtype=torch.uint8)
    images[:, 0] = 200
    images[..., 2:8, 2:8] = 0
    images[..., 0, :3] = 7
    assert fill_colours(images, "border").flatten().tolist() == [200, 240, 240]
    assert fill_colours(images, "black").flatten().tolist() == [0]
    assert fill_colours(images, "white").flatten().tolist() == [255]
    mean = images.float().mean((2, 3)).round().flatten().tolist()
    assert fill_colours(images, "mean").flatten().tolist() == mean


def test_what_is_not_hidden_stays_as_it_was():
    images = textured()
    for operation in (erasing(fill="noise"), cutout(fill="mean"), grid_mask(), patch_mask(fill="border")):
        parameters = stack(drawn(operation, images))
        seen = ~operation.region(parameters, (32, 32)).expand(-1, 3, -1, -1)
        assert torch.equal(operation.apply(images, parameters)[seen], images[seen])
        assert not torch.equal(operation.apply(images, parameters), images)


def regions_of(operation, shape, count, seed=0):
    """Regions bool (count, H, W) and their parameters."""
    draws = drawn(operation, torch.empty(count, 3, *shape), seed=seed)
    return operation.region(stack(draws), shape)[:, 0], draws


@pytest.mark.parametrize("hidden", [0.2, 0.5])
def test_hide_and_seek_hides_its_share_of_every_place(hidden):
    regions, draws = regions_of(hide_and_seek(hidden=hidden), (56, 56), 1500)
    everywhere = regions.float().mean(0)
    assert float(everywhere.mean()) == pytest.approx(hidden, abs=0.02)
    assert float((everywhere - hidden).abs().max()) < 0.07  # over 5 standard errors
    grids = [draw["grid"] for draw in draws]
    assert all(abs(grids.count(grid) - 375) < 85 for grid in (4, 5, 7, 14))


def test_hide_and_seek_tosses_a_coin_for_every_patch():
    regions, draws = regions_of(hide_and_seek(), (140, 140), 400)
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
    regions, _ = regions_of(hide_and_seek(), size, 6)
    assert regions.shape == (6, *size)


@pytest.mark.parametrize(("shape", "side"), [((64, 64), 8), ((40, 96), 5), ((5, 9), 1)])
def test_coarse_dropout_hides_squares_of_an_eighth_of_the_side_inside_the_image(shape, side):
    regions, draws = regions_of(coarse_dropout(), shape, 200)
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
    region = coarse_dropout().region(stack([{"corners": corners}]), (64, 64))
    assert int(region.sum()) == 8 * 8 * 8


def test_coarse_dropouts_corners_reach_every_place_evenly():
    _, draws = regions_of(coarse_dropout(), (16, 16), 600)
    corners = np.concatenate([draw["corners"] for draw in draws])
    counts = np.bincount(corners[:, 0] * 15 + corners[:, 1], minlength=225)
    expected = len(corners) / 225
    # Chi-square with 224 degrees of freedom: mean 224, standard deviation 21.
    assert ((counts - expected) ** 2 / expected).sum() < 224 + 4 * 21.2


def test_what_is_not_hidden_stays_and_what_is_has_the_fill():
    images = textured()
    for operation in (hide_and_seek(fill="mean"), coarse_dropout(fill="black")):
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
