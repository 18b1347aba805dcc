"""The combined score: estimated target accuracy and coverage gain, weighted by the measured shift.

Every part is a gain over clean images, divided by its median absolute deviation (MAD) over candidates: a large effect
is not outweighed by many small effects. Coverage gain has half of the weight 1 minus (coverage of the target / coverage
of held-out training images): the larger the shift, the more it counts. Validation ranks where there is no estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from eyeshot.core import draw_half_samples, half_sample_error, half_sample_interval, percent, spearman
from eyeshot.predictions import accuracy_over_halves, fewer_than_classes, share_warnings, skill_warnings
from eyeshot.rankings.augmentations import recommendation
from eyeshot.rankings.augmentations.context import IDENTITY
from eyeshot.rankings.augmentations.evaluate import Evaluation, scaled_log_loss
from eyeshot.rankings.augmentations.label_preservation import CleanProbe
from eyeshot.rankings.augmentations.ranking import better_than_zero, least_gain, place_in_report, rank_gains
from eyeshot.rankings.augmentations.report import Candidate, Order, Part, RankedBy, Role, Shift, ShortRun
from eyeshot.rankings.augmentations.scores import CLEAN, AugmentationScores
from eyeshot.rankings.augmentations.shift import LEAST_CONSISTENT
from eyeshot.sweep import SweepResult, Trial

RANKED: Role = "ranked"
REGULARISER: Role = "regulariser"
TARGET_PARTS = ("target_accuracy", "coverage_gain")
"""Parts that are shares of the target images, each in its own MAD unit; `coverage_gain` is a distance if distances
rank."""
RUN_PARTS = ("probe_validation", "validation", "log_loss", "target_accuracy", "post_training_coverage", "half_masked")
MAD_TO_SD = 1.4826
UNKNOWN_WEIGHT = 0.5
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gains:
    """One part for K candidates: gains over clean images, so clean itself is 0; larger is better.

    Attributes:
        values: float64 (K,), NaN if not measured.
        over_halves: float64 (B, K), the same on half-samples, paired; NaN if not measured.
        resolution: the smallest difference that the part can show: the effect of a single image.
        is_share: whether the part is a share of images, which can be compared with other shares directly.
    """

    values: Array
    over_halves: Array
    resolution: float
    is_share: bool = True

    def take(self, chosen: NDArray[np.bool_]) -> Gains:
        """Some of the candidates."""
        return Gains(self.values[chosen], self.over_halves[:, chosen], self.resolution, self.is_share)

    def of(self, number: int) -> tuple[float, tuple[float, float]]:
        """The gain of a candidate with its 95 % interval, which is limited to -1 to 1 for shares."""
        value = float(self.values[number])
        low, high = half_sample_interval(value, self.over_halves[:, number])
        return value, (max(low, -1.0), min(high, 1.0)) if self.is_share else (low, high)


@dataclass(frozen=True, eq=False)
class Scoreboard:
    """Everything that the combined score is made of; it is the same before, between and after the rungs.

    Attributes:
        measured: the scores of each candidate, by name.
        by_distance: whether distance replaces the coverage gain.
        weight: weight of the parts that read the target; validation has the rest.
        weight_words: the reason for the weight, in words.
        target_is_validation: whether the target is the validation images, whose labels are known.
        probe: linear probe on clean images.
        clean_loss: float64 (n_val,), log loss of that probe; None without a probe stage.
        sample_losses: log loss of the probes on clean images and samples, by name; empty without a probe stage.
        val_halves: bool (B, n_val), the half-samples of the validation images.
        target_halves: bool (B, M), the half-samples of the target images, which coverage is measured on too.
        class_shares: float64 (C,), how often each class is assumed to occur among the target images.
    """

    measured: Mapping[str, AugmentationScores]
    by_distance: bool
    weight: float
    weight_words: str
    target_is_validation: bool
    probe: CleanProbe
    clean_loss: Array | None
    sample_losses: Mapping[str, Array]
    val_halves: NDArray[np.bool_]
    target_halves: NDArray[np.bool_]
    class_shares: Array
    _estimates: dict[Evaluation, tuple[float, Array]] = field(default_factory=dict)

    def target_accuracy(self, evaluation: Evaluation) -> tuple[float, Array]:
        """The estimated accuracy on the target, and (B,) that on half-samples of target and validation images."""
        if evaluation not in self._estimates:
            self._estimates[evaluation] = accuracy_over_halves(
                evaluation.target_probabilities, self.class_shares, evaluation.temperature_parts,
                target_halves=self.target_halves, validation_halves=self.val_halves,
            )  # fmt: skip
        return self._estimates[evaluation]

    def run_gains(self, names: Sequence[str], runs: Mapping[str, Trial]) -> dict[str, Gains]:
        """Gains of short runs, or of probes if the network was not trained; see `gains_of_runs`."""
        return gains_of_runs(
            [runs.get(name) for name in names],
            [self.sample_losses.get(name) for name in names],
            self.clean_loss,
            val_halves=self.val_halves,
            targets=self.target_halves.shape[1],
            target_accuracy=self.target_accuracy,
        )

    def parts(self, role: str, names: Sequence[str], run_gains: Mapping[str, Gains]) -> dict[str, Gains]:
        """Gains of the candidates of a role, by part."""
        validation = ["validation"] if self.clean_loss is None else ["probe_validation", "validation"]
        if role == REGULARISER:
            return {part: run_gains[part] for part in (*validation, "half_masked")}
        gains = [self.measured[name].gain(by_distance=self.by_distance) for name in names]
        coverage_gain = Gains(
            np.array([value for value, _ in gains]),
            np.column_stack([halves for _, halves in gains]),
            run_gains["target_accuracy"].resolution,
            is_share=not self.by_distance,
        )
        return {
            "target_accuracy": run_gains["target_accuracy"],
            "coverage_gain": coverage_gain,
            **{part: run_gains[part] for part in validation},
        }

    def combine(self, role: str, parts: Mapping[str, Gains]) -> tuple[Array, Array, list[Array]]:
        """The combined score of the candidates of a role; see `combine` and `weights_of_runs`.

        Where the target is the validation images, their labels are known, and validation alone ranks. If no network was
        trained, coverage gain and the validation of probes share the weight. A network fine-tuned for a few steps can
        score below its own linear probe, so the larger of the two validations counts. The last term is validation.
        """
        validation = validations(parts)
        if role == REGULARISER:
            return combine(parts, [(0.5, validation), (0.5, ["half_masked"])])
        if self.target_is_validation or not np.isfinite(parts["target_accuracy"].values).any():
            return combine(parts, [(self.weight, ["coverage_gain"]), (1 - self.weight, validation)])
        terms = [(share, [name]) for name, share in weights_of_runs(self.weight).items()]
        return combine(parts, [*terms, (0.0, validation)])

    def order(self, role: str, names: Sequence[str], runs: Mapping[str, Trial]) -> list[str]:
        """The candidates of a role, best first; any role but that of regularisers is scored as ranked."""
        if not names:
            return []
        parts = self.parts(role, names, self.run_gains(names, runs))
        combined, _, _ = self.combine(role, parts)
        return order_by(names, combined)


def make_scoreboard(
    measured: Sequence[AugmentationScores],
    probe: CleanProbe,
    *,
    ranked_by: RankedBy,
    shift: Shift,
    target_is_validation: bool,
    probe_stage: bool,
    target_halves: NDArray[np.bool_],
    class_shares: Array,
    seed: int,
) -> Scoreboard:
    """Fix the weight and the half-samples of validation images.

    Args:
        measured: all candidates.
        probe: linear probe on clean images.
        ranked_by: what `score` is.
        shift: the shift that gives the weight.
        target_is_validation: whether the target is the validation images, so that there is no shift by construction.
        probe_stage: whether probes on frozen features are the first stage of the runs, as for pretrained weights.
        target_halves: bool (B, M), the half-samples of the target images.
        class_shares: float64 (C,), how often each class is assumed to occur among the target images.
        seed: seed of the half-samples of validation images.
    """
    weight, why = shift_weight(shift, target_is_validation=target_is_validation)
    labels = probe.held_out_labels
    losses = {}
    if probe_stage:
        losses = {scores.name: scaled_log_loss(scores.labels.probabilities_after, labels) for scores in measured}
    return Scoreboard(
        measured={scores.name: scores for scores in measured},
        by_distance=ranked_by == "nearest_distance",
        weight=weight,
        weight_words=why,
        target_is_validation=target_is_validation,
        probe=probe,
        clean_loss=scaled_log_loss(probe.probabilities, labels) if probe_stage else None,
        sample_losses=losses,
        val_halves=draw_half_samples(len(labels), 2, seed=seed + 1).target,
        target_halves=target_halves,
        class_shares=class_shares,
    )


def rank_combined(
    candidates: Sequence[Candidate], board: Scoreboard, short: SweepResult
) -> tuple[list[Candidate], Order]:
    """Candidates with their short runs, parts and ranks by the combined score; roles do not change."""
    updated: dict[str, Candidate] = {}
    clean_group = next((candidate.group for candidate in candidates if candidate.name == CLEAN), None)
    order = _order([], {}, None, board)
    for role in (RANKED, REGULARISER):
        of_role = [candidate for candidate in candidates if candidate.role == role]
        if not of_role:
            continue
        names = [candidate.name for candidate in of_role]
        run_gains = board.run_gains(names, short.trials)
        for number, candidate in enumerate(of_role):
            run = _short_run(candidate.name, number, run_gains, board, short)
            reasons = [*candidate.reasons, *recommendation.run_reasons(run)]
            updated[candidate.name] = candidate.model_copy(update={"run": run, "reasons": reasons})
        parts = board.parts(role, names, run_gains)
        # A candidate without any measured part has no rank.
        known: NDArray[np.bool_] = np.any([np.isfinite(part.values) for part in parts.values()], axis=0)
        if not known.any():
            continue
        parts = {name: part.take(known) for name, part in parts.items()}
        names = [name for name, is_known in zip(names, known, strict=True) if is_known]
        combined = board.combine(role, parts)
        counted, over_halves, _ = board.combine(role, without_single_images(parts))
        positions, groups, beats, group_of_clean = rank_gains(
            combined[0], combined[1], may_beat=better_than_zero(counted, over_halves)
        )
        places = {int(position): place for place, position in enumerate(positions, start=1)}
        units = mad_units(parts)
        place_by_part = {name: ranks(part.values) for name, part in parts.items()}
        for number, name in enumerate(names):
            of_candidate = {
                part: Part(
                    value=_known(gains.values[number]),
                    standardised=float(np.nan_to_num(gains.values[number] / units[part])),
                    rank=place_by_part[part][number],
                )
                for part, gains in parts.items()
            }
            score = float(combined[0][number])
            updated[name] = updated[name].model_copy(
                update={
                    "rank": places[number],
                    "group": int(groups[number]),
                    "beats_clean": bool(beats[number]),
                    "combined": score,
                    "combined_interval": half_sample_interval(score, combined[1][:, number]),
                    "parts": of_candidate,
                    "reasons": [*updated[name].reasons, *recommendation.probe_reasons(of_candidate)],
                }
            )
        if role == RANKED:
            order = _order(names, parts, combined[2], board)
            clean_group = group_of_clean
    for candidate in candidates:
        if candidate.name in (CLEAN, IDENTITY):
            updated[candidate.name] = candidate.model_copy(update={"group": clean_group, "combined": 0.0})
    return sorted((updated.get(candidate.name, candidate) for candidate in candidates), key=place_in_report), order


def shares_notes(short: SweepResult, board: Scoreboard, *, words: str) -> list[str]:
    """What the estimated accuracies assume, and whether clean training contradicts it or knows nothing."""
    trained = [trial for trial in short.trials.values() if trial.evaluations]
    if not trained:
        return []
    latest = max(trained, key=lambda trial: trial.steps)
    notes = [f"Estimated accuracy on the target assumes that classes occur there {words} (--target-shares)."]
    clean = latest.reference[0]
    probabilities = clean.target_probabilities
    if fewer := fewer_than_classes(len(probabilities), board.class_shares):
        notes.append(fewer)
    warnings = skill_warnings(clean.right, board.probe.held_out_labels, clean.temperature)
    warnings += share_warnings(probabilities, board.class_shares)
    return notes + [f"Clean training: {warning}" for warning in warnings]


def _order(names: list[str], parts: Mapping[str, Gains], terms: list[Array] | None, board: Scoreboard) -> Order:
    by_target = by_validation = np.empty(0)
    if terms is not None:
        *of_target, validation = terms
        by_target = np.mean(of_target, axis=0)
        # A candidate without a run has no place in this order, and the value 0 would be a place.
        measured = [np.isfinite(parts[name].values) for name in validations(parts)]
        by_validation = np.where(np.any(measured, axis=0), validation, np.nan)
    alike = agreement(by_target, by_validation)
    first, second = order_by(names, by_target), order_by(names, by_validation)
    return Order(
        weight=board.weight,
        weight_words=board.weight_words,
        units=mad_units(parts),
        agreement=alike,
        by_target=first,
        by_validation=second,
        words=recommendation.two_orders(
            first, second, agreement=alike, target_is_validation=board.target_is_validation
        ),
    )


def _short_run(
    name: str, number: int, gains: Mapping[str, Gains], board: Scoreboard, short: SweepResult
) -> ShortRun | None:
    """The record of a candidate, whose gains are in column `number`."""
    run = short.trials.get(name)
    ended = None if run is None else run.ended
    if run is not None and run.evaluations:
        return _network_run(run, number, gains, board, short)
    loss = board.sample_losses.get(name)
    if loss is None:
        return ShortRun(stage="network", seeds=short.seeds, steps=0, rungs=0, ended=ended) if ended else None
    gain, ends = gains["log_loss"].of(number)
    probe = board.probe
    predicted = board.measured[name].labels.probabilities_after.argmax(1)
    accuracy = float((predicted == probe.held_out_labels).mean())
    return ShortRun(
        stage="probe",
        seeds=1,
        steps=0,
        rungs=0,
        accuracy=accuracy,
        accuracy_gain=accuracy - probe.accuracy,
        log_loss=float(loss.mean()),
        log_loss_gain=gain,
        log_loss_interval=ends,
        ended=ended,
    )


def _network_run(
    run: Trial, number: int, gains: Mapping[str, Gains], board: Scoreboard, short: SweepResult
) -> ShortRun:
    def mean(name: str, evaluations: Sequence[Evaluation] = run.evaluations) -> float:
        return float(np.mean([np.mean(getattr(evaluation, name)) for evaluation in evaluations]))

    half_masked = bool(len(run.evaluations[0].hidden_right))
    loss, loss_ends = gains["log_loss"].of(number)
    after, after_ends = gains["post_training_coverage"].of(number)
    estimated, estimated_ends = gains["target_accuracy"].of(number)
    level, over_halves = _mean_of_seeds([board.target_accuracy(evaluation) for evaluation in run.evaluations])
    low, high = half_sample_interval(level, over_halves)
    return ShortRun(
        stage="network",
        seeds=len(run.evaluations),
        steps=run.steps,
        rungs=run.rung,
        accuracy=mean("right"),
        accuracy_gain=mean("right") - mean("right", run.reference),
        log_loss=mean("log_loss"),
        log_loss_gain=loss,
        log_loss_interval=loss_ends,
        target_accuracy=level,
        target_accuracy_interval=(max(low, 0.0), min(high, 1.0)),
        target_accuracy_gain=estimated,
        target_accuracy_gain_interval=estimated_ends,
        post_training_coverage=mean("coverage"),
        post_training_coverage_gain=after,
        post_training_coverage_interval=after_ends,
        balance=mean("balance"),
        confidence=mean("confidence"),
        half_masked_before=mean("hidden_right", short.before) if half_masked else None,
        half_masked_after=mean("hidden_right") if half_masked else None,
        half_masked_gain=gains["half_masked"].of(number)[0] if half_masked else None,
        ended=run.ended,
    )


def gains_of_runs(
    runs: Sequence[Trial | None],
    sample_losses: Sequence[Array | None],
    clean_loss: Array | None,
    *,
    val_halves: NDArray[np.bool_],
    targets: int,
    target_accuracy: Callable[[Evaluation], tuple[float, Array]],
) -> dict[str, Gains]:
    """Gains over clean images after the same number of steps from the same seeds.

    Each half-sample holds half of the validation images and of the seeds, so the interval includes the effect of
    another order of images. With a single seed it does not.

    Args:
        runs: K runs, None or without evaluations if the network was not trained.
        sample_losses: K float64 (n_val,), log loss of a probe on clean images and samples; None without a probe stage.
        clean_loss: float64 (n_val,), log loss of a probe on clean images; None without a probe stage.
        val_halves: bool (B, n_val), the half-samples of the validation images.
        targets: M, number of target images.
        target_accuracy: gives the estimated accuracy of an evaluation and, float64 (B,), its estimates on half-samples.

    Returns:
        `probe_validation` and `validation` (mean probability of the right class of validation images, by a probe on
        frozen features and by the trained network), `log_loss` (in nats, of the network, or of the probe if the network
        was not trained; only shown), `target_accuracy` (estimated), `post_training_coverage` (share of the target; only
        shown), `half_masked` (accuracy).
    """
    count, halves = len(runs), len(val_halves)
    tables = {name: (np.full(count, np.nan), np.full((halves, count), np.nan)) for name in RUN_PARTS}

    def put(name: str, number: int, gain: tuple[float, Array]) -> None:
        values, over_halves = tables[name]
        values[number], over_halves[:, number] = gain

    for number, (run, loss) in enumerate(zip(runs, sample_losses, strict=True)):
        trained = run is not None and bool(run.evaluations)
        if loss is not None and clean_loss is not None:
            put("probe_validation", number, _image_gain((np.exp(-loss) - np.exp(-clean_loss))[None], val_halves))
            if not trained:
                put("log_loss", number, _image_gain((clean_loss - loss)[None], val_halves))
        if run is None or not trained:
            continue
        pairs = list(zip(run.evaluations, run.reference, strict=True))
        losses = np.stack([clean.log_loss - evaluation.log_loss for evaluation, clean in pairs])
        put("log_loss", number, _image_gain(losses, val_halves))
        probabilities = np.stack(
            [np.exp(-evaluation.log_loss) - np.exp(-clean.log_loss) for evaluation, clean in pairs]
        )
        put("validation", number, _image_gain(probabilities, val_halves))
        estimates = [
            _estimated_gain(target_accuracy(evaluation), target_accuracy(clean)) for evaluation, clean in pairs
        ]
        put("target_accuracy", number, _mean_of_seeds(estimates))
        coverage = float(np.mean([evaluation.coverage - clean.coverage for evaluation, clean in pairs]))
        over_halves = np.stack([evaluation.half_coverage - clean.half_coverage for evaluation, clean in pairs])
        chosen = over_halves[seed_of_halves(len(pairs), halves), np.arange(halves)]
        put("post_training_coverage", number, (coverage, chosen))
        if len(run.evaluations[0].hidden_right):
            masked = np.stack([1.0 * evaluation.hidden_right - clean.hidden_right for evaluation, clean in pairs])
            put("half_masked", number, _image_gain(masked, val_halves))
    image, target = 1 / max(1, val_halves.shape[1]), 1 / max(1, targets)
    return {
        name: Gains(
            values,
            over_halves,
            target if name in ("target_accuracy", "post_training_coverage") else image,
            is_share=name != "log_loss",  # the resolution of log loss is one nat in one image
        )
        for name, (values, over_halves) in tables.items()
    }


def seed_of_halves(seeds: int, halves: int) -> NDArray[np.int64]:
    """The seed that each half-sample reads, in turn."""
    return np.arange(halves) % seeds


def _estimated_gain(estimate: tuple[float, Array], of_clean: tuple[float, Array]) -> tuple[float, Array]:
    return estimate[0] - of_clean[0], estimate[1] - of_clean[1]


def _mean_of_seeds(by_seed: Sequence[tuple[float, Array]]) -> tuple[float, Array]:
    """Mean over seeds, and the value of the half's seed on each half-sample."""
    over_halves = np.stack([halves for _, halves in by_seed])
    count = over_halves.shape[1]
    return float(np.mean([value for value, _ in by_seed])), over_halves[
        seed_of_halves(len(by_seed), count), np.arange(count)
    ]


