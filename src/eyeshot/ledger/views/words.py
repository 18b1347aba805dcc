"""An experiment in words and flat values, as tables, pages and files show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from eyeshot.core import points

DIRECTIONS = {"up": "+", "down": "−", "same": "±"}
SHOWN_DIFFERENCES = 6
"""Settings that a cell of a table names; the rest is counted."""


def value_words(value: Any) -> str:
    """A setting's value as it is written: "none" for nothing, names without quotes, numbers as they are."""
    if value is None or value == [] or value == ():
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value or "none"
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False, default=str)


def difference_parts(difference: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Setting, value of the parent and own value, in words."""
    return [(name, value_words(before), value_words(after)) for name, (before, after) in difference.items()]


def difference_words(difference: Mapping[str, Any], *, most: int = SHOWN_DIFFERENCES) -> str:
    """The difference to the parent in a line: "training.optimizer: adamw → radam; augmentation: none → invert"."""
    parts = [f"{name}: {before} → {after}" for name, before, after in difference_parts(difference)]
    more = len(parts) - most
    return "; ".join(parts[:most]) + (f"; and {more} more" if more > 0 else "")


def expected_words(expected: Mapping[str, Any] | None) -> str:
    """What was expected: "accuracy up", "accuracy +1.0 points", "accuracy the same (±1 points)"; empty for nothing."""
    if not expected:
        return ""
    metric, direction, size = expected.get("metric", "accuracy"), expected["direction"], expected.get("size")
    if size is None:
        return f"{metric} the same" if direction == "same" else f"{metric} {direction}"
    amount = f"{DIRECTIONS[direction]}{points(abs(size))}"
    return f"{metric} the same ({amount})" if direction == "same" else f"{metric} {amount}"


def aim_of(expected: Mapping[str, Any] | None) -> float | None:
    """The difference that was expected, with its sign; None where no size was named."""
    if not expected or expected.get("size") is None or expected["direction"] == "same":
        return None
    return float(abs(expected["size"])) * (-1 if expected["direction"] == "down" else 1)
