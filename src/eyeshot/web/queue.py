"""Findings, the most harmful first, indexed by kind, class and split, so that 100,000 findings page in milliseconds."""

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
# The most harmful kinds first. Kinds not listed follow in the audit's order; images without a label come last.
HARM_ORDER = (CONFLICT, "leak", "label-issue", "near-copy", "identical", "unreadable", "two-labels")
COPIES = frozenset({CONFLICT, "leak", "near-copy", "identical"})
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Filters:
    """Filters of a list of items; an empty filter lets all through.

    Attributes:
        kind: a kind of finding, or `unlabelled`.
        label: a class.
        split: `train` or `test`.
        open: only items without a decision.
    """

    kind: str = ""
    label: str = ""
    split: str = ""
    open: bool = True


@dataclass(frozen=True)
class Item:
    """An item of the queue: a finding, or an image without a label.

    Attributes:
        id: the id of the finding; for an image without a label, made from its content.
        kind: the kind of the finding, or `unlabelled`.
        positions: its images in the table; `NOT_HERE` for images that are gone or cannot be read.
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
    """All items. The number of an item is its place in the order of harm.

    Args:
        findings: the findings of the report.
        index: the images.
        unlabelled: positions of the images that a person may label.
    """

    def __init__(self, findings: Sequence[Finding], index: ImageIndex, unlabelled: Sequence[int]) -> None:
        self.items = [
            Item(finding.id, finding.kind, tuple(map(index.find, finding.images)), finding)
            for finding in sorted(findings, key=_harm)  # stable: within a kind as the audit ordered them
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
            # A broken file is in no table, so only the finding knows its content.
            for content in {index.contents[position] for position in item.here} | {ref.content for ref in refs}:
                self.holding[content].append(number)
        self._sets = {
            name: {value: np.array(numbers, np.int64) for value, numbers in by_value.items()}
            for name, by_value in sets.items()
        }

    def __len__(self) -> int:
        return len(self.items)

    def counts(self, name: str) -> dict[str, int]:
        """How many items there are of each `kind`, `label` or `split`."""
        return {value: len(numbers) for value, numbers in self._sets[name].items()}

    def matching(self, filters: Filters, *, decided_too: bool = False) -> NDArray[np.int64]:
        """Numbers of the matching items, int64, the most harmful first."""
        mask = np.ones(len(self.items), np.bool_)
        for name, value in (("kind", filters.kind), ("label", filters.label), ("split", filters.split)):
            if value:
                has_value = np.zeros(len(self.items), np.bool_)
                has_value[self._sets[name].get(value, np.array([], np.int64))] = True
                mask &= has_value
        if filters.open and not decided_too:
            mask &= ~self.decided
        return np.flatnonzero(mask)

    def step(self, filters: Filters, number: int, by: int) -> int | None:
        """The matching item after a number (`by` 1) or before it (`by` -1); None at the end."""
        matching = self.matching(filters)
        place = int(np.searchsorted(matching, number, side="right" if by > 0 else "left"))
        place = place if by > 0 else place - 1
        return int(matching[place]) if 0 <= place < len(matching) else None


def name_of(kind: str) -> str:
    """The name of a kind on the page."""
    return "without a label" if kind == UNLABELLED else NAMES.get(kind, kind.replace("-", " "))


def _harm(finding: Finding) -> int:
    return HARM_ORDER.index(finding.kind) if finding.kind in HARM_ORDER else len(HARM_ORDER)
