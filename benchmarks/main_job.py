"""The main job on PACS photographs with drawings as target: seconds by part.

`python -m benchmarks.main_job scratch` (a small network from scratch, 64 px) or `squeezenet` (with its weights,
128 px).
The page and augmentations.json go to --out, by default a temporary folder.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.common import flat as flat_links
from benchmarks.common import keep, option, said, shared, squeezenet
from eyeshot.core.files import make_folder
from eyeshot.rankings import rank_augmentations
from eyeshot.reports import write_ranking_page, write_ranking_picture

if __name__ == "__main__":
    kind = sys.argv[1]
    folder = shared()
    out = make_folder(Path(option("--out") or tempfile.mkdtemp()))
    target = flat_links(folder / "data" / "pacs" / "sketch", out / "sketch-flat")
    options = (
        {"model": "test_resnet.r160_in1k", "from_scratch": True, "size": 64}
        if kind == "scratch"
        else {**squeezenet(folder), "size": 128}
    )
    result = rank_augmentations(
        folder / "data" / "pacs" / "photo", cache=out / "cache", progress=said(), test=target, budget_s=0, **options
    )
    result.save(out)
    write_ranking_page(result, out / "augmentations.html")
    write_ranking_picture(result, out / "augmentations.svg")
    report = result.report
    keep(
        f"main_job_{kind}",
        {
            "seconds": report.seconds,
            "seconds_but_forward_and_baseline": report.seconds["total"]
            - report.seconds["forward"]
            - report.seconds["baseline"],
            "n_sources": report.n_sources,
            "n_target_used": report.n_target_used,
            "candidates": len(report.candidates),
            "answer": report.answer,
            "ranking": [
                [candidate.name, candidate.score, candidate.interval, candidate.group]
                for candidate in report.of("ranked")
            ],
            "destroyers": [candidate.name for candidate in report.of("label-breaking")],
            "page_bytes": (out / "augmentations.html").stat().st_size,
        },
    )
