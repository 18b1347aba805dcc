"""Writes a policy as one plain Python file for torchvision pipelines, which gives the same pixels without eyeshot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eyeshot.augment import LEVELS, PolicyStep, policy_augmentation, stack
from eyeshot.core import listing, replacing
from eyeshot.training.script.rendering import render
from eyeshot.training.script.sources import Sources

IMPORTS = (
    "import hashlib", "import io", "import math", "from collections.abc import Callable",
    "from dataclasses import dataclass", "import numpy as np", "import torch", "import torch.nn.functional as F",
    "from PIL import Image", "from __future__ import annotations",
)  # fmt: skip
BASES = ("Operation", "FixedOperation", "DrawnOperation", "Mixing", "Parameters")
"""Classes that the templates define, so that their sources are not copied."""


def write_policy_script(steps: Sequence[PolicyStep], file: Path) -> None:
    """Write `file` for a policy; it needs NumPy, Pillow and torch.

    Raises:
        StorageError: it cannot be written.
    """
    text = policy_script(steps)
    with replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def policy_script(steps: Sequence[PolicyStep]) -> str:
    """The text of the file; the steps have the same stages."""
    sources = Sources(set(BASES))
    augmentations = [policy_augmentation(step) for step in steps]
    expressions = [(own.stream, own.probability, sources.expression(own.operation)) for own in augmentations]
    copied = sources.take()
    sources.add(stack)
    operations = [own.operation for own in augmentations]
    return render(
        "policy.py.j2",
        title=f"A policy of augmentation: {listing([step.operation for step in steps]) or 'clean images'}.",
        imports={*IMPORTS, *sources.imports},
        augmentations=expressions,
        augmentation_sources=copied,
        stack_sources=sources.take(),
        operations=" ".join(each for *_, each in expressions),
        stages=[(start, end, LEVELS[level]) for level, start, end in steps[0].stages] if steps else [],
        mixing=any(operation.partners for operation in operations),
        mixes_labels=any(operation.mixes_labels for operation in operations),
        can_fail=any(own.family == "edge and texture" for own in augmentations),
    )
