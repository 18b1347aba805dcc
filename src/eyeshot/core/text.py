"""How numbers, names and times are written in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eyeshot.core.errors import InputError

if TYPE_CHECKING:
    from pydantic import ValidationError

NOTHING = "–"
"""Replaces a missing number."""


def percent(share: float | None, digits: int = 0) -> str:
    """0.254 as "25 %"."""
    return NOTHING if share is None or not math.isfinite(share) else f"{100 * share:.{digits}f} %"


def points(difference: float | None, digits: int = 1) -> str:
    """A difference of shares, 0.254, as "25.4 points"."""
    return NOTHING if difference is None or not math.isfinite(difference) else f"{100 * difference:.{digits}f} points"


def listing(names: Sequence[str], *, most: int = 6) -> str:
    """Names in a sentence: "a, b and c"; beyond `most` they are counted. Empty for no name."""
    shown = list(names[:most])
    if len(names) > most:
        return ", ".join(shown) + f" and {len(names) - most} more"
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)


def plural(count: int, singular: str, several: str | None = None) -> str:
    """The word that goes with a count: "file" or "files"; `several` where it is not `singular` and an s."""
    return singular if count == 1 else f"{singular}s" if several is None else several


def duration(seconds: float, digits: int = 1) -> str:
    """A readable time: "4.2 s", "3 min 20 s", "2 h 1 min". `digits` are those of times under 100 s."""
    if seconds < 100:
        return f"{seconds:.{digits}f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def seconds_of(text: str, option: str) -> float:
    """Seconds from "90s", "10m", "1.5h", "2d" or "0"; a number alone is seconds.

    Raises:
        InputError: it is no time; the message names `option`.
    """
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InputError(f"{option} takes a time such as 90s, 10m, 1h or 2d, or 0 for none, got {text!r}.")
    return seconds


def megabytes(size: int) -> str:
    """12345678 bytes as "12 MB"."""
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def shortened(text: str, length: int = 60, mark: str = "…") -> str:
    """`text` with its middle left out if it is longer than `length`: beginning and end distinguish names."""
    if len(text) <= length:
        return text
    tail = length // 3
    return f"{text[: max(0, length - tail - len(mark))]}{mark}{text[len(text) - tail :]}"


def refused_option(error: ValidationError, command: str) -> str:
    """The first invalid value of a settings error, named by its option.

    Args:
        error: what pydantic raised.
        command: of `eyeshot`, whose help says what the option takes.
    """
    first = error.errors()[0]
    option = "--" + str(first["loc"][0]).removesuffix("_s").replace("_", "-")
    return (
        f"{option}: {first['msg'][0].lower()}{first['msg'][1:]}, got {first['input']!r}. "
        f"See `eyeshot {command} --help` for what it takes."
    )
