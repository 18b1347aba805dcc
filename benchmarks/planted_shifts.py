"""Known answers: six shifts planted in real photographs; does the family that made the shift come first?

The shifts are made with Pillow, NumPy and SciPy and share nothing with the catalogue; their strengths were
committed before the first run. Training: PACS photographs; target: 500 others, changed. Model: SqueezeNet with
ImageNet weights at 96 px.

The answer is right if the family that made the shift has a member in the first tie group, which does not contain clean
and is at most a third of the candidates; or, if the shift hardly reduced the coverage of clean (ratio of `shift` at
least 0.95), if nothing beats clean. `--budget SECONDS` gives each of them short runs too; kept as
`planted_shifts_with_runs`. `--source sketch` plants the same in PACS drawings, for development; kept as
`planted_shifts_in_sketch` and so on. `--shifts noisy,grey` plants only these, and keeps nothing.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from benchmarks.common import hash_of, keep, option, said, shared, squeezenet
from eyeshot.core.files import make_folder
from eyeshot.rankings import AugmentationRanking, rank_augmentations

Pixels = NDArray[np.uint8]
TARGETS = 500
NO_COST = 0.95


def turned(image: Pixels, random: np.random.Generator) -> Pixels:
    """Turned by up to 25°; outside its edges the picture is mirrored."""
    return np.asarray(ndimage.rotate(image, random.uniform(-25, 25), reshape=False, order=1, mode="mirror"))


def inverted(image: Pixels, random: np.random.Generator) -> Pixels:
    """The negative."""
    return 255 - image


def blurred(image: Pixels, random: np.random.Generator) -> Pixels:
    """Gaussian blur, standard deviation 2 % of the side."""
    return np.asarray(ndimage.gaussian_filter(image, (0.02 * len(image), 0.02 * len(image), 0)))


def noisy(image: Pixels, random: np.random.Generator) -> Pixels:
    """Gaussian noise of 60 grey levels at the file's own size."""
    return np.clip(image + random.normal(0, 60, image.shape), 0, 255).astype(np.uint8)


def grey(image: Pixels, random: np.random.Generator) -> Pixels:
    """Grey, by Pillow's weights."""
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


def moved(image: Pixels, random: np.random.Generator) -> Pixels:
    """Moved by 15 to 30 % of the side in both directions; outside its edges the picture is mirrored."""
    down, right = (random.uniform(0.15, 0.30, 2) * random.choice([-1, 1], 2) * len(image)).round().astype(int)
    return np.asarray(ndimage.shift(image, (down, right, 0), order=0, mode="mirror"))


SHIFTS: dict[str, tuple[Callable[[Pixels, np.random.Generator], Pixels], str]] = {
    "turned": (turned, "geometric"),
    "inverted": (inverted, "colour"),
    "blurred": (blurred, "blur and noise"),
    "noisy": (noisy, "blur and noise"),
    "grey": (grey, "colour"),
    "moved": (moved, "geometric"),
}


def plant(folder: Path, data: Path) -> Path:
    """Write the six targets; returns the training folder with links to the other images."""
    files = sorted((file for file in data.rglob("*.*") if file.suffix in (".jpg", ".png")), key=hash_of)
    train = folder / "train"
    if train.is_dir():
        return train
    for name, (change, _) in SHIFTS.items():
        make_folder(folder / name)
        random = np.random.default_rng(0)
        for number, file in enumerate(files[:TARGETS]):
            image = np.asarray(Image.open(file).convert("RGB"))
            Image.fromarray(change(image, random)).save(folder / name / f"{number:04d}.png")
    for file in files[TARGETS:]:
        make_folder(train / file.parent.name)
        (train / file.parent.name / file.name).symlink_to(file.resolve())
    return train


def judge(result: AugmentationRanking, family: str) -> dict[str, object]:
    """Whether the answer is right, and why."""
    report = result.report
    ranked = report.of("ranked")
    first = [candidate for candidate in ranked if candidate.group == 1]
    with_clean = report.candidate("no-op").group == 1
    ratio = report.shift.ratio or 0.0
    found = (
        any(candidate.family == family for candidate in first)
        and not with_clean
        and 3 * len(first) <= len(report.candidates)
    )
    return {
        "right": found or (ratio >= NO_COST and with_clean),
        "family": family,
        "ratio": ratio,
        "weight": report.shift.weight,
        "clean_in_first_group": with_clean,
        "first_group": [[candidate.name, candidate.family, candidate.score] for candidate in first],
        "best_of_family": next(
            ([candidate.name, candidate.rank, candidate.score] for candidate in ranked if candidate.family == family),
            None,
        ),
    }


if __name__ == "__main__":
    folder = Path(option("--out") or tempfile.mkdtemp())
    budget_s = float(option("--budget", "0"))
    source = option("--source", "photo")
    shifts = option("--shifts", ",".join(SHIFTS)).split(",")
    data = shared()
    train = plant(folder, data / "data" / "pacs" / source)
    answers = {}
    for name in shifts:
        family = SHIFTS[name][1]
        print(f"== {name}", file=sys.stderr)
        result = rank_augmentations(
            train,
            cache=folder / "cache",
            progress=said(),
            test=folder / name,
            size=96,
            images=False,
            projections=(),
            budget_s=budget_s,
            **squeezenet(data),
        )
        answers[name] = judge(result, family)
    found = {"right": sum(bool(answer["right"]) for answer in answers.values()), "of": len(answers), "answers": answers}
    if len(answers) < len(SHIFTS):
        print(json.dumps(found, indent=2))
    else:
        name = "planted_shifts" + ("" if source == "photo" else f"_in_{source}")
        keep(name + ("_with_runs" if budget_s else ""), found)
