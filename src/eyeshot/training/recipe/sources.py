"""The recipe of a run from where it is written down: the command line, eyeshot.toml, the one kept for the model.

This file loads nothing heavy: wrong settings are refused before torch is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from pydantic import JsonValue

from eyeshot.augment import is_policy_file
from eyeshot.core import InputError, Project, StorageError, replacing
from eyeshot.training.config import TrainConfig, check_config, check_setting
from eyeshot.training.recipe.optimizer_catalogue import OPTIMIZERS, check_optimizer, nearest, usual_decay, usual_rate
from eyeshot.training.recipe.schedule_catalogue import SCHEDULES

RECIPES_FILE = "recipes.json"
RECIPES_VERSION = 1
GROUP = "training"
AUGMENT = "augment"
"""In the same group of eyeshot.toml: what every training is given where nothing is typed."""
NO_RECIPE = ("seed",)
"""Settings that no file sets: each run has its own."""
NOTHING = ("none", "null", "off")
"""How the command line writes that a setting is not used."""


def read_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Settings from texts such as "training.layer_decay=0.75", as `--set` takes them; each value is checked.

    Raises:
        InputError: no such setting (the nearest is named), or its value is not allowed.
    """
    given: dict[str, str | None] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        group, dot, name = path.strip().partition(".")
        if not equals or not dot or group != GROUP:
            raise InputError(f"--set takes {GROUP}.NAME=VALUE, got {text!r}. For instance {GROUP}.layer_decay=0.75.")
        _check_name(name, f"--set {text}: ")
        optional = type(None) in get_args(TrainConfig.model_fields[name].annotation)
        given[name] = None if optional and value.strip().lower() in NOTHING else value.strip()
    # Settings that belong together are checked when all of them are known.
    return {name: _checked(name, value, "--set") for name, value in given.items()}


def project_settings(project: Project) -> dict[str, Any]:
    """The group [training] of eyeshot.toml.

    Raises:
        InputError: no such setting (the nearest is named), or its value is not allowed; with the file.
    """
    place = f"{str(project.file)!r}, [{GROUP}] "
    settings = {name: value for name, value in project.training.items() if name != AUGMENT}
    for name in settings:
        _check_name(name, place)
        if name in NO_RECIPE:
            raise InputError(f"{place}{name}: it is no part of a recipe. Give --{name} with each run.")
    return {name: _checked(name, value, place.strip(), strict=True) for name, value in settings.items()}


def project_augmentations(project: Project) -> list[str]:
    """Augmentations of every training, `augment` in the group [training] of eyeshot.toml, in order.

    Files, such as that of a policy, lie beside eyeshot.toml.

    Raises:
        InputError: it is neither a name nor a list of names.
    """
    given = project.training.get(AUGMENT, [])
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"{str(project.file)!r}, [{GROUP}] {AUGMENT} must be a name or a list of names, got {given!r}. For "
            f'instance {AUGMENT} = "policy.toml".'
        )
    folder = Path() if project.file is None else project.file.parent
    return [str(folder / name) if is_policy_file(name) else name for name in names]


def keep_recipe(project_folder: Path, model: str, settings: Mapping[str, JsonValue], why: str) -> Path:
    """Keep the recipe of a model for its next run; it takes the place of the one kept before.

    Args:
        project_folder: `find_workspace().project`.
        model: full tag.
        settings: by the names of `TrainConfig`, without the seed; what is left out stays by default.
        why: a sentence on where it comes from.

    Returns:
        the file.

    Raises:
        InputError: a setting does not exist or has a wrong value.
        StorageError: the file cannot be written.
    """
    for name in settings:
        _check_name(name, f"The recipe of {model}: ")
        if name in NO_RECIPE:
            raise InputError(f"The recipe of {model} must not hold {name}, which each run has its own of.")
    check_config(**settings)
    file = project_folder / RECIPES_FILE
    recipes = _read(file)
    recipes[model] = {"settings": dict(settings), "why": why, "time": datetime.now(UTC).isoformat(timespec="seconds")}
    content = {"version": RECIPES_VERSION, "recipes": dict(sorted(recipes.items()))}
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def kept_recipe(project_folder: Path, model: str) -> tuple[dict[str, Any], str]:
    """The settings that were kept for a model, and why; empty where none were.

    Raises:
        StorageError: the file is broken.
    """
    file = project_folder / RECIPES_FILE
    record = _read(file).get(model)
    if record is None:
        return {}, ""
    try:
        settings, why = dict(record["settings"]), str(record["why"])
        check_config(**settings)
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise StorageError(f"{str(file)!r} holds no recipe for {model} that can be used: {error}") from error
    return settings, why


