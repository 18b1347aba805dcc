"""Images that cannot be decoded: why, and whether trying again is of use."""

from __future__ import annotations

from pathlib import Path

import xxhash

from eyeshot.core import Failure
from eyeshot.data.decoding import UnreadableImageError, os_reason


def undecodable(error: UnreadableImageError) -> Failure:
    """What decoding said."""
    return Failure(error.reason, lasting="memory" not in error.reason)


def read_content(path: str, content: str) -> bytes | Failure:
    """The bytes of a file, if they still are those of that content key: what is made of them is kept under it."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return Failure(os_reason(error), lasting=False)
    if xxhash.xxh3_128_hexdigest(data) != content:
        return Failure("changed while it was being read", lasting=False)
    return data
