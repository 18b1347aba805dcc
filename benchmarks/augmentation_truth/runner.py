"""The runner: a sweep's executor trains what is missing in the tables, in one process or several, and writes rows as
they are finished.

Each training is a trial of a sweep's store: its rows are kept there when it is finished, and its lock marks it as
taken, so two commands may share a table, and a kill leaves nothing incomplete.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks.augmentation_truth.frozen_head import fit_and_read
from benchmarks.augmentation_truth.progress import TimeLeft
from benchmarks.augmentation_truth.recipes import (
    Model,
    candidate_fingerprint,
    choose_candidates,
    recipe_fingerprint,
)
from benchmarks.augmentation_truth.table import Key, Row, add_training, read_table, states, table_file
from benchmarks.augmentation_truth.tasks import Decoded, Task, decode, open_task
from benchmarks.augmentation_truth.trained import Probabilities, accuracies, train_and_read
from benchmarks.augmentation_truth.work_list import Wanted
from benchmarks.common import ROOT
from eyeshot.augment import Augmentation
from eyeshot.core import describe_hardware, key_of
from eyeshot.core.errors import ModelError
from eyeshot.models import choose_device
from eyeshot.sweep import InProcess, Processes, SweepStore, Trial

PAUSE_S = 2.0


@dataclass(frozen=True)
class Runner:
    """Folders and settings of the runner.

    Attributes:
        tables: folder of the CSV files.
        work: images, caches and unfinished trainings; safe to delete.
        device: where to train; "cpu" uses a single thread.
        pause_while: nothing is computed while this file exists.
        again: also train rows that were edited or are outdated.
        targets: folders of a user's own.
        processes: trainings at the same time.
    """

    tables: Path
    work: Path
    device: str = "cpu"
    pause_while: Path | None = None
    again: bool = False
    targets: tuple[Path, ...] = ()
    processes: int = 1

    @property
    def cache(self) -> Path:
        """The product's caches."""
        return self.work / "cache"

    def wait(self) -> None:
        """Return once the pause file is gone."""
        while self.pause_while is not None and self.pause_while.exists():
            time.sleep(PAUSE_S)


@dataclass(frozen=True, eq=False)
class Bench:
    """What all trainings of a table share."""

    task: Task
    model: Model
    data: Decoded
    candidates: Mapping[str, Augmentation]
    recipe: str
    file: Path

    @property
    def catalogue(self) -> dict[str, str]:
        """Fingerprints of the candidates."""
        return {name: candidate_fingerprint(augmentation) for name, augmentation in self.candidates.items()}

    def states(self, keys: list[Key]) -> dict[Key, str]:
        """The state of each training, as the table says now."""
        return dict(
            states(read_table(self.file), keys, targets=self.task.targets, recipe=self.recipe, catalogue=self.catalogue)
        )

    def trial(self, key: Key) -> Trial:
        """A training; the same training in two tables is two pieces of work."""
        return Trial(id=key_of(str(self.file.resolve()), self.recipe, self.catalogue[key[0]], list(key)), name=key[0])


class Item(NamedTuple):
    """A training: its table, candidate and seed."""

    wanted: Wanted
    key: Key


@dataclass(eq=False)
class Training:
    """The task of the executor: the rows of a training; None if the table has them or another process trains it.

    Images are decoded once in each process.
    """

    models: Mapping[str, Model]
    runner: Runner
    commit: str
    _benches: dict[Wanted, Bench] = field(default_factory=dict)

    def __call__(self, item: Item) -> list[Row] | None:
        """Train, or use the rows of a training that was finished but not written.

        Raises:
            ModelError: the training diverged.
        """
        self.runner.wait()
        bench = self.bench(item.wanted)
        redo = ("missing", "stale", "spoilt") if self.runner.again else ("missing",)
        if bench.states([item.key])[item.key] not in redo:
            return None
        store = SweepStore(self.runner.work / "trials", "truth", states=json_rows, evaluations=json_rows)
        trial, seed = bench.trial(item.key), item.key[1]
        with store.claim(trial) as is_mine:
            # Another process may have finished it in the meantime.
            if not is_mine or bench.states([item.key])[item.key] not in redo:
                return None
            rows: list[Row] | None = store.evaluation(trial, seed, (0,))
            if rows is None:
                rows = train_rows(bench, item.key, self.runner, self.commit, store.trial_folder(trial) / "run")
                store.keep_evaluation(trial, seed, (0,), rows)
            add_training(bench.file, rows)
        return rows

    def bench(self, wanted: Wanted) -> Bench:
        """What all trainings of a table share."""
        if wanted not in self._benches:
            self._benches[wanted] = open_bench(wanted, self.models[wanted.model], self.runner)
        return self._benches[wanted]


