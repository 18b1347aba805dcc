"""How long does `eyeshot rank augmentations` take, by part, and against an older checkout?

`python -m benchmarks.rank_speed`: PACS photographs with drawings as target, SqueezeNet at 64 px, otherwise defaults, as
a command in an empty folder. `--budget 0` (or any other) and `--max-images` go to the command. `--against FOLDER` also
runs the checkout in FOLDER, alternating with this one, and prints the ratios; `--turns N` (1) runs each N times.
`--two-models` ranks for SqueezeNet and EfficientNet-Lite0 in one command, against a command for each after the other,
which share decoded pixels alone.

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
from functools import partial
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


def measure(checkout: Path, *commands: list[str], place: Path | None = None) -> dict[str, Any]:
    """Runs in an empty folder: seconds by part of each report, total wall and processor seconds, scores by coverage.

    Args:
        checkout: whose code runs.
        commands: arguments of the runs, one after the other.
        place: folder of the user's own models.
    """
    words, written = command_of(checkout)
    path = os.pathsep.join([str(checkout / "src"), *([str(place)] if place else [])])
    with tempfile.TemporaryDirectory() as folder:
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        for number, arguments in enumerate(commands):
            subprocess.run(
                [sys.executable, "-m", "eyeshot", *words, *arguments, "--out", f"out{number}"],
                cwd=folder, env=os.environ | {"PYTHONPATH": path}, check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        wall_s, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        reports = [
            json.loads(file.read_text(encoding="utf-8")) for file in sorted(Path(folder).glob(f"out*/**/{written}"))
        ]
    return {
        "wall_s": wall_s,
        "processor_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "seconds": [report["seconds"] for report in reports],
        "scores": {
            f"{row['name']} {row.get('model', '')}": row["score"]
            for report in reports
            for row in report["candidates"]
            if row["role"] == "ranked" and row["score"] is not None
        },
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


OWN_MODELS = """
import timm, torchvision
from safetensors.torch import load_file

def prepared(network, weights, mean, std):
    network.load_state_dict(load_file(weights))
    network.pretrained_cfg = dict(mean=mean, std=std, input_size=(3, 64, 64), crop_pct=1.0, interpolation="bilinear")
    return network

def squeezenet():
    return prepared(torchvision.models.squeezenet1_0(), {squeezenet!r}, {mean!r}, {std!r})

def efficientnet():
    return prepared(timm.create_model("tf_efficientnet_lite0"), {efficientnet!r}, (0.5,) * 3, (0.5,) * 3)
"""
"""Two networks whose images have one geometry, each with its own mean and std."""


def write_models(weights: Path, folder: Path) -> Path:
    """The folder, with the module `two_models` in it."""
    text = OWN_MODELS.format(
        squeezenet=str(weights / "squeezenet1_0-imagenet.safetensors"),
        efficientnet=str(weights / "tf_efficientnet_lite0-imagenet.safetensors"),
        mean=SQUEEZENET["mean"], std=SQUEEZENET["std"],
    )  # fmt: skip
    (folder / "two_models.py").write_text(text, encoding="utf-8")
    return folder


def main() -> None:
    """Run what is typed, and keep the result."""
    data = shared().resolve()
    out = make_folder(Path(option("--out") or tempfile.mkdtemp()))
    target = flat(data / "data" / "pacs" / "sketch", out / "sketch-flat")
    images = [str(data / "data" / "pacs" / "photo"), "--test", str(target.resolve())]
    for name in ("--budget", "--max-images"):
        if name in sys.argv:
            images += [name, option(name)]
    squeezenet = [
        "--model", str(SQUEEZENET["model"]),
        "--weights", str(data / "weights" / "squeezenet1_0-imagenet.safetensors"),
        "--mean", ",".join(map(str, SQUEEZENET["mean"])),
        "--std", ",".join(map(str, SQUEEZENET["std"])),
        "--interpolation", "bilinear",
        "--size", "64",
    ]  # fmt: skip
    name, run_new, run_old = "rank_speed", partial(measure, ROOT, [*images, *squeezenet]), None
    if "--two-models" in sys.argv:
        name, place = "rank_speed_two_models", write_models(data / "weights", out.resolve())
        models = [["--model", f"two_models:{one}"] for one in ("squeezenet", "efficientnet")]
        run_new = partial(measure, ROOT, [*images, *models[0], *models[1]], place=place)
        run_old = partial(measure, ROOT, *([*images, *model] for model in models), place=place)
    elif "--against" in sys.argv:
        run_old = partial(measure, Path(option("--against")).resolve(), [*images, *squeezenet])
    runs: dict[str, list[dict[str, Any]]] = {"new": [], "old": []}
    for turn in range(int(option("--turns", "1"))):
        for kind, run in (("new", run_new), ("old", run_old)):
            if run is not None:
                print(f"turn {turn + 1}: {kind}", file=sys.stderr, flush=True)
                runs[kind].append(run())
    keep(
        name + ("_by_coverage" if option("--budget") in ("0", "0s") else ""),
        {
            "load": os.getloadavg(),
            "n": len(runs["new"]),
            **{
                kind: [{what: value for what, value in run.items() if what != "scores"} for run in some]
                for kind, some in runs.items()
                if some
            },
            **(compare(runs["new"], runs["old"]) if run_old is not None else {}),
        },
    )


if __name__ == "__main__":
    main()
