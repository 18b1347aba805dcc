"""What a run was trained with, as flat settings that can be changed and compared, and back into a training."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eyeshot.augment import check_names, is_policy_file, with_policies
from eyeshot.core import InputError, Progress, Workspace, find_workspace, listing
from eyeshot.data import DataConfig, Dataset
from eyeshot.models import Backbone, load_backbone, ranked_weights
from eyeshot.training import (
    TrainConfig,
    TrainPlan,
    TrainResult,
    default_settings,
    merge_settings,
    plan_training,
    read_settings,
)

NO_RECIPE = ("seed", "time_cap_s")
"""Settings of a run that are none of its recipe."""
PREPARATION = ("size", "fit", "interpolation", "mean", "std")
MODEL = ("model", "weights", "from_scratch", *PREPARATION)
DATA = ("train", "labels", "path_column", "label_column", "image_root", "decisions")
VALIDATION = ("val", "val_share", "split", "fold", "seed")
"""Fields of the data that decide which images validate: those of parent and child are the same."""
NONE = ("none", "null", "off", "")

Settings = dict[str, Any]


def read_changes(changes: Mapping[str, Any] | Iterable[str]) -> Settings:
    """What an experiment changes, checked: {"training.optimizer": "nadamw", "augmentation": ["invert"]}.

    Args:
        changes: values by name, or texts "NAME=VALUE" as `--set` takes them. Names are `training.` and a setting of the
            recipe, `augmentation` (names joined by "+", the file of a policy, or none), `model`, `weights`,
            `from_scratch`, `size`, `fit`, `interpolation`, `mean`, `std`, and `data.` with train, labels, path_column,
            label_column, image_root or decisions.

    Raises:
        InputError: an unknown name (the nearest is said), a name given twice, or a value that is not allowed.
    """
    pairs = list(changes.items()) if isinstance(changes, Mapping) else [_pair(text) for text in changes]
    asked: Settings = {}
    for name, value in pairs:
        group, _, inner = name.partition(".")
        if name in asked:
            raise InputError(f"--set {name}: it is given twice. Give it once.")
        if name == "training.time_cap_s":
            raise InputError(f"--set {name}: a time is no part of a recipe. Limit an experiment with --budget.")
        if group == "training":
            ((key, checked),) = read_settings([f"{name}={'none' if value is None else value}"]).items()
            asked[f"training.{key}"] = checked
        elif name in ("augmentation", "augment", "augmentations"):
            asked["augmentation"] = _augmentations(value)
        elif name in MODEL:
            asked[name] = _model_value(name, value)
        elif group == "data" and inner in DATA:
            asked[name] = None if _is_none(value) else str(value)
        elif group == "data" and inner in VALIDATION:
            raise InputError(
                f"--set {name}: runs are compared on the same validation images, so an experiment cannot change which "
                "these are. Begin anew with them: eyeshot train, then --parent RUN."
            )
        else:
            raise InputError(f"--set {name}: there is no such setting. {_nearest(name)}")
    return asked


def settings_of(result: TrainResult) -> Settings:
    """The recipe of a finished run: model, augmentations, data and `training.*` but the seed."""
    config = result.data_config
    if config is None:
        raise InputError(
            "The parent's result does not say which images it used. Train it again with eyeshot train, or name another "
            "with --parent."
        )
    weights = _typed_weights(result.command)
    if weights is None and result.pretrained:  # of a sweep, whose trials take the files of the ranking
        ranked = ranked_weights(find_workspace().root, result.model)
        weights = None if ranked is None else str(ranked)
    return {
        "model": result.model, "weights": weights, "from_scratch": not result.pretrained,
        "size": result.size, "fit": result.fit, "interpolation": result.interpolation, "mean": list(result.mean),
        "std": list(result.std), "augmentation": list(result.augmentations),
        **_training(result.settings), **_data(config),
    }  # fmt: skip


def settings_of_plan(plan: TrainPlan, *, weights: str | None) -> Settings:
    """The same of a training that is planned."""
    backbone, geometry = plan.backbone, plan.backbone.geometry
    return {
        "model": backbone.name, "weights": weights, "from_scratch": not backbone.pretrained,
        "size": geometry.size, "fit": geometry.fit, "interpolation": geometry.interpolation,
        "mean": list(backbone.mean), "std": list(backbone.std),
        "augmentation": [augmentation.name for augmentation in plan.augmentations],
        **_training(plan.settings), **_data(plan.dataset.config),
    }  # fmt: skip


def changed(
    settings: Settings, asked: Settings, parent: TrainPlan, *, backbone_of: Callable[[Settings], Backbone]
) -> tuple[Settings, str]:
    """The recipe of the child: that of the parent with what is asked for, and what follows from it, in words.

    A changed optimizer or schedule brings the settings that usually go with it (`merge_settings`). A changed model
    brings its own image preparation, and its own defaults where the parent had those of its model; a start from scratch
    keeps the preparation, and other weights keep the size.

    Args:
        settings: of the parent.
        asked: of `read_changes`.
        parent: the parent's training, planned again.
        backbone_of: loads the model of such settings.

    Raises:
        InputError: the settings do not fit together.
        ModelError: the model cannot be loaded.
    """
    child = settings | {name: value for name, value in asked.items() if not name.startswith("training.")}
    before = parent.settings
    base = before
    if {"model", "weights", "from_scratch"} & asked.keys():
        # The same network takes images as its parent did; other weights of it bring another preparation, not a size.
        kept = {"fit"} if "model" in asked else {"fit", "size"} if "weights" in asked else set(PREPARATION)
        child |= {name: asked.get(name) for name in PREPARATION if name not in kept}
        if "weights" not in asked:
            child["weights"] = None
        if "from_scratch" not in asked:
            child["from_scratch"] = False
        count = len(parent.dataset.train_rows)
        of_parent = default_settings(parent.backbone, count, seed=before.seed)[0].model_dump()
        of_child = default_settings(backbone_of(child), count, seed=before.seed)[0].model_dump()
        values = {
            name: of_child[name] if value == of_parent[name] else value for name, value in before.model_dump().items()
        }
        base = TrainConfig.model_validate(values)
    recipe = {name.removeprefix("training."): value for name, value in asked.items() if name.startswith("training.")}
    merged, why = merge_settings(base, "as in the parent", [("changed", recipe)])
    return child | _training(merged), why


def difference_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two recipes: name → (before, after); nothing is None."""
    pairs = {name: (before.get(name), after.get(name)) for name in dict.fromkeys((*after, *before))}
    none: list[Any] = []
    pairs = {name: (None if old == none else old, None if new == none else new) for name, (old, new) in pairs.items()}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


