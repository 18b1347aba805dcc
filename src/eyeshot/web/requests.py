"""Parses and validates the requests of the page; anything unexpected is refused before it is used."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request

from eyeshot.web.actions import Action, Press
from eyeshot.web.bodies import NUMBER, parsed
from eyeshot.web.queue import Filters
from eyeshot.web.review import Review

Id = Annotated[str, Field(pattern=r"^[0-9a-f-]{32,36}$")]
Number = Annotated[int, Field(ge=0, strict=True)]


class _Decide(BaseModel):
    model_config = ConfigDict(extra="forbid")

    press: Id
    action: Action
    images: Annotated[list[Number], Field(max_length=1000)] = []
    item: Number | None = None
    label: Annotated[str, Field(max_length=200)] = ""


class _Undo(BaseModel):
    model_config = ConfigDict(extra="forbid")

    press: Id
    names: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)]


def read_press(body: bytes, review: Review) -> Press:
    """Parse a key press.

    Raises:
        HTTPException: it is malformed, or names images or items that do not exist.
    """
    decide = parsed(_Decide, body)
    if any(row >= len(review.index) for row in decide.images):
        raise HTTPException(404, "There is no image under this number.")
    if decide.item is not None and decide.item >= len(review.queue):
        raise HTTPException(404, "There is nothing under this number.")
    item = None if decide.item is None else review.queue.items[decide.item]
    if item is not None and not set(decide.images) <= set(item.here):
        raise HTTPException(404, "These images do not belong to this finding.")
    return Press(decide.press, decide.action, tuple(dict.fromkeys(decide.images)), item, decide.label.strip())


def read_names(body: bytes) -> tuple[str, list[str]]:
    """Parse an undo: the id of the press, and the ids of the decisions to undo."""
    undo = parsed(_Undo, body)
    return undo.press, undo.names


def read_filters(request: Request) -> Filters:
    """The filters of a list; an unknown kind or class matches nothing."""
    query: Any = request.query_params
    return Filters(
        kind=query.get("kind", ""),
        label=query.get("class", ""),
        split=query.get("split", ""),
        open=query.get("state", "open") == "open",
    )


def step_of(request: Request) -> tuple[int, int]:
    """The number that a step starts from (-1: before the first), and its direction.

    Raises:
        HTTPException: they are not numbers.
    """
    number, by = request.query_params.get("from", "-1"), request.query_params.get("by", "1")
    if by not in ("1", "-1") or not (number == "-1" or NUMBER.match(number)):
        raise HTTPException(422, "`from` must be a number and `by` must be 1 or -1.")
    return int(number), int(by)
