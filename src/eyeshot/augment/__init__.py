"""Augmentations: a catalogue, and views made of images by drawing parameters and applying them."""

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.catalogue import augmentation, augmentations
from eyeshot.augment.operation import Mixing, Operation, Parameters, stack
from eyeshot.augment.own import check_own, own_augmentation
from eyeshot.augment.plans import Pool
from eyeshot.augment.preview import preview_grid
from eyeshot.augment.recipes import compose_lines
from eyeshot.augment.views import Views, make_views, view_keys, view_labels

__all__ = [
    "Augmentation",
    "Mixing",
    "Operation",
    "Parameters",
    "Pool",
    "Views",
    "augmentation",
    "augmentations",
    "check_own",
    "compose_lines",
    "make_views",
    "own_augmentation",
    "preview_grid",
    "stack",
    "view_keys",
    "view_labels",
]
