"""How long does `eyeshot rank augmentations` take, by part, and against an older checkout?

`python -m benchmarks.rank_speed`: PACS photographs with drawings as target, SqueezeNet at 64 px, otherwise defaults, as
a command in an empty folder. `--budget 0` (or any other) goes to the command. `--against FOLDER` also runs the checkout
in FOLDER, alternating with this one, and prints the ratios; `--turns N` (1) runs each N times.

Wall time includes the other load of the machine; processor time (user and system, of the process and its children)
hardly does, so use it on a busy machine.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from benchmarks.common import ROOT, SQUEEZENET, flat, keep, option, shared
from eyeshot.core.files import make_folder


def command_of(checkout: Path) -> tuple[list[str], str]:
    """The command that ranks in this checkout, and the JSON file that it writes."""
    if (checkout / "src" / "eyeshot" / "rankings").is_dir():
        return ["rank", "augmentations"], "augmentations.json"
    return ["cover"], "cover.json"  # the first name of the command


def measure(checkout: Path, arguments: list[str]) -> dict[str, Any]:
    """A run in an empty folder: seconds by part, total wall and processor seconds, and the order by coverage."""
    words, written = command_of(checkout)
    with tempfile.TemporaryDirectory() as folder:
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "eyeshot", *words, *arguments, "--out", "out"],
            cwd=folder, env=os.environ | {"PYTHONPATH": str(checkout / "src")}, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wall_s, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        report = json.loads((Path(folder) / "out" / written).read_text(encoding="utf-8"))
    ranked = [row for row in report["candidates"] if row["role"] == "ranked" and row["score"] is not None]
    return {
        "wall_s": wall_s,
        "processor_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "seconds": report["seconds"],
        "scores": {row["name"]: row["score"] for row in ranked},
    }


def compare(new: list[dict[str, Any]], old: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over turns of the new code's times, as shares of those of the old code; and the two orders."""
    scores, older = new[0]["scores"], old[0]["scores"]
    both = sorted(scores.keys() & older.keys())
    return {
        **{
            f"{what}_ratio": statistics.median(run[what] for run in new) / statistics.median(run[what] for run in old)
            for what in ("wall_s", "processor_s")
        },
        "candidates": len(both),
        "ranked_in_one_alone": sorted(scores.keys() ^ older.keys()),
        "same_order_by_coverage": sorted(both, key=lambda name: -scores[name])
        == sorted(both, key=lambda name: -older[name]),
        "spearman": float(spearmanr([scores[name] for name in both], [older[name] for name in both]).statistic),
        "largest_difference": max(abs(scores[name] - older[name]) for name in both),
    }


if __name__ == "__main__":
    data = shared().resolve()
    out = make_folder(Path(option("--out") or tempfile.mkdtemp()))
    target = flat(data / "data" / "pacs" / "sketch", out / "sketch-flat")
    arguments: list[str] = [
        str(data / "data" / "pacs" / "photo"),
        "--test", str(target.resolve()),
        "--model", str(SQUEEZENET["model"]),
        "--weights", str(data / "weights" / "squeezenet1_0-imagenet.safetensors"),
        "--mean", ",".join(map(str, SQUEEZENET["mean"])),
        "--std", ",".join(map(str, SQUEEZENET["std"])),
        "--interpolation", "bilinear",
        "--size", "64",
    ]  # fmt: skip
    if "--budget" in sys.argv:
        arguments += ["--budget", option("--budget")]
    against = Path(option("--against")).resolve() if "--against" in sys.argv else None
    runs: dict[str, list[dict[str, Any]]] = {"new": [], "old": []}
    for turn in range(int(option("--turns", "1"))):
        for name, checkout in (("new", ROOT), ("old", against)):
            if checkout is not None:
                print(f"turn {turn + 1}: {name}", file=sys.stderr, flush=True)
                runs[name].append(measure(checkout, arguments))
    keep(
        "rank_speed" + ("_by_coverage" if option("--budget") in ("0", "0s") else ""),
        {
            "load": os.getloadavg(),
            "n": len(runs["new"]),
            **{
                name: [{what: value for what, value in run.items() if what != "scores"} for run in some]
                for name, some in runs.items()
                if some
            },
            **(compare(runs["new"], runs["old"]) if against is not None else {}),
        },
    )
