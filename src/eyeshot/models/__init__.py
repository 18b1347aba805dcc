"""Models without their classifiers, their features on disk, and what is fitted to these: probes and neighbours."""

from eyeshot.models.backbone import Backbone
from eyeshot.models.device import choose_device, gpu_errors_told
from eyeshot.models.domain_classifier import domain_classifier, domain_folds
from eyeshot.models.feature_bank import FeatureBank
from eyeshot.models.features import extract, normalise, place, to_batch
from eyeshot.models.linear_probe import COARSE, Head, OutOfFold, fit_head, out_of_fold
from eyeshot.models.loading import DEFAULT_MODEL, DEFAULT_MODEL_REASON, load_backbone
from eyeshot.models.memory import out_of_memory, smaller_batches
from eyeshot.models.neighbours import (
    distance_blocks,
    first_in_halves,
    nearest_neighbours,
    nearest_sorted,
    radii,
    radii_in_halves,
)
from eyeshot.models.probe_features import image_features, model_features, name_reader

__all__ = [
    "COARSE",
    "DEFAULT_MODEL",
    "DEFAULT_MODEL_REASON",
    "Backbone",
    "FeatureBank",
    "Head",
    "OutOfFold",
    "choose_device",
    "distance_blocks",
    "domain_classifier",
    "domain_folds",
    "extract",
    "first_in_halves",
    "fit_head",
    "gpu_errors_told",
    "image_features",
    "load_backbone",
    "model_features",
    "name_reader",
    "nearest_neighbours",
    "nearest_sorted",
    "normalise",
    "out_of_fold",
    "out_of_memory",
    "place",
    "radii",
    "radii_in_halves",
    "smaller_batches",
    "to_batch",
]
