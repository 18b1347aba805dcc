"""Random streams: what is drawn for one image follows from seed, candidate, draw and image key alone."""

from __future__ import annotations

import numpy as np
import xxhash


def stream(seed: int, name: str, draw: int, key: str, *, purpose: str = "parameters") -> np.random.Generator:
    """The generator of one image in one draw of one candidate.

    Philox is counter-based: any 128-bit key starts an independent stream (Salmon et al. 2011), so no image
    waits for another, and neither batch size nor order nor the number of workers changes what is drawn.

    Args:
        seed: the run's seed.
        name: the candidate's name.
        draw: number of the round of views, from 0.
        key: the image's content key.
        purpose: streams of other purposes are independent; training tosses its coin in "coin", so that a
            training view has the parameters that the cloud's view has.
    """
    digest = xxhash.xxh3_128_intdigest(f"{seed}|{name}|{draw}|{key}|{purpose}".encode())
    return np.random.Generator(np.random.Philox(key=digest))


def combine(*parts: object) -> str:
    """One key (32 hexadecimal digits) of everything that `parts` say."""
    return xxhash.xxh3_128_hexdigest("\x1f".join(str(part) for part in parts).encode())
