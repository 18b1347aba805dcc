"""Models of a ranking with made numbers."""

from typing import Any

from eyeshot.predictions import Accuracy
from eyeshot.rankings.models.report import ModelCost, Probe, RankedModel


def made_model(
    name: str,
    *,
    line: str = "ResNet",
    right: int = 90,
    n: int = 100,
    parameters: int = 1_000_000,
    seconds: float = 10.0,
    **fields: Any,
) -> RankedModel:
    """A model after rung 1."""
    cost = ModelCost(
        parameters=parameters, weights_bytes=4 * parameters, seconds_per_1000=seconds, timed_images=64,
        memory_bytes=1, memory_batch=1,
    )  # fmt: skip
    probe = Probe(accuracy=Accuracy.of_counts(right, n), log_loss=0.5, worst_classes=[], penalty=1.0, seconds=1.0)
    values = {"weights": "", "fingerprint": name, "size": 64, "feature_count": 8, "rank": 1} | fields
    return RankedModel(name=name, line=line, cost=cost, probe=probe, **values)
