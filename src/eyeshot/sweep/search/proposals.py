"""What to try next: Optuna's sampler, asked and told. What it knows is rebuilt from the ledger, and lies nowhere else.

The sampler is a tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), over all choices together, that
counts trials that are still running as bad ones, so that workers try different things (Optuna 5's defaults).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eyeshot.core import key_of
from eyeshot.sweep.search.space import Choice

RANDOM_FIRST = 10
"""Trials before the first that learns from others."""


class Told(NamedTuple):
    """A trial that was proposed before: what was proposed, and its value; None: not known yet."""

    proposed: Mapping[str, Any]
    value: float | None


def propose(space: Sequence[Choice], told: Sequence[Told], *, seed: int, number: int) -> tuple[dict[str, Any], str]:
    """The next configuration, and the hypothesis behind it.

    It depends on the arguments alone: a sweep that was killed proposes what it would have proposed.

    Args:
        space: what may be chosen.
        told: the trials so far; those of another space count where their values lie in this one.
        seed: of the sweep.
        number: of the trial that is proposed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {choice.name: _distribution(choice) for choice in space}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=int(key_of(seed, number)[:8], 16) % 2**31, n_startup_trials=RANDOM_FIRST
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for trial in told:
            if set(trial.proposed) == set(distributions) and _lies_in(trial.proposed, space):
                study.add_trial(
                    optuna.trial.create_trial(
                        params=_indices(trial.proposed, space),
                        distributions=distributions,
                        value=trial.value,
                        state=optuna.trial.TrialState.COMPLETE
                        if trial.value is not None
                        else optuna.trial.TrialState.RUNNING,
                    )
                )
        asked = study.ask(distributions)
    values = {
        choice.name: choice.values[asked.params[choice.name]]
        if choice.values
        else min(max(float(f"{asked.params[choice.name]:.3g}"), choice.low), choice.high)
        for choice in space
    }
    known = [trial for trial in told if trial.value is not None]
    if len(known) < RANDOM_FIRST:
        return values, "drawn at random from what may be chosen, to learn what matters"
    best = max(known, key=lambda trial: trial.value or 0.0)
    shared = [name for name, value in values.items() if best.proposed.get(name) == value]
    near = f"; like the best so far in {', '.join(shared)}" if shared else ""
    return values, f"the sampler expects it among the better ones of {len(known)} trials{near}"


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
