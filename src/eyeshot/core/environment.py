"""Hardware and versions that numbers were computed with, for every result file."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PACKAGES = ("eyeshot", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pillow")


def describe_hardware(device: torch.device | str = "cpu") -> str:
    """The machine in words: "NVIDIA H100, 16 cores, x86_64, Linux"."""
    import torch  # heavy, and nothing else in this package needs it

    device = torch.device(device)
    processor = {"cuda": "CUDA", "mps": "Apple GPU"}.get(device.type, "CPU")
    if device.type == "cuda":
        processor = torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{processor}, {os.cpu_count()} cores ({threads} threads), {platform.machine()}, {platform.system()}"


def describe_versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on."""
    versions = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions
