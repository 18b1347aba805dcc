"""Ids of images in files of other people: with or without folder and ending, or as numbers without leading zeros."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError, listing


def _path(text: str) -> str:
    return text.strip().replace("\\", "/").removeprefix("./")


def _name(text: str) -> str:
    return _path(text).rstrip("/").rpartition("/")[2]  # as pathlib does it, ten times as fast


def _path_without_ending(text: str) -> str:
    path = _path(text)
    stem, _, ending = path.rpartition(".")
    # The id "v1.2" has no ending, "a.b.jpg" has.
    return stem if stem[-1:] not in ("", "/") and (ending.isalpha() or ending == "jp2") else path


def _stem(text: str) -> str:
    return _name(_path_without_ending(text))


def _number(text: str) -> str:
    stem = _stem(text)
    return str(int(stem)) if stem.isascii() and stem.isdigit() else stem


RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("as written", _path),
    ("without their endings", _path_without_ending),
    ("by file name", _name),
    ("by file name without ending", _stem),
    ("as numbers", _number),
)


def match_ids(ids: Sequence[str], known: Sequence[str], *, what: str = "ids") -> tuple[NDArray[np.int64], str]:
    """Which known image each id means. One rule applies to all ids, the strictest that finds all of them.

    Args:
        ids: n ids from a file.
        known: the ids of the images, as in the image table.
        what: what the ids are, for errors.

    Returns:
        int64 (n,), positions in `known`; and how they were compared, in words.

    Raises:
        InputError: an id is doubled or unknown, or would mean several images.
    """
    doubled = [text for text, count in Counter(map(_path, ids)).items() if count > 1]
    if doubled:
        raise InputError(
            f"Each of the {what} must occur once, but {len(doubled)} occur several times: {listing(doubled)}."
        )
    best: list[str] | None = None
    for words, rule in RULES:
        wanted = [rule(text) for text in ids]
        counts = Counter(map(rule, known))
        missing = [text for text, want in zip(ids, wanted, strict=True) if want not in counts]
        if best is None or len(missing) < len(best):
            best = missing
        if missing:
            continue
        ambiguous = [text for text, want in zip(ids, wanted, strict=True) if counts[want] > 1]
        if ambiguous or len(set(wanted)) < len(wanted):
            continue
        place = {rule(text): position for position, text in enumerate(known)}
        return np.array([place[want] for want in wanted], np.int64), words
    if best:
        raise InputError(
            f"All {what} must name images that there are, but {len(best)} of {len(ids)} do not: {listing(best)}. "
            f"The images are called {listing(list(known), most=3)}."
        )
    raise InputError(
        f"Each of the {what} must mean one image, but several images have the same name in different folders, and the "
        f"{what} ({listing(list(ids), most=3)}) do not name the folder."
    )
