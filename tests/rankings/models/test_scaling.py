"""Bigger model or more data, and higher resolution: the answers and when there is none."""

import numpy as np
import pytest
from made_models import made_model
from torch import nn

from eyeshot.core import SILENT, InputError, StorageError
from eyeshot.data import Geometry
from eyeshot.models import Backbone, load_backbone
from eyeshot.rankings.models.learning_curves import learning_curve
from eyeshot.rankings.models.scaling import (
    better_size,
    better_size_words,
    bigger_or_more_data,
    compare_sizes,
    image_step,
    next_bigger,
    sizes_around,
)

JUDGED = 3000
CLUSTERS = np.arange(JUDGED)


def difficulty(seed=0):
    """A number per judged image: a classifier with error rate e misses those below e."""
    return np.random.default_rng(seed).random(JUDGED)


def curve_of(errors):
    hard = difficulty()
    labels = np.arange(800) % 4
    return learning_curve(
        lambda rows: hard >= errors(len(rows)), labels, np.arange(800), CLUSTERS, how="made up", seed=0, progress=SILENT
    )


def steep(count):
    return 2.5 * count**-0.5


def flat(count):
    return 0.1


@pytest.mark.parametrize(
    ("errors", "bigger_error", "answer"),
    [
        (steep, 0.085, "More data:"),
        (flat, 0.05, "Bigger model:"),
        (flat, 0.099, "Neither"),
        (flat, None, "cannot be told"),
    ],
)
def test_the_larger_gain_is_the_answer(errors, bigger_error, answer):
    right = difficulty() >= errors(800)
    bigger = None if bigger_error is None else ("large", difficulty() >= bigger_error, 2.34)
    found = bigger_or_more_data(curve_of(errors), "small", right, bigger, CLUSTERS, seed=0)
    assert answer in found.words
    if bigger is not None:
        assert found.difference == pytest.approx(errors(800) - bigger_error, abs=0.01)
        assert found.cost_ratio == 2.34
        assert "over small at 2.3 times the cost, twice the images" in found.words
        low, high = found.less_data_interval
        assert low - 1e-9 <= found.less_data <= high + 1e-9


def test_few_images_cannot_tell_and_say_so():
    few = slice(0, 80)
    hard = difficulty()[few]
    labels = np.arange(800) % 4
    curve = learning_curve(
        lambda rows: hard >= 0.15, labels, np.arange(800), CLUSTERS[few], how="made up", seed=0, progress=SILENT
    )
    other = np.random.default_rng(9).random(80) >= 0.14
    found = bigger_or_more_data(curve, "small", hard >= 0.15, ("large", other, 3.0), CLUSTERS[few], seed=0)
    assert "cannot be told: large brings" in found.words


def test_the_next_bigger_model_of_the_line_is_compared_and_not_the_best():
    small, middle, large = (
        made_model(f"resnet{number}", line="ResNet", parameters=number * 1_000_000) for number in (10, 20, 60)
    )
    other = made_model("vit", line="ViT", parameters=15_000_000)
    near = made_model("resnet11", line="ResNet", parameters=11_000_000)
    assert next_bigger(small, [large, middle, other, small, near]) is middle
    assert next_bigger(large, [small, middle, large, other]) is None


def test_networks_of_the_user_are_no_line_in_which_one_is_a_bigger_version_of_another():
    small = made_model("my.module:small", line="own", parameters=1_000_000)
    large = made_model("my.module:large", line="own", parameters=9_000_000)
    assert next_bigger(small, [small, large]) is None


@pytest.mark.parametrize(
    ("size", "step", "sizes"),
    [(224, 32, (160, 224, 288)), (224, 16, (160, 224, 304)), (518, 14, (392, 518, 686)), (64, 32, (32, 64, 96)),
     (224, 224, (224, 448)), (24, 32, (24, 32)), (40, 32, (32, 40, 64)), (260, 32, (192, 260, 352))],
)  # fmt: skip
def test_sizes_are_multiples_of_the_step_around_the_models_own(size, step, sizes):
    assert sizes_around(size, step) == sizes


def test_the_step_is_the_patch_or_the_stride():
    assert image_step(load_backbone("test_vit", from_scratch=True)) == 16
    assert image_step(load_backbone("test_resnet", from_scratch=True)) == 32
    own = Backbone("own", nn.Conv2d(3, 8, 3), Geometry(size=32), (0.5,), (0.5,), 8, False, "", "")
    assert image_step(own) == 32


def test_higher_resolution_that_helps_says_by_how_much_and_at_what_cost():
    hard = difficulty()
    rights = {96: (hard >= 0.15, 3.0), 192: (hard >= 0.05, 11.0)}
    found = compare_sizes(rights.__getitem__, (96, 128, 192), (128, hard >= 0.1, 5.0), CLUSTERS)
    assert [result.size for result in found.sizes] == [96, 128, 192]
    assert found.sizes[2].difference == pytest.approx(0.05, abs=0.01)
    assert found.sizes[1].difference is None
    assert "Higher resolution (192 px) helps: " in found.words
    assert "at 2.2 times the cost" in found.words
    assert "Lower resolution (96 px) hurts" in found.words


def test_a_size_that_the_model_cannot_read_is_said_with_the_reason():
    def read(size):
        raise InputError("`size` must be 128, the fixed size of it.")

    found = compare_sizes(read, (96, 128, 192), (128, difficulty() >= 0.1, 5.0), CLUSTERS)
    assert found.sizes[0].why == found.sizes[2].why == "`size` must be 128, the fixed size of it."
    assert "96 px and 192 px cannot be judged" in found.words


def test_a_full_disk_is_not_taken_for_a_size_that_does_not_work():
    def read(size):
        raise StorageError("full")

    with pytest.raises(StorageError):
        compare_sizes(read, (96, 128, 192), (128, difficulty() >= 0.1, 5.0), CLUSTERS)


def test_small_images_that_are_enlarged_are_named():
    hard = difficulty()
    sides = np.where(np.arange(JUDGED) % 4, 150, 400)
    found = compare_sizes(
        lambda size: (hard >= 0.1, 9.0), (96, 128, 192), (128, hard >= 0.1, 5.0), CLUSTERS, short_sides=sides
    )
    assert [result.enlarged for result in found.sizes] == [0.0, 0.0, 0.75]
    assert "75 % of the images are smaller" in found.words


def test_a_difference_within_its_noise_cannot_be_told():
    random = np.random.default_rng(0)
    found = compare_sizes(
        lambda size: (random.random(60) >= 0.1, 9.0),
        (96, 128, 192),
        (128, random.random(60) >= 0.1, 5.0),
        np.arange(60),
    )
    assert "Higher resolution (192 px) cannot be told from" in found.words


def test_a_clearly_better_size_is_named_and_a_doubtful_one_is_not():
    hard = difficulty()
    errors = {48: 0.3, 64: 0.2, 80: 0.199, 96: 0.1}

    def read(size):
        return hard >= errors[size], 1.0

    def best(*sizes):
        return better_size(compare_sizes(read, sizes, (64, hard >= errors[64], 1.0), CLUSTERS))

    found = best(48, 64, 96)
    assert found is not None
    assert found.size == 96
    assert better_size_words(found).startswith("At 96 px it gains 10.3 points (")
    assert best(48, 64) is None
    assert better_size(None) is None
