"""Predicts images with a finished run, with or without test-time augmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from eyeshot.core import SILENT, InputError, ModelError, Progress, key_of, listing
from eyeshot.data import ImageTable, PixelStore, Skipped
from eyeshot.models import Backbone, gpu_errors_explained, load_backbone, normalise, place, saliency, to_batch
from eyeshot.predictions import Predictions
from eyeshot.training.classifier import Classifier, State
from eyeshot.training.result import TrainResult, read_result
from eyeshot.training.run_folder import RESULT_FILE
from eyeshot.training.weights_file import WEIGHTS_FILE, load_classifier, save_weights

SALIENCY_IMAGES = 8  # at once: every layer's output is kept
ZOOM = 0.875
"""Share of the side that `scale` shows enlarged: the crop that most ImageNet models are evaluated with."""


def _zoomed(images: Tensor) -> Tensor:
    side = images.shape[-1]
    inner = max(1, round(side * ZOOM))
    start = (side - inner) // 2
    crop = images[..., start : start + inner, start : start + inner]
    return functional.interpolate(crop, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


VIEWS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "hflip": (lambda images: images.flip(-1), "mirrored left to right"),
    "vflip": (lambda images: images.flip(-2), "mirrored top to bottom"),
    "rot90": (lambda images: images.rot90(1, (-2, -1)), "turned by a quarter to the left"),
    "rot180": (lambda images: images.rot90(2, (-2, -1)), "turned by half"),
    "rot270": (lambda images: images.rot90(3, (-2, -1)), "turned by a quarter to the right"),
    "scale": (_zoomed, f"the middle {ZOOM:.1%} of the side, enlarged"),
}
"""Views for test-time augmentation: float (n, 3, S, S), normalised -> the same shape; with a description."""


class FinishedRun:
    """A finished training, loaded to predict images.

    Args:
        folder: of the run.
        device: where the forward passes run.
        weights: folders of runs of the same network, whose mean weights are used in the place of its own.

    Raises:
        InputError: the training is not finished.
        ModelError: the model or its weights cannot be loaded.
        StorageError: the result is damaged.
    """

    result: TrainResult

    def __init__(
        self, folder: Path, *, device: torch.device | str = "cpu", weights: Sequence[Path] | None = None
    ) -> None:
        result = read_result(folder)
        if result is None or not (folder / WEIGHTS_FILE).is_file():
            raise InputError(
                f"Only a finished training can predict, but {str(folder)!r} has no {RESULT_FILE} with weights. The "
                "command that began it continues it."
            )
        self.folder, self.result = folder, result
        self.backbone = _load(result)
        self.device = torch.device(device)
        sources = [folder] if weights is None else list(weights)
        hashes = [xxhash.xxh3_128_hexdigest((each / WEIGHTS_FILE).read_bytes()) for each in sources]
        self._weights_hash = hashes[0] if len(hashes) == 1 else key_of(hashes)
        model = Classifier(self.backbone, len(result.classes))
        states = [load_classifier(self.backbone, each, len(result.classes)) for each in sources]
        model.load_state_dict(states[0] if len(states) == 1 else mean_state(states))
        self._model, self._layout = place(model, self.device)
        self._model.eval()

    def save_weights(self, folder: Path) -> None:
        """Write the weights that predict, as a training writes its own.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        save_weights(self._model, self.backbone, self.result.classes, folder)

    def key(self, images: ImageTable, views: Sequence[str] = ()) -> str:
        """Hash of all that decides the probabilities: weights, preparation, contents and ids of the images, views."""
        return key_of(self._weights_hash, self.backbone.geometry.fingerprint, images.ids, images.contents, list(views))

    @gpu_errors_explained()
    def predict(
        self,
        images: ImageTable,
        *,
        views: Sequence[str] = (),
        split: str,
        cache: Path,
        progress: Progress | None = None,
    ) -> tuple[list[Predictions], tuple[Skipped, ...]]:
        """Probabilities of n images: without and with each view of test-time augmentation.

        Args:
            images: with or without labels.
            views: names of `VIEWS`.
            split: name of this set of images.
            cache: folder of decoded images.
            progress: called with the number of images that are ready.

        Returns:
            one table for the images as they are and one for each view alone; files that cannot be decoded, which have
            no row.

        Raises:
            InputError: no image can be decoded.
            StorageError: the cache cannot be written.
        """
        check_views(views)
        steps = progress or SILENT
        pixels = PixelStore(cache, self.backbone.geometry).load(
            images, np.arange(len(images)), progress=steps.sub("decoding images")
        )
        if not len(pixels):
            raise InputError(f"None of the {len(images)} images can be decoded. See eyeshot audit.")
        used = images.take(pixels.rows)
        labels = used.labels if len(used.classes) else None
        functions = [lambda batch: batch, *(VIEWS[name][0] for name in views)]
        values = self._forward(pixels.images, functions, steps.sub("predicting"))
        tables = [
            Predictions(
                ids=tuple(used.ids),
                probabilities=probabilities,
                classes=self.result.classes,
                labels=labels,
                run=self.folder.resolve().name,
                split=split,
                key=self.key(images, [name] if name else []),
            )
            for name, probabilities in zip(["", *views], values, strict=True)
        ]
        return tables, pixels.skipped

    def trained_backbone(self) -> Backbone:
        """The network without its classifier, with the weights of the run."""
        return self.backbone.with_module(self._model.backbone, pretrained=True, reason="")

    @gpu_errors_explained()
    def saliency(self, images: NDArray[np.uint8], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Which parts of images matter for a class: see `eyeshot.models.saliency`.

        Args:
            images: uint8 (n, S, S, 3), RGB, prepared for the network.
            classes: int64 (n,), the class of each that is asked about.

        Returns:
            float32 (n, S, S), 0 to 1.
        """
        maps = np.zeros(images.shape[:3], np.float32)
        for start in range(0, len(images), SALIENCY_IMAGES):
            rows = slice(start, start + SALIENCY_IMAGES)
            batch = normalise(to_batch(images[rows]), self.backbone, device=self.device, layout=self._layout)
            maps[rows] = saliency(self._model, batch, classes[rows])
        return maps

    def _forward(
        self, images: Any, functions: Sequence[Callable[[Tensor], Tensor]], progress: Progress
    ) -> list[NDArray[np.float16]]:
        count, batch_size = len(images), self.result.settings.batch_size
        values = [np.empty((count, len(self.result.classes)), np.float16) for _ in functions]
        with torch.inference_mode():
            for start in range(0, count, batch_size):
                rows = slice(start, min(count, start + batch_size))
                batch = normalise(to_batch(images[rows]), self.backbone, device=self.device, layout=self._layout)
                for function, out in zip(functions, values, strict=True):
                    scores = self._model(function(batch)).float().softmax(1).cpu().numpy()
                    if not np.isfinite(scores).all():
                        raise ModelError(
                            f"Probabilities must be finite, but {self.folder.name} gives NaN. Train it again."
                        )
                    out[rows] = scores
                progress(rows.stop, count, "")
        return values


def mean_state(states: Sequence[State]) -> State:
    """Mean of weights by name, of networks of one architecture; counters are those of the first."""
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }


def check_views(views: Sequence[str]) -> None:
    """Refuse a view of test-time augmentation that does not exist or is named twice, which would count double.

    Raises:
        InputError: it does not exist, or is named twice.
    """
    if len(set(views)) < len(views):
        raise InputError(f"--tta must name each view once, got {','.join(views)}.")
    for name in views:
        if name not in VIEWS:
            raise InputError(f"--tta must name views among {listing(list(VIEWS), most=9)}, got {name!r}.")


def _load(result: TrainResult) -> Backbone:
    backbone = load_backbone(
        result.model,
        from_scratch=True,  # the weights follow from the run
        size=result.size,
        mean=result.mean,
        std=result.std,
        interpolation=result.interpolation,
        fit="pad" if result.fit == "pad" else "crop",
    )
    return backbone
