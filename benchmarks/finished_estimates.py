"""How near estimates of accuracy without labels come for finished trainings of all candidates, and how they order them.

Each candidate is trained to the end by the recipe of the truth, with one seed. Its probabilities on the validation
images and on each target are kept in the work folder, so the same command continues, and `--cpu-minutes 0` scores what
is there.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.augmentation_truth.recipes import CANDIDATES, CONTROLS
from benchmarks.augmentation_truth.runner import Bench
from benchmarks.augmentation_truth.trained import train_and_read
from benchmarks.common import option, shared
from benchmarks.target_accuracy import SEED, open_source
from eyeshot.core.files import make_folder, replacing

TRAINED = (("squeezenet-tuned", "photo"), ("small-cnn", "digits"))
"""Networks and their sources."""
NAMES = ("clean", "trivial-augment", *(name for name in CANDIDATES if name != "trivial-augment"), *CONTROLS[1:])

Probabilities = dict[str, NDArray[np.float32]]


def kept(bench: Bench, name: str, work: Path) -> Path:
    """The file with the probabilities of a training; its name changes with the recipe, the images and the candidate."""
    folder = work / "probabilities" / f"{bench.task.name}-{bench.model.name}"
    return folder / f"{name}-{SEED}-{bench.recipe}-{bench.catalogue[name]}.npz"


def train_missing(work: Path, cpu_minutes: float) -> None:
    """Train what has no probabilities yet; none begins after `cpu_minutes` of this process."""
    for model, source in TRAINED:
        bench = None
        for name in NAMES:
            if time.process_time() > 60 * cpu_minutes:
                return
            bench = bench or open_source(source, model, CANDIDATES, work)
            file = kept(bench, name, work)
            if file.is_file():
                continue
            begin = time.process_time()
            backbone = bench.model.load(source, seed=SEED)
            settings = bench.model.settings(backbone, len(bench.data.train.labels), seed=SEED)
            _, found = train_and_read(
                backbone, bench.data, bench.candidates[name], settings, folder=work / "runs" / file.stem
            )
            make_folder(file.parent)
            with replacing(file) as temporary, open(temporary, "wb") as stream:
                np.savez(stream, **found)
            print(source, model, name, f"{time.process_time() - begin:.0f} s of CPU", flush=True)


def main() -> None:
    """Train what is missing, score everything that is there, and keep table and figures."""
    shared()
    work = Path(option("--work", "eyeshot-out/finished-estimates"))
    train_missing(work, float(option("--cpu-minutes", "inf")))


if __name__ == "__main__":
    main()
