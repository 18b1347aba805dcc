"""Holds out images, divides them into folds, and stores the split in a file that a team can share.

Splits depend on content hashes and duplicate groups only: the same seed gives the same images, whatever their names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import xxhash
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eyeshot.core import InputError, make_folder, plural, replacing
from eyeshot.data.config import check_share, check_shares
from eyeshot.data.duplicates import copy_groups
from eyeshot.data.table import ImageTable

Rows = NDArray[np.int64]
ALWAYS_TRAIN = -1
SPLIT_FILE = "split.json"
# As a share of the way from the accuracy of the most frequent class to 1. A classifier below it has learned too little
# to show an effect of duplicates.
LEAST_SKILL = 0.05
Part = Literal["val", "train"] | Annotated[int, Field(ge=0)]


def hold_out(
    table: ImageTable,
    groups: Rows | None = None,
    *,
    share: float,
    seed: int,
    order: Sequence[float] | None = None,
) -> tuple[Rows, Rows]:
    """Divide a table into training and validation images, class by class, with whole duplicate groups.

    About `share` of every class is held out, and at least one image if the class has two images that are not
    duplicates. At least one image of every class stays in training.

    Args:
        table: the images.
        groups: int64 (N,), the duplicate group of each image, from `copy_groups`; None: equal bytes only.
        share: share of the images to hold out; above 0, at most 0.9.
        seed: seed of the choice.
        order: a number per image; the smallest are held out first. None: a hash of (seed, content).

    Returns:
        Training rows and validation rows, both ascending, int64.

    Raises:
        InputError: the share is out of range, or nothing can be held out.
    """
    check_share(share)
    labels = table.labels
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(copy_groups(table) if groups is None else groups):
        members[int(group)].append(row)
    order = content_hashes(table.contents, seed) if order is None else order
    # The place of a group depends on its smallest hash, so duplicates that are added later rarely move it.
    waiting = sorted(members.values(), key=lambda rows: min(order[row] for row in rows))
    total = dict(zip(*map(np.ndarray.tolist, np.unique(labels, return_counts=True)), strict=True))
    target_count = {label: int(share * count + 0.5) for label, count in total.items()}
    held_count: dict[int, int] = dict.fromkeys(total, 0)
    validation: list[int] = []

    def take(rows: list[int], *, over: bool) -> bool:
        """Hold a group out if all its classes have room; `over`: only if one of them has nothing held out yet."""
        counts: dict[int, int] = defaultdict(int)
        for row in rows:
            counts[int(labels[row])] += 1
        if any(held_count[label] + count >= total[label] for label, count in counts.items()):
            return False
        if over and not any(held_count[label] == 0 for label in counts):
            return False
        if not over and any(held_count[label] + count > target_count[label] for label, count in counts.items()):
            return False
        for label, count in counts.items():
            held_count[label] += count
        validation.extend(rows)
        return True

    remaining = [rows for rows in waiting if not take(rows, over=False)]
    # For classes whose share is below one image or one group, hold out the smallest group that training can spare.
    for rows in sorted(remaining, key=len):
        take(rows, over=True)
    if not validation:
        raise InputError(
            "Held-out images need a class with at least two images that are not duplicates of each other, got "
            f"{len(table)} images in {len(total)} classes without one. Add images or give --val DIR."
        )
    is_held_out = np.zeros(len(table), dtype=bool)
    is_held_out[validation] = True
    return np.flatnonzero(~is_held_out).astype(np.int64), np.flatnonzero(is_held_out).astype(np.int64)


def sample_rows(table: ImageTable, count: int, *, seed: int) -> Rows:
    """Choose `count` images, each class in proportion; one more or one fewer image changes only one choice.

    Within a class the images with the smallest hash of (seed, content) are chosen. Places are divided among classes by
    the divisor method of Sainte-Laguë (1910), whose shares never jump when a class grows.

    Returns:
        int64 (min(count, N),), ascending.

    Raises:
        InputError: `count` is below 1.
    """
    if count < 1:
        raise InputError(f"A sample must hold at least 1 image, got {count}. Use --max-images 600.")
    if count >= len(table):
        return np.arange(len(table), dtype=np.int64)
    labels = table.labels
    order = content_hashes(table.contents, seed)
    ids = table.ids
    rank = np.empty(len(table), dtype=np.float64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        ranked = sorted(rows.tolist(), key=lambda row: (order[row], ids[row]))
        rank[ranked] = (2.0 * np.arange(len(ranked)) + 1.0) / len(ranked)
    sample = np.lexsort((labels, rank))[:count]
    return np.sort(sample).astype(np.int64)


def content_hashes(contents: list[str], seed: int) -> list[int]:
    """A number per image that depends only on the seed and its content; smaller numbers are chosen first."""
    return [xxhash.xxh3_64_intdigest(f"{seed}:{content}".encode("ascii")) for content in contents]


def make_folds(
    table: ImageTable,
    groups: Rows | None = None,
    *,
    folds: int,
    seed: int,
    small: bool = False,
) -> Rows:
    """Assign every image to a fold. Without duplicates, a class differs by at most one image between folds.

    The largest duplicate groups are placed first, then in the order of the hash of (seed, content), each into the fold
    with the fewest images of its classes. Names and order of the files do not matter.

    Args:
        table: N images.
        groups: int64 (N,), the duplicate group of each image, from `copy_groups`; None: equal bytes only.
        folds: number of folds, at least 2.
        seed: seed of the assignment.
        small: allow classes with fewer groups than folds; their images train in every fold and validate in none.

    Returns:
        int64 (N,), 0 to folds - 1; -1 for images that always train.

    Raises:
        InputError: fewer than 2 folds, classes with fewer duplicate groups than folds, or duplicates under several
            labels that force a whole class into one fold.
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
    fold_counts: list[Counter[int]] = [Counter() for _ in range(folds)]
    total = [0] * folds
    # Class by class, so that the remainder of a class goes to the folds that are smallest so far.
    label_of = {group: min(labels[row] for row in rows) for group, rows in members.items()}
    for group in sorted(members, key=lambda group: (-len(members[group]), label_of[group], first[group])):
        rows = members[group]
        counts = Counter(labels[row] for row in rows)
        if few & counts.keys():
            continue

        def load(fold: int, counts: Counter[int] = counts) -> tuple[float, int, int]:
            # Measured in shares of each class, so in a group with two classes the rarer class decides.
            own = sum(fold_counts[fold][label] / size_of[label] for label in sorted(counts))
            return own, total[fold], fold

        fold = min(range(folds), key=load)
        result[rows] = fold
        fold_counts[fold].update(counts)
        total[fold] += len(rows)
    for fold, counts in enumerate(fold_counts):
        for label, count in counts.items():
            if count == size_of[label] and label not in few:
                raise InputError(
                    f"Each fold must leave every class in training, but duplicates under several labels force all "
                    f"{count} images of {table.classes[label]!r} into fold {fold}. Try another --seed, or drop them: "
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
        f"{folds} folds need at least {folds} images of every class that are not duplicates of each other; "
        f"{len(few)} of {len(groups_of)} classes have fewer: {listed}{', …' if len(few) > 5 else ''}. "
        f"Use {' or '.join(ways)}."
    )


