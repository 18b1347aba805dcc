"""RandAugment and AugMix; the fourteen operations themselves are tested with TrivialAugment."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import AugMix as TheirAugMix
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import RandAugment as TheirRandAugment

from eyeshot.augment import stack
from eyeshot.augment.ops.policies import AUGMIX, CHAINED, NAMES, RAND_AUGMENT, RANDOM

from ..helpers import applied, drawn, largest_difference, textured

THEIR_NAMES = dict(zip(NAMES, TheirRandAugment._AUGMENTATION_SPACE, strict=True))
HEIGHT, WIDTH = 48, 36


def ours_from_theirs(name, strength):
    """Their number of bits kept or threshold as our bits dropped or share inverted."""
    return {"posterize": 8 - strength, "solarize": 1 - strength}.get(name, strength)


@pytest.mark.parametrize(
    ("space", "theirs", "bins"),
    [(RANDOM, TheirRandAugment, 31), (CHAINED, TheirAugMix, 10)],
    ids=["rand-augment", "augmix"],
)
def test_all_strengths_are_those_of_torchvision(space, theirs, bins):
    assert {THEIR_NAMES[name] for name in space} == set(theirs._AUGMENTATION_SPACE)
    for name, chosen in space.items():
        values, signed = theirs._AUGMENTATION_SPACE[THEIR_NAMES[name]]
        strengths = values(bins, HEIGHT, WIDTH)
        assert signed == chosen.signed
        side = {"translate-x": WIDTH, "translate-y": HEIGHT}.get(name, 1) if chosen.of_side else 1
        ours = np.linspace(chosen.least, chosen.greatest, bins) * side
        if strengths is None:
            assert not ours.any()
        elif name == "posterize":
            assert np.array_equal(ours.round(), 8 - strengths.numpy())
        else:
            assert np.allclose(ours, [ours_from_theirs(name, float(value)) for value in strengths], atol=1e-5)


def test_rand_augment_draws_two_operations_at_one_strength():
    draws = [RAND_AUGMENT.draw(np.random.default_rng(n), (HEIGHT, WIDTH)) for n in range(3000)]
    numbers = np.array([draw["operations"] for draw in draws])
    magnitudes = np.array([draw["magnitudes"] for draw in draws])
    counts = np.bincount(numbers.reshape(-1), minlength=14)
    assert ((counts - 6000 / 14) ** 2 / (6000 / 14)).sum() < 34.5  # chi-square, 13 degrees of freedom, 0.1 %
    assert (numbers[:, 0] == numbers[:, 1]).mean() == pytest.approx(1 / 14, abs=0.02)
    for number, name in enumerate(NAMES):
        chosen = RANDOM[name]
        side = {"translate-x": WIDTH, "translate-y": HEIGHT}.get(name, 1) if chosen.of_side else 1
        found = magnitudes[numbers == number]
        assert np.allclose(abs(found), chosen.greatest * side * 9 / 30, atol=1e-5)
        assert not chosen.signed or 0.4 < (found < 0).mean() < 0.6


COLOURS = [NAMES.index(name) for name in ("brightness", "contrast", "posterize", "solarize", "autocontrast")]


@pytest.mark.parametrize("first", COLOURS)
@pytest.mark.parametrize("second", COLOURS)
def test_rand_augment_does_one_after_the_other_as_torchvision_does(first, second):
    images, expected = textured(4), textured(4)
    policy, magnitudes = TheirRandAugment(), []
    for number in (first, second):
        values, _ = TheirRandAugment._AUGMENTATION_SPACE[THEIR_NAMES[NAMES[number]]]
        strengths = values(31, 32, 32)
        strength = 0.0 if strengths is None else float(strengths[9])
        name = THEIR_NAMES[NAMES[number]]
        expected = policy._apply_image_or_video_transform(expected, name, strength, InterpolationMode.BILINEAR, {})
        magnitudes.append(ours_from_theirs(NAMES[number], strength))
    ours = applied(
        RAND_AUGMENT, images, operations=np.array([first, second]), magnitudes=np.array(magnitudes, dtype=np.float32)
    )
    # torchvision rounds down; a step of posterize or solarize may tip over by that, at few places.
    apart = (ours.int() - expected.int()).abs()
    assert float((apart > 3).float().mean()) < 0.05
    steps = {NAMES[first], NAMES[second]}
    assert steps & {"posterize", "solarize", "autocontrast"} or int(apart.max()) <= 3


def test_augmix_draws_the_papers_weights_and_chains():
    draws = [AUGMIX.draw(np.random.default_rng(n), (HEIGHT, WIDTH)) for n in range(3000)]
    own = np.array([draw["own"] for draw in draws])
    weights = np.array([draw["weights"] for draw in draws])
    assert np.allclose(own + weights.sum(1), 1, atol=1e-5)
    # Beta(1, 1) and Dirichlet(1, 1, 1): means and variances in closed form.
    assert own.mean() == pytest.approx(1 / 2, abs=0.02)
    assert own.var() == pytest.approx(1 / 12, rel=0.06)
    shares = weights / (1 - own)[:, None]
    assert np.allclose(shares.mean(0), 1 / 3, atol=0.02)
    assert np.allclose(shares.var(0), 1 / 18, rtol=0.1)
    numbers = np.array([draw["operations"] for draw in draws])
    depths = (numbers >= 0).sum(2)
    assert [(depths == depth).mean() for depth in (1, 2, 3)] == pytest.approx([1 / 3] * 3, abs=0.03)
    assert ((numbers >= 0) == (np.arange(3) < depths[..., None])).all()  # a chain has no gaps
    counts = np.bincount(numbers[numbers >= 0], minlength=14)
    assert counts[0] == 0
    assert (abs(counts[1:] / counts.sum() - 1 / 13) < 0.01).all()


@pytest.mark.parametrize(("name", "strength"), [("brightness", 0.2), ("contrast", -0.2), ("posterize", 4.0)])
def test_augmix_mixes_as_torchvision_does(monkeypatch, name, strength):
    images, own, shares = textured(4), 0.37, (0.5, 0.2, 0.3)
    policy = TheirAugMix(chain_depth=1)
    drawn_weights = iter([[own, 1 - own], list(shares)])
    monkeypatch.setattr(
        policy, "_sample_dirichlet", lambda parameters: torch.tensor([next(drawn_weights)] * len(parameters))
    )
    space = {THEIR_NAMES[name]: (lambda *_: torch.full((10,), ours_from_theirs(name, strength)).int()
             if name == "posterize" else torch.full((10,), strength), False)}  # fmt: skip
    monkeypatch.setattr(policy, "_AUGMENTATION_SPACE", space)
    operations = np.full((3, 3), -1)
    operations[:, 0] = NAMES.index(name)
    magnitudes = np.full((3, 3), strength, dtype=np.float32)
    weights = np.array(shares, dtype=np.float32) * np.float32(1 - own)
    ours = applied(AUGMIX, images, own=own, weights=weights, operations=operations, magnitudes=magnitudes)
    assert largest_difference(ours, policy(images)) <= 2


def test_augmix_runs_each_chain_on_the_image_itself():
    images = textured(2)
    invert_all, black = ("solarize", 1.0), ("brightness", -1.0)
    operations, magnitudes = np.full((3, 3), -1), np.zeros((3, 3), dtype=np.float32)
    for chain, steps in enumerate(([invert_all], [invert_all, invert_all], [black])):
        for place, (name, strength) in enumerate(steps):
            operations[chain, place], magnitudes[chain, place] = NAMES.index(name), strength
    weights = np.array([0.25, 0.3, 0.2], dtype=np.float32)
    ours = applied(AUGMIX, images, own=0.25, weights=weights, operations=operations, magnitudes=magnitudes)
    # Inverted once, inverted twice (the image again), black.
    expected = 0.25 * images.double() + 0.25 * (255 - images.double()) + 0.3 * images.double()
    assert largest_difference(ours, expected.round()) <= 1


@pytest.mark.parametrize("operation", [RAND_AUGMENT, AUGMIX], ids=["rand-augment", "augmix"])
def test_images_are_grouped_by_operation_without_mixing_them_up(operation):
    images = textured(24)
    draws = drawn(operation, images)
    together = operation.apply(images, stack(draws))
    for number in range(24):
        alone = operation.apply(images[number : number + 1], stack(draws[number : number + 1]))
        assert largest_difference(alone[0], together[number]) <= 1
