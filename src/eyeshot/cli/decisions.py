"""`eyeshot decisions`: what people decided about images; appended, by content, reversible."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.decision_sets import Author, apply, compare, one_that_fits
from eyeshot.cli.project_data import DecisionsFile

if TYPE_CHECKING:
    from eyeshot.data import Contradiction, Decision, Winner

app = typer.Typer(no_args_is_help=True, help="List, add, undo, merge and export decisions, or apply a policy.")
app.command("apply")(apply)
app.command("compare")(compare)


@app.command("list")
def show(
    all_: Annotated[bool, typer.Option("--all", help="Undone ones and undos too.")] = False,
    last: Annotated[int, typer.Option(help="Only so many, the latest; 0 for all.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    decisions: DecisionsFile = None,
) -> None:
    """List decisions, the latest last."""
    from eyeshot.cli.project_data import find_log, read_decisions

    log = find_log(decisions)
    found = read_decisions(log)
    shown = (found.stored if all_ else found.active)[-last if last else 0 :]
    if json_:
        for one in shown:
            typer.echo(one.line())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("id", "time (UTC)", "author", "kind", "what"):
        table.add_column(heading, overflow="fold")
    for one in shown:
        state = " (undone)" if one.id in found.undone else ""
        table.add_row(one.id[:8], f"{one.time:%Y-%m-%d %H:%M}", one.author, one.kind + state, one.words())
    Console().print(table)
    typer.echo(f"{len(found.active)} decisions count, {len(found) - len(found.active)} are undone or undo; {log.file}")


@app.command("add")
def add(
    kind: Annotated[
        str, typer.Argument(help="drop, drop-both, keep, keep-one, relabel, merge-classes, group, not-copy.")
    ],
    images: Annotated[
        list[Path] | None, typer.Argument(help="The files; what is stored is their content. keep-one: the first stays.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The new label (relabel, merge-classes).")] = None,
    given: Annotated[str | None, typer.Option(help="Only where the file lies under this label.")] = None,
    class_: Annotated[list[str] | None, typer.Option("--class", help="A class to merge; repeat.")] = None,
    reason: Annotated[str, typer.Option(help="Why, in words.")] = "",
    author: Author = None,
    decisions: DecisionsFile = None,
) -> None:
    """Decide about images by their files."""
    import xxhash

    from eyeshot.cli.project_data import find_log
    from eyeshot.core import InputError, find_project
    from eyeshot.data import KINDS, decide, os_reason

    if kind not in KINDS or kind == "undo":
        raise InputError(f"KIND must be one of {', '.join(name for name in KINDS if name != 'undo')}, got {kind!r}.")
    files = list(images or ())
    test = find_project().value("test", None)
    if kind == "relabel" and test is not None and any(file.resolve().is_relative_to(test.resolve()) for file in files):
        find_project().check_use("hand-labels", "A label for test images")
    contents = []
    for file in files:
        try:
            contents.append(xxhash.xxh3_128_hexdigest(file.read_bytes()))
        except OSError as error:
            raise InputError(
                f"An image must be a file that can be read, got {str(file)!r}: {os_reason(error)}."
            ) from error
    try:
        one = decide(
            kind,
            tuple(dict.fromkeys(contents)),
            keep=contents[0] if kind == "keep-one" and contents else None,
            author=author, given=given, label=label, classes=tuple(class_ or ()), reason=reason,
            names=tuple(map(str, files)),
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"{kind}: {_first(error)}. See `eyeshot decisions add --help`.") from error
    log = find_log(decisions)
    log.append([one])
    typer.echo(f"{one.id[:8]}: {one.kind} {one.words()}. Take it back: eyeshot decisions undo {one.id[:8]}")


@app.command("undo")
def undo(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, or how they begin.")] = None,
    last: Annotated[int, typer.Option(help="Undo so many of the latest that count.")] = 0,
    policy: Annotated[bool, typer.Option("--policy", help="Undo all that the latest policy decided.")] = False,
    author: Author = None,
    decisions: DecisionsFile = None,
) -> None:
    """Take decisions back. An undo cannot be undone: give the decision again."""
    from eyeshot.cli.project_data import find_log, read_decisions
    from eyeshot.core import InputError
    from eyeshot.data import undo_of

    log = find_log(decisions)
    found = read_decisions(log)
    wanted = []
    for start in ids or ():
        one = one_that_fits(found, start)
        if one.id in found.undone:
            raise InputError(f"{start!r} is undone already. See `eyeshot decisions list --all`.")
        wanted.append(one)
    if last > 0:
        wanted += found.active[-last:]
    if policy:
        latest = next((one.policy for one in reversed(found.active) if one.policy), "")
        wanted += [one for one in found.active if latest and one.policy == latest]
    if not wanted:
        raise InputError("Nothing to undo: give an id, --last 1 or --policy. See `eyeshot decisions list`.")
    unique = list({one.id: one for one in wanted}.values())
    log.append([undo_of(one, author=author) for one in unique])
    for one in unique[:10]:
        typer.echo(f"undone: {one.id[:8]} {one.kind} {one.words()}")
    typer.echo(f"{len(unique)} undone.")


@app.command("merge")
def merge(
    files: Annotated[list[Path], typer.Argument(help="Files of decisions of other people.")],
    on_conflict: Annotated[
        str | None,
        typer.Option(
            metavar="mine|theirs|newer", help="Which counts where two contradict each other. Default: asked for each."
        ),
    ] = None,
    author: Author = None,
    decisions: DecisionsFile = None,
) -> None:
    """Take over other people's decisions; by id, so that merging twice or in another order changes nothing.

    Where theirs contradict yours (the same image is dropped and kept, or gets two labels), each is named, and you say
    which counts.
    """
    import sys

    from eyeshot.cli.project_data import find_log, read_decisions
    from eyeshot.core import InputError
    from eyeshot.data import WINNERS, DecisionLog, find_contradictions, ordered, settle

    rule: Winner | None = next((winner for winner in WINNERS if winner == on_conflict), None)
    if on_conflict is not None and rule is None:
        raise InputError(f"--on-conflict must be one of {', '.join(WINNERS)}, got {on_conflict!r}.")
    log = find_log(decisions)
    mine, others = read_decisions(log), [read_decisions(DecisionLog(file), needed=True) for file in files]
    contradictions: list[Contradiction] = []
    settled: list[Decision] = []
    counts: Counter[str] = Counter()
    for theirs in others:
        if rule is None and not sys.stdin.isatty():
            contradictions += find_contradictions(mine, theirs)
        else:
            made, won = settle(mine, theirs, lambda one: _winner(one, rule), author=author)
            settled += made
            counts.update(won)
        mine = ordered([*mine.stored, *theirs.stored, *settled])
    if contradictions:
        listed = "\n".join(f"  {one.words()}" for one in contradictions)
        raise InputError(
            f"{len(contradictions)} decisions of theirs contradict yours, and nothing was stored:\n{listed}\nSay which "
            "count: --on-conflict mine, theirs or newer; or merge in a terminal to be asked for each."
        )
    count = log.merge(files, settled=settled)
    if settled:
        typer.echo(f"Contradictions: yours count {counts['mine']} times, theirs {counts['theirs']} times.")
    typer.echo(f"{count} new decisions; {len(read_decisions(log).active)} count now in {log.file}.")


def _winner(contradiction: Contradiction, rule: Winner | None) -> Winner:
    """The side that counts: by the rule, or as the user says in the terminal."""
    from eyeshot.data import WINNERS

    typer.echo(contradiction.words())
    while rule is None:
        try:
            typed = typer.prompt(f"Which counts: {', '.join(WINNERS)}? (Ctrl+C: nothing is stored)")
        except typer.Abort:
            raise KeyboardInterrupt from None
        rule = next((winner for winner in WINNERS if winner == typed.strip().lower()), None)
    return rule


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="File to write: .jsonl to merge elsewhere, .csv to read in a table.")],
    decisions: DecisionsFile = None,
) -> None:
    """Write all decisions to a file, in the order of their times; lines that cannot be used are left out."""
    from eyeshot.cli.project_data import find_log, read_decisions
    from eyeshot.data import write_decisions

    found = read_decisions(find_log(decisions))
    write_decisions(found, file)
    typer.echo(f"Wrote {len(found)} decisions to {file}.")


def _first(error: ValueError) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return str(first["msg"]).removeprefix("Value error, ")
    return str(error)
