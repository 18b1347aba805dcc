"""What to try next: Optuna's sampler, asked and told. What it knows is rebuilt from the ledger, and lies nowhere else.

The sampler is a tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), over all choices together, that
counts trials that are still running as bad ones, so that workers try different things (Optuna 5's defaults).
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from eyeshot.core import key_of
from eyeshot.sweep.search.space import Choice

RANDOM_FIRST = 10
"""Trials before the first that learns from others."""
TRIES = 8
"""A sampler that wants what was tried before is asked so often for something else."""


class Sampler:
    """Proposes configurations, and is told what came of them.

    What it proposes depends on the space, the seed, the number of the trial and what it was told, in the order of
    trials: a sweep that was killed proposes what it would have proposed.
    """

    def __init__(self, space: Sequence[Choice], *, seed: int) -> None:
        """`seed`: of the sweep."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._seed = tuple(space), seed
        self._distributions = {choice.name: _distribution(choice) for choice in space}
        self._study = optuna.create_study(direction="maximize")
        self._places: dict[int, int] = {}
        self._proposed: dict[int, dict[str, Any]] = {}
        self._values: dict[int, tuple[Mapping[str, Any], float]] = {}

    def tell(self, number: int, proposed: Mapping[str, Any], value: float | None, *, failed: bool = False) -> None:
        """Tell of a trial, again whenever more is known of it; one of another space counts where it lies in this one.

        Args:
            number: of the trial.
            proposed: what was proposed.
            value: what it came to; None: it is still running.
            failed: it will never come to anything.
        """
        from optuna.trial import TrialState, create_trial

        if set(proposed) != set(self._distributions) or not _lies_in(proposed, self._space) or number in self._values:
            return
        if number not in self._places:
            trial = create_trial(
                params=_indices(proposed, self._space), distributions=self._distributions, state=TrialState.RUNNING
            )
            self._places[number] = len(self._study.get_trials(deepcopy=False))
            self._proposed[number] = dict(proposed)
            self._study.add_trial(trial)
        if value is not None:
            self._study.tell(self._places[number], value)
            self._values[number] = proposed, value
        elif failed and self._study.trials[self._places[number]].state == TrialState.RUNNING:
            self._study.tell(self._places[number], state=TrialState.FAIL)

    def propose(self, number: int) -> tuple[dict[str, Any], str]:
        """The next configuration, for the trial of this number, and the hypothesis behind it."""
        values = self._asked(number, 0)
        for again in range(1, TRIES):
            if values not in self._proposed.values():
                break
            values = self._asked(number, again)
        else:  # few are left: the first of them
            every = itertools.product(*(choice.values for choice in self._space))
            names = [choice.name for choice in self._space]
            fresh = (dict(zip(names, own, strict=True)) for own in every)
            values = next((own for own in fresh if own not in self._proposed.values()), values)
        self.tell(number, values, None)
        if len(self._values) < RANDOM_FIRST:
            return values, "drawn at random from what may be chosen, to learn what matters"
        best, _ = max(self._values.values(), key=lambda told: told[1])
        shared = [name for name, value in values.items() if best.get(name) == value]
        near = f"; like the best so far in {', '.join(shared)}" if shared else ""
        return values, f"the sampler expects it among the better ones of {len(self._values)} trials{near}"

    def _asked(self, number: int, again: int) -> dict[str, Any]:
        """What the sampler wants, in values that can be read; the study itself forgets that it was asked."""
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=int(key_of(self._seed, number, again)[:8], 16) % 2**31, n_startup_trials=RANDOM_FIRST
            )
            self._study.sampler = sampler
            asked = self._study.ask(self._distributions)
            # The sampler ignores trials that failed, so what was asked leaves no trace in what is asked next.
            self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return {
            choice.name: choice.values[asked.params[choice.name]]
            if choice.values
            else min(max(float(f"{asked.params[choice.name]:.3g}"), choice.low), choice.high)
            for choice in self._space
        }


def _distribution(choice: Choice) -> Any:
    """Of the sampler; values are told by their place, since Optuna takes no values of other types."""
    import optuna

    if choice.values:
        return optuna.distributions.CategoricalDistribution(list(range(len(choice.values))))
    return optuna.distributions.FloatDistribution(choice.low, choice.high, log=choice.log)


def _indices(proposed: Mapping[str, Any], space: Sequence[Choice]) -> dict[str, Any]:
    return {
        choice.name: choice.values.index(proposed[choice.name]) if choice.values else proposed[choice.name]
        for choice in space
    }


def _lies_in(proposed: Mapping[str, Any], space: Sequence[Choice]) -> bool:
    return all(
        proposed[choice.name] in choice.values if choice.values else choice.low <= proposed[choice.name] <= choice.high
        for choice in space
    )
