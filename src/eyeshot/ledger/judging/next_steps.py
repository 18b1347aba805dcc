"""What to do after an experiment, as a command that can be typed."""

from __future__ import annotations

import shlex

from eyeshot.ledger.store.records import Experiment


def next_step(experiment: Experiment) -> str:
    """The next step after an experiment, by what came of it."""
    own, parent = experiment.id, experiment.parent
    again = f"eyeshot try {shlex.quote(experiment.why)}"
    if experiment.state in ("stopped", "running", "failed"):
        cause = f"{experiment.words} " if experiment.state == "failed" else ""
        return f"{cause}The same command continues it: {again} ..."
    if experiment.state in ("stated", "waiting"):
        return f"eyeshot log --experiment {own} --predictions FILE"
    if experiment.gain is None or parent is None:
        return 'eyeshot try "WHY" --set NAME=VALUE --expect "up accuracy"'
    learned = f'eyeshot learned {own} "..."'
    different = "" if experiment.verdict == "as expected" or experiment.expected is None else ' --why-different "..."'
    if experiment.gain == "better":
        return f'{learned}{different}; then go on from it: eyeshot try "WHY" --set NAME=VALUE'
    if experiment.gain == "worse":
        return f"{learned}{different}; then go on from its parent {parent}."
    return (
        f"do not build on it. To tell them apart: the same with --until-clear 2h, or go on from {parent}. What was "
        f"learned: {learned}"
    )
