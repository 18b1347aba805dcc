"""Does memory depend on the number of images? The main job with short runs on 1,000 and on 20,000, peak of the process.

`python -m benchmarks.memory`. Images are generated: digits before clouds of colour, as JPEG of 64 px in class folders;
the model is trained from scratch at 64 px, with half of all images for its baseline. The store of decoded pixels grows
with N and is a memory-mapped file: its size is reported with the peak.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import keep
from eyeshot.core.files import folder_bytes, make_folder
from eyeshot.data.digits import large_digits

COUNTS = (1_000, 20_000)
SIDE = 64
COMMAND = [
    "--from-scratch", "--model", "test_resnet.r160_in1k", "--size", str(SIDE),
    "--budget", "90s", "--scratch-time", "60",
    "--candidates", "invert", "--candidates", "mirror", "--candidates", "rotate-15", "--candidates", "mixup",
]  # fmt: skip


def write(folder: Path, count: int) -> tuple[Path, Path]:
    """Write `count` training images in class folders, and 700 target images."""
    images, labels = large_digits()
    random = np.random.default_rng(0)
    for number in range(count + 700):
        row = int(random.integers(len(images)))
        picture = Image.fromarray(images[row]).convert("RGB").resize((SIDE, SIDE))
        # Each digit has its own clouds: held-out images that copy a training image would be left out.
        clouds = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).resize(
            (SIDE, SIDE), Image.Resampling.BICUBIC
        )
        picture = Image.blend(picture, clouds, 0.5)
        place = folder / "train" / str(labels[row]) if number < count else folder / "test"
        place.mkdir(parents=True, exist_ok=True)
        picture.save(place / f"{number}.jpg", quality=90)
    return folder / "train", folder / "test"


def measure(count: int) -> dict[str, float]:
    """Peak memory of a separate process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train, test = write(folder, count)
        here = make_folder(folder / "here")
        code = (
            "import resource, sys; from eyeshot.cli import main\n"
            "try:\n    main()\nfinally:\n"
            "    print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "cover", str(train), "--test", str(test), *COMMAND],
            cwd=here, capture_output=True, text=True, check=False,
            env={**os.environ, "EYESHOT_CACHE": str(here / "cache")},
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"eyeshot cover on {count:,} images ended with {done.returncode}:\n{done.stderr[-2000:]}")
        peak = next(int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("PEAK"))
        store = sum(folder_bytes(each) for each in (here / "cache").glob("pixels*"))
        return {"images": count, "peak_mib": round(peak / 1024, 1), "store_mib": round(store / 2**20, 1)}


if __name__ == "__main__":
    few, many = (measure(count) for count in COUNTS)
    keep(
        "memory",
        {
            "few": few,
            "many": many,
            "growth_mib": many["peak_mib"] - few["peak_mib"],
            "growth_of_the_store_mib": many["store_mib"] - few["store_mib"],
            "ratio_of_peaks": round(many["peak_mib"] / few["peak_mib"], 3),
        },
    )
