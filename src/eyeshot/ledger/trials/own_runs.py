"""`eyeshot.log_run()`: what anybody's own program trained, stated and judged by the same rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from eyeshot.core import InputError, find_project, find_workspace, key_of, listing, make_folder
from eyeshot.data import load_dataset, project_data
from eyeshot.ledger.judging.expectations import parse_expectation
from eyeshot.ledger.judging.judgement import is_replicate, judge
from eyeshot.ledger.run_predictions import PREDICTIONS_FOLDER
from eyeshot.ledger.runs import LOGGED, RECORD_FILE, create_run, find_run_by_key, record_of
from eyeshot.ledger.store.database import Ledger, open_ledger
from eyeshot.ledger.store.records import Experiment
from eyeshot.ledger.trials.code_state import code_state, short_code, who
from eyeshot.ledger.trials.parents import NO_PARENT, adopt_run, best_parent, last_better, latest_run, named_parent
from eyeshot.ledger.trials.training_settings import difference_of
from eyeshot.ledger.writing_up import checked_tags
from eyeshot.predictions import Predictions, align, read_predictions
from eyeshot.training import VALIDATION_FILE, read_validation

LOCK_FILE = "try.lock"
OWN_MODEL = "own"
MOST_SEED = 2**63 - 1
"""As of a training; NumPy and PyTorch take no larger ones."""
TOGETHER = "The expectation was stated together with the result: nothing but the author's word says that it came first."


def log_run(
    predictions: Sequence[str | Path] | str | Path = (),
    *,
    why: str | None = None,
    experiment: str | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    parent: str | None = None,
    expect: str | None = None,
    seeds: Sequence[int] = (),
    test_predictions: Sequence[str | Path] | str | Path = (),
    logits: bool = False,
    tags: Sequence[str] = (),
    own_work: str | None = None,
    off_the_shelf: str | None = None,
    author: str | None = None,
    agent: str | None = None,
) -> Experiment:
    """State an experiment that a program of one's own runs, and judge it by the predictions that the program wrote.

    Without predictions it is stated only, with its expectation and the time; give them later with `experiment`. The
    same call again gives the same experiment. Its run can be compared and can join ensembles.

    Args:
        predictions: files with the probabilities on the validation images, CSV or npz (see `read_predictions`): one,
            or one for each seed of the same recipe.
        why: the reason, in a sentence; not with `experiment`.
        experiment: the one that was stated before.
        settings: of the program, as far as they are to be compared with those of the parent: {"lr": 0.01} or
            ["lr=0.01"], by any names. What is not named is as in the parent. "seed" alone changes nothing but the seed.
        parent: experiment or run to compare with; "none" begins anew. None: the last logged experiment that is better
            than its parent, else what the last one began from; without any, what `try_experiment` would go on from.
        expect: what is expected of the difference, as "+1.0 accuracy".
        seeds: of the files, in their order; None are named: 0, 1, 2, ...
        test_predictions: files with the probabilities on the project's test images, in the same order: they give the
            estimate without labels beside validation, and let the runs join ensembles that are submitted.
        logits: the files hold scores before softmax.
        tags: of the experiment.
        own_work, off_the_shelf: which parts are the author's own, and which were taken; own work by default.
        author: who tried; None: EYESHOT_AUTHOR, git's user.name or the login name.
        agent: name of the agent that tried; None: EYESHOT_AGENT, or a person.

    Returns:
        the experiment: "done" with its verdict, or "waiting" for predictions.

    Raises:
        InputError: no reason, predictions of other images or classes than the parent's or without labels, an
            experiment that has its verdict already, or an expectation without direction.
        StorageError: the ledger or a folder cannot be written.
    """
    files, test_files = _paths(predictions), _paths(test_predictions)
    if (why is None) == (experiment is None):
        raise InputError(
            "A logged experiment needs a reason, or the id of one that was stated: --why WORDS or --experiment ID, one "
            "of them."
        )
    if why is not None and not why.strip():
        raise InputError('An experiment needs a reason, got none. For instance: eyeshot log --why "a longer warm-up".')
    tags = checked_tags(tags)
    if any(not 0 <= seed <= MOST_SEED for seed in seeds):
        raise InputError(f"--seed must be from 0 to {MOST_SEED}, got {listing([str(seed) for seed in seeds])}.")
    if seeds and len(seeds) != len(files):
        raise InputError(f"There must be one seed for each file, got {len(seeds)} for {len(files)}.")
    if test_files and len(test_files) != len(files):
        raise InputError(
            f"Each file of validation predictions takes one of the test images, got {len(test_files)} for {len(files)}."
        )
    if len(set(seeds)) < len(seeds):
        raise InputError(f"Each file must be of another seed, got {listing([str(seed) for seed in seeds])}.")
    expected = None if expect is None else parse_expectation(expect)
    given = _settings(settings)
    # A program may name its seed as it likes; what is no such number stays a setting.
    named = str(given.get("seed", ""))
    if not seeds and len(files) == 1 and re.fullmatch("[0-9]{1,18}", named):
        seeds = (int(named),)
    tables = [read_predictions(file, logits=logits) for file in files]
    tests: list[Predictions | None] = [None] * len(files)
    for number, file in enumerate(test_files):
        tests[number] = read_predictions(file, classes=tables[number].classes, logits=logits)
    workspace = find_workspace()
    root = workspace.root
    name, kind = who(author, agent, workspace.project)
    contents = [key_of(table.ids, table.probabilities, table.classes) for table in tables]
    if len(set(contents)) < len(contents):
        raise InputError("Each file must be of another seed, but two hold the same predictions. Give each once.")
    make_folder(root)
    with filelock.FileLock(root / LOCK_FILE), open_ledger(root, write=True) as ledger:
        if experiment is None:
            why = " ".join((why or "").split())
            request = key_of("logged", why, given, parent, expect, contents)
            stated = _earlier(ledger, why, request)
        else:
            stated = ledger.experiment(experiment)
            request = str(stated.plan.get("request"))
            if expect or given or parent:
                raise InputError(
                    "An experiment that was stated keeps its parent, settings and expectation; --experiment takes "
                    "--predictions alone."
                )
        if stated is not None and "looks" in stated.plan:
            raise InputError(f"{stated.id!r} is trained by eyeshot: its command continues it. Log another with --why.")
        if stated is not None and set(_contents(root / "runs", stated)) - set(contents):
            raise InputError(
                f"{stated.id!r} has predictions already, and such as are added after a look would favour chance. Log a "
                "new experiment, with all seeds at once."
            )
        if stated is not None and stated.state == "done":
            if len(stated.runs) != len(files):
                raise InputError(f"{stated.id!r} has its verdict. Log a new experiment, with all seeds at once.")
            return stated
        if stated is None:
            origin = _origin(ledger, parent)
            if isinstance(origin, Path):
                origin = adopt_run(ledger, origin, author=name)
        else:
            origin = None if stated.parent is None else ledger.experiment(stated.parent)
        # Everything that can be wrong with the files is found before anything is written.
        tables = [_checked(table, root / "runs", origin, file) for table, file in zip(tables, files, strict=True)]
        if stated is None:
            before, difference = _compared_settings(origin, given, root / "runs")
            code = code_state(workspace.project)
            with ledger.together():  # a kill in between would lose the note
                stated = ledger.add(
                    why or "", author=name, author_kind=kind, parent=None if origin is None else origin.id,
                    difference=difference, expected=expected, config=before | given, code=code,
                    seeds=list(seeds or range(len(files))), tags=list(tags), off_the_shelf=off_the_shelf,
                    own_work=own_work or f"own program{f' at {short_code(code)}' if short_code(code) else ''}",
                    plan={"request": request},
                )  # fmt: skip
                if expected is not None and files:
                    stated = ledger.append(stated.id, "note", text=TOGETHER)
        if not files:
            return stated if stated.state == "waiting" else ledger.append(stated.id, "state", state="waiting")
        numbers = tuple(seeds) or tuple(range(len(files)))
        for table, content, seed, test in zip(tables, contents, numbers, tests, strict=True):
            run = _stored(root / "runs", stated, table, content, seed, test)
            if run not in stated.runs:
                stated = ledger.append(stated.id, "run", run=run, seed=seed, role="own")
    judge(root, stated.id, origin)
    with open_ledger(root, write=True) as ledger:
        return ledger.append(stated.id, "state", state="done")


def _earlier(ledger: Ledger, why: str, request: str) -> Experiment | None:
    same = [one for one in ledger.experiments("why = ?", (why,)) if one.plan.get("request") == request]
    return next((one for one in reversed(same) if one.state != "dropped"), None)


def _origin(ledger: Ledger, parent: str | None) -> Experiment | Path | None:
    """What the experiment is compared with: never what cannot be told apart from its own parent."""
    if parent == NO_PARENT:
        return None
    if parent is not None:
        return named_parent(ledger, parent)
    rows = ledger.rows("id", "gain", "parent", "author_kind", where="state = 'done'")
    own = [row for row in rows if row["author_kind"] != "sweep"]
    logged = [row for row in own if _is_logged(ledger.experiment(row["id"]), ledger.root / "runs")]
    by_id = {row["id"]: row for row in rows}
    for row in reversed(logged):
        if row["gain"] == "better":
            return ledger.experiment(row["id"])
    if logged:
        return ledger.experiment(last_better(logged[-1], by_id)["id"])
    best = best_parent(ledger)
    return latest_run(ledger) if best is None else ledger.experiment(best)


def _is_logged(experiment: Experiment, runs: Path) -> bool:
    return any(record_of(runs / run).kind == LOGGED for run in experiment.runs)


def _compared_settings(
    parent: Experiment | None, given: dict[str, Any], runs: Path
) -> tuple[dict[str, Any], dict[str, tuple[Any, Any]]]:
    """Settings that go on from the parent's, and what differs; a parent that eyeshot trained is of another program."""
    if parent is None:
        return {}, {}
    if not _is_logged(parent, runs):
        return {}, {"program": ("eyeshot", OWN_MODEL)} | {name: (None, value) for name, value in given.items()}
    return parent.config, difference_of(parent.config, parent.config | given)


