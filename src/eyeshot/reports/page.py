"""What every page shares: the templates, how text and data are made safe, and how the file is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from eyeshot.core import make_folder, replacing
from eyeshot.reports.wording import FILTERS

ASSETS = files("eyeshot.reports") / "assets"


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
    # Styles and scripts of the package itself go in as they are; nothing of the user's passes here.
    environment.globals["asset"] = lambda name: Markup(asset(name))
    return environment


def render(template: str, context: Mapping[str, Any]) -> str:
    """The template of `reports/assets` filled in; everything from `context` is escaped."""
    return _environment().get_template(template).render(**context)


def stylesheet() -> str:
    """What all pages share, both themes, as one CSS file."""
    return render("themes.css.j2", {})


def write_text(path: Path, text: str) -> Path:
    """Write a page whole or not at all, as UTF-8; its folder is made where it is missing."""
    make_folder(path.parent)
    with replacing(path) as temporary:
        # A file name that is no text in any encoding comes as lone surrogates, which UTF-8 cannot hold.
        temporary.write_bytes(text.encode("utf-8", "replace"))
    return path
