"""Networks with the mean weights of several runs: model soups, Wortsman et al., ICML 2022."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError, Progress, find_workspace, key_of, listing
from eyeshot.ledger.ensemble_members import Candidate
from eyeshot.ledger.run_predictions import validation_images
from eyeshot.ledger.runs import find_run
from eyeshot.predictions import Predictions, align
from eyeshot.training import FinishedRun, read_result


class WeightSoups:
    """Averages the weights of the candidates whose networks agree, and predicts the validation images.

    Runs on several folds are left out: each has trained on images that the others are judged on.

    Args:
        candidates: on the same images in the same order.
        device: where the forward passes run.
        progress: told how far a forward pass is.

    Raises:
        InputError: fewer than two candidates have networks that agree.
    """

    def __init__(self, candidates: Sequence[Candidate], *, device: Any, progress: Progress) -> None:
        self.candidates, self.device, self.progress = candidates, device, progress
        groups: dict[str, list[int]] = {}
        self.folders: dict[int, Path] = {}
        for number, candidate in enumerate(candidates):
            folder = None if candidate.own else find_run(find_workspace().results("runs"), candidate.parts[0])
            result = None if folder is None or len(candidate.parts) > 1 else read_result(folder)
            if result is not None and folder is not None:
                self.folders[number] = folder
                network = key_of(
                    result.model, result.size, result.mean, result.std, result.fit, result.interpolation, result.classes
                )
                groups.setdefault(network, []).append(number)
        self.members = max(groups.values(), key=len, default=[])
        if len(self.members) < 2:
            raise InputError(
                "--soup averages the weights of at least 2 runs of one model and size that validated on the same "
                f"images, got {len(self.members)}. Train a model with several seeds, or leave --soup out."
            )
        self._known: dict[frozenset[int], NDArray[np.float16]] = {}
        self._right: dict[frozenset[int], NDArray[np.bool_]] = {}

    @property
    def note(self) -> str:
        """Which runs are averaged."""
        names = [self.candidates[number].name for number in self.members]
        return f"Weights are averaged over {listing(names)}."

    def uniform(self, rows: NDArray[np.bool_]) -> tuple[tuple[float, ...], NDArray[np.float16]]:
        """Weights of the candidates and probabilities (n, C) of the mean of all; nothing is chosen by `rows`."""
        return self._shares(self.members), self._probabilities(self.members)

    def greedy(self, rows: NDArray[np.bool_]) -> tuple[tuple[float, ...], NDArray[np.float16]]:
        """The same of a mean that a run joins if accuracy on the images `rows`, bool (n,), does not fall (Recipe 1)."""
        labels = self._labels
        own = [(self.candidates[number].table.right & rows).sum() for number in self.members]
        ordered = [self.members[place] for place in np.argsort(-np.array(own), kind="stable")]
        taken, best = ordered[:1], int(max(own))
        for number in ordered[1:]:
            tried = [*taken, number]
            right = int((self._probabilities(tried).argmax(1) == labels)[rows].sum())
            if right >= best:
                taken, best = tried, right
        return self._shares(taken), self._probabilities(taken)

    def save(self, weights: Sequence[float], folder: Path) -> None:
        """Write the mean of the candidates whose weight is not 0 to `weights.safetensors`."""
        taken = [number for number, weight in enumerate(weights) if weight]
        self._network(taken).save_weights(folder)

    @property
    def _labels(self) -> NDArray[np.int64]:
        labels = self.candidates[0].table.labels
        assert labels is not None
        return labels

    def _shares(self, taken: Sequence[int]) -> tuple[float, ...]:
        return tuple(1 / len(taken) if number in taken else 0.0 for number in range(len(self.candidates)))

    def _network(self, taken: Sequence[int]) -> FinishedRun:
        folders = [self.folders[number] for number in sorted(taken)]
        return FinishedRun(folders[0], device=self.device, weights=folders)

    def _probabilities(self, taken: Sequence[int]) -> NDArray[np.float16]:
        if len(taken) == 1:
            return np.asarray(self.candidates[taken[0]].table.probabilities, np.float16)
        chosen = frozenset(taken)
        if chosen not in self._known:
            network, table = self._network(taken), self.candidates[0].table
            cache = find_workspace().cache
            steps = self.progress.sub(f"mean weights of {len(taken)} runs")
            images = validation_images(network, table, cache, steps)
            (predicted,), skipped = network.predict(images, split="validation", cache=cache, progress=steps)
            if skipped:
                raise InputError(
                    f"The weights of runs are averaged on their validation images, but {len(skipped)} cannot be "
                    f"decoded: {listing([str(each.path) for each in skipped], most=3)}. Put them back, or leave "
                    "--soup out."
                )
            self._known[chosen] = _like(table, predicted)
        return self._known[chosen]


def _like(table: Predictions, predicted: Predictions) -> NDArray[np.float16]:
    """Probabilities with images and classes in the order of `table`."""
    return np.asarray(align([table, predicted])[1].probabilities, np.float16)
