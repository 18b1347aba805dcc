"""`models.html`: which model to take, accuracy against cost, short fine-tunings, more data, bigger models, sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyeshot.reports.marks import CANDIDATES, PATHS, Axis, candidate_mark, make_axis, round_step
from eyeshot.reports.page import count, number, percent, points, write_fitting

if TYPE_CHECKING:
    from eyeshot.rankings import FineTuning, LearningCurve, ModelsReport, RankedModel

MOST_CLASSES = 5
FITTED_POINTS = 40
LEAST_SPAN = (-0.01, 0.01)
"""Of an axis of differences: models that gained nothing at all have no span of their own."""


def write_models_page(report: ModelsReport, path: Path | str) -> Path:
    """Write the page of `report` to `path`: one file that needs no network.

    Args:
        report: what `eyeshot.rank_models()` gave.
        path: the file to write; its folder is made where it is missing.

    Raises:
        StorageError: the file cannot be written.
    """
    return write_fitting(Path(path), "models.html.j2", [_context(report)])


def _context(report: ModelsReport) -> dict[str, Any]:
    lines = list(dict.fromkeys(model.line for model in report.models))
    differences = [end for model in report.models for end in model.probe.difference_interval or ()]
    tuned = [model for model in report.models if model.fine_tuning is not None]
    return {
        "report": report,
        "marks": {line: _mark(position) for position, line in enumerate(lines)},
        "scatter": _scatter(report),
        "difference_axis": make_axis(differences or [0.0], ticks=4),
        "tuned": tuned,
        "tuned_axis": make_axis(
            [*LEAST_SPAN, *(end for model in tuned for end in _tuning(model).difference_interval)], ticks=4
        ),
        "range_tests": [(model.name, _range_test(_tuning(model))) for model in tuned if _tuning(model).tested_rates],
        "curves": [(model, _curve(model.curve)) for model in report.models if model.curve is not None],
        "sized": [model for model in report.models if model.resolution is not None],
        "worst": lambda model: model.probe.worst_classes[:MOST_CLASSES],
        "share_text": _share_text,
        "points_text": _points_text,
        "megabytes": _megabytes,
    }


def _mark(position: int) -> tuple[str, str]:
    """SVG path and colour of a line of models; colours repeat after the eighth, with other shapes."""
    shape = candidate_mark(position + 3 * (position // len(CANDIDATES))).shape
    return PATHS[shape], candidate_mark(position).variable


def _tuning(model: RankedModel) -> FineTuning:
    assert model.fine_tuning is not None  # asked only of models that have one
    return model.fine_tuning


def _scatter(report: ModelsReport) -> dict[str, Any]:
    """Accuracy with interval against seconds per 1,000 images, in percent of width and height from the lower left."""
    costs = [model.cost.seconds_per_1000 for model in report.models]
    ends = [
        end
        for model in report.models
        for accuracy in (model.probe.accuracy, model.fine_tuning.accuracy if model.fine_tuning else None)
        if accuracy is not None
        for end in (accuracy.low, accuracy.high)
        if end is not None
    ]
    x, y = log_axis(costs), span_axis(ends)
    dots = []
    for model in report.models:
        probe, left = model.probe.accuracy, x.place(math.log10(model.cost.seconds_per_1000))
        dot: dict[str, Any] = {
            "model": model,
            "left": left,
            "bottom": y.place(probe.value or 0.0),
            "low": y.place(probe.low or 0.0),
            "high": y.place(probe.high or 0.0),
            "advised": model.name == report.advised.name,
            "cheap": model.name == report.cheap.name,
            "text": (
                f"{model.rank}. {model.name}: {_share_text(probe)} by probe, "
                f"{number(model.cost.seconds_per_1000)} s per 1,000 images"
            ),
            "tuned": None,
        }
        if model.fine_tuning is not None:
            tuned = model.fine_tuning.accuracy
            dot["tuned"] = {
                "bottom": y.place(tuned.value or 0.0),
                "low": y.place(tuned.low or 0.0),
                "high": y.place(tuned.high or 0.0),
            }
            dot["text"] += f"; {_share_text(tuned)} after short fine-tuning, on one fold"
        dots.append(dot)
    return {"x": x, "y": y, "dots": dots}


def _curve(curve: LearningCurve) -> dict[str, Any]:
    """A learning curve: points with intervals, and the fit from the smallest number of images to twice all of them."""
    first, last = curve.points[0].images, 2 * curve.points[-1].images
    x = log_axis([first, last])
    counts = [first * (last / first) ** (step / FITTED_POINTS) for step in range(FITTED_POINTS + 1)]
    fitted = [curve.asymptote + curve.factor * images**-curve.exponent for images in counts]
    ends = [end for point in curve.points for end in (point.low, point.high)]
    y = span_axis([*ends, *(value for value in fitted if math.isfinite(value))])
    return {
        "x": x,
        "y": y,
        "line": _polyline(x, y, zip(counts, fitted, strict=True)),
        "dots": [
            {
                "left": x.place(math.log10(point.images)),
                "bottom": y.place(point.error),
                "low": y.place(point.low),
                "high": y.place(point.high),
                "text": f"{count(point.images)} images: error {percent(point.error, 1)} ({percent(point.low, 1)} to "
                f"{percent(point.high, 1)})",
            }
            for point in curve.points
        ],
    }


def _range_test(tuning: FineTuning) -> dict[str, Any]:
    """Loss over learning rate, and the rate that was taken."""
    pairs = [
        (rate, loss)
        for rate, loss in zip(tuning.tested_rates, tuning.tested_losses, strict=True)
        if math.isfinite(loss)
    ]
    # A diverging loss would press the part that matters flat.
    lowest, start = min(loss for _, loss in pairs), pairs[0][1]
    top = start + max(0.3 * (start - lowest), 0.05 * abs(start), 1e-6)
    pairs = [(rate, min(loss, top)) for rate, loss in pairs]
    x, y = log_axis([rate for rate, _ in pairs]), span_axis([loss for _, loss in pairs])
    return {
        "x": x,
        "y": y,
        "line": _polyline(x, y, pairs),
        "chosen": x.place(math.log10(tuning.settings.learning_rate)),
        "words": tuning.rate,
    }


def _polyline(x: Axis, y: Axis, pairs: Iterable[tuple[float, float]]) -> str:
    """Points of an SVG polyline in a box of 100 by 100, for pairs on a logarithmic and a plain axis."""
    return " ".join(
        f"{x.place(math.log10(first)):g},{100 - y.place(second):g}" for first, second in pairs if math.isfinite(second)
    )


def log_axis(values: Sequence[float]) -> Axis:
    """An axis of log10 of positive values, with a margin and round ticks: decades, or 1, 2 and 5 of each."""
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.06 * (high - low), 0.08)
    low, high = low - margin, high + margin
    decades = range(math.floor(low), math.ceil(high) + 1)
    steps = (1,) if high - low > 2 else (1, 2, 5) if high - low > 0.5 else (1, 1.5, 2, 3, 4, 5, 7)
    ticks = tuple(decade + math.log10(step) for decade in decades for step in steps)
    return Axis(low=low, high=high, ticks=tuple(tick for tick in ticks if low <= tick <= high))


def span_axis(values: Sequence[float], *, ticks: int = 5) -> Axis:
    """An axis over the values with a margin; unlike `make_axis` it need not contain zero."""
    low, high = min(values), max(values)
    margin = max(0.06 * (high - low), 0.002)
    low, high = low - margin, high + margin
    step = round_step(high - low, ticks)
    first, last = math.ceil(low / step), math.floor(high / step)
    return Axis(low=low, high=high, ticks=tuple(round(place * step, 12) for place in range(first, last + 1)))


def _share_text(share: Any, digits: int = 1) -> str:
    """A share with its interval."""
    return f"{percent(share.value, digits)} ({percent(share.low, digits)} to {percent(share.high, digits)})"


def _points_text(difference: float | None, interval: tuple[float, float] | None) -> str:
    """A difference in points with its interval."""
    if difference is None:
        return "–"
    return points(difference) + (f" ({points(interval[0])} to {points(interval[1])})" if interval else "")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:,.1f} MB"
