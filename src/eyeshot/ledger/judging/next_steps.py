"""What to do after an experiment, as a command that can be typed."""

from __future__ import annotations

import shlex

from eyeshot.ledger.store.records import Experiment


def next_step(experiment: Experiment) -> str:
    """The next step after an experiment, by what came of it."""
    own, parent = experiment.id, experiment.parent
    again = f"eyeshot try {shlex.quote(experiment.why)}"
    logged = "request" in experiment.plan and "looks" not in experiment.plan
    following = 'eyeshot log --why "WHY" --set NAME=VALUE' if logged else 'eyeshot try "WHY" --set NAME=VALUE'
    if experiment.state in ("stopped", "running", "failed"):
        cause = f"{experiment.words} " if experiment.state == "failed" else ""
        return f"{cause}The same command continues it: {again} ..."
    if experiment.state in ("stated", "waiting"):
        return f"eyeshot log --experiment {own} --predictions FILE"
    if experiment.gain is None or parent is None:
        return f'{following} --expect "up accuracy"'
    learned = f'eyeshot learned {own} "..."'
    different = "" if experiment.verdict == "as expected" or experiment.expected is None else ' --why-different "..."'
    if experiment.gain == "better":
        return f"{learned}{different}; then go on from it: {following}"
    if experiment.gain == "worse":
        return f"{learned}{different}; then go on from its parent {parent}."
    clearer = "log both with more seeds, a file each" if logged else "the same with --until-clear 2h"
    return f"do not build on it. To tell them apart: {clearer}. Or go on from {parent}. What was learned: {learned}"
