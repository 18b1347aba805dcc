"""Label issues: labels that out-of-fold probabilities contradict, ranked, with the nearest images beside them.

Confident learning: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR
70 (2021) 1373-1411; equation numbers refer to it. Probabilities come from a linear probe and from the labels of the
nearest images, or from the user's own file.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from eyeshot.auditing.findings import Finding, LabelIssues, LabelPair, make_finding
from eyeshot.auditing.images import AuditImages
from eyeshot.core import InputError, percent
from eyeshot.models import nearest_neighbours

SHOWN_NEIGHBOURS = 3
FEWEST_EACH_WAY = 3  # label issues in each direction that make two classes confusable
NOT_MEASURED = "not measured on these images"
VOTERS = 20
SLACK = 1e-6  # below a threshold, for rounded means: a class of equal probabilities is confident in itself
CLEAR = 0.4  # margin
# Planted wrong labels spread evenly have an unevenness of 0.8 to 1.4, those of similar classes 2.4 to 9 (seeds 100 to
# 102 of `benchmarks/label_issues.py`, three sets of probabilities).
EVEN = 1.8
SMALLEST = 1e-12  # probability; probabilities written with few digits may be 0
ROWS_AT_ONCE = 8192
SUM_WITHIN = 0.01  # of 1: a thousand classes written with five digits stay within it
TOO_GOOD = 0.999  # share of labels that are the most probable class: the model was fitted on these images
NAMED = 5
ONE_SIDED = 1.645  # standard errors, at 5 %

Probabilities = NDArray[np.floating]
Labels = NDArray[np.int64]
Rows = NDArray[np.int64]
Values = NDArray[np.float32]


def find_label_issues(
    images: AuditImages,
    rows: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    vectors: Values,
    groups: NDArray[np.int64],
    *,
    reader: str,
) -> tuple[LabelIssueRanking, list[Finding], LabelIssues]:
    """The ranked label issues, also as findings, and their summary.

    Args:
        images: the images of the audit.
        rows: int64 (n,), positions of labelled images in `images`.
        probabilities: out of fold, (n, C), rows sum to 1.
        vectors: float32 (n, d) of length 1, in which nearest images are found.
        groups: int64 (n,), equal for duplicates, which are no neighbours of each other.
        reader: the source of the probabilities, in words.
    """
    given = images.labels[rows]
    if words := no_better_than_chance(probabilities, given, reader):
        none = LabelIssueRanking(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        summary = _summary(images.train.classes, given, probabilities, none, reader)
        return none, [], summary.model_copy(update={"words": words})
    ranking = rank_label_issues(probabilities, given)
    trusted = np.ones(len(given), np.bool_)
    trusted[ranking.rows] = False  # a suspect is no example of the class of its label
    near = {
        name: _nearest_names(images, rows, ranking.rows, labels, given, trusted, vectors, groups)
        for name, labels in (("nearest_given", given[ranking.rows]), ("nearest_proposed", ranking.proposed))
    }
    classes = images.train.classes
    findings = []
    for rank, (row, proposed) in enumerate(zip(ranking.rows.tolist(), ranking.proposed.tolist(), strict=True), 1):
        ref = images.ref(int(rows[row]))
        label = int(given[row])
        sure, own = float(probabilities[row, proposed]), float(probabilities[row, label])
        words = (
            f"{ref.id} is labelled {classes[label]!r} (probability {own:.2f}) but looks like {classes[proposed]!r} "
            f"({sure:.2f})."
        )
        findings.append(
            make_finding(
                "label-issue", [ref], words, suggestion="relabel", basis="model", confidence=round(sure, 4),
                evidence={
                    "given": classes[label], "proposed": classes[proposed], "probability": round(sure, 4),
                    "probability_given": round(own, 4), "margin": round(float(ranking.margins[rank - 1]), 4),
                    "rank": float(rank), **{name: names[rank - 1] for name, names in near.items()},
                },
            )
        )  # fmt: skip
    return ranking, findings, _summary(classes, given, probabilities, ranking, reader)


def _nearest_names(
    images: AuditImages,
    rows: NDArray[np.int64],
    suspects: NDArray[np.int64],
    labels: NDArray[np.int64],
    given: NDArray[np.int64],
    trusted: NDArray[np.bool_],
    vectors: Values,
    groups: NDArray[np.int64],
) -> list[list[str]]:
    """Ids of the nearest images to each suspect within a class."""
    names: list[list[str]] = [[] for _ in suspects]
    for label in np.unique(labels).tolist():
        among = np.flatnonzero((given == label) & trusted)
        places = np.flatnonzero(labels == label)
        nearest = nearest_in(vectors, suspects[places], among, groups, SHOWN_NEIGHBOURS)
        for place, neighbours in zip(places.tolist(), nearest, strict=True):
            names[place] = [images.ids[rows[neighbour]] for neighbour in neighbours.tolist()]
    return names


def _summary(
    classes: tuple[str, ...],
    given: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    ranking: LabelIssueRanking,
    reader: str,
) -> LabelIssues:
    counts = Counter(zip(given[ranking.rows].tolist(), ranking.proposed.tolist(), strict=True))
    pairs = [
        LabelPair(
            first=classes[first],
            second=classes[second],
            first_as_second=counts[first, second],
            second_as_first=counts[second, first],
            confusable=min(counts[first, second], counts[second, first]) >= FEWEST_EACH_WAY,
        )
        for first, second in {(min(pair), max(pair)) for pair in counts}
    ]
    pairs.sort(key=lambda pair: (-(pair.first_as_second + pair.second_as_first), pair.first, pair.second))
    agreed = agreement(probabilities, given)
    count = len(ranking)
    words = (
        f"{count:,} of {len(given):,} labels {'looks' if count == 1 else 'look'} wrong to {reader} (precision "
        f"{NOT_MEASURED}; {percent(agreed)} of the labels agree). Review them from the top and stop when the labels "
        f"are right. {ranking.reason}"
        if count
        else f"No label looks wrong to {reader} ({percent(agreed)} of {len(given):,} labels agree)."
    )
    return LabelIssues(
        reader=reader, judged=len(given), agreed=agreed, precision=NOT_MEASURED, pairs=pairs, words=words
    )


def agreement(probabilities: Probabilities, given: Labels) -> float:
    """Share of the given labels that are the most probable class; 0 without labels."""
    return float((np.asarray(probabilities).argmax(axis=1) == given).mean()) if len(given) else 0.0


def no_better_than_chance(probabilities: Probabilities, given: Labels, reader: str) -> str:
    """A sentence where the probabilities know no more about labels than the class sizes; otherwise empty.

    Always answering the largest class agrees with its share of the labels; a one-sided test at 5 % tells whether the
    agreement is higher. Labels that such probabilities contradict are no more often wrong than others.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
        reader: what the probabilities are, in words.
    """
    if not len(given):
        return ""
    agreed, largest = agreement(probabilities, given), float(np.bincount(given).max()) / len(given)
    if largest == 1 or agreed > largest + ONE_SIDED * np.sqrt(largest * (1 - largest) / len(given)):
        return ""
    counts = np.zeros((probabilities.shape[1],) * 2)
    np.add.at(counts, (given, np.asarray(probabilities).argmax(axis=1)), 1)
    columns = linear_sum_assignment(counts, maximize=True)
    permuted = float(counts[columns].sum()) / len(given)
    better = permuted > 2 * max(agreed, largest)
    return (
        f"Nothing can be told about labels: {reader} agree with {percent(agreed)} of {len(given):,} labels, and always "
        f"answering the largest class with {percent(largest)}. "
        + (
            f"With the columns in another order it would be {percent(permuted)}: check their names."
            if better
            else "Give a better model with --model, or out-of-fold probabilities of your own with --probabilities."
        )
    )


@dataclass(frozen=True, eq=False)
class LabelIssueRanking:
    """Images whose label is contradicted, the most doubtful first.

    Attributes:
        rows: int64 (m,), rows of the probabilities.
        proposed: int64 (m,), the class that is more probable for each image.
        margins: float64 (m,), from `margin`.
        reason: the reason for this order, a sentence.
    """

    rows: NDArray[np.int64]
    proposed: Labels
    margins: NDArray[np.float64]
    reason: str = ""

    def __len__(self) -> int:
        return len(self.rows)


def thresholds(probabilities: Probabilities, given: Labels) -> NDArray[np.float64]:
    """Mean self-confidence of each class, eq. 2: the mean probability of a class over images with that label.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.

    Returns:
        float64 (C,); infinite for classes without images, so that nothing is counted for them.
    """
    count = probabilities.shape[1]
    own = probabilities[np.arange(len(given)), given].astype(np.float64)
    images = np.bincount(given, minlength=count)
    sums = np.bincount(given, weights=own, minlength=count)
    return np.where(images > 0, sums / np.maximum(images, 1), np.inf)


def confident_class(probabilities: Probabilities, given: Labels) -> Labels:
    """The class for which each image is confidently counted, eq. 1.

    The most probable of the classes whose threshold its probability reaches; -1 if it reaches none.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    least = thresholds(probabilities, given) - SLACK
    classes = np.empty(len(given), np.int64)
    for part in _blocks(len(given)):
        reached = probabilities[part] >= least
        best = np.where(reached, probabilities[part], -1.0).argmax(axis=1)
        classes[part] = np.where(reached.any(axis=1), best, -1)
    return classes


