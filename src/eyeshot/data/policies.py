"""Policies: rules, defined as data, that make many decisions at once, with a guard for small classes."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from eyeshot.core import InputError
from eyeshot.data.decisions import Decision, Decisions, Kind, decide
from eyeshot.data.decoding import has_common_name, open_image, orientation

if TYPE_CHECKING:  # the command line looks up policies before polars is loaded
    import numpy as np
    from numpy.typing import NDArray

    from eyeshot.data.manifest import Manifest


@dataclass(frozen=True)
class Policy:
    """What to do with every duplicate group of one type.

    Attributes:
        name: name on the command line.
        kind: kind of the decisions that it makes.
        groups: the duplicate groups that it applies to: by the number of their labels, or with test images.
        description: one sentence for help texts.
    """

    name: str
    kind: Kind
    groups: Literal["one label", "several labels", "with test images", "any"]
    description: str


POLICIES = (
    Policy(
        "keep-one",
        "keep-one",
        "one label",
        "of duplicates under one label the best stays: a file that common readers open, with the most pixels, not "
        "turned by EXIF, with the most bytes",
    ),
    Policy(
        "drop-leaks",
        "drop",
        "with test images",
        "training images that duplicate a test image are left out, because the test score would be too good; test "
        "images stay",
    ),
    Policy(
        "drop-both",
        "drop-both",
        "several labels",
        "duplicates under several labels are dropped, because no label is certain",
    ),
    Policy("group", "group", "any", "duplicates stay, and stay together in every split"),
)
# Formats that OpenCV, torchvision and TensorFlow read; MPO is JPEG with further pictures behind the first.
COMMON_FORMATS = frozenset({"JPEG", "MPO", "PNG", "BMP", "PPM", "TIFF", "WEBP"})
PLAIN_MODES = frozenset({"RGB", "L"})
MODES = {
    "P": "has a palette", "PA": "has a palette", "CMYK": "is CMYK", "1": "is black and white", "LA": "is transparent",
    "RGBA": "is transparent", "La": "is transparent", "RGBa": "is transparent",
}  # fmt: skip


@dataclass(frozen=True)
class Stopped:
    """A group that a policy did not touch, because a class would have become too small.

    Attributes:
        names: ids of its images.
        label: the class.
        left: number of images that the class would have kept.
    """

    names: tuple[str, ...]
    label: str
    left: int


def find_policy(name: str) -> Policy:
    """A policy by its name.

    Raises:
        InputError: there is no such policy.
    """
    for policy in POLICIES:
        if policy.name == name:
            return policy
    names = ", ".join(policy.name for policy in POLICIES)
    raise InputError(f"--policy must be one of {names}, got {name!r}.")


def decide_by_policy(
    policy: Policy,
    manifest: Manifest,
    groups: NDArray[np.int64],
    *,
    min_per_class: int,
    known: Decisions | None = None,
    author: str | None = None,
    leaks: Mapping[str, str] | None = None,
) -> tuple[list[Decision], list[Stopped]]:
    """The decisions of a policy, each with its reason; nothing is stored.

    Images that a person looked at and kept stay.

    Args:
        manifest: the images after earlier decisions, so that applying a policy twice decides nothing new.
        groups: int64 (N,), equal for duplicates among the images of the manifest.
        known: existing decisions, which are not made again.
        min_per_class: the policy leaves every class at least this many images; a smaller class loses none.
        leaks: for a policy about groups with test images: content keys of training images that duplicate a test image,
            and the id of the test image.

    Returns:
        decisions, and the groups that `min_per_class` stopped, both in an order that depends on content only.

    Raises:
        InputError: `min_per_class` is below 1.
    """
    if min_per_class < 1:
        raise InputError(f"--min-per-class must be at least 1, got {min_per_class}.")
    table = manifest.table
    frame, contents, ids = table.frame, table.contents, table.ids
    labels: list[str | None] = frame["label"].to_list()
    counts = Counter(label for label in labels if label is not None)
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups.tolist()):
        members[group].append(row)
    leaks = leaks or {}
    active = known.active if known is not None else ()
    already = {(decision.kind, frozenset(decision.images)) for decision in active}
    kept = {content for decision in active if decision.kind == "keep" for content in decision.images}
    decisions, stopped = [], []
    command = f"{policy.name} --min-per-class {min_per_class}"
    for rows in sorted(members.values(), key=lambda rows: min(contents[row] for row in rows)):
        group_labels = {labels[row] for row in rows}
        if policy.groups == "with test images":
            rows = [row for row in rows if contents[row] in leaks]
        elif (
            len(rows) < 2
            or (policy.groups == "one label" and len(group_labels) > 1)
            or (policy.groups == "several labels" and len(group_labels) == 1)
        ):
            continue
        worth = {row: _worth(manifest, row) for row in rows} if policy.kind == "keep-one" else {}
        rows = sorted(rows, key=lambda row: worth.get(row, ids[row]))
        lost = [] if policy.kind == "group" else [row for row in rows if contents[row] not in kept]
        best = None
        if policy.kind == "keep-one":
            best = next((row for row in rows if contents[row] in kept), rows[0])
            lost = [row for row in lost if row != best]
            rows = [best, *lost]
        elif policy.kind != "group":
            rows = lost
        if policy.kind != "group" and not lost:
            continue
        lost_of_class = Counter(label for label in (labels[row] for row in lost) if label is not None)
        too_small = [
            name for name, count in lost_of_class.items() if name is not None and counts[name] - count < min_per_class
        ]
        names = tuple(ids[row] for row in rows)
        if too_small:
            stopped += [Stopped(names, name, counts[name] - lost_of_class[name]) for name in sorted(too_small)]
            continue
        images = tuple(dict.fromkeys(contents[row] for row in rows))
        if policy.kind == "group" and (len(images) < 2 or (policy.kind, frozenset(images)) in already):
            continue  # identical files always stay together
        counts.subtract(lost_of_class)
        if policy.groups == "with test images":
            decisions += _about_leaks(manifest, rows, leaks, policy=command, author=author)
            continue
        if best is not None:
            reason = "kept in the review" if contents[best] in kept else _why(manifest, worth, best, lost[0])
        elif policy.kind == "drop-both":
            reason = f"one picture under {len(group_labels)} labels, and which is right is unknown"
        else:
            reason = "on one side of every split"
        keep = None if best is None else contents[best]
        decisions.append(
            decide(policy.kind, images, keep=keep, names=names, policy=command, author=author, reason=reason)
        )
    return decisions, stopped


def _about_leaks(
    manifest: Manifest, rows: list[int], leaks: Mapping[str, str], *, policy: str, author: str | None
) -> list[Decision]:
    """A decision for each label in the files: it names the label, so that an identical test image stays."""
    table, by_label = manifest.table, defaultdict[str | None, list[int]](list)
    for row in rows:
        by_label[manifest.given[row]].append(row)
    return [
        decide(
            "drop",
            tuple(dict.fromkeys(table.contents[row] for row in own)),
            given=label,
            names=tuple(table.ids[row] for row in own),
            policy=policy,
            author=author,
            reason=f"duplicate of test image {leaks[table.contents[own[0]]]}, which stays",
        )
        for label, own in sorted(by_label.items(), key=lambda item: item[0] or "")
    ]


def _worth(manifest: Manifest, row: int) -> tuple[int, int, bool, int, str]:
    """Sort key of an image among its duplicates, the best first: problems, pixels, turned by EXIF, bytes, id."""
    table = manifest.table
    width, height, size, mode = table.frame.select("width", "height", "bytes", "mode").row(row)
    problems, turned = _traits(table.paths[row], table.ids[row], mode)
    return len(problems), -width * height, turned, -size, table.ids[row]


def _traits(path: str, name: str, mode: str) -> tuple[tuple[str, ...], bool]:
    """Why common readers may not open a file or show it otherwise, and whether EXIF turns it."""
    problems = []
    if not has_common_name(name):
        problems.append(f"is named {os.path.splitext(name)[1] or 'without an ending'}")
    if mode not in PLAIN_MODES:
        problems.append(MODES.get(mode, f"has the colour mode {mode}"))
    try:
        with open(path, "rb") as file:
            image = open_image(file)
            if image.format not in COMMON_FORMATS:
                problems.append(f"is {image.format}")
            if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
                problems.append("holds several pictures")
            return tuple(problems), orientation(image) != 1
    except Exception:  # Pillow raises errors of any class on damaged files; it is judged by its name and mode
        return tuple(problems), False


def _why(manifest: Manifest, worth: Mapping[int, tuple[int, int, bool, int, str]], best: int, next_best: int) -> str:
    """Why an image stays rather than the next best of its duplicates."""
    table, name = manifest.table, manifest.table.ids[next_best]
    if worth[best][0] != worth[next_best][0]:
        problems, _ = _traits(table.paths[next_best], name, table.frame["mode"][next_best])
        return f"{name} {' and '.join(problems)}"
    if worth[best][1] != worth[next_best][1]:
        sizes = [f"{table.frame['width'][row]} × {table.frame['height'][row]}" for row in (best, next_best)]
        return f"{sizes[0]} pixels against {sizes[1]} of {name}"
    if worth[best][2] != worth[next_best][2]:
        return f"upright, and {name} is turned by EXIF"
    if worth[best][3] != worth[next_best][3]:
        sizes = [f"{table.frame['bytes'][row]:,}" for row in (best, next_best)]
        return f"as many pixels, and {sizes[0]} bytes against {sizes[1]} of {name}"
    same = table.contents[best] == table.contents[next_best]
    return f"{'identical to' if same else 'as good as'} {name}; the first by name stays"


def count_open(manifest: Manifest, groups: NDArray[np.int64], known: Decisions) -> dict[str, int]:
    """The duplicate groups that are still to be decided, counted by the policy that settles them.

    Args:
        manifest: the images after decisions.
        groups: int64 (N,), equal for duplicates among the images of the manifest.
        known: the decisions. A group that is kept together, or whose images somebody kept, is settled.

    Returns:
        counts under "drop-both" (several labels) and "keep-one" (one label); without those that are zero.
    """
    contents = manifest.table.contents
    labels = manifest.table.frame["label"].to_list()
    together = [frozenset(decision.images) for decision in known.active if decision.kind == "group"]
    kept = {content for decision in known.active if decision.kind == "keep" for content in decision.images}
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups.tolist()):
        members[group].append(row)
    counts: Counter[str] = Counter()
    for rows in members.values():
        images = {contents[row] for row in rows}
        if len(rows) < 2 or images <= kept or any(images <= whole for whole in together):
            continue
        counts["drop-both" if len({labels[row] for row in rows}) > 1 else "keep-one"] += 1
    return {policy.name: counts[policy.name] for policy in POLICIES[::-1] if counts[policy.name]}
