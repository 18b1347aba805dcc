"""Start and stop the server: loopback only, on a port of its own."""

from __future__ import annotations

import socket

import uvicorn

from eyeshot.core import InputError
from eyeshot.data import strict_pillow
from eyeshot.web.guard import Guard

ADDRESS = "127.0.0.1"


def open_socket(port: int = 0) -> socket.socket:
    """A socket that only this machine can reach; port 0 takes any that is free.

    Raises:
        InputError: the port is taken or no port.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port must be from 0 (any free one) to 65535, got {port}.")
    # With its protocol named, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for the other side.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.bind((ADDRESS, port))
        made.listen()  # a browser that comes before the server is up waits instead of being refused
    except OSError as error:
        made.close()
        raise InputError(
            f"--port must be a port that can be opened, got {port}: {error.strerror or error}. Leave it out for any "
            "free one."
        ) from error
    return made


def make_server(app: Guard) -> uvicorn.Server:
    """The server of a page, not started yet."""
    return uvicorn.Server(
        uvicorn.Config(
            app, access_log=False, log_level="warning", lifespan="off", server_header=False, timeout_graceful_shutdown=2
        )
    )


def serve(app: Guard, own: socket.socket) -> None:
    """Answer until Ctrl+C."""
    try:
        with strict_pillow(), own:
            make_server(app).run(sockets=[own])
    except KeyboardInterrupt:
        pass  # uvicorn passes Ctrl+C on once everything is closed
