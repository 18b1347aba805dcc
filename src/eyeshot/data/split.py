"""Hold out images, divide them into folds, and keep the parts of a whole team in one file.

All goes by the hash of the content and by duplicate groups: the same images for the same seed, whatever their names.
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

from eyeshot.core import InputError, make_folder, replacing
from eyeshot.data.duplicates import copy_groups
from eyeshot.data.table import ImageTable

Rows = NDArray[np.int64]
LARGEST_SHARE = 0.9
ALWAYS_TRAIN = -1
SPLIT_FILE = "split.json"
LEAST_SKILL = 0.05
"""Of the way from the most frequent class to no error at all; readers below it say nothing about copies."""
Part = Literal["val", "train"] | Annotated[int, Field(ge=0)]


def hold_out(
    table: ImageTable,
    groups: Rows | None = None,
    *,
    share: float,
    seed: int,
    order: Sequence[float] | None = None,
) -> tuple[Rows, Rows]:
    """Divide a table into training and validation images, by class, copy groups whole.

    Of every class about `share` is held out, and at least one image where the class has two images that are
    no copies. At least one image of every class stays in training.

    Args:
        table: the images.
        groups: int64 (N,), the copy group of each image, of `copy_groups`; None: equal bytes only.
        share: of the images, to hold out; above 0, at most 0.9.
        seed: another seed, other images.
        order: of each image; those with the smallest numbers are held out first. None: a hash of (seed, content).

    Returns:
        Training rows and validation rows, both ascending, int64.

    Raises:
        InputError: the share is out of range, or nothing can be held out.
    """
    if not 0 < share <= LARGEST_SHARE:
        raise InputError(
            f"The share to hold out must be above 0 and at most {LARGEST_SHARE}, got {share}. Use --val-share 0.2."
        )
    labels = table.labels
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(copy_groups(table) if groups is None else groups):
        members[int(group)].append(row)
    order = content_hashes(table.contents, seed) if order is None else order
    # A group's place follows from its first content: copies that come in later rarely move it.
    waiting = sorted(members.values(), key=lambda rows: min(order[row] for row in rows))
    total = dict(zip(*map(np.ndarray.tolist, np.unique(labels, return_counts=True)), strict=True))
    wanted = {label: int(share * count + 0.5) for label, count in total.items()}
    held: dict[int, int] = dict.fromkeys(total, 0)
    validation: list[int] = []

    def take(rows: list[int], *, over: bool) -> bool:
        """Hold the group out if all classes in it have room; `over`: where a class has nothing yet."""
        counts: dict[int, int] = defaultdict(int)
        for row in rows:
            counts[int(labels[row])] += 1
        if any(held[label] + count >= total[label] for label, count in counts.items()):
            return False
        if over and not any(held[label] == 0 for label in counts):
            return False
        if not over and any(held[label] + count > wanted[label] for label, count in counts.items()):
            return False
        for label, count in counts.items():
            held[label] += count
        validation.extend(rows)
        return True

    left = [rows for rows in waiting if not take(rows, over=False)]
    # Classes whose share is below one image or one group: the smallest group that training can spare.
    for rows in sorted(left, key=len):
        take(rows, over=True)
    if not validation:
        raise InputError(
            "Held-out images need a class with at least two images that are not copies of each other, got "
            f"{len(table)} images in {len(total)} classes without one. Add images or give --val DIR."
        )
    chosen = np.zeros(len(table), dtype=bool)
    chosen[validation] = True
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)


def sample_rows(table: ImageTable, count: int, *, seed: int) -> Rows:
    """Choose `count` images, each class in its own share; one image more or less changes one of them.

    Within a class the images with the smallest hash of (seed, content) are taken; the places are shared out
    among classes by the divisor method of Sainte-Laguë (1910), whose shares never jump when a class grows.

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
    chosen = np.lexsort((labels, rank))[:count]
    return np.sort(chosen).astype(np.int64)


def content_hashes(contents: list[str], seed: int) -> list[int]:
    """A number of each image that follows from the seed and its content alone; smaller ones are chosen first."""
    return [xxhash.xxh3_64_intdigest(f"{seed}:{content}".encode("ascii")) for content in contents]


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


