"""Images that cannot be decoded: why, and a file that remembers those where trying again is no use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import xxhash

from eyeshot.images.reading import UnreadableImageError, os_reason
from eyeshot.workspace import replacing


@dataclass(frozen=True)
class Failure:
    """Why an image has no pixels.

    Attributes:
        reason: in a few words that are the same for all files with the same trouble.
        lasting: it follows from the bytes, so that trying again is no use.
    """

    reason: str
    lasting: bool


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


def load_failures(file: Path) -> dict[str, str]:
    """Reasons by content key; a file that is not there or damaged holds none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(reason) for key, reason in found.items()} if isinstance(found, dict) else {}


def save_failures(file: Path, lasting: dict[str, str]) -> None:
    """Add reasons to those that the file holds, other processes' too.

    Raises:
        StorageError: the file cannot be written; what it held is kept.
    """
    known = load_failures(file)
    if lasting.keys() <= known.keys():
        return
    with replacing(file) as temporary:
        temporary.write_text(json.dumps({**known, **lasting}, indent=0), encoding="utf-8")