class Leakage(BaseModel):
    """How much accuracy a plain random split adds because of duplicates.

    Attributes:
        reader: the classifier and its features: "a linear probe on ...".
        images: number of judged images, each judged once in either split.
        copies: number of images that have a duplicate among these.
        straddling: number of images that have a duplicate in training under the plain split.
        chance: accuracy of always answering the most frequent class.
        plain, grouped: accuracy in the plain split, and with duplicate groups kept whole.
        gap_points: plain less grouped, in percentage points, with its 95 % interval.
    """

    model_config = ConfigDict(frozen=True)

    reader: str
    images: int
    copies: int
    straddling: int
    chance: float
    plain: float
    grouped: float
    gap_points: float
    gap_low: float
    gap_high: float

    @property
    def bound_points(self) -> float:
        """Upper bound in points: every image with a duplicate in training is answered right because of it."""
        return 100 * self.straddling / self.images if self.images else 0.0

    @property
    def reader_tells(self) -> bool:
        """Whether the classifier clearly beats the most frequent class; otherwise it cannot show leakage."""
        return max(self.plain, self.grouped) - self.chance >= LEAST_SKILL * (1 - self.chance)

    def words(self) -> str:
        """The figures and what they mean, in sentences."""
        return (
            f"Linear probe accuracy {100 * self.plain:.1f} % on a plain random split, {100 * self.grouped:.1f} % with "
            f"duplicate groups whole. {self._verdict()} Measured with {self.reader}."
        )

    def _verdict(self) -> str:
        measured = f"{self.gap_points:+.1f} points (95 % interval {self.gap_low:+.1f} to {self.gap_high:+.1f})"
        images = f"{self.images} {plural(self.images, 'image')}"
        if not self.straddling:
            return f"No leakage: none of {images} has a duplicate in training under the plain split."
        straddling = (
            f"{self.straddling} of {images} {plural(self.straddling, 'has', 'have')} a duplicate in training under "
            "the plain split"
        )
        at_most = f"{straddling}, so leakage is at most {_points(self.bound_points)} points"
        if not self.reader_tells:
            return (
                f"Leakage could not be measured: this classifier is hardly better than always answering the most "
                f"frequent class ({100 * self.chance:.1f} %). {at_most}."
            )
        if abs(self.gap_points) > self.bound_points:
            return (
                f"No leakage can be shown: {at_most}; the measured difference of {measured} is larger, so it is noise."
            )
        if self.gap_low <= 0:
            return f"No leakage can be shown: the difference is {measured}. {at_most}."
        return f"Leakage {measured}. {at_most}."


def _points(value: float) -> str:
    return f"{value:.1f}" if value >= 0.05 else f"{value:.1g}"


