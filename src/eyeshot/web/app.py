"""The addresses of the page. Behind the guard; images are asked for by their number alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache, partial
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from eyeshot.core import EyeshotError, InputError
from eyeshot.reports import asset, stylesheet
from eyeshot.web.guard import Guard
from eyeshot.web.pictures import Pictures
from eyeshot.web.requests import page_of, read_body, read_filters, read_names, read_press, step_of
from eyeshot.web.responses import Responses
from eyeshot.web.review import Review

ASSETS = files("eyeshot.web") / "assets"
MODULES = ("review", "screen", "deciding", "looking", "view", "labels", "ask")
# An image's number means the same for as long as the token does.
KEPT = {"Cache-Control": "private, max-age=86400, immutable"}
FRESH = {"Cache-Control": "no-cache"}


def make_app(review: Review, *, token: str, port: int) -> Guard:
    """All of the page.

    Args:
        review: what it works on.
        token: the first part of every address.
        port: the port that it is served at.
    """
    responses, pictures = Responses(review), Pictures(review.index)

    def picture(make: Callable[..., bytes], *names: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            numbers = [_number(request, name, len(review.index)) for name in names]
            return Response(make(*numbers), media_type="image/jpeg", headers=KEPT)

        return answer

    def told(make: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            with review.lock:
                return JSONResponse(make(request))

        return answer

    def item(request: Request) -> dict[str, Any]:
        return responses.item(_number(request, "number", len(review.queue)), read_filters(request))

    def queue(request: Request) -> dict[str, Any]:
        return responses.page(read_filters(request), *page_of(request), around=step_of(request)[0])

    def press(make: Callable[[bytes], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            body = await read_body(request)

            def store() -> Response:
                with review.lock:
                    return JSONResponse(make(body))

            return await run_in_threadpool(store)

        return answer

    def decide(body: bytes) -> dict[str, Any]:
        read = read_press(body, review)
        return responses.stored(review.store(read), read)

    def static(name: str, kind: str, text: Callable[[], str]) -> Route:
        return Route(name, lambda request: Response(text(), media_type=kind, headers=FRESH))

    routes = [
        static("/", "text/html", lambda: _own("review.html")),
        static("/icon.svg", "image/svg+xml", lambda: _own("icon.svg")),
        static("/style.css", "text/css", _style),
        static("/page.js", "text/javascript", lambda: asset("page.js")),
        *(static(f"/{name}.js", "text/javascript", partial(_own, f"{name}.js")) for name in MODULES),
        Route("/api/start", told(lambda request: responses.start())),
        Route("/api/queue", told(queue)),
        Route("/api/item/{number}", told(item)),
        Route("/api/step", told(lambda request: responses.step(read_filters(request), *step_of(request)))),
        Route("/api/sheet", told(lambda request: responses.sheet(read_filters(request), *page_of(request)))),
        Route("/api/decide", press(decide), methods=["POST"]),
        Route("/api/undo", press(lambda body: responses.undone(review.undo(*read_names(body)))), methods=["POST"]),
        Route("/small/{one}", picture(pictures.small, "one")),
        Route("/large/{one}", picture(pictures.large, "one")),
        Route("/aligned/{one}/{other}", picture(pictures.aligned, "one", "other")),
        Route("/difference/{one}/{other}", picture(pictures.difference, "one", "other")),
    ]
    app = Starlette(routes=routes, exception_handlers={EyeshotError: _said, HTTPException: _said})
    app.router.redirect_slashes = False
    return Guard(app, token=token, port=port)


def _number(request: Request, name: str, count: int) -> int:
    """A number of the path that stands for something.

    Raises:
        HTTPException: it does not.
    """
    text = request.path_params[name]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) < count):
        raise HTTPException(404, "There is nothing under this number.")
    return int(text)


def _said(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    return JSONResponse({"error": str(error)}, 409 if isinstance(error, InputError) else 507)


@cache
def _own(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


@cache
def _style() -> str:
    return f"{stylesheet()}\n{_own('review.css')}"
