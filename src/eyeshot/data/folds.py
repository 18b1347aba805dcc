"""Divide images into folds: every class evenly, copy groups whole, by the hash of their content."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError
from eyeshot.data.duplicates import copy_groups
from eyeshot.data.holdout import content_hashes
from eyeshot.data.table import ImageTable

Rows = NDArray[np.int64]
ALWAYS_TRAIN = -1


def make_folds(
    table: ImageTable,
    groups: Rows | None = None,
    *,
    folds: int,
    seed: int,
    small: bool = False,
) -> Rows:
    """The fold of every image. Without copies each class differs by at most one image between two folds.

    The largest copy groups are placed first, in the order of the hash of (seed, content), each into the fold that has
    the fewest images of its classes. Names and order of the files do not matter.

    Args:
        table: N images.
        groups: int64 (N,), the copy group of each image, of `copy_groups`; None: equal bytes only.
        folds: how many, at least 2.
        seed: another seed, other folds.
        small: classes with fewer groups than folds are allowed; their images train in every fold, and validate
            in none.

    Returns:
        int64 (N,), 0 to folds - 1; -1 for images that always train.

    Raises:
        InputError: fewer than 2 folds, classes with fewer copy groups than folds, or copies under several labels
            that tie a whole class into one fold.
    """
    if folds < 2:
        raise InputError(f"--folds must be at least 2, got {folds}.")
    groups = copy_groups(table) if groups is None else groups
    labels = table.labels.tolist()
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups.tolist()):
        members[group].append(row)
    groups_of: dict[int, set[int]] = defaultdict(set)
    for group, rows in members.items():
        for row in rows:
            groups_of[labels[row]].add(group)
    few = {label for label, own in groups_of.items() if len(own) < folds}
    if few and not small:
        raise InputError(_too_few(table, groups_of, folds))
    order = content_hashes(table.contents, seed)
    first = {group: min(order[row] for row in rows) for group, rows in members.items()}
    result = np.full(len(table), ALWAYS_TRAIN, dtype=np.int64)
    size_of = Counter(labels)
    held: list[Counter[int]] = [Counter() for _ in range(folds)]
    total = [0] * folds
    # Class by class: what does not divide evenly then goes to the folds that are smallest so far.
    label_of = {group: min(labels[row] for row in rows) for group, rows in members.items()}
    for group in sorted(members, key=lambda group: (-len(members[group]), label_of[group], first[group])):
        rows = members[group]
        counts = Counter(labels[row] for row in rows)
        if few & counts.keys():
            continue

        def load(fold: int, counts: Counter[int] = counts) -> tuple[float, int, int]:
            # In shares of each class: where a group has two, the rare one decides.
            own = sum(held[fold][label] / size_of[label] for label in sorted(counts))
            return own, total[fold], fold

        fold = min(range(folds), key=load)
        result[rows] = fold
        held[fold].update(counts)
        total[fold] += len(rows)
    for fold, counts in enumerate(held):
        for label, count in counts.items():
            if count == size_of[label] and label not in few:
                raise InputError(
                    f"Each fold must leave every class in training, but copies under several labels tie all {count} "
                    f"images of {table.classes[label]!r} into fold {fold}. Try another --seed, or drop those copies: "
                    "eyeshot decisions apply --policy drop-both."
                )
    return result


def _too_few(table: ImageTable, groups_of: dict[int, set[int]], folds: int) -> str:
    labels = Counter(table.labels.tolist())
    few = sorted((len(own), label) for label, own in groups_of.items() if len(own) < folds)
    listed = ", ".join(
        f"{table.classes[label]!r} has {count} ({labels[label]} images)" if label >= 0 else f"without label {count}"
        for count, label in few[:5]
    )
    most = few[0][0]
    ways = [f"--folds {most}"] if most >= 2 else []
    ways.append("--small-classes train, which keeps such classes in training in every fold")
    return (
        f"{folds} folds need at least {folds} images of every class that are no copies of each other; "
        f"{len(few)} of {len(groups_of)} classes have fewer: {listed}{', …' if len(few) > 5 else ''}. "
        f"Use {' or '.join(ways)}."
    )
