"""The manifest: the image table after decisions. It is computed each time; no file of the user is touched."""

from __future__ import annotations

import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from eyeshot.auditing.decision import Decision, Decisions
from eyeshot.images import ImageTable


@dataclass(frozen=True, eq=False)
class Manifest:
    """What is left of an image table, under which labels.

    Attributes:
        table: the images that stay, sorted by id, with their labels after decisions.
        given: the label that each of these has in the files; None where it has none.
        left_out: the images that decisions leave out, as they lie in the files.
        decided: id of the decision that left each of these out.
        gone: active decisions of whose images none is in the table.
        notes: what a person should know, in sentences.
    """

    table: ImageTable
    given: tuple[str | None, ...]
    left_out: pl.DataFrame
    decided: tuple[str, ...]
    gone: tuple[Decision, ...]
    notes: tuple[str, ...]

    @property
    def relabelled(self) -> int:
        """How many of the images that stay have another label than in the files."""
        return sum(now != given for now, given in zip(self.table.frame["label"], self.given, strict=True))


def compute_manifest(table: ImageTable, decisions: Decisions) -> Manifest:
    """Apply the decisions that count to an image table.

    They take effect in the order of their times. The last one about an image decides whether it stays and which
    label it has; merged classes are merged in the end, so that a label given later goes along.

    Args:
        table: all usable images, labelled or not.
        decisions: of `Journal.read`; those about images that are not in the table change nothing.
    """
    given: list[str | None] = table.frame["label"].to_list()
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, content in enumerate(table.contents):
        rows_of[content].append(row)
    labels = list(given)
    out: dict[int, str] = {}
    gone = []
    for one in decisions.active:
        if not one.images:
            continue
        rows = [row for content in dict.fromkeys(one.images) for row in rows_of.get(content, ())]
        if one.given is not None:
            rows = [row for row in rows if given[row] == one.given]
        if not rows:
            gone.append(one)
        elif one.kind in ("drop", "drop-both"):
            out.update(dict.fromkeys(rows, one.id))
        elif one.kind == "keep":
            for row in rows:
                out.pop(row, None)
        elif one.kind == "keep-one":
            kept = _kept_row(one, rows, rows_of, given)
            out.update({row: one.id for row in rows if row != kept})
            out.pop(kept, None)
        elif one.kind == "relabel":
            for row in rows:
                labels[row] = one.label
    for one in decisions.active:
        if one.kind == "merge-classes":
            labels = [one.label if label in one.classes else label for label in labels]
    stay = [row for row in range(len(table)) if row not in out]
    leave = sorted(out)
    frame = table.frame.with_columns(pl.Series("label", labels, dtype=pl.String))[stay]
    classes = tuple(sorted(set(frame["label"].drop_nulls())))
    left = ImageTable(frame, classes, table.skipped, table.notes)
    return Manifest(
        table=left,
        given=tuple(given[row] for row in stay),
        left_out=table.frame[leave],
        decided=tuple(out[row] for row in leave),
        gone=tuple(gone),
        notes=tuple(_notes(table, left, gone, decisions)),
    )


def _kept_row(one: Decision, rows: list[int], rows_of: dict[str, list[int]], given: Sequence[str | None]) -> int:
    """The file that a keep-one keeps; where it is gone the next of its images, so that no picture is lost."""
    there = set(rows)
    for content in (one.keep or "", *one.images):
        files = [row for row in rows_of.get(content, ()) if row in there]
        if files:
            return min(files, key=lambda row: (one.label is not None and given[row] != one.label, row))
    raise ValueError("a decision without rows")


def _notes(table: ImageTable, left: ImageTable, gone: Sequence[Decision], decisions: Decisions) -> list[str]:
    notes = []
    if gone:
        notes.append(
            f"{len(gone)} of {len(decisions.active)} decisions are about images that are not here (moved away or "
            "changed); they are kept and count again when the images are back."
        )
    empty = [name for name in table.classes if name not in left.classes]
    if empty and left.classes:
        names = ", ".join(map(repr, empty[:5])) + (", …" if len(empty) > 5 else "")
        notes.append(f"Classes without an image after decisions: {names}.")
    for alike in similar_classes(left.classes):
        options = " ".join(f"--class {shlex.quote(name)}" for name in alike)
        notes.append(
            f"Classes {', '.join(map(repr, alike))} differ only by case or Unicode form. If they are one: "
            f"eyeshot decisions add merge-classes {options} --label {shlex.quote(alike[0])}"
        )
    return notes


def similar_classes(classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of class names that differ only by case, Unicode form or spaces around them."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()].append(name)
    return [tuple(sorted(names)) for names in alike.values() if len(names) > 1]
