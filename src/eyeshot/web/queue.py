"""The findings in the order of their worth, with indexes by kind, class and split: 100,000 page in milliseconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing import NAMES, Finding
from eyeshot.web.image_index import NOT_HERE, ImageIndex

UNLABELLED = "unlabelled"
CONFLICT = "conflict"
# The most harmful first; kinds that are not named come last but for images without a label, as the audit orders them.
WORTH = (CONFLICT, "leak", "label-issue", "near-copy", "identical", "unreadable", "two-labels")
COPIES = frozenset({CONFLICT, "leak", "near-copy", "identical"})
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Filters:
    """Which items are wanted; empty means all.

    Attributes:
        kind: a kind of finding, or `unlabelled`.
        label: a class.
        split: `train` or `test`.
        open: only those that nobody decided about.
    """

    kind: str = ""
    label: str = ""
    split: str = ""
    open: bool = True


@dataclass(frozen=True)
class Item:
    """One thing to look at: a finding, or an image without a label.

    Attributes:
        id: that of the finding; made from the content for an image without a label.
        kind: of the finding, or `unlabelled`.
        positions: its images in the table; `NOT_HERE` for those that are gone or cannot be read.
        finding: None for an image without a label.
    """

    id: str
    kind: str
    positions: tuple[int, ...]
    finding: Finding | None = None

    @cached_property
    def here(self) -> tuple[int, ...]:
        """The images that can be shown."""
        return tuple(position for position in self.positions if position != NOT_HERE)


class Queue:
    """All items; the number of an item is its place in the order of worth.

    Args:
        findings: of the report.
        index: the images.
        unlabelled: positions of the images that a person may label.
    """

    def __init__(self, findings: Sequence[Finding], index: ImageIndex, unlabelled: Sequence[int]) -> None:
        self.items = [
            Item(one.id, one.kind, tuple(map(index.find, one.images)), one)
            for one in sorted(findings, key=_worth)  # stable: within a kind as the audit ordered them
        ] + [Item(f"{UNLABELLED}-{index.contents[row]}", UNLABELLED, (row,)) for row in unlabelled]
        self.decided: Mask = np.zeros(len(self.items), np.bool_)
        self.number_of = {item.id: number for number, item in enumerate(self.items)}
        self.holding: defaultdict[str, list[int]] = defaultdict(list)
        sets: dict[str, defaultdict[str, list[int]]] = {name: defaultdict(list) for name in ("kind", "label", "split")}
        for number, item in enumerate(self.items):
            sets["kind"][item.kind].append(number)
            refs = item.finding.images if item.finding is not None else ()
            for label in {ref.label for ref in refs if ref.label is not None}:
                sets["label"][label].append(number)
            splits: set[str] = {ref.split for ref in refs}
            for split in splits or {index.split(item.positions[0])}:
                sets["split"][split].append(number)
            for content in {index.contents[position] for position in item.here}:
                self.holding[content].append(number)
        self._sets = {
            name: {value: np.array(numbers, np.int64) for value, numbers in found.items()}
            for name, found in sets.items()
        }

    def __len__(self) -> int:
        return len(self.items)

    def counts(self, name: str) -> dict[str, int]:
        """How many items there are of each `kind`, `label` or `split`."""
        return {value: len(numbers) for value, numbers in self._sets[name].items()}

    def matching(self, filters: Filters, *, decided_too: bool = False) -> NDArray[np.int64]:
        """Numbers of the items that fit, the most worth first."""
        mask = np.ones(len(self.items), np.bool_)
        for name, value in (("kind", filters.kind), ("label", filters.label), ("split", filters.split)):
            if value:
                own = np.zeros(len(self.items), np.bool_)
                own[self._sets[name].get(value, np.array([], np.int64))] = True
                mask &= own
        if filters.open and not decided_too:
            mask &= ~self.decided
        return np.flatnonzero(mask)

    def step(self, filters: Filters, number: int, by: int) -> int | None:
        """The item that fits and comes next after a number (`by` 1), or before it (`by` -1); None at the end."""
        found = self.matching(filters)
        place = int(np.searchsorted(found, number, side="right" if by > 0 else "left"))
        place = place if by > 0 else place - 1
        return int(found[place]) if 0 <= place < len(found) else None


def name_of(kind: str) -> str:
    """A kind in words."""
    return "without a label" if kind == UNLABELLED else NAMES.get(kind, kind.replace("-", " "))


def _worth(one: Finding) -> int:
    return WORTH.index(one.kind) if one.kind in WORTH else len(WORTH)
