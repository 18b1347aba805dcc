"""The runner: trains what is missing in the tables, one training after the other, and writes rows as they come.

Several processes share one work list: each takes the next training that nobody holds. A lock of the operating system
marks a training as taken and is gone with its process, so that a killed one leaves nothing behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import filelock
import xxhash

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
from eyeshot.core import describe_hardware
from eyeshot.core.errors import EyeshotError, ModelError
from eyeshot.core.files import make_folder
from eyeshot.models import choose_device

PAUSE_S = 2.0
PARENT = "EYESHOT_TRUTH_PARENT"


class StoppedError(EyeshotError):
    """Nobody waits for this process any more."""


@dataclass(frozen=True)
class Runner:
    """Where the runner works, and how.

    Attributes:
        tables: folder of the CSV files.
        work: images, caches and unfinished trainings; safe to delete.
        device: where to train; "cpu" is one thread.
        pause_while: nothing is computed while this file exists.
        again: also train what the tables hold in a spoilt or outdated state.
        targets: folders of a user's own.
    """

    tables: Path
    work: Path
    device: str = "cpu"
    pause_while: Path | None = None
    again: bool = False
    targets: tuple[Path, ...] = ()

    @property
    def cache(self) -> Path:
        """The product's caches."""
        return self.work / "cache"

    def wait(self) -> None:
        """Return once the pause file is gone.

        Raises:
            StoppedError: the process that started this one was killed.
        """
        parent = os.environ.get(PARENT)
        if parent is not None and hasattr(os, "getppid") and os.getppid() != int(parent):
            raise StoppedError("The process that started this one is gone.")
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
        return {name: candidate_fingerprint(one) for name, one in self.candidates.items()}

    def states(self, keys: list[Key]) -> dict[Key, str]:
        """How far each training is, as the table says now."""
        return dict(
            states(read_table(self.file), keys, targets=self.task.targets, recipe=self.recipe, catalogue=self.catalogue)
        )


def run(wanted: list[Wanted], models: Mapping[str, Model], runner: Runner, say: Callable[[str], None]) -> int:
    """Train all that is missing; returns how many trainings this process did.

    Raises:
        InputError: folders, candidates or tables that cannot be used.
        StorageError: the disk is full; rows that were written stay, the same command goes on.
    """
    left = TimeLeft(wanted, runner.tables)
    commit, done = commit_now(), 0
    for table in wanted:
        bench = open_bench(table, models[table.model], runner)
        for problem in read_table(bench.file).problems:
            say(f"left out: {problem}")
        redo = ("missing", "stale", "spoilt") if runner.again else ("missing",)
        stale = [key for key, state in bench.states(table.keys).items() if state in ("stale", "spoilt")]
        if stale:
            what = "trained again" if runner.again else "not trained again without --again"
            say(f"{bench.file.name}: {len(stale)} trainings are of another version or edited by hand; {what}.")
        for key in table.keys:
            runner.wait()
            if bench.states([key])[key] not in redo:
                continue
            with _claim(runner.work, bench, key) as mine:
                # Another process may have finished it while this one waited for nothing.
                if not mine or bench.states([key])[key] not in redo:
                    continue
                rows = _train_one(bench, key, runner, commit, say)
                if rows is None:
                    continue
                add_training(bench.file, rows)
                done += 1
                say(left.line(rows))
        say(f"{bench.file.name}: complete" if _complete(bench, table) else f"{bench.file.name}: not complete yet")
    return done


def open_bench(table: Wanted, model: Model, runner: Runner) -> Bench:
    """Read and decode the images, and fix the fingerprints that count."""
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


def _train_one(bench: Bench, key: Key, runner: Runner, commit: str, say: Callable[[str], None]) -> list[Row] | None:
    name, seed = key
    candidate = bench.candidates[name]
    device = str(choose_device(runner.device)[0])
    clock = time.process_time if device == "cpu" else time.perf_counter
    begin = clock()
    backbone = bench.model.load(bench.task.name, seed=seed)
    count = len(bench.data.train.labels)
    epochs = bench.model.draws
    try:
        if bench.model.frozen:
            val, found = fit_and_read(
                backbone, bench.data, candidate,
                seed=seed, draws=epochs, cache=runner.cache, device=device, each_step=runner.wait,
            )  # fmt: skip
        else:
            settings = bench.model.settings(backbone, count, seed=seed)
            epochs = settings.epochs
            val, found = train_and_read(
                backbone, bench.data, candidate, settings,
                folder=runner.work / "runs" / _name(bench, key), device=device, each_step=runner.wait,
            )  # fmt: skip
    except ModelError as error:
        say(f"{bench.file.name}: {name}, seed {seed} has no row: {error}")
        return None
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
    """One row a target."""
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


class _claim:
    """Hold a training while it is done; entering gives False where another process holds it."""

    def __init__(self, work: Path, bench: Bench, key: Key) -> None:
        self._lock = filelock.FileLock(make_folder(work / "claims") / f"{_name(bench, key)}.lock", timeout=0)

    def __enter__(self) -> bool:
        try:
            self._lock.acquire()
        except filelock.Timeout:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self._lock.release(force=True)


def _name(bench: Bench, key: Key) -> str:
    # The table's own path too: two tables of the same training are two pieces of work.
    what = (str(bench.file.resolve()), bench.recipe, bench.catalogue[key[0]], key)
    return xxhash.xxh3_128_hexdigest(repr(what).encode())


def _complete(bench: Bench, table: Wanted) -> bool:
    return all(state == "done" for state in bench.states(table.keys).values())


def commit_now() -> str:
    """The version of this repository."""
    command = ["git", "rev-parse", "--short=10", "HEAD"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def start_others(count: int, arguments: list[str]) -> list[subprocess.Popen[bytes]]:
    """Start `count` more processes of the same command; they end by themselves when this one is gone."""
    command = [sys.executable, "-m", "benchmarks.augmentation_truth", *arguments, "--processes", "1"]
    environment = {**os.environ, PARENT: str(os.getpid())}
    return [subprocess.Popen(command, cwd=Path.cwd(), env=environment) for _ in range(count)]