def merge_settings(
    default: TrainConfig, reason: str, layers: Iterable[tuple[str, Mapping[str, Any]]]
) -> tuple[TrainConfig, str]:
    """The recipe of a run, and where each part of it comes from.

    A layer that changes the optimizer or the schedule without the settings that go with it gets the usual ones: a
    learning rate and weight decay scaled from those before by the optimizers' catalogue, its schedule, and the
    schedule's warm-up.

    Args:
        default: by model and data.
        reason: of the default.
        layers: where settings come from, in words, and the settings; later layers go first.

    Raises:
        InputError: the settings do not fit together.
    """
    values, said = default.model_dump(), []
    for words, settings in layers:
        if not settings:
            continue
        said.append(f"{words}: {', '.join(name.replace('_', ' ') for name in settings)}")
        usual, why = _going_with(values, settings)
        values |= usual | dict(settings)
        said += why
    return check_config(**values), "; ".join(said) or reason


def _going_with(values: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Settings that follow from a changed optimizer or schedule, with the reasons."""
    usual: dict[str, Any] = {}
    why = []
    name = check_optimizer(settings.get("optimizer", values["optimizer"])).name
    if name != values["optimizer"]:
        before, now = OPTIMIZERS[values["optimizer"]], OPTIMIZERS[name]
        if "learning_rate" not in settings and before.rate_factor:
            usual["learning_rate"] = float(f"{usual_rate(now, values['learning_rate'] / before.rate_factor):.4g}")
            why.append(f"learning rate {usual['learning_rate']:g} as usual for {name} ({now.rate_source})")
        rate = settings.get("learning_rate", usual.get("learning_rate", values["learning_rate"]))
        if "weight_decay" not in settings and rate != values["learning_rate"]:
            usual["weight_decay"] = usual_decay(values["weight_decay"], values["learning_rate"], rate)
            why.append(f"weight decay {usual['weight_decay']:g}, which pulls as before at this learning rate")
        if "schedule" not in settings and now.schedule != values["schedule"] and now.schedule != before.schedule:
            usual["schedule"] = now.schedule
            why.append(f"{now.schedule} schedule, which {name} is used with")
        if "momentum" not in settings and not now.takes_momentum:
            usual["momentum"] = None
    schedule = settings.get("schedule", values["schedule"])
    share = SCHEDULES[schedule].warm_up_share
    if schedule != values["schedule"] and "warm_up_share" not in settings and share != values["warm_up_share"]:
        usual["warm_up_share"] = share
        why.append(f"warm-up over {100 * share:g} % of the steps as usual for {schedule}")
    return usual, why


def _check_name(name: str, place: str) -> None:
    if name not in TrainConfig.model_fields:
        raise InputError(f"{place}there is no setting {name!r}. {nearest(name, TrainConfig.model_fields)}")


def _checked(name: str, value: Any, place: str, *, strict: bool = False) -> Any:
    try:
        return check_setting(name, value, strict=strict)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] != RECIPES_VERSION:
            raise ValueError(f"version {content['version']}")
        return dict(content["recipes"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{str(file)!r} holds no recipes ({error}). Delete it, or restore it.") from error
