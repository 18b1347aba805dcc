"""Starts and stops the server on the loopback address, on a free port."""

from __future__ import annotations

import socket

import uvicorn

from eyeshot.core import InputError
from eyeshot.data import strict_pillow
from eyeshot.web.guard import Guard

ADDRESS = "127.0.0.1"


def open_socket(port: int = 0) -> socket.socket:
    """A socket that only this machine can reach; port 0 takes any free port.

    Raises:
        InputError: the port is in use or out of range.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port must be from 0 (any free port) to 65535, got {port}.")
    # asyncio turns Nagle's algorithm off only if the protocol is named; with it on, each answer is delayed by 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.bind((ADDRESS, port))
        listener.listen()  # a browser that connects before the server is up waits instead of being refused
    except OSError as error:
        listener.close()
        raise InputError(
            f"--port must be a port that can be opened, got {port}: {error.strerror or error}. Leave it out to "
            "take any free port."
        ) from error
    return listener


def make_server(app: Guard) -> uvicorn.Server:
    """The server of a page, not yet started."""
    return uvicorn.Server(
        uvicorn.Config(
            app, access_log=False, log_level="warning", lifespan="off", server_header=False, timeout_graceful_shutdown=2
        )
    )


def serve(app: Guard, listener: socket.socket) -> None:
    """Serve until Ctrl+C."""
    with strict_pillow():
        run_server(make_server(app), listener)


def run_server(server: uvicorn.Server, listener: socket.socket) -> None:
    """Run a server until Ctrl+C."""
    try:
        with listener:
            server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn raises Ctrl+C again after it has closed everything
