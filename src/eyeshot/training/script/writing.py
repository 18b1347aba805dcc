"""Writes a plain PyTorch and timm file that trains a finished run again without eyeshot."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eyeshot.augment import POLICY_STREAM, Augmentation, Pool, augmentation, stack
from eyeshot.core import (
    SILENT,
    InputError,
    Progress,
    check_output,
    listing,
    make_folder,
    plural,
    replacing,
)
from eyeshot.data import Dataset, load_dataset
from eyeshot.models import (
    Backbone,
    feature_parts,
    fit_head,
    images_at_once,
    is_factory,
    load_backbone,
    place,
    read_state,
    size_arguments,
    unused_head,
    weights_in_folder,
)
from eyeshot.training.batches import balanced_order
from eyeshot.training.classifier import HEAD_IMAGES
from eyeshot.training.config import TrainConfig
from eyeshot.training.recipe import schedules
from eyeshot.training.recipe.averages import moving_average
from eyeshot.training.recipe.freezing import freeze, freeze_norm_statistics, trained_names
from eyeshot.training.recipe.objectives import inverse_frequencies
from eyeshot.training.recipe.optimizer_catalogue import OPTIMIZERS
from eyeshot.training.recipe.optimizers import SAM_RADIUS, Sam, norm_averages_kept
from eyeshot.training.recipe.parameter_groups import parameter_groups
from eyeshot.training.result import TrainResult, read_result, read_validation
from eyeshot.training.run import run_key
from eyeshot.training.run_folder import RESULT_FILE
from eyeshot.training.script.rendering import render
from eyeshot.training.script.sources import SourceError, Sources

MARK = b"Written by eyeshot"
EMBEDDED = 60
"""So many images are listed in the script itself; more are in a CSV file beside it."""
LARGEST_BYTES = 8_000_000_000
"""Decoded images beyond this are kept in a file and not in memory."""
SETTINGS = frozenset(
    {
        "epochs", "batch_size", "learning_rate", "weight_decay", "warm_up_share", "label_smoothing", "seed",
        "optimizer", "time_cap_s", "momentum", "schedule", "layer_decay", "drop_path", "dropout", "clip_norm",
        "accumulate", "ema_decay", "freeze", "head_epochs", "class_weights", "sampling", "small_size", "small_share",
        "precision", "norm_statistics",
    }
)  # fmt: skip
"""What the template knows; other fields of the recipe must be at their defaults."""
SCHEDULES = {
    "cosine": "half a cosine down to nearly zero",
    "one-cycle": "",
    "step": "a tenth of it after each third of the steps",
    "wsd": "the peak, until it falls at the end",
    "plateau": "a tenth each time that the loss has stopped falling",
    "constant": "the peak",
}
"""What each schedule of the template does after the warm-up."""
IMPORTS = (
    "import argparse", "import hashlib", "import io", "import math", "import sys", "from pathlib import Path",
    "import numpy as np", "import timm", "import torch", "import torch.nn.functional as F",
    "from PIL import Image", "from PIL import ImageOps", "from timm.optim import create_optimizer_v2",
    "from torch import nn", "from __future__ import annotations",
)  # fmt: skip


def write_script(
    folder: Path,
    out: Path | None = None,
    *,
    weights: Path | None = None,
    cache: Path,
    progress: Progress | None = None,
) -> tuple[Path, list[str]]:
    """Write the script of a finished run.

    Before anything is written the run is set up again, and its key (of weights, images, labels, augmentations and
    settings) must be that of the run.

    Args:
        folder: of the run.
        out: the file, ending in .py; None: `script.py` in the folder. More than 60 images are listed in a CSV file
            beside it.
        weights: file that the run started from; None: as in the command that began it.
        cache: folder of all caches.
        progress: told how far reading the images is.

    Returns:
        the script, and what is worth knowing about it, in sentences.

    Raises:
        InputError: the run is not finished, uses something that a script cannot do yet, or its images or weights are
            not those that it was trained with; or `out` is a file that eyeshot did not write.
        ModelError: the model or its weights cannot be loaded.
        StorageError: the file cannot be written.
    """
    script = out or folder / "script.py"
    check_output(script, suffixes=(".py",), mark=MARK)
    result = read_result(folder)
    if result is None:
        raise InputError(
            f"A script is written of a finished training, but {str(folder)!r} has no {RESULT_FILE}. The command that "
            "began it continues it."
        )
    _check_settings(result)
    sources = Sources({"Operation", "FixedOperation", "DrawnOperation", "Mixing", "Parameters"})
    augmentations = [augmentation(name) for name in result.augmentations]
    expressions = _write_augmentations(augmentations, sources)
    weights = weights or _typed_weights(result)
    if weights is not None and weights.is_dir():
        weights, _ = weights_in_folder(result.model, weights)
    backbone = _load(result, weights)
    dataset = _load_images(result, cache, progress or SILENT)
    _check_key(folder, result, backbone, dataset, augmentations)
    images_folder, rows, digest = _list_images(folder, dataset, result.classes)
    listed = script.with_suffix(".csv")
    embedded = len(rows) <= EMBEDDED
    if not embedded:
        check_output(listed, suffixes=(".csv",), mark=b"path,label,role,answer")
    used = [step.operation for step in augmentations]
    operations = sources.take()
    if augmentations:
        sources.add(stack)
    stacking = sources.take()
    if backbone.pretrained:
        sources.add(images_at_once)
        sources.add(fit_head)
    head_sources = sources.take()
    factory = _describe_factory(result, backbone, sources) if is_factory(result.model) else None
    factory_sources = sources.take()
    imports = {*IMPORTS, *sources.imports, *([] if embedded else ["import csv"])}
    if augmentations:
        imports |= {"import xxhash", "from dataclasses import dataclass", "from collections.abc import Callable"}
    described = None if weights is None else _describe_weights(weights, backbone)
    if factory:
        imports |= {"import importlib", "from torch import Tensor"}
    optimizer, recipe = _write_recipe(result.settings, sources)
    imports |= sources.imports
    if described is not None and described["safetensors"]:
        imports.add("from safetensors.torch import load_file")
    geometry = backbone.geometry
    arguments: dict[str, object] = {} if factory else {**size_arguments(result.model, geometry.size)}
    if result.settings.drop_path:
        arguments["drop_path_rate"] = "DROP_PATH"
    text = render(
        "template.py.j2",
        title=f"Trains the run {folder.resolve().name} again: {result.model}, "
        f"{', '.join(result.augmentations) or 'clean images'}, {result.n_train} images.",
        file_name=script.name,
        hardware=result.hardware, versions=result.versions, imports=imports,
        images_folder=images_folder.as_posix(), images=rows, embedded=embedded, list_name=listed.name,
        images_sha256=digest, classes=list(result.classes), accuracy=result.accuracy.value,
        big=len(rows) * geometry.size**2 * 3 > LARGEST_BYTES,
        model=result.model, weights=described, pretrained=backbone.pretrained,
        model_arguments="".join(f", {name}={value}" for name, value in arguments.items()),
        feature_count=backbone.feature_count,
        size=geometry.size, short_side=geometry.short_side, fit=geometry.fit, interpolation=geometry.interpolation,
        mean=backbone.mean, std=backbone.std, settings=result.settings, epochs_done=result.epochs, device="cpu",
        channels_last=place(backbone.module, torch.device("cpu"))[1] is torch.channels_last,
        augmentations=expressions, augmentation_sources=operations, stack_sources=stacking,
        operations=" ".join(each for *_, each in expressions),
        mixing=any(operation.partners for operation in used),
        staged=any(step.stages for step in augmentations),
        of_policy=any(step.stream.startswith(POLICY_STREAM) for step in augmentations), policy_stream=POLICY_STREAM,
        can_fail=any(step.family == "edge and texture" for step in augmentations),
        head_sources=head_sources, head_images=HEAD_IMAGES, factory=factory, factory_sources=factory_sources,
        optimizer=optimizer, recipe=recipe, recipe_sources=sources.take(), rates=vars(schedules),
        schedule_words=SCHEDULES[result.settings.schedule],
    )  # fmt: skip
    make_folder(script.parent)
    if not embedded:
        with replacing(listed) as temporary:
            temporary.write_text(_csv(rows), encoding="utf-8", newline="")
    with replacing(script) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return script, _notes(result, listed, len(rows))


def _check_settings(result: TrainResult) -> None:
    """Refuse what the template does not know, by name."""
    if result.data_config is None:
        raise InputError("A script needs a run that says which images it used, and this one does not. Train it again.")
    for name, field in TrainConfig.model_fields.items():
        value = getattr(result.settings, name)
        if name not in SETTINGS and value != field.get_default(call_default_factory=True):
            raise InputError(
                f"{name.replace('_', ' ')} {value} is not supported by script yet. Supported: "
                f"{listing(sorted(SETTINGS), most=len(SETTINGS))}."
            )

    settings = result.settings
    record = OPTIMIZERS[settings.optimizer]
    if record.package == "schedulefree":
        raise InputError(f"Optimizer {record.name!r} is not supported by script yet. Supported: all but schedule-free.")
    if settings.schedule not in SCHEDULES:
        raise InputError(
            f"Schedule {settings.schedule!r} is not supported by script yet. Supported: {listing(sorted(SCHEDULES))}."
        )
    if settings.precision == "fp16":
        raise InputError("Precision fp16 is not supported by script yet. Supported: auto, fp32 and bf16.")


def _write_recipe(settings: TrainConfig, sources: Sources) -> tuple[dict[str, Any], str]:
    """How the optimizer is made, and the settings that the copied functions read; copies what the recipe uses."""
    record = OPTIMIZERS[settings.optimizer]
    base = OPTIMIZERS[record.base] if record.package == "own" else record
    optimizer = {
        "package": base.package, "maker": base.maker or base.name, "fallback": base.name == "muon",
        "sam": SAM_RADIUS if base is not record else None,
        "grouped": settings.layer_decay is not None or base.name == "muon" or base.package != "timm",
    }  # fmt: skip
    read: dict[str, str] = {}
    if optimizer["grouped"]:
        sources.add(parameter_groups)
        read |= {"weight_decay": "WEIGHT_DECAY", "layer_decay": "LAYER_DECAY" if settings.layer_decay else "None"}
    if settings.freeze != "none":
        sources.add(trained_names)
        sources.add(freeze)
        read |= {"freeze": repr(settings.freeze), "head_epochs": str(settings.head_epochs)}
    if settings.norm_statistics == "frozen":
        sources.add(freeze_norm_statistics)
    if base is not record:
        sources.add(Sam)
        sources.add(norm_averages_kept)
    if base.package != "timm":
        sources.imports.add(f"import {base.package}")
    if settings.ema_decay is not None:
        sources.add(moving_average)
    if settings.class_weights:
        sources.add(inverse_frequencies)
    if settings.sampling == "balanced":
        sources.add(balanced_order)
    if settings.schedule == "plateau":
        sources.add(schedules.plateau_factor)
    if read:
        sources.imports.add("from types import SimpleNamespace")
    return optimizer, ", ".join(f"{name}={value}" for name, value in read.items())


def _write_augmentations(
    augmentations: Sequence[Augmentation], sources: Sources
) -> list[tuple[str, float, tuple[tuple[float, float, float], ...], str]]:
    """Stream, probability, stages and expression of each."""
    expressions = []
    for step in augmentations:
        try:
            expressions.append((step.stream, step.probability, step.stages, sources.expression(step.operation)))
        except SourceError as error:
            raise InputError(
                f"Augmentation {step.name!r} is not supported by script yet ({error}). Supported: all of eyeshot list "
                "augmentations, one or several in order."
            ) from error
    return expressions


def _typed_weights(result: TrainResult) -> Path | None:
    """The file of --weights in the command that began the run."""
    words = shlex.split(result.command)
    for word, following in pairwise([*words, ""]):
        if word == "--weights" and following:
            return Path(following)
        if word.startswith("--weights="):
            return Path(word.partition("=")[2])
    return None


def _load(result: TrainResult, weights: Path | None) -> Backbone:
    """What the run started from."""
    return load_backbone(
        result.model,
        weights=weights,
        from_scratch=not result.pretrained,
        size=result.size,
        mean=result.mean,
        std=result.std,
        interpolation=result.interpolation,
        fit="pad" if result.fit == "pad" else "crop",
        seed=result.settings.seed,
    )


def _load_images(result: TrainResult, cache: Path, progress: Progress) -> Dataset:
    config = result.data_config
    assert config is not None  # checked before
    dataset = load_dataset(config, cache=cache, progress=progress)
    if dataset.images.levels is not None:
        raise InputError("Images of more than 8 bits are not supported by script yet: save them with 8 bits.")
    return dataset


def _check_key(
    folder: Path, result: TrainResult, backbone: Backbone, dataset: Dataset, augmentations: Sequence[Augmentation]
) -> None:
    """Refuse a run that would now come out differently."""
    images, size = dataset.images, backbone.geometry.size
    ids = [images.ids[row] for row in dataset.val_rows]
    if tuple(ids) != read_validation(folder).ids or len(dataset.train_rows) != result.n_train:
        raise InputError(
            f"The images must be those of the run, which trained on {result.n_train} and validated on "
            f"{result.n_val}; now there are {len(dataset.train_rows)} and {len(ids)}, or others. Undo what changed "
            "since (files, decisions, the split), or train again."
        )
    rows = np.union1d(dataset.train_rows, dataset.val_rows)
    # No pixel is looked at.
    pool = Pool(np.broadcast_to(np.uint8(0), (len(rows), size, size, 3)), [images.pixel_keys[row] for row in rows])
    parts = (np.flatnonzero(np.isin(rows, dataset.train_rows)), np.flatnonzero(np.isin(rows, dataset.val_rows)))
    key = run_key(backbone, pool, images.labels[rows], parts, dataset.classes, augmentations, result.settings)
    if key != result.key:
        raise InputError(
            f"The weights, contents of images, labels and augmentations must be those of the run {folder.name!r}, and "
            "something has changed since. Where it started from a file: --weights FILE. Else train again."
        )


def _list_images(
    folder: Path, dataset: Dataset, classes: Sequence[str]
) -> tuple[Path, list[tuple[str, str, str, str]], str]:
    """The folder of all images; path, label, role and the run's answer of each; SHA-256 of all contents in order."""
    answers = [classes[number] for number in read_validation(folder).probabilities.argmax(1)]
    images = dataset.images
    chosen = [(row, "train", "") for row in dataset.train_rows.tolist()]
    chosen += [(row, "val", answer) for row, answer in zip(dataset.val_rows.tolist(), answers, strict=True)]
    paths = [images.paths[row] for row, *_ in chosen]
    try:
        root = Path(os.path.commonpath([Path(path).parent for path in paths]))
        relative = [Path(path).relative_to(root).as_posix() for path in paths]
    except ValueError:  # on several drives of Windows
        root, relative = Path(), [Path(path).as_posix() for path in paths]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(Path(path).read_bytes())
    rows = [
        (name, classes[images.labels[row]], role, answer)
        for name, (row, role, answer) in zip(relative, chosen, strict=True)
    ]
    return root, rows, digest.hexdigest()


