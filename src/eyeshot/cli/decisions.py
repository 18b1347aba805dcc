"""`eyeshot decisions`: what people decided about images; append-only, by content, reversible."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.options import (
    DECISIONS,
    OUTPUT,
    AuditFile,
    Author,
    DecisionsFile,
    Device,
    Fit,
    ImageRoot,
    Interpolation,
    Json,
    LabelColumn,
    Labels,
    Mean,
    Model,
    PathColumn,
    Seed,
    Size,
    Std,
    Train,
    Weights,
    known_policy,
    option,
    preparation,
)
from eyeshot.cli.output import as_typed, plain_table, print_json, progress_shown, say, say_next, typed_command
from eyeshot.core import plural

if TYPE_CHECKING:
    from eyeshot.auditing import PolicyResult
    from eyeshot.data import Contradiction, Decision, Winner

app = typer.Typer(no_args_is_help=True, help="List, add, undo, merge and export decisions, or apply a policy.")
SHOWN = 10


@app.command("list")
def show(
    all_: Annotated[bool, option("--all", panel=OUTPUT, text="Undone decisions and undos too.")] = False,
    last: Annotated[int, option(panel=OUTPUT, text="Only this many of the latest; 0 for all.")] = 0,
    decisions_file: DecisionsFile = None,
    json: Json = False,
) -> None:
    """List decisions, the latest last."""
    import eyeshot
    from eyeshot.data import bad_lines, find_log

    known = eyeshot.list_decisions(decisions_file=decisions_file)
    say(bad_lines(known), warning=True)
    shown = (known.stored if all_ else known.active)[-last if last else 0 :]
    if json:
        print_json([_facts(decision) | {"undone": decision.id in known.undone} for decision in shown])
        return
    from rich.console import Console

    words = ("id", "time (UTC)", "author", "kind", "what")
    table = plain_table(*words, left=words, overflow="fold")
    for decision in shown:
        state = " (undone)" if decision.id in known.undone else ""
        table.add_row(
            decision.id[:8], f"{decision.time:%Y-%m-%d %H:%M}", decision.author, decision.kind + state, decision.words()
        )
    Console().print(table)
    file = find_log(decisions_file).file
    count, rest = len(known.active), len(known) - len(known.active)
    typer.echo(
        f"{count} {plural(count, 'decision counts', 'decisions count')}, {rest} {plural(rest, 'is', 'are')} undone or "
        f"undo; {file}"
    )


@app.command("add")
def add(
    kind: Annotated[
        str, typer.Argument(help="drop, drop-both, keep, keep-one, relabel, merge-classes, group, not-copy.")
    ],
    images: Annotated[
        list[Path] | None, typer.Argument(help="The files; their content is stored. keep-one: the first stays.")
    ] = None,
    label: Annotated[str | None, option(panel=DECISIONS, text="The new label (relabel, merge-classes).")] = None,
    given: Annotated[str | None, option(panel=DECISIONS, text="Only if the file has this label.")] = None,
    classes: Annotated[list[str] | None, option("--class", panel=DECISIONS, text="A class to merge; repeat.")] = None,
    reason: Annotated[str, option(panel=DECISIONS, text="Why, in words.")] = "",
    author: Author = None,
    decisions_file: DecisionsFile = None,
    json: Json = False,
) -> None:
    """Decide about images by their files."""
    import eyeshot

    decision = eyeshot.add_decision(
        kind,  # type: ignore[arg-type]  # checked there
        images or (), label=label, given=given, classes=classes or (), reason=reason, author=author,
        decisions_file=decisions_file,
    )  # fmt: skip
    if json:
        print_json(_facts(decision))
        return
    start = decision.id[:8]
    typer.echo(f"{start}: {decision.kind} {decision.words()}. Take it back: eyeshot decisions undo {start}")


@app.command("undo")
def undo(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, or their beginnings.")] = None,
    last: Annotated[int, option(panel=DECISIONS, text="Undo this many of the latest active decisions.")] = 0,
    policy: Annotated[
        bool, option("--policy", panel=DECISIONS, text="Undo everything that the latest policy decided.")
    ] = False,
    author: Author = None,
    decisions_file: DecisionsFile = None,
    json: Json = False,
) -> None:
    """Undo decisions. An undo cannot be undone: make the decision again."""
    import eyeshot

    undone = eyeshot.undo_decisions(ids or (), last=last, policy=policy, author=author, decisions_file=decisions_file)
    if json:
        print_json({"undone": [_facts(decision) for decision in undone]})
        return
    for decision in undone[:SHOWN]:
        typer.echo(f"undone: {decision.id[:8]} {decision.kind} {decision.words()}")
    typer.echo(f"{len(undone)} undone.")


@app.command("merge")
def merge(
    files: Annotated[list[Path], typer.Argument(help="Decisions files of other people.")],
    on_conflict: Annotated[
        str | None,
        option(
            panel=DECISIONS,
            text="Which decision wins a contradiction. Default: asked for each.",
            metavar="mine|theirs|newer",
        ),
    ] = None,
    author: Author = None,
    decisions_file: DecisionsFile = None,
    json: Json = False,
) -> None:
    """Add other people's decisions; by id, so that merging twice or in another order changes nothing.

    If their decisions contradict yours (the same image is dropped and kept, or gets two labels), each contradiction is
    shown, and you choose which decision wins.
    """
    import sys

    import eyeshot
    from eyeshot.core import InputError
    from eyeshot.data import WINNERS, find_log

    rule: Winner | None = next((winner for winner in WINNERS if winner == on_conflict), None)
    if on_conflict is not None and rule is None:
        raise InputError(f"--on-conflict must be one of {', '.join(WINNERS)}, got {on_conflict!r}.")
    ask = rule is None and sys.stdin.isatty() and not json
    done = eyeshot.merge_decisions(
        files, on_conflict=_ask_winner if ask else rule, author=author, decisions_file=decisions_file
    )
    file = find_log(decisions_file).file
    if json:
        print_json({"new": done.new, "won": done.won, "active": done.active, "file": str(file)})
        return
    if done.won:
        mine, theirs = (done.won.get(side, 0) for side in ("mine", "theirs"))
        typer.echo(
            f"Contradictions: yours count {mine} {plural(mine, 'time')}, theirs {theirs} {plural(theirs, 'time')}."
        )
    counted = plural(done.active, "counts", "count")
    typer.echo(f"{done.new} new {plural(done.new, 'decision')}; {done.active} {counted} now in {file}.")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="File to write: .jsonl to merge elsewhere, .csv to read in a table.")],
    decisions_file: DecisionsFile = None,
    json: Json = False,
) -> None:
    """Write all decisions to a file, in the order of their times; unreadable lines are left out."""
    import eyeshot

    count = eyeshot.export_decisions(file, decisions_file=decisions_file)
    if json:
        print_json({"file": str(file), "decisions": count})
    else:
        typer.echo(f"Wrote {count} {plural(count, 'decision')} to {file}.")


@app.command("apply")
def apply(
    train: Train = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    audit: Annotated[
        Path | None,
        option(
            panel=DECISIONS,
            text="Folder of an audit, or its audit.json, whose duplicates are decided about. Default: that of the "
            "project; without an audit only duplicates with equal pixels, also turned.",
            metavar="DIR|FILE",
        ),
    ] = None,
    policy: Annotated[
        str, option(panel=DECISIONS, text="keep-one, drop-both, drop-leaks or group; see above.", callback=known_policy)
    ] = "",
    min_per_class: Annotated[
        int, option(panel=DECISIONS, text="Leave every class at least this many images; stopped groups are listed.")
    ] = 5,
    author: Author = None,
    decisions_file: DecisionsFile = None,
    dry_run: Annotated[
        bool, option("--dry-run", panel=OUTPUT, text="Say what would be decided; store nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Decide about all duplicate groups by a policy.

    keep-one: of duplicates under one label the best stays: a file that common readers open, with the most pixels, not
    turned by EXIF, with the most bytes. drop-both: duplicates under several labels are dropped. drop-leaks: training
    images that duplicate a test image are dropped, because the test score would be too good; test images stay. group:
    duplicates stay, and stay together in every split.
    """
    import eyeshot
    from eyeshot.data import find_log

    with progress_shown() as progress:
        done = eyeshot.apply_policy(
            policy, train, min_per_class=min_per_class, audit=audit, labels=labels, path_column=path_column,
            label_column=label_column, image_root=image_root, author=author, decisions_file=decisions_file,
            dry_run=dry_run, progress=progress,
        )  # fmt: skip
    if json:
        stopped = [{"label": group.label, "left": group.left, "images": list(group.names)} for group in done.stopped]
        facts = {"stored": not dry_run, "decisions": [_facts(decision) for decision in done.decisions]}
        still_open = {"open_groups": done.open_groups, "open_findings": done.open_findings}
        print_json(facts | {"stopped": stopped} | still_open)
        return
    for group in done.stopped:
        images = plural(group.left, "image")
        typer.echo(f"stopped: {group.label!r} would keep {group.left} {images}: {', '.join(group.names[:4])}")
    if done.stopped:
        count = len(done.stopped)
        typer.echo(
            f"{count} {plural(count, 'group is left as it is', 'groups are left as they are')}, so that no class gets "
            f"under {min_per_class} {plural(min_per_class, 'image')}."
        )
    for decision in done.decisions[:SHOWN]:
        typer.echo(f"{'would: ' if dry_run else ''}{_decided(decision)}")
    count = len(done.decisions)
    if count > SHOWN:
        typer.echo(f"and {count - SHOWN} more{'' if dry_run else ': eyeshot decisions list'}")
    if count:
        typer.echo(_counted(done.decisions))
    if dry_run:
        typer.echo(f"{count} {plural(count, 'decision')} would be stored. Next: the same command without --dry-run.")
        return
    undo_words = f". Take {plural(count, 'it', 'them')} back: eyeshot decisions undo --policy" if count else ""
    typer.echo(f"{count} {plural(count, 'decision')} stored in {find_log(decisions_file).file}{undo_words}")
    columns = {"labels": labels, "path_column": path_column, "label_column": label_column, "image_root": image_root}
    _say_open(done, policy, as_typed(train, **columns), audit, decisions_file)


