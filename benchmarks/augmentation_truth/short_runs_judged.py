"""What short runs say about the targets against the truth: estimates, the combined score, and what is advised."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.augmentation_truth.judge import CURE_LEFT_OUT, regret_of
from benchmarks.augmentation_truth.made_shifts import FAMILY_OF
from benchmarks.augmentation_truth.rankings import is_pretrained
from benchmarks.augmentation_truth.recipes import CANDIDATES
from benchmarks.augmentation_truth.scores import ScoreRow
from benchmarks.augmentation_truth.short_runs import CLEAN, NO_TARGET, Run
from benchmarks.augmentation_truth.sources import OWN
from benchmarks.augmentation_truth.statistics import best_first, spearman
from benchmarks.augmentation_truth.truth import Truth
from eyeshot.augment import augmentation
from eyeshot.core import draw_half_samples, half_means, half_sample_interval
from eyeshot.core.files import make_folder, replacing
from eyeshot.predictions import accuracy_over_halves, fit_temperature, temperature_by_image, with_temperature
from eyeshot.rankings.augmentations.combined import Gains, combine, weights_of_runs
from eyeshot.rankings.augmentations.evaluate import balance_of, scaled_log_loss
from eyeshot.rankings.augmentations.ranking import better_than_zero, rank_gains
from eyeshot.rankings.augmentations.recommendation import HARDLY_ANY

TRIVIAL = "trivial-augment"
PRODUCT = "score"
RULES = (PRODUCT, "half", "by_maturity", "by_maturity_and_evenness")
"""The product's rule, and what was tried before it; docs/ranking-log.md says what each is."""
ADVISING = (PRODUCT, "half")
SINGLE = ("target_accuracy", "coverage_gain", "validation", "evenness")
SCORES = (*RULES, *SINGLE)
ALL = "target_accuracy, all candidates"
COLUMNS = (
    *(
        "source",
        "model",
        "target",
        "without",
        "share",
        "steps",
        "candidate",
        "weight",
        "maturity",
        "rank",
        "beats_clean",
    ),
    *(f"{rule}_advised" for rule in ADVISING),
    *SCORES,
)
Table = list[dict[str, str]]


def score_targets(
    source: str, model: str, runs: Mapping[str, Run], scores: Sequence[ScoreRow], *, share: float, finished: float
) -> list[dict[str, object]]:
    """A row for each target and candidate, scored as the product does; one seed, so noise is that of images alone.

    Made shifts are scored again without the family that made them; these rows have that family in `without`.

    Args:
        source, model: which table.
        runs: of `short_runs`.
        scores: the committed scores of this table: coverage gain and measured shift by target.
        share: the budget's, of the steps of the whole training.
        finished: validation accuracy of clean training to the end.
    """
    clean = runs[CLEAN]
    labels = clean["labels"].astype(np.int64)
    # The source's classes are even among its training images to a few per cent; these are those of validation, which
    # was drawn with them.
    shares = np.bincount(labels, minlength=clean["val"].shape[1]) / len(labels)
    val_halves = draw_half_samples(len(labels), 2, seed=1).target
    losses = {name: np.exp(-scaled_log_loss(run["val"], labels)) for name, run in runs.items()}
    temperatures = {name: fit_temperature(run["val"], labels) for name, run in runs.items()}
    temperature_parts = {
        name: temperature_by_image(with_temperature(run["val"], temperatures[name]), labels)
        for name, run in runs.items()
    }
    maturity = maturity_of(float((clean["val"].argmax(1) == labels).mean()), finished, labels)
    rows: list[dict[str, object]] = []
    for target in [key for key in clean if key not in NO_TARGET]:
        of_target = {row["candidate"]: row for row in scores if row["target"] == target}
        weight = float(next(iter(of_target.values()))["shift_weight"] or 0)
        halves = draw_half_samples(len(clean[target]), 2, seed=0).target
        gains: dict[str, dict[str, tuple[float, NDArray[np.float64]]]] = {"target_accuracy": {}, "evenness": {}}
        for name in (CLEAN, *CANDIDATES):
            scaled = with_temperature(runs[name][target], temperatures[name])
            gains["target_accuracy"][name] = accuracy_over_halves(
                scaled, shares, temperature_parts[name], target_halves=halves, validation_halves=val_halves
            )
            # Of the mean prediction of each half-sample, (B, C): one row of it is all that evenness reads.
            of_halves = halves.astype(np.float64) @ scaled / halves.sum(1, keepdims=True)
            gains["evenness"][name] = balance_of(scaled), np.array([balance_of(mean[None]) for mean in of_halves])
        gains["validation"] = {
            name: (float(values.mean()), half_means(values, val_halves)) for name, values in losses.items()
        }
        # The committed scores hold no half-samples of coverage gain, so its noise is not in the groups.
        gains["coverage_gain"] = {CLEAN: (0.0, np.zeros(len(halves)))} | {
            name: (float(row["coverage_gain"]), np.full(len(halves), float(row["coverage_gain"])))
            for name, row in of_target.items()
            if row["role"] == "ranked"
        }
        everyone = [name for name in CANDIDATES if of_target.get(name, {}).get("role") == "ranked"]
        shared = {
            "source": source, "model": model, "target": target, "share": share,
            "steps": int(clean["steps"]), "weight": weight, "maturity": maturity,
        }  # fmt: skip
        for without in dict.fromkeys((None, FAMILY_OF.get(target))):
            names = [name for name in everyone if without is None or of_target[name]["family"] != without]
            ranked = _rank(
                names, gains, weight, maturity,
                resolution=(1 / halves.shape[1], 1 / val_halves.shape[1]),
                no_shift=is_pretrained(model) and weight < 1 - HARDLY_ANY,
            )  # fmt: skip
            rows += [shared | {"without": without or "", "candidate": name} | values for name, values in ranked.items()]
        # Regularisers and label-breaking candidates have an estimate too, but no place in the product's ranking.
        rows += [
            shared
            | {"without": "", "candidate": name}
            | {part: gains[part][name][0] for part in ("target_accuracy", "evenness")}
            for name in (CLEAN, *CANDIDATES)
            if name not in everyone
        ]
    return rows


