"""Does the augmented training cloud cover the target? The heart of eyeshot."""

from eyeshot.coverage.cover import cover
from eyeshot.coverage.estimate import estimate
from eyeshot.coverage.models_compared import compare_models
from eyeshot.coverage.plan import Plan, prepare
from eyeshot.coverage.report import Candidate, CoverReport, ModelRow
from eyeshot.coverage.result import Cover, CoverMap

__all__ = [
    "Candidate",
    "Cover",
    "CoverMap",
    "CoverReport",
    "ModelRow",
    "Plan",
    "compare_models",
    "cover",
    "estimate",
    "prepare",
]