def margin(probabilities: Probabilities, given: Labels) -> NDArray[np.float64]:
    """Probability of the most probable other class minus that of the label, float64 (n,), -1 to 1.

    "Prune by noise rate" of section 3.2 ranks by it; cleanlab's normalised margin is (1 - margin) / 2.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    margins = np.empty(len(given))
    for part in _blocks(len(given)):
        values = np.array(probabilities[part], np.float64)
        place = (np.arange(len(values)), given[part])
        own = values[place]
        values[place] = -np.inf
        margins[part] = values.max(axis=1) - own
    return margins


def unevenness(probabilities: Probabilities, given: Labels) -> float:
    """How much more often two wrong labels of a class agree than if all wrong labels were equally likely.

    The index of coincidence (Friedman, "The Index of Coincidence and Its Applications in Cryptanalysis", 1922) of the
    off-diagonal counts of the confident joint, class by class: 1 if labels were replaced by any other label, up to
    C - 1 if each class is confused with a single other class. Infinite if no class has two wrong labels.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    count = probabilities.shape[1]
    confident = confident_class(probabilities, given)
    off = (confident >= 0) & (confident != given)
    counts = np.zeros((count, count))
    np.add.at(counts, (confident[off], given[off]), 1)
    class_totals = counts.sum(axis=1)
    pairs = float((class_totals * (class_totals - 1)).sum())
    return float((counts * (counts - 1)).sum()) * (count - 1) / pairs if pairs else float("inf")


