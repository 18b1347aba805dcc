"""`export_manifest()`: exports the images that remain after decisions for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eyeshot.core import InputError, Progress, find_project, find_workspace, plural, project_file, shown_progress
from eyeshot.data.decision_edits import bad_lines
from eyeshot.data.decisions import DECISIONS_FILE, DecisionLog, Decisions
from eyeshot.data.duplicates import load_small
from eyeshot.data.export import write_csv, write_links
from eyeshot.data.listing import Skipped, say_reasons
from eyeshot.data.manifest import Manifest, compute_manifest
from eyeshot.data.project_images import read_labelled
from eyeshot.data.split import SPLIT_FILE, read_split


@dataclass(frozen=True, eq=False)
class ExportedManifest:
    """The result of an export.

    Attributes:
        manifest: the remaining images.
        n_images: number of images before decisions, those that cannot be decoded included.
        n_decisions: number of active decisions.
        split: the split file whose parts are in the CSV; None without a split.
        unusable: files that are left out because they cannot be used, with reasons.
        linked: "links" or "copies", whichever was made; None if no folder was requested.
        notes: what a person should know, in sentences.
    """

    manifest: Manifest
    n_images: int
    n_decisions: int
    split: Path | None
    unusable: tuple[Skipped, ...]
    linked: str | None
    notes: tuple[str, ...]


def export_manifest(
    train: str | Path | None = None,
    *,
    csv: str | Path | None = None,
    links: str | Path | None = None,
    copies: bool = False,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    decisions: bool | str | Path = True,
    split: bool | str | Path = True,
    progress: Progress | bool | None = None,
) -> ExportedManifest:
    """Export the cleaned images for another program: a CSV file, a folder of links or file copies, or both.

    Every image is decoded once, because files that cannot be decoded would end the other program; they are left out.

    Args:
        train: folder of images; None: the folder in eyeshot.toml.
        csv: file to write: path, label, id, label in the files, content and, with a split, the part.
        links: new or empty folder that gets one folder of links per class; originals stay in place.
        copies: copy the files instead of linking.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        decisions: True: apply the project's decisions.jsonl if it exists; or the file to apply.
        split: True: write the parts of the project's split.json if it exists; or the file to use.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Raises:
        InputError: there is nothing to write, or a folder or file cannot be used.
        StorageError: the disk is full, or a file cannot be written.
    """
    if csv is None and links is None:
        raise InputError("Nothing to write: give --csv FILE, --links DIR or both.")
    if copies and links is None:
        raise InputError("--copies needs --links DIR, got no --links. Add it.")
    sources = find_project().sources(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root
    )
    log, divided = project_file(decisions, DECISIONS_FILE), project_file(split, SPLIT_FILE)
    parts_of = None if divided is None or csv is None else read_split(divided)
    with shown_progress(progress) as report_progress:
        table = read_labelled(sources, cache=find_workspace().cache, progress=report_progress, flat_too=True)
        pixels = load_small(table, cache=find_workspace().cache, progress=report_progress.sub("decoding images"))
        unusable = (*table.skipped, *pixels.skipped)
        n_images, table = len(table), table.take(pixels.rows)
        if not len(table):
            raise InputError(
                f"The cleaned set needs images that can be decoded, and of the {n_images} below "
                f"{str(sources['train'])!r} none can: {say_reasons(unusable)}. See eyeshot audit."
            )
        stored_decisions = Decisions() if log is None else DecisionLog(log).read()
        manifest = compute_manifest(table, stored_decisions)
        if csv is not None:
            parts = None
            if parts_of is not None:
                parts = [None if part is None else str(part) for part in parts_of.of(manifest.table)]
            write_csv(manifest, Path(csv), parts=parts)
        linked = None
        if links is not None:
            report_progress(0, 0, "linking files")
            linked = write_links(manifest, Path(links), sources=(sources["train"],), copies=copies)
    return ExportedManifest(
        manifest=manifest,
        n_images=n_images,
        n_decisions=len(stored_decisions.active),
        split=None if parts_of is None else divided,
        unusable=unusable,
        linked=linked,
        notes=(*_say_unusable(unusable), *bad_lines(stored_decisions), *manifest.notes),
    )


def _say_unusable(unusable: Sequence[Skipped]) -> list[str]:
    if not unusable:
        return []
    count = len(unusable)
    return [
        f"{count} {plural(count, 'file', 'files')} cannot be used and {plural(count, 'is', 'are')} left out: "
        f"{say_reasons(unusable)}."
    ]