def plan_of(
    settings: Settings,
    *,
    seed: int,
    dataset: Dataset,
    workspace: Workspace,
    device: str | None = None,
    progress: Progress | None = None,
) -> TrainPlan:
    """The training of one seed of a recipe.

    Raises:
        InputError: an option or an augmentation cannot be used.
        ModelError: the model or its weights cannot be loaded.
    """
    recipe = {name.removeprefix("training."): value for name, value in settings.items() if name.startswith("training.")}
    return plan_training(
        dataset,
        model=settings["model"],
        weights=None if settings["weights"] is None else Path(settings["weights"]),
        from_scratch=bool(settings["from_scratch"]),
        size=settings["size"],
        mean=settings["mean"],
        std=settings["std"],
        interpolation=settings["interpolation"],
        fit=settings["fit"],
        augment=settings["augmentation"],
        settings=recipe,
        seed=seed,
        device=device,
        workspace=workspace,
        progress=progress,
    )


def data_of(settings: Settings) -> DataConfig:
    """Where the images of a recipe lie."""
    return DataConfig(**{
        name.removeprefix("data."): value for name, value in settings.items() if name.startswith("data.")
    })  # fmt: skip


def load_model(settings: Settings, *, seed: int = 0) -> Backbone:
    """The model that a recipe starts from.

    Raises:
        InputError: the model does not allow the size.
        ModelError: the model or its weights cannot be loaded.
    """
    return load_backbone(
        settings["model"],
        weights=None if settings["weights"] is None else Path(settings["weights"]),
        from_scratch=bool(settings["from_scratch"]),
        size=settings["size"],
        mean=settings["mean"],
        std=settings["std"],
        interpolation=settings["interpolation"],
        fit=settings["fit"],
        seed=seed,
    )