def issue_score(probabilities: Probabilities, given: Labels) -> tuple[NDArray[np.float64], str]:
    """The score that ranks labels, the most doubtful first: float64 (n,), and the reason, a sentence.

    If wrong labels are spread evenly, the odds that a label is wrong are, by Bayes, the odds of the other class against
    the label; nothing else matters. If wrong labels go to similar classes, the class of a wrong label remains probable,
    and low odds belong to unusual images: then the margin ranks better.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    if unevenness(probabilities, given) >= EVEN:
        reason = "They are ranked by the margin, because they concentrate on particular pairs of classes."
        return margin(probabilities, given), reason
    own = probabilities[np.arange(len(given)), given].astype(np.float64)
    best_other = margin(probabilities, given) + own
    odds = np.log(np.maximum(best_other, SMALLEST)) - np.log(np.maximum(own, SMALLEST))
    return odds, "They are ranked by the odds, because they are spread evenly over classes."


def contradicted(probabilities: Probabilities, given: Labels) -> NDArray[np.bool_]:
    """Images off the diagonal of the confident joint whose label is not the most probable class, bool (n,).

    The off-diagonal counts are the label errors of section 3.2 ("confident joint"). If the label of such an image is
    still the most probable class, it is doubtful, but no better label can be proposed.
    """
    confident = confident_class(probabilities, given)
    return np.asarray((confident >= 0) & (confident != given) & (margin(probabilities, given) > 0), np.bool_)


def rank_label_issues(probabilities: Probabilities, given: Labels) -> LabelIssueRanking:
    """Images that are `contradicted`, and images for which another class is at least 0.4 more probable.

    The latter are included because half of the images of a class are below its mean, wrong labels among them: of 5 and
    20 % planted wrong labels in PACS photographs and digits `contradicted` alone finds 66 to 87 %, both together 79 to
    98 %, with the same precision within 6 points (seeds 100 to 105 of `benchmarks/label_issues.py`).

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    if not len(given) or probabilities.shape[1] < 2:
        return LabelIssueRanking(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    confident = contradicted(probabilities, given)
    margins = margin(probabilities, given)
    proposed = np.where(confident, confident_class(probabilities, given), np.asarray(probabilities).argmax(axis=1))
    rows = np.flatnonzero(confident | (margins >= CLEAR))
    scores, reason = issue_score(probabilities, given)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    return LabelIssueRanking(rows, proposed[rows].astype(np.int64), margins[rows], reason)


def _blocks(count: int) -> list[slice]:
    """Slices of rows, so that a thousand classes of a hundred thousand images need no copies of the whole array."""
    return [slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE)]


