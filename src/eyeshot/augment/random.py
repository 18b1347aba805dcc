"""Random streams: the parameters of an image follow from seed, augmentation, draw and image key alone."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray


def stream(seed: int, name: str, draw: int, key: str, *, purpose: str = "parameters") -> np.random.Generator:
    """The generator of one image in one draw of one augmentation.

    Philox is counter-based: any 128-bit key starts an independent stream (Salmon et al. 2011), so no image
    waits for another, and neither batch size nor order nor the number of workers changes what is drawn.

    Args:
        seed: the run's seed.
        name: the augmentation's `stream`.
        draw: number of the sample among those of the same image, from 0.
        key: the image's content key.
        purpose: streams of different purposes are independent. Training tosses its coin in "coin", so that a
            training sample has the parameters of the cloud's sample.
    """
    return np.random.Generator(np.random.Philox(key=_digest(seed, name, draw, key, purpose)))


class Streams:
    """The same streams one after another in one generator, which starts in a quarter of the time of a new one.

    A stream ends when the next starts, so draw all its numbers first. Each thread needs its own object.
    """

    def __init__(self) -> None:
        self._bits = np.random.Philox(key=0)
        self._generator = np.random.Generator(self._bits)
        # A new generator's state: nothing counted, nothing buffered.
        self._state: Any = self._bits.state

    def start(self, seed: int, name: str, draw: int, key: str, *, purpose: str = "parameters") -> np.random.Generator:
        """The generator that `stream` gives."""
        digest = _digest(seed, name, draw, key, purpose)
        self._state["state"]["key"] = np.array([digest & _LOW, digest >> 64], dtype=np.uint64)
        self._bits.state = self._state
        return self._generator


_LOW = (1 << 64) - 1


POLICY_STREAM = "policy "
"""Streams of a policy begin so. They are hashed by the standard library, because the policy's plain Python file draws
the same numbers and has NumPy and torch alone."""


def _digest(seed: int, name: str, draw: int, key: str, purpose: str) -> int:
    text = f"{seed}|{name}|{draw}|{key}|{purpose}".encode()
    if name.startswith(POLICY_STREAM):
        return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")
    return xxhash.xxh3_128_intdigest(text)


def random_bytes(random: np.random.Generator, count: int) -> bytes:
    """`random.bytes(count)`, from a new stream in half the time."""
    bits = random.bit_generator
    if not isinstance(bits, np.random.Philox) or bits.state["has_uint32"]:
        return random.bytes(count)
    words: NDArray[np.uint64] = bits.random_raw(-(-count // 8))
    return words.astype("<u8", copy=False).tobytes()[:count]


def combine(*parts: object) -> str:
    """A key (32 hexadecimal digits) of the texts of all `parts`."""
    return xxhash.xxh3_128_hexdigest("\x1f".join(str(part) for part in parts).encode())
