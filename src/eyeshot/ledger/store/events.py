"""The events that experiments follow from. Tables of many experiments are read without the models of `records`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
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


def is_sound(event: Event) -> bool:
    """Whether an event of a file, or of another ledger, can be stored: a hand or a damaged disk may have changed it.

    The id of an experiment is also the name of its folder, so that one with a "/" would be written elsewhere.
    """
    texts = (event.id, event.experiment, event.time, event.author, event.kind)
    if not (all(isinstance(text, str) and text for text in texts) and isinstance(event.data, dict)):
        return False
    name = event.experiment
    if not isinstance(event.seq, int) or name in (".", "..") or not name.isprintable() or set(name) & set("/\\"):
        return False
    try:
        datetime.fromisoformat(event.time).astimezone(UTC)
        json.dumps(event, ensure_ascii=False, allow_nan=False).encode()  # half a character has no code
    except (ValueError, OverflowError, RecursionError):
        return False
    return True
