"""The routes of the review page. Every route is behind a guard; an image is addressed by its number only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from eyeshot.web.bodies import page_of, read_body
from eyeshot.web.guard import Guard
from eyeshot.web.live_page import live_page
from eyeshot.web.pictures import Pictures
from eyeshot.web.requests import read_filters, read_names, read_press, step_of
from eyeshot.web.responses import Responses
from eyeshot.web.review import Review

COMMAND = "eyeshot review"
MODULES = ("review", "screen", "deciding", "looking", "view", "labels")
# An image's number keeps its meaning as long as the token is valid.
CACHEABLE = {"Cache-Control": "private, max-age=86400, immutable"}


def make_app(review: Review, *, token: str, port: int) -> Guard:
    """Build the application of the review page, behind its guard.

    Args:
        review: the review to serve.
        token: the first part of every path.
        port: the port of the server.
    """
    return Guard(review_page(review, command=COMMAND), token=token, port=port, command=COMMAND)


def review_page(review: Review, *, command: str) -> Starlette:
    """The review page without a guard: it must stand behind one.

    Args:
        review: the review to serve.
        command: that serves it.
    """
    responses, pictures = Responses(review), Pictures(review.index)

    def picture(make: Callable[..., bytes], *names: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            numbers = [_number(request, name, len(review.index)) for name in names]
            return Response(make(*numbers), media_type="image/jpeg", headers=CACHEABLE)

        return answer

    def as_json(make: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Response]:
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
        key_press = read_press(body, review)
        return responses.stored(review.store(key_press), key_press)

    routes = [
        Route("/api/start", as_json(lambda request: responses.start())),
        Route("/api/queue", as_json(queue)),
        Route("/api/item/{number}", as_json(item)),
        Route("/api/step", as_json(lambda request: responses.step(read_filters(request), *step_of(request)))),
        Route("/api/sheet", as_json(lambda request: responses.sheet(read_filters(request), *page_of(request)))),
        Route("/api/decide", press(decide), methods=["POST"]),
        Route("/api/undo", press(lambda body: responses.undone(review.undo(*read_names(body)))), methods=["POST"]),
        Route("/small/{position}", picture(pictures.small, "position")),
        Route("/large/{position}", picture(pictures.large, "position")),
        Route("/aligned/{first}/{second}", picture(pictures.aligned, "first", "second")),
        Route("/difference/{first}/{second}", picture(pictures.difference, "first", "second")),
    ]
    return live_page("review", MODULES, routes, command=command)


def _number(request: Request, name: str, count: int) -> int:
    """A number in the path, from 0 to `count` - 1.

    Raises:
        HTTPException: it is not such a number.
    """
    text = request.path_params[name]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) < count):
        raise HTTPException(404, "There is nothing under this number.")
    return int(text)
