"""Keys of caches and runs: a hash of everything that affects what is stored under them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

import numpy as np
import xxhash
from pydantic import BaseModel


def key_of(*parts: object) -> str:
    """Hash of values: 32 hexadecimal digits, the same on every machine and in every process.

    Kinds and borders count: 1 is not "1", and ("ab", "c") is not ("a", "bc"). Lists and tuples are alike, the order
    of a mapping does not count.

    Args:
        parts: None, bool, int, float, str, bytes, paths, numpy arrays and scalars, pydantic models, and sequences and
            mappings of these.

    Raises:
        TypeError: a value of another kind, whose text might change from run to run.
    """
    digest = xxhash.xxh3_128()
    _add(digest, parts)
    return digest.hexdigest()


def _add(digest: xxhash.xxh3_128, value: object) -> None:
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case None | bool() | int() | float():
            _add_bytes(digest, type(value).__name__, repr(value).encode())
        case str():
            _add_bytes(digest, "str", value.encode("utf-8", "surrogateescape"))
        case bytes():
            _add_bytes(digest, "bytes", value)
        case PurePath():
            _add_bytes(digest, "path", value.as_posix().encode("utf-8", "surrogateescape"))
        case np.ndarray() if value.dtype.hasobject:
            raise TypeError("key_of() takes arrays of numbers or text, got one of objects. Give it as a list.")
        case np.ndarray():
            _add_bytes(digest, f"array {value.dtype.str} {value.shape}", np.ascontiguousarray(value).tobytes())
        case BaseModel():
            _add_bytes(digest, type(value).__name__, value.model_dump_json().encode())
        case Mapping():
            digest.update(f"mapping {len(value)};".encode())
            for name in sorted(value):
                _add(digest, name)
                _add(digest, value[name])
        case list() | tuple():
            digest.update(f"sequence {len(value)};".encode())
            for item in value:
                _add(digest, item)
        case _:
            raise TypeError(f"key_of() cannot hash a {type(value).__name__}. Give its fingerprint or its values.")


def _add_bytes(digest: xxhash.xxh3_128, kind: str, content: bytes) -> None:
    digest.update(f"{kind} {len(content)};".encode())
    digest.update(content)
