"""How much is done, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.augmentation_truth.table import Row, read_table, table_file
from benchmarks.augmentation_truth.work_list import Wanted
from eyeshot.core import duration


class TimeLeft:
    """Counts the trainings in the tables, and measures their time by the clock, including other processes."""

    def __init__(self, wanted: Sequence[Wanted], tables: Path) -> None:
        self._wanted = wanted
        self._tables = tables
        self._begin = time.monotonic()
        self._done_before = self._done()

    def line(self, rows: Sequence[Row]) -> str:
        """What was finished, how much of all is done, and the time left at the pace so far."""
        first = rows[0]
        read = ", ".join(f"{row.target} {row.target_accuracy:.3f}" for row in rows)
        done = self._done()
        total = sum(len(table.keys) for table in self._wanted)
        pace = (time.monotonic() - self._begin) / max(1, done - self._done_before)
        left = f", about {duration((total - done) * pace, 0)} left" if done < total else ""
        return (
            f"[{done}/{total}{left}] {first.source} {first.model} {first.candidate} seed {first.seed}: "
            f"val {first.val_accuracy:.3f}, {read} ({first.seconds:.1f} s)"
        )

    def _done(self) -> int:
        count = 0
        for table in self._wanted:
            source = Path(table.source).name
            files = [table_file(self._tables, table.source, table.model)] if source == table.source else []
            files += self._tables.glob(f"{source}-????????-{table.model.replace('/', '.').replace(':', '.')}.csv")
            keys = set(table.keys)
            count += len({row.key for file in files for row in read_table(file).rows} & keys)
        return count
