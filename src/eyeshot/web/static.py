"""What the pages have in common: their static files, and how an error is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from eyeshot.core import EyeshotError, InputError
from eyeshot.reports import asset, stylesheet

ASSETS = files("eyeshot.web") / "assets"
FRESH = {"Cache-Control": "no-cache"}


def page_routes(page: str, style: str, modules: Sequence[str]) -> list[Route]:
    """The routes of a page's files.

    Args:
        page: its HTML file, in the folder of assets.
        style: the CSS file that follows the style of all pages.
        modules: its JavaScript files without their ending; one in a folder is served without the folder.
    """

    def static(name: str, kind: str, text: Callable[[], str]) -> Route:
        return Route(name, lambda request: Response(text(), media_type=kind, headers=FRESH))

    return [
        static("/", "text/html", partial(asset_text, page)),
        static("/icon.svg", "image/svg+xml", partial(asset_text, "icon.svg")),
        static("/style.css", "text/css", partial(_styles, style)),
        static("/page.js", "text/javascript", partial(asset, "page.js")),
        *(
            static(f"/{name.rpartition('/')[2]}.js", "text/javascript", partial(asset_text, f"{name}.js"))
            for name in modules
        ),
    ]


def error_response(request: Request, error: Exception) -> Response:
    """An error as JSON: what was asked for cannot be used (409), or cannot be stored (507)."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    return JSONResponse({"error": str(error)}, 409 if isinstance(error, InputError) else 507)


HANDLERS = {EyeshotError: error_response, HTTPException: error_response}


@cache
def asset_text(name: str) -> str:
    """A file of the pages, as text."""
    return ASSETS.joinpath(*name.split("/")).read_text(encoding="utf-8")


@cache
def _styles(name: str) -> str:
    return f"{stylesheet()}\n{asset_text(name)}"
