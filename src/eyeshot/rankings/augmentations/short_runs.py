"""Short paired runs of candidates: a sweep whose reference is clean training, under a budget of seconds.

All candidates that fit into the budget start from the same weights as clean training and see the same images in the
same order. They are evaluated on validation images and on the target. If the budget is too small for a single step of
each, nothing is trained, and a note says which budget would be enough.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import Progress, key_of
from eyeshot.models import Backbone, out_of_memory
from eyeshot.rankings.augmentations.combined import RANKED, REGULARISER, Scoreboard
from eyeshot.rankings.augmentations.context import EvalContext
from eyeshot.rankings.augmentations.data import Data
from eyeshot.rankings.augmentations.evaluate import (
    SHORT_RUNS,
    Evaluation,
    EvaluationFormat,
    Evaluator,
    evaluate_state,
)
from eyeshot.rankings.augmentations.plan import Plan
from eyeshot.rankings.augmentations.recommendation import CONTROL_ADVICE, budget_words
from eyeshot.rankings.augmentations.report import Budget as BudgetRecord
from eyeshot.rankings.augmentations.report import Candidate, Rung
from eyeshot.sweep import (
    LEAST_STEPS,
    SEEDS,
    Budget,
    Costs,
    SweepResult,
    SweepStore,
    Trial,
    budget_for,
    open_store,
    plan_rungs,
    promote,
    run_sweep,
)
from eyeshot.training import State, TrainConfig, TrainingRun, joined, start_state, warm_up_cosine

CLEAN = "clean"
DEFAULT = "default"
"""List of the control that is advised if nothing is better: no rung leaves it out, so that it can be."""
HIDDEN = "hidden"
"""Evaluated for regularisers in addition to the rest."""
LEAST_WAIT_S = 600.0
"""How long to wait for another process with the same short runs."""
SHARE_OF_DISK = 0.5
STATE_COPIES = 3
"""Copies of the weights in a state: the weights, and two moments of each weight in the optimizer."""
SMALLEST_SIDE = 32
VERSION = 4
"""Increased whenever the same candidate would get other numbers."""
Lists = dict[str, list[Augmentation]]


@dataclass(frozen=True, eq=False)
class CandidateTraining:
    """Trains candidates further, for a sweep; the payload of a trial is its augmentations.

    Attributes:
        backbone: the architecture.
        pool, labels: N training images and int64 (N,) their classes.
        start: weights of a classifier, from which all trials start.
        config: batch size, learning rate, weight decay, seed.
        class_count: C.
        device: where to compute.
    """

    backbone: Backbone
    pool: Pool
    labels: NDArray[np.int64]
    start: State
    config: TrainConfig
    class_count: int
    device: str

    def __call__(
        self, trial: Trial, seed: int, state: Any | None, *, first: int, steps: int, stop: Callable[[], bool]
    ) -> Any | None:
        """See `eyeshot.sweep.run.Train`; the learning rate rises and falls within these steps."""
        config = self.config.model_copy(update={"seed": self.config.seed + seed})
        run = TrainingRun(
            self.backbone, self.pool, self.labels,
            class_count=self.class_count, config=config, augmentations=trial.payload, device=self.device,
            start=self.start if state is None else None,
        )  # fmt: skip
        if state is not None:
            run.load_state_dict(state)
        rates = warm_up_cosine(config.learning_rate, steps, warm_up_share=config.warm_up_share, first=first)
        run.advance(first + steps, schedule=rates, stop=stop)
        return run.state_dict() if run.step == first + steps else None


@dataclass(frozen=True, eq=False)
class CandidateEvaluation:
    """Evaluates the states that `CandidateTraining` returns."""

    evaluator: Evaluator

    def __call__(self, trial: Trial, state: Any) -> Evaluation:
        """Evaluate on validation images, also half-masked if the trial asks for it, and on the target."""
        return evaluate_state(self.evaluator, state["model"], hidden=trial.measures == HIDDEN)


class StateFormat:
    """Stores states of training as bytes, as the store of a sweep expects."""

    def dumps(self, state: Any) -> bytes:
        """A state as bytes: tensors, numbers, strings, and lists and dicts of these."""
        stream = io.BytesIO()
        torch.save(state, stream)
        return stream.getvalue()

    def loads(self, content: bytes) -> Any:
        """The state in bytes that `dumps` returned, on the CPU."""
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def spend_budget(
    plan: Plan,
    data: Data,
    context: EvalContext,
    candidates: Sequence[Candidate],
    board: Scoreboard,
    *,
    budget_s: float,
    progress: Progress,
) -> tuple[SweepResult, BudgetRecord, list[str]]:
    """Short runs of all candidates that preserve labels, of the better candidates if only they fit, or of none.

    Returns:
        the trials, their costs, and notes.

    Raises:
        StorageError: the disk is full, or another process does the same short runs.
    """
    costs = plan.costs
    if costs is None:
        raise ValueError("plan.costs must be measured before a budget is spent")
    training, evaluator = _training(plan, data, context), _evaluator(plan, data, context)
    lists, copies = _without_copies(
        training_lists(candidates, {candidate.name: candidate for candidate in plan.candidates})
    )
    total = sum(map(len, lists.values()))
    head_stage = board.clean_loss is not None
    if lists:
        reference, trials = _trials(plan, training, evaluator, lists)
        sweep = key_of(reference.id, [(trial.group, trial.id) for trial in trials.values()], budget_s, head_stage)
        with open_store(
            plan.cache / SHORT_RUNS, sweep,
            states=StateFormat(), evaluations=EvaluationFormat(), wait_s=LEAST_WAIT_S + 2 * budget_s,
        ) as store:  # fmt: skip
            names, notes = _entering(
                store,
                lists,
                board,
                costs=costs,
                budget_s=budget_s,
                head_stage=head_stage,
                plan=plan,
                training=training,
            )
            result = run_sweep(
                [trials[name] for name in names],
                reference=reference,
                train=training,
                evaluate=CandidateEvaluation(evaluator),
                order=board.order,
                budget=Budget(budget_s, costs, spent_s=store.seconds),
                store=store,
                passing_failure=_passing_failure,
                progress=progress.sub("seconds of short runs"),
            )
    else:
        result, names, notes = SweepResult({}), [], ["Short runs: no candidate is left that keeps labels."]
    trained = result.trials
    result.trials = trained | {
        copy: replace(trained[name], name=copy) for copy, name in copies.items() if name in trained
    }
    if result.ended:
        notes.append(f"Short runs ended, because clean training failed: {result.ended}")
    each = max(1, plan.tables.n_train // plan.run_settings.batch_size)
    epochs = plan.run_settings.epochs
    share = result.steps / (epochs * each * (1 + total))
    rungs = [
        Rung(stage="network", candidates=rung.trials, steps=rung.steps, seconds=rung.seconds) for rung in result.rungs
    ]
    head = [Rung(stage="probe", candidates=total, steps=0, seconds=None)] if head_stage else []
    words = budget_words(
        rungs,
        budget_s=budget_s,
        used_s=result.used_s,
        steps=result.steps,
        seeds=result.seeds,
        share=share,
        epochs=epochs,
    )
    if lists and not names:
        words = notes[0]  # why nothing was trained, and which budget would be enough
    record = BudgetRecord(
        budget_s=budget_s,
        used_s=round(result.used_s, 2),
        seeds=result.seeds,
        rungs=[*head, *rungs],
        steps=result.steps,
        share_of_full=share,
        words=words,
    )  # fmt: skip
    return result, record, notes


def _without_copies(lists: Lists) -> tuple[Lists, dict[str, str]]:
    """The lists without candidates that give the same samples as an earlier one, and whom each of those is a copy of.

    A copy would be trained to the same numbers, unless a rung's border came between the two.
    """
    kept: Lists = {}
    copies: dict[str, str] = {}
    for kind, candidates in lists.items():
        first: dict[tuple[str, str, float], str] = {}
        for candidate in candidates:
            samples = (candidate.stream, candidate.operation.fingerprint, candidate.probability)
            name = first.setdefault(samples, candidate.name)
            if name == candidate.name:
                kept.setdefault(kind, []).append(candidate)
            else:
                copies[candidate.name] = name
    return kept, copies


def _entering(
    store: SweepStore,
    lists: Lists,
    board: Scoreboard,
    *,
    costs: Costs,
    budget_s: float,
    head_stage: bool,
    plan: Plan,
    training: CandidateTraining,
) -> tuple[list[str], list[str]]:
    """The candidates to train, best first, and notes; the same command gets the same choice again."""
    kept = store.decisions.get("entering")
    if kept is None:
        chosen, notes = choose_entering(
            {kind: [candidate.name for candidate in candidates] for kind, candidates in lists.items()},
            order=lambda kind, names: board.order(kind, names, {}),
            budget_s=budget_s,
            costs=costs,
            head_stage=head_stage,
            size=plan.backbone.geometry.size,
            state_bytes=STATE_COPIES * sum(value.numel() * value.element_size() for value in training.start.values()),
            free_bytes=store.free_bytes(),
        )
        kept = [[name for names in chosen.values() for name in names], notes]
        store.decisions.keep("entering", kept)
    return list(kept[0]), list(kept[1])


def choose_entering(
    lists: Mapping[str, Sequence[str]],
    *,
    order: Callable[[str, Sequence[str]], list[str]],
    budget_s: float,
    costs: Costs,
    head_stage: bool,
    size: int,
    state_bytes: int,
    free_bytes: int,
) -> tuple[dict[str, list[str]], list[str]]:
    """The candidates to train: all, in order, or the better half, a quarter … of each list, or none.

    The list is cut until each remaining candidate gets a step (after a head stage, 8 steps from two seeds), and until
    their states fit into half of the free disk. If not even four of each list get a step, nothing is trained.

    Args:
        lists: names of candidates, by list.
        order: called with (list, names), returns these names from first to last.
        budget_s: seconds.
        costs: costs on this machine.
        head_stage: whether linear probes on features have already ranked all of them.
        size: side of the images in pixels.
        state_bytes: size of a training state.
        free_bytes: free space on the disk.

    Returns:
        names by list, first to last, and notes: what did not fit into the budget, and which budget would be enough.
    """
    left = {kind: order(kind, names) for kind, names in lists.items()}
    counts = [len(names) for names in lists.values()]
    total, is_cut_by_disk = sum(counts), False
    while True:
        fits_disk = SEEDS * (1 + sum(map(len, left.values()))) * state_bytes <= SHARE_OF_DISK * free_bytes
        fits = fits_disk and _is_enough([len(names) for names in left.values()], budget_s, costs, head_stage)
        cut = {kind: promote(names) for kind, names in left.items()}
        if fits or cut == left:
            break
        left, is_cut_by_disk = cut, is_cut_by_disk or not fits_disk
    trained = sum(map(len, left.values()))
    basis = "linear probes on features" if head_stage else "coverage"
    if not plan_rungs([len(names) for names in left.values()], budget_s, costs).rungs:
        rank = "rank" if head_stage else "ranks"
        return {}, [
            f"Short runs: --budget {_given_text(budget_s)} is too short for any, so {basis} {rank} alone; "
            f"{_what_all_take(counts, budget_s, costs, size)}."
        ]
    if trained == total:
        return left, []
    first = f"Short runs: {trained} of {total} candidates, the best {trained} by {basis}, "
    if is_cut_by_disk:
        return left, [f"{first}because disk space is short."]
    all_take = _what_all_take(counts, budget_s, costs, size)
    why = f"because --budget {_given_text(budget_s)} has no time for more; {all_take}."
    return left, [first + why]


def _is_enough(counts: Sequence[int], budget_s: float, costs: Costs, head_stage: bool) -> bool:
    plan = plan_rungs(counts, budget_s, costs)
    if not head_stage:
        return bool(plan.rungs)
    return bool(plan.rungs) and plan.seeds == SEEDS and min(steps for _, steps in plan.rungs) >= LEAST_STEPS


def _what_all_take(counts: Sequence[int], budget_s: float, costs: Costs, size: int) -> str:
    """The budget that trains all candidates at this size, and the budget at a smaller size."""
    words = f"training all of them takes about --budget {_budget_text(budget_for(counts, costs))} here"
    side = size // 2
    if side < SMALLEST_SIDE:
        return words
    while True:
        share = (side / size) ** 2
        smaller = Costs(costs.step_s * share, costs.evaluate_s * share, costs.extra_s * share)
        needed_s = budget_for(counts, smaller)
        if needed_s <= budget_s or side // 2 < SMALLEST_SIDE:
            return f"{words}, or --budget {_budget_text(needed_s)} with --size {side}"
        side //= 2


def _budget_text(seconds: float) -> str:
    """The budget as `--budget` takes it, rounded up."""
    if seconds < 60:
        return f"{math.ceil(seconds)}s"
    return f"{math.ceil(seconds / 60)}m" if seconds <= 5400 else f"{math.ceil(seconds / 3600)}h"


def _given_text(seconds: float) -> str:
    """A budget as the user gave it."""
    return f"{seconds / 60:.0f}m" if seconds and seconds % 60 == 0 else f"{seconds:g}s"


def _passing_failure(error: Exception) -> str | None:
    """Why a training failed, if it may succeed another time."""
    return "the device ran out of memory" if out_of_memory(error) else None


def training_lists(candidates: Sequence[Candidate], augmentations: Mapping[str, Augmentation]) -> Lists:
    """Ranked candidates, the control on its own, and regularisers; generated images have no short run."""
    lists: Lists = {}
    for candidate in candidates:
        if candidate.name in augmentations and candidate.role in (RANKED, REGULARISER):
            kind = DEFAULT if candidate.name == CONTROL_ADVICE else candidate.role
            lists.setdefault(kind, []).append(augmentations[candidate.name])
    return lists


def _training(plan: Plan, data: Data, context: EvalContext) -> CandidateTraining:
    """All start from the trained backbone with the best head on clean features, which are already in the bank."""
    parts = [data.sources, data.more, *([data.baseline] if data.baseline is not None else [])]
    known = [part for part in (data.sources, data.more) if len(part)]
    features = np.concatenate([context.bank.clean(part.pool, np.arange(len(part))) for part in known])
    labels = np.concatenate([part.labels for part in known])
    class_count = len(data.classes)
    return CandidateTraining(
        backbone=context.bank.backbone,
        pool=joined([part.pool for part in parts]),
        labels=np.concatenate([part.labels for part in parts if len(part)]),
        start=start_state(context.bank.backbone, features, labels, class_count=class_count),
        config=plan.run_settings,
        class_count=class_count,
        device=plan.device,
    )


def _evaluator(plan: Plan, data: Data, context: EvalContext) -> Evaluator:
    return Evaluator(
        backbone=context.bank.backbone,
        sources=data.sources.pool,
        source_labels=data.sources.labels,
        target=data.target.pool,
        val=data.val.pool,
        val_labels=data.val.labels,
        halves=context.halves,
        class_count=len(data.classes),
        device=plan.device,
        batch_size=context.bank.batch_size,
        seed=plan.settings.seed,
    )


def _trials(
    plan: Plan, training: CandidateTraining, evaluator: Evaluator, lists: Lists
) -> tuple[Trial, dict[str, Trial]]:
    """Clean training, and the candidates by name; each key depends on everything that affects its numbers."""
    shared = key_of(
        VERSION,
        training.backbone.fingerprint,
        training.config,
        training.class_count,
        training.device,
        evaluator.seed,
        (training.pool.keys, training.labels),
        (evaluator.sources.keys, evaluator.source_labels),
        (evaluator.val.keys, evaluator.val_labels),
        evaluator.target.keys,
    )

    def trial_of(name: str, kind: str, *more: Augmentation, hidden: bool) -> Trial:
        augmentations = (*plan.base, *more)
        decisive = [(augmentation.fingerprint, augmentation.probability) for augmentation in augmentations]
        return Trial(
            id=key_of(shared, decisive), name=name, group=kind, payload=augmentations, measures=HIDDEN if hidden else ""
        )

    trials = {
        candidate.name: trial_of(candidate.name, kind, candidate, hidden=kind == REGULARISER)
        for kind, candidates in sorted(lists.items())
        for candidate in sorted(candidates, key=lambda candidate: candidate.name)
    }
    return trial_of(CLEAN, "", hidden=REGULARISER in lists), trials
