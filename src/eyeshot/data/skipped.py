"""Files that could not be used, each with its reason: one bad file never ends a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Skipped:
    """A file that was left out.

    Attributes:
        path: the file, or what the labels CSV said where there is no such file.
        reason: why, in a few words that are the same for all files with the same trouble.
    """

    path: str
    reason: str


def printable(path: str) -> str:
    """The path with bytes that are no Unicode written out, so that it can go into any text file."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def count_reasons(skipped: Iterable[Skipped]) -> dict[str, int]:
    """How many files were left out for each reason, the most frequent first."""
    return dict(Counter(one.reason for one in skipped).most_common())


def say_reasons(skipped: Iterable[Skipped]) -> str:
    """The counts as one phrase, for messages: `3 empty file, 1 truncated`."""
    return ", ".join(f"{count} × {reason}" for reason, count in count_reasons(skipped).items())
