"""A split for a whole team: which image validates where, by content, in one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eyeshot.core import InputError, make_folder, replacing
from eyeshot.data.folds import ALWAYS_TRAIN, make_folds
from eyeshot.data.holdout import hold_out
from eyeshot.data.table import ImageTable

SPLIT_FILE = "split.json"
FOLDS = 5
Part = Literal["val", "train"] | Annotated[int, Field(ge=0)]


class Leakage(BaseModel):
    """How much better a model seems in a plain random split than in this one.

    Attributes:
        reader: what was read: "a linear head on ..." features or thumbnails.
        images: how many were judged, each once in either split.
        copies: how many images have a copy among these.
        straddling: how many images have, in the plain split, a copy on the side that trains.
        plain, grouped: share of right answers.
        gap_points: plain less grouped, in percentage points, with its 95 % interval.
    """

    model_config = ConfigDict(frozen=True)

    reader: str
    images: int
    copies: int
    straddling: int
    plain: float
    grouped: float
    gap_points: float
    gap_low: float
    gap_high: float

    def words(self) -> str:
        """The figures in one sentence."""
        sure = "" if self.gap_low > 0 or self.gap_high < 0 else ": cannot be told from none"
        return (
            f"Plain random split {100 * self.plain:.1f} %, copy groups whole {100 * self.grouped:.1f} %; leakage "
            f"{self.gap_points:+.1f} points (95 % interval {self.gap_low:+.1f} to {self.gap_high:+.1f}){sure}. "
            f"{self.straddling} of {self.images} images have a copy in training under the plain split. "
            f"Read by {self.reader}."
        )


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
    notes: list[str] = []
    parts: dict[str, Part]

    def of(self, table: ImageTable) -> list[Part | None]:
        """The part of each image of a table; None for images that came after the split was made."""
        return [self.parts.get(content) for content in table.contents]

    def rows(self, table: ImageTable, *, fold: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Training and validation rows.

        Args:
            table: the images; those that the split does not know are in neither.
            fold: which fold validates; None: the part "val" does, and all folds train.

        Raises:
            InputError: there is no such fold, or no part "val".
        """
        if fold is None and not self.val:
            raise InputError(f"This split has {self.folds} folds and no part for validation alone. Use --fold 0.")
        if fold is not None and not 0 <= fold < self.folds:
            raise InputError(f"--fold must lie in 0 to {self.folds - 1}, got {fold}.")
        parts = self.of(table)
        held = "val" if fold is None else fold
        validation = [row for row, part in enumerate(parts) if part == held]
        training = [row for row, part in enumerate(parts) if part not in (None, "val", held)]
        return np.array(training, dtype=np.int64), np.array(validation, dtype=np.int64)

    def write(self, file: Path) -> None:
        """Write the split; the same split gives the same bytes.

        Raises:
            StorageError: the file cannot be written.
        """
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
    check_request(folds=folds, val=val)
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


def check_request(*, folds: int, val: float) -> None:
    """Refuse a split that cannot be, before any image is read.

    Raises:
        InputError: neither folds nor a share, a single fold, or a share that is none.
    """
    if not folds and not val:
        raise InputError("A split needs --folds 5, --val-share 0.2 or both, got 0 for both.")
    if folds and folds < 2:
        raise InputError(f"--folds must be 0 or at least 2, got {folds}.")
    if not 0 <= val < 1:
        raise InputError(f"--val-share must lie between 0 and 1, got {val}. For instance --val-share 0.2.")


def count_parts(table: ImageTable, parts: Sequence[Part | None]) -> dict[str, int]:
    """How many images each part has, by its name."""
    counts = Counter("new" if part is None else str(part) for part in parts)
    return {name: counts[name] for name in sorted(counts, key=lambda name: (not name.isdigit(), name))}
