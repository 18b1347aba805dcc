"""Policies: up to three operations with strengths, probabilities and stages over the epochs, in a TOML file.

Each operation of a policy is an augmentation with a name that says all of it, such as
"jitter=0.5@0.3~light0.1-0.3~full0.3-0.9": strength 0.5, probability 0.3, and when it is applied. Runs and experiments
keep these names, so they need the file no longer. Nothing heavy is loaded here: errors come before any long work.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from eyeshot.augment.names import FAMILIES, is_user_name, matching_names, unknown_name
from eyeshot.core import InputError, listing

VERSION = 1
MOST_OPERATIONS = 3
LEVELS = {"none": 0.0, "light": 0.5, "full": 1.0}
"""By how much a stage multiplies the probabilities."""
SCALABLE = (
    *("rotate-15", "rotate-30", "rotate-180", "translate", "affine", "affine-stretch", "perspective"),
    *("crop-mild", "crop-strong", "elastic", "jitter", "jitter-mild", "jitter-strong"),
    *("gaussian-blur", "gaussian-blur-strong", "gaussian-noise", "gaussian-noise-mild", "jpeg", "downscale"),
)
"""Operations with a strength below 1: what they draw has a range, which the strength shrinks towards no change."""
TOP_KEYS = ("version", "operation", "stage")
OPERATION_KEYS = ("name", "strength", "probability")
STAGE_KEYS = ("level", "from", "to")
NEXT = "`eyeshot rank augmentations --policy` writes one that is right."
_STEP = re.compile(
    r"^(?P<name>[a-z-]+[a-z0-9-]*)(=(?P<strength>[0-9.e-]+))?@(?P<probability>[0-9.e-]+)(?P<stages>(~.*)?)$"
)
_STAGE = re.compile(r"^(?P<level>[a-z]+)(?P<start>[0-9.]+)-(?P<end>[0-9.]+)$")


PolicyStage = tuple[str, float, float]
"""Level, from and to: a part of the training, as shares of its epochs, and what it multiplies probabilities by."""


class PolicyStep(NamedTuple):
    """An operation of a policy.

    Attributes:
        operation: its name in the catalogue.
        strength: above 0, at most 1; 1 is that of the catalogue.
        probability: share of images that it changes in a stage that is full.
        stages: in order, apart; outside of them nothing is applied. None: full from beginning to end.
    """

    operation: str
    strength: float
    probability: float
    stages: tuple[PolicyStage, ...] = ()

    @property
    def name(self) -> str:
        """The name that `read_step` reads."""
        strength = "" if self.strength == 1 else f"={self.strength:g}"
        stages = "".join(f"~{level}{start:g}-{end:g}" for level, start, end in self.stages)
        return f"{self.operation}{strength}@{self.probability:g}{stages}"


def is_step(name: str) -> bool:
    """Whether a name is that of an operation of a policy; names of the catalogue have no @."""
    return "@" in name and ":" not in name and not is_policy_file(name)


def is_policy_file(name: str) -> bool:
    """Whether a name is that of a policy's file."""
    return name.strip().endswith(".toml")


def read_step(name: str) -> PolicyStep:
    """The operation of a policy that a name stands for.

    Raises:
        InputError: the name is not written as above, or holds a value that is not allowed.
    """
    match = _STEP.match(name.strip())
    if match is None:
        raise InputError(
            f"An operation of a policy is written NAME@PROBABILITY or NAME=STRENGTH@PROBABILITY, got {name!r}. For "
            "instance jitter=0.5@0.3."
        )
    stages = []
    for text in match["stages"].split("~")[1:]:
        part = _STAGE.match(text)
        if part is None:
            raise InputError(f"A stage is written LEVELfrom-to, such as light0.1-0.3, got {text!r} in {name!r}.")
        stages.append({"level": part["level"], "from": _float(part["start"]), "to": _float(part["end"])})
    row = {"name": match["name"], "probability": _float(match["probability"])}
    if match["strength"] is not None:
        row["strength"] = _float(match["strength"])
    where = f"In {name!r}"
    return _step(row, _stages(stages, where=where), where=where)


def check_names(*names: str, policies: bool = False) -> None:
    """Refuse a name that stands for no augmentation; the user's own are looked at when they are loaded.

    Args:
        names: names, wildcards or families.
        policies: whether files of policies and their operations are allowed; they are read.

    Raises:
        InputError: a name stands for nothing, or a policy holds something that is not allowed.
    """
    for name in names:
        if policies and is_policy_file(name):
            read_policy(Path(name.strip()))
        elif policies and is_step(name):
            read_step(name)
        elif not is_user_name(name):
            matching_names(name)


def with_policies(names: Iterable[str]) -> list[str]:
    """The names, each file of a policy replaced by the names of its operations, in order.

    Raises:
        InputError: a file cannot be read as a policy.
    """
    return [
        own
        for name in names
        for own in ([step.name for step in read_policy(Path(name.strip()))] if is_policy_file(name) else [name])
    ]


def read_policy(file: Path) -> tuple[PolicyStep, ...]:
    """The operations of a policy's file, in the order in which they are applied; none trains on clean images.

    Raises:
        InputError: the file does not exist, or holds something that is not allowed.
    """
    shown = str(file)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"A policy is a TOML file, got {shown!r}, which does not exist. Check the path, or name its operations, "
            f"which runs and experiments keep. {NEXT}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"A policy is a TOML file, got {shown!r}, which cannot be read: {error}. {NEXT}") from error
    return parse_policy(text, shown=shown)


