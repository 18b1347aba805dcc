"""The folder of the team's real images, and the file of a result."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

# Like the command line; before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from eyeshot.core import CallbackProgress, describe_hardware
from eyeshot.core.files import make_folder, replacing

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SQUEEZENET = {"model": "torchvision.models:squeezenet1_0", "mean": (0.4824, 0.4588, 0.4078), "std": (1 / 255,) * 3}


def shared() -> Path:
    """The folder with real images and weights; if it is missing, the benchmark stops with a message."""
    folder = Path(os.environ.get("EYESHOT_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "pacs").is_dir():
        print(f"skipped: no real images at {folder}; set EYESHOT_SHARED to their folder")
        sys.exit(0)
    return folder


def flat(images: Path, folder: Path) -> Path:
    """A flat folder of links to all images, with names that contain no class; made once."""
    if folder.is_dir():
        return folder
    make_folder(folder)
    files = sorted(file for file in images.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    for number, file in enumerate(sorted(files, key=lambda file: hash_of(file))):
        (folder / f"{number:05d}{file.suffix.lower()}").symlink_to(file.resolve())
    return folder


def hash_of(file: Path) -> str:
    """Orders files without regard to their class."""
    import hashlib

    return hashlib.sha256(f"{file.parent.name}/{file.name}".encode()).hexdigest()


def squeezenet(folder: Path) -> dict[str, Any]:
    """Options of SqueezeNet with ImageNet weights."""
    return {
        **SQUEEZENET,
        "weights": folder / "weights" / "squeezenet1_0-imagenet.safetensors",
        "interpolation": "bilinear",
    }


def option(name: str, usual: str = "") -> str:
    """The value typed after an option."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else usual


def keep(name: str, result: dict[str, Any]) -> None:
    """Print a result and write it to `benchmarks/results/NAME.json`, with command and hardware."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    module = (spec.name if spec else Path(sys.argv[0]).stem).removesuffix(".__main__")
    result = {
        "command": f"python -m {' '.join([module, *sys.argv[1:]])}",
        "hardware": describe_hardware("cpu"),
    } | result
    make_folder(RESULTS)
    with replacing(RESULTS / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def said() -> CallbackProgress:
    """Progress as a line for each stage."""
    last = [""]

    def show(done: int, total: int, text: str) -> None:
        stage = text.split(": ")[0]
        if stage != last[0]:
            last[0] = stage
            print(stage, file=sys.stderr, flush=True)

    return CallbackProgress(show)
