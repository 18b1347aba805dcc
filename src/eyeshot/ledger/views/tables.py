"""Reading the ledger: the table of experiments, one of them, the difference of two, and what was understood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eyeshot.core import InputError
from eyeshot.ledger.store.database import Ledger, open_ledger
from eyeshot.ledger.views.words import difference_words, expected_words, value_words

# These take longer to load than `eyeshot runs` takes for all the rest, so they wait until they are needed.
if TYPE_CHECKING:
    import polars as pl

    from eyeshot.ledger.store.records import Experiment

TABLE = {
    "id": "String", "created": "String", "state": "String", "why": "String", "parent": "String",
    "difference": "String", "expected": "String", "metric": "String", "value": "Float64", "low": "Float64",
    "high": "Float64", "change": "Float64", "change_low": "Float64", "change_high": "Float64", "p": "Float64",
    "gain": "String", "verdict": "String", "rung": "String", "seeds": "Int64", "learned": "String",
    "open_insights": "Int64", "tags": "List", "author": "String", "author_kind": "String", "sweep": "String",
    "cost_s": "Float64",
}  # fmt: skip
"""Columns of `experiments`, with their types in polars; a list is one of texts."""
OF_EXPECTATIONS = {
    "group": "String", "stated": "Int64", "came": "Int64", "undecided": "Int64", "share": "Float64", "low": "Float64",
    "high": "Float64", "sized": "Int64", "sizes_came": "Int64", "size_share": "Float64", "size_low": "Float64",
    "size_high": "Float64",
}  # fmt: skip
OF_INSIGHTS = {
    "id": "String", "experiment": "String", "time": "String", "author": "String", "text": "String",
    "actions": "List", "open": "Boolean",
}  # fmt: skip
OF_DIFFERENCES = {"setting": "String", "first": "String", "second": "String"}


def _frame(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pl.DataFrame:
    import polars as pl

    from eyeshot.ledger.views.notebook import NotebookFrame

    types = {name: pl.List(pl.String) if kind == "List" else getattr(pl, kind) for name, kind in columns.items()}
    return NotebookFrame([{name: row[name] for name in columns} for row in rows], schema=types)


def experiments(
    *, where: str | None = None, tag: Sequence[str] = (), sort: str | None = None, limit: int | None = None
) -> pl.DataFrame:
    """The experiments of the project as a table, one row each.

    Columns: `id`, `created` (UTC), `state`, `why`, `parent`, `difference` and `expected` in words, `metric`, `value`
    with its 95 % interval `low` to `high`, `change` (the measured difference to the parent, a share) with `change_low`,
    `change_high` and `p`, `gain`, `verdict`, `rung`, `seeds`, `learned`, `open_insights`, `tags`, `author`,
    `author_kind`, `sweep`, `cost_s`.

    Args:
        where: a condition on these columns, as SQL: "value > 0.9 and verdict = 'better'".
        tag: only experiments with all of these tags.
        sort: a column; with "-" before it the largest first. None: the latest last.
        limit: at most so many: the first by `sort`, or the latest.

    Raises:
        InputError: the condition or the column cannot be used.
        StorageError: the ledger cannot be read.
    """
    with open_ledger() as ledger:
        rows = table_rows(ledger, where=where, tag=tag, sort=sort, limit=limit)
    return _frame(rows, TABLE)


def find_experiments(
    *, where: str | None = None, tag: Sequence[str] = (), sort: str | None = None, limit: int | None = None
) -> list[Experiment]:
    """The experiments of the project with all that was said about them; arguments as for `experiments`."""
    with open_ledger() as ledger:
        found = ledger.experiments(**_asked(where, tag, sort, limit))
    return found if sort else found[::-1]


def table_rows(
    ledger: Ledger,
    *,
    where: str | None = None,
    tag: Sequence[str] = (),
    sort: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """The rows of `experiments`, with difference and expectation in words."""
    rows = ledger.rows(*TABLE, **_asked(where, tag, sort, limit))
    rows = rows if sort else rows[::-1]
    for row in rows:
        row["difference"] = difference_words(row["difference"] or {})
        row["expected"] = expected_words(row["expected"])
    return rows


def _asked(where: str | None, tag: Sequence[str], sort: str | None, limit: int | None) -> dict[str, Any]:
    """Arguments for the ledger. Without `sort` the latest are asked for first, so that `limit` leaves them."""
    if limit is not None and limit < 1:
        raise InputError(f"--limit must be at least 1, got {limit}. Leave it out to see all.")
    conditions, values = [f"({where})"] if where else [], []
    for name in tag:
        condition, value = tagged(name)
        conditions.append(condition)
        values.append(value)
    return {
        "where": " AND ".join(conditions) or None, "values": values, "sort": sort or "-first_seq", "limit": limit,
    }  # fmt: skip


def tagged(name: str) -> tuple[str, str]:
    """The SQL condition that an experiment has a tag, and the value for its question mark."""
    quoted = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return r"tags LIKE ? ESCAPE '\'", f"%,{quoted},%"


def experiment(id: str) -> Experiment:
    """An experiment of the project, with all that was said about it.

    Args:
        id: its id, any unique beginning of it, "latest" or "previous".

    Raises:
        InputError: there is none, or several begin so.
        StorageError: the ledger cannot be read.
    """
    with open_ledger() as ledger:
        return ledger.experiment(id)


def diff_experiments(first: str, second: str) -> pl.DataFrame:
    """What differs between two experiments: their settings, code and seeds.

    Args:
        first, second: ids, or unique beginnings of them.

    Returns:
        a table with the columns `setting`, `first` and `second`, values in words; no row where nothing differs.

    Raises:
        InputError: an experiment does not exist.
        StorageError: the ledger cannot be read.
    """
    with open_ledger() as ledger:
        differing = differing_settings(ledger.experiment(first), ledger.experiment(second))
    rows = [
        {"setting": name, "first": value_words(values[0]), "second": value_words(values[1])}
        for name, *values in differing
    ]
    return _frame(rows, OF_DIFFERENCES)


def differing_settings(first: Experiment, second: Experiment) -> list[tuple[str, Any, Any]]:
    """What differs between two experiments: dotted name, value in the first, value in the second, by name."""
    sides = [dict(_settings(record)) for record in (first, second)]
    return [
        (name, sides[0].get(name), sides[1].get(name))
        for name in sorted(sides[0].keys() | sides[1].keys())
        if sides[0].get(name) != sides[1].get(name)
    ]


def flat_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings by dotted names: {"training": {"epochs": 3}} as {"training.epochs": 3}."""
    return dict(_flat(settings))