def _contents(runs: Path, experiment: Experiment) -> list[str]:
    """Hashes of the files that an experiment was logged with."""
    return [read_validation(runs / run).key for run in experiment.runs]


def _paths(files: Sequence[str | Path] | str | Path) -> list[Path]:
    return [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]


def _settings(settings: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    if isinstance(settings, Mapping):
        return {str(name): value for name, value in settings.items()}
    given: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--set takes NAME=VALUE, got {text!r}. For instance --set lr=0.01.")
        given[name.strip()] = value.strip()
    return given


def _checked(table: Predictions, runs: Path, parent: Experiment | None, file: Path) -> Predictions:
    """The predictions with images and classes in the parent's order, and with labels.

    Raises:
        InputError: they are of other images or classes, or nobody knows the labels.
    """
    reference = _reference(table, runs, parent, file)
    if reference is not None:
        try:
            table = align([reference, replace(table, run=str(file))])[1]
        except InputError as error:
            raise InputError(
                f"Logged predictions must be of the images and classes of what they are compared with. {error}"
            ) from error
    if table.labels is None or not (table.labels >= 0).any():
        raise InputError(
            f"An experiment is judged on images with labels, but {str(file)!r} has none, and nothing else says them. "
            "Add a column `label` with the names of the true classes."
        )
    return table


def _reference(table: Predictions, runs: Path, parent: Experiment | None, file: Path) -> Predictions | None:
    """What says images and labels: the parent's predictions, else the project's validation images."""
    for run in () if parent is None else parent.runs:
        if (runs / run / VALIDATION_FILE).is_file():
            return replace(read_validation(runs / run), run=run)
    if table.labels is not None or find_project().data.get("train") is None:
        return None
    dataset = load_dataset(project_data(None), cache=find_workspace().cache)
    rows = dataset.val_rows
    nothing = np.full((len(rows), len(dataset.classes)), 1 / len(dataset.classes), np.float32)
    return Predictions(
        tuple(dataset.images.ids[row] for row in rows.tolist()), nothing, dataset.classes, dataset.images.labels[rows],
        run="the project",
    )  # fmt: skip


def _stored(
    runs: Path, experiment: Experiment, table: Predictions, content: str, seed: int, test: Predictions | None
) -> str:
    """The run of one file, made unless it is there; returns its id."""
    key = key_of(LOGGED, experiment.id, content, seed)
    folder = find_run_by_key(runs, key)
    if folder is None:
        name = f"{experiment.id}-s{seed}"
        folder = create_run(
            runs, kind=LOGGED, key=key, model=OWN_MODEL, augmentations=(), seed=seed,
            config={"recipe": _recipe(runs, experiment), "seed": seed},
            run_id=None if (runs / name / RECORD_FILE).exists() else name,  # a kill may have left an empty folder
        )  # fmt: skip
    if not (folder / VALIDATION_FILE).is_file():
        replace(table, run=folder.name, split="validation", fold=None, key=content).save(folder / VALIDATION_FILE)
    if test is not None:
        place = make_folder(folder / PREDICTIONS_FOLDER) / "test.npz"
        replace(test, run=folder.name, split="test", labels=None, key=key_of(content, test.ids)).save(place)
    return folder.name


def _recipe(runs: Path, experiment: Experiment) -> str:
    """Equal for runs of one recipe: seeds of one experiment, and those that change nothing but the seed."""
    if experiment.parent is not None and is_replicate(experiment.difference):
        with open_ledger(runs.parent) as ledger:
            parent = ledger.experiment(experiment.parent)
        for run in parent.runs:
            recipe = record_of(runs / run).config.get("recipe")
            if isinstance(recipe, str):
                return recipe
    return experiment.id
