"""The one training loop, and the baseline that is trained in place."""

from eyeshot.training.baseline import Baseline, load_trained, train_baseline
from eyeshot.training.batches import joined
from eyeshot.training.classifier import Outputs, read_images_with, start_state
from eyeshot.training.folders import TrainPlan, plan_training, train_folder
from eyeshot.training.loop import train
from eyeshot.training.machine import describe_hardware, describe_versions
from eyeshot.training.result import (
    Accuracy,
    EpochRecord,
    TrainResult,
    discard_damaged,
    read_result,
    read_validation,
    wilson,
)
from eyeshot.training.settings import TrainSettings, default_settings
from eyeshot.training.steps import State, train_steps

__all__ = [
    "Accuracy",
    "Baseline",
    "EpochRecord",
    "Outputs",
    "State",
    "TrainPlan",
    "TrainResult",
    "TrainSettings",
    "default_settings",
    "describe_hardware",
    "describe_versions",
    "discard_damaged",
    "joined",
    "load_trained",
    "plan_training",
    "read_images_with",
    "read_result",
    "read_validation",
    "start_state",
    "train",
    "train_baseline",
    "train_folder",
    "train_steps",
    "wilson",
]
