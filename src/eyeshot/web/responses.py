"""What the page is told, as JSON."""

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
DONE = {
    "keep": "kept",
    "keep-all": "all kept",
    "drop": "dropped",
    "drop-all": "all dropped",
    "keep-one": "one kept, the others dropped",
    "relabel": "relabelled",
    "not-copy": "not duplicates",
    "group": "kept on one side of every split",
}
# The press that does what a finding suggests.
SUGGESTED = {"drop-both": "drop-all", "keep-one": "keep-one", "drop": "drop", "group": "group", "relabel": "relabel"}


class Responses:
    """Answers about one review.

    Args:
        review: what they are about.
    """

    def __init__(self, review: Review) -> None:
        self._review = review
        index = review.index
        self._in_test = np.array(index.in_test, np.bool_)
        rows: dict[str | None, list[int]] = {}
        for position, label in enumerate(index.labels):
            rows.setdefault(label, []).append(position)
        self._rows = {label: np.array(found, np.int64) for label, found in rows.items()}

    def start(self) -> JsonObject:
        """What the page needs once: kinds, classes, rules, and how much there is."""
        review = self._review
        state = review.refresh()
        counts = review.queue.counts("kind")
        given = Counter(label for label in review.index.labels if label is not None)
        classes = sorted({*review.index.classes, *_labels_given(state)})
        use = review.project.test_images
        return {
            "kinds": [{"kind": kind, "name": name_of(kind), "count": count} for kind, count in counts.items()],
            "classes": [{"label": label, "images": given[label]} for label in classes],
            "splits": review.queue.counts("split"),
            "author": review.author,
            "missing": review.missing,
            "rules": f'test_images = "{use}": {USES[use]}' if review.project.file is not None else "",
            **self._left(),
        }

    def page(self, filters: Filters, offset: int, limit: int, around: int = -1) -> JsonObject:
        """A part of the queue: from an offset on, or the page on which the item of a number is or would be."""
        review = self._review
        review.refresh()
        numbers = review.queue.matching(filters)
        if around >= 0 and limit:
            offset = int(np.searchsorted(numbers, around)) // limit * limit
        return {
            "total": len(numbers),
            "offset": offset,
            "items": [self._short(int(number)) for number in numbers[offset : offset + limit]],
            **self._left(),
        }

    def step(self, filters: Filters, number: int, by: int) -> JsonObject:
        """The next item, or the one before; `item` is null at the end."""
        self._review.refresh()
        found = self._review.queue.step(filters, number, by)
        return {"item": None, **self._left()} if found is None else self.item(found, filters)

    def item(self, number: int, filters: Filters) -> JsonObject:
        """One item with its images, and its place among those that the filters let through, decided ones too."""
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
            **self._left(),
        }

    def sheet(self, filters: Filters, offset: int, limit: int) -> JsonObject:
        """Images of a class, as it is in the files, or of all."""
        state = self._review.refresh()
        rows = np.arange(len(self._in_test))
        if filters.label or filters.kind == UNLABELLED:
            rows = self._rows.get(filters.label or None, rows[:0])
        if filters.split:
            rows = rows[self._in_test[rows] == (filters.split == "test")]
        images = [self._at(state, int(position)) for position in rows[offset : offset + limit]]
        return {"total": len(rows), "offset": offset, "images": images, **self._left()}

    def stored(self, made: Sequence[Decision], press: Press) -> JsonObject:
        """What was stored for a press."""
        state = self._review.refresh()
        done = DONE[press.action] + (f" to {press.label}" if press.action == "relabel" else "")
        different = self._still_different(made)
        return {
            "names": [one.id for one in made],
            "words": " ".join([f"{_names(made)}: {done}" + "." * bool(different), *different]),
            "images": [self._at(state, position) for position in self._positions(made)],
            **self._left(),
        }

    def undone(self, made: Sequence[Decision]) -> JsonObject:
        """What an undo took back."""
        state = self._review.refresh()
        first = [state.by_id[one.undoes] for one in made if one.undoes in state.by_id]
        numbers = [self._review.queue.number_of.get(one.finding) for one in first]
        return {
            "names": [one.id for one in made],
            "words": f"undone: {first[0].kind} of {_names(first)}" if first else "undone",
            "item": next((number for number in numbers if number is not None), None),
            "images": [self._at(state, position) for position in self._positions(first)],
            **self._left(),
        }

    def _positions(self, made: Sequence[Decision]) -> list[int]:
        rows = self._review.index.rows_of
        return sorted({row for one in made for content in one.images for row in rows.get(content, ())})[:1000]

    def _still_different(self, made: Sequence[Decision]) -> list[str]:
        """Of conflicts that a press was about: what is labelled differently even so; of a few, in sentences."""
        queue = self._review.queue
        numbers = {number for one in made for content in one.images for number in queue.holding.get(content, ())}
        words = (self._review.still_different(queue.items[number]) for number in sorted(numbers))
        return [sentence for sentence in words if sentence][:2]

    def _left(self) -> JsonObject:
        queue = self._review.queue
        return {"open": self._review.open_items, "all": len(queue), "made": self._review.made}

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
        """Of a doubted label: the nearest images of the given class and of the proposed one."""
        found = []
        for which in ("given", "proposed"):
            names = finding.evidence.get(f"nearest_{which}", [])
            rows = map(self._review.index.named, names if isinstance(names, list) else [])
            images = [self._at(state, row) for row in rows if row != NOT_HERE]
            if images:
                found.append({"label": str(finding.evidence.get(which, "")), "images": images})
        return found

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
    """Labels that decisions gave."""
    kinds = ("relabel", "merge-classes")
    return {decision.label for decision in state.by_id.values() if decision.kind in kinds and decision.label}


def _names(made: Sequence[Decision]) -> str:
    names = list(dict.fromkeys(name for one in made for name in one.names))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _title(item: Item) -> str:
    """The question that a finding asks about labels; empty where it asks none."""
    evidence = item.finding.evidence if item.finding is not None else {}
    if item.kind == "label-issue":
        return f"{evidence.get('given', '')} → {evidence.get('proposed', '')}?"
    labels = evidence.get("labels")
    return f"{' or '.join(labels)}?" if item.kind == CONFLICT and isinstance(labels, list) else ""


def _suggested(item: Item) -> str:
    if item.finding is None:
        return "relabel"
    # Of a leak the duplicates in training go, which may be several.
    return "drop-all" if item.kind == "leak" else SUGGESTED.get(item.finding.suggestion, "")


def _reference(item: Item) -> int:
    """Place of the image that the others are described from."""
    name = item.finding.evidence.get("reference") if item.finding is not None else None
    images = item.finding.images if item.finding is not None else []
    return next((place for place, ref in enumerate(images[:MOST_IMAGES]) if ref.id == name), 0)


def _captions(item: Item) -> dict[str, str]:
    """What was done to each duplicate, by the id that the audit knew it under."""
    told = item.finding.evidence.get("transforms", []) if item.finding is not None else []
    parts = (text.rpartition(": ") for text in told) if isinstance(told, list) else ()
    return {name: words for name, _, words in parts}