def directions(features: NDArray[np.generic]) -> Values:
    """Features (n, D) as float32 vectors of length 1, after the square root of each feature (with its sign).

    Distances between them are 1 minus the cosine, 0 to 2; for non-negative features this is the Hellinger distance
    (Arandjelović and Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012). Drawings
    planted among PACS photographs, features of SqueezeNet: average precision 0.56; plain cosines have 0.18 and
    standardised or whitened features at most 0.10 (17 of 1,687 images, 4 seeds).
    """
    values = np.asarray(features, np.float32)
    values = np.sign(values) * np.sqrt(np.abs(values))
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(lengths, 1e-12), np.float32)


def one_of_each(rows: Rows, groups: Rows) -> Rows:
    """The first of `rows` in each duplicate group, in order."""
    _, first = np.unique(groups[rows], return_index=True)
    return np.asarray(rows[np.sort(first)], np.int64)


def nearest_in(vectors: Values, rows: Rows, among: Rows, groups: Rows, count: int) -> list[Rows]:
    """The nearest images to each of some images, nearest first; without its duplicates and duplicates of each other.

    Args:
        vectors: from `directions`, (n, D).
        rows: int64 (m,), the images.
        among: rows to choose from; the first of several duplicates is used.
        groups: int64 (n,), equal for duplicates.
        count: largest number of images.
    """
    candidates = one_of_each(among, groups)
    order, distances = nearest_neighbours(
        vectors[rows], vectors[candidates], count, groups=(groups[rows], groups[candidates])
    )
    return [candidates[places[np.isfinite(near)]] for places, near in zip(order, distances, strict=True)]