class Leakage(BaseModel):
    """How much better a model seems in a plain random split than in this one.

    Attributes:
        reader: what was read: "a linear head on ..." features or thumbnails.
        images: how many were judged, each once in either split.
        copies: how many images have a copy among these.
        straddling: how many images have, in the plain split, a copy on the side that trains.
        chance: share of right answers of the most frequent class alone.
        plain, grouped: share of right answers.
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
        """Points that copies can add at most: each image that has one in training answered right because of it."""
        return 100 * self.straddling / self.images if self.images else 0.0

    @property
    def reader_tells(self) -> bool:
        """The reader is clearly better than the most frequent class: one that learns nothing flatters nothing."""
        return max(self.plain, self.grouped) - self.chance >= LEAST_SKILL * (1 - self.chance)

    def words(self) -> str:
        """The figures in one sentence, and what they say."""
        return (
            f"Plain random split {100 * self.plain:.1f} %, copy groups whole {100 * self.grouped:.1f} %. "
            f"{self._verdict()} Read by {self.reader}."
        )

    def _verdict(self) -> str:
        measured = f"{self.gap_points:+.1f} points (95 % interval {self.gap_low:+.1f} to {self.gap_high:+.1f})"
        straddling = f"{self.straddling} of {self.images} images have a copy in training under the plain split"
        if not self.straddling:
            return f"No leakage: no image of {self.images} has a copy in training under the plain split."
        at_most = f"{straddling}, so leakage is at most {_points(self.bound_points)} points"
        if not self.reader_tells:
            return (
                f"How much leakage there is cannot be told: this reader is hardly better than naming the most "
                f"frequent class ({100 * self.chance:.1f} %). {at_most}."
            )
        if abs(self.gap_points) > self.bound_points:
            return f"{at_most}; the measured difference of {measured} is beyond that, and therefore noise."
        sure = "" if self.gap_low > 0 or self.gap_high < 0 else ", which cannot be told from none"
        return f"Leakage {measured}{sure}. {at_most}."


def _points(value: float) -> str:
    return f"{value:.1f}" if value >= 0.05 else f"{value:.1g}"


class LikeTest(BaseModel):
    """How near a validation set that was chosen to resemble the test set comes to it.

    Attributes:
        effective: effective number of training images under the weights of the test set.
        auc_before: how well validation images chosen without regard to the test set are told from it; 0.5: not.
        auc_after: the same for the chosen ones.
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
            f"Like the test images: an effective number of {self.effective:.0f} training images; validation images are "
            f"told from test images with an area of {self.auc_after:.2f} ± {self.after_half:.2f} (chosen by chance: "
            f"{self.auc_before:.2f} ± {self.before_half:.2f}; 0.5 would be alike)."
        )


class Split(BaseModel):
    """`split.json`. Keys are only added until 1.0.

    Attributes:
        parts: of each content key: "val" (held out of everything), the number of the fold that it validates in, or
            "train" (trains in every fold).
        basis: what counts as duplicates.
        counts: how many images each part has, by its name.
        n_classes: how many classes they are of.
        notes: sentences about images that have no part.
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
        """The part of each image of a table; None for images that came after the split was made."""
        return [self.parts.get(content) for content in table.contents]

    def check_fold(self, fold: int | None) -> None:
        """Make sure that a fold is there; None: the part that is held out of all folds.

        Raises:
            InputError: it is not.
        """
        if fold is None and not self.val:
            raise InputError(f"This split has {self.folds} folds and no part for validation alone. Use --fold 0.")
        if fold is not None and not 0 <= fold < self.folds:
            way = f"lie in 0 to {self.folds - 1}" if self.folds else "be left out for a split without folds"
            raise InputError(f"--fold must {way}, got {fold}.")

    def rows(self, table: ImageTable, *, fold: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Training and validation rows.

        Args:
            table: the images; those that the split does not know are in neither.
            fold: which fold validates; None: the part "val" does, and all folds train.

        Raises:
            InputError: there is no such fold, or no part "val".
        """
        self.check_fold(fold)
        parts = self.of(table)
        held = "val" if fold is None else fold
        validation = [row for row, part in enumerate(parts) if part == held]
        training = [row for row, part in enumerate(parts) if part not in (None, "val", held)]
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
    """The split of a file.

    Raises:
        InputError: it cannot be read, or is no split.
    """
    try:
        return Split.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read the split {str(file)!r}: {error.strerror or error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"{str(file)!r} is no split: {place}: {first['msg']}. Make it again: eyeshot split TRAIN."
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
    """The part of every image: first `val` of each class is held out, then the rest is divided into folds.

    Args:
        table: N labelled images.
        groups: int64 (N,), equal for copies, which stay together.
        folds: 0 for none.
        val: share to hold out; 0 for none.
        seed: another seed, another split.
        small: classes with fewer groups than folds train in every fold.
        order: of the images; the smallest numbers are held out first. None: a hash of (seed, content).

    Raises:
        InputError: neither folds nor a share, or an impossible demand, with the numbers.
    """
    check_shares(folds, val)
    parts: list[Part] = ["train"] * len(table)
    rest = np.arange(len(table), dtype=np.int64)
    if val:
        rest, held = hold_out(table, groups, share=val, seed=seed, order=order)
        for row in held.tolist():
            parts[row] = "val"
    if folds:
        # Another seed: in the order of the first the places just held out would be missing.
        found = make_folds(table.take(rest), groups[rest], folds=folds, seed=seed, small=small)
        for row, fold in zip(rest.tolist(), found.tolist(), strict=True):
            if fold != ALWAYS_TRAIN:
                parts[row] = fold
    return parts


def check_shares(folds: int, val: float) -> None:
    """Make sure that there is something to divide into.

    Raises:
        InputError: neither folds nor a share, or one that is out of range.
    """
    if not folds and not val:
        raise InputError("A split needs --folds 5, --val-share 0.2 or both, got 0 for both.")
    if folds and folds < 2:
        raise InputError(f"--folds must be 0 or at least 2, got {folds}.")
    if val and not 0 < val <= LARGEST_SHARE:
        raise InputError(
            f"The share to hold out must be above 0 and at most {LARGEST_SHARE}, got {val}. Use --val-share 0.2."
        )


def count_parts(table: ImageTable, parts: Sequence[Part | None]) -> dict[str, int]:
    """How many images each part has, by its name."""
    counts = Counter("new" if part is None else str(part) for part in parts)
    return {name: counts[name] for name in sorted(counts, key=lambda name: (not name.isdigit(), name))}
