"""How long 500 probe experiments take: 10 models × 50 settings, 5,000 images, ledger and all.

    python -m benchmarks.sweep_probe_speed [--trials 500] [--images 5000] [--workers 2]

Files, dataset, fits, predictions, run folders, proposals and the ledger are real. The features are not: no ten
backbones are at hand here, so each "model" has features of a real one's width that are drawn around class centres, and
extraction costs nothing. On a GPU the extraction of 5,000 images by ten real models adds its own minutes, once.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import keep, option
from eyeshot.core import find_workspace
from eyeshot.data import DataConfig
from eyeshot.ledger import open_ledger
from eyeshot.sweep import Budget, Costs, InProcess, Processes
from eyeshot.sweep.search.campaign import Campaign
from eyeshot.sweep.search.planning import Level, SearchPlan
from eyeshot.sweep.search.space import read_space
from eyeshot.sweep.search.work import SearchWork, Work

WIDTHS = {"resnet18": 512, "resnet50": 2048, "vit-s": 384, "vit-b": 768, "convnext-t": 768, "convnext-b": 1024,
          "efficientnet": 1280, "mobilenet": 1280, "swin-t": 768, "dino-s": 384}  # fmt: skip
CLASSES = 20


class DrawnFeatures(SearchWork):
    """Probes as they are, on features that are drawn."""

    def _measure(self, item: Work, over: Callable[[], bool]) -> dict[str, Any]:
        dataset = self.dataset
        return {
            "model": item.config["model"], "decode_s": 0.0, "forward_s": 1e-6, "n_train": len(dataset.train_rows),
            "n_val": len(dataset.val_rows), "epochs": 1, "settings": {}, "last-stage_s": 1e3, "none_s": 1e3,
        }  # fmt: skip

    def _read_features(self, item: Work, over: Callable[[], bool]) -> NDArray[np.float32]:
        images, width = self.dataset.images, WIDTHS[str(item.config["model"])]
        random = np.random.default_rng([width, len(str(item.config["model"]))])
        features = random.standard_normal((len(images), width), np.float32)
        features += (random.standard_normal((CLASSES, width), np.float32) * 4 / np.sqrt(width))[images.labels]
        return features


def make_images(folder: Path, count: int) -> Path:
    """Files of 8 px, no two alike, in class folders."""
    random = np.random.default_rng(0)
    for number in range(count):
        file = folder / f"class{number % CLASSES:02d}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)
    return folder


def main() -> None:
    trials, images = int(option("--trials", "500")), int(option("--images", "5000"))
    workers = int(option("--workers", "2"))
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary)
        os.chdir(project)
        (project / "eyeshot.toml").write_text("", encoding="utf-8")
        make_images(project / "images", images)
        data = DataConfig(train=project / "images", val_share=0.2)
        task = DrawnFeatures(data, find_workspace(project), models={}, seed=0, command="", settings={})
        task.dataset  # noqa: B018  # reading files is no part of a sweep's own time
        folder = project / "eyeshot-out" / "sweeps" / "speed"
        folder.mkdir(parents=True)
        space = read_space([f"model={','.join(WIDTHS)}", "probe.penalty=0.3..3000"])
        begin, cpu = time.perf_counter(), os.times()
        with open_ledger(project / "eyeshot-out", write=True) as ledger:
            campaign = Campaign(
                "speed", "which head?", ledger=ledger, folder=folder, task=task,
                executor=InProcess() if workers == 1 else Processes(workers), budget=Budget(1e6, Costs(0.0, 0.0)),
                space=space, model="resnet18", most=trials, rounds=1,
            )  # fmt: skip
            # Probes alone: the plan of a budget that holds nothing else.
            campaign.prices.keep_plan(SearchPlan((Level("probe"),), (trials,), 0.0))
            campaign.decisions.keep("costs", [0.0, 0.1, 1e3, 1e3, 0.0])
            campaign.spend()
        seconds, used = time.perf_counter() - begin, os.times()
        done = sum(bool(trial.results) for trial in campaign.trials)
        fit_s = sum(sum(trial.seconds.values()) for trial in campaign.trials)
    own_cpu = used.user + used.system - cpu.user - cpu.system
    workers_cpu = used.children_user + used.children_system - cpu.children_user - cpu.children_system
    print(
        f"{done} probe experiments on {images} images, {len(WIDTHS)} models: {seconds:.0f} s with {workers} workers; "
        f"probes {fit_s:.0f} s in all; CPU: {own_cpu:.0f} s in the sweep itself, {workers_cpu:.0f} s in the workers "
        f"with their start; load {os.getloadavg()[0]:.1f}"
    )
    keep(
        "sweep_probe_speed",
        {
            "trials": done, "images": images, "models": len(WIDTHS), "workers": workers, "seconds": seconds,
            "probe_seconds": fit_s, "scheduler_cpu_seconds": own_cpu, "workers_cpu_seconds": workers_cpu,
            "load": os.getloadavg()[0], "features": "drawn, of real widths",
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
