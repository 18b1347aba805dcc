"""What is kept of trials and sweeps on disk, so that nothing is trained twice and a kill costs little.

    trials/TRIAL/SEED-STEPS-STEPS….state        what training goes on from after these rungs
    trials/TRIAL/SEED-STEPS-STEPS….evaluation   what was measured of that state
    trials/TRIAL/trial.json                     name, and failures that would come again
    sweeps/SWEEP.json                           plan, decisions and seconds of one sweep

The numbers of a trial follow from its id, the seed and the steps of its rungs alone. So another sweep, with one more
trial or a larger budget, takes over what fits; a damaged file counts as none and is made again.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import filelock
import xxhash

from eyeshot.core import StorageError, make_folder, replacing
from eyeshot.sweep.trial import Trial

History = tuple[int, ...]
"""Steps of the shared start and of each rung since."""
CHECK_BYTES = 16
HALF_FILE_S = 600.0
"""A file that has been half written for so long is of a process that was killed."""


class Format(Protocol):
    """How values become bytes and back; `json` and `pickle` work alike."""

    def dumps(self, value: Any, /) -> bytes:
        """The bytes of a value."""
        ...

    def loads(self, content: bytes, /) -> Any:
        """The value of bytes that `dumps` gave."""
        ...


class DecisionFile:
    """Named decisions in one small JSON file and a copy of it, each kept before it takes effect.

    Attributes:
        damage: what is wrong with the file, if its copy was read in its place; "" otherwise.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._copy = file, file.with_name(f"{file.name}.copy")
        self._kept: dict[str, Any] = {}
        self.damage = ""
        try:
            self._kept = dict(json.loads(file.read_text(encoding="utf-8")))
        except OSError:  # none yet
            pass
        except (ValueError, TypeError):
            with suppress(OSError, ValueError, TypeError):
                self._kept = dict(json.loads(self._copy.read_text(encoding="utf-8")))
                self.damage = f"{str(file)!r} was damaged, and its copy was used."

    def get(self, name: str) -> Any | None:
        """What was decided before, or None."""
        return self._kept.get(name)

    def keep(self, name: str, value: Any) -> None:
        """Keep a decision: a value that JSON can hold.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        self._kept[name] = value
        if not self._file.parent.is_dir():
            make_folder(self._file.parent)
        for file in (self._file, self._copy):
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(self._kept, indent=1), encoding="utf-8")

    def delete(self) -> None:
        """Forget all of it."""
        self._file.unlink(missing_ok=True)
        self._copy.unlink(missing_ok=True)


class SweepStore:
    """The trials in a folder, and the decisions of one sweep of them; it can be sent to other processes."""

    def __init__(self, folder: Path, sweep: str, *, states: Format, evaluations: Format) -> None:
        """`sweep`: key of all that decides what a sweep does: its trials and its budget."""
        self.folder = make_folder(folder)
        self.decisions = DecisionFile(folder / "sweeps" / f"{sweep}.json")
        self._states, self._evaluations = states, evaluations

    @property
    def seconds(self) -> float:
        """What all sittings of this sweep took."""
        return float(self.decisions.get("seconds") or 0.0)

    def add_seconds(self, seconds: float) -> None:
        """Count work that has been stored."""
        self.decisions.keep("seconds", self.seconds + seconds)

    def trial_folder(self, trial: Trial) -> Path:
        """Where all of a trial lies."""
        return self.folder / "trials" / trial.id

    def evaluation(self, trial: Trial, seed: int, history: History) -> Any | None:
        """The evaluation of a trial after these rungs, or None."""
        content = _read_checked(self._evaluation_file(trial, seed, history))
        return None if content is None else self._evaluations.loads(content)

    def keep_evaluation(self, trial: Trial, seed: int, history: History, evaluation: Any) -> None:
        """Store an evaluation."""
        self._name_trial(trial)
        _write_checked(self._evaluation_file(trial, seed, history), self._evaluations.dumps(evaluation))

    def state(self, trial: Trial, seed: int, history: History) -> Any | None:
        """The state of a trial after these rungs, or None."""
        content = _read_checked(self._state_file(trial, seed, history))
        return None if content is None else self._states.loads(content)

    def keep_state(self, trial: Trial, seed: int, history: History, state: Any) -> None:
        """Store a state; the one that it went on from goes, unless it is a start, which others go on from."""
        self._name_trial(trial)
        _write_checked(self._state_file(trial, seed, history), self._states.dumps(state))
        if len(history) > 2:
            self._state_file(trial, seed, history[:-1]).unlink(missing_ok=True)

    def drop_states(self, trials: Sequence[Trial], seeds: int, history: History) -> None:
        """Delete the states of trials that go no further; those of the shared start stay."""
        for file in self._states_of(trials, seeds, history):
            file.unlink(missing_ok=True)

    def state_bytes(self, trials: Sequence[Trial], seeds: int, history: History) -> int:
        """Size on disk of the states of these trials, those of the shared start not counted."""
        files = self._states_of(trials, seeds, history)
        return sum(file.stat().st_size for file in files if file.is_file())

    def failure(self, trial: Trial, history: History) -> str | None:
        """Why a trial can never finish the last rung of `history`, or None."""
        failures = DecisionFile(self.trial_folder(trial) / "trial.json").get("failures") or {}
        why = failures.get("-".join(map(str, history)))
        return None if why is None else str(why)

    def keep_failure(self, trial: Trial, history: History, why: str) -> None:
        """Keep a failure that would come again."""
        file = DecisionFile(self.trial_folder(trial) / "trial.json")
        file.keep("name", trial.name)
        file.keep("failures", (file.get("failures") or {}) | {"-".join(map(str, history)): why})

    def steps_done(self, trials: Sequence[Trial], seeds: int, history: History) -> Counter[int]:
        """For each number of steps that a rung after `history` had before: how many trials × seeds were evaluated."""
        counts: Counter[int] = Counter()
        for trial in trials:
            done = set()
            for file in self.trial_folder(trial).glob("*.evaluation"):
                seed, *steps = map(int, file.name.partition(".")[0].split("-"))
                if seed < seeds and len(steps) > len(history) and tuple(steps[: len(history)]) == history:
                    done.add((seed, steps[len(history)]))
            counts.update(steps for _, steps in done)
        return counts

    def free_bytes(self) -> int:
        """Free space beside the states."""
        return shutil.disk_usage(self.folder).free

    @contextmanager
    def claim(self, trial: Trial) -> Iterator[bool]:
        """Hold a trial while it is worked on; False where another process holds it. A kill frees it."""
        lock = filelock.FileLock(make_folder(self.folder / "locks") / f"{trial.id}.lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _name_trial(self, trial: Trial) -> None:
        file = self.trial_folder(trial) / "trial.json"
        if not file.is_file():
            DecisionFile(file).keep("name", trial.name)

    def _states_of(self, trials: Sequence[Trial], seeds: int, history: History) -> list[Path]:
        """Where states after any rung of `history` lie."""
        histories = [history[:count] for count in range(2, len(history) + 1)]
        return [
            self._state_file(trial, seed, rungs) for trial in trials for seed in range(seeds) for rungs in histories
        ]

    def _evaluation_file(self, trial: Trial, seed: int, history: History) -> Path:
        measures = f".{re.sub(r'[^a-z0-9]', '_', trial.measures.lower())}" if trial.measures else ""
        return self.trial_folder(trial) / f"{_place(seed, history)}{measures}.evaluation"

    def _state_file(self, trial: Trial, seed: int, history: History) -> Path:
        return self.trial_folder(trial) / f"{_place(seed, history)}.state"


@contextmanager
def open_store(folder: Path, sweep: str, *, states: Format, evaluations: Format, wait_s: float) -> Iterator[SweepStore]:
    """The store of a sweep for this process alone; other sweeps may work on the same trials meanwhile.

    It is read only once it is free: what another process decided until then holds for this one too.

    Raises:
        StorageError: the folder cannot be written, or another process has done the same sweep for `wait_s` seconds.
    """
    lock = make_folder(folder / "sweeps") / f"{sweep}.lock"
    try:
        with filelock.FileLock(lock, timeout=wait_s):
            _sweep_half_files(folder)
            yield SweepStore(folder, sweep, states=states, evaluations=evaluations)
    except filelock.Timeout as error:
        raise StorageError(
            f"Another process has been doing the same sweep in {str(folder)!r} for {wait_s / 60:.0f} minutes. "
            "Wait for it, or give another --budget or --seed."
        ) from error


def _place(seed: int, history: History) -> str:
    return "-".join(map(str, (seed, *history)))


def _sweep_half_files(folder: Path) -> None:
    for file in [*folder.glob("sweeps/.*.part"), *folder.glob("trials/*/.*.part")]:
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > HALF_FILE_S:
                file.unlink()


def _write_checked(file: Path, content: bytes) -> None:
    """Content behind its checksum, whole or not at all."""
    with replacing(file) as temporary, temporary.open("wb") as stream:
        stream.write(xxhash.xxh3_128_digest(content))
        stream.write(content)


def _read_checked(file: Path) -> bytes | None:
    """The content, or None where there is none or it is damaged."""
    try:
        with file.open("rb") as stream:
            check = stream.read(CHECK_BYTES)
            content = stream.read()
    except OSError:
        return None
    return content if xxhash.xxh3_128_digest(content) == check else None
