"""`eyeshot decisions apply` and `compare`: many decisions at once, and whether they help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.project_data import DecisionsFile, ImageRoot, LabelColumn, Labels, PathColumn, Train

if TYPE_CHECKING:
    from eyeshot.data import Decision, Decisions

Author = Annotated[str | None, typer.Option(help="Who decides. Default: EYESHOT_AUTHOR or the name of the login.")]
SHORTEST_ID = 4


def apply(
    train: Train = None,
    policy: Annotated[str, typer.Option(help="keep-one, drop-both or group; see below.")] = "",
    min_per_class: Annotated[
        int, typer.Option(help="Never leave a class under so many images; what this stops is listed.")
    ] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be decided; store nothing.")] = False,
    audit: Annotated[
        Path | None, typer.Option(help="audit.json whose near copies count too. Default: exact and turned ones only.")
    ] = None,
    author: Author = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    decisions: DecisionsFile = None,
) -> None:
    """Decide about all copy groups by a policy.

    keep-one: of copies under one label the largest stays. drop-both: copies under several labels go. group: copies
    stay, and stay together in every split.
    """
    from eyeshot.auditing import read_groups
    from eyeshot.cli.console import progress_shown
    from eyeshot.cli.project_data import find_log, read_decisions, read_manifest, read_train
    from eyeshot.core import find_project, find_workspace
    from eyeshot.data import apply_policy, find_duplicate_groups, find_policy

    chosen = find_policy(policy)
    log = find_log(decisions)
    found = read_decisions(log)
    table = read_train(
        find_project(), train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root
    )
    manifest = read_manifest(table, found)
    with progress_shown() as progress:
        groups, _ = find_duplicate_groups(
            manifest.table, found, cache=find_workspace().cache, more=read_groups(audit) if audit is not None else (),
            progress=progress.sub("decoding"),
        )  # fmt: skip
    made, stopped = apply_policy(chosen, manifest, groups, min_per_class=min_per_class, known=found, author=author)
    for one in stopped:
        typer.echo(f"stopped: {one.label!r} would keep {one.left} images: {', '.join(one.names[:4])}")
    if stopped:
        typer.echo(f"{len(stopped)} groups left as they are, so that no class gets under {min_per_class} images.")
    if dry_run:
        for decision in made[:20]:
            typer.echo(f"would: {decision.kind} {decision.words()}")
        typer.echo(f"{len(made)} decisions would be stored. Next: the same command without --dry-run.")
        return
    log.append(made)
    typer.echo(f"{len(made)} decisions stored in {log.file}. Take them back: eyeshot decisions undo --policy")


def compare(
    train: Train = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", help="Only these decisions; repeat. Default: all that count.")
    ] = None,
    policy: Annotated[str, typer.Option(help="Only what this policy decided, for instance keep-one.")] = "",
    model: Annotated[str | None, typer.Option(help="Read features of this timm tag. Default: thumbnails.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Local weights of the model.")] = None,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu. Default: found.")] = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    decisions: DecisionsFile = None,
) -> None:
    """Try it: train a head before and after decisions, in the same folds, and say whether they help."""
    from eyeshot.auditing import compare_decisions, read_groups
    from eyeshot.cli.console import progress_shown
    from eyeshot.cli.project_data import find_log, read_decisions, read_train
    from eyeshot.core import find_project, find_workspace
    from eyeshot.data import find_duplicate_groups
    from eyeshot.models import choose_device, image_features, load_backbone, name_reader

    found = read_decisions(find_log(decisions))
    chosen = [one_that_fits(found, start) for start in ids or ()] or list(found.active)
    chosen = [one for one in chosen if one.policy.split(" ")[0] == policy or not policy]
    table = read_train(
        find_project(), train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root
    )
    backbone = None if model is None else load_backbone(model, weights=weights)
    cache = find_workspace().cache
    with progress_shown() as progress:
        near = find_workspace().results("audit") / "audit.json"
        groups, pixels = find_duplicate_groups(
            table, found, cache=cache, more=read_groups(near) if near.is_file() else (),
            progress=progress.sub("decoding"),
        )  # fmt: skip
        table, groups = table.take(pixels.rows), groups[pixels.rows]
        features = image_features(
            table, pixels, backbone, cache=cache, device=str(choose_device(device)[0]),
            progress=progress,
        )  # fmt: skip
        result = compare_decisions(
            table, features, groups, found, [one.id for one in chosen], folds=folds, seed=seed,
            reader=name_reader(backbone), progress=progress.sub("heads"),
        )  # fmt: skip
    typer.echo(result.words())


def one_that_fits(found: Decisions, start: str) -> Decision:
    """The decision whose id begins so.

    Raises:
        InputError: none does, several do, or `start` is too short.
    """
    from eyeshot.core import InputError

    fitting = [one for one in found.stored if one.id.startswith(start)] if len(start) >= SHORTEST_ID else []
    if len(fitting) != 1:
        raise InputError(
            f"An id must begin like exactly one decision ({SHORTEST_ID} characters at least), got {start!r}, which "
            f"fits {len(fitting)}. See `eyeshot decisions list --all`."
        )
    return fitting[0]
