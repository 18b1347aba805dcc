"""The events that experiments follow from. Tables of many experiments are read without the models of `records`."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

EventKind = Literal[
    "stated", "expected", "run", "state", "rung", "got", "verdict", "learned", "why_different", "tag", "insight",
    "action", "note",
]  # fmt: skip


class Event(NamedTuple):
    """One thing that was said about an experiment.

    Attributes:
        seq: place in this ledger: the order of events, whatever their times say. Another ledger has other places.
        id: unique across all ledgers.
        experiment: id of the experiment.
        time: UTC, ISO 8601; for people, because clocks are set back.
        author: who or what said it.
        kind: decides which keys `data` has, see `folding`.
        data: what was said.
    """

    seq: int
    id: str
    experiment: str
    time: str
    author: str
    kind: str
    data: dict[str, Any]
