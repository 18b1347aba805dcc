"""The pictures of docs/tour.md: a small project goes the whole way, and Chromium takes pictures of its pages.

`python -m benchmarks.tour --weights WEIGHTS`: the folder holds timm weights named by tag (two or more models). The images
are the digits of `eyeshot demo`, with faults put in: a duplicate, a flipped one, a picture under two labels, a leak.
`--folder` keeps the project, and the same command then goes on where it stopped; `--out` is where pictures go.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from eyeshot.data import write_digits

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 1280, 860
QUALITY = 80
MODEL = "tf_efficientnet_lite0.in1k"
STEPS: tuple[tuple[str, ...], ...] = (
    ("init", "train", "--test", "test", "--force"),
    ("audit",),
    ("decisions", "apply", "--policy", "drop-both"),
    ("decisions", "apply", "--policy", "drop-leaks"),
    ("decisions", "apply", "--policy", "keep-one"),
    ("split", "--folds", "5", "--val-share", "0.25"),
    ("rank", "models", "--weights", "weights", "--size", "32", "--budget", "4m"),
    ("rank", "augmentations", "--model", MODEL, "--weights", "weights", "--size", "32", "--budget", "4m"),
    ("train", "--model", MODEL, "--weights", "weights", "--size", "32", "--epochs", "4"),
    ("train", "--model", MODEL, "--weights", "weights", "--size", "32", "--epochs", "4", "--seed", "1"),
)
"""What is typed until there is a first run, with two seeds so that the noise is known."""
TRIALS = (
    ("test images are inverted, and invert covers them", "augmentation=invert", "same accuracy"),
    ("smoother labels may help", "training.label_smoothing=0.1", "up accuracy"),
    ("twice the epochs", "training.epochs=8", "up accuracy"),
    ("a rate that is ten times lower learns too slowly", "training.learning_rate=2e-5", "down accuracy"),
    ("masking may help on strokes", "augmentation=erasing", "up accuracy"),
)
"""Experiments: why, what changes, what is expected."""
AFTER: tuple[tuple[str, ...], ...] = (
    ("learned", "latest", "masked strokes of a digit of 32 pixels leave too little to read"),
    ("insight", "latest", "9 and 5 are confused: look at their labels"),
    ("errors",),
    ("ensemble", "latest", "previous"),
    ("predict", "latest"),
    ("write", "goal", "Read handwritten digits whose test images were changed."),
    ("report",),
)


def eyeshot(folder: Path, *words: str) -> str:
    """Type a command in the project; what it printed."""
    print("eyeshot", *words, flush=True)
    command = [sys.executable, "-m", "eyeshot", *words]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True)
    return done.stdout


def write_project(folder: Path, weights: Path) -> None:
    """Digits with faults that the audit should find."""
    train, test = write_digits(folder, seed=0)
    zeros, ones = (sorted((train / name).glob("*.png")) for name in ("0", "1"))
    shutil.copy(zeros[0], train / "0" / "copied.png")
    ImageOps.mirror(Image.open(zeros[1])).save(train / "0" / "mirrored.png")
    shutil.copy(ones[0], train / "7" / "also-a-one.png")
    shutil.copy(zeros[2], test / "leaked.png")
    if not (folder / "weights").exists():
        shutil.copytree(weights, folder / "weights")


def go_the_way(folder: Path) -> None:
    """All commands of the tour; each goes on where it was stopped."""
    for words in STEPS:
        eyeshot(folder, *words)
    for why, change, expected in TRIALS:
        eyeshot(folder, "try", why, "--set", change, "--expect", expected)
    for words in AFTER:
        eyeshot(folder, *words)


@contextmanager
def served(folder: Path, *words: str) -> Iterator[str]:
    """A command that serves a page, and the address of the page."""
    command = [sys.executable, "-u", "-m", "eyeshot", *words, "--no-open"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                yield found[0]
                return
        raise RuntimeError(f"eyeshot {' '.join(words)} ended without an address")
    finally:
        process.terminate()
        process.wait(timeout=30)


def take(browser: Any, address: str, file: Path, *, ready: str = "body", height: int = HEIGHT) -> None:
    """A picture of the top of a page."""
    page = browser.new_page(viewport={"width": WIDTH, "height": height})
    page.goto(address)
    page.wait_for_selector(ready)
    page.wait_for_timeout(1500)  # pictures of a page come after it, and nothing says that the last is there
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(file, "WEBP", quality=QUALITY, method=6)
    page.close()
    print(f"{file.name}: {file.stat().st_size / 1024:.0f} kB", flush=True)


def take_all(folder: Path, out: Path) -> None:
    """All pictures of the tour."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    results = folder / "eyeshot-out"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        for name in ("audit", "models", "augmentations", "errors", "report"):
            take(browser, (results / name / f"{name}.html").as_uri(), out / f"{name}.webp")
        with served(folder, "review") as address:
            take(browser, address, out / "review.webp")
        with served(folder, "open") as address:
            take(browser, address, out / "overview.webp", ready="html[data-ready]")
            separator = "&" if "?" in address else "?"
            take(browser, f"{address}{separator}tab=experiments", out / "experiments.webp", ready="html[data-ready]")
        browser.close()


def main() -> None:
    """Make the project, and take its pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    options = parser.parse_args()
    os.environ.setdefault("EYESHOT_AUTHOR", "ann")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_project(folder, options.weights)
        go_the_way(folder)
        options.out.mkdir(parents=True, exist_ok=True)
        take_all(folder, options.out)


if __name__ == "__main__":
    main()