def _describe_factory(result: TrainResult, backbone: Backbone, sources: Sources) -> dict[str, Any]:
    """Where a network of the user's own comes from; what takes its features is copied."""
    place, _, function = result.model.rpartition(":")
    if place.endswith(".py"):
        file = Path(place).resolve()
        folder, module = file.parent, file.stem
    else:
        folder, module = Path.cwd(), place
    for part in feature_parts():
        sources.add(part)
    return {"folder": str(folder), "module": module, "function": function, "unused_head": unused_head(backbone)}


def _describe_weights(weights: Path, backbone: Backbone) -> dict[str, Any]:
    """How a script reads the file, tried out here.

    Raises:
        InputError: it takes more than a prefix taken off.
    """
    data = weights.read_bytes()
    is_safe = data[8:9] == b"{"
    state, note = read_state(weights)
    parts = re.findall(r"part '(.*)' of the file", note)
    own = {name.removeprefix(backbone.own_prefix): value for name, value in backbone.module.state_dict().items()}
    first = next(iter(own))
    prefixes = sorted({name.removesuffix(first) for name in state if name.endswith(first)}, key=len)
    for prefix in prefixes:
        plain = {name.removeprefix(prefix): value for name, value in state.items()}
        if all(
            name in plain and torch.equal(plain[name], value)
            for name, value in own.items()
            if "num_batches" not in name
        ):
            return {
                "file": str(weights.resolve()), "sha256": hashlib.sha256(data).hexdigest(), "safetensors": is_safe,
                "parts": parts[0].split(".") if parts else [], "prefix": prefix,
            }  # fmt: skip
    raise InputError(
        f"The weights {str(weights)!r} have other names or sizes than {backbone.name}, which is not supported by "
        "script yet. Save them with timm's names: torch.save(model.state_dict(), FILE)."
    )


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("path", "label", "role", "answer"), *rows])
    return text.getvalue()


def _notes(result: TrainResult, listed: Path, count: int) -> list[str]:
    notes = [f"It lists {count} {plural(count, 'image')}" + ("." if count <= EMBEDDED else f" in {listed.name}.")]
    if not result.hardware.startswith("CPU"):
        notes.append(
            f"The run used {result.hardware.partition(',')[0]}: on a CPU rounding differs, and so do some answers."
        )
    if result.augmentations:
        notes.append("The operations of its augmentations are copied into it.")
    return notes
