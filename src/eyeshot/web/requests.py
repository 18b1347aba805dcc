"""What the page may ask, read from a request and checked; anything else is refused before it is looked at."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from eyeshot.web.actions import Action, Press
from eyeshot.web.queue import Filters
from eyeshot.web.review import Review

MOST_BYTES = 65_536
MOST_ROWS = 200
NUMBER = re.compile(r"[0-9]{1,9}\Z", re.ASCII)

Id = Annotated[str, Field(pattern=r"^[0-9a-f-]{32,36}$")]
Number = Annotated[int, Field(ge=0, strict=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Decide(_Body):
    press: Id
    action: Action
    images: Annotated[list[Number], Field(max_length=1000)] = []
    item: Number | None = None
    label: Annotated[str, Field(max_length=200)] = ""


class _Undo(_Body):
    press: Id
    names: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)]


Model = TypeVar("Model", bound=_Body)


async def read_body(request: Request) -> bytes:
    """The JSON that was sent.

    Raises:
        HTTPException: it is something else, or too long.
    """
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(415, "The page sends JSON.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413, "Too long.")
    return body


def read_press(body: bytes, review: Review) -> Press:
    """A key press.

    Raises:
        HTTPException: it is none, or about images or items that there are not.
    """
    found = _read(_Decide, body)
    if any(row >= len(review.index) for row in found.images):
        raise HTTPException(404, "There is no image under this number.")
    if found.item is not None and found.item >= len(review.queue):
        raise HTTPException(404, "There is nothing under this number.")
    item = None if found.item is None else review.queue.items[found.item]
    if item is not None and not set(found.images) <= set(item.here):
        raise HTTPException(404, "These images are not of this finding.")
    return Press(found.press, found.action, tuple(dict.fromkeys(found.images)), item, found.label.strip())


def read_names(body: bytes) -> tuple[str, list[str]]:
    """A press of undo: its id, and the decisions that it takes back."""
    found = _read(_Undo, body)
    return found.press, found.names


def _read(kind: type[Model], body: bytes) -> Model:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, f"This is no request of the page: {error.errors()[0]['msg']}.") from error


def read_filters(request: Request) -> Filters:
    """The filters of a list; an unknown kind or class fits nothing."""
    asked: Any = request.query_params
    return Filters(
        kind=asked.get("kind", ""),
        label=asked.get("class", ""),
        split=asked.get("split", ""),
        open=asked.get("state", "open") == "open",
    )


def page_of(request: Request) -> tuple[int, int]:
    """Where a page of a list begins, and how long it is.

    Raises:
        HTTPException: no numbers.
    """
    texts = [request.query_params.get(name, usual) for name, usual in (("offset", "0"), ("limit", "30"))]
    if not all(NUMBER.match(text) for text in texts):
        raise HTTPException(422, "A page has a start and a length.")
    return int(texts[0]), min(int(texts[1]), MOST_ROWS)


def step_of(request: Request) -> tuple[int, int]:
    """The number that a step is from, -1 before the first, and its direction.

    Raises:
        HTTPException: no numbers.
    """
    number, by = request.query_params.get("from", "-1"), request.query_params.get("by", "1")
    if by not in ("1", "-1") or not (number == "-1" or NUMBER.match(number)):
        raise HTTPException(422, "A step is from a number, by 1 or -1.")
    return int(number), int(by)
