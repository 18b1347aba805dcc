from dataclasses import replace

import numpy as np
import pytest
import torch

from eyeshot.augment import Operation, augmentation, stack
from eyeshot.augment.ops.geometric import Rotate
from eyeshot.augment.ops.mixing import MixUp
from eyeshot.core.errors import InputError


def test_parameters_of_single_images_are_stacked_by_type():
    rows = [
        {"angle": 1.5, "turns": 2, "on": True, "noise": np.ones((2, 2), np.float32), "box": np.ones(4, np.int32)}
    ] * 3
    stacked = stack(rows)
    assert stacked["angle"].dtype == torch.float32
    assert stacked["turns"].dtype == torch.int64
    assert stacked["on"].dtype == torch.bool
    assert stacked["noise"].shape == (3, 2, 2)
    assert stacked["noise"].dtype == torch.float32
    assert stacked["box"].dtype == torch.int64


def test_nothing_drawn_stacks_to_nothing():
    assert stack([]) == {}
    assert stack([{}, {}]) == {}


def test_the_fingerprint_follows_class_strength_and_version():
    class Newer(Rotate):
        version = 2

    prints = {
        Rotate(15.0).fingerprint,
        Rotate(30.0).fingerprint,
        Newer(15.0).fingerprint,
        MixUp(0.2).fingerprint,
    }
    assert len(prints) == 4
    assert Rotate(15.0).fingerprint == Rotate(15.0).fingerprint


def test_an_operation_that_is_no_dataclass_has_a_fingerprint_of_its_attributes():
    class Bare(Operation):
        draw = apply = None

        def __init__(self, strength):
            self.strength = strength

    assert Bare(1).fingerprint != Bare(2).fingerprint
    assert Bare(1).fingerprint == Bare(1).fingerprint


def test_the_fingerprint_of_a_candidate_leaves_out_its_probability():
    entry = augmentation("mirror")
    assert replace(entry, probability=0.1).fingerprint == entry.fingerprint
    assert replace(entry, name="my-mirror").fingerprint != entry.fingerprint


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_an_impossible_probability_is_refused(probability):
    with pytest.raises(InputError, match="between 0 and 1"):
        replace(augmentation("mirror"), probability=probability)


def test_mixing_without_partners_is_refused():
    with pytest.raises(TypeError, match="call mix"):
        MixUp(0.2).apply(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), {})
