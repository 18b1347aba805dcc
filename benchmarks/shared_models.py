"""The networks of the team's shared weights that are no timm tags, for `--model` and `--models` with `--weights DIR`.

For instance `eyeshot audit TRAIN --model benchmarks.shared_models:squeezenet1_0 --weights ../shared/weights`. Each
names its own preparation of images in `pretrained_cfg`, as timm's networks do, so that several can be ranked by one
command. The two EfficientNets are timm tags (`tf_efficientnet_lite0.in1k`, `tf_efficientnet_lite2.in1k`): `--weights
DIR` finds their files by architecture.
"""

from __future__ import annotations

import timm
import torchvision
from timm.layers import freeze_batch_norm_2d
from torch import nn

from benchmarks.common import SQUEEZENET

HALF = (0.5, 0.5, 0.5)
EFFICIENTNETS = ("tf_efficientnet_lite0.in1k", "tf_efficientnet_lite2.in1k")
FACTORIES = tuple(
    f"benchmarks.shared_models:{name}" for name in ("squeezenet1_0", "tf2_mobilenetv2_100", "tf_mobilenetv2_100")
)
MODELS = (*EFFICIENTNETS, *FACTORIES)
"""All five, as `--models` takes them."""


def squeezenet1_0() -> nn.Module:
    """SqueezeNet 1.0 of torchvision (ImageNet)."""
    network: nn.Module = torchvision.models.squeezenet1_0(weights=None)
    network.pretrained_cfg = {  # type: ignore[assignment]
        "input_size": (3, 224, 224), "crop_pct": 1.0, "interpolation": "bilinear",
        "mean": SQUEEZENET["mean"], "std": SQUEEZENET["std"],
    }  # fmt: skip
    return network


def tf2_mobilenetv2_100() -> nn.Module:
    """MobileNetV2 (ImageNet), from TensorFlow."""
    return _mobilenet(1000)


def tf_mobilenetv2_100() -> nn.Module:
    """MobileNetV2 of 964 bird species and background (iNaturalist), from TensorFlow."""
    return _mobilenet(965)


def _mobilenet(class_count: int) -> nn.Module:
    network: nn.Module = timm.create_model("mobilenetv2_100", num_classes=class_count, pad_type="same")
    network.pretrained_cfg = {**network.pretrained_cfg, "mean": HALF, "std": HALF}  # type: ignore[dict-item, assignment]
    # Batch norm is folded into the convolutions: what is left of it adds a bias, and must not follow the batches.
    return freeze_batch_norm_2d(network)  # type: ignore[no-any-return]
