"""Features computed once and kept on disk, keyed by what they depend on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool, make_samples, sample_keys, sample_labels
from eyeshot.core import SILENT, ArrayCache, Progress, read_description
from eyeshot.models.backbone import Backbone
from eyeshot.models.features import extract
from eyeshot.models.memory import smaller_batches

CHUNK_BYTES = 32 << 20
CHUNK_ROWS = 512
FLOAT16_LARGEST = 65504.0


class ViewFeatures(NamedTuple):
    """Features of one draw of views.

    Attributes:
        features: float16 (n, D); float32 where the model's features do not fit into float16.
        success: bool (n,); where False the operation failed and the features are those of the clean image.
        sources: int64 (n, P), positions in the pool; the image itself first.
        weights: float32 (n, P), label weights of the sources; rows sum to 1.
    """

    features: NDArray[np.floating]
    success: NDArray[np.bool_]
    sources: NDArray[np.int64]
    weights: NDArray[np.float32]


class FeatureBank:
    """Features of clean images and of views for one backbone; only what is missing is computed.

    Rows are written in chunks, so that a kill loses one chunk at most; several processes may share a bank.

    Args:
        cache: the cache folder; the bank lies in `features/<fingerprint of the backbone>` of it.
        backbone: the model.
        device: where views are made and the model runs.
        batch_size: images at once through the model.

    Attributes:
        augment_s, forward_s: seconds spent so far on making views, and on the model.
        batch_size: images at once through the model; less than was given once the device had no room for them.
        computed: rows that this object computed so far; the others came from disk.
    """

    def __init__(
        self, cache: Path, backbone: Backbone, *, device: torch.device | str = "cpu", batch_size: int = 64
    ) -> None:
        self.backbone = backbone
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.folder = cache / "features" / backbone.fingerprint
        self.augment_s = 0.0
        self.forward_s = 0.0
        self.computed = 0
        pixels = 3 * backbone.geometry.size**2
        self.chunk = max(batch_size, min(CHUNK_ROWS, CHUNK_BYTES // pixels))
        self._store: ArrayCache | None = None

    def clean(self, pool: Pool, rows: NDArray[np.int64], *, progress: Progress = SILENT) -> NDArray[np.floating]:
        """Features of unchanged images.

        Args:
            pool: the images.
            rows: int64 (n,), positions in the pool.
            progress: told how many of the missing ones are done, after each chunk.

        Returns:
            float16 (n, D); float32 where the model's features do not fit into float16.
        """
        keys = [pool.keys[row] for row in rows]
        missing = self._missing(keys)
        for part in self._chunks(missing):
            pixels = np.asarray(pool.images[rows[part]])
            found = self._extract(pixels)
            self._append([keys[position] for position in part], found, np.ones(len(part), bool))
            progress(self._done(missing, part), len(missing))
        return self._read(keys)[0]

    def views(
        self,
        augmentation: Augmentation | Sequence[Augmentation],
        pool: Pool,
        rows: NDArray[np.int64],
        *,
        seed: int,
        draw: int,
        progress: Progress = SILENT,
    ) -> ViewFeatures:
        """Features of one draw of views, with what their labels follow from.

        Args:
            augmentation: one, or several in order, of which the last is applied to every image; see `make_samples`.
            pool: the images, also those that mixing takes its partners from.
            rows: int64 (n,), positions in the pool.
            seed, draw: which views.
            progress: told how many of the missing ones are done, after each chunk.
        """
        keys = sample_keys(augmentation, pool, rows, seed=seed, draw=draw)
        missing = self._missing(keys)
        for part in self._chunks(missing):
            begin = time.perf_counter()
            views = make_samples(augmentation, pool, rows[part], seed=seed, draw=draw, device=self.device)
            success = views.success.cpu().numpy()  # waits for the device, so that its time is counted here
            self.augment_s += time.perf_counter() - begin
            found = self._extract(views.images)
            self._append([keys[position] for position in part], found, success)
            progress(self._done(missing, part), len(missing))
        features, success = self._read(keys)
        # Labels follow from the drawn parameters: no pixel is touched for them.
        sources, weights = sample_labels(augmentation, pool, rows, seed=seed, draw=draw)
        return ViewFeatures(features, success, sources.numpy(), weights.numpy())

    def _chunks(self, missing: Sequence[int]) -> list[NDArray[np.int64]]:
        positions = np.asarray(missing, np.int64)
        return [positions[start : start + self.chunk] for start in range(0, len(positions), self.chunk)]

    @staticmethod
    def _done(missing: Sequence[int], part: NDArray[np.int64]) -> int:
        return int(np.searchsorted(missing, part[-1])) + 1

    def _extract(self, images: torch.Tensor | NDArray[np.uint8]) -> NDArray[np.float32]:
        begin = time.perf_counter()
        found, self.batch_size = smaller_batches(
            lambda size: extract(self.backbone, images, device=self.device, batch_size=size),
            self.batch_size,
        )
        self.forward_s += time.perf_counter() - begin
        return found

    def _open(self) -> ArrayCache | None:
        if self._store is None and (description := read_description(self.folder)) is not None:
            self._store = ArrayCache(self.folder, shape=(self.backbone.feature_count + 1,), dtype=description[1])
        return self._store

    def _missing(self, keys: Sequence[str]) -> list[int]:
        store = self._open()
        if store is not None:
            return store.missing(keys)
        return sorted({key: position for position, key in reversed(list(enumerate(keys)))}.values())

    def _append(self, keys: Sequence[str], features: NDArray[np.float32], success: NDArray[np.bool_]) -> None:
        store = self._open()
        if store is None:
            dtype = "float16" if _fits_half(features) else "float32"
            store = self._store = ArrayCache(self.folder, shape=(self.backbone.feature_count + 1,), dtype=dtype)
        rows = np.concatenate([features, success[:, None]], axis=1)
        if store.dtype == np.float16:
            # The type leaves room for four times the first chunk's largest feature; beyond it, far is far.
            rows = rows.clip(-FLOAT16_LARGEST, FLOAT16_LARGEST)
        store.append(keys, rows.astype(store.dtype))
        self.computed += len(keys)

    def _read(self, keys: Sequence[str]) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        store = self._open()
        if store is None:
            return np.empty((0, self.backbone.feature_count), np.float16), np.empty(0, np.bool_)
        # A row holds the features and behind them whether the view succeeded.
        rows: NDArray[np.floating] = store.open()  # type: ignore[assignment]
        positions = store.positions(keys)
        return np.asarray(rows[:, :-1][positions]), np.asarray(rows[:, -1][positions] > 0.5)


def _fits_half(features: NDArray[np.float32]) -> bool:
    size = np.abs(features)
    fits = size.max(initial=0.0) < FLOAT16_LARGEST / 4 and np.quantile(size, 0.95) > 1e-3
    return bool(fits or not size.any())
