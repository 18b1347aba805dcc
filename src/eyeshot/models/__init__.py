"""Models without their classifiers, their features on disk, and linear heads on these."""

from eyeshot.models.backbone import Backbone
from eyeshot.models.device import choose_device, gpu_errors_told
from eyeshot.models.feature_bank import FeatureBank
from eyeshot.models.features import extract, normalise, place, to_batch
from eyeshot.models.heads import Head, fit_head
from eyeshot.models.loading import DEFAULT_MODEL, DEFAULT_MODEL_REASON, load_backbone
from eyeshot.models.memory import out_of_memory, smaller_batches

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_MODEL_REASON",
    "Backbone",
    "FeatureBank",
    "Head",
    "choose_device",
    "extract",
    "fit_head",
    "gpu_errors_told",
    "load_backbone",
    "normalise",
    "out_of_memory",
    "place",
    "smaller_batches",
    "to_batch",
]
