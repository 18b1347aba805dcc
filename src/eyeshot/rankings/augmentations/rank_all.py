"""The ranking of all: candidates judged by cover get their short runs, parts, and places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import draw_half_samples, half_sample_interval
from eyeshot.rankings.augmentations import run_words
from eyeshot.rankings.augmentations.candidates import Judged, gain_of, place_in_report
from eyeshot.rankings.augmentations.evaluate import Evaluation, scaled_log_loss
from eyeshot.rankings.augmentations.kept_labels import CleanHead
from eyeshot.rankings.augmentations.measure import Measured
from eyeshot.rankings.augmentations.one_ranking import Gains, Mixed, agreement, mix, order_by, ranks, shift_weight
from eyeshot.rankings.augmentations.ranking import rank_gains
from eyeshot.rankings.augmentations.report import Candidate, Order, Part, Shift, ShortRun
from eyeshot.rankings.augmentations.run_gains import RunGains, gains_of_runs
from eyeshot.sweep import SweepResult, Trial

RANKED, HARDER = "ranked", "harder"


@dataclass(frozen=True, eq=False)
class Ranker:
    """What the parts of the ranking are made of, the same before, between and after the rounds.

    Attributes:
        measured: by name.
        by_distance: whether distance stands in the place of reach.
        weight: of the larger of reach and cover after the run; the larger of both validations has the rest.
        weight_words: where it comes from.
        head: on clean images.
        clean_loss: float64 (n_val,), of that head; None without a head stage.
        head_losses: the same for heads on clean images and views, by name; empty without a head stage.
        val_halves: bool (B, n_val)
    """

    measured: Mapping[str, Measured]
    by_distance: bool
    weight: float
    weight_words: str
    head: CleanHead
    clean_loss: NDArray[np.float64] | None
    head_losses: Mapping[str, NDArray[np.float64]]
    val_halves: NDArray[np.bool_]

    @property
    def targets(self) -> int:
        """M, number of target images."""
        return len(next(iter(self.measured.values())).cover.covered)

    def run_gains(self, names: Sequence[str], runs: Mapping[str, Trial]) -> RunGains:
        """Gains of short runs, or of heads where the network was not trained."""
        return gains_of_runs(
            [runs.get(name) for name in names],
            [self.head_losses.get(name) for name in names],
            self.clean_loss,
            val_halves=self.val_halves,
            targets=self.targets,
        )

    def parts(self, kind: str, names: Sequence[str], found: RunGains) -> dict[str, Gains]:
        """Gains of the candidates of one list, by part; `found` holds their short runs'."""
        validation = {"validation": found.validation}
        if self.clean_loss is not None:
            validation = {"head": found.head} | validation
        if kind == HARDER:
            return validation | {"hidden": found.hidden}
        gains = [gain_of(self.measured[name], self.by_distance) for name in names]
        values, halves = np.array([gain[0] for gain in gains]), np.column_stack([gain[1] for gain in gains])
        reach = Gains(values, halves, 1 / self.targets, is_share=not self.by_distance)
        return {"reach": reach, "cover_after_run": found.cover} | validation

    def mix(self, kind: str, parts: Mapping[str, Gains]) -> Mixed:
        """The larger of reach and cover after the run, against the larger of validation by the head and by the network.

        Both of the former are the share of the target that is newly covered, before and after training: their sum would
        count the same images twice. Each is blind to something: reach to cures that no candidate is by name, the other
        to what so few steps have not taught yet. So a candidate has what either of them sees. Likewise a network that
        is a few steps from its head has not learned yet what it is changed for, and would fall behind candidates
        whose network was not touched: what the head has shown stays.
        """
        validation = _validations(parts)
        if kind == HARDER:
            return mix(parts, [(0.5, validation), (0.5, ["hidden"])])
        return mix(parts, [(self.weight, ["reach", "cover_after_run"]), (1 - self.weight, validation)])

    def order(self, kind: str, names: Sequence[str], runs: Mapping[str, Trial]) -> list[str]:
        """The candidates of one list, first to last."""
        if not names:
            return []
        return order_by(names, self.mix(kind, self.parts(kind, names, self.run_gains(names, runs))).combined)


def make_ranker(
    measured: Sequence[Measured],
    judged: Judged,
    head: CleanHead,
    *,
    shift: Shift,
    target_is_validation: bool,
    head_stage: bool,
    seed: int,
) -> Ranker:
    """Fix the weight and the half-samples of validation images.

    Args:
        measured: all candidates.
        judged: what cover says of them.
        head: on clean images.
        shift: where the weight comes from.
        target_is_validation: no shift by construction.
        head_stage: whether heads on frozen features are a first stage of the runs, as for pretrained weights.
        seed: of the half-samples.
    """
    weight, why = shift_weight(shift, target_is_validation=target_is_validation)
    labels = head.held_out_labels
    losses = {}
    if head_stage:
        losses = {one.name: scaled_log_loss(one.kept.probabilities_after, labels) for one in measured}
    return Ranker(
        measured={one.name: one for one in measured},
        by_distance=judged.ranked_by == "nearest_distance",
        weight=weight,
        weight_words=why,
        head=head,
        clean_loss=scaled_log_loss(head.probabilities, labels) if head_stage else None,
        head_losses=losses,
        val_halves=draw_half_samples(len(labels), 2, seed=seed + 1).target,
    )


