"""The images of a ranking of models: labelled images with the folds that judge them, and test images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import Progress, key_of, plural
from eyeshot.data import DataConfig, Dataset, Fold, ImageTable, load_folds, sample_rows

MOST_CHOOSING = 400
"""Test images that choose between models: fine-tuned networks must predict them too, within the budget. The estimate is
then known within 5 points, and differences of two models, which are paired, within less."""


@dataclass(frozen=True, eq=False)
class RankingData:
    """The images that all models are judged on.

    Attributes:
        dataset: labelled images in their roles.
        folds: rows that train and rows that are judged, of each fold.
        judged: int64 (n,), ascending, rows that some fold judges.
        test: test images, each file once; None without a test folder.
        key: hash of all of this.
        notes: what was done, in sentences.
    """

    dataset: Dataset
    folds: list[Fold]
    judged: NDArray[np.int64]
    test: ImageTable | None
    key: str
    notes: list[str]

    @property
    def images(self) -> ImageTable:
        """The table that all rows refer to."""
        return self.dataset.images

    @property
    def used(self) -> NDArray[np.int64]:
        """Ascending rows that train or are judged in some fold: their features are needed."""
        return np.unique(np.concatenate([rows for fold in self.folds for rows in fold]))

    @property
    def choosing(self) -> NDArray[np.int64]:
        """Rows of the test images that choose between models; empty without any."""
        return np.empty(0, np.int64) if self.test is None else sample_rows(self.test, MOST_CHOOSING, seed=0)

    @property
    def n_passes(self) -> int:
        """Images that pass through each model."""
        return len(self.used) + (0 if self.test is None else len(self.test))


def load_ranking_data(
    config: DataConfig, *, max_test: int, cache: Path, workers: int | None, progress: Progress
) -> RankingData:
    """Read the images, and make the folds.

    Args:
        config: the images.
        max_test: largest number of test images that are used.
        cache: folder of all caches.
        workers: threads that read and decode.
        progress: called with the progress.

    Raises:
        InputError: as `load_folds`.
    """
    dataset, folds, more = load_folds(config, cache=cache, workers=workers, progress=progress)
    notes = [*dataset.notes, *more]
    test = dataset.test
    if test is not None:
        _, first = np.unique(np.array(test.contents), return_index=True)
        different = test.take(np.sort(first))
        if len(different) < len(test):
            count = len(test) - len(different)
            notes.append(f"{count} test {plural(count, 'file is', 'files are')} equal to others: each counts once.")
        test = different.take(sample_rows(different, max_test, seed=config.seed))
        if len(test) < len(different):
            notes.append(f"{len(test)} of {len(different)} test images are used (--max-test).")
    judged = np.sort(np.concatenate([rows for _, rows in folds]))
    key = key_of(
        list(dataset.images.contents), dataset.images.labels, list(dataset.classes), dataset.groups,
        [list(fold) for fold in folds], None if test is None else list(test.contents), config.seed,
    )  # fmt: skip
    return RankingData(dataset, folds, judged, test, key, notes)