def _decided(decision: Decision) -> str:
    """What a policy decided about a group, by the names of its files."""
    first, *rest = decision.names
    if decision.kind == "keep-one":
        return f"keep {first}, drop {', '.join(rest)}: {decision.reason}"
    return f"{'keep together' if decision.kind == 'group' else 'drop'} {', '.join(decision.names)}: {decision.reason}"


def _counted(decisions: list[Decision]) -> str:
    """How many files decisions of a policy leave out, and how many they keep."""
    groups, files = len(decisions), sum(len(decision.names) for decision in decisions)
    kind = decisions[0].kind
    kept = {"keep-one": groups, "group": files}.get(kind, 0)
    left_out = files - kept
    what = (
        f"{left_out} training {plural(left_out, 'file')} left out; test images stay"
        if kind == "drop"
        else f"{groups} {plural(groups, 'group')}: {left_out} {plural(left_out, 'file')} left out, {kept} kept"
    )
    return f"{what}."


def _say_open(
    done: PolicyResult, policy: str, again: list[str], audit: Path | None, decisions_file: Path | None
) -> None:
    """What remains to be decided after a policy, with the command for each, and the next step."""
    from shlex import join

    from eyeshot.auditing import NAMES
    from eyeshot.core import audit_file

    file = audit_file(audit)
    more = again + as_typed(None, audit=None if file is None else file.parent, decisions_file=decisions_file)
    groups = {
        "drop-both": ("picture under several labels", "pictures under several labels"),
        "drop-leaks": ("duplicate across training and test", "duplicates across training and test"),
        "keep-one": ("group of duplicates", "groups of duplicates"),
    }
    parts, commands = [], []
    for name, count in done.open_groups.items():
        if policy == "group" and name == "keep-one":
            continue  # they stay on purpose
        what = f"{count} {plural(count, *groups[name])}"
        if name == policy and done.stopped:
            parts.append(f"{what}, stopped by --min-per-class")
            continue
        commands.append(["decisions", "apply", *more, "--policy", name])
        parts.append(f"{what}: {join(['eyeshot', *commands[-1]])}")
    if done.open_findings:
        kinds = ", ".join(f"{NAMES[kind]} ({count:,})" for kind, count in done.open_findings.items())
        commands.append(["review", *more])
        parts.append(f"for a person, {kinds}: {join(['eyeshot', *commands[-1]])}")
    split = ["split", *more]
    if parts:
        typer.echo("Still open:")
        say(parts)
    else:
        typer.echo("Nothing is open.")
    say_next(*(commands[0] if commands else split))
    if commands:
        typer.echo(f"Then: {join(['eyeshot', *split])}")


