"""Turns a key press on the review page into decisions about images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from eyeshot.auditing import OF_CLASSES
from eyeshot.core import InputError, Project
from eyeshot.data import REVIEW_OF, Decision, decide
from eyeshot.web.image_index import ImageIndex
from eyeshot.web.queue import Item

Action = Literal["keep", "keep-all", "drop", "drop-all", "keep-one", "relabel", "not-copy", "group"]
ACTIONS: tuple[Action, ...] = get_args(Action)
OF_FINDING = frozenset({"keep-all", "drop-all", "keep-one", "not-copy", "group"})
KINDS: dict[str, Any] = {"keep-all": "keep", "drop-all": "drop"}


@dataclass(frozen=True)
class Press:
    """A key press.

    Attributes:
        id: chosen by the browser window, so that a press that is sent twice is stored once.
        action: the action of the key.
        images: positions of the selected images; for keep-one, the image to keep.
        item: the item on the screen; None on a contact sheet.
        label: the new label of `relabel`; otherwise empty.
    """

    id: str
    action: Action
    images: tuple[int, ...]
    item: Item | None = None
    label: str = ""


def decisions_of(press: Press, index: ImageIndex, project: Project, author: str) -> list[Decision]:
    """Return the decisions that a press makes. Nothing is stored.

    Raises:
        InputError: the project's rules forbid the action, or it does not apply to these images.
    """
    item = press.item
    if press.action in OF_FINDING and item is None:
        raise InputError(f"{press.action} needs a finding, got a contact sheet. Press Escape to return to the finding.")
    if press.action in OF_FINDING and item is not None and item.kind in OF_CLASSES:
        raise InputError(f"{press.action} needs images, got examples of classes. Press c to see all images of a class.")
    positions = list(item.here) if press.action in OF_FINDING and item is not None else list(press.images)
    if not positions:
        raise InputError("A decision needs a readable image, got none: the file is missing, broken or excluded.")
    if press.action == "relabel":
        _check_label(press, positions, index, project)
    training = [row for row in positions if not index.in_test[row]]
    if press.action in ("drop", "drop-all") and not training:
        raise InputError("Only training images can be dropped, got test images. Press k to mark them as reviewed.")
    if press.action in ("not-copy", "group"):
        drafts = _about_all(press, positions, index)
    elif press.action == "keep-one":
        drafts = _keep_one(press, positions, training, index)
    elif press.action == "drop-all" and item is not None and item.kind == "conflict":
        drafts = [("drop-both", training, {})]
    else:
        drafts = _by_label(press, training if press.action in ("drop", "drop-all") else positions, index)
    reason = f"{REVIEW_OF}{item.id}" if item is not None else ""
    return [
        decide(
            KINDS.get(kind, kind),
            tuple(dict.fromkeys(index.contents[row] for row in rows)),
            names=[index.ids[row] for row in rows[:20]],
            reason=reason,
            author=author,
            **fields,
        ).model_copy(update={"id": press.id if not number else f"{press.id}-{number}"})
        for number, (kind, rows, fields) in enumerate(drafts)
    ]


# (kind of decision, positions of its images, its other fields)
Drafts = list[tuple[str, list[int], dict[str, Any]]]


def _by_label(press: Press, positions: Sequence[int], index: ImageIndex) -> Drafts:
    """A decision for each label: identical files may have two labels, and a decision applies to one of them."""
    by_label: dict[str | None, list[int]] = {}
    for row in positions:
        label = index.labels[row]
        if label is None and press.action not in ("keep", "keep-all"):
            _check_alone(row, index)
        by_label.setdefault(label, []).append(row)
    new = {"label": press.label} if press.action == "relabel" else {}
    return [(press.action, rows, {"given": label, **new}) for label, rows in by_label.items()]


def _about_all(press: Press, positions: list[int], index: ImageIndex) -> Drafts:
    """A single decision about all images of a finding."""
    if len({index.contents[row] for row in positions}) < 2:
        raise InputError(f"{press.action} needs images with different bytes, got exact duplicates.")
    return [(press.action, positions, {})]


def _keep_one(press: Press, positions: list[int], training: list[int], index: ImageIndex) -> Drafts:
    if not training:
        raise InputError("keep-one needs a training image, got test images only. Press n to skip the finding.")
    kept_row = press.images[0] if press.images else training[0]
    if kept_row not in positions:
        raise InputError(
            "keep-one must keep an image of the finding, got an image outside it. Choose an image with the arrow keys."
        )
    if index.in_test[kept_row]:  # a test image always stays, so its duplicates in training are dropped
        return _by_label(Press(press.id, "drop", ()), training, index)
    rows = [kept_row, *(row for row in training if row != kept_row)]  # the first name is the file that stays
    return [("keep-one", rows, {"keep": index.contents[kept_row], "label": index.labels[kept_row]})]


def _check_label(press: Press, positions: Sequence[int], index: ImageIndex, project: Project) -> None:
    if not press.label.strip():
        raise InputError("relabel needs a label, got none. Type a label and press Enter.")
    if any(index.in_test[row] for row in positions):
        project.check_use("hand-labels", "A label for test images")


def _check_alone(row: int, index: ImageIndex) -> None:
    """A decision applies to content: a decision about an unlabelled file must not change an identical labelled file."""
    equal_rows = index.rows_of[index.contents[row]]
    labelled = next((equal_row for equal_row in equal_rows if index.labels[equal_row] is not None), None)
    if labelled is not None:
        raise InputError(
            f"This decision would also change the training image {index.ids[labelled]!r}, which is the same file, byte "
            "for byte. Choose that image instead."
        )
