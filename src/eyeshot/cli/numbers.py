"""Numbers typed as one option."""

from __future__ import annotations


def triple(text: str | None, option: str) -> tuple[float, ...] | None:
    """Three numbers from "0.5,0.5,0.5"."""
    from eyeshot.errors import InputError

    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3:
        raise InputError(f"{option} takes three numbers, got {text!r}. For instance {option} 0.485,0.456,0.406.")
    return numbers
