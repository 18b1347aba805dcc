"""Joins tables and scores: how well does each ranking order candidates as real training does?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.augmentation_truth.made_shifts import FAMILY_OF
from benchmarks.augmentation_truth.rankings import (
    ADVICE,
    CLEAN,
    OTHER_MODEL,
    PRETRAINED_MODEL,
    RANDOM,
    RANKING,
    STATIC,
    TRIVIAL,
    Task,
    is_pretrained,
    other_models,
    product_gain,
    product_ranking,
    single_scores,
    static_ranking,
)
from benchmarks.augmentation_truth.recipes import CONTROLS, MOST_SEEDS
from benchmarks.augmentation_truth.scores import ScoreRow
from benchmarks.augmentation_truth.statistics import (
    LEAST_RELIABILITY,
    Estimate,
    Signs,
    best_first,
    chance_of_hit,
    corrected,
    kendall,
    pooled,
    regret,
    reliability,
    signs,
    spearman,
    top_three_hit,
)
from benchmarks.augmentation_truth.truth import Truth

CURE_LEFT_OUT = "shifted, cure left out"


@dataclass(frozen=True)
class Figures:
    """A ranking on a task; values are None if they are not defined.

    Attributes:
        regret: points of accuracy lost with its first candidate.
        spearman, low, high: rank correlation over candidates, with its interval.
        corrected: the correlation with a truth without noise.
        kendall: tau-b.
        hit: whether a true top three candidate is among its first three; for random the probability of it.
        right_signs, signs_n: share of right signs against clean, and the number of candidates.
        n: number of candidates that it ranks.
    """

    regret: float | None = None
    spearman: float | None = None
    low: float | None = None
    high: float | None = None
    corrected: float | None = None
    kendall: float | None = None
    hit: float | None = None
    right_signs: float | None = None
    signs_n: int = 0
    n: int = 0


@dataclass(frozen=True)
class Judged:
    """A task: its truth in figures, and every ranking of it.

    Attributes:
        world: "shifted", "not shifted", or "shifted, cure left out".
        reliability: reliability of the table; None with a single seed.
        remark: "unfinished", "needs more seeds" or "too noisy to judge"; empty without a problem.
        clean, best, trivial: true accuracies.
        cost: seconds of the scores divided by those of training all candidates once; None if unknown.
    """

    source: str
    model: str
    target: str
    world: str
    pretrained: bool
    seeds: int
    n_target: int
    reliability: float | None
    remark: str
    clean: float
    best: float
    best_name: str
    trivial: float | None
    cost: float | None
    rankings: dict[str, Figures] = field(default_factory=dict)


def judge_ranking(values: Mapping[str, float], truth: Truth, *, gains: Mapping[str, float] | None = None) -> Figures:
    """All figures of a ranking.

    Args:
        values: by candidate, larger is better; candidates without a value are not ranked.
        truth: with the controls.
        gains: the source of the signs, including clean; None: `values`.
    """
    ranked = truth.only(name for name in truth.names if name not in CONTROLS and name in values)
    score = np.array([values[name] for name in ranked.names])
    if not len(score):
        return Figures()
    first = ranked.names[best_first(score)]
    found = spearman(score, ranked.mean)
    full = truth.without_controls()
    hit: float | None = None
    if len(full.names) > 3:
        padded = np.array([values.get(name, -np.inf) for name in full.names])
        hit = float(top_three_hit(padded, full.mean))
    said = gains if gains is not None else values
    signed = np.array([said.get(name, np.nan) for name in truth.names])
    sign = Signs(None, 0)
    if CLEAN in truth.names:
        keep = [number for number, name in enumerate(truth.names) if name not in CONTROLS or name == CLEAN]
        some = truth.only(truth.names[number] for number in keep)
        sign = signs(signed[keep], some.accuracy, some.names.index(CLEAN))
    return Figures(
        regret=regret_of(first, truth),
        spearman=found.value,
        low=found.low,
        high=found.high,
        corrected=corrected(found.value, reliability(ranked.accuracy)),
        kendall=kendall(score, ranked.mean),
        hit=hit,
        right_signs=sign.share,
        signs_n=sign.n,
        n=len(score),
    )


def regret_of(name: str, truth: Truth) -> float | None:
    """Regret against the best of all candidates and clean."""
    open_to_all = truth.only(other for other in truth.names if other not in CONTROLS or other == CLEAN)
    if name not in open_to_all.names:
        return None
    return regret(open_to_all.names.index(name), open_to_all.accuracy)


def judge_task(
    truth: Truth,
    scores: Mapping[Task, Sequence[ScoreRow]],
    truths: Sequence[Truth],
    *,
    without: str | None = None,
    scored_without: bool = False,
) -> Judged:
    """Every ranking on a task.

    Args:
        truth: of the task.
        scores: of this task and others, by task.
        truths: of all tasks.
        without: a family that is left out of truth and rankings.
        scored_without: whether the scores were made without that family too; otherwise their advice does not count.
    """
    task = (truth.source, truth.model, truth.target)
    rows = scores.get(task, [])
    if without is not None:
        gone = {row["candidate"] for row in rows if row["family"] == without}
        rows = [row for row in rows if row["candidate"] not in gone]
        truth = truth.only(name for name in truth.names if name not in gone)
    candidates = truth.without_controls()
    table = reliability(candidates.accuracy)
    rankings: dict[str, Figures] = {}
    if rows:
        rankings[RANKING] = judge_ranking(product_ranking(rows), truth, gains=product_gain(rows))
        if without is None or scored_without:
            advice = next((row["candidate"] for row in rows if row["advice"]), None)
            rankings[ADVICE] = Figures(regret=None if advice is None else regret_of(advice, truth), n=1)
        rankings |= {name: judge_ranking(values, truth) for name, values in single_scores(rows).items()}
        others = {model: judge_ranking(values, truth) for model, values in other_models(task, scores).items()}
        rankings |= _mean_of(OTHER_MODEL, list(others.values()))
        if not is_pretrained(truth.model):
            rankings |= _mean_of(PRETRAINED_MODEL, [ranked for model, ranked in others.items() if is_pretrained(model)])
    static = static_ranking(truth, truths)
    if static is not None:
        rankings[STATIC] = judge_ranking(static, truth)
    everyone = [regret_of(name, truth) for name in candidates.names]
    rankings[RANDOM] = Figures(
        regret=float(np.mean([value for value in everyone if value is not None])),
        spearman=0.0,
        kendall=0.0,
        hit=chance_of_hit(len(candidates.names)),
        n=len(candidates.names),
    )
    rankings[TRIVIAL] = Figures(regret=regret_of("trivial-augment", truth), n=1)
    rankings[CLEAN] = Figures(regret=regret_of(CLEAN, truth), n=1)
    means = dict(zip(truth.names, truth.mean.tolist(), strict=True))
    best = max((name for name in truth.names if name not in CONTROLS), key=lambda name: means[name])
    training = truth.seconds * (len(candidates.names) + 1)
    return Judged(
        source=truth.source,
        model=truth.model,
        target=truth.target,
        world=CURE_LEFT_OUT if without else "shifted" if truth.shifted else "not shifted",
        pretrained=is_pretrained(truth.model),
        seeds=truth.accuracy.shape[1],
        n_target=truth.n_target,
        reliability=table,
        remark=_remark(truth, table),
        clean=means.get(CLEAN, float("nan")),
        best=means[best],
        best_name=best,
        trivial=means.get("trivial-augment"),
        cost=float(rows[0]["seconds"]) / training if rows and rows[0]["seconds"] else None,
        rankings=rankings,
    )


def judge_all(
    truths: Sequence[Truth],
    scores: Mapping[Task, Sequence[ScoreRow]],
    *,
    left_out: Mapping[Task, Sequence[ScoreRow]] | None = None,
) -> list[Judged]:
    """All tasks; tasks with a made shift also without the family that made the shift.

    Args:
        truths: of all tables.
        scores: by task.
        left_out: scores that were made without that family; None: those of the whole catalogue without its candidates.
    """
    found = [judge_task(truth, scores, truths) for truth in truths]
    for truth in truths:
        family, rows = FAMILY_OF.get(truth.target), scores.get((truth.source, truth.model, truth.target), [])
        others = {row["candidate"] for row in rows if row["family"] != family}
        # A table that has only begun may have no other candidates.
        if family is not None and not others.isdisjoint(truth.without_controls().names):
            some = scores if left_out is None else left_out
            found.append(judge_task(truth, some, truths, without=family, scored_without=left_out is not None))
    return found


def pool(judged: Iterable[Judged], ranking: str) -> dict[str, Any]:
    """A ranking's figures over some tasks, with equal weights of the sources."""
    tasks = [task for task in judged if ranking in task.rankings]
    sources = [task.source for task in tasks]

    def over(what: str) -> Estimate:
        return pooled([getattr(task.rankings[ranking], what) for task in tasks], sources)

    return {
        "tasks": len(tasks),
        "sources": len(set(sources)),
        **{what: over(what)._asdict() for what in ("regret", "spearman", "corrected", "kendall", "hit", "right_signs")},
    }


