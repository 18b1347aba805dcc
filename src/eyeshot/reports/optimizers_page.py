"""`optimizers.html`: the answer, differences from AdamW, learning rates, how random batches differ, the advice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eyeshot.auditing import ImageRef
from eyeshot.rankings import OptimizerRanking, OptimizersReport
from eyeshot.reports.audit_pictures import Gallery
from eyeshot.reports.marks import Axis, make_axis, round_step
from eyeshot.reports.page import number, percent, signed, write_fitting

MOST_PICTURES = 40
WIDTH, HEIGHT = 300.0, 150.0
"""Of the plot of a curve, without its labels, in units of its SVG."""


def write_optimizers_page(ranking: OptimizerRanking, path: Path | str, *, images: bool = True) -> Path:
    """Write the page of `ranking` to `path`: one file under 15 MB that needs no network.

    Args:
        ranking: what `eyeshot.rank_optimizers()` gave.
        path: the file to write; its folder is made where it is missing.
        images: without them no picture of the user's is on the page.

    Raises:
        StorageError: the file cannot be written.
    """
    numbers = (MOST_PICTURES, 0) if images else (0,)
    return write_fitting(Path(path), "optimizers.html.j2", (_context(ranking, most) for most in numbers))


def _context(ranking: OptimizerRanking, most: int) -> dict[str, Any]:
    report = ranking.report
    gallery = Gallery({("train", name): file for name, file in ranking.paths.items()}, most)
    ends = [
        100 * end
        for each in report.tried
        if each.difference is not None
        for end in (each.difference.low, each.difference.high)
    ]
    here = report.situation
    return {
        "report": report,
        "here": here,
        "difference_axis": make_axis(ends, least_span=1.0),
        "curves": _curves(report),
        "ratio_axis": _ratio_axis([*here.loss_ratios, *here.norm_ratios]),
        "odd_numbers": {batch.number for batch in here.odd_batches},
        "batch_count": here.batches,
        "odd": [
            {
                "batch": batch,
                "shown": [
                    gallery.show(ImageRef(split="train", id=image.id, label=image.label), f"loss {image.loss:.2f}")
                    for image in batch.images
                ]
                if most
                else [],
            }
            for batch in here.odd_batches
        ],
        "chance_text": lambda chance: "< 0.001" if chance < 0.0005 else number(chance, 3),
        "difference_text": _difference_text,
        "seed_text": lambda shares: ", ".join(percent(share, 1) for share in shares),
        "rate_text": lambda rate: f"{rate:g}",
    }


def _difference_text(value: float, low: float, high: float) -> str:
    """A difference in points with its interval."""
    return f"{signed(100 * value, 1)} ({signed(100 * low, 1)} to {signed(100 * high, 1)})"


def _ratio_axis(ratios: Sequence[float]) -> Axis:
    """From 0 to beyond the largest ratio, at least to 2."""
    return make_axis([2.0, *ratios])


def _curves(report: OptimizersReport) -> list[dict[str, Any]]:
    """Accuracy on the inner validation by learning rate, one curve an optimizer, all on the same vertical axis.

    Returns:
        a curve has `optimizer`, `path` of its line, `points` (x, y, top and bottom of the interval, `text`, whether
        `chosen`), `rates` (x and text) and `ticks` (y and text); coordinates of a plot of WIDTH by HEIGHT.
    """
    known = [
        end
        for each in report.tried
        for rate in each.rates
        if rate.accuracy is not None and rate.accuracy.interval is not None
        for end in rate.accuracy.interval
    ]
    if not known:
        return []
    low, high = max(0.0, min(known) - 0.02), min(1.0, max(known) + 0.02)
    step = round_step(100 * (high - low), 4) / 100
    first = math.ceil(low / step - 1e-9)
    levels = [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]

    def y(share: float) -> float:
        return round(HEIGHT * (high - share) / (high - low), 2)

    curves = []
    for each in report.tried:
        rates = each.rates
        places = [round(WIDTH * (number + 0.5) / len(rates), 2) for number in range(len(rates))]
        drawn = [
            {
                "x": x,
                "y": y(rate.accuracy.value or 0.0),
                "top": y(rate.accuracy.high or 0.0),
                "bottom": y(rate.accuracy.low or 0.0),
                "chosen": rate.learning_rate == each.learning_rate,
                "text": f"{rate.learning_rate:g}: {percent(rate.accuracy.value, 1)}",
            }
            for x, rate in zip(places, rates, strict=True)
            if rate.accuracy is not None
        ]
        curves.append(
            {
                "optimizer": each.optimizer,
                "path": "M" + "L".join(f"{point['x']} {point['y']}" for point in drawn) if drawn else "",
                "points": drawn,
                "rates": [
                    {"x": x, "text": f"{rate.learning_rate:g}", "diverged": rate.accuracy is None}
                    for x, rate in zip(places, rates, strict=True)
                ],
                "ticks": [{"y": y(level), "text": f"{100 * level:g}"} for level in levels],
            }
        )
    return curves
