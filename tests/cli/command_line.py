"""What tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HUB_MODELS = ("resnet18.a1_in1k", "vit_tiny_patch16_224.augreg_in21k_ft_in1k")
"""Those that README.md and docs/ name, which the fixture `hub` has weights of."""
MODEL = ("--model", "test_resnet.r160_in1k", "--from-scratch", "--size", "32")


class Done(NamedTuple):
    code: int
    out: str
    err: str


Eyeshot = Callable[..., Done]


class Digits(NamedTuple):
    train: Path
    test: Path


def tree(folder: Path) -> dict[str, int]:
    """All files below a folder, and when they were last written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
