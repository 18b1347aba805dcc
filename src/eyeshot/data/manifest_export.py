"""`export_manifest()`: exports the images that remain after decisions for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eyeshot.core import InputError, Progress, find_project, find_workspace, project_file, shown_progress
from eyeshot.data.decision_edits import bad_lines
from eyeshot.data.decisions import DECISIONS_FILE, DecisionLog, Decisions
from eyeshot.data.export import write_csv, write_links
from eyeshot.data.manifest import Manifest, compute_manifest
from eyeshot.data.project_images import read_labelled
from eyeshot.data.split import SPLIT_FILE, read_split


@dataclass(frozen=True, eq=False)
class ExportedManifest:
    """The result of an export.

    Attributes:
        manifest: the remaining images.
        n_images: number of images before decisions.
        n_decisions: number of active decisions.
        split: the split file whose parts are in the CSV; None without a split.
        linked: "links" or "copies", whichever was made; None if no folder was requested.
        notes: what a person should know, in sentences.
    """

    manifest: Manifest
    n_images: int
    n_decisions: int
    split: Path | None
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
        n_images=len(table),
        n_decisions=len(stored_decisions.active),
        split=None if parts_of is None else divided,
        linked=linked,
        notes=(*bad_lines(stored_decisions), *manifest.notes),
    )
