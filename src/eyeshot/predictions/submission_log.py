"""Submissions that were sent and the scores that came back: `submissions.jsonl`, and what they say about the next one.

A line is complete on disk before it is reported as stored, and lines are only appended: a score that comes later is
another line for the same content. The answers of each file are kept beside it, so that it can be compared even if it
is gone.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import filelock
import numpy as np
import xxhash
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from eyeshot.core import NORMAL_95, InputError, StorageError, append_lines, key_of, listing, make_folder, replacing
from eyeshot.predictions.csv_form import read_csv_form
from eyeshot.predictions.image_ids import RULES
from eyeshot.predictions.submissions import ANSWER_COLUMNS, ID_COLUMNS, is_row_number, plain_name
from eyeshot.predictions.table import Accuracy

SUBMISSIONS_FILE = "submissions.jsonl"
SUBMISSIONS_FOLDER = "submissions"
LOCK_TIMEOUT_S = 60.0
SUBMISSION = "A submission"


class Submission(BaseModel):
    """A submission, or what is newly known about it; one line of `submissions.jsonl`.

    Attributes:
        time: UTC.
        content: hash of the bytes of the file (xxh3_128).
        name: of the file.
        n: rows.
        images: hash of the ids; equal for submissions of the same images, however their ids are spelled.
        run: that made it; empty where it is not known.
        validation: accuracy of the run on its validation images.
        score: that came back, an accuracy from 0 to 1; null before.
        digits: decimals with which the score was given.
        public_share: share of the images that the score was computed on; null where it is not known.
        note: free text.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    time: AwareDatetime
    content: str
    name: str
    n: int
    images: str
    run: str = ""
    validation: Accuracy | None = None
    score: float | None = None
    digits: int | None = None
    public_share: float | None = None
    note: str = ""


