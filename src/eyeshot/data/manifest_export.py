"""`export_manifest()`: the images that are left after decisions, for any other program."""

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
    """What was exported.

    Attributes:
        manifest: the images that stay.
        n_images: how many there were before decisions.
        n_decisions: how many decisions count.
        split: the file whose parts stand in the CSV; None where there is none.
        linked: "links" or "copies", as was made; None where no folder was asked for.
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
    """Give the cleaned set to another program: a CSV file, a folder of links or copies, or both.

    Args:
        train: folder of images; None: what eyeshot.toml says.
        csv: file to write: path, label, id, label in the files, content and, where there is a split, the part.
        links: new or empty folder that gets one folder of links per class; originals stay.
        copies: copy the files there instead.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read it; guessed where not given.
        decisions: apply the project's decisions.jsonl where there is one, or those of a file.
        split: write the parts of the project's split.json where there is one, or those of a file.
        progress: told how far it is; None: shown in a terminal and a notebook; False: nobody.

    Raises:
        InputError: nothing to write, or a folder or file that cannot be used.
        StorageError: the disk is full, or a place cannot be written.
    """
    if csv is None and links is None:
        raise InputError("Nothing to write: give --csv FILE, --links DIR or both.")
    if copies and links is None:
        raise InputError("--copies says how --links DIR is made: give that too.")
    sources = find_project().sources(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root
    )
    log, divided = project_file(decisions, DECISIONS_FILE), project_file(split, SPLIT_FILE)
    parts_of = None if divided is None or csv is None else read_split(divided)
    with shown_progress(progress) as shown:
        table = read_labelled(sources, cache=find_workspace().cache, progress=shown, flat_too=True)
        known = Decisions() if log is None else DecisionLog(log).read()
        manifest = compute_manifest(table, known)
        if csv is not None:
            parts = None
            if parts_of is not None:
                parts = [None if part is None else str(part) for part in parts_of.of(manifest.table)]
            write_csv(manifest, Path(csv), parts=parts)
        made = None
        if links is not None:
            shown(0, 0, "linking files")
            made = write_links(manifest, Path(links), sources=(sources["train"],), copies=copies)
    return ExportedManifest(
        manifest=manifest,
        n_images=len(table),
        n_decisions=len(known.active),
        split=None if parts_of is None else divided,
        linked=made,
        notes=(*bad_lines(known), *manifest.notes),
    )
