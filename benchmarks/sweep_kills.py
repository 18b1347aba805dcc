"""A sweep of simulated trainings, killed at random again and again: every rung of every trial must be there once.

    python -m benchmarks.sweep_kills [--kills 1000] [--trials 12] [--minutes 600]

Each round is a process of its own that is sent SIGKILL after a random time; the next continues. When a sweep is
finished, its ledger is compared with that of one that nobody killed, and another begins. After `--minutes` nothing is
killed any more; the sweep that is under way is finished and counted.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, keep, option
from eyeshot.ledger import open_ledger


def ledger_of(root: Path) -> dict[int, tuple[str, list[tuple[str, float]]]]:
    """State and rungs of each trial, by number."""
    with open_ledger(root) as ledger:
        return {
            e.config["trial"]: (e.state, [(rung["rung"], rung["value"]) for rung in e.rungs])
            for e in ledger.experiments("sweep IS NOT NULL")
        }


def spend(root: str, trials: int) -> None:
    """Do the sweep in `root`, or what is left of it."""
    sys.path.insert(0, str(ROOT / "tests" / "sweep" / "search"))
    simulated = importlib.import_module("simulated_search")
    simulated.spend(Path(root), simulated.Learner(), most=trials)


def begin(root: Path, trials: int) -> BaseProcess:
    """A process that does so. One that is forked has everything loaded, so that a kill hits the work."""
    forks = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    process: BaseProcess = forks.Process(target=spend, args=(str(root), trials))  # type: ignore[attr-defined]
    process.start()
    return process


def main() -> None:
    wanted, trials = int(option("--kills", "1000")), int(option("--trials", "12"))
    draws = random.Random(0)
    until = time.perf_counter() + 60 * float(option("--minutes", "600"))
    kills, sweeps, differing, twice = 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        spend(str(Path(temporary) / "loading"), trials)
        whole = Path(temporary) / "whole"
        started = time.perf_counter()
        spend(str(whole), trials)
        seconds = time.perf_counter() - started
        expected: dict[int, Any] = ledger_of(whole)
        while kills < wanted and time.perf_counter() < until:
            cut = Path(temporary) / f"cut{sweeps}"
            while True:
                process = begin(cut, trials)
                goes_on = kills < wanted and time.perf_counter() < until
                process.join(draws.uniform(0.0, seconds / 4) if goes_on else None)
                if process.exitcode is None:
                    process.kill()
                    process.join()
                    kills += 1
                elif process.exitcode:
                    raise SystemExit(f"a sitting ended with {process.exitcode} after {kills} kills")
                else:
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
