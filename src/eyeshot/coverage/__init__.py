"""Does the augmented training cloud cover the target? The heart of eyeshot."""

from eyeshot.coverage.cover import Plan, cover, prepare
from eyeshot.coverage.estimate import Cost, estimate
from eyeshot.coverage.result import Candidate, Cover, CoverMap, CoverReport, Pictures, Projection

__all__ = [
    "Candidate",
    "Cost",
    "Cover",
    "CoverMap",
    "CoverReport",
    "Pictures",
    "Plan",
    "Projection",
    "cover",
    "estimate",
    "prepare",
]
