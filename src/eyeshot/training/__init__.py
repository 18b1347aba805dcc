"""The one training loop, and the baseline that is trained in place."""

from eyeshot.training.baseline import Baseline, load_trained, train_baseline
from eyeshot.training.loop import train
from eyeshot.training.result import Accuracy, TrainResult, describe_hardware, describe_versions, read_result
from eyeshot.training.settings import TrainSettings, default_settings

__all__ = [
    "Accuracy",
    "Baseline",
    "TrainResult",
    "TrainSettings",
    "default_settings",
    "describe_hardware",
    "describe_versions",
    "load_trained",
    "read_result",
    "train",
    "train_baseline",
]
