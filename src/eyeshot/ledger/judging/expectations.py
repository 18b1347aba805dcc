"""Expectations as people write them, and how often those of each author came."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from eyeshot.core import InputError, listing, wilson
from eyeshot.ledger.store.records import Direction, Expected, Experiment

METRICS = ("accuracy",)
SAME_WITHIN = 0.01
"""A difference of at most one point either way is "same" where the author names no size."""
HOW = (
    'Write "+1.0 accuracy" (points), "up accuracy" or "down accuracy" without a size, or "same accuracy" for no '
    "difference."
)
_WORDS: dict[str, Direction] = {
    "up": "up", "more": "up", "better": "up", "higher": "up", "down": "down", "less": "down", "worse": "down",
    "lower": "down", "same": "same", "equal": "same", "no difference": "same", "no change": "same",
}  # fmt: skip
_FILLING = frozenset(
    {"by", "within", "in", "of", "to", "at", "the", "about", "points", "point", "pp", "pts", "%", "most"}
)


def parse_expectation(text: str, *, now: datetime | None = None) -> Expected:
    """An expectation from words such as "+1.0 accuracy", "down 0.5 accuracy", "up accuracy" or "same accuracy".

    Sizes are points of the metric: "+1.0 accuracy" expects 81 % where the parent has 80 %. The metric may be left out.
    With "same", the size is the largest difference that still counts as none.

    Args:
        text: as typed.
        now: when it was stated; None: this moment.

    Raises:
        InputError: no direction, two of them, an unknown metric, or a size that no accuracy can differ by.
    """
    words = " ".join(text.strip().lower().replace("±", "same ").split())
    number = re.search(r"(?<![\w.])([+\-−]?)\s?(\d+(?:[.,]\d+)?|[.,]\d+)", words)
    directions: set[Direction] = set()
    size = None
    if number is not None:
        sign, digits = number.groups()
        size = float(digits.replace(",", ".")) / 100
        if sign:
            directions.add("up" if sign == "+" else "down")
        words = f"{words[: number.start()]} {words[number.end() :]}"
    for phrase, direction in _WORDS.items():
        if re.search(rf"\b{phrase}\b", words):
            directions.add(direction)
            words = re.sub(rf"\b{phrase}\b", " ", words)
    rest = [word for word in re.findall(r"%|[^\s%]+", words) if word not in _FILLING]
    unknown = [word for word in rest if word not in METRICS]
    if unknown:
        near = difflib.get_close_matches(unknown[0], [*METRICS, *_WORDS], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"An expectation is a direction and a metric ({listing(list(METRICS))}), got {text!r} with "
            f"{unknown[0]!r}.{hint} {HOW}"
        )
    if len(directions) != 1:
        what = "has none" if not directions else f"has {listing(sorted(directions))}"
        raise InputError(f"An expectation needs one direction, but {text!r} {what}. {HOW}")
    (direction,) = directions
    if size is not None and not 0 < size <= 1:
        raise InputError(f"The size of an expectation must be above 0 and at most 100 points, got {text!r}. {HOW}")
    return Expected(
        metric=rest[0] if rest else METRICS[0], direction=direction, size=size, words=text.strip(),
        stated_at=now or datetime.now(UTC),
    )  # fmt: skip


def came_as_expected(experiment: Experiment) -> tuple[bool | None, bool | None]:
    """Whether the direction came, and whether the size did; None where that cannot be said.

    The direction of "up" came where the experiment is better than its parent, and not where it is not
    distinguishable. "same" came where the verdict says "as expected". A size came where it lies in the 95 % interval.
    """
    expected, got = experiment.expected, experiment.got
    if expected is None or expected.late or got is None or got.difference is None or experiment.gain is None:
        return None, None
    if expected.direction == "same":
        return experiment.verdict == "as expected", None
    direction = experiment.gain == ("better" if expected.direction == "up" else "worse")
    if expected.size is None or got.difference_low is None or got.difference_high is None:
        return direction, None
    signed = expected.size if expected.direction == "up" else -expected.size
    return direction, got.difference_low <= signed <= got.difference_high


def calibration(
    experiments: Iterable[Experiment], *, by: Literal["author", "month", "author_kind"] = "author"
) -> list[dict[str, Any]]:
    """How often expectations came, over all and in each group; only those that were frozen before the first run.

    Args:
        experiments: in their order.
        by: what a row stands for.

    Returns:
        one row a group, the largest first, and one for "all" before them: `group`, `stated` (expectations whose
        experiment has been compared), `came` (the direction did), `undecided` (not distinguishable from the parent),
        `share`, `low`, `high` (of `came` among `stated`, with Wilson's 95 % interval), and the same of those that named
        a size: `sized`, `sizes_came`, `size_share`, `size_low`, `size_high`. Shares of nothing are null.
    """
    groups: dict[str, list[Experiment]] = {}
    counted = [experiment for experiment in experiments if came_as_expected(experiment)[0] is not None]
    for experiment in counted:
        group = f"{experiment.created:%Y-%m}" if by == "month" else str(getattr(experiment, by))
        groups.setdefault(group, []).append(experiment)
    if by == "month":
        ordered = sorted(groups.items())
    else:
        ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [_row("all", counted), *(_row(name, members) for name, members in ordered)] if counted else []


def _row(group: str, members: Sequence[Experiment]) -> dict[str, Any]:
    came = [came_as_expected(experiment) for experiment in members]
    sized = [size for _, size in came if size is not None]
    undecided = sum(
        experiment.gain == "not distinguishable" and not direction
        for experiment, (direction, _) in zip(members, came, strict=True)
    )
    return {
        "group": group,
        "stated": len(members),
        "came": sum(bool(direction) for direction, _ in came),
        "undecided": undecided,
        **_share("", sum(bool(direction) for direction, _ in came), len(members)),
        "sized": len(sized),
        "sizes_came": sum(sized),
        **_share("size_", sum(sized), len(sized)),
    }


def _share(name: str, hits: int, count: int) -> dict[str, float | None]:
    low, high = wilson(hits, count) if count else (None, None)
    return {f"{name}share": hits / count if count else None, f"{name}low": low, f"{name}high": high}
