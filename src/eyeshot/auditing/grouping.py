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
    """Groups of pictures, by position; every member has a pair with its medoid.

    The best pairs go first, and a pair joins two groups only where one picture is a copy of all others: so two
    drawings that share a watermark are not drawn together by it when their originals are there.

    Args:
        first, second: int64 (m,), pairs of copies.
        orientation: int64 (m,), what turns the second one into the first.
        scores: float32 (m,)
    """
    near: defaultdict[int, dict[int, tuple[float, int]]] = defaultdict(dict)
    pairs = list(zip(first.tolist(), second.tolist(), orientation.tolist(), scores.tolist(), strict=True))
    for one, two, turn, score in pairs:
        near[one][two] = (score, turn)
        near[two][one] = (score, inverse(turn))
    members: dict[int, set[int]] = {node: {node} for node in near}  # by medoid
    medoid_of = {node: node for node in near}
    for one, two, _, _ in sorted(pairs, key=lambda pair: (-pair[3], pair[0], pair[1])):
        this, other = medoid_of[one], medoid_of[two]
        if this == other:
            continue
        joined = members[this] | members[other]
        # The medoids so far first: a thousand copies of one picture are then no million questions.
        for medoid in dict.fromkeys((this, other, *sorted(joined))):
            if all(member == medoid or member in near[medoid] for member in joined):
                del members[this], members[other]
                members[medoid] = joined
                medoid_of.update(dict.fromkeys(joined, medoid))
                break
    return [_group(joined, near) for joined in sorted(members.values(), key=min) if len(joined) > 1]


def _group(members: set[int], near: dict[int, dict[int, tuple[float, int]]]) -> Group:
    """The group with the member as medoid that is most like all others."""
    able = [node for node in sorted(members) if members <= near[node].keys() | {node}]
    medoid = max(able, key=lambda node: sum(near[node][other][0] for other in members if other != node))
    others = sorted(members - {medoid})
    return Group(
        [medoid, *others],
        [0, *(near[medoid][other][1] for other in others)],
        [1.0, *(near[medoid][other][0] for other in others)],
    )


def pairs_within(group: Group) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of members but those with the medoid, and what turns the second into the first; for the diameter."""
    some = range(1, min(len(group.members), MOST_FOR_DIAMETER))
    pairs = [(a, b) for a in some for b in some if a < b]
    turns = [combined(group.orientations[b], inverse(group.orientations[a])) for a, b in pairs]
    first = [group.members[a] for a, _ in pairs]
    second = [group.members[b] for _, b in pairs]
    return tuple(np.array(values, np.int64) for values in (first, second, turns))  # type: ignore[return-value]
