"""The one training loop, and the baseline that is trained in place."""

from eyeshot.training.baseline import train_baseline
from eyeshot.training.batches import joined
from eyeshot.training.classifier import read_images_with, start_state
from eyeshot.training.folders import TrainPlan, plan_training, train_folder
from eyeshot.training.loop import train
from eyeshot.training.result import Accuracy, TrainResult, discard_damaged, read_validation
from eyeshot.training.settings import TrainSettings, default_settings
from eyeshot.training.steps import State, train_steps

__all__ = [
    "Accuracy",
    "State",
    "TrainPlan",
    "TrainResult",
    "TrainSettings",
    "default_settings",
    "discard_damaged",
    "joined",
    "plan_training",
    "read_images_with",
    "read_validation",
    "start_state",
    "train",
    "train_baseline",
    "train_folder",
    "train_steps",
]