class _JsonRows:
    """Rows as bytes, for the store."""

    def dumps(self, rows: list[Row]) -> bytes:
        return json.dumps([asdict(row) for row in rows]).encode()

    def loads(self, content: bytes) -> list[Row]:
        return [Row(**values) for values in json.loads(content)]


json_rows = _JsonRows()


def run(wanted: list[Wanted], models: Mapping[str, Model], runner: Runner, say: Callable[[str], None]) -> int:
    """Train all that is missing; returns the number of trainings done.

    Raises:
        InputError: folders, candidates or tables cannot be used.
        StorageError: the disk is full; written rows stay, and the same command continues.
    """
    left = TimeLeft(wanted, runner.tables)
    task, done = Training(models, runner, commit_now()), 0
    executor = InProcess() if runner.processes == 1 else Processes(runner.processes)
    for table in wanted:
        bench = task.bench(table)
        for problem in read_table(bench.file).problems:
            say(f"left out: {problem}")
        progress = bench.states(table.keys)
        stale = [key for key, state in progress.items() if state in ("stale", "spoilt")]
        if stale:
            what = "trained again" if runner.again else "not trained again without --again"
            say(f"{bench.file.name}: {len(stale)} trainings are of another version or edited by hand; {what}.")
        items = [Item(table, key) for key in table.keys if progress[key] != "done"]
        sent = task if runner.processes == 1 else Training(models, runner, task.commit)
        for item, rows in executor.map(sent, items):
            if isinstance(rows, ModelError):
                say(f"{bench.file.name}: {item.key[0]}, seed {item.key[1]} has no row: {rows}")
            elif isinstance(rows, BaseException):
                raise rows
            elif rows is not None:
                done += 1
                say(left.line(rows))
        say(f"{bench.file.name}: complete" if _complete(bench, table) else f"{bench.file.name}: not complete yet")
    return done


def open_bench(table: Wanted, model: Model, runner: Runner) -> Bench:
    """Read and decode the images, and compute the current fingerprints."""
    task = open_task(table.source, runner.targets, runner.work)
    backbone = model.load(task.name, seed=0)
    data = decode(task, backbone.geometry, runner.cache)
    settings = None if model.frozen else model.settings(backbone, len(data.train.labels), seed=0)
    return Bench(
        task,
        model,
        data,
        choose_candidates(table.candidates, data.aspect_ratios),
        recipe_fingerprint(model, task, settings),
        table_file(runner.tables, task.name, model.name),
    )


def train_rows(bench: Bench, key: Key, runner: Runner, commit: str, folder: Path) -> list[Row]:
    """Train a candidate and evaluate it on all targets; `folder` holds the run until it is finished."""
    name, seed = key
    candidate = bench.candidates[name]
    device = str(choose_device(runner.device)[0])
    clock = time.process_time if device == "cpu" else time.perf_counter
    begin = clock()
    backbone = bench.model.load(bench.task.name, seed=seed)
    epochs = bench.model.draws
    if bench.model.frozen:
        val, found = fit_and_read(
            backbone, bench.data, candidate,
            seed=seed, draws=epochs, cache=runner.cache, device=device, each_step=runner.wait,
        )  # fmt: skip
    else:
        settings = bench.model.settings(backbone, len(bench.data.train.labels), seed=seed)
        epochs = settings.epochs
        val, found = train_and_read(
            backbone, bench.data, candidate, settings, folder=folder, device=device, each_step=runner.wait
        )
    return rows_of(bench, key, val, found, epochs=epochs, seconds=clock() - begin, device=device, commit=commit)


def rows_of(
    bench: Bench,
    key: Key,
    val_accuracy: float,
    found: Probabilities,
    *,
    epochs: int,
    seconds: float,
    device: str,
    commit: str,
) -> list[Row]:
    """A row for each target."""
    rows = []
    for target in bench.task.targets:
        labelled = bench.data.targets[target]
        accuracy, worst = accuracies(found[target], labelled, len(bench.data.classes))
        rows.append(
            Row(
                source=bench.task.name,
                target=target,
                model=bench.model.name,
                candidate=key[0],
                seed=key[1],
                epochs=epochs,
                n_train=len(bench.data.train.labels),
                n_target=len(labelled.labels),
                val_accuracy=val_accuracy,
                target_accuracy=accuracy,
                worst_class=worst,
                seconds=seconds,
                hardware=describe_hardware(device),
                commit=commit,
                recipe=bench.recipe,
                catalogue=bench.catalogue[key[0]],
            )
        )
    return rows


def _complete(bench: Bench, table: Wanted) -> bool:
    return all(state == "done" for state in bench.states(table.keys).values())


def commit_now() -> str:
    """The version of this repository."""
    command = ["git", "rev-parse", "--short=10", "HEAD"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
