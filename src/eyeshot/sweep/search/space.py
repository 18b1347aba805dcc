"""What a sweep may choose: names with their values, from the command line or from what is known of the project."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from eyeshot.augment import augmentation, with_policies
from eyeshot.core import InputError, listing
from eyeshot.training import OPTIMIZERS, SCHEDULES, check_config, merge_settings, read_settings, usual_decay, usual_rate

NONE = "none"
"""The augmentation that is none."""
MODEL, SIZE, AUGMENTATION, PENALTY = "model", "size", "augmentation", "probe.penalty"
TRAINING = "training."
AT, PX = " at ", " px"
"""Of a model that is chosen together with the size of its images: "TAG at 288 px"."""
BEST_MODELS = 5
BEST_AUGMENTATIONS = 4
PENALTIES = (0.3, 3000.0)
"""Of the probe: the ends of what `rank models` tries."""
USUAL_PENALTY = 30.0
RATE_SPAN = 10.0
"""Learning rates around the usual one: from a tenth to ten times."""
LOG_RATIO = 10.0

STRONG_FAMILIES = ("masking", "mixing", "policy", "edge and texture")
Strength = Literal["light", "medium", "strong"]


class Choice(NamedTuple):
    """One thing that a sweep chooses: among values, or from a range.

    Attributes:
        name: "model", "size", "augmentation", "probe.penalty" or "training.NAME".
        values: to choose from; empty for a range.
        low, high: ends of a range.
        log: whether the range is even in its logarithm.
        source: what it is known from.
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    source: str = "as given"

    @property
    def words(self) -> str:
        """In a line."""
        if self.values:
            return f"{self.name}: {listing([str(value) for value in self.values], most=8)} ({self.source})"
        return f"{self.name}: {self.low:g} to {self.high:g}{', by ratio' if self.log else ''} ({self.source})"


def read_space(texts: Iterable[str]) -> tuple[Choice, ...]:
    """Choices from texts: "training.optimizer=adamw,lion", "training.learning_rate=1e-5..1e-3", "model=a,b".

    A range whose ends are tenfold apart or more is even in its logarithm.

    Raises:
        InputError: an unknown name (the nearest is named), one that occurs twice, a value that is not allowed, an empty
            range.
    """
    choices = tuple(_read_choice(text) for text in texts)
    names = [choice.name for choice in choices]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"--space names each thing once, got {listing(sorted(twice))} several times. Join the values.")
    return choices


def check_space(choices: Sequence[Choice]) -> None:
    """Refuse a space before the long work.

    Raises:
        InputError: there is nothing to choose.
    """
    if not any(len(choice.values) > 1 or choice.low < choice.high for choice in choices):
        raise InputError("A sweep needs something to choose, and every choice has a single value. Give --space.")


def known_space(
    folder: Path, *, models: Sequence[str], learning_rate: float, optimizer: str, schedule: str = "cosine",
    sizes: bool = True,
) -> tuple[Choice, ...]:  # fmt: skip
    """What is worth trying in this project, from what `eyeshot rank` wrote and from what is usual.

    Args:
        folder: of the project's results: `models/models.json`, `augmentations/augmentations.json`,
            `optimizers/optimizers.json`.
        models: that were named; none: those of the ranking.
        learning_rate, optimizer, schedule: of the recipe that would be used without a sweep.
        sizes: whether a model also comes at other sizes of its images, where the ranking tried them and they were not
            clearly worse.
    """
    choices = []
    names, source = tuple(models), "as given"
    if not names:
        names, source = _ranked_models(folder)
    sized = _ranked_sizes(folder, names) if sizes else ()
    if sized:
        names, source = (*names, *sized), f"{source}; sizes that eyeshot rank models found no worse"
    if names:
        choices.append(Choice(MODEL, tuple(dict.fromkeys(names)), source=source))
    choices.append(Choice(PENALTY, low=PENALTIES[0], high=PENALTIES[1], log=True, source="of the probe"))
    augmentations, source = _ranked_augmentations(folder)
    choices.append(Choice(AUGMENTATION, (NONE, *augmentations), source=source))
    optimizers, source = _ranked_optimizers(folder, optimizer)
    choices.append(Choice(TRAINING + "optimizer", optimizers, source=source))
    choices.append(
        Choice(
            TRAINING + "learning_rate", low=learning_rate / RATE_SPAN, high=learning_rate * RATE_SPAN, log=True,
            source=f"around the recipe's {learning_rate:g}; of another optimizer in the same ratio to its usual rate",
        )
    )  # fmt: skip
    choices.append(Choice(TRAINING + "weight_decay", (0.0, 0.01, 0.05, 0.1), source="usual values"))
    choices.append(Choice(TRAINING + "label_smoothing", (0.0, 0.1), source="usual values"))
    schedules, source = _ranked_schedules(folder, schedule)
    choices.append(Choice(TRAINING + "schedule", schedules, source=source))
    return tuple(choices)


