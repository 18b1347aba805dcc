"""Access control: only a browser on this machine, at this address and with the token, is answered."""

from __future__ import annotations

import hmac
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# No path of the page needs an escape (%2e, %2f), so a path with an escape is refused.
PLAIN_PATH = re.compile(rb"/([A-Za-z0-9_-]+)(/[a-z0-9/._-]*)?\Z")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Passes a request on to `app` with the token removed from its path, or refuses it.

    Args:
        app: the application behind the guard.
        token: the first part of every path.
        port: the port that the Host header must name.
        command: what prints the address.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int, command: str) -> None:
        self._app, self._command = app, command
        self._token = token.encode("ascii")
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] != "http":
            return
        refused = self._refused(scope)

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)  # an exported page in a frame has a policy of its own
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if refused is not None:
            await refused(scope, receive, secured)
            return
        path = "/" + scope["path"].split("/", 2)[2]
        await self._app({**scope, "path": path, "raw_path": path.encode("ascii")}, receive, secured)

    def _refused(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        # A foreign page could reach this server under another host name (DNS rebinding).
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return PlainTextResponse(f"Use the address that {self._command} printed.", 403)
        matched = PLAIN_PATH.match(scope.get("raw_path") or scope["path"].encode("utf-8"))
        if matched is None or not hmac.compare_digest(matched[1], self._token):
            return PlainTextResponse(f"Use the address that {self._command} printed, with its token.", 403)
        if matched[2] is None or b".." in matched[2] or b"//" in matched[2]:
            return PlainTextResponse("There is nothing here.", 404)
        own = f"http://{hosts[0]}"
        origins = headers.getlist("origin")
        foreign = any(origin != own for origin in origins) or (scope["method"] == "POST" and len(origins) != 1)
        if foreign or headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return PlainTextResponse("Only the page itself may send requests.", 403)
        return None
