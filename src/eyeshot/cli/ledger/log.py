"""`eyeshot log`: what your own program trained, stated and judged by the same rule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from eyeshot.cli.ledger.try_ import (
    EXPERIMENT,
    Agent,
    Author,
    Expect,
    OffTheShelf,
    OwnWork,
    Parent,
    Tag,
    print_experiment,
)
from eyeshot.cli.options import DATA, Json, option


def run(
    predictions: Annotated[
        list[Path] | None,
        option(
            panel=DATA,
            metavar="FILE",
            text="Probabilities on the validation images, CSV or npz: id, one column a class; repeat: a file a seed.",
        ),
    ] = None,
    why: Annotated[str | None, option(panel=EXPERIMENT, text="The reason, in a sentence, in quotes.")] = None,
    experiment: Annotated[
        str | None, option(panel=EXPERIMENT, metavar="ID", text="The experiment that was stated before, without --why.")
    ] = None,
    more: Annotated[
        list[str] | None,
        option(
            "--set",
            panel=EXPERIMENT,
            metavar="NAME=VALUE",
            text="A setting of your program, by any name; the rest is as in the parent. Repeat.",
        ),
    ] = None,
    parent: Parent = None,
    expect: Expect = None,
    seeds: Annotated[
        list[int] | None, option("--seed", panel=DATA, text="Seeds of the files, in their order; repeat.")
    ] = None,
    test_predictions: Annotated[
        list[Path] | None,
        option(panel=DATA, metavar="FILE", text="The same for the test images; repeat, in the same order."),
    ] = None,
    logits: Annotated[
        bool, option("--logits", panel=DATA, text="Predictions of your own hold scores before softmax.")
    ] = False,
    tags: Tag = None,
    own_work: OwnWork = None,
    off_the_shelf: OffTheShelf = None,
    author: Author = None,
    agent: Agent = None,
    json: Json = False,
) -> None:
    """Log what your own program trained: it is judged by the same rule, and can be compared and join ensembles.

    Without --predictions the experiment is stated with its expectation, before your program runs.
    """
    import eyeshot

    logged = eyeshot.log_run(
        predictions or (), why=why, experiment=experiment, settings=more or (), parent=parent, expect=expect,
        seeds=seeds or (), test_predictions=test_predictions or (), logits=logits, tags=tags or (), own_work=own_work,
        off_the_shelf=off_the_shelf, author=author, agent=agent,
    )  # fmt: skip
    print_experiment(logged, json=json)
