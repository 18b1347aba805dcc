"""From a name on the command line to a backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from eyeshot.images import Geometry
from eyeshot.models import timm_models
from eyeshot.models.backbone import Backbone, count_features, fingerprint_of

DEFAULT_MODEL = "resnet18.a1_in1k"
DEFAULT_MODEL_REASON = "a small network (11.7 M parameters) that a laptop runs and most people know"


def load_backbone(
    model: str = DEFAULT_MODEL,
    *,
    weights: Path | None = None,
    from_scratch: bool = False,
    size: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    interpolation: str | None = None,
    fit: Literal["crop", "pad"] = "crop",
    class_count: int | None = None,
    seed: int = 0,
) -> Backbone:
    """Load a model by its name."""
    name, _, reason = timm_models.resolve_tag(model)
    module = timm_models.build(name, pretrained=not from_scratch).eval()
    found = timm_models.preparation(module)
    geometry = Geometry(
        size=size or found["input_size"][-1],
        crop_share=found["crop_pct"],
        interpolation=interpolation or found["interpolation"],
        fit=fit,
    )
    mean, std = mean or found["mean"], std or found["std"]
    return Backbone(
        name=name,
        module=module,
        geometry=geometry,
        mean=mean,
        std=std,
        feature_count=count_features(module, geometry.size),
        pretrained=not from_scratch,
        fingerprint=fingerprint_of(module, name, geometry, mean, std),
        reason=reason,
    )
