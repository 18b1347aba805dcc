"""How near estimates of accuracy without labels come for finished trainings of all candidates, and how they order them.

Each candidate is trained to the end by the recipe of the truth, with one seed. Its probabilities on the validation
images and on each target are kept in the work folder, so the same command continues, and `--cpu-minutes 0` scores what
is there. One row for each candidate and target goes into `benchmarks/augmentation_truth/finished`, with the same on ten
half-samples of the target images; true labels are used for the true accuracy alone.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from benchmarks.augmentation_truth.recipes import CANDIDATES, CONTROLS
from benchmarks.augmentation_truth.runner import Bench
from benchmarks.augmentation_truth.sources import OWN
from benchmarks.augmentation_truth.trained import train_and_read
from benchmarks.common import ROOT, option, shared
from benchmarks.target_accuracy import SEED, VALIDATION, open_source
from eyeshot.core import draw_half_samples, spearman
from eyeshot.core.files import make_folder, replacing
from eyeshot.predictions import (
    Predictions,
    accuracy_by_image,
    choose_model,
    estimate_target_accuracy,
    fit_temperature,
    judge_model,
    with_temperature,
)
from eyeshot.rankings.augmentations.evaluate import balance_of

TRAINED = (("squeezenet-tuned", "photo"), ("small-cnn", "digits"))
"""Networks and their sources."""
NAMES = ("clean", "trivial-augment", *(name for name in CANDIDATES if name != "trivial-augment"), *CONTROLS[1:])
FINISHED = ROOT / "benchmarks" / "augmentation_truth" / "finished"
SCORES = ("cot", "confidence", "atc", "nuclear_norm", "evenness", "validation")
ACCURACIES = ("cot", "confidence", "atc", "validation")
"""Scores that estimate accuracy itself; the others only order."""
HALVES = 10
HALVED, MISSING = "half of the classes halved", "two classes missing"
RESAMPLES = 1000

Probabilities = dict[str, NDArray[np.float32]]
Row = dict[str, Any]


def kept(bench: Bench, name: str, work: Path) -> Path:
    """The file with the probabilities of a training; its name changes with the recipe, the images and the candidate."""
    folder = work / "probabilities" / f"{bench.task.name}-{bench.model.name}"
    return folder / f"{name}-{SEED}-{bench.recipe}-{bench.catalogue[name]}.npz"


def train_missing(bench: Bench, work: Path, cpu_minutes: float) -> None:
    """Train what has no probabilities yet; none begins after `cpu_minutes` of this process."""
    for name in NAMES:
        file = kept(bench, name, work)
        if file.is_file() or time.process_time() > 60 * cpu_minutes:
            continue
        begin = time.process_time()
        backbone = bench.model.load(bench.task.name, seed=SEED)
        settings = bench.model.settings(backbone, len(bench.data.train.labels), seed=SEED)
        _, found = train_and_read(
            backbone, bench.data, bench.candidates[name], settings, folder=work / "runs" / file.stem
        )
        make_folder(file.parent)
        arrays: dict[str, Any] = dict(found)
        with replacing(file) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **arrays)
        print(bench.task.name, bench.model.name, name, f"{time.process_time() - begin:.0f} s of CPU", flush=True)


def nuclear_norm(probabilities: NDArray[np.floating]) -> float:
    """Sum of the singular values over its largest value, sqrt(min(n, C) n) (Deng et al., ICML 2023, equation 3)."""
    count, classes = probabilities.shape
    return float(np.linalg.norm(probabilities.astype(np.float64), "nuc") / np.sqrt(min(count, classes) * count))


def confidence_threshold(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """The confidence above which as many validation images lie as are right (ATC: Garg et al., ICLR 2022, equation 4).

    Args:
        probabilities: (n, C) on validation images.
        labels: int64 (n,).
    """
    wrong = int((probabilities.argmax(1) != labels).sum())
    return float(np.append(np.sort(probabilities.max(1)), 1.0)[wrong])


def scores_on(
    target: NDArray[np.floating], validation: NDArray[np.floating], labels: NDArray[np.int64]
) -> Callable[[NDArray[np.int64] | NDArray[np.bool_]], Row]:
    """The scores of a training on some target images; prices and threshold are those of all target images.

    Args:
        target: (m, C) probabilities.
        validation, labels: (n, C) and int64 (n,).
    """
    temperature = fit_temperature(validation, labels)
    scaled, known = with_temperature(target, temperature), with_temperature(validation, temperature)
    shares = np.bincount(labels, minlength=target.shape[1]) / len(labels)
    by_image, _ = accuracy_by_image(scaled, shares)
    confidence, threshold = scaled.max(1), confidence_threshold(known, labels)

    def scores(rows: NDArray[np.int64] | NDArray[np.bool_]) -> Row:
        return {
            "cot": float(by_image[rows].mean()),
            "confidence": float(confidence[rows].mean()),
            "atc": float((confidence[rows] >= threshold).mean()),
            "nuclear_norm": nuclear_norm(scaled[rows]),
            "evenness": balance_of(scaled[rows]),
        }

    return scores


def rows_of(name: str, found: Probabilities, bench: Bench) -> list[Row]:
    """A row for each target of a training, and for each half-sample of it."""
    validation, known = found[VALIDATION], bench.data.val.labels
    accuracy = float((validation.argmax(1) == known).mean())
    rows: list[Row] = []
    for target in bench.task.targets:
        labels = bench.data.targets[target].labels
        right = found[target].argmax(1) == labels
        scores = scores_on(found[target], validation, known)
        halves = draw_half_samples(len(labels), 2, seed=0, count=HALVES).target
        for part, chosen in (("all", np.ones(len(labels), bool)), *enumerate(halves)):
            row = {"target": target, "candidate": name, "part": part, "n": int(chosen.sum())}
            row |= {"true": float(right[chosen].mean()), "validation": accuracy} | scores(chosen)
            rows.append(row | other_shares(found, target, bench) if part == "all" else row)
    return rows


def other_shares(found: Probabilities, target: str, bench: Bench) -> Row:
    """Truth, estimate and warning with the shares of validation, and where the target's are others than assumed."""
    labels, classes = bench.data.targets[target].labels, len(bench.data.classes)
    known = (found[VALIDATION], bench.data.val.labels)
    row: Row = {}
    for what, keep in shares_changed(labels, classes).items():
        probabilities, own = found[target][keep], labels[keep]
        estimate = estimate_target_accuracy(probabilities, validation=known)
        told = estimate_target_accuracy(
            probabilities, validation=known, class_shares=np.bincount(own, minlength=classes) / len(own)
        )
        row |= {
            f"true, {what}": float((probabilities.argmax(1) == own).mean()),
            f"cot, {what}": estimate.value,
            f"cot told, {what}": told.value,
            f"warned, {what}": int(any("either the shares are others" in each for each in estimate.warnings)),
        }
    return row


