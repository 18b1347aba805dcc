"""A writer killed at random: what was said is there once, whatever it was doing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from benchmarks.ledger_kills import Trial

KILLS = int(os.environ.get("EYESHOT_KILLS", "50"))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*was damaged")
def test_a_killed_writer_loses_and_doubles_nothing(tmp_path: Path) -> None:
    trial = Trial(tmp_path, seed=1)
    for _ in range(KILLS):
        trial.kill_once()
    assert sum(count for name, count in trial.counts.items() if name.startswith("before")) == KILLS
