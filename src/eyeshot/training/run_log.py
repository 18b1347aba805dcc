"""What a run writes down while it trains, for people: `config.json`, `metrics.jsonl` and `log.txt`."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyeshot.core import StorageError, append_lines, replacing

if TYPE_CHECKING:
    from eyeshot.training.loop import StepRecord

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"
LOG_FILE = "log.txt"
WRITTEN_EVERY_S = 2.0
"""Lines are gathered for so long: each writing waits for the disk, longer than a step of a small network takes."""
TIME_FIELDS = ("images_per_s", "wait_s", "seconds")
"""Fields of `metrics.jsonl` that differ from one sitting to the next; all others depend on the run alone."""


class RunLog:
    """The lines of a run in its folder.

    `metrics.jsonl` has one line a step: step, epoch, learning_rate, loss, accuracy, grad_norm, images_per_s, wait_s;
    and one an epoch: epoch, step, train_loss, train_accuracy, val_accuracy, seconds. What a float cannot say in JSON
    (NaN, infinity) is null. `log.txt` has one line for each event, with its time.

    The metrics are a part of the run's state: a checkpoint holds how long the file was (`position`), and a resumed run
    cuts it there, since the steps behind it are done again.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._waiting: list[str] = []
        self._written_at = clock()

    def begin(self, config: Mapping[str, Any], position: int | None) -> None:
        """Write `config.json`, and bring `metrics.jsonl` to the length that it had at the checkpoint.

        Args:
            config: all that was decided before the first step.
            position: what `flush` returned when the checkpoint was made; None: the run starts from the beginning.

        Raises:
            StorageError: the folder cannot be written.
        """
        with replacing(self._folder / CONFIG_FILE) as temporary:
            temporary.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        file = self._folder / METRICS_FILE
        if position is None:
            file.unlink(missing_ok=True)
        elif file.exists() and file.stat().st_size > position:
            os.truncate(file, position)
        elif position and not file.exists():
            self.note(f"{METRICS_FILE} of the steps before is missing; it goes on from here.")

    def step(self, record: StepRecord) -> None:
        """One line for a step."""
        self._add(
            step=record.step,
            epoch=record.epoch + 1,
            learning_rate=record.learning_rate,
            loss=record.loss,
            accuracy=record.right / record.seen,
            grad_norm=record.grad_norm,
            images_per_s=round(record.seen / record.seconds, 1) if record.seconds > 0 else None,
            wait_s=round(record.wait_s, 6),
        )
        if self._clock() - self._written_at >= WRITTEN_EVERY_S:
            self.flush()

    def epoch(
        self,
        epoch: int,
        step: int,
        *,
        train_loss: float,
        train_accuracy: float,
        val_accuracy: float | None,
        seconds: float,
    ) -> None:
        """One line for an epoch; `seconds` are those of its steps and of its validation."""
        self._add(
            epoch=epoch,
            step=step,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            val_accuracy=val_accuracy,
            seconds=round(seconds, 3),
        )

    def note(self, text: str) -> None:
        """One line in `log.txt`, with the time.

        Raises:
            StorageError: it cannot be written.
        """
        self._append(LOG_FILE, [f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}"])

    def flush(self) -> int:
        """Write the lines that wait; returns the length of `metrics.jsonl` in bytes.

        Raises:
            StorageError: they cannot be written; none of them is then.
        """
        self._append(METRICS_FILE, self._waiting)
        self._waiting = []
        self._written_at = self._clock()
        file = self._folder / METRICS_FILE
        return file.stat().st_size if file.exists() else 0

    def close(self, text: str) -> None:
        """Keep what waits and say why the run stops, as far as the disk allows; the reason is reported elsewhere."""
        with suppress(StorageError):
            self.flush()
            self.note(text)

    def _add(self, **fields: float | int | None) -> None:
        self._waiting.append(json.dumps({name: _finite(value) for name, value in fields.items()}))

    def _append(self, name: str, lines: list[str]) -> None:
        if not lines:
            return
        file = self._folder / name
        try:
            append_lines(file, lines)
        except OSError as error:
            raise StorageError(
                f"Cannot write {str(file)!r}: {error.strerror or error}. Free some space and give the same command "
                "again; it goes on from the last checkpoint."
            ) from error


def read_metrics(folder: Path | str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of `metrics.jsonl`: those of steps and those of epochs; none where there is no such file.

    A last line that a kill cut off is left out.
    """
    steps: list[dict[str, Any]] = []
    epochs: list[dict[str, Any]] = []
    for line in _lines(Path(folder) / METRICS_FILE):
        with suppress(ValueError):
            fields = json.loads(line)
            (epochs if "train_loss" in fields else steps).append(fields)
    return steps, epochs


def _lines(file: Path) -> Iterator[str]:
    if file.is_file():
        with file.open(encoding="utf-8") as lines:
            yield from lines


def _finite(value: float | int | None) -> float | int | None:
    return value if value is None or math.isfinite(value) else None
