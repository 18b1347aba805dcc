"""The contract lets good augmentations pass and finds the mistakes that people make."""

import inspect
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from eyeshot.augment import Operation, augmentation
from eyeshot.testing import AugmentationContract

TESTS = [name for name, _ in inspect.getmembers(AugmentationContract) if name.startswith("test_")]


@dataclass(frozen=True)
class Dim(Operation):
    """A user's own operation: darker by a random factor."""

    least: float = 0.5

    def draw(self, random, shape):
        return {"factor": random.uniform(self.least, 1.0)}

    def apply(self, images, parameters):
        return (images * parameters["factor"].view(-1, 1, 1, 1)).to(torch.uint8)


class Modifies(Dim):
    def apply(self, images, parameters):
        images //= 2
        return images


class DependsOnTheBatch(Dim):
    def apply(self, images, parameters):
        return (images.float() - images.float().mean()).clamp(0, 255).to(torch.uint8)


class GlobalRandomness(Dim):
    def draw(self, random, shape):
        return {"factor": np.random.uniform(0.2, 1.0)}


class RandomInApply(Dim):
    def apply(self, images, parameters):
        return torch.randint_like(images, 0, 255)


class FalselyDeterministic(Dim):
    deterministic: ClassVar[bool] = True


class FalselyRandom(Dim):
    def apply(self, images, parameters):
        return 255 - images


class WrongType(Dim):
    def apply(self, images, parameters):
        return images * parameters["factor"].view(-1, 1, 1, 1)


class WrongSize(Dim):
    def apply(self, images, parameters):
        return images[:, :, :-1]


class SquareOnly(Dim):
    def apply(self, images, parameters):
        return images.transpose(2, 3).contiguous()


class ScalarMask(Dim):
    def apply(self, images, parameters):
        return super().apply(images, parameters), torch.ones(1, 1, dtype=torch.bool)


def contract(operation):
    suite = AugmentationContract()
    suite.augmentation = replace(augmentation("jitter"), name="mine", operation=operation)
    return suite


def failures(operation):
    """Names of the contract's tests that `operation` does not pass."""
    failed = []
    for name in TESTS:
        try:
            getattr(contract(operation), name)()
        except Exception as error:
            if type(error).__name__ != "SkipTest":
                failed.append(name)
    return failed


def test_a_users_own_operation_passes():
    assert failures(Dim()) == []


@pytest.mark.parametrize(
    ("operation", "found_by"),
    [
        (Modifies(), "test_the_given_tensor_is_not_modified"),
        (DependsOnTheBatch(), "test_batch_size_and_order_change_nothing"),
        (GlobalRandomness(), "test_parameters_are_exactly_the_same_for_the_same_stream"),
        (RandomInApply(), "test_the_same_key_seed_and_draw_give_the_same_sample"),
        (FalselyDeterministic(), "test_draws_differ_unless_the_operation_says_that_they_do_not"),
        (FalselyRandom(), "test_draws_differ_unless_the_operation_says_that_they_do_not"),
        (WrongType(), "test_samples_have_the_shape_and_type_of_the_images"),
        (WrongSize(), "test_samples_have_the_shape_and_type_of_the_images"),
        (SquareOnly(), "test_any_size_is_accepted"),
        (ScalarMask(), "test_no_image_and_one_image_are_accepted"),
    ],
)
def test_a_mistake_is_found(operation, found_by):
    assert found_by in failures(operation)


def test_a_custom_class_that_cannot_be_pickled_is_found():
    @dataclass(frozen=True)
    class Local(Dim):
        pass

    assert "test_it_survives_the_way_to_another_process" in failures(Local())