def rank_all(judged: Judged, ranker: Ranker, short: SweepResult) -> tuple[Judged, Order]:
    """Candidates with their short runs, parts and places in the ranking of all; roles stay."""
    found: dict[str, Candidate] = {}
    order: Order | None = None
    clear, clean_group = judged.clear, judged.clean_group
    for kind in (RANKED, HARDER):
        everyone = [one for one in judged.candidates if one.role == kind]
        if not everyone:
            continue
        names = [one.name for one in everyone]
        gains = ranker.run_gains(names, short.trials)
        for number, one in enumerate(everyone):
            run = _short_run(one.name, number, gains, ranker, short)
            reasons = [*one.reasons, *run_words.run_reasons(run)]
            found[one.name] = one.model_copy(update={"run": run, "reasons": reasons})
        parts = ranker.parts(kind, names, gains)
        # Without one part that is known there is no place.
        known: NDArray[np.bool_] = np.any([np.isfinite(part.values) for part in parts.values()], axis=0)
        if not known.any():
            continue
        parts = {name: part.take(known) for name, part in parts.items()}
        listed = [found[name] for name, is_known in zip(names, known, strict=True) if is_known]
        names = [one.name for one in listed]
        mixed = ranker.mix(kind, parts)
        ranking = rank_gains(mixed.combined, mixed.over_halves)
        places = {int(position): place for place, position in enumerate(ranking.order, start=1)}
        placed = {name: ranks(part.values) for name, part in parts.items()}
        for number, one in enumerate(listed):
            own = {
                name: Part(
                    value=_known(part.values[number]),
                    standardised=float(mixed.standardised[name][number]),
                    rank=placed[name][number],
                )
                for name, part in parts.items()
            }
            found[one.name] = one.model_copy(
                update={
                    "rank": places[number],
                    "tie_group": int(ranking.tie_group[number]),
                    "combined": float(mixed.combined[number]),
                    "combined_interval": half_sample_interval(
                        float(mixed.combined[number]), mixed.over_halves[:, number]
                    ),
                    "parts": own,
                    "reasons": [*one.reasons, *run_words.head_counts(own)],
                }
            )
        if kind == RANKED:
            order = _order(names, parts, mixed, ranker)
            clear, clean_group = bool(ranking.beats[ranking.order[0]]), ranking.clean_group
    for one in judged.candidates:
        if one.name in ("clean", "no-op"):
            found[one.name] = one.model_copy(update={"tie_group": clean_group, "combined": 0.0})
    candidates = [found.get(one.name, one) for one in judged.candidates]
    candidates.sort(key=place_in_report)
    if order is None:
        order = _order([], {}, None, ranker)
    return replace(judged, candidates=candidates, clear=clear, clean_group=clean_group), order


def _validations(parts: Mapping[str, Gains]) -> list[str]:
    """Parts of which the larger counts as validation."""
    return [name for name in ("head", "validation") if name in parts]


def _order(names: list[str], parts: Mapping[str, Gains], mixed: Mixed | None, ranker: Ranker) -> Order:
    if mixed is None:
        by_cover = by_validation = np.empty(0)
    else:
        by_cover = mixed.terms[0]
        # Without a run there is no place in this order: 0 would be one.
        read = [np.isfinite(parts[name].values) for name in _validations(parts)]
        by_validation = np.where(np.any(read, axis=0), mixed.terms[1], np.nan)
    alike = agreement(by_cover, by_validation)
    first, second = order_by(names, by_cover), order_by(names, by_validation)
    return Order(
        weight=ranker.weight,
        weight_words=ranker.weight_words,
        spreads={} if mixed is None else mixed.spreads,
        agreement=alike,
        by_cover=first,
        by_validation=second,
        words=run_words.two_orders(first, second, agreement=alike, weight=ranker.weight),
    )


def _short_run(name: str, number: int, gains: RunGains, ranker: Ranker, short: SweepResult) -> ShortRun | None:
    """The record of one candidate, whose gains stand in column `number`."""
    run = short.trials.get(name)
    ended = None if run is None else run.ended
    if run is not None and run.evaluations:
        return _network_run(run, number, gains, short)
    loss = ranker.head_losses.get(name)
    if loss is None:
        return ShortRun(stage="network", starts=short.seeds, steps=0, rounds=0, ended=ended) if ended else None
    gain, ends = gains.log_loss.of(number)
    head = ranker.head
    accuracy = float((ranker.measured[name].kept.probabilities_after.argmax(1) == head.held_out_labels).mean())
    return ShortRun(
        stage="head",
        starts=1,
        steps=0,
        rounds=0,
        accuracy=accuracy,
        accuracy_gain=accuracy - head.accuracy,
        log_loss=float(loss.mean()),
        log_loss_gain=gain,
        log_loss_interval=ends,
        ended=ended,
    )


def _network_run(run: Trial, number: int, gains: RunGains, short: SweepResult) -> ShortRun:
    def mean(name: str, evaluations: Sequence[Evaluation] = run.evaluations) -> float:
        return float(np.mean([np.mean(getattr(one, name)) for one in evaluations]))

    hidden = bool(len(run.evaluations[0].hidden_right))
    loss, loss_ends = gains.log_loss.of(number)
    after, after_ends = gains.cover.of(number)
    return ShortRun(
        stage="network",
        starts=len(run.evaluations),
        steps=run.steps,
        rounds=run.rung,
        accuracy=mean("right"),
        accuracy_gain=mean("right") - mean("right", run.reference),
        log_loss=mean("log_loss"),
        log_loss_gain=loss,
        log_loss_interval=loss_ends,
        cover_after_run=mean("cover"),
        cover_after_run_gain=after,
        cover_after_run_interval=after_ends,
        balance=mean("balance"),
        confidence=mean("confidence"),
        hidden_before=mean("hidden_right", short.before) if hidden else None,
        hidden_after=mean("hidden_right") if hidden else None,
        hidden_gain=gains.hidden.of(number)[0] if hidden else None,
        ended=run.ended,
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