def read_submissions(file: Path) -> tuple[list[Submission], list[str]]:
    """Submissions in the order in which they were first stored, with the latest that is known of each; and bad lines.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise InputError(
            f"Submissions must be in a readable file, got {str(file)!r}: {error.strerror or error}."
        ) from error
    known: dict[str, Submission] = {}
    bad = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip(b" \t\r\xef\xbb\xbf"):
            continue
        try:
            news = Submission.model_validate_json(line.strip(b" \t\r\xef\xbb\xbf"))
        except ValidationError:
            cut = line.startswith(b"{") and not line.rstrip().endswith(b"}")
            bad.append(f"{file}, line {number}: {'cut off' if cut else 'not a submission'}; left out.")
            continue
        known[news.content] = merged(known.get(news.content), news)
    return list(known.values()), bad


def merged(before: Submission | None, news: Submission) -> Submission:
    """What is known of a submission after a further line: what the line does not say stays."""
    if before is None:
        return news
    said = {name for name in news.model_fields_set if getattr(news, name) not in (None, "")}
    return before.model_copy(update={name: getattr(news, name) for name in said - {"time", "content"}})


def append_submission(file: Path, submission: Submission) -> None:
    """Store a line; it is on disk when this returns.

    Raises:
        StorageError: the disk is full, the folder cannot be written, or another program holds the file.
    """
    make_folder(file.absolute().parent)
    try:
        with filelock.FileLock(f"{file}.lock", timeout=LOCK_TIMEOUT_S):
            append_lines(file, [submission.model_dump_json(exclude_defaults=True)])
    except filelock.Timeout as error:
        raise StorageError(
            f"Another program has held {str(file)!r} for {LOCK_TIMEOUT_S:.0f} s. Close it and try again."
        ) from error
    except OSError as error:
        raise StorageError(
            f"Cannot store the submission in {str(file)!r}: {error.strerror or error}. Earlier ones are kept."
        ) from error


# Answers -------------------------------------------------------------------------------------------------------------
def keep_answers(file: Path, folder: Path, *, run: str = "") -> Submission:
    """Read a submission, keep its answers in `folder`, and return its line, which is not stored yet.

    The answers are `CONTENT.npz`: ids (n,) in sorted order, labels (n,) as positions in names (K,), and the run.

    Raises:
        InputError: the file is no submission.
        StorageError: the folder cannot be written.
    """
    ids, answers = read_answers(file)
    content = xxhash.xxh3_128_hexdigest(file.read_bytes())
    order = sorted(range(len(ids)), key=ids.__getitem__)
    names = sorted(set(answers))
    number = {name: position for position, name in enumerate(names)}
    labels = np.array([number[answers[row]] for row in order], np.uint16 if len(names) < 1 << 16 else np.uint32)
    sorted_ids = [ids[row] for row in order]
    kept = make_folder(folder) / f"{content}.npz"
    if kept.is_file():
        run = run or _read_kept(kept)["run"]
    arrays: dict[str, Any] = {"ids": np.array(sorted_ids), "labels": labels, "names": np.array(names), "run": run}
    with replacing(kept) as temporary, open(temporary, "wb") as opened:
        np.savez(opened, allow_pickle=False, **arrays)
    return Submission(
        time=datetime.now(UTC), content=content, name=file.name, n=len(ids), images=key_of(sorted_ids), run=run
    )  # fmt: skip


def kept_answers(folder: Path, content: str, n: int) -> tuple[NDArray[np.unsignedinteger[Any]], list[str]] | None:
    """Labels (n,) of a submission as positions in names, with the names; None where they are lost
    or the file is damaged."""
    kept = _read_kept(folder / f"{content}.npz")
    labels, names = kept["labels"], kept["names"]
    if labels is None or labels.shape != (n,) or labels.dtype.kind != "u" or not n or labels.max() >= len(names):
        return None
    return labels, names


def _read_kept(file: Path) -> dict[str, Any]:
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {"labels": stored["labels"], "names": stored["names"].tolist(), "run": str(stored["run"])}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {"labels": None, "names": [], "run": ""}


def equal_answers(
    first: tuple[NDArray[np.unsignedinteger[Any]], list[str]],
    second: tuple[NDArray[np.unsignedinteger[Any]], list[str]],
) -> int:
    """How many of n answers are equal, of two submissions of the same images (see `kept_answers`)."""
    labels, names = first
    others, other_names = second
    number = {name: position for position, name in enumerate(names)}
    same = np.array([number.get(name, len(names)) for name in other_names], np.int64)
    return int((same[others] == labels).sum())


def read_answers(file: Path) -> tuple[list[str], list[str]]:
    """Ids, spelled alike whatever the file's way, and the answer to each: a label, or the most probable class.

    Raises:
        InputError: the file has no column of ids or of answers, or an id is there twice.
    """
    form = read_csv_form(file, what=SUBMISSION)
    header, rows = form.rows[0], form.rows[1:]
    columns = list(zip(*form.rows, strict=True))
    if not {plain_name(name) for name in header} & {*ID_COLUMNS, *ANSWER_COLUMNS} and any(
        cells[0] in cells[1:] for cells in columns
    ):
        header, rows = [f"column {number}" for number in range(1, len(header) + 1)], form.rows
    if not rows:
        raise InputError(f"{SUBMISSION} must have rows, got a header only in {str(file)!r}.")
    cells_of = [[row[place].strip() for row in rows] for place in range(len(header))]

    def preference(place: int) -> tuple[bool, bool, bool, int]:
        cells = cells_of[place]
        fractions = all("." in cell and form.number(cell) is not None for cell in cells[:50])
        named = plain_name(header[place]) in ID_COLUMNS
        return fractions, is_row_number(header[place], cells) and len(header) > 2, not named, place

    unique = [place for place, cells in enumerate(cells_of) if len(set(cells)) == len(cells)]
    named = [place for place, name in enumerate(header) if plain_name(name) in ID_COLUMNS]
    if not unique:
        cells = cells_of[(named or [0])[0]]
        doubled = sorted({cell for cell in cells if cells.count(cell) > 1}) if len(cells) < 10_000 else []
        raise InputError(
            f"{SUBMISSION} must have a column with an id for each image, each once, but every column of {str(file)!r} "
            f"repeats some. {header[(named or [0])[0]]!r} repeats {listing(doubled) or 'ids'}."
        )
    ids = min(unique, key=preference)
    rest = [
        place for place in range(len(header)) if place != ids and not is_row_number(header[place], cells_of[place])
    ] or [place for place in range(len(header)) if place != ids]
    answers = [place for place in rest if plain_name(header[place]) in ANSWER_COLUMNS]
    if len(rest) == 1 or len(answers) == 1:
        cells = cells_of[rest[0] if len(rest) == 1 else answers[0]]
        numbers = [form.number(cell) for cell in cells]
        shares = [number for number in numbers if number is not None and 0 <= number <= 1]
        if len(shares) == len(cells) and any(not share.is_integer() for share in shares):
            cells = [str(int(share >= 0.5)) for share in shares]
    else:
        table = [[form.number(cells_of[place][row]) for place in rest] for row in range(len(rows))]
        if any(number is None for numbers in table for number in numbers):
            raise InputError(
                f"{SUBMISSION} must have one column of labels, named for instance `label`, or columns of "
                f"probabilities, but besides the ids {str(file)!r} has "
                f"{listing([repr(header[each]) for each in rest])}."
            )
        cells = [header[rest[place]].strip() for place in np.array(table, np.float64).argmax(1).tolist()]
    return _alike(cells_of[ids]), cells


def _alike(ids: Sequence[str]) -> list[str]:
    """The ids by the loosest rule by which all still differ, so that files with and without endings can be compared."""
    for _, rule in reversed(RULES):
        spelled = [rule(text) for text in ids]
        if len(set(spelled)) == len(spelled):
            return spelled
    return list(ids)


# Bounds --------------------------------------------------------------------------------------------------------------
def public_count(n: int, public_share: float | None) -> int:
    """Images that a score is computed on: n times the share, at least one; all where the share is not known."""
    return n if public_share is None else max(1, round(n * public_share))


def right_counts(score: float, digits: int, count: int) -> tuple[int, int] | None:
    """The fewest and the most right answers among `count` whose share rounds to `score`; None if there are none."""
    half = 0.5 * 10.0**-digits + 1e-12
    low, high = math.ceil((score - half) * count), math.floor((score + half) * count)
    low, high = max(0, low), min(count, high)
    return (low, high) if low <= high else None


def right_bounds(right: tuple[int, int], count: int, n: int, differing: int) -> tuple[int, int]:
    """The fewest and the most right answers that a submission can have on the public images, given those of another.

    Both answer n images and differ on `differing` of them, but which `count` images are public is not known. Let x of
    the differing images be public, max(0, differing - (n - count)) <= x <= min(differing, count). Where they are equal
    both are right or wrong; where they differ at most one is right. With r right answers of the other, c of them where
    they are equal, this one has c to c + x - (r - c) right answers, and c lies in max(0, r - x) to min(r, count - x).

    Args:
        right: the fewest and the most right answers of the other submission.
        count: public images.
        n: all images.
        differing: images with different answers.
    """
    fewest, most = max(0, differing - (n - count)), min(differing, count)

    def highest(r: int) -> int:
        if r <= count - most:
            return r + most
        return count if r <= count - fewest else 2 * count - fewest - r

    best = min(max(count - most, right[0]), right[1])
    return max(0, right[0] - most), max(highest(each) for each in (right[0], right[1], best))


def score_noise(score: float, count: int) -> float:
    """Half the 95 % interval of a share on `count` images, a sample of all such images (normal approximation)."""
    return NORMAL_95 * math.sqrt(score * (1 - score) / count)


def difference_noise(differing_share: float, difference: float, count: int) -> float:
    """The same of the difference of two submissions, at most.

    At most `differing_share` of the images are right in one and wrong in the other, and the variance of a paired
    difference d is (that share - d²) / count: McNemar, Psychometrika 12 (1947), p. 153.
    """
    return NORMAL_95 * math.sqrt(max(0.0, differing_share - difference**2) / count)
