"""Composes a policy from what was measured: up to three operations by what of the target each adds.

Operations are taken greedily on one half of the target. The other half, which no choice has seen, says what the policy
covers. No label of the target is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import (
    MOST_OPERATIONS,
    SCALABLE,
    Augmentation,
    PolicyStage,
    PolicyStep,
    augmentation,
    policy_augmentation,
)
from eyeshot.core import Progress, listing, percent, wilson
from eyeshot.rankings.augmentations.context import IDENTITY, EvalContext
from eyeshot.rankings.augmentations.coverage import CoverageScores, Target, measure_coverage
from eyeshot.rankings.augmentations.label_preservation import SIGNIFICANCE, find_label_breaking, mcnemar
from eyeshot.rankings.augmentations.recommendation import (
    CONTROL_ADVICE,
    HARDLY_ANY,
    LEAST_IMAGES,
    LEAST_STEPS,
)
from eyeshot.rankings.augmentations.report import Candidate, PolicyOperation, PolicyRecord, Shift
from eyeshot.rankings.augmentations.result import JointMap
from eyeshot.rankings.augmentations.scores import AugmentationScores, measure

POLICY = "policy"
"""Of the policy's cloud on the map."""
TRIED_PER_FAMILY = 2
"""Candidates of each family that are tried on top of what is taken: each needs as many samples as in the ranking."""
WEAKER = 0.5
"""The other strength that is tried of an operation that has several."""
LEAST_PROBABILITY, GREATEST_PROBABILITY = 0.25, 0.5
"""An operation that is taken is applied to a quarter of the images at least, and leaves half of them as they are: with
three quarters, translations of digits lost 6 points (docs/ranking-log.md)."""
ROUNDED = 0.05
STILL_OPEN = 0.5
"""Share of the coverage that held-out images have; where the target lacks more of it, coming nearer counts too."""
NEARER = 0.05
"""In logarithms of distances: an image that comes nearer by less has not moved."""
LIGHT_FROM, FULL_FROM, CLEAN_FROM = 0.05, 0.2, 0.9
"""Shares of the epochs without a shift: a network starts on clean images, then on few changed ones, and ends on clean
images, like the target. With a shift it is trained with the policy from beginning to end: clean images would teach it
what the target is not like, and short trainings have no epochs to spare."""


def compose_policy(
    context: EvalContext,
    measured: Sequence[AugmentationScores],
    candidates: Sequence[Candidate],
    *,
    advice: str,
    shift: Shift,
    pretrained: bool,
    may_rank: bool,
    progress: Progress,
) -> tuple[tuple[PolicyStep, ...], PolicyRecord, AugmentationScores | None]:
    """Take operations while one covers target images that those before it do not, beyond noise.

    Args:
        context: images, features and reference space of the ranking.
        measured: all candidates.
        candidates: their records with roles, and with short runs where there were any.
        advice: of the ranking, which stands where nothing is added.
        shift: of the target.
        pretrained: whether the model has pretrained weights.
        may_rank: whether anything is ranked at all: the probe is better than chance, and there are enough images.
        progress: told the rounds.

    Returns:
        the operations in order (none trains on clean images); what each adds, and what the policy covers; scores of its
        cloud for the map, None where nothing was composed.

    Costs forward passes of up to eleven candidates in each round after the first.
    """
    shifted = shift.ratio is None or shift.ratio < HARDLY_ANY
    judged = _drawn_half(len(context.target.points), context.seed)
    steps: list[PolicyStep] = []
    covering: tuple[PolicyStep, ...] = ()
    operations: list[PolicyOperation] = []
    if may_rank and (shifted or not pretrained):
        names = _composable(measured, candidates)
        held_out_share = shift.held_out_consistent or shift.held_out_coverage or 0.0
        for number in range(MOST_OPERATIONS):
            progress(number, MOST_OPERATIONS, "composing the policy")
            found = _next_operation(context, names, steps, chosen_on=~judged, held_out_share=held_out_share)
            if found is None:
                break
            steps.append(found[0])
            operations.append(found[1])
            if found[1].nearer is not None:
                step = PolicyStep(CONTROL_ADVICE, 1.0, GREATEST_PROBABILITY)
                is_there = any(own.name == CONTROL_ADVICE for own in names) and found[0].operation != CONTROL_ADVICE
                if is_there and not _breaks_labels(context, [*steps, step]):
                    why = "the usual default, since distance alone says little"
                    steps.append(step)
                    operations.append(_as_default(step.probability, why))
                break
        covering = tuple(steps)  # of masking and mixing coverage says nothing
        regulariser = _regulariser(candidates)
        if regulariser is not None and len(steps) < MOST_OPERATIONS:
            steps.append(PolicyStep(regulariser.name, 1.0, augmentation(regulariser.name).probability))
            operations.append(
                PolicyOperation(
                    name=regulariser.name, strength=1.0, probability=steps[-1].probability, added=None,
                    why="better than clean images in short runs, on whole and on half-masked validation images",
                )
            )  # fmt: skip
        progress(MOST_OPERATIONS, MOST_OPERATIONS)
    composed = bool(steps)
    if not composed and advice == CONTROL_ADVICE:
        steps = [PolicyStep(CONTROL_ADVICE, 1.0, 1.0)]
        covering = tuple(steps)
        operations = [_as_default(1.0, "the usual default, as advised")]
    stages = _stages(shifted) if composed else ()
    scores = _measured_policy(context, covering) if covering else None
    before = context.identity_coverage(context.samples_per_image).consistent[judged]
    after = before if scores is None else scores.cloud.consistent[judged]
    record = PolicyRecord(
        words=_words(operations, before, after, composed=composed, may_rank=may_rank),
        composed=composed,
        operations=operations,
        stages=list(stages),
        n_chosen_on=int((~judged).sum()),
        n_judged=int(judged.sum()),
        covered_before=float(before.mean()),
        covered_before_interval=wilson(int(before.sum()), len(before)),
        covered_after=float(after.mean()),
        covered_after_interval=wilson(int(after.sum()), len(after)),
    )
    return tuple(step._replace(stages=stages) for step in steps), record, scores if composed else None