def situation_of(task: Judged) -> str:
    """The situation in which its figures are pooled: "from scratch, shifted"."""
    return f"{'pretrained' if task.pretrained else 'from scratch'}, {task.world}"


def ranked_by_situation(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    """The tasks that the product ranked; the baselines are compared on the same tasks."""
    ranked = [task for task in judged if RANKING in task.rankings]
    worlds = ("shifted", "not shifted", CURE_LEFT_OUT)
    names = [f"{start}, {world}" for start in ("from scratch", "pretrained") for world in worlds]
    by_situation = {name: [task for task in ranked if situation_of(task) == name] for name in names}
    return {name: tasks for name, tasks in by_situation.items() if tasks}


def pool_worlds(judged: Sequence[Judged]) -> dict[str, dict[str, dict[str, Any]]]:
    """Pooled figures by situation and ranking."""
    return {
        situation: {name: pool(tasks, name) for name in dict.fromkeys(name for task in tasks for name in task.rankings)}
        for situation, tasks in ranked_by_situation(judged).items()
    }


def _mean_of(name: str, figures: Sequence[Figures]) -> dict[str, Figures]:
    if not figures:
        return {}
    means: dict[str, Any] = {}
    for what in ("regret", "spearman", "corrected", "kendall", "hit", "right_signs"):
        known = [value for value in (getattr(ranked, what) for ranked in figures) if value is not None]
        means[what] = float(np.mean(known)) if known else None
    return {name: Figures(**means, n=max(ranked.n for ranked in figures))}


def _remark(truth: Truth, table: float | None) -> str:
    if not truth.finished:
        return "unfinished"
    if table is not None and table < LEAST_RELIABILITY:
        return "too noisy to judge" if truth.accuracy.shape[1] >= MOST_SEEDS else "needs more seeds"
    return ""


def as_json(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """All figures, for the results folder."""
    return [asdict(task) for task in judged]
