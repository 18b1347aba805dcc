"""`eyeshot show`: one experiment. `eyeshot diff`: what differs between two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.ledger.cells import gain_cell, got_cell, printable
from eyeshot.cli.options import Json
from eyeshot.cli.output import plain_table, print_fitting, print_json, say_next

if TYPE_CHECKING:
    from eyeshot.ledger import Experiment

ID = 'Id of an experiment, any unique beginning of it, "latest" or "previous".'
ExperimentId = Annotated[str, typer.Argument(metavar="ID", help=ID, show_default=False)]


def show(id: ExperimentId, json: Json = False) -> None:
    """An experiment: why, what differs, expected, got, verdict, learned, insights, cost, runs."""
    import eyeshot

    record = eyeshot.experiment(id)
    if json:
        print_json(record)
        return
    typer.echo(f"{record.id}: {printable(record.why)}")
    for name, words in _facts(record):
        lines = printable(words).splitlines() or [""]
        typer.echo(f"  {name + ':':<15}{lines[0]}")
        for line in lines[1:]:
            typer.echo(f"  {'':<15}{line}")
    if record.state == "done" and not record.learned:
        say_next("learned", record.id, "WHAT WAS LEARNED")
    elif record.state != "done" and record.author_kind != "sweep":
        from eyeshot.ledger import next_step

        typer.echo(f"Next: {printable(next_step(record))}")
    elif record.parent and record.runs:
        say_next("diff", record.parent, record.id)


def _facts(record: Experiment) -> Iterator[tuple[str, str]]:
    """Name and words of all that is known, in the order in which it came about."""
    from eyeshot.core import duration, plural, points
    from eyeshot.ledger import difference_parts, expected_words

    expected, got = record.expected, record.got
    yield "state", record.state + (f": {record.words}" if record.words else "")
    if record.parent:
        yield "parent", record.parent
    parts = difference_parts(record.difference)
    if parts:
        yield "difference", "\n".join(f"{name}: {before} → {after}" for name, before, after in parts)
    elif record.parent:
        yield "difference", "nothing but the seed"
    if expected is not None:
        late = "; stated after a run had begun, so it counts for nothing" if expected.late else ""
        yield (
            "expected",
            f"{expected_words(expected.model_dump())} (stated {expected.stated_at:%Y-%m-%d %H:%M} UTC{late})",
        )
    if got is not None:
        change = {"change": got.difference, "change_low": got.difference_low, "change_high": got.difference_high}
        size = f", n {got.n:,}" if got.n else ""
        seeds = f", {plural(len(got.seeds), 'seed')} {', '.join(map(str, got.seeds))}" if got.seeds else ""
        yield "got", f"{got_cell(got.model_dump())} {got.metric}{size}{seeds}"
        if got.difference is not None:
            p = "" if got.p is None else f", p {got.p:.3g}"
            allowed = "" if got.allowed_p is None else f" (counts up to {got.allowed_p:.3g})"
            yield "gain", f"{gain_cell(change)}{p}{allowed}"
        if got.noise is not None:
            yield "noise", f"seeds of one recipe differ by {points(got.noise)} (standard deviation)"
        if got.estimate is not None:
            disagrees = "; it disagrees with validation" if got.estimate_disagrees else ""
            yield "test estimate", f"{100 * got.estimate:.1f} %{disagrees}"
    if record.gain or record.verdict:
        words = f": {record.verdict_words}" if record.verdict_words else ""
        yield "verdict", f"{record.verdict or record.gain}{words}"
    if record.rungs:
        yield (
            "rungs",
            "\n".join(
                f"{rung['rung']}" + (f" {100 * rung['value']:.1f} %" if rung.get("value") is not None else "")
                for rung in record.rungs
            ),
        )
    for name, text in (
        ("learned", record.learned), ("why so", record.why_different), ("own work", record.own_work),
        ("off the shelf", record.off_the_shelf), ("sweep", record.sweep or ""), ("hypothesis", record.hypothesis),
    ):  # fmt: skip
        if text:
            yield name, text
    for insight in record.insights:
        done = "".join(f"\n→ {action.get('text', '')}" for action in insight.actions)
        yield "insight", f"{insight.id} {'(open) ' if insight.open else ''}{insight.text}{done}"
    for note in record.notes:
        yield "note", f"{note.get('text', '')} ({note.get('author', '')}, {note.get('time', '')[:10]})"
    if record.tags:
        yield "tags", ", ".join(record.tags)
    kind = "" if record.author_kind == "person" else f" ({record.author_kind})"
    yield "author", f"{record.author}{kind}, {record.created:%Y-%m-%d %H:%M} UTC"
    planned = "" if record.cost_planned_s is None else f" of {duration(record.cost_planned_s)} planned"
    yield "cost", f"{duration(record.cost_s)}{planned}"
    if record.code.get("commit"):
        yield "code", f"{record.code['commit']}{' with changes' if record.code.get('difference') else ''}"
    if record.runs:
        yield "runs", "\n".join(record.runs)


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help=ID, show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="The experiment to set beside it.", show_default=False)],
    json: Json = False,
) -> None:
    """What differs between two experiments: settings, code, seeds."""
    import eyeshot
    from eyeshot.core import shortened

    found = eyeshot.diff_experiments(first, second)
    records = [eyeshot.experiment(text) for text in (first, second)]
    ids = [record.id for record in records]
    if json:
        settings = {row["setting"]: [row["first"], row["second"]] for row in found.to_dicts()}
        print_json({"version": 1, "first": ids[0], "second": ids[1], "settings": settings})
        return
    if found.is_empty():
        typer.echo(f"{ids[0]} and {ids[1]} differ in nothing that is recorded.")
    else:
        table = plain_table("setting", *ids, left=("setting", *ids), overflow="fold")
        for row in found.to_dicts():
            table.add_row(*(printable(shortened(row[name], 200)) for name in ("setting", "first", "second")))
        print_fitting(table, names=("setting", *ids))
    if all(record.runs for record in records):
        say_next("compare", *ids)
