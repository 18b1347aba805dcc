"""The curves of a run as a picture, `curves.svg`: loss, accuracy and learning rate over the steps."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import replacing
from eyeshot.training.run_log import read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES_FILE = "curves.svg"
MOST_POINTS = 400
"""Points of a curve: more than the picture has columns to tell apart, and a run of 100,000 steps stays a small file."""
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "eyeshot", "font.family": "sans-serif", "font.size": 11,
    "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip
TRAIN, VAL, RATE = "#0b6e99", "#c2571a", "#5b5b5b"


def draw_curves(folder: Path, *, title: str) -> Path:
    """Draw `curves.svg` of the run in `folder` from its `metrics.jsonl`; the same metrics give the same file.

    Args:
        folder: of the run.
        title: above the picture.

    Returns:
        the file.

    Raises:
        StorageError: it cannot be written.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    steps, epochs = read_metrics(folder)
    file = folder / CURVES_FILE
    # Without pyplot, and whatever the user's own matplotlibrc contains.
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(9, 8))
        # Fixed, since matplotlib's layout engine takes longer than all the rest of a small run.
        figure.subplots_adjust(left=0.1, right=0.97, top=0.93, bottom=0.07, hspace=0.12)
        loss, accuracy, rate = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1.5])
        figure.suptitle(title, x=0.02, ha="left", fontweight="bold")
        at, values = binned(steps, "loss")
        loss.plot(at, values, color=TRAIN, linewidth=1.4, label="loss of the training batches")
        loss.set_ylabel("loss")
        loss.set_ylim(bottom=0)
        _epochs(accuracy, epochs, "train_accuracy", TRAIN, "training batches, as they were seen")
        _epochs(accuracy, epochs, "val_accuracy", VAL, "validation, clean")
        accuracy.set_ylabel("accuracy")
        accuracy.set_ylim(0, 1.02)
        at, values = binned(steps, "learning_rate")
        rate.plot(at, values, color=RATE, linewidth=1.4)
        rate.set_ylabel("learning rate")
        rate.set_ylim(bottom=0)
        rate.set_xlabel("step")
        for axes in (loss, accuracy):
            if axes.lines:
                axes.legend(frameon=False)
        picture = io.StringIO()
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": "eyeshot", "Title": title})
    with replacing(file) as temporary:
        temporary.write_text(picture.getvalue(), encoding="utf-8")
    return file


def binned(steps: list[dict[str, Any]], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A quantity over the steps, in at most `MOST_POINTS` means of neighbouring steps; missing values are left out.

    Returns:
        step and value of each point.
    """
    pairs = [(fields["step"], fields[name]) for fields in steps if fields.get(name) is not None]
    if not pairs:
        return np.empty(0), np.empty(0)
    values = np.array(pairs, dtype=np.float64)
    parts = np.array_split(values, min(MOST_POINTS, len(values)))
    means = np.array([part.mean(0) for part in parts])
    return means[:, 0], means[:, 1]


def _epochs(axes: Axes, epochs: list[dict[str, Any]], name: str, colour: str, label: str) -> None:
    pairs = [(fields["step"], fields[name]) for fields in epochs if fields.get(name) is not None]
    if pairs:
        at, values = zip(*pairs, strict=True)
        axes.plot(at, values, color=colour, marker="o", markersize=3, linewidth=1.4, label=label)