def _as_default(probability: float, why: str) -> PolicyOperation:
    return PolicyOperation(name=CONTROL_ADVICE, strength=1.0, probability=probability, added=None, why=why)


def _drawn_half(count: int, seed: int) -> NDArray[np.bool_]:
    """bool (M,), the half of the target that only judges the policy."""
    judged = np.zeros(count, bool)
    judged[np.random.default_rng([seed, 7]).permutation(count)[: count // 2]] = True
    return judged


def _composable(measured: Sequence[AugmentationScores], candidates: Sequence[Candidate]) -> list[Augmentation]:
    """Ranked candidates, which break no labels, that a policy's file can name: the catalogue's, as it has them."""
    ranked = {candidate.name for candidate in candidates if candidate.role == "ranked"}
    own = [scores.augmentation for scores in measured if scores.augmentation is not None and scores.name in ranked]
    return [
        candidate
        for candidate in own
        if ":" not in candidate.name
        if candidate.operation.fingerprint == augmentation(candidate.name).operation.fingerprint
    ]


def gain_over(
    scores: CoverageScores, control: CoverageScores, rows: NDArray[np.bool_], *, nearer: bool
) -> tuple[float, int, int]:
    """The gain of a cloud over a control on some target images, and how many of them were won and lost.

    Args:
        scores: of the cloud.
        control: of another one.
        rows: bool (M,), the images that count.
        nearer: whether images count that come nearer, and the mean logarithm of their distance is the gain; otherwise
            those that are newly covered with a consistent label, and their share.
    """
    if not nearer:
        won, lost = scores.consistent & ~control.consistent & rows, control.consistent & ~scores.consistent & rows
        return float((won.sum() - lost.sum()) / rows.sum()), int(won.sum()), int(lost.sum())
    closer = (np.log(np.maximum(control.distance, 1e-6)) - np.log(np.maximum(scores.distance, 1e-6)))[rows]
    return float(closer.mean()), int((closer > NEARER).sum()), int((closer < -NEARER).sum())


def _next_operation(
    context: EvalContext,
    candidates: Sequence[Augmentation],
    taken: Sequence[PolicyStep],
    *,
    chosen_on: NDArray[np.bool_],
    held_out_share: float,
) -> tuple[PolicyStep, PolicyOperation] | None:
    """The candidate that adds the most of the target on top of what is taken; None where none does beyond noise.

    What counts is what it newly covers. Where the shift leaves most of the target without coverage, and no first
    candidate adds any, it is how many images come nearer.
    """
    here = replace(context, before=(*context.before, *map(policy_augmentation, taken)))
    names = {step.operation for step in taken}
    left = [candidate for candidate in candidates if candidate.name not in names]
    tried = left if not taken else _shortlist(context, here, left, chosen_on)
    count = context.samples_per_image
    more, present = _samples(here, augmentation(IDENTITY), 2 * count)
    control = _reach(here, more, present)
    own = (more[:, :count], present[:, :count])
    reached = {candidate.name: _reach_with(here, candidate, *own) for candidate in tried}
    share = float(control.consistent[chosen_on].mean())
    open_share = held_out_share - share
    by_distance = not taken and open_share > STILL_OPEN * held_out_share
    for nearer in (False, True) if by_distance else (False,):
        gains = []
        for candidate in tried:
            gain, won, lost = gain_over(reached[candidate.name], control, chosen_on, nearer=nearer)
            if won - lost >= LEAST_IMAGES and mcnemar(won, lost) * len(tried) <= SIGNIFICANCE and gain > 0:
                gains.append((gain, candidate))
        for gain, candidate in sorted(gains, key=lambda pair: -pair[0]):
            step, gain = _at_best_strength(here, candidate, gain, control, own, chosen_on, nearer=nearer)
            if candidate.probability < 1 and not nearer:
                wanted = round(gain / (share + gain) / ROUNDED) * ROUNDED
                wanted = float(np.clip(wanted, LEAST_PROBABILITY, GREATEST_PROBABILITY))
                step = step._replace(probability=round(wanted, 2))
            if not _breaks_labels(context, [*taken, step]):
                failed = 1 - float(_samples(here, candidate, count)[1].mean())
                return step, PolicyOperation(
                    name=step.operation, strength=step.strength, probability=step.probability,
                    added=None if nearer else gain, nearer=1 - math.exp(-gain) if nearer else None,
                    failed=failed, why=_why(gain, nearer=nearer, failed=failed),
                )  # fmt: skip
    return None


def _why(gain: float, *, nearer: bool, failed: float) -> str:
    half = "the half of the target that it was chosen on"
    words = (
        f"brings {half} nearer by {percent(1 - math.exp(-gain))} in the mean"
        if nearer
        else f"newly covers {percent(gain)} of {half}"
    )
    return words + (f"; it fails on {percent(failed)} of the samples, which stay as they are" if failed else "")


def _shortlist(
    context: EvalContext, here: EvalContext, candidates: Sequence[Augmentation], chosen_on: NDArray[np.bool_]
) -> list[Augmentation]:
    """Of each family those whose own samples add the most to the samples of what is taken, and the usual default."""
    count = context.samples_per_image
    more, present = _samples(here, augmentation(IDENTITY), count)
    keys = {}
    for candidate in candidates:
        own, succeeded = _samples(context, candidate, count)
        reach = _reach(here, np.concatenate([more, own], axis=1), np.concatenate([present, succeeded], axis=1))
        logs = np.log(np.maximum(reach.distance[chosen_on], 1e-6))
        keys[candidate.name] = (-int(reach.consistent[chosen_on].sum()), float(logs.mean()), candidate.name)
    families: dict[str, list[Augmentation]] = {}
    for candidate in sorted(candidates, key=lambda candidate: keys[candidate.name]):
        families.setdefault(candidate.family, []).append(candidate)
    chosen = {candidate.name for members in families.values() for candidate in members[:TRIED_PER_FAMILY]}
    return [candidate for candidate in candidates if candidate.name in {*chosen, CONTROL_ADVICE}]


def _at_best_strength(
    here: EvalContext,
    candidate: Augmentation,
    gain: float,
    control: CoverageScores,
    own: tuple[NDArray[np.float32], NDArray[np.bool_]],
    chosen_on: NDArray[np.bool_],
    *,
    nearer: bool,
) -> tuple[PolicyStep, float]:
    """The catalogue's strength, or half of it where that adds more beyond noise; and what it adds."""
    step = PolicyStep(candidate.name, 1.0, candidate.probability)
    if candidate.name not in SCALABLE:
        return step, gain
    full, weaker = _reach_with(here, candidate, *own), step._replace(strength=WEAKER)
    by_weaker = _reach_with(here, policy_augmentation(weaker), *own)
    _, won, lost = gain_over(by_weaker, full, chosen_on, nearer=nearer)
    if won > lost and mcnemar(won, lost) <= SIGNIFICANCE:
        return weaker, gain_over(by_weaker, control, chosen_on, nearer=nearer)[0]
    return step, gain


def _reach_with(
    here: EvalContext, candidate: Augmentation, more: NDArray[np.float32], present: NDArray[np.bool_]
) -> CoverageScores:
    """What clean images, samples of what is taken and as many with the candidate on top reach."""
    points, succeeded = _samples(here, candidate, more.shape[1])
    return _reach(here, np.concatenate([more, points], axis=1), np.concatenate([present, succeeded], axis=1))


def _samples(here: EvalContext, candidate: Augmentation, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Samples of the sources, float32 (n, V, d) and bool (n, V); where an operation failed they do not count."""
    points, present, _ = here.source_samples(candidate, count)
    return points, present


def _reach(here: EvalContext, points: NDArray[np.float32], present: NDArray[np.bool_]) -> CoverageScores:
    """How clean sources and these samples reach the target."""
    cloud = np.concatenate([here.probe.sources[:, None], points], axis=1)
    everywhere = np.concatenate([np.ones((len(points), 1), bool), present], axis=1)
    target = Target(here.target.points, here.target.radii, None, None)  # without half-samples, whose errors cost most
    return measure_coverage(target, cloud, here.labels, present=everywhere)


def _measured_policy(context: EvalContext, steps: Sequence[PolicyStep]) -> AugmentationScores:
    """Scores of images as training with the policy sees them, each operation with its probability."""
    own = tuple(map(policy_augmentation, steps))
    scores = measure(replace(context, before=(*context.before, *own)), augmentation(IDENTITY))
    return replace(scores, name=POLICY, family="policy", augmentation=None)


def _breaks_labels(context: EvalContext, steps: Sequence[PolicyStep]) -> bool:
    """Whether the operations together break labels that each of them keeps."""
    return bool(find_label_breaking(context.probe, [_measured_policy(context, steps).labels], mixing=[False])[0])


def _regulariser(candidates: Sequence[Candidate]) -> Candidate | None:
    """The first of masking and mixing that short runs show to be better; coverage cannot see them."""
    for candidate in candidates:
        run = candidate.run
        if candidate.role != "regulariser" or run is None or run.stage != "network" or run.steps < LEAST_STEPS:
            continue
        gain = run.log_loss_interval
        if gain is not None and gain[0] > 0 and (run.half_masked_gain or 0.0) > 0:
            return candidate
    return None


def _stages(shifted: bool) -> tuple[PolicyStage, ...]:
    if shifted:
        return ()
    return ("light", LIGHT_FROM, FULL_FROM), ("full", FULL_FROM, CLEAN_FROM)


def _words(
    operations: Sequence[PolicyOperation],
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    *,
    composed: bool,
    may_rank: bool,
) -> str:
    """The sentence about the policy."""
    covers = (
        f"on the half of the target that it was not composed on, it covers {percent(after.mean())} with consistent "
        f"labels, clean images {percent(before.mean())} (n {len(after)})."
    )
    if not operations and not may_rank:
        return "The policy is clean images, as nothing could be ranked: this says nothing against any operation."
    if not operations:
        return "The policy is clean images: no operation adds target images beyond noise."
    if not composed:
        return f"The policy is {operations[0].name}, as advised: no operation adds target images beyond noise; {covers}"
    return f"The policy is {listing([operation.name for operation in operations], most=3)}: {covers}"


def map_of(drawn: JointMap, count: int) -> dict[str, Any] | None:
    """The policy's map in the report: clean training, the target and samples of the policy in the projection that shows
    coverage best.

    Args:
        drawn: the joint map with the policy's cloud.
        count: points of each cloud at most.
    """
    if POLICY not in drawn.candidates or not drawn.projections:
        return None
    best = max(drawn.projections, key=lambda projection: projection.info.agreement)
    rows = np.concatenate([np.flatnonzero(drawn.cloud == name)[:count] for name in ("train", "target", POLICY)])
    xy = best.xy[rows].astype(float)
    low, high = xy.min(axis=0), xy.max(axis=0)
    scaled = np.round(100 * (xy - low) / np.maximum(high - low, 1e-9), 1)
    return {
        "projection": best.info.name,
        "cloud": drawn.cloud[rows].tolist(),
        "x": scaled[:, 0].tolist(),
        "y": scaled[:, 1].tolist(),
        "covered_before": [None if value < 0 else bool(value) for value in drawn.covered_by_clean[rows].tolist()],
        "covered_after": [None if value < 0 else bool(value) for value in drawn.covered_by_best[rows].tolist()],
        "warning": best.info.warning,
    }
