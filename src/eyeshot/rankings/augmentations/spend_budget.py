"""The short runs of `rank_augmentations()`: what they train on, who takes part, and what the budget bought."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from eyeshot.augment import Augmentation
from eyeshot.core import InputError, Progress, key_of
from eyeshot.rankings.augmentations.combined import RANKED, REGULARISER, Scoreboard
from eyeshot.rankings.augmentations.context import EvalContext
from eyeshot.rankings.augmentations.data import Data
from eyeshot.rankings.augmentations.halving import LEAST_STEPS, STARTS, Costs, plan_halving, survivors
from eyeshot.rankings.augmentations.plan import Plan
from eyeshot.rankings.augmentations.reading import Desk
from eyeshot.rankings.augmentations.recommendation import budget_words
from eyeshot.rankings.augmentations.report import Budget, Candidate, Rung
from eyeshot.rankings.augmentations.short_run_store import ShortRunStore, open_store
from eyeshot.rankings.augmentations.short_runs import ShortRuns, Training, run_short
from eyeshot.training import State, joined, start_state

FULL_EPOCHS = 30
LEAST_WAIT_S = 600.0
"""For another process with the same short runs."""
SHARE_OF_DISK = 0.5
Lists = dict[str, list[Augmentation]]


def spend_budget(
    plan: Plan,
    data: Data,
    context: EvalContext,
    candidates: Sequence[Candidate],
    board: Scoreboard,
    *,
    budget_s: float,
    progress: Progress,
) -> tuple[ShortRuns, Budget, list[str]]:
    """Short runs of all candidates that keep labels, or of the better ones where that is all that fits.

    Returns:
        the runs, what they cost, and notes.

    Raises:
        InputError: the budget holds not one step of each.
    """
    costs = plan.costs
    if costs is None:
        raise ValueError("plan.costs must be measured before a budget is spent")
    parts = [data.sources, data.more, *([data.baseline] if data.baseline is not None else [])]
    state = _first_state(context, data)
    pool = joined([part.pool for part in parts])
    labels = np.concatenate([part.labels for part in parts if len(part)])
    training = Training(pool, labels, state, plan.run_settings, plan.base)
    halves = context.target.halves
    if halves is None:
        raise ValueError("the target must have half-samples")
    desk = Desk(
        backbone=context.bank.backbone,
        sources=data.sources.pool,
        source_labels=data.sources.labels,
        target=data.target.pool,
        val=data.val.pool,
        val_labels=data.val.labels,
        halves=halves,
        class_count=len(data.classes),
        device=plan.device,
        batch_size=context.bank.batch_size,
        seed=plan.settings.seed,
    )
    lists = _lists(candidates, {one.name: one for one in plan.candidates})
    everyone = sum(map(len, lists.values()))
    head_stage = board.clean_loss is not None
    entering: Lists = {}
    if lists:
        folder = plan.cache / "short-runs" / _key(plan, desk, training, lists, budget_s)
        with open_store(folder, wait_s=LEAST_WAIT_S + 2 * budget_s) as store:
            entering, notes = _entering(
                store, lists, board, costs=costs, budget_s=budget_s, head_stage=head_stage, state=state
            )
            found = run_short(
                desk, training, entering,
                order=board.order, budget_s=budget_s, costs=costs, store=store, progress=progress,
            )  # fmt: skip
    else:
        found, notes = ShortRuns(), ["Short runs: no candidate is left that keeps labels."]
    if found.ended:
        notes.append(found.ended)
    each = max(1, plan.tables.n_train // plan.run_settings.batch_size)
    share = found.steps / (FULL_EPOCHS * each * (1 + everyone))
    head = [Rung(stage="probe", candidates=everyone, steps=0, seconds=None)] if head_stage else []
    budget = Budget(
        budget_s=budget_s,
        used_s=round(found.used_s, 2),
        seeds=found.starts,
        rungs=[*head, *found.rounds],
        steps=found.steps,
        share_of_full=share,
        words=budget_words(
            found.rounds, budget_s=budget_s, used_s=found.used_s, steps=found.steps, seeds=found.starts, share=share
        ),
    )  # fmt: skip
    return found, budget, notes


def _entering(
    store: ShortRunStore,
    lists: Lists,
    board: Scoreboard,
    *,
    costs: Costs,
    budget_s: float,
    head_stage: bool,
    state: State,
) -> tuple[Lists, list[str]]:
    """Who is trained, and notes; as it was decided before, where the same command was given."""
    kept = store.decision("entering")
    if kept is None:
        chosen, notes = choose_entering(
            lists,
            order=lambda kind, names: board.order(kind, names, {}),
            budget_s=budget_s,
            costs=costs,
            head_stage=head_stage,
            state_bytes=sum(value.numel() * value.element_size() for value in state.values()),
            free_bytes=store.free_bytes(),
        )
        kept = [{kind: [one.name for one in some] for kind, some in chosen.items()}, notes]
        store.decide("entering", kept)
    by_name = {one.name: one for some in lists.values() for one in some}
    return {kind: [by_name[name] for name in names] for kind, names in kept[0].items()}, list(kept[1])


def choose_entering(
    lists: Mapping[str, Sequence[Augmentation]],
    *,
    order: Callable[[str, Sequence[str]], list[str]],
    budget_s: float,
    costs: Costs,
    head_stage: bool,
    state_bytes: int,
    free_bytes: int,
) -> tuple[Lists, list[str]]:
    """Who is trained: all, in order, or the better half, a quarter … of each list.

    After a head stage the list is cut until each of those left gets 8 steps from two starts; in any case until
    their states fit into half of the free disk.

    Returns:
        candidates by list, first to last, and notes.
    """
    left = {}
    for kind, some in lists.items():
        by_name = {one.name: one for one in some}
        left[kind] = [by_name[name] for name in order(kind, list(by_name))]
    everyone = sum(map(len, left.values()))
    while True:
        states = STARTS * (1 + sum(map(len, left.values()))) * state_bytes
        fits = states <= SHARE_OF_DISK * free_bytes and (not head_stage or _enough(left, budget_s, costs))
        cut = {kind: some[: len(survivors([one.name for one in some]))] for kind, some in left.items()}
        if fits or cut == left:
            break
        left = cut
    trained = sum(map(len, left.values()))
    if trained == everyone:
        return left, []
    why = "heads on features and cover say" if head_stage else "cover says, since disk space is short,"
    return left, [f"Short runs: {trained} of {everyone} candidates, those that {why} are the better ones."]


def _enough(lists: Lists, budget_s: float, costs: Costs) -> bool:
    try:
        plan = plan_halving([len(some) for some in lists.values()], budget_s, costs)
    except InputError:
        return False
    return plan.starts == STARTS and min(one.steps for one in plan.rounds) >= LEAST_STEPS


def _lists(candidates: Sequence[Candidate], augmentations: Mapping[str, Augmentation]) -> Lists:
    """Ranked candidates and regularisers; generated images have no short run."""
    found: Lists = {}
    for kind in (RANKED, REGULARISER):
        names = [one.name for one in candidates if one.role == kind]
        some = [augmentations[name] for name in names if name in augmentations]
        if some:
            found[kind] = some
    return found


def _first_state(context: EvalContext, data: Data) -> State:
    """The trained backbone with the best head on clean features; these lie in the bank already."""
    parts = [part for part in (data.sources, data.more) if len(part)]
    features = np.concatenate([context.bank.clean(part.pool, np.arange(len(part))) for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    return start_state(context.bank.backbone, features, labels, class_count=len(data.classes))


def _key(plan: Plan, desk: Desk, training: Training, lists: Lists, budget_s: float) -> str:
    """Key of all that decides the readings, and of the budget, which decides how many there are."""
    candidates = [one for kind in sorted(lists) for one in sorted(lists[kind], key=lambda one: one.name)]
    return key_of(
        desk.backbone.fingerprint,
        plan.run_settings,
        [[(one.fingerprint, one.probability) for one in steps] for steps in (plan.base, candidates)],
        budget_s,
        desk.class_count,
        plan.device,
        desk.seed,
        (training.pool.keys, training.labels),
        (desk.val.keys, desk.val_labels),
        desk.target.keys,
    )
