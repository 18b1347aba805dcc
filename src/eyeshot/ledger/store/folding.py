"""From events to the experiment: what each kind of event sets, and which keys it may have.

Folding is a pure function of the events in their order. The clock decides nothing.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from eyeshot.core import InputError, listing
from eyeshot.ledger.store.events import Event, EventKind
from eyeshot.ledger.store.records import Expected, Experiment

KEYS: dict[str, tuple[str, ...]] = {
    "stated": (
        "why", "parent", "difference", "expected", "config", "code", "seeds", "author_kind", "tags", "sweep",
        "hypothesis", "cost_planned_s", "own_work", "off_the_shelf", "plan",
    ),
    "expected": ("expected",),
    "run": ("run", "seed", "fold", "role"),
    "state": ("state", "words"),
    "rung": ("rung", "value", "n", "loss", "seconds"),
    "got": ("got",),
    "verdict": ("verdict", "gain", "words"),
    "learned": ("text",),
    "why_different": ("text",),
    "tag": ("add", "remove"),
    "insight": ("insight_id", "text"),
    "action": ("insight_id", "text"),
    "note": ("text",),
}  # fmt: skip
"""Keys of an event's data, by its kind."""
NEEDED = {
    "stated": ("why",), "expected": ("expected",), "run": ("run",), "state": ("state",), "rung": ("rung",),
    "got": ("got",), "verdict": ("verdict",), "learned": ("text",), "why_different": ("text",),
    "insight": ("insight_id", "text"), "action": ("insight_id", "text"), "note": ("text",),
}  # fmt: skip


def check_event(kind: str, data: Mapping[str, Any]) -> None:
    """Refuse an event that says nothing the ledger knows.

    Raises:
        InputError: an unknown kind or key, or a key that is missing.
    """
    kinds = get_args(EventKind)
    if kind not in kinds:
        raise InputError(f"An event must be one of {listing(kinds, most=20)}, got {kind!r}.{_nearest(kind, kinds)}")
    for key in data:
        if key not in KEYS[kind]:
            raise InputError(
                f"An event {kind!r} may have {listing(KEYS[kind], most=20)}, got {key!r}.{_nearest(key, KEYS[kind])}"
            )
    for key in NEEDED.get(kind, ()):
        if data.get(key) in (None, ""):
            raise InputError(f"An event {kind!r} needs {key!r}, and it is missing or empty. Give it.")


def fold(events: Iterable[Event], before: Experiment | None = None) -> Experiment:
    """The experiment that its events come to.

    Args:
        events: of one experiment, in their order; the first is "stated" unless `before` is given.
        before: what earlier events came to.

    Raises:
        InputError: there is no event "stated", or a value cannot be stored.
    """
    fields = {} if before is None else before.model_dump(mode="json")
    for event in events:
        if not fields and event.kind != "stated":
            raise InputError(f"There is no experiment {event.experiment!r}: its first event must be 'stated'.")
        _APPLIED[event.kind](fields, event) if event.kind in _APPLIED else _set_text(fields, event)
    try:
        return Experiment.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{place or 'why'!r} of an experiment: {first['msg']}, got {first['input']!r}.") from error


def plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Data of an event as JSON holds it, models as dictionaries.

    Raises:
        InputError: a value is no JSON.
    """
    try:
        return dict(json.loads(json.dumps(data, default=_plain_value, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise InputError(f"An event must hold what JSON can: numbers, texts, lists. {error}.") from error


def _plain_value(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):  # a number of numpy
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "as_posix"):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not among them")


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _stated(fields: dict[str, Any], event: Event) -> None:
    if fields:
        return  # stated on two machines and merged: the first counts
    fields |= {key: value for key, value in event.data.items() if value is not None and key != "expected"}
    fields |= {"id": event.experiment, "created": event.time, "author": event.author}
    fields["tags"] = sorted(set(fields.get("tags", ())))
    if event.data.get("expected"):
        _expected(fields, event)


def _expected(fields: dict[str, Any], event: Event) -> None:
    """Frozen by the first run: a later one is marked, and replaces nothing that was frozen.

    Whether a run had begun was noted where it was said: a merge may bring runs of another machine that stand before it.
    """
    late = bool(event.data.get("late", fields.get("runs")))
    expected = {"stated_at": event.time} | event.data["expected"] | {"late": late}
    try:
        Expected.model_validate(expected)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"An expectation needs a direction (up, down or same): {'.'.join(map(str, first['loc']))}: {first['msg']}."
        ) from error
    if "instead_of" in event.data:  # a merge has decided between two
        if other := event.data["instead_of"]:
            _add(fields, "notes", event, f"Expected in another ledger, which counts for nothing: {typed_words(other)}")
        fields["expected"] = expected
        return
    if late:
        _add(fields, "notes", event, f"Expected after the first run, which counts for nothing: {typed_words(expected)}")
        if fields.get("expected") and not fields["expected"]["late"]:
            return
    fields["expected"] = expected


def typed_words(expected: Mapping[str, Any]) -> str:
    """An expectation as it was typed, or as it can be: "up accuracy"."""
    return str(expected.get("words") or f"{expected['direction']} {expected.get('metric', 'accuracy')}")


def _run(fields: dict[str, Any], event: Event) -> None:
    key = "parent_runs" if event.data.get("role") == "parent" else "runs"
    fields[key] = [*dict.fromkeys((*fields.get(key, ()), event.data["run"]))]
    if key == "runs" and fields.get("state", "stated") in ("stated", "waiting"):
        fields["state"] = "running"


def _state(fields: dict[str, Any], event: Event) -> None:
    fields |= {"state": event.data["state"], "words": event.data.get("words") or ""}


def _rung(fields: dict[str, Any], event: Event) -> None:
    fields["rung"] = event.data["rung"]
    fields["rungs"] = [*fields.get("rungs", ()), event.data]
    if (fields.get("got") or {}).get("seconds") is None:  # else that is the cost of all runs
        fields["cost_s"] = fields.get("cost_s", 0.0) + (event.data.get("seconds") or 0.0)


def _got(fields: dict[str, Any], event: Event) -> None:
    fields["got"] = event.data["got"]
    seconds = event.data["got"].get("seconds")
    if seconds is not None:
        fields["cost_s"] = seconds


def _verdict(fields: dict[str, Any], event: Event) -> None:
    fields["verdict"] = event.data["verdict"]
    fields["gain"] = event.data.get("gain", fields.get("gain"))
    fields["verdict_words"] = event.data.get("words") or ""


def _tag(fields: dict[str, Any], event: Event) -> None:
    added, removed = event.data.get("add") or (), event.data.get("remove") or ()
    fields["tags"] = sorted((set(fields.get("tags", ())) | set(added)) - set(removed))


def _insight(fields: dict[str, Any], event: Event) -> None:
    """An id that is there already: its words are edited."""
    insights = list(fields.get("insights", ()))
    for number, insight in enumerate(insights):
        if insight["id"] == event.data["insight_id"]:
            insights[number] = insight | {"text": event.data["text"]}
            break
    else:
        insights.append({
            "id": event.data["insight_id"], "text": event.data["text"], "time": event.time, "author": event.author
        })  # fmt: skip
    fields["insights"] = insights


def _action(fields: dict[str, Any], event: Event) -> None:
    done = {"time": event.time, "author": event.author, "text": event.data["text"]}
    fields["insights"] = [
        insight | {"actions": [*insight.get("actions", ()), done]}
        if insight["id"] == event.data["insight_id"]
        else insight
        for insight in fields.get("insights", ())
    ]


def _note(fields: dict[str, Any], event: Event) -> None:
    _add(fields, "notes", event, event.data["text"])


def _add(fields: dict[str, Any], key: str, event: Event, text: str) -> None:
    fields[key] = [*fields.get(key, ()), {"time": event.time, "author": event.author, "text": text}]


def _set_text(fields: dict[str, Any], event: Event) -> None:
    """Words of the author: "learned", "why_different". A kind of a later version sets nothing."""
    if event.kind in ("learned", "why_different"):
        fields[event.kind] = event.data["text"]


_APPLIED = {
    "stated": _stated, "expected": _expected, "run": _run, "state": _state, "rung": _rung, "got": _got,
    "verdict": _verdict, "tag": _tag, "insight": _insight, "action": _action, "note": _note,
}  # fmt: skip