def merged_space(known: Sequence[Choice], given: Sequence[Choice]) -> tuple[Choice, ...]:
    """The known choices, with those that were given in the place of theirs."""
    own = {choice.name: choice for choice in given}
    kept = [own.pop(choice.name, choice) for choice in known]
    return (*kept, *own.values())


def first_model(folder: Path, given: Sequence[Choice], models: Sequence[str]) -> str | None:
    """The model that a sweep begins with, in the order in which it is looked for; None where nothing names one.

    Args:
        folder: of the project's results.
        given: choices that were typed.
        models: that were named.
    """
    typed = next((choice.values for choice in given if choice.name == MODEL), ())
    return next((str(name) for name in (*typed, *models, *_ranked_models(folder)[0])), None)


def with_size(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the size of its images by itself, where the model is chosen together with one."""
    model, at, pixels = str(config[MODEL]).partition(AT)
    return dict(config) | ({MODEL: model, SIZE: int(pixels.removesuffix(PX))} if at else {})


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a training in the configuration of a trial."""
    return {name.removeprefix(TRAINING): value for name, value in config.items() if name.startswith(TRAINING)}


def rate_for(config: Mapping[str, Any], *, base_optimizer: str) -> dict[str, Any]:
    """The configuration with learning rate and weight decay in proportion to what is usual for its optimizer.

    Both are chosen as if for the recipe's own optimizer; Lion's rate, for instance, is then a tenth of AdamW's.
    """
    optimizer, rate = config.get(TRAINING + "optimizer"), config.get(TRAINING + "learning_rate")
    if rate is None or optimizer in (None, base_optimizer):
        return dict(config)
    record = OPTIMIZERS[str(optimizer)]
    if record.rate_factor is None:  # it finds its rate itself
        return dict(config) | {TRAINING + "learning_rate": usual_rate(record, rate)}
    ratio = record.rate_factor / (OPTIMIZERS[base_optimizer].rate_factor or 1.0)
    changed = {TRAINING + "learning_rate": float(f"{rate * ratio:.3g}")}
    if decay := config.get(TRAINING + "weight_decay"):
        changed[TRAINING + "weight_decay"] = usual_decay(decay, 1.0, ratio)
    return dict(config) | changed


def strength_of(config: Mapping[str, Any]) -> Strength:
    """How strongly a trial augments and regularises: it competes with trials of the same strength.

    Early rungs punish what learns slowly, and strong augmentation does; among its like it is judged fairly. A step each
    for an augmentation that masks, mixes or composes others, for label smoothing of 0.1, drop path of 0.1, dropout of
    0.3 and weight decay of 0.1 and more: none is "light", one "medium", more "strong".
    """
    steps: int = 0
    for name in augmentations_of(config):
        steps += augmentation(name).family in STRONG_FAMILIES or name.partition("@")[0].endswith("-strong")
    limits = {"label_smoothing": 0.1, "drop_path": 0.1, "dropout": 0.3, "weight_decay": 0.1}
    settings = settings_of(config)
    steps += sum((settings.get(name) or 0.0) >= limit for name, limit in limits.items())
    strengths: tuple[Strength, ...] = ("light", "medium", "strong")
    return strengths[min(int(steps), 2)]


def augmentations_of(config: Mapping[str, Any]) -> list[str]:
    """Names of the augmentations of a trial, in order."""
    text = str(config.get(AUGMENTATION) or NONE)
    return [] if text == NONE else text.split("+")


def _read_choice(text: str) -> Choice:
    name, equals, right = (part.strip() for part in text.partition("="))
    if not equals or not right:
        raise InputError(
            f"--space takes NAME=A,B or NAME=LOW..HIGH, got {text!r}. For instance training.learning_rate=1e-5..1e-3."
        )
    if name not in (MODEL, SIZE, AUGMENTATION, PENALTY) and not name.startswith(TRAINING):
        raise InputError(
            f"--space names {MODEL}, {SIZE}, {AUGMENTATION}, {PENALTY} or {TRAINING}NAME, got {name!r}. "
            f"Did you mean {TRAINING}{name}?"
        )
    low, dots, high = right.partition("..")
    if dots:
        return _range(name, low, high, text)
    parts = [part.strip() for part in right.split(",") if part.strip()]
    return Choice(name, tuple(dict.fromkeys(_value(name, part) for part in parts)))


def _range(name: str, low: str, high: str, text: str) -> Choice:
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = math.nan, math.nan
    if not ends[0] < ends[1] or not all(map(math.isfinite, ends)):
        raise InputError(f"--space {text}: a range goes from a number to a larger one. Give LOW..HIGH.")
    for end in ends:
        checked = _value(name, f"{end:g}")
        if not isinstance(checked, float):
            raise InputError(f"--space {text}: {name} is no number with fractions. Name its values: {name}=A,B.")
    return Choice(name, low=ends[0], high=ends[1], log=ends[0] > 0 and ends[1] / ends[0] >= LOG_RATIO)


def _value(name: str, text: str) -> Any:
    if name == MODEL:
        return text
    if name == AUGMENTATION:
        names = with_policies(augmentations_of({AUGMENTATION: text}))
        for part in names:
            augmentation(part)
        return "+".join(names) or NONE
    if name in (SIZE, PENALTY):
        try:
            number = int(text) if name == SIZE else float(text)
        except ValueError:
            number = 0
        if number <= 0:
            raise InputError(f"--space {name} takes numbers above 0, got {text!r}. Give pixels or a penalty.")
        return number
    setting = name.removeprefix(TRAINING)
    if setting in ("epochs", "freeze", "head_epochs", "time_cap_s", "seed"):
        raise InputError(f"--space cannot choose {name}: the rungs and the seed are the sweep's own. Leave it out.")
    value = read_settings([f"{name}={text}"])[setting]
    return float(value) if isinstance(value, float) else value


def _ranked_models(folder: Path) -> tuple[tuple[str, ...], str]:
    """The best models of `rank models`: those with the best probe first, of which weights are at hand."""
    report = _json(folder / "models" / "models.json")
    ranked = sorted(
        (model for model in _entries(report.get("models")) if model.get("name")), key=lambda m: m.get("rank", 0)
    )
    names = tuple(str(model["name"]) for model in ranked[:BEST_MODELS])
    return names, "the best of eyeshot rank models"


def _ranked_sizes(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Models at other sizes of their images, of those that `rank models` tried and that were not clearly worse.

    A size belongs to the model that it was tried with: nothing is known of it for another.
    """
    report = _json(folder / "models" / "models.json")
    sized = []
    for model in _entries(report.get("models")):
        for size in _entries((model.get("resolution") or {}).get("sizes") or []):
            interval = size.get("difference_interval")
            if model.get("name") in names and interval and interval[1] >= 0:
                sized.append(f"{model['name']}{AT}{int(size['size'])}{PX}")
    return tuple(sized)


def _ranked_augmentations(folder: Path) -> tuple[tuple[str, ...], str]:
    report = _json(folder / "augmentations" / "augmentations.json")
    ranked = sorted(
        (entry for entry in _entries(report.get("candidates")) if entry.get("name")),
        key=lambda entry: entry.get("rank") or math.inf,
    )
    names: list[str] = []
    for entry in ranked:
        name = str(entry["name"])
        if name in ("clean", NONE) or entry.get("label_breaking") or entry.get("family") == "control":
            continue
        try:
            augmentation(name)
        except InputError:  # of another version, or the user's own that is not here
            continue
        names.append(name)
    if names:
        return tuple(names[:BEST_AUGMENTATIONS]), "the best of eyeshot rank augmentations"
    return ("mirror", "trivial-augment", "mixup"), "usual ones; eyeshot rank augmentations says which fit"


def _ranked_optimizers(folder: Path, own: str) -> tuple[tuple[str, ...], str]:
    report = _json(folder / "optimizers" / "optimizers.json")
    names = [str(entry.get("optimizer")) for key in ("advised", "tried") for entry in _entries(report.get(key))]
    kept = tuple(dict.fromkeys(name for name in (own, *names) if name in OPTIMIZERS))[:4]
    if len(kept) > 1:
        return kept, "of eyeshot rank optimizers"
    usual = tuple(dict.fromkeys((own, "adamw", "lion", "sgd")))[:3]
    return usual, "usual ones; eyeshot rank optimizers says which fit"


def _ranked_schedules(folder: Path, own: str) -> tuple[tuple[str, ...], str]:
    """The schedule of the recipe, the one that `rank optimizers` advises, and usual ones."""
    advised = str(_json(folder / "optimizers" / "optimizers.json").get("schedule"))
    names = tuple(dict.fromkeys(name for name in (own, advised, "cosine", "wsd") if name in SCHEDULES))
    if advised in SCHEDULES:
        return names, f"{advised}, which eyeshot rank optimizers advises, and usual ones"
    return names, "usual ones; eyeshot rank optimizers says which fits"


def _entries(value: Any) -> list[Mapping[str, Any]]:
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _json(file: Path) -> dict[str, Any]:
    """Content of a report; empty where there is none that can be read."""
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


def check_trial(config: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    """Whether the settings of a trial go together with those of the recipe, put together as its training does.

    What belongs to the recipe's optimizer alone (the momentum of SGD) does not follow a trial to another one.

    Raises:
        InputError: they do not.
    """
    merge_settings(check_config(**base), "", [("of the trial", settings_of(config))])
