"""What a key press means: the decisions that it makes about images of the table."""

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
    """One key press.

    Attributes:
        id: chosen by the window, so that a press that is sent twice is stored once.
        action: what was pressed.
        images: positions of the images that it is about; of keep-one the image that stays.
        item: the item on the screen; None on a contact sheet.
        label: the new label.
    """

    id: str
    action: Action
    images: tuple[int, ...]
    item: Item | None = None
    label: str = ""


def decisions_of(press: Press, index: ImageIndex, project: Project, author: str) -> list[Decision]:
    """The decisions that a press makes; nothing is stored.

    Raises:
        InputError: the rules of the project forbid it, or it makes no sense for these images.
    """
    item = press.item
    if press.action in OF_FINDING and item is None:
        raise InputError(f"{press.action} is about a finding, got none. Go back from the contact sheet: Escape.")
    if press.action in OF_FINDING and item is not None and item.kind in OF_CLASSES:
        raise InputError(f"{press.action} is about images, got examples of classes. Press c for all images of a class.")
    positions = list(item.here) if press.action in OF_FINDING and item is not None else list(press.images)
    if not positions:
        raise InputError("A decision needs an image that can be read, got none: its file is gone, broken or left out.")
    if press.action == "relabel":
        _check_label(press, positions, index, project)
    training = [row for row in positions if not index.in_test[row]]
    if press.action in ("drop", "drop-all") and not training:
        raise InputError("Test images are in no training set to be dropped from. k says that you looked at it.")
    if press.action in ("not-copy", "group"):
        made = _together(press, positions, index)
    elif press.action == "keep-one":
        made = _one_kept(press, positions, training, index)
    elif press.action == "drop-all" and item is not None and item.kind == "conflict":
        made = [("drop-both", training, {})]
    else:
        made = _by_label(press, training if press.action in ("drop", "drop-all") else positions, index)
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
        for number, (kind, rows, fields) in enumerate(made)
    ]


Made = list[tuple[str, list[int], dict[str, Any]]]


def _by_label(press: Press, positions: Sequence[int], index: ImageIndex) -> Made:
    """One decision for each label: equal bytes may lie under two, and only these files are meant."""
    by_label: dict[str | None, list[int]] = {}
    for row in positions:
        label = index.labels[row]
        if label is None and press.action not in ("keep", "keep-all"):
            _check_alone(row, index)
        by_label.setdefault(label, []).append(row)
    new = {"label": press.label} if press.action == "relabel" else {}
    return [(press.action, rows, {"given": label, **new}) for label, rows in by_label.items()]


def _together(press: Press, positions: list[int], index: ImageIndex) -> Made:
    """One decision about all images of a finding."""
    if len({index.contents[row] for row in positions}) < 2:
        raise InputError(f"{press.action} needs images with different bytes, got exact duplicates.")
    return [(press.action, positions, {})]


def _one_kept(press: Press, positions: list[int], training: list[int], index: ImageIndex) -> Made:
    if not training:
        raise InputError("keep-one is about training images, got test images alone. Skip it: n.")
    kept = press.images[0] if press.images else training[0]
    if kept not in positions:
        raise InputError("keep-one keeps an image of the finding, got another one. Choose one with the arrows.")
    if index.in_test[kept]:  # the duplicate in the test set stays anyway: those in training go
        return _by_label(Press(press.id, "drop", ()), training, index)
    return [("keep-one", training, {"keep": index.contents[kept], "label": index.labels[kept]})]


def _check_label(press: Press, positions: Sequence[int], index: ImageIndex, project: Project) -> None:
    if not press.label.strip():
        raise InputError("relabel needs a label, got none. Type one and press Enter.")
    if any(index.in_test[row] for row in positions):
        project.check_use("hand-labels", "A label for test images")


def _check_alone(row: int, index: ImageIndex) -> None:
    """Decisions go by content: one about an unlabelled file must not change an equal file that has a label."""
    labelled = next((other for other in index.rows_of[index.contents[row]] if index.labels[other] is not None), None)
    if labelled is not None:
        raise InputError(
            f"This decision would change {index.ids[labelled]!r} of training too, which is the same file, byte for "
            "byte. Choose that image instead."
        )
