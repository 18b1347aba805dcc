"""The one training loop: the baseline, `eyeshot train` and later the short runs go through it."""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from safetensors.torch import save_file
from timm.optim import create_optimizer_v2
from torch import Tensor, nn

from eyeshot.augment import Augmentation, Pool
from eyeshot.errors import InputError, ModelError
from eyeshot.models import Backbone
from eyeshot.models.features import memory_layout, normalise, to_batch
from eyeshot.training.batches import epoch_batches, make_batch, part_of
from eyeshot.training.checkpoints import load_checkpoint, save_checkpoint
from eyeshot.training.result import (
    WEIGHTS_FILE,
    EpochRecord,
    TrainResult,
    describe_hardware,
    describe_versions,
    read_result,
    wilson,
    write_validation,
)
from eyeshot.training.settings import TrainSettings
from eyeshot.workspace import make_folder, replacing

CHECKPOINT_FILE = "checkpoint.pt"
Progress = Callable[[int, int, str], None]


class Classifier(nn.Module):
    """A backbone with a linear head: float (n, 3, S, S) -> logits (n, C)."""

    def __init__(self, module: nn.Module, feature_count: int, class_count: int) -> None:
        super().__init__()
        self.backbone = module
        self.head = nn.Linear(feature_count, class_count)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of a batch."""
        scores: Tensor = self.head(self.backbone(images))
        return scores


def learning_rate_at(step: int, total: int, settings: TrainSettings) -> float:
    """Linear warm-up to the peak, then half a cosine to zero."""
    warm_up = settings.warm_up_share * total
    if step < warm_up:
        return settings.learning_rate * (step + 1) / (warm_up + 1)
    return (
        settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1.0, total - warm_up)))
    )


def train(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    train_rows: NDArray[np.int64],
    val_rows: NDArray[np.int64],
    *,
    classes: Sequence[str],
    settings: TrainSettings,
    folder: Path,
    augmentations: Sequence[Augmentation] = (),
    ids: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    command: str | None = None,
) -> TrainResult:
    """Train a copy of `backbone` with a new linear head; the same call continues a run that was cut off."""
    device = torch.device(device)
    make_folder(folder)
    if len(train_rows) < 2:
        raise InputError(f"Training needs at least two images, got {len(train_rows)}.")
    key = _run_key(backbone, pool, labels, train_rows, val_rows, classes, augmentations, settings)
    done = read_result(folder)
    if done is not None and done.key == key and done.ended_early is None:
        return done
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        model = Classifier(copy.deepcopy(backbone.module), backbone.feature_count, len(classes))
    layout = memory_layout(model, device)
    model = model.to(device, memory_format=layout)
    optimizer = create_optimizer_v2(
        model, opt=settings.optimizer, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    train_pool, train_labels = part_of(pool, train_rows), torch.from_numpy(labels[train_rows])
    per_epoch = len(epoch_batches(len(train_rows), settings.batch_size, seed=0, epoch=0))
    total = per_epoch * settings.epochs
    history: list[EpochRecord] = []
    failed = [0] * len(augmentations)
    seconds, first = 0.0, 0
    state = load_checkpoint(folder / CHECKPOINT_FILE)
    if state is not None and state["key"] == key:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, seconds, failed = state["epoch"], state["seconds"], list(state["failed"])
        history = [EpochRecord.model_validate(record) for record in state["history"]]
    ended_early = None
    for epoch in range(first, settings.epochs):
        if settings.time_cap_s is not None and seconds >= settings.time_cap_s:
            ended_early = f"time cap of {settings.time_cap_s:.0f} s after {epoch} of {settings.epochs} epochs"
            break
        begin = time.perf_counter()
        record, epoch_failed = _train_epoch(
            model,
            optimizer,
            backbone,
            train_pool,
            train_labels,
            augmentations,
            settings,
            epoch=epoch,
            total=total,
            device=device,
            layout=layout,
            progress=progress,
        )
        history.append(record)
        failed = [before + now for before, now in zip(failed, epoch_failed, strict=True)]
        seconds += time.perf_counter() - begin
        save_checkpoint(
            folder / CHECKPOINT_FILE,
            {
                "key": key,
                "epoch": epoch + 1,
                "seconds": seconds,
                "failed": failed,
                "history": [record.model_dump() for record in history],
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
            },
        )
    probabilities = predict(model, backbone, pool, val_rows, device=device, batch_size=settings.batch_size)
    val_labels = labels[val_rows]
    right = probabilities.argmax(1) == val_labels
    result = TrainResult(
        key=key,
        model=backbone.name,
        pretrained=backbone.pretrained,
        classes=tuple(classes),
        augmentations=tuple(augmentation.name for augmentation in augmentations),
        settings=settings,
        n_train=len(train_rows),
        n_val=len(val_rows),
        accuracy=wilson(int(right.sum()), len(val_rows)),
        per_class={
            name: wilson(int(right[val_labels == number].sum()), int((val_labels == number).sum()))
            for number, name in enumerate(classes)
        },
        epochs=len(history),
        steps=len(history) * per_epoch,
        seconds=seconds,
        ended_early=ended_early,
        alarms=(),
        failed_masks={a.name: count for a, count in zip(augmentations, failed, strict=True)},
        history=tuple(history),
        hardware=describe_hardware(device),
        versions=describe_versions(),
        command=command or " ".join(sys.argv),
    )
    write_validation(
        folder,
        ids=[(ids or pool.keys)[row] for row in val_rows],
        labels=val_labels,
        probabilities=probabilities,
        classes=tuple(classes),
    )
    with replacing(folder / WEIGHTS_FILE) as temporary:
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, temporary)
    result.write(folder)
    return result


def _train_epoch(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    backbone: Backbone,
    pool: Pool,
    labels: Tensor,
    augmentations: Sequence[Augmentation],
    settings: TrainSettings,
    *,
    epoch: int,
    total: int,
    device: torch.device,
    layout: torch.memory_format,
    progress: Progress | None,
) -> tuple[EpochRecord, list[int]]:
    batches = epoch_batches(len(labels), settings.batch_size, seed=settings.seed, epoch=epoch)
    step = epoch * len(batches)
    failed = [0] * len(augmentations)
    losses, right, seen = 0.0, 0, 0
    model.train()
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else []):
        # Dropout follows from (seed, epoch) alone: a run that continues needs no saved generator.
        torch.manual_seed(int(np.random.default_rng([settings.seed, epoch, 1]).integers(2**62)))
        for rows in batches:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, total, settings) * group.get("lr_scale", 1.0)
            batch = make_batch(
                pool,
                labels,
                rows,
                augmentations,
                class_count=model.head.out_features,
                seed=settings.seed,
                epoch=epoch,
                device=device,
            )
            images = normalise(batch.images, backbone.mean, backbone.std, device=device, layout=layout)
            scores = model(images)
            targets = batch.targets
            if settings.label_smoothing:
                targets = (
                    targets * (1 - settings.label_smoothing) + settings.label_smoothing / targets.shape[1]
                )
            loss = -(targets * scores.log_softmax(1)).sum(1).mean()
            if not torch.isfinite(loss):
                raise ModelError(
                    f"Training of {backbone.name} diverged: the loss is not finite after {step} of {total} steps. "
                    f"Give a smaller learning rate than {settings.learning_rate:g}."
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses += loss.item() * len(rows)
            right += int((scores.argmax(1) == targets.argmax(1)).sum())
            seen += len(rows)
            failed = [before + now for before, now in zip(failed, batch.failed, strict=True)]
            step += 1
            if progress:
                progress(step, total, f"epoch {epoch + 1}, loss {loss.item():.3f}")
    return EpochRecord(loss=losses / seen, train_accuracy=right / seen), failed


def predict(
    model: nn.Module,
    backbone: Backbone,
    pool: Pool,
    rows: NDArray[np.int64],
    *,
    device: torch.device,
    batch_size: int,
) -> NDArray[np.float32]:
    """Class probabilities of clean images: float32 (n, C)."""
    model.eval()
    found: list[Any] = []
    layout = memory_layout(model, device)
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = to_batch(np.asarray(pool.images[rows[start : start + batch_size]]))
            images = normalise(batch, backbone.mean, backbone.std, device=device, layout=layout)
            found.append(model(images).float().softmax(1).cpu().numpy())
    return np.concatenate(found) if found else np.empty((0, model.head.out_features), np.float32)  # type: ignore[union-attr, arg-type]


def _run_key(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    train_rows: NDArray[np.int64],
    val_rows: NDArray[np.int64],
    classes: Sequence[str],
    augmentations: Sequence[Augmentation],
    settings: TrainSettings,
) -> str:
    digest = xxhash.xxh3_128(backbone.fingerprint.encode())
    digest.update(settings.model_dump_json(exclude={"time_cap_s"}).encode())
    digest.update(repr((tuple(classes), tuple(a.fingerprint for a in augmentations))).encode())
    for rows in (train_rows, val_rows):
        digest.update("".join(f"{pool.keys[row]}{labels[row]};" for row in rows).encode() + b"|")
    return digest.hexdigest()