def neighbours_vote(vectors: Values, labels: Rows, groups: Rows, class_count: int) -> NDArray[np.float32]:
    """Shares of the classes among the labels of the 20 nearest images, without duplicates: float32 (n, C).

    An image has no vote about itself or its copies, so these are out-of-fold probabilities too (k nearest neighbours,
    leave-one-out). If half a class is fewer than 20 images, fewer vote, but at least 3.

    Args:
        vectors: from `directions`, (n, D).
        labels: int64 (n,), 0 to C - 1.
        groups: int64 (n,), equal for duplicates.
        class_count: C.
    """
    sizes = np.bincount(labels, minlength=class_count)
    voters = int(np.clip(np.median(sizes[sizes > 0]) // 2, 3, VOTERS))
    order, distances = nearest_neighbours(vectors, None, voters, groups=(groups, groups))
    counts = np.zeros((len(labels), class_count), np.float32)
    rows = np.repeat(np.arange(len(labels)), order.shape[1])
    np.add.at(counts, (rows, labels[order].ravel()), np.isfinite(distances).ravel().astype(np.float32))
    # If all images are copies of the same image, nobody votes, and all classes are equally probable.
    votes = counts.sum(axis=1, keepdims=True)
    return np.where(votes > 0, counts / np.maximum(votes, 1), np.float32(1 / class_count)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class GivenProbabilities:
    """A file with a column for each class, whose values are not checked yet.

    Attributes:
        file: path of the file.
        frame: its cells as text; the first column has the paths.
        order: names of the columns, in the order of the classes.
    """

    file: Path
    frame: pl.DataFrame
    order: list[str]

    def of(self, images: AuditImages, needed: NDArray[np.int64]) -> tuple[NDArray[np.float32], list[str]]:
        """Probabilities of images, in the order of the classes.

        Args:
            images: all images.
            needed: int64 (n,), positions of the images that the file must contain.

        Returns:
            float32 (n, C), rows sum to 1; and sentences to print.

        Raises:
            InputError: images that are missing or listed twice, or values that are not probabilities.
        """
        rows, notes = _match_rows(self.file, self.frame.to_series(0).fill_null("").to_list(), images, needed)
        cells = self.frame[rows]
        values = np.column_stack([cells[name].cast(pl.Float64, strict=False).to_numpy() for name in self.order])
        _check_values(self.file, values, cells, rows, self.order)
        return (values / values.sum(axis=1, keepdims=True)).astype(np.float32), notes


def open_probabilities(file: Path, classes: Sequence[str]) -> GivenProbabilities:
    """Read the user's file and check its columns, which is cheap and is done before any image is decoded.

    Args:
        file: CSV with commas and a header. The first column names images as `eyeshot audit` does (path below the
            training folder), or by a path that leads there; the other columns are the classes.
        classes: classes of the training images.

    Raises:
        InputError: there is no such file, or classes are unknown or missing.
    """
    if len(classes) < 2:
        raise InputError(
            f"--probabilities are about labels, so they need training images of at least two classes, got "
            f"{len(classes)}. Give class folders or --labels, or leave out --probabilities."
        )
    frame = _read_csv(file)
    columns = {_normalised(name): name for name in frame.columns[1:]}
    class_keys = [_normalised(name) for name in classes]
    unknown = [name for name in columns if name not in set(class_keys)]
    missing = [name for name in class_keys if name not in columns]
    if unknown or missing or len(columns) < frame.width - 1:
        raise InputError(
            f"--probabilities needs a column for each of the {len(classes)} classes after the column of paths, and "
            f"no other columns, got {frame.width - 1} in {str(file)!r}"
            + (f"; unknown: {_listed(unknown)}" if unknown else "")
            + (f"; missing: {_listed(missing)}" if missing else "")
            + ". Name the columns like the classes."
        )
    return GivenProbabilities(file, frame, [columns[name] for name in class_keys])


def warn_of_fitted(probabilities: NDArray[np.floating], given: NDArray[np.int64]) -> list[str]:
    """A sentence if the probabilities look as if their model had been fitted on the same images."""
    agreed = agreement(probabilities, given)
    if agreed <= TOO_GOOD:
        return []
    return [
        f"The probabilities agree with {100 * agreed:.2f} % of the labels. A model that was fitted on these images "
        "hides their wrong labels: give probabilities of held-out folds."
    ]


def _read_csv(file: Path) -> pl.DataFrame:
    try:
        # As bytes, because polars would read a path that is a pattern or a folder as many files.
        frame = pl.read_csv(file.read_bytes(), infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(
            f"--probabilities must be a CSV file (UTF-8, commas, a header) with a path and a column for each class, "
            f"got {str(file)!r}: {reason}."
        ) from error
    if frame.width < 3 or not frame.height:
        raise InputError(
            f"--probabilities must be a CSV file with a column of paths, at least two of classes, and rows, got "
            f"{frame.width} columns and {frame.height} rows in {str(file)!r}. Separate columns with commas."
        )
    return frame


def _match_rows(
    file: Path, cells: Sequence[str], images: AuditImages, needed: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[str]]:
    """The row of each needed image."""
    train = range(len(images.train))
    by_id = {_normalised(images.ids[position]): position for position in train}
    by_path = {_normalised(Path(images.paths[position]).as_posix()): position for position in train}
    row_of: dict[int, int] = {}
    strangers = []
    for row, cell in enumerate(cells):
        name = _normalised(cell.replace("\\", "/").removeprefix("./"))
        position = by_id.get(name, by_path.get(_normalised(Path(os.path.abspath(cell.strip())).as_posix())))
        if position is None:
            strangers.append(cell)
        elif position in row_of:
            raise InputError(
                f"--probabilities must name each image once, got {cell!r} in rows {row_of[position] + 1} and {row + 1} "
                f"of {str(file)!r}. Average the rows, or remove one of them."
            )
        else:
            row_of[position] = row
    absent = [images.ids[position] for position in needed.tolist() if position not in row_of]
    if absent:
        hint = f" Paths in it look like {strangers[0]!r}." if strangers else ""
        raise InputError(
            f"--probabilities must hold every labelled image that can be read, got {str(file)!r} without "
            f"{len(absent)} of {len(needed)}: {_listed(absent)}.{hint} Add their rows, with paths below the training "
            "folder."
        )
    notes = []
    if strangers:
        notes.append(
            f"{len(strangers)} rows of {file.name} name no image of the training folder and were ignored: "
            f"{_listed(strangers)}."
        )
    return np.array([row_of[position] for position in needed.tolist()], np.int64), notes


def _check_values(
    file: Path, values: NDArray[np.float64], cells: pl.DataFrame, rows: NDArray[np.int64], columns: list[str]
) -> None:
    bad = ~np.isfinite(values) | (values < 0) | (values > 1 + SUM_WITHIN)
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        value = cells.item(row, columns[column])
        raise InputError(
            f"--probabilities must be numbers from 0 to 1, got {value!r} for class {columns[column]!r} in row "
            f"{rows[row] + 1} of {str(file)!r} ({int(bad.sum())} such values). Apply softmax to logits. "
            "Images without probabilities need a fold too."
        )
    sums = values.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > SUM_WITHIN)
    if len(wrong):
        raise InputError(
            f"Each row of --probabilities must sum to 1 (within {SUM_WITHIN}), got {sums[wrong[0]]:.4f} in row "
            f"{rows[wrong[0]] + 1} of {str(file)!r} ({len(wrong)} such rows). Divide each row by its sum if these are "
            "probabilities of all classes."
        )


def _normalised(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:NAMED])) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
