"""How numbers and names are written on pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MINUS = "−"
NOTHING = "–"


def visible(text: object) -> str:
    """`text` with control characters shown by their pictures, so that a newline in a file name is seen."""
    return "".join(
        chr(0x2400 + ord(sign)) if ord(sign) < 0x20 else "␡" if sign == "\x7f" else sign for sign in str(text)
    )


def percent(share: float | None, digits: int = 0) -> str:
    """A share from 0 to 1 as "61 %"."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}\u202f%".replace("-", MINUS)


def points(difference: float | None, digits: int = 1) -> str:
    """A difference of shares in percentage points, signed: "+12.3"."""
    if difference is None:
        return NOTHING
    text = f"{100 * difference:+.{digits}f}"
    return text.lstrip("+-") if not text.strip("+-0.") else text.replace("-", MINUS)


def number(value: float | None, digits: int = 2) -> str:
    """A plain number: "0.83"."""
    return NOTHING if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def count(value: int | None) -> str:
    """A count with thin groups: "12,000"."""
    return NOTHING if value is None else f"{value:,}"


def seconds(value: float) -> str:
    """A time that people can read: "4.2 s", "3 min 20 s"."""
    if value < 100:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def shortened(text: object, length: int = 60) -> str:
    """`text` with its middle left out where it is longer than `length`."""
    shown = visible(text)
    if len(shown) <= length:
        return shown
    tail = length // 3
    return f"{shown[: length - tail - 1]}…{shown[-tail:]}"


FILTERS: dict[str, Callable[..., Any]] = {
    "visible": visible,
    "percent": percent,
    "points": points,
    "number": number,
    "count": count,
    "seconds": seconds,
    "shortened": shortened,
}