def _settings(record: Experiment) -> Iterator[tuple[str, Any]]:
    """Everything that decides the runs of an experiment, by dotted names.

    Where the whole configuration was not stored, the difference to the parent is what is known.
    """
    yield from _flat(record.config) if record.config else ((name, pair[1]) for name, pair in record.difference.items())
    yield "seeds", list(record.got.seeds if record.got and record.got.seeds else record.seeds)
    for name, value in record.code.items():
        yield f"code.{name}", value


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def expectations(*, by: Literal["author", "month", "author_kind"] = "author") -> pl.DataFrame:
    """How often what people, sweeps and agents expected came: only what was stated before the first run.

    Args:
        by: what a row stands for; the first row is all together.

    Returns:
        a table with the columns `group`, `stated` (expectations that have been compared with a result), `came` (the
        direction did), `undecided` (not distinguishable from the parent), `share` of those that came with its 95 %
        interval `low` to `high` (Wilson), and of those that named a size `sized`, `sizes_came` (it lies in the
        interval), `size_share`, `size_low`, `size_high`.

    Raises:
        StorageError: the ledger cannot be read.
    """
    with open_ledger() as ledger:
        rows = judged_expectations(ledger, by)
    return _frame(rows, OF_EXPECTATIONS)


def judged_expectations(ledger: Ledger, by: Literal["author", "month", "author_kind"]) -> list[dict[str, Any]]:
    """The rows of `expectations`."""
    from eyeshot.ledger.judging.expectations import calibration

    return calibration(ledger.experiments("expected IS NOT NULL AND gain IS NOT NULL"), by=by)


def insights(*, open_insights: bool = False) -> pl.DataFrame:
    """What was understood, and what was done about it, the latest last.

    Args:
        open_insights: only what nothing was done about yet.

    Returns:
        a table with the columns `id`, `experiment`, `time`, `author`, `text`, `actions` (a list of texts) and `open`.

    Raises:
        StorageError: the ledger cannot be read.
    """
    with open_ledger() as ledger:
        records = ledger.experiments("open_insights > 0" if open_insights else "record LIKE '%\"insights\":[{%'")
    rows = [
        {
            "id": insight.id, "experiment": record.id, "time": insight.time.isoformat(timespec="seconds"),
            "author": insight.author, "text": insight.text,
            "actions": [action.get("text", "") for action in insight.actions], "open": insight.open,
        }
        for record in records
        for insight in record.insights
        if insight.open or not open_insights
    ]  # fmt: skip
    rows.sort(key=lambda row: str(row["time"]))
    return _frame(rows, OF_INSIGHTS)


def runs_of(names: Sequence[str | Path], *, root: Path | None = None) -> tuple[list[str | Path], dict[str, Experiment]]:
    """Ids of experiments among names of runs, replaced by the runs of these experiments.

    A name that no experiment has is left as it is: it may be a run, a folder or a file. Runs that several experiments
    share are given once. Where a parent and its child are both named, the parent has the runs that the child was judged
    against: also those that were trained for it, and these alone where the parent was trained anew.

    Returns:
        the names, and the experiments by id.

    Raises:
        InputError: an experiment has no run yet.
    """
    from eyeshot.ledger.store.records import Experiment

    found: list[str | Experiment | Path] = []
    with open_ledger(root) as ledger:
        for name in names:
            text = str(name)
            fitting = ledger.rows("id", where="substr(id, 1, ?) = ?", values=(len(text), text)) if text else []
            exact = [row for row in fitting if row["id"] == text]
            found.append(name if len(exact or fitting) != 1 else ledger.experiment((exact or fitting)[0]["id"]))
    named = {each.id: each for each in found if isinstance(each, Experiment)}
    replaced: list[str | Path] = []
    for each in found:
        if not isinstance(each, Experiment):
            replaced.append(each)
            continue
        if not each.runs:
            raise InputError(f"The experiment {each.id!r} has no run yet, so there is nothing to compare. Wait for it.")
        children = [child for child in named.values() if child.parent == each.id]
        anew = any(child.plan.get("parent_anew") for child in children)
        runs = [*(() if anew else each.runs), *(run for child in children for run in child.parent_runs)]
        replaced += [run for run in dict.fromkeys(runs) if run not in replaced]
    return replaced, named