def train_command(settings: Settings, seed: int) -> str:
    """What to type to train one seed of a recipe without an experiment."""
    words = ["eyeshot", "train", str(settings["data.train"])]
    for name in ("labels", "path_column", "label_column", "image_root", "val", "fold"):
        if settings.get(f"data.{name}") is not None:
            words += [f"--{name.replace('_', '-')}", str(settings[f"data.{name}"])]
    for name in ("model", "weights", "size", "interpolation", "fit"):
        if settings[name] is not None:
            words += [f"--{name}", str(settings[name])]
    for name in ("mean", "std"):
        words += [f"--{name}", ",".join(f"{value:g}" for value in settings[name])] if settings[name] else []
    words += ["--from-scratch"] if settings["from_scratch"] else []
    for augmentation in settings["augmentation"]:
        words += ["--augment", augmentation]
    for name, value in settings.items():
        default = TrainConfig.model_fields[name.removeprefix("training.")] if name.startswith("training.") else None
        if default is not None and value != default.default:
            words += ["--set", f"{name}={'none' if value is None else value}"]
    return shlex.join([*words, "--seed", str(seed)])


def _training(config: TrainConfig) -> Settings:
    return {
        f"training.{name}": value for name, value in config.model_dump(mode="json").items() if name not in NO_RECIPE
    }


def _data(config: DataConfig) -> Settings:
    fields = config.model_dump(mode="json", exclude={"test", "rules"})
    return {f"data.{name}": value for name, value in fields.items()}


def _typed_weights(command: str) -> str | None:
    """The file of --weights in the command that began a run."""
    words = shlex.split(command)
    for place, word in enumerate(words):
        if word == "--weights" and place + 1 < len(words):
            return words[place + 1]
        if word.startswith("--weights="):
            return word.partition("=")[2]
    return None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise InputError(f"--set takes NAME=VALUE, got {text!r}. For instance --set training.optimizer=nadamw.")
    return name.strip(), value.strip()


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in NONE)


def _augmentations(value: Any) -> list[str]:
    if isinstance(value, str):
        # A file's path may hold a plus.
        value = [value] if is_policy_file(value) and Path(value).exists() else value.split("+")
    names = [name for name in value or () if not _is_none(name) and name != "clean"]
    check_names(*names, policies=True)
    return with_policies(names)


def _model_value(name: str, value: Any) -> Any:
    if _is_none(value):
        if name == "model":
            raise InputError(
                f"--set model takes a timm tag such as resnet18.a1_in1k, got {value!r}. List them: eyeshot list models"
            )
        return "crop" if name == "fit" else False if name == "from_scratch" else None
    try:
        if name == "size":
            if int(value) < 1:
                raise InputError(
                    f"--set size takes a side of at least 1 pixel, got {value!r}. For instance --set size=224."
                )
            return int(value)
        if name in ("mean", "std"):
            parts: Sequence[Any] = value.split(",") if isinstance(value, str) else value
            return [float(part) for part in parts]
        if name == "from_scratch":
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[str(value).lower()]
    except (ValueError, KeyError, TypeError) as error:
        kinds = {"size": "a side in pixels", "from_scratch": "true or false"}
        raise InputError(f"--set {name} takes {kinds.get(name, 'numbers, as 0.5,0.5,0.5')}, got {value!r}.") from error
    return str(value)


def _nearest(name: str) -> str:
    known = [
        "augmentation", *MODEL, *(f"data.{field}" for field in DATA),
        *(f"training.{field}" for field in TrainConfig.model_fields),
    ]  # fmt: skip
    endings = {each.rpartition(".")[2]: each for each in known}
    near = difflib.get_close_matches(name, known, n=2) or [
        endings[each] for each in difflib.get_close_matches(name.rpartition(".")[2], endings, n=2)
    ]
    return f"Nearest: {listing(near)}." if near else "For instance training.optimizer, augmentation or model."
