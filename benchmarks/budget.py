"""What ten minutes of short runs buy: PACS photographs with drawings as target, 64 px, the whole catalogue.

`python -m benchmarks.budget scratch` (a small network from scratch) or `squeezenet` (with its weights).
`--budget SECONDS` sets another budget; the page and augmentations.json go to --out, by default a temporary folder.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import flat as flat_links
from benchmarks.common import keep, option, said, shared, squeezenet
from eyeshot.core.files import make_folder
from eyeshot.rankings import check_settings, prepare, run_ranking
from eyeshot.reports import write_ranking_page, write_ranking_picture

if __name__ == "__main__":
    kind = sys.argv[1]
    folder = shared()
    out = make_folder(Path(option("--out") or tempfile.mkdtemp()))
    target = flat_links(folder / "data" / "pacs" / "sketch", out / "sketch-flat")
    options = (
        {"model": "test_resnet.r160_in1k", "from_scratch": True} if kind == "scratch" else squeezenet(folder)
    ) | {"size": 64, "budget_s": float(option("--budget", "600"))}
    begun: list[float] = []
    settings = check_settings(test=target, **options)
    plan = prepare(folder / "data" / "pacs" / "photo", settings, cache=out / "cache", progress=said())
    result = run_ranking(plan, progress=said(), ranked_by_coverage=lambda _: begun.append(time.perf_counter()))
    result.save(out)
    write_ranking_page(result, out / "augmentations.html")
    write_ranking_picture(result, out / "augmentations.svg")
    report = result.report
    assert report.budget is not None
    assert report.order is not None
    keep(
        f"budget_{kind}",
        {
            "budget": report.budget.model_dump(),
            "wall_s_from_the_ranking_by_cover_to_that_of_all": report.seconds["short runs"],
            "over_budget": report.seconds["short runs"] / report.budget.budget_s - 1,
            "candidates": len(report.of("ranked")) + len(report.of("regulariser")),
            "n_train": report.n_train,
            "seconds": report.seconds,
            "answer": report.answer,
            "order": report.order.model_dump(),
            "ranking": [
                [candidate.name, candidate.combined, candidate.combined_interval, candidate.group]
                for candidate in report.of("ranked")
            ],
            "regulariser": [
                [candidate.name, candidate.combined, candidate.combined_interval, candidate.group]
                for candidate in report.of("regulariser")
            ],
        },
    )
