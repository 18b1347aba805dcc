"""Features are computed once and kept on disk, under keys of everything they depend on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool, make_samples, sample_keys, sample_labels
from eyeshot.core import SILENT, ArrayCache, ModelError, Progress, read_description
from eyeshot.models.backbone import Backbone
from eyeshot.models.device import feature_precision
from eyeshot.models.features import FLOAT16_LARGEST, extract, fits_half, to_batch
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

    Images with the same pixels go through the model once, whichever candidate or draw made them (on a CPU).

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
        self._pixels: ArrayCache | None = None
        self._seen: dict[bytes, str] | None = None

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
        digests = _pixel_digests(images) if self.device.type == "cpu" else None
        self._add(keys, images, success, digests)
        for bank in list(self.companions):
            begin = time.perf_counter()
            missing = bank._missing(keys)
            chosen = images if len(missing) == len(keys) else images[missing]
            try:
                if missing:
                    of_missing = None if digests is None else digests[missing]
                    bank._add([keys[position] for position in missing], chosen, success[missing], of_missing)
            except ModelError:  # its own run will tell, and this one goes on
                self.companions.remove(bank)
            self.companions_s += time.perf_counter() - begin

    def _add(
        self,
        keys: Sequence[str],
        images: torch.Tensor | NDArray[np.uint8],
        success: NDArray[np.bool_],
        digests: NDArray[np.uint64] | None,
    ) -> None:
        """Compute and store features of images; those with the pixels of an earlier one get its features.

        Operations often leave an image as it is, or draw the same change twice. Without `digests` nothing is shared: a
        GPU computes features in less time than it takes to bring the pixels back and hash them.
        """
        if digests is None:
            self._append(keys, self._extract(images), success)
            return
        seen = self._seen_pixels()
        pixels = [digest.tobytes() for digest in digests]
        first: dict[bytes, int] = {}
        new = [
            position
            for position, digest in enumerate(pixels)
            if digest not in seen and first.setdefault(digest, position) == position
        ]
        if new:
            features = self._extract(images if len(new) == len(keys) else images[new])
            new_keys = [keys[position] for position in new]
            # First the digests: a kill in between leaves the same images for the next run, and so the same batches.
            if self._pixels is None:
                self._pixels = ArrayCache(self.folder / "pixels", shape=(2,), dtype="uint64")
            self._pixels.append(new_keys, digests[new])
            self._append(new_keys, features, success[new])
            seen |= {pixels[position]: keys[position] for position in new}
        again = sorted(set(range(len(keys))) - set(new))
        if again:
            same, _ = self._read([seen[pixels[position]] for position in again])
            self._append([keys[position] for position in again], same.astype(np.float32), success[again])

    def _seen_pixels(self) -> dict[bytes, str]:
        """The key of an image that has features, by the digest of its pixels."""
        if self._seen is None:
            self._seen = {}
            store = self._open()
            if store is not None and read_description(self.folder / "pixels") is not None:
                self._pixels = ArrayCache(self.folder / "pixels", shape=(2,), dtype="uint64")
                stored = list(self._pixels.keys())
                lacking = {*self._pixels.missing(stored), *store.missing(stored)}
                kept = [key for position, key in enumerate(stored) if position not in lacking]
                for key, digest in zip(kept, self._pixels.read(kept), strict=True):
                    self._seen.setdefault(digest.tobytes(), key)
        return self._seen

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


def _pixel_digests(images: torch.Tensor | NDArray[np.uint8]) -> NDArray[np.uint64]:
    """uint64 (n, 2), a hash of each image's pixels."""
    pixels = np.ascontiguousarray(to_batch(images).numpy())
    digests = b"".join(xxhash.xxh3_128_digest(image.data) for image in pixels)
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)
