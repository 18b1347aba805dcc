"""Augmentations: a catalogue, and augmented samples made of images by drawing parameters and applying them."""

from eyeshot.augment.augmentation import Augmentation
from eyeshot.augment.catalogue import augmentation, augmentations
from eyeshot.augment.operation import Mixing, Operation, Parameters, stack
from eyeshot.augment.preview import preview_grid
from eyeshot.augment.recipes import compose_lines
from eyeshot.augment.samples import AugmentedSamples, Pool, make_samples, sample_keys, sample_labels
from eyeshot.augment.user import check_augmentation, custom_augmentation

__all__ = [
    "Augmentation",
    "AugmentedSamples",
    "Mixing",
    "Operation",
    "Parameters",
    "Pool",
    "augmentation",
    "augmentations",
    "check_augmentation",
    "compose_lines",
    "custom_augmentation",
    "make_samples",
    "preview_grid",
    "sample_keys",
    "sample_labels",
    "stack",
]
