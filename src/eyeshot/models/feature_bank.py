"""Features are computed once and kept on disk, under keys of everything they depend on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool, make_samples, sample_keys, sample_labels
from eyeshot.core import SILENT, ArrayCache, ModelError, Progress, read_description
from eyeshot.models.backbone import Backbone
from eyeshot.models.device import feature_precision
from eyeshot.models.features import FLOAT16_LARGEST, extract, fits_half
from eyeshot.models.memory import smaller_batches

CHUNK_BYTES = 32 << 20
CHUNK_ROWS = 512


class ViewFeatures(NamedTuple):
    """Features of one augmented sample per image.

    Attributes:
        features: float16 (n, D); float32 if the model's features do not fit into float16.
        success: bool (n,); False where the operation failed, and the features are those of the clean image.
        sources: int64 (n, P), positions in the pool; the image itself first.
        weights: float32 (n, P), label weights of the sources; rows sum to 1.
    """

    features: NDArray[np.floating]
    success: NDArray[np.bool_]
    sources: NDArray[np.int64]
    weights: NDArray[np.float32]


class FeatureBank:
    """Features of clean images and of augmented samples for one backbone; only missing features are computed.

    Rows are written in chunks, so a kill loses at most one chunk. Several processes may share a bank, also on different
    devices: a row stays as it was computed first. A GPU computes in float16 what float16 holds, and the rows of such
    features are float16 on all devices, so they differ by rounding, a thousandth of a feature or so.

    Args:
        cache: the cache folder; the bank is its subfolder `features/<fingerprint of the backbone>`.
        backbone: the model.
        device: where samples are augmented and the model runs.
        batch_size: images per forward pass.

    Attributes:
        companions: banks of other models whose images have the same geometry and that will ask for the same features:
            images that are read or made here for a missing row go through their models too, where they lack it.
        augment_s, forward_s, companions_s: seconds spent so far on augmentation, on forward passes and on companions.
        batch_size: images per forward pass; reduced when the device ran out of memory.
        computed: rows that this object computed so far; all other rows came from disk.
    """

    def __init__(
        self, cache: Path, backbone: Backbone, *, device: torch.device | str = "cpu", batch_size: int = 64
    ) -> None:
        self.backbone = backbone
        self.device = torch.device(device)
        self.precision = feature_precision(self.device)
        self.batch_size = batch_size
        self.companions: list[FeatureBank] = []
        self.folder = cache / "features" / backbone.fingerprint
        self.augment_s = 0.0
        self.forward_s = 0.0
        self.companions_s = 0.0
        self.computed = 0
        pixels = 3 * backbone.geometry.size**2
        self.chunk = max(batch_size, min(CHUNK_ROWS, CHUNK_BYTES // pixels))
        self._store: ArrayCache | None = None

    def clean(self, pool: Pool, rows: NDArray[np.int64], *, progress: Progress = SILENT) -> NDArray[np.floating]:
        """Features of unchanged images.

        Args:
            pool: the images.
            rows: int64 (n,), positions in the pool.
            progress: called after each chunk with the number of missing rows that are done.

        Returns:
            float16 (n, D); float32 if the model's features do not fit into float16.
        """
        keys = [pool.keys[row] for row in rows]
        missing = self._missing(keys)
        for part in self._chunks(missing):
            pixels = np.asarray(pool.images[rows[part]])
            self._compute([keys[position] for position in part], pixels, np.ones(len(part), bool))
            progress(self._done(missing, part), len(missing))
        return self._read(keys)[0]

    def missing(self, keys: Sequence[str]) -> int:
        """Number of images, by their content keys, whose clean features `clean` would have to compute."""
        return len(self._missing(keys))

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
        """Features of one augmented sample per image, and the sources and weights of their labels.

        Args:
            augmentation: one augmentation, or several in order; the last is applied to every image. See `make_samples`.
            pool: the images; mixing takes its partners from them too.
            rows: int64 (n,), positions in the pool.
            seed, draw: choose the random parameters of the samples.
            progress: called after each chunk with the number of missing rows that are done.
        """
        keys = sample_keys(augmentation, pool, rows, seed=seed, draw=draw)
        missing = self._missing(keys)
        for part in self._chunks(missing):
            begin = time.perf_counter()
            views = make_samples(augmentation, pool, rows[part], seed=seed, draw=draw, device=self.device)
            success = views.success.cpu().numpy()  # waits for the device, so its time is counted here
            self.augment_s += time.perf_counter() - begin
            self._compute([keys[position] for position in part], views.images, success)
            progress(self._done(missing, part), len(missing))
        features, success = self._read(keys)
        # Labels depend on the drawn parameters only, so no pixel is read for them.
        sources, weights = sample_labels(augmentation, pool, rows, seed=seed, draw=draw)
        return ViewFeatures(features, success, sources.numpy(), weights.numpy())

    def _compute(
        self, keys: Sequence[str], images: torch.Tensor | NDArray[np.uint8], success: NDArray[np.bool_]
    ) -> None:
        """Features of a chunk of images, for this bank and its companions."""
        self._append(keys, self._extract(images), success)
        for bank in list(self.companions):
            begin = time.perf_counter()
            missing = bank._missing(keys)
            chosen = images if len(missing) == len(keys) else images[missing]
            try:
                if missing:
                    bank._append([keys[position] for position in missing], bank._extract(chosen), success[missing])
            except ModelError:  # its own run will tell, and this one goes on
                self.companions.remove(bank)
            self.companions_s += time.perf_counter() - begin

    def _chunks(self, missing: Sequence[int]) -> list[NDArray[np.int64]]:
        positions = np.asarray(missing, np.int64)
        return [positions[start : start + self.chunk] for start in range(0, len(positions), self.chunk)]

    @staticmethod
    def _done(missing: Sequence[int], part: NDArray[np.int64]) -> int:
        return int(np.searchsorted(missing, part[-1])) + 1

    def _extract(self, images: torch.Tensor | NDArray[np.uint8]) -> NDArray[np.float32]:
        begin = time.perf_counter()
        features, self.batch_size = smaller_batches(
            lambda size: extract(self.backbone, images, device=self.device, batch_size=size, precision=self.precision),
            self.batch_size,
        )
        self.forward_s += time.perf_counter() - begin
        return features

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
            dtype = "float16" if fits_half(torch.from_numpy(features)) else "float32"
            store = self._store = ArrayCache(self.folder, shape=(self.backbone.feature_count + 1,), dtype=dtype)
        rows = np.concatenate([features, success[:, None]], axis=1)
        if store.dtype == np.float16:
            # `fits_half` left room for four times the largest feature of the first chunk. A feature beyond that is an
            # outlier, and clipping leaves it an outlier.
            rows = rows.clip(-FLOAT16_LARGEST, FLOAT16_LARGEST)
        store.append(keys, rows.astype(store.dtype))
        self.computed += len(keys)

    def _read(self, keys: Sequence[str]) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        store = self._open()
        if store is None:
            return np.empty((0, self.backbone.feature_count), np.float16), np.empty(0, np.bool_)
        # The last column of a row says whether the augmentation succeeded.
        rows: NDArray[np.floating] = store.open()  # type: ignore[assignment]
        positions = store.positions(keys)
        return np.asarray(rows[:, :-1][positions]), np.asarray(rows[:, -1][positions] > 0.5)
