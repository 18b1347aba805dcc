"""The JSON answers to the page: rows of the table of experiments, and the timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from eyeshot.core import shortened
from eyeshot.ledger import Ledger, aim_of, difference_parts, expected_words, tagged

JsonObject = dict[str, Any]
ROW = (
    "id", "created", "state", "why", "parent", "author", "author_kind", "rung", "gain", "verdict", "learned", "tags",
    "cost_s", "open_insights", "difference", "expected", "got",
)  # fmt: skip
FILTERS = {
    "state": "state = ?",
    "verdict": "coalesce(verdict, gain) = ?",
    "rung": "rung = ?",
    "author": "(CASE author_kind WHEN 'sweep' THEN 'sweeps' ELSE author END) = ?",
}
SEARCHED = ("id", "why", "difference", "learned", "tags")
SORTS = frozenset({"created", "-value", "value", "-change", "change", "p", "-cost_s"})
GAINS = ("better", "not distinguishable", "worse", "")
MOST_DIFFERENCES = 4
LONGEST_VALUE = 80


def table_page(ledger: Ledger, query: Mapping[str, str], *, offset: int, limit: int) -> JsonObject:
    """A page of the table, how many experiments fit the filters, and what can be filtered by."""
    where, values = conditions(query)
    sort = query.get("sort", "")
    order = {"created": "first_seq", "": "-first_seq"}.get(sort, sort if sort in SORTS else "-first_seq")
    facets = ledger.rows("state", "verdict", "gain", "rung", "author", "author_kind", "tags")
    matching = len(ledger.rows("id", where=where, values=values)) if where else len(facets)
    rows = ledger.rows(*ROW, where=where, values=values, sort=order, limit=limit, offset=offset)
    told = [_row(row) for row in rows]
    _add_progress(ledger, told)
    return {
        "rows": told,
        "offset": offset,
        "matching": matching,
        "total": len(facets),
        "running": sum(row["state"] == "running" for row in facets),
        "options": _options(facets),
    }


def conditions(query: Mapping[str, str]) -> tuple[str | None, list[str]]:
    """The SQL condition of the filters in a query, and the values for its question marks."""
    parts, values = [], []
    for name, condition in FILTERS.items():
        if query.get(name):
            parts.append(condition)
            values.append(query[name])
    if query.get("tag"):
        condition, value = tagged(query["tag"])
        parts.append(condition)
        values.append(value)
    for word in query.get("q", "").split():  # each word somewhere
        quoted = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        parts.append("(" + " OR ".join(f"{name} LIKE ? ESCAPE '\\'" for name in SEARCHED) + ")")
        values += [f"%{quoted}%"] * len(SEARCHED)
    return " AND ".join(parts) or None, values


def _options(facets: list[JsonObject]) -> dict[str, list[tuple[str, int]]]:
    """What each filter can be set to, with how many experiments of all there are, the most first."""
    named = {
        "state": Counter(row["state"] for row in facets),
        "verdict": Counter(row["verdict"] or row["gain"] for row in facets),
        "rung": Counter(row["rung"] for row in facets),
        "author": Counter("sweeps" if row["author_kind"] == "sweep" else row["author"] for row in facets),
        "tag": Counter(tag for row in facets for tag in row["tags"]),
    }
    return {name: [(value, many) for value, many in count.most_common(200) if value] for name, count in named.items()}


def _row(row: JsonObject) -> JsonObject:
    differences = difference_parts(row.pop("difference") or {})
    expected, got = row.pop("expected"), row.pop("got")
    return {
        **row,
        "learned": bool(row["learned"]),
        "difference": [
            [name, *(shortened(value, LONGEST_VALUE) for value in values)]
            for name, *values in differences[:MOST_DIFFERENCES]
        ],
        "difference_more": max(0, len(differences) - MOST_DIFFERENCES),
        "expected": expected_answer(expected),
        "got": got_answer(got),
        "disagrees": bool(got and got.get("estimate_disagrees")),
        "error": "",
        "reached": None,
    }


def _add_progress(ledger: Ledger, rows: list[JsonObject]) -> None:
    """To rows without a result: what the last rung gave, and why they failed, which only whole records say."""
    unfinished = {row["id"]: row for row in rows if row["got"] is None and (row["rung"] or row["state"] == "failed")}
    marks = ", ".join("?" * len(unfinished))
    for found in ledger.rows("record", where=f"id IN ({marks})", values=list(unfinished)) if unfinished else []:
        record = found["record"]
        row = unfinished[record["id"]]
        row["error"] = shortened(record["words"], 200) if row["state"] == "failed" else ""
        last = record["rungs"][-1] if record["rungs"] else {}
        if last.get("value") is not None:
            row["reached"] = {"rung": last["rung"], "value": last["value"]}


def expected_answer(expected: JsonObject | None) -> JsonObject | None:
    """What was expected, as the page shows it."""
    if expected is None:
        return None
    return {
        "words": expected_words(expected),
        "aim": aim_of(expected),
        "late": bool(expected.get("late")),
        "stated_at": expected.get("stated_at"),
    }


def got_answer(got: JsonObject | None) -> JsonObject | None:
    """What came, as the page shows it."""
    if got is None:
        return None
    return {
        "metric": got["metric"],
        "value": got["value"],
        "low": got.get("low"),
        "high": got.get("high"),
        "n": got.get("n"),
        "seeds": len(got.get("seeds") or ()),
        "folds": len(got.get("folds") or ()),
        "change": got.get("difference"),
        "change_low": got.get("difference_low"),
        "change_high": got.get("difference_high"),
        "p": got.get("p"),
        "allowed_p": got.get("allowed_p"),
        "disagrees": bool(got.get("estimate_disagrees")),
    }


def timeline_answer(ledger: Ledger, query: Mapping[str, str]) -> JsonObject:
    """What each experiment with a result got, in the order of the ledger, by columns."""
    where, values = conditions(query)
    rows = ledger.rows(
        "id", "created", "value", "gain", values=values,
        where="value IS NOT NULL" + (f" AND {where}" if where else ""),
    )  # fmt: skip
    return {
        "ids": [row["id"] for row in rows],
        "times": [round(datetime.fromisoformat(row["created"]).timestamp()) for row in rows],
        "values": [round(row["value"], 5) for row in rows],
        "gains": [GAINS.index(row["gain"] or "") for row in rows],
    }
