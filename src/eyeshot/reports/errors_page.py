"""`errors.html`: the answer, what to do, classes, confused pairs, slices, confidence, what runs have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing import ErrorAnalysis, ErrorReport, ImageRef, WrongImage, slice_name
from eyeshot.predictions import Calibration
from eyeshot.reports.audit_pictures import QUALITY, SIDE, Gallery, Shown
from eyeshot.reports.marks import make_axis
from eyeshot.reports.page import number, percent, write_fitting
from eyeshot.reports.pictures import data_address

MOST_PICTURES = 400
MOST_CLASSES = 20
MOST_PAIRS = 20
MOST_SLICES = 20
MOST_PANEL_PAIRS = 10
HEAT = np.array([255, 196, 0], np.float32)
"""Where the network looks stays bright under this colour, and the rest is darkened: read in grey print too."""
DARKEST = 0.5


def write_errors_page(analysis: ErrorAnalysis, path: Path | str, *, images: bool = True) -> Path:
    """Write the page of `analysis` to `path`: one file under 15 MB that needs no network.

    Args:
        analysis: what `eyeshot.find_errors()` gave.
        path: the file to write; its folder is made where it is missing.
        images: without them no picture of the user's is on the page.

    Raises:
        StorageError: the file cannot be written.
    """
    numbers = (MOST_PICTURES, MOST_PICTURES // 4, 0) if images else (0,)
    return write_fitting(Path(path), "errors.html.j2", (_context(analysis, most) for most in numbers))


def _context(analysis: ErrorAnalysis, most: int) -> dict[str, Any]:
    report = analysis.report
    gallery = Gallery({("train", name): file for name, file in analysis.paths.items()}, most)
    shown = report.slices[:MOST_SLICES]
    return {
        "report": report,
        "classes": [row for row in report.classes if row.taken_for][:MOST_CLASSES],
        "all_right": sum(not row.taken_for for row in report.classes),
        "pairs": report.pairs[:MOST_PAIRS],
        "slices": shown,
        "slice_name": slice_name,
        "recall_axis": make_axis([0.0, 1.0]),
        "error_axis": make_axis([0.0, *(part.rate.high or 0.0 for part in shown)]),
        "panels": _panels(report, analysis, gallery) if most else [],
        "suspects": _suspects(report, analysis, gallery) if most else [],
        "reliability": _reliability(report.calibration),
        "still_open": [entry for entry in report.to_do if entry.state == "open"],
        "settled": [entry for entry in report.to_do if entry.state != "open"],
        "most_named": MOST_CLASSES,
        "share_text": _share_text,
        "chance_text": _chance_text,
        "pictures": bool(most),
    }


def _panels(report: ErrorReport, analysis: ErrorAnalysis, gallery: Gallery) -> list[dict[str, Any]]:
    """Errors by pair of classes, the most confused pair first: `first`, `second`, and `cards` of single errors."""
    suspects = {finding.images[0].id for finding in report.findings}
    by_pair: defaultdict[frozenset[str], list[WrongImage]] = defaultdict(list)
    for panel in report.panels:
        if panel.image.id not in suspects and panel.image.label is not None:
            by_pair[frozenset((panel.image.label, panel.predicted))].append(panel)
    groups = []
    for pair in report.pairs:
        own = by_pair.get(frozenset((pair.first, pair.second)), [])
        if own:
            cards = [_card(panel, analysis, gallery) for panel in own]
            groups.append({"first": pair.first, "second": pair.second, "cards": cards})
    return groups[:MOST_PANEL_PAIRS]


def _suspects(report: ErrorReport, analysis: ErrorAnalysis, gallery: Gallery) -> list[dict[str, Any]]:
    """Cards of the labels that all runs contradict."""
    by_id = {panel.image.id: panel for panel in report.panels}
    return [
        _card(by_id[finding.images[0].id], analysis, gallery)
        for finding in report.findings
        if finding.images[0].id in by_id
    ]


def _card(panel: WrongImage, analysis: ErrorAnalysis, gallery: Gallery) -> dict[str, Any]:
    def nearest(ids: Sequence[str], label: str | None) -> list[Shown]:
        return [gallery.show(ImageRef(split="train", id=name, label=label)) for name in ids]

    seen = analysis.maps.get(panel.image.id)
    return {
        "panel": panel,
        "shown": gallery.show(panel.image),
        "map": "" if seen is None else data_address(overlaid(*seen), quality=QUALITY),
        "of_label": nearest(panel.nearest_label, panel.image.label),
        "of_predicted": nearest(panel.nearest_predicted, panel.predicted),
    }


def overlaid(image: NDArray[np.uint8], saliency: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture that is darkened where the network does not look, and tinted where it does.

    Args:
        image: uint8 (S, S, 3).
        saliency: float32 (S, S), 0 to 1.

    Returns:
        uint8 (112, 112, 3).
    """
    picture = np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
    heat = np.asarray(Image.fromarray(saliency).resize((SIDE, SIDE), Image.Resampling.BILINEAR))[..., None]
    darkened = picture * (DARKEST + (1 - DARKEST) * heat)
    return np.asarray(np.clip(darkened * (1 - 0.35 * heat) + HEAT * 0.35 * heat, 0, 255), np.uint8)


def _reliability(calibration: Calibration) -> list[dict[str, float | str]]:
    """The points of the reliability picture, 0 to 100 from left to right and from top to bottom."""
    most = max((each.accuracy.n for each in calibration.bins), default=1)
    return [
        {
            "x": round(100 * each.confidence, 2),
            "y": round(100 - 100 * (each.accuracy.value or 0.0), 2),
            "top": round(100 - 100 * (each.accuracy.high or 0.0), 2),
            "bottom": round(100 - 100 * (each.accuracy.low or 0.0), 2),
            "size": round(1.2 + 2.2 * (each.accuracy.n / most) ** 0.5, 2),
            "text": f"confidence {percent(each.confidence)}: {percent(each.accuracy.value)} of {each.accuracy.n} right",
        }
        for each in calibration.bins
    ]


def _share_text(share: Any, digits: int = 0) -> str:
    """A share with its interval."""
    return f"{percent(share.value, digits)} ({percent(share.low, digits)} to {percent(share.high, digits)})"


def _chance_text(chance: float) -> str:
    """A probability of chance: three digits, and never 0."""
    return "< 0.001" if chance < 0.0005 else number(chance, 3)
