"""The JSON answers to the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from eyeshot.auditing import OF_CLASSES, Finding
from eyeshot.core import USES
from eyeshot.data import Decision, DecisionState
from eyeshot.web.actions import Press
from eyeshot.web.image_index import NOT_HERE
from eyeshot.web.queue import CONFLICT, COPIES, UNLABELLED, Filters, Item, name_of
from eyeshot.web.review import Review

MOST_IMAGES = 60
JsonObject = dict[str, Any]
OUTCOMES = {
    "keep": "kept",
    "keep-all": "all kept",
    "drop": "dropped",
    "drop-all": "all dropped",
    "keep-one": "one kept, the others dropped",
    "relabel": "relabelled",
    "not-copy": "not duplicates",
    "group": "kept on one side of every split",
}
# The action that carries out the suggestion of a finding.
SUGGESTED = {"drop-both": "drop-all", "keep-one": "keep-one", "drop": "drop", "group": "group", "relabel": "relabel"}


class Responses:
    """Answers about a review.

    Args:
        review: the review.
    """

    def __init__(self, review: Review) -> None:
        self._review = review
        index = review.index
        self._in_test = np.array(index.in_test, np.bool_)
        rows: dict[str | None, list[int]] = {}
        for position, label in enumerate(index.labels):
            rows.setdefault(label, []).append(position)
        self._rows = {label: np.array(positions, np.int64) for label, positions in rows.items()}

    def start(self) -> JsonObject:
        """What the page needs once: kinds, classes, rules and counts."""
        review = self._review
        state = review.refresh()
        counts = review.queue.counts("kind")
        image_counts = Counter(label for label in review.index.labels if label is not None)
        classes = sorted({*review.index.classes, *_labels_given(state)})
        use = review.project.test_images
        return {
            "kinds": [{"kind": kind, "name": name_of(kind), "count": count} for kind, count in counts.items()],
            "classes": [{"label": label, "images": image_counts[label]} for label in classes],
            "splits": review.queue.counts("split"),
            "author": review.author,
            "missing": review.missing,
            "rules": f'test_images = "{use}": {USES[use]}' if review.project.file is not None else "",
            **self._counts(),
        }

    def page(self, filters: Filters, offset: int, limit: int, around: int = -1) -> JsonObject:
        """A page of the queue: from an offset on, or the page that holds the number `around`, or would hold it."""
        review = self._review
        review.refresh()
        numbers = review.queue.matching(filters)
        if around >= 0 and limit:
            offset = int(np.searchsorted(numbers, around)) // limit * limit
        return {
            "total": len(numbers),
            "offset": offset,
            "items": [self._short(int(number)) for number in numbers[offset : offset + limit]],
            **self._counts(),
        }

    def step(self, filters: Filters, number: int, by: int) -> JsonObject:
        """The next or the previous item; `item` is null at the end."""
        self._review.refresh()
        target = self._review.queue.step(filters, number, by)
        return {"item": None, **self._counts()} if target is None else self.item(target, filters)

    def item(self, number: int, filters: Filters) -> JsonObject:
        """An item with its images, and its place among the items that match, including decided items."""
        review = self._review
        state = review.refresh()
        item = review.queue.items[number]
        finding = item.finding
        captions = _captions(item)
        numbers = review.queue.matching(filters, decided_too=True)
        return {
            "item": {
                **self._short(number),
                "id": item.id,
                "copies": item.kind in COPIES and len(set(item.here)) > 1,
                "differ": item.kind in COPIES and len({review.index.contents[row] for row in item.here}) > 1,
                "examples": item.kind in OF_CLASSES,
                "reference": _reference(item),
                "suggested": _suggested(item),
                "proposed": "" if finding is None else str(finding.evidence.get("proposed", "")),
                "near": [] if finding is None else self._near(state, finding),
                "confidence": None if finding is None or finding.confidence_basis == "exact" else finding.confidence,
                "images": [
                    self._image(state, position, item, place, captions)
                    for place, position in enumerate(item.positions[:MOST_IMAGES])
                ],
                "more": max(0, len(item.positions) - MOST_IMAGES),
            },
            "place": int(np.searchsorted(numbers, number)) + 1,
            "places": len(numbers),
            **self._counts(),
        }

    def sheet(self, filters: Filters, offset: int, limit: int) -> JsonObject:
        """Images of a class, by the label in the files, or of all classes."""
        state = self._review.refresh()
        rows = np.arange(len(self._in_test))
        if filters.label or filters.kind == UNLABELLED:
            rows = self._rows.get(filters.label or None, rows[:0])
        if filters.split:
            rows = rows[self._in_test[rows] == (filters.split == "test")]
        images = [self._at(state, int(position)) for position in rows[offset : offset + limit]]
        return {"total": len(rows), "offset": offset, "images": images, **self._counts()}

    def stored(self, decisions: Sequence[Decision], press: Press) -> JsonObject:
        """The decisions that were stored for a press."""
        state = self._review.refresh()
        outcome = OUTCOMES[press.action] + (f" to {press.label}" if press.action == "relabel" else "")
        different = self._still_different(decisions)
        return {
            "names": [decision.id for decision in decisions],
            "words": " ".join([f"{_names(decisions)}: {outcome}" + "." * bool(different), *different]),
            "images": [self._at(state, position) for position in self._positions(decisions)],
            **self._counts(),
        }

    def undone(self, undos: Sequence[Decision]) -> JsonObject:
        """The decisions that an undo cancelled."""
        state = self._review.refresh()
        undone = [state.by_id[undo.undoes] for undo in undos if undo.undoes in state.by_id]
        numbers = [self._review.queue.number_of.get(decision.finding) for decision in undone]
        return {
            "names": [undo.id for undo in undos],
            "words": f"undone: {undone[0].kind} of {_names(undone)}" if undone else "undone",
            "item": next((number for number in numbers if number is not None), None),
            "images": [self._at(state, position) for position in self._positions(undone)],
            **self._counts(),
        }

    def _positions(self, decisions: Sequence[Decision]) -> list[int]:
        rows = self._review.index.rows_of
        contents = {content for decision in decisions for content in decision.images}
        return sorted({row for content in contents for row in rows.get(content, ())})[:1000]

    def _still_different(self, decisions: Sequence[Decision]) -> list[str]:
        """Sentences about the first two conflicts that a press touched and that still have different labels."""
        queue = self._review.queue
        contents = {content for decision in decisions for content in decision.images}
        numbers = {number for content in contents for number in queue.holding.get(content, ())}
        words = (self._review.still_different(queue.items[number]) for number in sorted(numbers))
        return [sentence for sentence in words if sentence][:2]

    def _counts(self) -> JsonObject:
        queue = self._review.queue
        return {"open": self._review.open_items, "all": len(queue), "made": self._review.stored_count}

    def _short(self, number: int) -> JsonObject:
        item = self._review.queue.items[number]
        words = item.finding.words if item.finding is not None else "This image has no label yet."
        different = self._review.still_different(item)
        return {
            "number": number,
            "kind": item.kind,
            "name": name_of(item.kind),
            "title": _title(item) or words,
            "words": f"{words} {different}" if different else words,
            "count": len(item.positions),
            "first": next(iter(item.here), None),
            "decided": bool(self._review.queue.decided[number]),
        }

    def _image(
        self, state: DecisionState, position: int, item: Item, place: int, captions: dict[str, str]
    ) -> JsonObject:
        if item.finding is None:
            return self._at(state, position)
        ref = item.finding.images[place]
        if position == NOT_HERE:
            return {"image": None, "name": ref.id, "given": ref.label, "split": ref.split, "caption": "not here"}
        return {**self._at(state, position), "caption": captions.get(ref.id, "")}

    def _near(self, state: DecisionState, finding: Finding) -> list[JsonObject]:
        """For a label issue: the nearest images of the given class and of the proposed class."""
        groups = []
        for role in ("given", "proposed"):
            names = finding.evidence.get(f"nearest_{role}", [])
            rows = map(self._review.index.named, names if isinstance(names, list) else [])
            images = [self._at(state, row) for row in rows if row != NOT_HERE]
            if images:
                groups.append({"label": str(finding.evidence.get(role, "")), "images": images})
        return groups

    def _at(self, state: DecisionState, position: int) -> JsonObject:
        index, standing = self._review.index, state.standing(position)
        return {
            "image": position,
            "name": index.ids[position],
            "given": index.labels[position],
            "split": index.split(position),
            "label": standing.label,
            "out": standing.left_out is not None,
            "kept": standing.kept,
        }


def _labels_given(state: DecisionState) -> set[str]:
    """Labels that decisions assigned."""
    kinds = ("relabel", "merge-classes")
    return {decision.label for decision in state.by_id.values() if decision.kind in kinds and decision.label}


def _names(decisions: Sequence[Decision]) -> str:
    names = list(dict.fromkeys(name for decision in decisions for name in decision.names))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _title(item: Item) -> str:
    """The question that a finding asks about labels; empty if it asks none."""
    evidence = item.finding.evidence if item.finding is not None else {}
    if item.kind == "label-issue":
        return f"{evidence.get('given', '')} → {evidence.get('proposed', '')}?"
    labels = evidence.get("labels")
    return f"{' or '.join(labels)}?" if item.kind == CONFLICT and isinstance(labels, list) else ""


def _suggested(item: Item) -> str:
    if item.finding is None:
        return "relabel"
    # A leak may have several duplicates in training, and all of them are dropped.
    return "drop-all" if item.kind == "leak" else SUGGESTED.get(item.finding.suggestion, "")


def _reference(item: Item) -> int:
    """Place of the reference image, from which the other images are described."""
    name = item.finding.evidence.get("reference") if item.finding is not None else None
    images = item.finding.images if item.finding is not None else []
    return next((place for place, ref in enumerate(images[:MOST_IMAGES]) if ref.id == name), 0)


def _captions(item: Item) -> dict[str, str]:
    """How each duplicate differs from the reference image, by its id in the audit."""
    transforms = item.finding.evidence.get("transforms", []) if item.finding is not None else []
    parts = (text.rpartition(": ") for text in transforms) if isinstance(transforms, list) else ()
    return {name: words for name, _, words in parts}
