"""Numbers that were typed: several in one option, and values out of range."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def triple(text: str | None, option: str) -> tuple[float, ...] | None:
    """Three numbers from "0.5,0.5,0.5"."""
    from eyeshot.core import InputError

    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3:
        raise InputError(f"{option} takes three numbers, got {text!r}. For instance {option} 0.485,0.456,0.406.")
    return numbers


def duration(text: str, option: str) -> float:
    """Seconds from "90s", "10m", "1.5h" or "0"; a number alone is seconds."""
    from eyeshot.core import InputError

    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InputError(f"{option} takes a time such as 90s, 10m or 1h, or 0 for none, got {text!r}.")
    return seconds


@contextmanager
def values_checked(command: str) -> Iterator[None]:
    """A value that settings refuse becomes an error that names its option."""
    from pydantic import ValidationError

    from eyeshot.core import InputError, refused_option

    try:
        yield
    except ValidationError as error:
        raise InputError(refused_option(error, command)) from error
