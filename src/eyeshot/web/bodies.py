"""What requests of every page have in common: a body of JSON, and the part of a list that is asked for."""

from __future__ import annotations

import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MOST_BYTES = 65_536
MOST_ROWS = 200
NUMBER = re.compile(r"[0-9]{1,9}\Z", re.ASCII)

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request) -> bytes:
    """The JSON body of a request.

    Raises:
        HTTPException: it is not JSON, or too long.
    """
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(415, "The page sends JSON.")
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                raise HTTPException(413, f"A request must be at most {MOST_BYTES:,} bytes long.")
    except ClientDisconnect as error:  # nobody is left to be answered
        raise HTTPException(400, "The request ended too early.") from error
    return body


def parsed(kind: type[Model], body: bytes) -> Model:
    """The body of a request as a model.

    Raises:
        HTTPException: it is malformed.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, f"This is not a request of the page: {error.errors()[0]['msg']}.") from error


def page_of(request: Request) -> tuple[int, int]:
    """Offset and length of a page of a list.

    Raises:
        HTTPException: they are not numbers.
    """
    texts = [request.query_params.get(name, usual) for name, usual in (("offset", "0"), ("limit", "30"))]
    if not all(NUMBER.match(text) for text in texts):
        raise HTTPException(422, "`offset` and `limit` must be numbers.")
    return int(texts[0]), min(int(texts[1]), MOST_ROWS)
