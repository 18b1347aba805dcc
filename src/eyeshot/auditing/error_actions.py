"""What to do about errors, and what was done about them since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eyeshot.auditing.error_report import ToDo
from eyeshot.core import listing, plural
from eyeshot.data import Decisions
from eyeshot.ledger import RunRecord

CURES: dict[tuple[str, str], tuple[str, ...]] = {
    ("brightness", ""): ("jitter", "autocontrast"),
    ("contrast", "low"): ("autocontrast", "equalize"),
    ("contrast", "high"): ("jitter", "posterize"),
    ("colourfulness", ""): ("grey", "jitter-strong"),
    ("colour or grey", ""): ("grey", "jitter-strong"),
    ("colour mode", ""): ("grey", "jitter-strong"),
    ("sharpness", "low"): ("gaussian-blur", "motion-blur"),
    ("sharpness", "high"): ("sharpness", "gaussian-noise"),
    ("border", ""): ("invert", "jitter-strong"),
    ("border brightness", ""): ("invert", "jitter-strong"),
    ("border less centre brightness", ""): ("invert", "jitter-strong"),
    ("image area", "low"): ("downscale", "gaussian-blur"),
    ("image area", "high"): ("crop-strong", "affine"),
    ("file size", "low"): ("jpeg", "gaussian-blur"),
    ("file size", "high"): ("crop-strong", "gaussian-noise"),
    ("aspect ratio", ""): ("affine-stretch", "crop-strong"),
    ("image size", ""): ("affine-stretch", "crop-strong"),
    ("file format", ""): ("jpeg", "gaussian-noise-mild"),
    ("JPEG quality", ""): ("jpeg", "gaussian-noise-mild"),
}
"""Augmentations that make training images more like a slice, by property and side; chosen by what they change, not by
any measurement. Properties that no augmentation changes are left to the whole catalogue."""


class Done(NamedTuple):
    """What happened in a project: what may have been done about errors.

    Attributes:
        decisions: all of them.
        runs: records of all runs.
        ranked: names of the augmentations in the project's latest ranking.
        ranked_at: when it was written, in seconds since 1970; 0 without one.
    """

    decisions: Decisions
    runs: Sequence[RunRecord]
    ranked: frozenset[str]
    ranked_at: float


def cures_of(name: str, side: str) -> tuple[str, ...]:
    """Augmentations that may cure a slice; none where no augmentation changes its property."""
    return CURES.get((name, side), CURES.get((name, ""), ()))


def carry_over(found: Sequence[ToDo], earlier: Sequence[ToDo], done: Done) -> list[ToDo]:
    """The list of an earlier report continued with what is found now; nothing falls off it.

    What was found before keeps its date. What is not found any more stays, as `acted` or `gone`. Open entries come
    first, those that are open for longest before others.
    """
    before = {entry.id: entry for entry in earlier}
    now = {entry.id for entry in found}
    entries = [
        entry if entry.id not in before else entry.model_copy(update={"since": before[entry.id].since})
        for entry in found
    ]
    judged = [_judged(entry, done) for entry in entries]
    for entry in earlier:
        if entry.id not in now:
            settled = _judged(entry, done)
            judged.append(settled if settled.state == "acted" else settled.model_copy(update={"state": "gone"}))
    order = {"open": 0, "acted": 1, "gone": 2}
    return sorted(judged, key=lambda entry: (order[entry.state], entry.since))


def _judged(entry: ToDo, done: Done) -> ToDo:
    """The entry with what was done about it."""
    words, finished = _decided(entry, done.decisions)
    later = [
        record for record in done.runs if record.created > entry.since and set(record.augmentations) & set(entry.tries)
    ]
    if later:
        names = listing([name for name in later[-1].augmentations if name in entry.tries])
        words, finished = f"{later[-1].id} was trained with {names} afterwards", True
    elif entry.kind == "slice" and done.ranked_at > entry.since.timestamp():
        ranked = sorted(done.ranked & set(entry.tries))
        if ranked or not entry.tries:
            words = f"{listing(ranked) or 'augmentations'} {plural(len(ranked) or 2, 'was', 'were')} ranked afterwards"
            finished = True
    return entry.model_copy(update={"state": "acted" if finished else "open", "acted": words})


def _decided(entry: ToDo, decisions: Decisions) -> tuple[str, bool]:
    """How many of its images a decision is about, in words, and whether that settles it."""
    merged = [decision for decision in decisions.active if decision.kind == "merge-classes"]
    if entry.classes and any(set(entry.classes) <= {*decision.classes, decision.label} for decision in merged):
        return "the classes were merged", True
    about = {content for decision in decisions.active for content in decision.images}
    count, total = len(about & set(entry.contents)), len(set(entry.contents))
    if not count:
        return "", False
    return f"{count} of {total} {plural(total, 'image')} decided", count == total
