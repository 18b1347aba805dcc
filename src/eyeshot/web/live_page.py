"""What the live pages have in common: frame, styles, static files, and how an error is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from eyeshot.core import EyeshotError, InputError
from eyeshot.reports import asset, stylesheet

ASSETS = files("eyeshot.web") / "assets"
FRESH = {"Cache-Control": "no-cache"}
SHARED = ("dom", "ask")
"""Modules of JavaScript that every page uses."""
Errors = Mapping[Any, Callable[[Request, Exception], Response]]


def live_page(
    page: str,
    modules: Sequence[str],
    routes: Sequence[BaseRoute],
    *,
    command: str,
    documents: bool = False,
    errors: Errors | None = None,
) -> Starlette:
    """The application of a live page; it must stand behind a guard.

    Args:
        page: its folder of assets, which holds the template and the style of this name.
        modules: its JavaScript files without their ending; the first one starts the page.
        routes: of its answers.
        command: that serves it.
        documents: whether it shows reports, in elements of the class "document".
        errors: answers to exceptions of its own.
    """

    def static(path: str, kind: str, text: Callable[[], str]) -> Route:
        return Route(path, lambda request: Response(text(), media_type=kind, headers=FRESH))

    scripts = {name: f"{page}/{name}.js" for name in modules} | {name: f"{name}.js" for name in SHARED}
    app = Starlette(
        routes=[
            static("/", "text/html", partial(_document, page, tuple(scripts), command)),
            static("/icon.svg", "image/svg+xml", partial(text_of, "icon.svg")),
            static("/style.css", "text/css", partial(page_styles, page, documents)),
            static("/page.js", "text/javascript", partial(asset, "page.js")),
            *(static(f"/{name}.js", "text/javascript", partial(text_of, file)) for name, file in scripts.items()),
            *routes,
        ],
        exception_handlers={EyeshotError: error_response, HTTPException: error_response, **(errors or {})},
    )
    app.router.redirect_slashes = False
    return app


def error_response(request: Request, error: Exception) -> Response:
    """An error as JSON: what was asked for cannot be used (409), or cannot be stored (507)."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    return JSONResponse({"error": str(error)}, 409 if isinstance(error, InputError) else 507)


@cache
def text_of(name: str) -> str:
    """Text of a file of `web/assets`."""
    return ASSETS.joinpath(*name.split("/")).read_text(encoding="utf-8")


@cache
def _document(page: str, modules: tuple[str, ...], command: str) -> str:
    environment = Environment(
        loader=FunctionLoader(text_of), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(f"{page}/{page}.html.j2").render(page=page, modules=modules, command=command)


@cache
def page_styles(page: str, documents: bool = False) -> str:
    """The style of a page as one text; `documents`: with that of reports."""
    texts = [stylesheet(), text_of("frame.css"), text_of(f"{page}/{page}.css")]
    if documents:  # the style of the exported report, for that part alone
        texts.append(f".document {{\n{asset('wrapup.css')}}}\n")
    return "\n".join(texts)
