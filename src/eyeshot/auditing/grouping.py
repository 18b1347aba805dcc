"""Copy groups: all members are copies of one picture, the medoid, so that chains of look-alikes do not fuse."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_FOR_DIAMETER = 40


@dataclass(frozen=True)
class Group:
    """Pictures that are copies.

    Attributes:
        members: positions, the medoid first.
        orientations: what turns each member into the medoid.
        scores: of each member against the medoid; 1 of the medoid itself.
    """

    members: list[int]
    orientations: list[int]
    scores: list[float]


def inverse(orientation: int) -> int:
    """The orientation that takes back another: mirrored ones take back themselves."""
    return orientation if orientation >= 4 else (-orientation) % 4


def combined(first: int, then: int) -> int:
    """The orientation that equals two, one after the other; each mirrors first and then turns by quarters."""
    mirrored = (first >= 4) != (then >= 4)
    turns = (then % 4) + ((-1 if then >= 4 else 1) * (first % 4))
    return (4 if mirrored else 0) + turns % 4


def make_groups(
    first: NDArray[np.int64], second: NDArray[np.int64], orientation: NDArray[np.int64], scores: NDArray[np.float32]
) -> list[Group]:
    """Groups of pictures, largest sum of scores first; every member has a pair with its medoid.

    Args:
        first, second: int64 (m,), pairs of copies.
        orientation: int64 (m,), what turns the second one into the first.
        scores: float32 (m,)
    """
    near: defaultdict[int, dict[int, tuple[float, int]]] = defaultdict(dict)
    for one, two, turn, score in zip(
        first.tolist(), second.tolist(), orientation.tolist(), scores.tolist(), strict=True
    ):
        near[one][two] = (score, turn)
        near[two][one] = (score, inverse(turn))
    # The picture with the most copies first; ties by score, then by position, so that the order of pairs is no matter.
    order = sorted(near, key=lambda node: (-len(near[node]), -sum(s for s, _ in near[node].values()), node))
    taken: set[int] = set()
    groups = []
    for node in order:
        if node in taken:
            continue
        others = sorted(other for other in near[node] if other not in taken)
        if not others:
            continue
        taken |= {node, *others}
        groups.append(
            Group(
                [node, *others],
                [0, *(near[node][other][1] for other in others)],
                [1.0, *(near[node][other][0] for other in others)],
            )
        )
    return groups


def pairs_within(group: Group) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of members but those with the medoid, and what turns the second into the first; for the diameter."""
    some = range(1, min(len(group.members), MOST_FOR_DIAMETER))
    pairs = [(a, b) for a in some for b in some if a < b]
    turns = [combined(group.orientations[b], inverse(group.orientations[a])) for a, b in pairs]
    first = [group.members[a] for a, _ in pairs]
    second = [group.members[b] for _, b in pairs]
    return tuple(np.array(values, np.int64) for values in (first, second, turns))  # type: ignore[return-value]