def _image_gain(gains: Array, halves: NDArray[np.bool_]) -> tuple[float, Array]:
    """Mean over seeds and images of gains (S, n), and the mean over each half's images from its seed."""
    by_seed = gains @ halves.T.astype(np.float64) / halves.sum(axis=1)
    return float(gains.mean()), by_seed[seed_of_halves(len(gains), len(halves)), np.arange(len(halves))]


def without_single_images(parts: Mapping[str, Gains]) -> dict[str, Gains]:
    """The parts, with gains of fewer than two target images set to none; losses stay as they are."""

    def counted(gains: Gains, targets: int) -> Gains:
        few = (gains.values > 0) & (gains.values < least_gain(targets) - 1e-12)
        return Gains(
            np.where(few, 0.0, gains.values), np.where(few, 0.0, gains.over_halves), gains.resolution, gains.is_share
        )

    return {
        name: counted(gains, round(1 / gains.resolution)) if name in TARGET_PARTS and gains.is_share else gains
        for name, gains in parts.items()
    }


def validations(parts: Mapping[str, Gains]) -> list[str]:
    """The parts whose maximum is used as validation."""
    return [name for name in ("probe_validation", "validation") if name in parts]


def robust_spread(values: Array, errors: Array, resolution: float) -> float:
    """Median absolute deviation times 1.4826, at least the median standard error and the effect of one image.

    About half of the candidates have almost no effect, so this spread describes them, and a clear gain is many spreads
    wide. A standard deviation would grow with the clear gain itself, and ranks would discard its size; with either,
    many small differences in another part would outvote the clear gain. If most gains are 0, the noise is the unit.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return resolution
    spread = MAD_TO_SD * float(np.median(np.abs(known - np.median(known))))
    noise = float(np.median(errors[np.isfinite(errors)])) if np.isfinite(errors).any() else 0.0
    return max(spread, noise, resolution)


def mad_units(parts: Mapping[str, Gains]) -> dict[str, float]:
    """The MAD unit of each part: its robust spread; validation, a share of images, has the widest spread of all shares.

    Otherwise validation, in which all candidates are nearly equal when nearly all answers are right, would be magnified
    until its noise outvotes a gain of twenty points of the target.
    """
    spreads = {}
    for name, part in parts.items():
        errors = np.array([half_sample_error(part.over_halves[:, number]) for number in range(len(part.values))])
        spreads[name] = robust_spread(part.values, errors, part.resolution)
    widest = max((spreads[name] for name, part in parts.items() if part.is_share), default=0.0)
    return {
        name: widest if part.is_share and name not in TARGET_PARTS else spreads[name] for name, part in parts.items()
    }


def combine(
    parts: Mapping[str, Gains], terms: Sequence[tuple[float, Sequence[str]]]
) -> tuple[Array, Array, list[Array]]:
    """Weighted sum of terms; each term is the largest of the standardised gains of its parts.

    Args:
        parts: gains of the same K candidates.
        terms: weight and names of parts. Unmeasured parts are ignored; a term without any measured part is 0.

    Returns:
        float64 (K,) combined; (B, K) on half-samples; the terms (K,) without their weights, in the given order.
    """
    units = mad_units(parts)
    count, halves = next(iter(parts.values())).over_halves.shape[::-1]
    positions = np.arange(count)
    combined, over_halves, values_of_terms = np.zeros(count), np.zeros((halves, count)), []
    for weight, names in terms:
        values = np.stack([parts[name].values / units[name] for name in names])
        # The part that represents a candidate is chosen on all images, so the interval is the interval of that part.
        chosen = np.nan_to_num(values, nan=-np.inf).argmax(axis=0)
        over = np.stack([parts[name].over_halves / units[name] for name in names])
        values_of_terms.append(np.nan_to_num(values[chosen, positions]))
        combined = combined + weight * values_of_terms[-1]
        over_halves = over_halves + weight * np.nan_to_num(over[chosen, :, positions].T)
    return combined, over_halves, values_of_terms


def shift_weight(shift: Shift, *, target_is_validation: bool) -> tuple[float, str]:
    """The measured shift as a weight, of which coverage gain has half in the combined score, with the reason."""
    if target_is_validation:
        return 0.0, "The target is the validation images themselves, so only validation of the short runs ranks."
    if shift.weight is None:
        return UNKNOWN_WEIGHT, (
            "Not even held-out training images are covered, so the shift is unknown: coverage gain counts a quarter, "
            "accuracy estimated on the target the rest."
        )
    counts = f"coverage gain counts {percent(shift.weight / 2)}, accuracy estimated on the target the rest."
    if shift.held_out_consistent is None or shift.held_out_consistent < LEAST_CONSISTENT:
        return shift.weight, (
            f"Clean training covers, ignoring labels, {percent(shift.target_coverage)} of the target and "
            f"{percent(shift.held_out_coverage)} of held-out training images, whose neighbours hardly ever agree on a "
            f"class: {counts}"
        )
    return shift.weight, (
        f"Clean training covers {percent(shift.target_consistent)} of the target with consistent labels, and "
        f"{percent(shift.held_out_consistent)} of as many held-out training images: {counts}"
    )


def weights_of_runs(weight: float) -> dict[str, float]:
    """The weight of each part after short runs: the larger the shift, the more coverage gain counts, up to a half.

    Estimated accuracy reads what so few steps have taught, and coverage gain finds what they cannot have taught yet.
    Validation leaves the score: without a shift the estimates order no worse, and where a shift is not measured as one,
    validation misleads (docs/ranking-log.md).
    """
    return {"target_accuracy": 1 - weight / 2, "coverage_gain": weight / 2}


def ranks(values: Array) -> list[int | None]:
    """Rank of each value: 1 is the largest; equal values share the better rank; None for NaN."""
    places = np.full(len(values), 0)
    known = np.isfinite(values)
    places[known] = rankdata(-values[known], method="min")
    return [int(place) or None for place in places]


def order_by(names: Sequence[str], values: Array) -> list[str]:
    """Names from the largest value to the smallest; NaN last."""
    return [names[number] for number in np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")]


def agreement(first: Array, second: Array) -> float | None:
    """Spearman correlation of two parts; None if one of them does not vary."""
    known = np.isfinite(first) & np.isfinite(second)
    first, second = first[known], second[known]
    return None if len(first) < 3 else spearman(first, second)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