def parse_policy(text: str, *, shown: str) -> tuple[PolicyStep, ...]:
    """The operations of a policy in a TOML text; `shown` is the file's name in errors.

    Raises:
        InputError: it holds something that is not allowed.
    """
    where = f"The policy {shown!r}"
    if not text.strip():
        raise InputError(f"{where} must name its version and operations, got an empty file. {NEXT}")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where} must be TOML, got something else: {error}. {NEXT}") from error
    _known(table, TOP_KEYS, where=where)
    version = table.get("version")
    if version != VERSION or isinstance(version, bool):
        got = "none" if version is None else repr(version)
        raise InputError(f"{where} must have version = {VERSION}, got {got}. Write it anew: {NEXT}")
    rows = table.get("operation", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{where} lists operations as [[operation]], got {type(rows).__name__}. {NEXT}")
    if len(rows) > MOST_OPERATIONS:
        raise InputError(f"{where} may have at most {MOST_OPERATIONS} operations, got {len(rows)}. Leave some out.")
    periods = table.get("stage", [])
    if not isinstance(periods, list) or not all(isinstance(row, dict) for row in periods):
        raise InputError(f"{where} lists stages as [[stage]], got {type(periods).__name__}. {NEXT}")
    stages = _stages(periods, where=where)
    steps = tuple(_step(row, stages, where=where) for row in rows)
    names = [step.operation for step in steps]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise InputError(f"{where} must name each operation once, got {listing(twice)} twice. Leave one out.")
    return steps


def policy_text(steps: Sequence[PolicyStep], *, comments: Iterable[str] = ()) -> str:
    """The TOML text of a policy whose operations all have the same stages."""
    lines = [f"# {comment}" for comment in comments]
    lines += ["# Train with it: eyeshot train --augment policy.toml", f"version = {VERSION}"]
    for step in steps:
        lines += ["", "[[operation]]", f'name = "{step.operation}"']
        lines += [f"strength = {step.strength:g}", f"probability = {step.probability:g}"]
    for level, start, end in steps[0].stages if steps else ():
        lines += ["", "[[stage]]", f'level = "{level}"', f"from = {start:g}", f"to = {end:g}"]
    return "\n".join(lines) + "\n"


def _known(row: dict[str, Any], keys: Sequence[str], *, where: str) -> None:
    for key in row:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {listing(keys)}."
            raise InputError(f"{where} has the unknown key {key!r}. {hint}")


def _step(row: dict[str, Any], stages: tuple[PolicyStage, ...], *, where: str) -> PolicyStep:
    _known(row, OPERATION_KEYS, where=where)
    name = row.get("name")
    allowed = [known for family, names in FAMILIES.items() if family != "control" for known in names]
    if not isinstance(name, str):
        raise InputError(
            f'{where} must give each operation a name in quotes, got {name!r}. For instance name = "grey".'
        )
    if name not in allowed:
        raise InputError(f"{where}: {unknown_name(name)}")
    probability = _number(row.get("probability"), f"{where}: the probability of {name}")
    if not 0 <= probability <= 1:
        raise InputError(
            f"{where}: the probability of {name} must lie between 0 and 1, got {probability:g}. Correct it."
        )
    strength = _number(row.get("strength", 1.0), f"{where}: the strength of {name}")
    if not 0 < strength <= 1:
        raise InputError(
            f"{where}: the strength of {name} must be above 0 and at most 1, the catalogue's own, got {strength:g}. "
            "Correct it, or take a stronger operation of the catalogue: eyeshot list augmentations"
        )
    if strength != 1 and name not in SCALABLE:
        raise InputError(f"{where}: {name} has one strength only, 1, got {strength:g}. Leave strength out.")
    # As the name has them, so that a name and the file that it came from are the same policy.
    return PolicyStep(name, float(f"{strength:g}"), float(f"{probability:g}"), stages)


def _stages(rows: Sequence[dict[str, Any]], *, where: str) -> tuple[PolicyStage, ...]:
    stages = []
    for row in rows:
        _known(row, STAGE_KEYS, where=where)
        level = row.get("level")
        if level not in LEVELS:
            raise InputError(
                f"{where}: the level of a stage must be {listing(list(LEVELS))}, got {level!r}. Correct it."
            )
        start = _number(row.get("from"), f"{where}: `from` of a stage")
        end = _number(row.get("to"), f"{where}: `to` of a stage")
        if not 0 <= start < end <= 1:
            raise InputError(
                f"{where}: a stage goes from a share of the epochs to a larger one, 0 to 1, got {start:g} to {end:g}. "
                "Correct it."
            )
        stages.append((str(level), float(f"{start:g}"), float(f"{end:g}")))
    stages.sort(key=lambda stage: stage[1])
    for (level, _, end), (following, start, _) in pairwise(stages):
        if start < end:
            raise InputError(
                f"{where}: stages must not overlap, got {level} until {end:g} and {following} from {start:g}. Let one "
                "begin where the other ends."
            )
    return tuple(stages)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        got = "none" if value is None else repr(value)
        raise InputError(f"{what} must be a number, got {got}. For instance 0.5.")
    return float(value)


def _float(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
