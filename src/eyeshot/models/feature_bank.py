"""Features computed once and kept on disk, keyed by what they depend on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool, make_views, view_keys
from eyeshot.models.backbone import Backbone
from eyeshot.models.features import extract
from eyeshot.rowstore import RowStore

CHUNK = 256
PARTNERS = 4
Progress = Callable[[int, int], None]


class FeatureBank:
    """Features of clean images and of views for one backbone.

    Args:
        cache: the cache folder; the bank lies in `features/<fingerprint>` of it.
        backbone: the model.
        device: where views are made and the model runs.
        batch_size: images at once.

    Attributes:
        augment_s, forward_s: seconds spent so far on making views and on the model.
    """

    def __init__(
        self, cache: Path, backbone: Backbone, *, device: torch.device | str = "cpu", batch_size: int = 64
    ) -> None:
        self.backbone = backbone
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.augment_s = 0.0
        self.forward_s = 0.0
        folder = cache / "features" / backbone.fingerprint
        self._store = RowStore(folder, shape=(backbone.feature_count + 1,), dtype="float16")
        self._partners = RowStore(folder / "partners", shape=(PARTNERS, 20), dtype="uint8")

    def clean(
        self, pool: Pool, rows: NDArray[np.int64], *, progress: Progress | None = None
    ) -> NDArray[np.float16]:
        """Features of unchanged images: float16 (n, D)."""
        keys = [pool.keys[row] for row in rows]
        missing = self._store.missing(keys)
        for start in range(0, len(missing), CHUNK):
            part = missing[start : start + CHUNK]
            begin = time.perf_counter()
            found = self._extract(np.asarray(pool.images[rows[part]]))
            self.forward_s += time.perf_counter() - begin
            self._append([keys[position] for position in part], found, np.ones(len(part), bool))
            if progress:
                progress(start + len(part), len(missing))
        return self._store.read(keys)[:, :-1]  # type: ignore[return-value]

    def views(
        self,
        augmentation: Augmentation,
        pool: Pool,
        rows: NDArray[np.int64],
        *,
        seed: int,
        draw: int,
        progress: Progress | None = None,
    ) -> tuple[NDArray[np.float16], NDArray[np.bool_], NDArray[np.int64], NDArray[np.float32]]:
        """Features of one draw of views.

        Returns:
            features float16 (n, D), success bool (n,), sources int64 (n, P), weights float32 (n, P).
        """
        keys = view_keys(augmentation, pool, rows, seed=seed, draw=draw)
        missing = self._store.missing(keys)
        for start in range(0, len(missing), CHUNK):
            part = missing[start : start + CHUNK]
            begin = time.perf_counter()
            views = make_views(augmentation, pool, rows[part], seed=seed, draw=draw, device=self.device)
            middle = time.perf_counter()
            found = self._extract(views.images)
            self.augment_s += middle - begin
            self.forward_s += time.perf_counter() - middle
            chunk_keys = [keys[position] for position in part]
            if augmentation.mixes:
                self._append_partners(
                    chunk_keys, pool, views.sources.cpu().numpy(), views.weights.cpu().numpy()
                )
            self._append(chunk_keys, found, views.success.cpu().numpy())
            if progress:
                progress(start + len(part), len(missing))
        stored = self._store.read(keys)
        success = stored[:, -1] > 0
        if not augmentation.mixes:
            return stored[:, :-1], success, rows[:, None].copy(), np.ones((len(rows), 1), np.float32)  # type: ignore[return-value]
        sources, weights = self._read_partners(keys, pool)
        return stored[:, :-1], success, sources, weights  # type: ignore[return-value]

    def _extract(self, images: object) -> NDArray[np.float32]:
        return extract(self.backbone, images, device=self.device, batch_size=self.batch_size)  # type: ignore[arg-type]

    def _append(self, keys: Sequence[str], features: NDArray[np.float32], success: NDArray[np.bool_]) -> None:
        row = np.concatenate([features, success[:, None]], axis=1).astype(np.float16)
        self._store.append(keys, row)

    def _append_partners(
        self, keys: Sequence[str], pool: Pool, sources: NDArray[np.int64], weights: NDArray[np.float32]
    ) -> None:
        rows = np.zeros((len(keys), PARTNERS, 20), np.uint8)
        for column in range(sources.shape[1]):
            content = b"".join(bytes.fromhex(pool.keys[row]) for row in sources[:, column])
            rows[:, column, :16] = np.frombuffer(content, np.uint8).reshape(-1, 16)
            share = np.ascontiguousarray(weights[:, column], np.float32)
            rows[:, column, 16:] = share.view(np.uint8).reshape(-1, 4)
        self._partners.append(keys, rows)

    def _read_partners(
        self, keys: Sequence[str], pool: Pool
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        stored = np.ascontiguousarray(self._partners.read(keys))
        weights = np.ascontiguousarray(stored[..., 16:]).view(np.float32)[..., 0]
        position = {bytes.fromhex(key): row for row, key in reversed(list(enumerate(pool.keys)))}
        sources = np.zeros(weights.shape, np.int64)
        for column in range(PARTNERS):
            for row, key in enumerate(stored[:, column, :16]):
                sources[row, column] = position.get(key.tobytes(), 0) if weights[row, column] > 0 else 0
        return sources, weights
