"""The review of the audit's findings inside the workbench: read when it is asked for, behind the workbench's guard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eyeshot.core import Progress
from eyeshot.web.app import review_page
from eyeshot.web.guard import HEADERS
from eyeshot.web.session import read_review
from eyeshot.web.workbench.background import Background

FRAMED = {
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "frame-ancestors 'none'", "frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
"""The guard's headers for the one page that may stand in a frame: that of the workbench, which has the same origin."""


class LiveReview:
    """The review page of a project, as an application that is mounted at `/review/NUMBER`.

    Each reading of the images gets a number of its own: browsers keep pictures by their address, and another reading
    counts the images anew.

    Args:
        root: the folder of the results.
        author: who decides.
    """

    def __init__(self, root: Path, author: str) -> None:
        self._root, self._author = root, author
        self._background = Background()
        self._page: ASGIApp | None = None
        self._number = 0
        self._state: object = None

    def answer(self) -> dict[str, Any]:
        """`path` of the page, null until it is read; `progress`, see `Background`; `wrong`."""
        ready = self._page is not None and self._state == self._state_now()
        return {
            "path": f"review/{self._number}/" if ready else None,
            "progress": self._background.answer(),
            "wrong": self._background.wrong,
        }

    def begin(self) -> None:
        """Read the images and findings, unless that is done or going on."""
        if self._page is None or self._state != self._state_now():
            self._background.begin(self._read)

    def _read(self, progress: Progress) -> None:
        state = self._state_now()
        review = read_review(
            start=self._root.parent, author=self._author, progress=progress, labels=None, path_column=None,
            label_column=None, image_root=None,
        )  # fmt: skip
        self._page, self._state = review_page(review, command="eyeshot open"), state
        self._number += 1

    def _state_now(self) -> object:
        try:
            status = (self._root / "audit" / "audit.json").stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if self._page is None or scope["path_params"].get("number") != self._number:
            raise HTTPException(404, "This review was read anew. Open it again on the tab Data.")

        async def framed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(FRAMED)
            await send(message)

        await self._page(scope, receive, framed)
