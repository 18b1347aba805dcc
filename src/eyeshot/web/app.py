"""The addresses of the page. Behind the guard; images are asked for by their number alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from eyeshot.errors import EyeshotError, InputError
from eyeshot.reports import asset, stylesheet
from eyeshot.web.answers import Answers
from eyeshot.web.asking import page_of, read_body, read_filters, read_names, read_press
from eyeshot.web.guard import Guard
from eyeshot.web.pictures import Pictures
from eyeshot.web.review import Review

ASSETS = files("eyeshot.web") / "assets"
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
    answers, pictures = Answers(review), Pictures(review.shown)

    def picture(make: Callable[..., bytes], *names: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            numbers = [_number(request, name, len(review.shown)) for name in names]
            return Response(make(*numbers), media_type="image/jpeg", headers=KEPT)

        return answer

    def start(request: Request) -> Response:
        return JSONResponse(answers.start())

    def queue(request: Request) -> Response:
        return JSONResponse(answers.page(read_filters(request), *page_of(request)))

    def item(request: Request) -> Response:
        return JSONResponse(answers.item(_number(request, "number", len(review.queue)), read_filters(request)))

    def step(request: Request) -> Response:
        number, by = request.query_params.get("from", "-1"), request.query_params.get("by", "1")
        if by not in ("1", "-1") or not number.removeprefix("-").isascii() or not number.removeprefix("-").isdigit():
            raise HTTPException(422, "A step is from a number, by 1 or -1.")
        return JSONResponse(answers.step(read_filters(request), int(number), int(by)))

    def sheet(request: Request) -> Response:
        return JSONResponse(answers.sheet(read_filters(request), *page_of(request)))

    async def decide(request: Request) -> Response:
        body = await read_body(request)
        press = read_press(body, review)
        return JSONResponse(await _threaded(lambda: answers.stored(review.store(press), press)))

    async def undo(request: Request) -> Response:
        body = await read_body(request)
        return JSONResponse(await _threaded(lambda: answers.undone(review.undo(*read_names(body)))))

    def static(name: str, kind: str, text: Callable[[], str]) -> Route:
        return Route(name, lambda request: Response(text(), media_type=kind, headers=FRESH))

    routes = [
        static("/", "text/html", lambda: _own("review.html")),
        static("/style.css", "text/css", _style),
        static("/page.js", "text/javascript", lambda: asset("page.js")),
        *(
            static(f"/{name}.js", "text/javascript", lambda name=name: _own(f"{name}.js"))  # type: ignore[misc]
            for name in ("review", "view", "labels", "ask")
        ),
        Route("/api/start", start),
        Route("/api/queue", queue),
        Route("/api/item/{number}", item),
        Route("/api/step", step),
        Route("/api/sheet", sheet),
        Route("/api/decide", decide, methods=["POST"]),
        Route("/api/undo", undo, methods=["POST"]),
        Route("/small/{one}", picture(pictures.small, "one")),
        Route("/large/{one}", picture(pictures.large, "one")),
        Route("/aligned/{one}/{other}", picture(pictures.aligned, "one", "other")),
        Route("/difference/{one}/{other}", picture(pictures.difference, "one", "other")),
    ]
    app = Starlette(routes=routes, exception_handlers={EyeshotError: _said, HTTPException: _said})
    app.router.redirect_slashes = False
    return Guard(app, token=token, port=port)


async def _threaded(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return await run_in_threadpool(work)


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