class LikeTest(BaseModel):
    """How well a validation set chosen to resemble the test set does resemble it.

    Attributes:
        effective: effective number of training images under importance weights for the test set.
        auc_before: AUC of a classifier between the test set and randomly chosen validation images; 0.5: alike.
        auc_after: the same AUC for the chosen validation images.
        before_half, after_half: half of their 95 % intervals (Hanley and McNeil 1982).
    """

    model_config = ConfigDict(frozen=True)

    effective: float
    auc_before: float
    before_half: float
    auc_after: float
    after_half: float

    def words(self) -> str:
        """The figures in one sentence."""
        return (
            f"Matched to the test images: effective number of training images {self.effective:.0f}; a classifier "
            f"separates validation from test images with AUC {self.auc_after:.2f} ± {self.after_half:.2f} (chosen at "
            f"random: {self.auc_before:.2f} ± {self.before_half:.2f}; 0.5: indistinguishable)."
        )


class Split(BaseModel):
    """`split.json`. Keys are only added until 1.0.

    Attributes:
        parts: for each content key: "val" (held out of all folds), the number of the fold in which it validates, or
            "train" (trains in every fold).
        basis: what counts as duplicates.
        counts: number of images in each part.
        n_classes: number of classes.
        notes: sentences about images that are in no part.
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    command: str = ""
    seed: int
    folds: int
    val: float
    like_test: LikeTest | None = None
    basis: str = ""
    leakage: Leakage | None = None
    counts: dict[str, int] = {}
    n_classes: int = 0
    notes: list[str] = []
    parts: dict[str, Part]

    def of(self, table: ImageTable) -> list[Part | None]:
        """The part of each image of a table; None for images added after the split."""
        return [self.parts.get(content) for content in table.contents]

    def check_fold(self, fold: int | None) -> None:
        """Check that a fold exists; None stands for the part that is held out of all folds.

        Raises:
            InputError: it does not exist.
        """
        if fold is None and not self.val:
            raise InputError(f"This split has {self.folds} folds and no held-out part. Use --fold 0.")
        if fold is not None and not 0 <= fold < self.folds:
            way = f"lie in 0 to {self.folds - 1}" if self.folds else "be left out for a split without folds"
            raise InputError(f"--fold must {way}, got {fold}.")

    def rows(self, table: ImageTable, *, fold: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Training and validation rows.

        Args:
            table: the images; images that are not in the split are in neither.
            fold: the fold that validates; None: the part "val" validates and all folds train.

        Raises:
            InputError: there is no such fold, or no part "val".
        """
        self.check_fold(fold)
        parts = self.of(table)
        held_out = "val" if fold is None else fold
        validation = [row for row, part in enumerate(parts) if part == held_out]
        training = [row for row, part in enumerate(parts) if part not in (None, "val", held_out)]
        return np.array(training, dtype=np.int64), np.array(validation, dtype=np.int64)

    def write(self, file: Path | str) -> None:
        """Write the split; the same split gives the same bytes.

        Raises:
            StorageError: the file cannot be written.
        """
        file = Path(file)
        make_folder(file.absolute().parent)
        with replacing(file) as temporary:
            temporary.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_split(file: Path) -> Split:
    """Read a split from a file.

    Raises:
        InputError: the file cannot be read, or is not a split.
    """
    try:
        return Split.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read the split {str(file)!r}: {error.strerror or error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"{str(file)!r} is not a split: {place}: {first['msg']}. Make it again: eyeshot split TRAIN."
        ) from error


def divide(
    table: ImageTable,
    groups: NDArray[np.int64],
    *,
    folds: int,
    val: float,
    seed: int,
    small: bool = False,
    order: Sequence[float] | None = None,
) -> list[Part]:
    """Assign every image to a part: first `val` of each class is held out, then the rest is divided into folds.

    Args:
        table: N labelled images.
        groups: int64 (N,), equal for duplicates, which stay together.
        folds: number of folds; 0 for none.
        val: share to hold out; 0 for none.
        seed: seed of the split.
        small: classes with fewer groups than folds train in every fold.
        order: a number per image; the smallest are held out first. None: a hash of (seed, content).

    Raises:
        InputError: neither folds nor a share is given, or the images cannot be divided like this.
    """
    check_shares(folds, val)
    parts: list[Part] = ["train"] * len(table)
    fold_rows = np.arange(len(table), dtype=np.int64)
    if val:
        fold_rows, held_out = hold_out(table, groups, share=val, seed=seed, order=order)
        for row in held_out.tolist():
            parts[row] = "val"
    if folds:
        # Another seed, because in the first order the images just held out would leave gaps.
        fold_of = make_folds(table.take(fold_rows), groups[fold_rows], folds=folds, seed=seed, small=small)
        for row, fold in zip(fold_rows.tolist(), fold_of.tolist(), strict=True):
            if fold != ALWAYS_TRAIN:
                parts[row] = fold
    return parts


def count_parts(table: ImageTable, parts: Sequence[Part | None]) -> dict[str, int]:
    """Number of images in each part."""
    counts = Counter("new" if part is None else str(part) for part in parts)
    return {name: counts[name] for name in sorted(counts, key=lambda name: (not name.isdigit(), name))}
