"""What the scheduler of a sweep costs where runs take five seconds: ledger, proposals, run folders, promotion.

python -m benchmarks.sweep_overhead [--trials 20] [--run-s 5]
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, keep, option

sys.path.insert(0, str(ROOT / "tests" / "sweep" / "search"))


class Sleeping:
    """A task that takes so many seconds whatever it is asked for."""

    def __init__(self, learner: Any, seconds: float) -> None:
        self.learner, self.seconds, self.slept = learner, seconds, 0.0

    @property
    def clock(self) -> Any:
        """The clock of the simulated learner, which only its results are of."""
        return time.monotonic

    def __call__(self, item: Any) -> dict[str, Any]:
        done: dict[str, Any] = self.learner(item)
        if item.kind != "measure":
            begin = time.perf_counter()
            time.sleep(self.seconds)
            self.slept += time.perf_counter() - begin
        return done


def main() -> None:
    simulated: Any = importlib.import_module("simulated_search")

    trials, run_s = int(option("--trials", "20")), float(option("--run-s", "5"))
    with tempfile.TemporaryDirectory() as temporary:
        task: Any = Sleeping(simulated.Learner(), run_s)
        campaign = simulated.make_campaign(Path(temporary), task, seconds=1e6, most=trials, rounds=1)
        begin, cpu = time.perf_counter(), time.process_time()
        campaign.spend()
        seconds, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
        campaign.ledger.close()
    runs = sum(len(trial.results) for trial in campaign.trials)
    keep(
        "sweep_overhead",
        {
            "runs": runs, "run_s": run_s, "seconds": seconds, "overhead": seconds / task.slept - 1,
            "cpu_s_per_run": cpu_s / runs, "load": os.getloadavg()[0],
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