def _rank(
    names: Sequence[str],
    gains: Mapping[str, Mapping[str, tuple[float, NDArray[np.float64]]]],
    weight: float,
    maturity: float,
    *,
    resolution: tuple[float, float],
    no_shift: bool,
) -> dict[str, dict[str, object]]:
    """The columns of the ranked candidates by every rule.

    Args:
        names: of the ranked candidates.
        gains: of each part, by candidate and of clean: the value, and (B,) on half-samples.
        weight, maturity: of the measured shift, and see `maturity_of`.
        resolution: of target and of validation images.
        no_shift: whether the network is pretrained and there is hardly any shift; the product then advises clean.
    """

    def part(name: str) -> Gains:
        of_clean = gains[name][CLEAN]
        return Gains(
            np.array([gains[name][each][0] - of_clean[0] for each in names]),
            np.column_stack([gains[name][each][1] - of_clean[1] for each in names]),
            resolution[1] if name == "validation" else resolution[0],
            is_share=name != "evenness",
        )

    parts = {name: part(name) for name in SINGLE}
    columns: dict[str, dict[str, object]] = {}
    for number, name in enumerate(names):
        # Levels, but of validation, which is a mean probability: there the gain says more.
        columns[name] = {part: gains[part][name][0] for part in ("target_accuracy", "coverage_gain", "evenness")}
        columns[name]["validation"] = float(parts["validation"].values[number])
    for rule in RULES:
        by_part = weights_of_runs(weight) if rule == PRODUCT else _weights(rule, weight, maturity)
        combined, over_halves, _ = combine(parts, [(share, [name]) for name, share in by_part.items()])
        for number, name in enumerate(names):
            columns[name][rule] = float(combined[number])
        if rule not in ADVISING:
            continue
        _, groups, beats, _ = rank_gains(combined, over_halves, may_beat=better_than_zero(combined, over_halves))
        advised = CLEAN if no_shift else _advised(names, combined, over_halves, groups, beats)
        order = np.lexsort((-combined, groups)).tolist()
        for number, name in enumerate(names):
            columns[name][f"{rule}_advised"] = int(name == advised)
            if rule == PRODUCT:
                columns[name] |= {"rank": order.index(number) + 1, "beats_clean": int(beats[number])}
    return columns


def _weights(rule: str, weight: float, maturity: float) -> dict[str, float]:
    """The weights of parts in the rules that were tried before the product's."""
    said = 1.0 if rule == "half" else maturity**2
    of_runs = {"target_accuracy": weight * said / 2, "validation": (1 - weight) * said}
    by_part = of_runs | {"coverage_gain": 1 - sum(of_runs.values())}
    if rule == "by_maturity_and_evenness":
        by_part["evenness"] = by_part["target_accuracy"] = by_part["target_accuracy"] / 2
    return by_part


def maturity_of(short: float, finished: float, labels: NDArray[np.int64]) -> float:
    """How near a short clean training is to the end of training, 0-1: its accuracy above chance, as a share.

    Args:
        short: validation accuracy after the short run.
        finished: validation accuracy that training ends at; at chance there is nothing to reach.
        labels: int64 (n_val,), classes of the validation images; chance is to answer always the most frequent.
    """
    chance = float(np.bincount(labels).max() / len(labels))
    return 1.0 if finished <= chance else float(np.clip((short - chance) / (finished - chance), 0, 1))


