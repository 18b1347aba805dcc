"""What a worker of a sweep does: measure a model, fit a probe, train a trial one rung further. It writes run folders.

A worker keeps what it has loaded from one item to the next: the images in their roles, networks, and features. It never
writes to the ledger; its owner is the process of the sweep.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import filelock
import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Pool, augmentation
from eyeshot.core import CallbackProgress, InputError, Workspace, find_project, key_of, make_folder
from eyeshot.data import DataConfig, Dataset, PixelStore, load_dataset
from eyeshot.models import (
    Backbone,
    Curvature,
    FeatureBank,
    extract,
    fit_many_classes,
    gpu_errors_explained,
    load_backbone,
    probe_curvature,
    ranked_weights,
)
from eyeshot.predictions import Predictions, log_loss
from eyeshot.sweep.search.planning import Level, stages_of
from eyeshot.sweep.search.space import MODEL, PENALTY, SIZE, USUAL_PENALTY, augmentations_of, settings_of
from eyeshot.training import (
    VALIDATION_FILE,
    TrainConfig,
    TrainingRun,
    default_settings,
    keep_head,
    kept_recipe,
    merge_settings,
    project_settings,
    train_stages,
)

KEPT_MODELS = 3
"""Networks that a worker keeps."""
KEPT_FEATURE_BYTES = 2**30
"""Features that a worker keeps, and at least those of one model: trials come to the models in any order, and to read
features again costs more than to fit a probe on them."""
TIMED_IMAGES = 32
TIMED_BATCH = {"cpu": 8}
"""Images of a timed step: on a CPU an image takes the same in any batch."""


Features = NDArray[np.float32]


class Work(NamedTuple):
    """One item.

    Attributes:
        kind: what to do.
        number: of the trial.
        config: of the trial, or of the model that is measured.
        left_s: seconds in which it must have ended; training keeps its state then, everything else is given up.
        device: where to compute.
        levels: from the first to the one that is to be done.
        folder: of the trial's run.
        complete: nothing comes after the last level.
        steps: measure steps of training too, not the forward pass alone.
    """

    kind: Literal["measure", "probe", "train"]
    number: int
    config: Mapping[str, Any]
    left_s: float
    device: str = "cpu"
    levels: tuple[Level, ...] = ()
    folder: Path | None = None
    complete: bool = False
    steps: bool = False


class TimeOver(Exception):
    """The time of an item was over before its end."""


class _Loaded(NamedTuple):
    """A network of a worker with its images: features float (n, D) of train and validation rows, where extracted."""

    backbone: Backbone
    pool: Pool
    rows: np.ndarray[Any, Any]


class SearchWork:
    """The task of a sweep, for any executor; it is sent to workers without what it has loaded."""

    def __init__(
        self,
        data: DataConfig,
        workspace: Workspace,
        *,
        models: Mapping[str, Any],
        seed: int,
        command: str,
        settings: Mapping[str, Any],
    ) -> None:
        """Prepare.

        Args:
            data: the images in their roles.
            workspace: of the project, on a disk that all workers reach.
            models: arguments of `load_backbone` that hold for all models: weights, from_scratch, mean, …;
                without weights, those that `rank models` loaded.
            seed: of every training.
            command: what was typed, for the runs.
            settings: of every training, before those of the trial.
        """
        self.data, self.workspace, self.models = data, workspace, dict(models)
        self.seed, self.command, self.settings = seed, command, dict(settings)
        self._dataset: Dataset | None = None
        self._data_key = ""
        self._networks: OrderedDict[tuple[Any, ...], _Loaded] = OrderedDict()
        self._features: OrderedDict[tuple[Any, ...], tuple[Features, Curvature]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_dataset": None, "_networks": OrderedDict(), "_features": OrderedDict()}

    @gpu_errors_explained()
    def __call__(self, item: Work) -> dict[str, Any]:
        """Do an item; what came of it in plain values, or {"over": True} where its time was over before.

        Raises:
            ModelError: the GPU stopped answering, or its memory does not suffice in any way; or training diverged.
            InputError: an image cannot be decoded.
            StorageError: the disk is full.
        """
        begin = time.monotonic()

        def over() -> bool:
            return time.monotonic() - begin >= item.left_s

        try:
            if item.kind == "measure":
                done = self._measure(item, over)
            elif item.kind == "probe":
                done = self._probe(item, over)
            else:
                done = self._train(item, over)
        except TimeOver:
            done = {"over": True}
        return done | {"seconds": time.monotonic() - begin, "data": self._data_key}

    @property
    def dataset(self) -> Dataset:
        """The images in their roles, read when they are first needed."""
        if self._dataset is None:
            dataset = self._dataset = load_dataset(self.data, cache=self.workspace.cache)
            images = dataset.images
            self._data_key = key_of(
                images.contents, images.labels, dataset.classes, dataset.train_rows, dataset.val_rows
            )
        return self._dataset

    def recipe(self, config: Mapping[str, Any], backbone: Backbone) -> TrainConfig:
        """The settings of a training: defaults, the recipe kept for the model, the project's, the trial's."""
        kept, why_kept = kept_recipe(self.workspace.project, backbone.name)
        own = project_settings(find_project(self.workspace.project))
        layers = ((f"kept ({why_kept})", kept), ("from eyeshot.toml", own), ("as given", self.settings))
        usual = default_settings(backbone, len(self.dataset.train_rows), seed=self.seed)
        return merge_settings(*usual, (*layers, ("of the trial", settings_of(config))))[0]

    def _measure(self, item: Work, over: Callable[[], bool]) -> dict[str, Any]:
        dataset = self.dataset
        backbone = self._backbone(item.config)
        rows = dataset.train_rows[:TIMED_IMAGES]
        begin = time.perf_counter()
        pixels = PixelStore(self.workspace.cache, backbone.geometry).load(dataset.images, rows)
        decode_s = (time.perf_counter() - begin) / max(1, len(rows))
        images = np.asarray(pixels.images[: len(pixels.rows)])
        device = torch.device(item.device)
        batch = TIMED_BATCH.get(device.type, len(images))
        extract(backbone, images[:batch], device=device, batch_size=batch)
        begin = time.perf_counter()
        extract(backbone, images[:batch], device=device, batch_size=batch)
        done: dict[str, Any] = {
            "model": backbone.name,
            "decode_s": decode_s,
            "forward_s": (time.perf_counter() - begin) / len(images[:batch]),
            "n_train": len(dataset.train_rows),
            "n_val": len(dataset.val_rows),
        }
        if not item.steps:
            return done
        settings = self.recipe(item.config, backbone)
        done |= {"epochs": settings.epochs, "learning_rate": settings.learning_rate, "optimizer": settings.optimizer}
        done["settings"] = settings.model_dump(mode="json")
        pool = Pool(images[:batch], pixels.keys[:batch])
        labels = dataset.images.labels[pixels.rows[:batch]]
        for freeze in ("last-stage", "none"):
            if over():
                raise TimeOver
            config = settings.model_copy(
                update={"freeze": freeze, "head_epochs": 0, "batch_size": max(2, len(pool)), "accumulate": 1,
                        "epochs": 3}
            )  # fmt: skip
            run = TrainingRun(backbone, pool, labels, class_count=len(dataset.classes), config=config, device=device)
            run.advance(1, schedule=lambda step: 1e-9)
            begin = time.perf_counter()
            run.advance(2, schedule=lambda step: 1e-9)
            done[f"{freeze}_s"] = (time.perf_counter() - begin) / len(pool)
        return done

    def _probe(self, item: Work, over: Callable[[], bool]) -> dict[str, Any]:
        """Fit a softmax head on cached features of the clean training images, and judge it on validation."""
        assert item.folder is not None
        dataset, count = self.dataset, len(self.dataset.classes)
        features, curvature = self._features_of(item, over)
        labels, train, val = dataset.images.labels, dataset.train_rows, dataset.val_rows
        begin = time.monotonic()
        head = fit_many_classes(
            features[train], labels[train], class_count=count, penalty=float(item.config.get(PENALTY, USUAL_PENALTY)),
            curvature=curvature,
        )  # fmt: skip
        keep_head(item.folder, head, features[train])
        ids = dataset.images.ids
        fold = dataset.config.fold
        predictions = Predictions(
            ids=tuple(ids[row] for row in val.tolist()),
            probabilities=head.predict_proba(features[val]).astype(np.float16),
            classes=dataset.classes,
            labels=labels[val],
            run=item.folder.name,
            fold=fold,
        )
        predictions.save(item.folder / VALIDATION_FILE)
        return _judged(predictions) | {"fit_s": time.monotonic() - begin}

    def _train(self, item: Work, over: Callable[[], bool]) -> dict[str, Any]:
        assert item.folder is not None
        dataset = self.dataset
        loaded = self._network(item.config, over)
        positions = {row: place for place, row in enumerate(loaded.rows.tolist())}
        end = train_stages(
            loaded.backbone,
            loaded.pool,
            dataset.images.labels[loaded.rows],
            np.array([positions[row] for row in dataset.train_rows.tolist()]),
            np.array([positions[row] for row in dataset.val_rows.tolist()]),
            classes=dataset.classes,
            settings=self.recipe(item.config, loaded.backbone),
            stages=stages_of(item.levels),
            folder=item.folder,
            augmentations=[augmentation(name) for name in augmentations_of(item.config)],
            ids=[dataset.images.ids[row] for row in loaded.rows.tolist()],
            device=item.device,
            stop=over,
            data=dataset.config.model_dump(mode="json", exclude={"test"}) | {"notes": list(dataset.notes)},
            complete=item.complete,
            command=self.command,
        )
        if end is None:
            raise TimeOver
        return _judged(end.predictions) | {"notes": list(end.notes)}

    def _backbone(self, config: Mapping[str, Any]) -> Backbone:
        model = str(config[MODEL])
        more: dict[str, Any] = {"size": int(config[SIZE])} if config.get(SIZE) else {}
        if self.models.get("weights") is None and not self.models.get("from_scratch"):
            more["weights"] = ranked_weights(self.workspace.root, model)
        return load_backbone(model, **(self.models | more), seed=self.seed)

    def _network(self, config: Mapping[str, Any], over: Callable[[], bool]) -> _Loaded:
        key = (config[MODEL], config.get(SIZE))
        if key not in self._networks:
            dataset, backbone = self.dataset, self._backbone(config)
            rows = np.union1d(dataset.train_rows, dataset.val_rows)
            pixels = PixelStore(self.workspace.cache, backbone.geometry).load(
                dataset.images, rows, progress=_stopping(over)
            )
            if len(pixels.rows) < len(rows):
                lost = dataset.images.paths[np.setdiff1d(rows, pixels.rows)[0]]
                raise InputError(
                    f"All images must be decoded at the model's size, but {lost} cannot. See eyeshot audit."
                )
            self._networks[key] = _Loaded(backbone, Pool(pixels.images, pixels.keys), pixels.rows)
            while len(self._networks) > KEPT_MODELS:
                self._networks.popitem(last=False)
        self._networks.move_to_end(key)
        return self._networks[key]

    def _features_of(self, item: Work, over: Callable[[], bool]) -> tuple[Features, Curvature]:
        """Features of all images, and their curvature; kept for the next trial of the same model."""
        key = (item.config[MODEL], item.config.get(SIZE))
        if key not in self._features:
            features = self._read_features(item, over)
            self._features[key] = (
                features,
                probe_curvature(features[self.dataset.train_rows], len(self.dataset.classes)),
            )
            while len(self._features) > 1 and _size_bytes(self._features) > KEPT_FEATURE_BYTES:
                self._features.popitem(last=False)
        self._features.move_to_end(key)
        return self._features[key]

    def _read_features(self, item: Work, over: Callable[[], bool]) -> Features:
        """Features float32 (N, D) of all used rows of the dataset, zero elsewhere."""
        loaded = self._network(item.config, over)
        bank = FeatureBank(self.workspace.cache, loaded.backbone, device=item.device)
        # Two workers that want the features of one network do not both compute them.
        lock = filelock.FileLock(make_folder(self.workspace.cache / "features") / f"{bank.folder.name}.lock")
        while True:
            try:
                lock.acquire(timeout=1.0)
                break
            except filelock.Timeout:
                if over():
                    raise TimeOver from None
        try:
            own = bank.clean(loaded.pool, np.arange(len(loaded.pool)), progress=_stopping(over))
        finally:
            lock.release()
        features = np.zeros((len(self.dataset.images), own.shape[1]), np.float32)
        features[loaded.rows] = own
        return features


def _judged(predictions: Predictions) -> dict[str, Any]:
    accuracy = predictions.accuracy()
    assert predictions.labels is not None
    probabilities = np.asarray(predictions.probabilities, np.float32)
    return {"value": accuracy.value, "n": accuracy.n, "loss": float(log_loss(probabilities, predictions.labels))}


def _stopping(over: Callable[[], bool]) -> CallbackProgress:
    """A progress that ends the work where its time is over: between two chunks of images."""

    def call(done: int, total: int, text: str) -> None:
        if over() and done < total:
            raise TimeOver

    return CallbackProgress(call)


def _size_bytes(kept: Mapping[Any, tuple[Features, Curvature]]) -> int:
    return sum(features.nbytes + curvature.directions.nbytes for features, curvature in kept.values())
