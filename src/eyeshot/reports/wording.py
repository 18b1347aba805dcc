"""How numbers, names and scores are written on pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eyeshot.core import NOTHING, duration
from eyeshot.core import percent as plain_percent
from eyeshot.core import shortened as plain_shortened

MINUS = "−"


def visible(text: object) -> str:
    """`text` with control characters shown by their pictures, so that a newline in a file name is seen."""
    return "".join(
        chr(0x2400 + ord(sign)) if ord(sign) < 0x20 else "␡" if sign == "\x7f" else sign for sign in str(text)
    )


def shortened(text: object, length: int = 60) -> str:
    """`text`, made visible, with its middle left out where it is longer than `length`."""
    return plain_shortened(visible(text), length)


def sentence(parts: Sequence[str]) -> str:
    """Fragments as one sentence: joined by semicolons, a capital first, a stop at the end."""
    text = visible("; ".join(part.strip().rstrip(".") for part in parts if part.strip()))
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def percent(share: float | None, digits: int = 0) -> str:
    """A share from 0 to 1 as "61 %", typeset: a narrow space that does not break, and a minus sign."""
    return plain_percent(share, digits).replace(" ", "\u202f").replace("-", MINUS)


def number(value: float | None, digits: int = 2) -> str:
    """A plain number: "0.83"."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """A difference: "+0.83", "0.00"."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:+,.{digits}f}"
    return text.replace("-", MINUS) if text.strip("+-0.,") else text.lstrip("+-")


def points(difference: float | None, digits: int = 1) -> str:
    """A difference of shares in percentage points: "+12.3"."""
    return signed(None if difference is None else 100 * difference, digits)


def count(value: int | None) -> str:
    """A count: "12,000"."""
    return NOTHING if value is None else f"{value:,}".replace("-", MINUS)


@dataclass(frozen=True)
class ScoreWords:
    """One score in the design's word and in plain language."""

    key: str
    name: str
    meaning: str
    unit: Literal["share", "percent", "points", "number", "images", "nats", "gain"]

    def text(self, value: float | int | None) -> str:
        """The value with its unit."""
        if value is None:
            return NOTHING
        match self.unit:
            case "share":
                return percent(value)
            case "percent":
                return percent(value, 1)
            case "points":
                return points(value)
            case "images":
                return count(int(value))
            case "nats":
                return number(value, 3)
            case "gain":
                return signed(value, 3)
            case _:
                return number(value)


COVER_SCORES = (
    ScoreWords(
        "coverage_gain",
        "coverage gain",
        "How much more of the target, in points, is covered with neighbours that agree on one class than by a "
        "no-op with as many views. This ranks.",
        "points",
    ),
    ScoreWords(
        "coverage",
        "coverage",
        "Share of target images whose own neighbourhood (up to their fifth nearest target image) holds an image of "
        "the candidate's cloud: a clean image or a view.",
        "share",
    ),
    ScoreWords("raw_coverage_gain", "gain of coverage", "Coverage less that of the no-op, in points.", "points"),
    ScoreWords(
        "consistent_coverage",
        "label-consistent coverage",
        "Share of target images that are covered and whose 5 nearest training images agree on one class, at least 4 "
        "of 5. Agreement is not correctness: nobody knows the target's labels.",
        "share",
    ),
    ScoreWords(
        "density",
        "density",
        "How many neighbourhoods of target images hold a view, on average; above coverage where views crowd.",
        "number",
    ),
    ScoreWords(
        "nearest_distance",
        "nearest distance",
        "Median distance from a target image to the cloud, in units of its own neighbour radius; under 1 is inside.",
        "number",
    ),
    ScoreWords("only_covered", "only this one", "Target images that this candidate reaches and no other.", "images"),
)
LABEL_SCORES = (
    ScoreWords(
        "affinity",
        "affinity",
        "Accuracy of the clean model on augmented held-out images, relative to clean ones. Low alone is no fault.",
        "share",
    ),
    ScoreWords(
        "relearnability",
        "relearnability",
        "Accuracy on augmented held-out images of a head trained on augmented images. Low: the label is destroyed.",
        "share",
    ),
    ScoreWords(
        "retention",
        "retention",
        "Accuracy on clean held-out images after training with the views, less that without them, in points.",
        "points",
    ),
)
GLOSSARY = (
    (
        "target",
        "the images to be covered: the unlabelled test images or, without them, the validation images",
    ),
    ("view", "one augmented copy of one training image"),
    ("cloud", "what training sees over its epochs: the clean images and several views of each"),
    ("no-op", "noise of one grey level: what as many views bring by chance alone, the zero of the ranking"),
    (
        "tie group",
        "candidates that cannot be told apart from the best of their group; group 1 holds the best",
    ),
)

FILTERS: dict[str, Callable[..., Any]] = {
    "visible": visible,
    "shortened": shortened,
    "sentence": sentence,
    "percent": percent,
    "points": points,
    "number": number,
    "signed": signed,
    "count": count,
    "seconds": duration,
}