def shares_changed(labels: NDArray[np.int64], classes: int) -> dict[str, NDArray[np.bool_]]:
    """Which images, bool (n,), are left: all; every second of half of the classes; none of the last two classes."""
    place = np.zeros(len(labels), np.int64)
    for number in range(classes):
        place[labels == number] = np.arange((labels == number).sum())
    return {
        "all": np.ones(len(labels), bool),
        HALVED: (labels >= classes // 2) | (place % 2 == 0),
        MISSING: labels < classes - 2,
    }


def chosen_of(found: Mapping[str, Probabilities], bench: Bench) -> list[Row]:
    """For each target what `choose_model` takes of all trainings."""

    def table(probabilities: NDArray[np.float32], labels: NDArray[np.int64] | None = None) -> Predictions:
        return Predictions(tuple(map(str, range(len(probabilities)))), probabilities, bench.data.classes, labels)

    rows = []
    for target in bench.task.targets:
        judged = {
            name: judge_model([(table(each[VALIDATION], bench.data.val.labels), table(each[target]))])
            for name, each in found.items()
            if name in CANDIDATES or name == "clean"
        }
        choice = choose_model(judged)
        rows.append({"target": target, "by": choice.by, "chosen": choice.chosen, "tied": len(choice.tied),
                     "drop": choice.drop, "drop_error": choice.drop_error})  # fmt: skip
    return rows


def write_rows(file: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV; each line ends in its own checksum, so that an edit by hand is noticed."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    make_folder(file.parent)
    with replacing(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*names, "check"])
        for row in rows:
            values = [_text(row.get(name, "")) for name in names]
            writer.writerow([*values, _check(values)])


def read_rows(file: Path) -> list[Row]:
    """Rows of a table with numbers as numbers.

    Raises:
        ValueError: a line does not fit its checksum.
    """
    with open(file, encoding="utf-8", newline="") as stream:
        header, *lines = csv.reader(stream)
    for number, line in enumerate(lines, start=2):
        if line[-1] != _check(line[:-1]):
            raise ValueError(f"{file.name}, line {number}: its checksum does not fit, it was edited by hand.")
    return [dict(zip(header[:-1], map(_value, line[:-1]), strict=True)) for line in lines]


def figures(rows: Sequence[Row], choices: Sequence[Row], *, shifted: bool) -> dict[str, dict[str, Any]]:
    """By score: error, Spearman, regret of the first, each with 95 % interval; means over the targets.

    The interval is over target images and candidates: resamples of candidates, each read on one of the half-samples
    of target images in turn, the same for all targets.

    Args:
        rows, choices: of `read_rows`.
        shifted: of the shifted targets, or of the source's own.
    """
    targets = sorted({row["target"] for row in rows if (row["target"] != OWN) == shifted})
    candidates = [name for name in dict.fromkeys(row["candidate"] for row in rows) if name not in CONTROLS[1:]]
    value = {(row["target"], row["candidate"], row["part"]): row for row in rows}
    parts = ["all", *range(HALVES)]

    def array(score: str) -> NDArray[np.float64]:
        return np.array([[[value[t, c, p][score] for c in candidates] for t in targets] for p in parts])

    true = array("true")
    random = np.random.default_rng(0)
    draws = random.integers(0, len(candidates), (RESAMPLES, len(candidates)))
    found: dict[str, dict[str, Any]] = {}
    for score in SCORES:
        own = array(score)
        row: dict[str, Any] = {}
        if score in ACCURACIES:
            error = 100 * np.abs(own - true).mean(1)
            row["error"] = _with_interval(
                error[0].mean(), [error[1 + n % HALVES][d].mean() for n, d in enumerate(draws)]
            )
            row["bias"] = 100 * float((own - true)[0].mean())
        row["spearman"] = _with_interval(
            _mean_spearman(own[0], true[0]),
            [_mean_spearman(own[1 + n % HALVES][:, d], true[1 + n % HALVES][:, d]) for n, d in enumerate(draws)],
        )
        row["regret"] = 100 * float(np.mean([t.max() - t[s.argmax()] for s, t in zip(own[0], true[0], strict=True)]))
        found[score] = row
    place = {name: number for number, name in enumerate(candidates)}
    taken = {row["target"]: row for row in choices}
    regrets = [100 * (true[0][n].max() - true[0][n][place[taken[t]["chosen"]]]) for n, t in enumerate(targets)]
    found["the rule"] = {
        "regret": float(np.mean(regrets)), "targets": len(targets), "candidates": len(candidates),
        "by estimate": sum(taken[target]["by"] == "estimate" for target in targets),
    }  # fmt: skip
    return found


def share_figures(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """By what became of the shares, on the shifted targets: error with the shares of validation and with the true ones,
    Spearman, and how often was warned."""
    whole = [row for row in rows if row["part"] == "all" and row["candidate"] not in CONTROLS[1:]]
    found = {}
    for shifted in (True, False):
        some = [row for row in whole if (row["target"] != OWN) == shifted]
        targets = sorted({row["target"] for row in some})
        for what in ("all", HALVED, MISSING):

            def column(name: str, target: str, what: str = what, some: list[Row] = some) -> NDArray[np.float64]:
                return np.array([row[f"{name}, {what}"] for row in some if row["target"] == target])

            by_target = [[column(name, target) for name in ("true", "cot", "cot told", "warned")] for target in targets]
            found[f"{'shifted' if shifted else 'own images'}, {what}"] = {
                "error": float(np.mean([np.abs(c - t).mean() for t, c, _, _ in by_target])) * 100,
                "error told": float(np.mean([np.abs(c - t).mean() for t, _, c, _ in by_target])) * 100,
                "spearman": float(np.mean([spearman(c, t) or 0.0 for t, c, _, _ in by_target])),
                "spearman told": float(np.mean([spearman(c, t) or 0.0 for t, _, c, _ in by_target])),
                "warned": float(np.mean([w.mean() for _, _, _, w in by_target])) * 100,
            }
    return found


def published(source: str, model: str) -> list[str]:
    """The lines of the tables in docs/evidence.md that follow from the committed table of a source and a network."""
    rows, choices = (read_rows(FINISHED / f"{source}-{model}{end}.csv") for end in ("", "-choices"))
    lines = []
    for shifted, what in ((True, "shifted"), (False, "own images")):
        found = figures(rows, choices, shifted=shifted)
        for score, own in found.items():
            error = f"{_three(own['error'], 1)} | {own['bias']:+.1f}" if "error" in own else "– | –"
            order = _three(own["spearman"], 2) if "spearman" in own else "–"
            line = f"| {source}, {model}, {what} | {score} | {error} | {order} | {own['regret']:.1f} |"
            lines.append(line.replace("-", "−").replace(model.replace("-", "−"), model))
    for what, cells in share_figures(rows).items():
        values = " | ".join(f"{cells[name]:.1f}" for name in ("error", "error told"))
        orders = " | ".join(f"{cells[name]:.2f}" for name in ("spearman", "spearman told"))
        line = f"| {source}, {model}, {what} | {values} | {orders} | {cells['warned']:.0f} % |"
        lines.append(line.replace("-", "−").replace(model.replace("-", "−"), model))
    return lines


def main() -> None:
    """Train what is missing, score everything that is there, and write the tables."""
    shared()
    work = Path(option("--work", "eyeshot-out/finished-estimates"))
    minutes = float(option("--cpu-minutes", "inf"))
    for model, source in TRAINED:
        bench = open_source(source, model, CANDIDATES, work)
        train_missing(bench, work, minutes)
        found: dict[str, Probabilities] = {}
        for name in NAMES:
            # A table is written when all of it is there.
            if not kept(bench, name, work).is_file():
                print(f"{source}, {model}: {name} is not trained yet; the same command continues.", flush=True)
                found = {}
                break
            with np.load(kept(bench, name, work)) as stored:
                found[name] = {key: stored[key] for key in stored.files}
        if not found:
            continue
        rows = [row for name, each in found.items() for row in rows_of(name, each, bench)]
        write_rows(FINISHED / f"{source}-{model}.csv", rows)
        write_rows(FINISHED / f"{source}-{model}-choices.csv", chosen_of(found, bench))
        print("\n".join(published(source, model)), flush=True)


def _mean_spearman(scores: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    correlations = [spearman(own, of_truth) for own, of_truth in zip(scores, true, strict=True)]
    return float(np.mean([0.0 if each is None else each for each in correlations]))


def _with_interval(estimate: float, resampled: Sequence[float]) -> tuple[float, float, float]:
    """The estimate with the 95 % percentile interval of its resamples."""
    low, high = np.quantile(resampled, (0.025, 0.975))
    return float(estimate), float(low), float(high)


def _three(values: tuple[float, float, float], digits: int) -> str:
    value, low, high = (f"{each:.{digits}f}" for each in values)
    return f"{value} ({low} to {high})"


def _text(value: object) -> str:
    return f"{value:.5f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _value(text: str) -> float | int | str:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


def _check(values: Sequence[str]) -> str:
    return xxhash.xxh3_64_hexdigest("\x1f".join(values).encode())[:8]


if __name__ == "__main__":
    main()
