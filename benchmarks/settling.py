"""How the ranking changes with the number of source images and of draws: the reason for the defaults.

PACS photographs, target PACS drawings, SqueezeNet with ImageNet weights at 64 px. Spearman's correlation of the gains
of the ranked candidates with those of the largest setting, and with those of another seed at the same setting (other
sources, held-out images, draws and target images).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import flat, keep, option, said, shared, squeezenet
from eyeshot.core import spearman
from eyeshot.core.files import make_folder
from eyeshot.rankings import rank_augmentations

SETTINGS = [(600, 6), (600, 3), (600, 2), (600, 1), (300, 3), (150, 3)]

if __name__ == "__main__":
    data = shared()
    out = make_folder(Path(option("--out") or tempfile.mkdtemp()))
    target = flat(data / "data" / "pacs" / "sketch", out / "sketch-flat")
    gains: dict[tuple[int, int, int], dict[str, float]] = {}
    for sample, draws in SETTINGS:
        for seed in (0, 1):
            print(f"== {sample} sources, {draws} draws, seed {seed}", file=sys.stderr)
            report = rank_augmentations(
                data / "data" / "pacs" / "photo",
                cache=out / "cache",
                progress=said(),
                test=target,
                size=64,
                max_images=sample,
                samples_per_image=draws,
                seed=seed,
                images=False,
                projections=(),
                **squeezenet(data),
            ).report
            gains[sample, draws, seed] = {
                candidate.name: candidate.score or 0.0
                for candidate in report.candidates
                if candidate.family not in ("control", "mixing")
            }

    def agreement(setting: tuple[int, int, int], other: tuple[int, int, int]) -> float | None:
        names = sorted(gains[setting])
        first, second = (np.array([gains[key][name] for name in names]) for key in (setting, other))
        return spearman(first, second)

    rows = [
        {
            "sources": sample,
            "samples_per_image": draws,
            "spearman_with_largest": agreement((sample, draws, 0), (*SETTINGS[0], 0)),
            "spearman_with_other_seed": agreement((sample, draws, 0), (sample, draws, 1)),
        }
        for sample, draws in SETTINGS
    ]
    keep("settling", {"n_candidates": len(next(iter(gains.values()))), "rows": rows})
