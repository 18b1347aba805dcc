"""Fewer samples for hopeless candidates: successive rejection by intervals.

Most of the time of a ranking goes into forward passes of augmented samples. A candidate that after the first of them is
sure to stay behind another one is measured with what it has by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eyeshot.augment import Augmentation
from eyeshot.core import Progress, half_sample_interval, listing, plural, wilson
from eyeshot.rankings.augmentations.context import EvalContext
from eyeshot.rankings.augmentations.label_preservation import find_label_breaking
from eyeshot.rankings.augmentations.recommendation import CONTROL_ADVICE, LEAST_COVERAGE
from eyeshot.rankings.augmentations.scores import UNRANKED_FAMILIES, AugmentationScores, measure
from eyeshot.rankings.augmentations.settings import samples_of


def measure_candidates(
    context: EvalContext, candidates: Sequence[Augmentation], *, may_reject: bool, progress: Progress
) -> tuple[list[AugmentationScores], list[str]]:
    """All scores of augmentations, in their order; hopeless ones are measured with fewer samples, and a note says so.

    Args:
        context: what they are measured with.
        candidates: the augmentations.
        may_reject: whether to look for hopeless ones; see `run_race`.
        progress: called with the number of candidates that are done.
    """
    best: str | None = None
    done: dict[str, AugmentationScores] = {}
    rejected: dict[str, int] = {}
    if may_reject:
        best, done, rejected = run_race(context, candidates, progress=progress.sub("first samples of candidates"))
    step = progress.sub("measuring candidates")

    def scores_of(candidate: Augmentation) -> AugmentationScores:
        return done.get(candidate.name) or measure(context, candidate, samples=rejected.get(candidate.name))

    measured = []
    for number, candidate in enumerate(candidates):
        step(number, len(candidates), candidate.name)
        measured.append(scores_of(candidate))
    # Classes are harder to learn from fewer samples, so all samples decide whether a candidate breaks labels.
    breaking = find_label_breaking(
        context.probe, [scores.labels for scores in measured], mixing=[scores.mixes for scores in measured]
    )
    for number, candidate in enumerate(candidates):
        if breaking[number] and candidate.name in rejected:
            del rejected[candidate.name]
            measured[number] = scores_of(candidate)
    step(len(candidates), len(candidates))
    return measured, _notes(best, rejected, context.samples_per_image)


def run_race(
    context: EvalContext, candidates: Sequence[Augmentation], *, progress: Progress
) -> tuple[str | None, dict[str, AugmentationScores], dict[str, int]]:
    """Successive rejection of candidates.

    After v of V samples per image a candidate is rejected if V / v times what it newly covers, at the upper end of its
    interval (Wilson, 95 %), is less than what the best one gains with all its samples, at the lower end of its own:
    further samples cover in the mean no more new images than the first ones did, because some are covered already.
    The best one is the first by its first samples that is not label-breaking. Nothing is rejected where it covers so
    little that distances would rank.

    Returns:
        the best one, None if nothing surely gains; what was measured with all samples on the way, by name; the samples
        per image that each rejected one is left with.
    """
    whole = {one.name: samples_of((*context.before, one), context.samples_per_image) for one in candidates}
    # Coverage does not rank the others, and the usual default is compared with in every case.
    racing = [one for one in candidates if one.family not in UNRANKED_FAMILIES and one.name != CONTROL_ADVICE]
    measured: dict[str, AugmentationScores] = {}
    rejected: dict[str, int] = {}
    best: str | None = None
    floor = 0.0
    for samples in range(1, context.samples_per_image):
        clean = context.identity_coverage(samples).consistent
        newly, gains = {}, {}
        for number, candidate in enumerate(racing):
            progress(number, len(racing), candidate.name)
            cloud_points, present, _ = context.source_samples(candidate, min(samples, whole[candidate.name]))
            consistent = context.coverage_of(cloud_points, present).consistent
            newly[candidate.name] = int((consistent & ~clean).sum())
            gains[candidate.name] = float(consistent.mean() - clean.mean())
        if best is None:
            best, floor = _best(context, sorted(racing, key=lambda one: (-gains[one.name], one.name)), gains, measured)
        racing = [one for one in racing if samples < whole[one.name] and one.name != best]
        for candidate in racing if best is not None else ():
            name = candidate.name
            if wilson(newly[name], len(clean))[1] * whole[name] / samples < floor:
                rejected[name] = samples
        racing = [one for one in racing if one.name not in rejected and one.name not in measured]
        if best is None or not racing:
            break
    return best, measured, rejected


def _best(
    context: EvalContext,
    order: Sequence[Augmentation],
    gains: dict[str, float],
    measured: dict[str, AugmentationScores],
) -> tuple[str | None, float]:
    """The first candidate that gains and keeps labels, and its gain at the lower end; `measured` gets all tried."""
    for candidate in order:
        if gains[candidate.name] <= 0:
            break
        scores = measured[candidate.name] = measure(context, candidate)
        # Holm's correction is the milder the more candidates are tested, so whoever passes alone passes among all.
        if find_label_breaking(context.probe, [scores.labels], mixing=[False])[0]:
            continue
        floor = half_sample_interval(*scores.gain(by_distance=False))[0]
        if floor > 0 and scores.cloud.coverage >= LEAST_COVERAGE:
            return candidate.name, floor
        break
    return None, 0.0


def _notes(best: str | None, rejected: Mapping[str, int], samples_per_image: int) -> list[str]:
    if not rejected:
        return []
    count = len(rejected)
    return [
        f"{count} {plural(count, 'candidate was', 'candidates were')} measured with fewer than {samples_per_image} "
        f"samples per image: at the rate of the first, even all of them would surely cover less than {best} "
        f"({listing(sorted(rejected))})."
    ]
