"""A sweep of simulated trainings, killed at random again and again: every rung of every trial must be there once.

    python -m benchmarks.sweep_kills [--kills 1000] [--trials 12] [--minutes 600]

Each round is a process of its own that is sent SIGKILL after a random time; the next continues. When a sweep is
finished, its ledger is compared with that of one that nobody killed, and another begins. After `--minutes` nothing is
killed any more; the sweep that is under way is finished and counted.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, keep, option
from eyeshot.ledger import open_ledger

ONE = "import sys; from pathlib import Path; from simulated_search import Learner, spend; print('begun', flush=True); "
ONE += "spend(Path(sys.argv[1]), Learner(), most=int(sys.argv[2])); print('ended', flush=True)"


def ledger_of(root: Path) -> dict[int, tuple[str, list[tuple[str, float]]]]:
    """State and rungs of each trial, by number."""
    with open_ledger(root) as ledger:
        return {
            e.config["trial"]: (e.state, [(rung["rung"], rung["value"]) for rung in e.rungs])
            for e in ledger.experiments()
        }


def begin(root: Path, trials: int) -> subprocess.Popen[str]:
    """A process that does the sweep in `root`, past its imports."""
    process = subprocess.Popen(
        [sys.executable, "-c", ONE, str(root), str(trials)], stdout=subprocess.PIPE, text=True,
        cwd=ROOT / "tests" / "sweep" / "search",
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    return process


def main() -> None:
    wanted, trials = int(option("--kills", "1000")), int(option("--trials", "12"))
    draws = random.Random(0)
    until = time.perf_counter() + 60 * float(option("--minutes", "600"))
    kills, sweeps, differing, twice = 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / "whole"
        process = begin(whole, trials)
        started = time.perf_counter()  # without the imports, in which a kill would hit nothing
        process.wait()
        seconds = time.perf_counter() - started
        expected: dict[int, Any] = ledger_of(whole)
        while kills < wanted and time.perf_counter() < until:
            cut = Path(temporary) / f"cut{sweeps}"
            while True:
                process = begin(cut, trials)
                goes_on = kills < wanted and time.perf_counter() < until
                try:
                    process.wait(timeout=draws.uniform(0.0, seconds / 4) if goes_on else None)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    kills += 1
                    continue
                if process.returncode:
                    raise SystemExit(f"a sitting ended with {process.returncode} after {kills} kills")
                break
            sweeps += 1
            found = ledger_of(cut)
            differing += found != expected
            twice += any(max(Counter(rung for rung, _ in rungs).values()) > 1 for _, rungs in found.values())
            shutil.rmtree(cut)
            print(f"{kills} kills, {sweeps} sweeps, {differing} differing, {twice} twice", file=sys.stderr, flush=True)
    keep("sweep_kills", {"kills": kills, "sweeps": sweeps, "trials": trials, "differing": differing, "twice": twice})


if __name__ == "__main__":
    main()
