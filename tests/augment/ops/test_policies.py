import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import TrivialAugmentWide

from eyeshot.augment import stack
from eyeshot.augment.ops.policies import TRIVIAL_AUGMENT

from ..helpers import applied, drawn, largest_difference, textured

SPACE = TrivialAugmentWide._AUGMENTATION_SPACE
NAMES = list(SPACE)
DRAWS = [TRIVIAL_AUGMENT.draw(np.random.default_rng(number), (32, 32)) for number in range(14 * 31 * 8)]
WARPS = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")


def theirs(images, name, magnitude):
    policy = TrivialAugmentWide()
    return policy._apply_image_or_video_transform(images, name, magnitude, InterpolationMode.BILINEAR, {})


def test_all_fourteen_operations_are_equally_likely():
    counts = np.bincount([draw["operation"] for draw in DRAWS], minlength=14)
    expected = len(DRAWS) / 14
    assert ((counts - expected) ** 2 / expected).sum() < 34.5  # chi-square, 13 degrees of freedom, 0.1 %


@pytest.mark.parametrize("number", range(14))
def test_all_strengths_of_torchvision_occur_with_both_signs_where_it_has_them(number):
    values, signed = SPACE[NAMES[number]]
    strengths = values(31, 32, 32)
    found = np.array([draw["magnitude"] for draw in DRAWS if draw["operation"] == number])
    if strengths is None:
        assert set(found) == {0.0}
    elif NAMES[number] == "Posterize":
        assert {8 - round(dropped) for dropped in found} == set(strengths.tolist())
    elif NAMES[number] == "Solarize":
        assert set(np.round(1 - found, 4)) == set(np.round(strengths.numpy().astype(float), 4))
    else:
        assert set(np.round(np.abs(found), 4)) == set(np.round(strengths.numpy().astype(float), 4))
        assert 0.35 < (found < 0).mean() < 0.6
    assert signed == (found < 0).any()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WARPS])
@pytest.mark.parametrize("bin_number", [0, 7, 15, 23, 30])
def test_colour_operations_are_those_of_torchvision(name, bin_number):
    images, number = textured(4), NAMES.index(name)
    values, signed = SPACE[name]
    strengths = values(31, 32, 32)
    for sign in (1, -1) if signed else (1,):
        strength = 0.0 if strengths is None else float(strengths[bin_number]) * sign
        ours = {"Posterize": bin_number / 5, "Solarize": 1 - strength}.get(name, strength)
        result = applied(TRIVIAL_AUGMENT, images, operation=number, magnitude=ours)
        # torchvision rounds down, for the saturation twice.
        assert largest_difference(result, theirs(images, name, strength)) <= (2 if name == "Color" else 1)


@pytest.mark.parametrize("name", WARPS)
@pytest.mark.parametrize("share", [-1.0, -0.3, 0.2, 0.6])
def test_warps_are_those_of_torchvision_where_it_sees_the_image(name, share):
    images = textured(3, 80, 64)
    strength = float(SPACE[name][0](31, 80, 64)[-1]) * share
    ours = applied(TRIVIAL_AUGMENT, images, operation=NAMES.index(name), magnitude=strength)
    seen = theirs(torch.full_like(images, 255), name, strength) == 255
    assert 0.1 < float(seen.float().mean()) <= 1
    # Leave out the outermost seen pixels, which torchvision mixes with black.
    inner = torch.nn.functional.max_pool2d(1 - seen.float(), 5, 1, 2) == 0
    expected = theirs(images, name, strength)
    assert largest_difference(ours[inner], expected[inner]) <= 2


def test_images_are_grouped_by_operation_without_mixing_them_up():
    images, policy = textured(60), TRIVIAL_AUGMENT
    draws = drawn(policy, images)
    together = policy.apply(images, stack(draws))
    for number in range(60):
        alone = policy.apply(images[number : number + 1], stack(draws[number : number + 1]))
        assert largest_difference(alone[0], together[number]) <= 1
