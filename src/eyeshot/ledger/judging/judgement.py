"""An experiment against its parent: from stored predictions to what was got, the gain and the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError, listing, plural, points
from eyeshot.ledger.judging.noise import noise_of, noise_sd
from eyeshot.ledger.judging.verdicts import allowed_p, chance_words, estimate_disagrees, verdict_of
from eyeshot.ledger.run_predictions import stored_estimate
from eyeshot.ledger.runs import record_of
from eyeshot.ledger.store.database import Ledger, open_ledger
from eyeshot.ledger.store.records import Experiment, Gain, Got, Verdict
from eyeshot.predictions import Predictions, check_probabilities, gain_of, join_folds, mean_accuracy, paired_gain
from eyeshot.training import VALIDATION_FILE, read_result, read_validation

SEED = "training.seed"
SEED_NAMES = frozenset({"seed", SEED})
LOCK_WAIT_S = 600.0


def is_replicate(difference: Mapping[str, Any]) -> bool:
    """Whether an experiment changes nothing but the seed, so that its parent is the same recipe."""
    return bool(difference) and not difference.keys() - SEED_NAMES


def judge(
    root: Path, experiment_id: str, parent: Experiment | None, *, looks: int = 1, settle: bool = True
) -> tuple[Experiment, Gain | None]:
    """Compare the finished runs of an experiment with those of its parent, and write down what came.

    Args:
        root: `find_workspace().root`.
        experiment_id: with at least one finished run.
        parent: None: there is none, and nothing is compared.
        looks: how often it may be looked at, planned before its first run.
        settle: write it down even where the two are not distinguishable; else only a clear answer is written.

    Returns:
        the experiment, and the gain; None without a parent.

    Raises:
        InputError: predictions of other images or classes, or damaged ones.
    """
    # Two that end at once must not both be the k-th comparison with their parent.
    with filelock.FileLock(root / "verdict.lock", timeout=LOCK_WAIT_S), open_ledger(root, write=True) as ledger:
        experiment = ledger.experiment(experiment_id)
        runs, against = root / "runs", () if parent is None else _runs_of_parent(experiment, parent)
        grids = _same_folds(_tables(runs, experiment.runs), _tables(runs, against))
        own, theirs = (_joined(grid) for grid in grids)
        child, other, notes = _answers(own, theirs)
        images = child.shape[1]
        trained = [table for grid in grids for folds in grid.values() for table in folds.values()]
        noise = noise_of(
            runs, [child, other] if theirs else [child], images=_images_of_folds(grids[0], images),
            models={record_of(runs / table.run).model for table in trained}, keep=True,
        )  # fmt: skip
        accuracy = mean_accuracy(child, *noise)
        facts: dict[str, Any] = {
            "value": accuracy.value, "low": accuracy.low, "high": accuracy.high, "n": images,
            "seeds": tuple(sorted(seed for seed in grids[0] if seed >= 0)),
            "folds": tuple(sorted({fold for folds in grids[0].values() for fold in folds if fold is not None})),
            "noise": noise_sd(noise),
            "seconds": _seconds(runs, (*experiment.runs, *experiment.parent_runs)),
        }  # fmt: skip
        if parent is not None:
            comparisons = 1 + _compared(ledger, parent, experiment)
            allowed = allowed_p(comparisons, looks)
            difference = paired_gain(child, other, noise=noise)
            facts |= {
                "difference": difference.value, "difference_low": difference.low, "difference_high": difference.high,
                "p": difference.p, "allowed_p": allowed, "comparisons": comparisons, "against": parent.id,
            }  # fmt: skip
            if np.array_equal(child, other):
                notes.append("Both give the same answers on every image: the change has no effect.")
        facts |= _estimates(experiment, parent, facts.get("difference"))
        got = Got(**facts)
        if parent is None:
            return ledger.append(experiment.id, "got", got=got), None
        gain, verdict, words = _verdict(experiment, got)
        if settle or gain != "not distinguishable":
            ledger.append(experiment.id, "got", got=got)
            experiment = ledger.append(experiment.id, "verdict", verdict=verdict, gain=gain, words=words)
            for note in notes:
                if all(note != said["text"] for said in experiment.notes):  # not again after a kill
                    experiment = ledger.append(experiment.id, "note", text=note)
    return experiment, gain


def got_words(got: Got) -> list[str]:
    """What stands beside a gain: p and what it is allowed, the noise, and the estimate; in sentences."""
    words = []
    if got.p is not None and got.comparisons is not None:
        p = "below 0.001" if got.p < 0.001 else f"{got.p:.3f}"
        words.append(f"p is {p} for no difference to {got.against}. {chance_words(got.comparisons, got.allowed_p)}")
    if got.noise is not None:
        words.append(f"Seeds of one recipe differ by {points(got.noise)} here (SD of accuracy).")
    elif got.difference is not None:
        words.append(
            "The noise between seeds is not measured here; it was taken from the images on which the two differ. "
            "Measure it: --seeds 3, or the parent with another --set training.seed."
        )
    if got.estimate_difference is not None:
        words.append(
            f"On the test images, estimated without labels: {100 * got.estimate_difference:+.1f} points"
            f"{', against what validation says' if got.estimate_disagrees else ''}."
        )
    return words


def _runs_of_parent(experiment: Experiment, parent: Experiment) -> tuple[str, ...]:
    """Runs to compare with: where images, weights or code have changed since, those trained anew."""
    return experiment.parent_runs if experiment.plan.get("parent_anew") else (*parent.runs, *experiment.parent_runs)


def _verdict(experiment: Experiment, got: Got) -> tuple[Gain, Verdict, str]:
    """Gain and verdict, and the verdict in words; a replicate differs by chance alone, whatever the test says."""
    assert got.difference is not None
    assert got.p is not None
    assert got.allowed_p is not None
    gain = gain_of(got.difference, got.p, got.allowed_p)
    if is_replicate(experiment.difference):
        gain = "not distinguishable"
    verdict, words = verdict_of(experiment.expected, got, gain)
    if is_replicate(experiment.difference):
        words += " It changes nothing but the seed: its parent is the same recipe, and any difference is chance."
    if got.estimate_disagrees and got.estimate_difference is not None:
        words += (
            f" The estimate on the test images disagrees with validation: {100 * got.estimate_difference:+.1f} points "
            "there."
        )
    return gain, verdict, words


Grid = dict[int, dict[int | None, Predictions]]
"""Predictions on validation by seed and fold; unknown seeds are numbered from -1 down."""


def _tables(runs: Path, ids: Sequence[str]) -> Grid:
    """Predictions on validation of each seed and fold; the runs that have none yet are left out."""
    grid: Grid = {}
    for number, run_id in enumerate(dict.fromkeys(ids), 1):
        if not (runs / run_id / VALIDATION_FILE).is_file():
            continue
        table = read_validation(runs / run_id)
        check_probabilities(table.probabilities, name=run_id)  # a training may have ended in NaN
        seed = seed_of(runs / run_id)
        # The same seed twice is the same training, of other data perhaps: the later one counts.
        grid.setdefault(-number if seed is None else seed, {})[table.fold] = replace(table, run=run_id)
    return grid


def _same_folds(own: Grid, theirs: Grid) -> tuple[Grid, Grid]:
    """The seeds that have the same folds, of both, so that each image has as many answers as every other.

    Where time ended within a round of folds, either the folds or the seeds of the round are left out, whichever leaves
    more trainings; folds, where both leave as many: they tell of more images.
    """
    of_both = [[set(folds) for folds in grid.values()] for grid in (own, theirs or own)]
    chosen: set[int | None] = set()
    most = 0
    for folds in (one & other for one in of_both[0] for other in of_both[1]):
        count = len(folds) * min(sum(folds <= each for each in side) for side in of_both)
        if (count, len(folds)) > (most, len(chosen)):
            chosen, most = folds, count
    if not chosen:  # no fold in common: compared on the images that both have
        return own, theirs
    return _with_folds(own, chosen), _with_folds(theirs, chosen)


def _with_folds(grid: Grid, folds: set[int | None]) -> Grid:
    return {
        seed: {fold: table for fold, table in of_seed.items() if fold in folds}
        for seed, of_seed in grid.items()
        if folds <= set(of_seed)
    }


def _joined(grid: Grid) -> list[Predictions]:
    """One table a seed, its folds joined."""
    return [join_folds([*folds.values()], run=next(iter(folds.values())).run) for folds in grid.values()]


def _images_of_folds(grid: Grid, images: int) -> list[int]:
    """How many images each training validated on; `images` where it did on all."""
    folds = next(iter(grid.values()))
    return [images] if len(folds) == 1 else [len(table) for table in folds.values()]


def seed_of(folder: Path) -> int | None:
    """The seed of a run; None where it is not known."""
    seed = record_of(folder).config.get("seed")
    return seed if isinstance(seed, int) else None


def _answers(
    child: Sequence[Predictions], parent: Sequence[Predictions]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], list[str]]:
    """bool (seeds, n) of child and parent on the images that all have predicted, with the child's labels.

    Decisions may have dropped validation images or changed their labels in between: what both have is compared, by
    what is known now.
    """
    notes: list[str] = []
    if not child:
        raise InputError("An experiment is judged by its predictions, and it has none yet.")
    first = child[0]
    shared = set(first.ids).intersection(*(table.ids for table in (*child, *parent)))
    ids = [image for image in first.ids if image in shared]
    most = max(len(table) for table in (*child, *parent))
    if len(ids) < 2:
        raise InputError(
            f"An experiment is compared with its parent on the same images, but {first.run!r} and "
            f"{parent[0].run if parent else 'others'!r} share {len(ids)}. Train them with the same split."
        )
    if len(ids) < most:
        notes.append(f"Compared on the {len(ids)} images that both validated on, of up to {most}.")
    for table in (*child, *parent):
        if set(table.classes) != set(first.classes):
            differing = sorted(set(table.classes) ^ set(first.classes))
            raise InputError(
                f"An experiment must have the classes of its parent, but {first.run!r} and {table.run!r} differ in "
                f"{listing(differing)}."
            )
    known: dict[str, str] = {}
    for table in (*parent, *child):  # later ones go first
        known |= _labels(table)
    ids = [image for image in ids if image in known]
    if not ids:
        raise InputError(
            "An experiment is judged on images with labels, but none has one. Log predictions with labels."
        )
    truth = np.array([known[image] for image in ids])
    relabelled = {image for table in parent for image, label in _labels(table).items() if known[image] != label}
    if count := len(relabelled & set(ids)):
        notes.append(f"{count} {plural(count, 'image')} had another label then; both are judged by today's.")
    return _right(child, ids, truth), _right(parent, ids, truth), notes


def _labels(table: Predictions) -> dict[str, str]:
    """Names of the classes of labelled images, by id."""
    if table.labels is None:
        return {}
    return {
        image: table.classes[label] for image, label in zip(table.ids, table.labels.tolist(), strict=True) if label >= 0
    }


def _right(tables: Sequence[Predictions], ids: Sequence[str], truth: Any) -> NDArray[np.bool_]:
    """bool (seeds, n): whether each answer is right."""
    right = np.zeros((len(tables), len(ids)), np.bool_)
    for number, table in enumerate(tables):
        place = {image: row for row, image in enumerate(table.ids)}
        answers = np.asarray(table.probabilities).argmax(1)[[place[image] for image in ids]]
        right[number] = np.asarray(table.classes)[answers] == truth
    return right


def _compared(ledger: Ledger, parent: Experiment, experiment: Experiment) -> int:
    """How many other experiments have been compared with this parent; replicates of it are no comparison."""
    rows = ledger.rows(
        "difference", where="parent = ? AND id <> ? AND verdict IS NOT NULL", values=(parent.id, experiment.id)
    )
    return sum(not is_replicate(row["difference"] or {}) for row in rows)


def _estimates(experiment: Experiment, parent: Experiment | None, difference: float | None) -> dict[str, Any]:
    """The estimated accuracy on the test images where both have predicted them, beside what validation says."""
    own = _mean_estimate(experiment.runs)
    if own is None:
        return {}
    theirs = None if parent is None else _mean_estimate(_runs_of_parent(experiment, parent))
    if theirs is None or difference is None:
        return {"estimate": own[0]}
    change = own[0] - theirs[0]
    return {
        "estimate": own[0], "estimate_difference": change,
        "estimate_disagrees": estimate_disagrees(difference, change, math.hypot(own[1], theirs[1])),
    }  # fmt: skip


def _mean_estimate(runs: Sequence[str]) -> tuple[float, float] | None:
    """Mean of the runs' estimates on the test images and half its interval; None where none can be made."""
    estimates = [estimate for run in dict.fromkeys(runs) if (estimate := stored_estimate(run)) is not None]
    if not estimates:
        return None
    halves = [(estimate.high - estimate.low) / 2 for estimate in estimates]
    return float(np.mean([estimate.value for estimate in estimates])), float(np.mean(halves))


def _seconds(runs: Path, ids: Sequence[str]) -> float:
    """Seconds of training of finished runs; a logged one does not say it."""
    results = [read_result(runs / run_id) for run_id in dict.fromkeys(ids)]
    return sum(result.seconds for result in results if result is not None)