@app.command("compare")
def compare(
    train: Train = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    audit: AuditFile = None,
    ids: Annotated[
        list[str] | None,
        option("--id", panel=DECISIONS, text="Only these decisions; repeat. Default: all active decisions."),
    ] = None,
    policy: Annotated[str, option(panel=DECISIONS, text="Only what this policy decided, for instance keep-one.")] = "",
    folds: Annotated[int, option(panel=DECISIONS, text="Folds of the cross-validation.")] = 5,
    decisions_file: DecisionsFile = None,
    model: Model = None,
    weights: Weights = None,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    interpolation: Interpolation = None,
    fit: Fit = "crop",
    device: Device = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Cross-validate a linear probe before and after decisions, in the same folds, and say whether they help.

    The probe uses the features of --model, or thumbnails. The result is kept for eyeshot report.
    """
    from dataclasses import asdict

    import eyeshot
    from eyeshot.auditing import store_comparison

    with progress_shown() as progress:
        result = eyeshot.compare_decisions(
            train, ids=ids or (), policy=policy, folds=folds, audit=audit, labels=labels, path_column=path_column,
            label_column=label_column, image_root=image_root, decisions_file=decisions_file, model=model,
            weights=weights, **preparation(size, mean, std, interpolation, fit), device=device, seed=seed,
            progress=progress,
        )  # fmt: skip
    if decisions_file is None:  # the report is about the decisions of the project
        store_comparison(result, command=typed_command())
    if json:
        print_json(asdict(result) | {"words": result.words()})
    else:
        typer.echo(result.words())


def _facts(decision: Decision) -> dict[str, object]:
    """A decision as it is written in the file."""
    import json

    facts: dict[str, object] = json.loads(decision.line())
    return facts


def _ask_winner(contradiction: Contradiction) -> Winner:
    """The winning side, as the user answers in the terminal."""
    from eyeshot.data import WINNERS

    typer.echo(contradiction.words())
    while True:
        try:
            typed = typer.prompt(f"Which counts: {', '.join(WINNERS)}? (Ctrl+C: nothing is stored)")
        except typer.Abort:
            raise KeyboardInterrupt from None
        for winner in WINNERS:
            if winner == typed.strip().lower():
                return winner
