"""Gains of short runs over clean, with their values on half-samples of images and starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eyeshot.rankings.augmentations.one_ranking import Gains
from eyeshot.sweep import Trial


@dataclass(frozen=True, eq=False)
class RunGains:
    """Gains of K candidates over clean.

    Attributes:
        head: mean probability that a head on frozen features gives the right class of validation images, as a share.
        validation: the same of the trained network.
        log_loss: the same images, in nats, of the network or, where it was not trained, of the head; shown beside them.
        cover: cover after the run, as a share of the target.
        hidden: accuracy on half hidden validation images.
    """

    head: Gains
    validation: Gains
    log_loss: Gains
    cover: Gains
    hidden: Gains


def gains_of_runs(
    runs: Sequence[Trial | None],
    head_losses: Sequence[NDArray[np.float64] | None],
    clean_loss: NDArray[np.float64] | None,
    *,
    val_halves: NDArray[np.bool_],
    targets: int,
) -> RunGains:
    """Gains over clean after as many steps from the same starts.

    Each half-sample holds a half of the validation images and of the starts, so that what another order of images
    would have brought is in the interval too; with one start it is not.

    Args:
        runs: K, None or without evaluations where the network was not trained.
        head_losses: K float64 (n_val,), log loss of a head on clean images and views; None without a head stage.
        clean_loss: float64 (n_val,), of a head on clean images; None where there is no head stage.
        val_halves: bool (B, n_val)
        targets: M, number of target images.
    """
    count, halves = len(runs), len(val_halves)
    found = {
        name: (np.full(count, np.nan), np.full((halves, count), np.nan))
        for name in ("head", "sure", "loss", "cover", "hidden")
    }
    for number, (run, head_loss) in enumerate(zip(runs, head_losses, strict=True)):
        if head_loss is not None and clean_loss is not None:
            _put(found["head"], number, *_image_gain((np.exp(-head_loss) - np.exp(-clean_loss))[None], val_halves))
        if run is not None and run.evaluations:
            pairs = list(zip(run.evaluations, run.reference, strict=True))
            losses = np.stack([clean.log_loss - one.log_loss for one, clean in pairs])
            _put(found["loss"], number, *_image_gain(losses, val_halves))
            sure = np.stack([np.exp(-one.log_loss) - np.exp(-clean.log_loss) for one, clean in pairs])
            _put(found["sure"], number, *_image_gain(sure, val_halves))
            covers = np.stack([one.cover_halves - clean.cover_halves for one, clean in pairs])
            value = float(np.mean([one.cover - clean.cover for one, clean in pairs]))
            _put(found["cover"], number, value, covers[chosen_starts(len(pairs), halves), np.arange(halves)])
            if len(run.evaluations[0].hidden_right):
                hidden = np.stack([1.0 * one.hidden_right - clean.hidden_right for one, clean in pairs])
                _put(found["hidden"], number, *_image_gain(hidden, val_halves))
        elif head_loss is not None and clean_loss is not None:
            _put(found["loss"], number, *_image_gain((clean_loss - head_loss)[None], val_halves))
    image = 1 / max(1, val_halves.shape[1])
    return RunGains(
        Gains(*found["head"], image),
        Gains(*found["sure"], image),
        Gains(*found["loss"], image, is_share=False),  # one nat in one image
        Gains(*found["cover"], 1 / max(1, targets)),
        Gains(*found["hidden"], image),
    )


def chosen_starts(starts: int, halves: int) -> NDArray[np.int64]:
    """Which start each half-sample reads: by turns."""
    return np.arange(halves) % starts


def _image_gain(gains: NDArray[np.float64], halves: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64]]:
    """Mean over starts and images of gains (S, n), and over each half's images from its start."""
    by_start = gains @ halves.T.astype(np.float64) / halves.sum(axis=1)
    return float(gains.mean()), by_start[chosen_starts(len(gains), len(halves)), np.arange(len(halves))]


def _put(
    where: tuple[NDArray[np.float64], NDArray[np.float64]], number: int, value: float, halves: NDArray[np.float64]
) -> None:
    where[0][number] = value
    where[1][:, number] = halves