def _advised(
    names: Sequence[str],
    combined: NDArray[np.float64],
    over_halves: NDArray[np.float64],
    groups: NDArray[np.int64],
    beats: NDArray[np.bool_],
) -> str:
    """As the product: the first, where it beats clean and can be told from TrivialAugment; otherwise TrivialAugment, or
    clean where that breaks labels or is worse than clean."""
    first = int(np.lexsort((-combined, groups))[0])
    trivial = names.index(TRIVIAL) if TRIVIAL in names else None
    if beats[first] and (trivial is None or groups[trivial] > 1 or trivial == first):
        return names[first]
    if trivial is None or half_sample_interval(float(combined[trivial]), over_halves[:, trivial])[1] < 0:
        return CLEAN
    return TRIVIAL


def write_rows(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write the rows of a table, beside those of other shares that the file has."""
    texts = [
        {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in row.items()}
        for row in rows
    ]
    new = {row["share"] for row in texts}
    kept = [row for row in read_rows(file) if row["share"] not in new] if file.is_file() else []
    make_folder(file.parent)
    with replacing(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in sorted([*kept, *texts], key=lambda row: float(row["share"])):
            writer.writerow([row.get(name, "") for name in COLUMNS])


def read_rows(file: Path) -> Table:
    """The rows of a table as text."""
    with open(file, encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def by_situation(rows: Table) -> dict[tuple[str, str], Table]:
    """The rows by share and situation: "shifted", "not shifted" and "shifted, cure left out"."""
    found: dict[tuple[str, str], Table] = {}
    for row in rows:
        situation = CURE_LEFT_OUT if row["without"] else "not shifted" if row["target"] == OWN else "shifted"
        found.setdefault((row["share"], situation), []).append(row)
    return found


def figures(rows: Table, truths: Sequence[Truth]) -> dict[str, dict[str, float]]:
    """Mean Spearman correlation and regret (points) over the targets of some rows, by score; regret of what is advised.

    Regret is against the best of all candidates and clean, on another seed than the best was chosen on. The rows are
    of one share, and of all candidates or of those without the cure.
    """
    measured: dict[str, list[tuple[float | None, float | None]]] = {}
    for target in dict.fromkeys(row["target"] for row in rows):
        of_target = [row for row in rows if row["target"] == target]
        truth = next(
            each
            for each in truths
            if (each.source, each.model, each.target) == (of_target[0]["source"], of_target[0]["model"], target)
        )
        if of_target[0]["without"]:
            gone = of_target[0]["without"]
            truth = truth.only(name for name in truth.names if augmentation(name).family != gone)
        known = [row for row in of_target if row["candidate"] in truth.names and row["candidate"] != CLEAN]
        is_ranked = np.array([row[PRODUCT] != "" for row in known])
        ranked = [row for row, kept in zip(known, is_ranked, strict=True) if kept]
        means = dict(zip(truth.names, truth.mean.tolist(), strict=True))
        accuracy = np.array([means[row["candidate"]] for row in known])
        for name in SCORES:
            values = np.array([float(row[name]) for row in ranked])
            first = ranked[best_first(values)]["candidate"]
            correlation = spearman(values, accuracy[is_ranked]).value
            measured.setdefault(name, []).append((correlation, regret_of(first, truth)))
        if not of_target[0]["without"]:
            values = np.array([float(row["target_accuracy"]) for row in known])
            first = known[best_first(values)]["candidate"]
            measured.setdefault(ALL, []).append((spearman(values, accuracy).value, regret_of(first, truth)))
        for rule in ADVISING:
            advised = next((row["candidate"] for row in of_target if row[f"{rule}_advised"] == "1"), CLEAN)
            measured.setdefault(f"{rule}, advised", []).append((None, regret_of(advised, truth)))
        for label, name in (("always TrivialAugment", TRIVIAL), (CLEAN, CLEAN)):
            measured.setdefault(label, []).append((None, regret_of(name, truth)))
    return {name: _means(pairs) for name, pairs in measured.items()}


def _means(pairs: Sequence[tuple[float | None, float | None]]) -> dict[str, float]:
    columns = {"spearman": [pair[0] for pair in pairs], "regret": [pair[1] for pair in pairs]}
    known = {name: [value for value in values if value is not None] for name, values in columns.items()}
    return {name: float(np.mean(values)) for name, values in known.items() if values} | {"targets": len(pairs)}


def log_line(table: str, share: str, situation: str, measured: Mapping[str, Mapping[str, float]]) -> str:
    """A line of the tables in `docs/ranking-log.md`: Spearman (regret) by score, then regrets of advice and baselines.

    A regret below 0, which noise can give, is written as 0.
    """
    cells = []
    for name in (*RULES, "target_accuracy", "coverage_gain", "validation", "evenness"):
        correlation = measured[name].get("spearman")
        shown = "–" if correlation is None else f"{correlation:.2f}".replace("-", "−")
        cells.append(f"{shown} ({max(0.0, measured[name]['regret']):.1f})")
    for name in (*(f"{rule}, advised" for rule in ADVISING), "always TrivialAugment", CLEAN):
        cells.append(f"{max(0.0, measured[name]['regret']):.1f}")
    return f"| {table} | {100 * float(share):.0f} % | {situation} | {' | '.join(cells)} |"
