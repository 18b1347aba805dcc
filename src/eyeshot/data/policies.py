"""Policies: rules, defined as data, that make many decisions at once, with a guard for small classes."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from eyeshot.core import InputError
from eyeshot.data.decisions import Decision, Decisions, Kind, decide

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
        groups: the duplicate groups that it applies to, by the number of their labels.
        description: one sentence for help texts.
    """

    name: str
    kind: Kind
    groups: Literal["one label", "several labels", "any"]
    description: str


POLICIES = (
    Policy(
        "keep-one", "keep-one", "one label", "of duplicates under one label, the largest stays (pixels, then bytes)"
    ),
    Policy(
        "drop-both",
        "drop-both",
        "several labels",
        "duplicates under several labels are dropped, because no label is certain",
    ),
    Policy("group", "group", "any", "duplicates stay, and stay together in every split"),
)


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
) -> tuple[list[Decision], list[Stopped]]:
    """The decisions of a policy; nothing is stored.

    Args:
        manifest: the images after earlier decisions, so that applying a policy twice decides nothing new.
        groups: int64 (N,), equal for duplicates among the images of the manifest.
        known: existing decisions, which are not made again.
        min_per_class: the policy leaves every class at least this many images; a smaller class loses none.

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
    pixels = (frame["width"] * frame["height"]).to_list()
    sizes = frame["bytes"].to_list()
    counts = Counter(label for label in labels if label is not None)
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups.tolist()):
        members[group].append(row)
    several = [rows for rows in members.values() if len(rows) > 1]
    active = known.active if known is not None else ()
    already = {(decision.kind, frozenset(decision.images)) for decision in active}
    decisions, stopped = [], []
    command = f"{policy.name} --min-per-class {min_per_class}"
    for rows in sorted(several, key=lambda rows: min(contents[row] for row in rows)):
        group_labels = {labels[row] for row in rows}
        if (policy.groups == "one label" and len(group_labels) > 1) or (
            policy.groups == "several labels" and len(group_labels) == 1
        ):
            continue
        rows = sorted(rows, key=lambda row: (-pixels[row], -sizes[row], contents[row], ids[row]))
        lost = {"keep-one": rows[1:], "drop-both": rows}.get(policy.kind, [])
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
        keep = images[0] if policy.kind == "keep-one" else None
        decisions.append(decide(policy.kind, images, keep=keep, names=names, policy=command, author=author))
        counts.subtract(lost_of_class)
    return decisions, stopped


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
