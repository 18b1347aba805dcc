"""What the ledger holds of an experiment.

An experiment says why it was made, what it changes, what was expected, what came, and what was learned. It is never
edited: every change is an event, and the experiment is what its events come to (see `events` and `folding`).
"""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from eyeshot.core import percent
from eyeshot.ledger.views.words import difference_words, expected_words

State = Literal["stated", "waiting", "running", "done", "failed", "stopped", "dropped"]
Direction = Literal["up", "down", "same"]
Gain = Literal["better", "worse", "not distinguishable"]
Verdict = Literal["as expected", "better", "worse", "not distinguishable"]
AuthorKind = Literal["person", "sweep", "agent"]


class Record(BaseModel):
    """Base of what is stored; a key that a later version added is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Expected(Record):
    """What was expected before the first run.

    Attributes:
        metric: "accuracy" or another metric of the predictions.
        direction: of the difference to the parent.
        size: of the difference, as a share: 0.01 is one point. None: the author named none.
        words: as it was typed.
        stated_at: UTC.
        late: stated after the first run had begun, so that it counts for nothing.
    """

    metric: str = "accuracy"
    direction: Direction
    size: float | None = None
    words: str = ""
    stated_at: datetime
    late: bool = False


class Got(Record):
    """What came, with its interval, and the difference to the parent. Shares, not points.

    Attributes:
        metric: of `value`.
        value, low, high: mean over seeds and folds, with its 95 % interval.
        n: images.
        seeds, folds: that the value is a mean of.
        difference, difference_low, difference_high: to the parent, paired by image and seed.
        p: of the difference, of a two-sided exact test.
        allowed_p: the largest p at which the difference counts, for so many comparisons.
        comparisons: experiments that were compared with this parent so far, this one included.
        against: id of the parent, or of the run, that it was compared with.
        estimate: of accuracy on the unlabelled test images.
        estimate_difference: to the parent's estimate.
        estimate_disagrees: the estimate says the opposite of validation.
        noise: standard deviation between seeds of one recipe on this data.
        seconds: of all runs.
    """

    metric: str = "accuracy"
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    seeds: tuple[int, ...] = ()
    folds: tuple[int, ...] = ()
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None
    allowed_p: float | None = None
    comparisons: int | None = None
    against: str | None = None
    estimate: float | None = None
    estimate_difference: float | None = None
    estimate_disagrees: bool = False
    noise: float | None = None
    seconds: float | None = None


class Insight(Record):
    """Something understood that asks for an action; open while nothing was done.

    Attributes:
        id: unique within the experiment, and short.
        text: what was understood.
        time: UTC.
        author: who understood it.
        actions: what was done about it: `time`, `author`, `text`.
    """

    id: str
    text: str
    time: datetime
    author: str
    actions: tuple[dict[str, str], ...] = ()

    @property
    def open(self) -> bool:
        """Nothing was done about it yet."""
        return not self.actions


class Experiment(Record):
    """An experiment: why, what, expected, got, verdict, learned. Keys are only added.

    Attributes:
        id: sorts by time, can be read, and is unique within the ledger.
        created: UTC.
        state: how far it is.
        words: about the state: why it failed or was stopped.
        why: the reason it was made for.
        parent: id of the experiment, or of the run, that it goes on from.
        difference: to the parent: setting → [before, after].
        config: settings of its runs.
        code: `commit` and `difference` of the code.
        expected, got: before and after.
        gain: of the difference to the parent.
        verdict, verdict_words: what came against what was expected.
        learned, why_different: the author's words.
        insights: what was understood and asks for an action.
        tags: sorted.
        notes: `time`, `author`, `text`.
        rung: the last that it reached.
        rungs: all that it reached: `rung`, `value`, `n`, `seconds`.
        sweep: id of the sweep that made it.
        hypothesis: of the sweep, why this trial.
        author, author_kind: who made it.
        own_work, off_the_shelf: which parts are the author's own, and which were taken.
        runs, parent_runs: ids of run folders.
        seeds: that were planned.
        plan: what was asked for, so that the same command finds the experiment again: `request`, `looks`.
        cost_planned_s, cost_s: seconds of training.
    """

    id: str
    created: datetime
    state: State = "stated"
    words: str = ""
    why: str
    parent: str | None = None
    difference: dict[str, tuple[Any, Any]] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    code: dict[str, Any] = Field(default_factory=dict)
    expected: Expected | None = None
    got: Got | None = None
    gain: Gain | None = None
    verdict: Verdict | None = None
    verdict_words: str = ""
    learned: str = ""
    why_different: str = ""
    insights: tuple[Insight, ...] = ()
    tags: tuple[str, ...] = ()
    notes: tuple[dict[str, str], ...] = ()
    rung: str | None = None
    rungs: tuple[dict[str, Any], ...] = ()
    sweep: str | None = None
    hypothesis: str = ""
    author: str = ""
    author_kind: AuthorKind = "person"
    own_work: str = ""
    off_the_shelf: str = ""
    runs: tuple[str, ...] = ()
    parent_runs: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    plan: dict[str, Any] = Field(default_factory=dict)
    cost_planned_s: float | None = None
    cost_s: float = 0.0

    def _repr_html_(self) -> str:
        """What was tried, expected, and what came of it, for notebooks."""
        rows = {
            "state": f"{self.state}: {self.words}" if self.words else self.state,
            "parent": self.parent or "",
            "difference": difference_words(self.difference),
            "expected": expected_words(self.expected.model_dump() if self.expected else None),
            "got": "" if self.got is None else _got_words(self.got),
            "verdict": self.verdict_words or self.verdict or self.gain or "",
            "learned": self.learned,
            "insights": "; ".join(insight.text for insight in self.insights),
            "notes": "; ".join(note.get("text", "") for note in self.notes),
        }
        cells = "".join(
            f"<tr><th style='text-align: left'>{name}</th><td style='text-align: left'>{escape(text)}</td></tr>"
            for name, text in rows.items()
            if text
        )
        return f"<p><b>{escape(self.why)}</b> <code>{escape(self.id)}</code></p><table>{cells}</table>"


def _got_words(got: Got) -> str:
    """As "83.2 % accuracy (95 %: 82.2 to 84.2), n 3,004, 3 seeds"."""
    interval = "" if got.low is None or got.high is None else f" (95 %: {100 * got.low:.1f} to {100 * got.high:.1f})"
    size = "" if got.n is None else f", n {got.n:,}"
    seeds = f", {len(got.seeds)} seeds" if len(got.seeds) > 1 else ""
    return f"{percent(got.value, 1)} {got.metric}{interval}{size}{seeds}"
