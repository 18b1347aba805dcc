"""What all pages share: templates, formats of numbers and names, escaping of text, writing the file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from eyeshot.core import NOTHING, duration, make_folder, replacing
from eyeshot.core import percent as plain_percent
from eyeshot.core import shortened as plain_shortened

ASSETS = files("eyeshot.reports") / "assets"
MINUS = "−"
MOST_BYTES = 15_000_000  # of a page


def visible(text: object) -> str:
    """`text` with control characters replaced by visible symbols, so that a newline in a file name is visible."""
    return "".join(
        chr(0x2400 + ord(sign)) if ord(sign) < 0x20 else "␡" if sign == "\x7f" else sign for sign in str(text)
    )


def shortened(text: object, length: int = 60) -> str:
    """`text`, made visible, without its middle if it is longer than `length`."""
    return plain_shortened(visible(text), length)


def sentence(parts: Sequence[str]) -> str:
    """Fragments as a sentence: joined by semicolons, with a capital first letter and a full stop."""
    text = visible("; ".join(part.strip().rstrip(".") for part in parts if part.strip()))
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def percent(share: float | None, digits: int = 0) -> str:
    """A share from 0 to 1 as "61 %", typeset with a narrow no-break space and a minus sign."""
    return plain_percent(share, digits).replace(" ", "\u202f").replace("-", MINUS)


def number(value: float | None, digits: int = 2) -> str:
    """A plain number: "0.83"."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """A difference: "+0.83", "0.00"."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:+,.{digits}f}"
    return text.replace("-", MINUS) if text.strip("+-0.,") else text.lstrip("+-")


def points(difference: float | None, digits: int = 1) -> str:
    """A difference of shares in percentage points: "+12.3"."""
    return signed(None if difference is None else 100 * difference, digits)


def count(value: int | None) -> str:
    """A count: "12,000"."""
    return NOTHING if value is None else f"{value:,}".replace("-", MINUS)


FILTERS: dict[str, Callable[..., Any]] = {
    "visible": visible,
    "shortened": shortened,
    "sentence": sentence,
    "percent": percent,
    "points": points,
    "number": number,
    "signed": signed,
    "count": count,
    "seconds": duration,
}


def asset(name: str) -> str:
    """Text of a file of `reports/assets`."""
    return (ASSETS / name).read_text(encoding="utf-8")


def script_json(value: object) -> Markup:
    """`value` as JSON that is safe inside a script element: no tag can open or close in it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.filters["script_json"] = script_json
    # Only styles and scripts of the package go through `asset`, never text of the user, so they need no escaping.
    environment.globals["asset"] = lambda name: Markup(asset(name))
    return environment


def render(template: str, context: Mapping[str, Any]) -> str:
    """The template of `reports/assets` filled in; everything from `context` is escaped."""
    return _environment().get_template(template).render(**context)


def stylesheet() -> str:
    """The shared style of all pages, with both themes, as a CSS text."""
    return render("themes.css.j2", {})


def write_fitting(path: Path, template: str, versions: Iterable[Mapping[str, Any]]) -> Path:
    """Write the first version of a page that stays under 15 MB, or the last of them.

    Args:
        path: the file; a missing folder is created.
        template: of `reports/assets`.
        versions: contexts for it, the one with most pictures first; those after the first that fits are not made.

    Raises:
        StorageError: the file cannot be written.
    """
    page = ""
    for context in versions:
        page = render(template, context)
        if len(page.encode("utf-8", "replace")) < MOST_BYTES:
            break
    return write_text(path, page)


def write_text(path: Path, text: str) -> Path:
    """Write a page completely or not at all, as UTF-8; a missing folder is created."""
    make_folder(path.parent)
    with replacing(path) as temporary:
        # File names that cannot be decoded contain lone surrogates, which UTF-8 cannot encode.
        temporary.write_bytes(text.encode("utf-8", "replace"))
    return path
