"""The joint map as a Bokeh figure: a data source per cloud, with the positions of its points in every projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.reports.density import Frame, density_contours
from eyeshot.reports.marks import TARGET, TRAIN, VALIDATION, Mark, candidate_mark
from eyeshot.reports.page import shortened

if TYPE_CHECKING:
    from eyeshot.rankings import AugmentationRanking, JointMap

LONGEST_ID = 160
LINE = 0.8


@dataclass(frozen=True)
class CloudOnMap:
    """A cloud and how it is drawn.

    Attributes:
        model: name of its renderer in the figure.
        cloud: "train", "target", "validation" or a candidate's name.
        label: text of its switch.
        kind: sort of cloud.
        mark: shape and colour.
        points: int64 (n,), positions in the map.
        shown: whether it is switched on at first.
        dash: dashes of its density contours, as in SVG; None without contours.
    """

    model: str
    cloud: str
    label: str
    kind: str
    mark: Mark
    points: NDArray[np.int64]
    shown: bool
    dash: str | None

    @property
    def contoured(self) -> bool:
        """Whether its density can be shown by contours."""
        return self.dash is not None


def clouds_on_map(points: JointMap, target: str) -> list[CloudOnMap]:
    """Train, target, validation and the mapped candidates; train, target and the first candidate are on at first."""
    words = {"train": "train (clean)", "target": f"target ({target})", "validation": "validation"}
    marks = {"train": TRAIN, "target": TARGET, "validation": VALIDATION}
    clouds = []
    for name, mark in marks.items():
        clouds.append((name, words[name], name, mark))
    clouds += [(name, name, "samples", candidate_mark(place)) for place, name in enumerate(points.candidates)]
    shown = {"train", "target", *points.candidates[:1]}
    dashes = dict.fromkeys(points.candidates[:1], "2 3") | {"train": "none", "target": "7 3"}
    all_clouds = [
        CloudOnMap(
            model=f"cloud-{place}",
            cloud=name,
            label=label,
            kind=kind,
            mark=mark,
            points=np.flatnonzero(points.cloud == name),
            shown=name in shown,
            dash=dashes.get(name),
        )
        for place, (name, label, kind, mark) in enumerate(clouds)
    ]
    return [cloud for cloud in all_clouds if len(cloud.points)]


def square_frame(xy: NDArray[np.float32]) -> Frame:
    """A square around `xy`: float32 (n, 2), as left, right, bottom, top.

    It leaves out the outermost hundredth on each side if that is far away, because a single distant point would
    compress all others into a spot.
    """
    finite = xy[np.isfinite(xy).all(axis=1)].astype(float)
    if not len(finite):
        return (-1.0, 1.0, -1.0, 1.0)
    inner_low, inner_high = np.quantile(finite, [0.01, 0.99], axis=0)
    slack = 0.25 * (inner_high - inner_low).max()
    low = np.maximum(finite.min(axis=0), inner_low - slack)
    high = np.minimum(finite.max(axis=0), inner_high + slack)
    across, up = map(float, (low + high) / 2)
    half = 0.53 * (float((high - low).max()) or 1.0)
    return (across - half, across + half, up - half, up + half)


def frames_of(points: JointMap) -> list[Frame]:
    """The frame of each projection, around train, target and the first candidate; later switches do not change it."""
    first = np.isin(points.cloud, ["train", "target", *points.candidates[:1]])
    return [square_frame(np.asarray(projection.xy)[first]) for projection in points.projections]


def best_projection(points: JointMap) -> int:
    """Position of the projection that shows coverage best; if that is not known, the first."""
    agreement = [projection.info.agreement for projection in points.projections]
    return int(np.argmax(np.nan_to_num(agreement, nan=-1.0)))


def figure_json(points: JointMap, clouds: list[CloudOnMap]) -> dict[str, Any]:
    """The figure for `Bokeh.embed.embed_item`; ranges are fixed, so that a switch moves nothing."""
    from bokeh.embed import json_item
    from bokeh.events import MouseMove, Tap
    from bokeh.models import ColumnDataSource, CustomJS, PanTool, Range1d, WheelZoomTool
    from bokeh.plotting import figure

    first = best_projection(points)
    left, right, bottom, top = frames_of(points)[first]
    pan = PanTool()
    # Only with Ctrl (or a pinch), so that scrolling the page does not get caught in the map.
    zoom = WheelZoomTool(modifiers="ctrl") if "modifiers" in WheelZoomTool.properties() else WheelZoomTool()
    plot = figure(
        name="map",
        width=700,
        height=700,
        aspect_ratio=1,
        sizing_mode="stretch_width",
        x_range=Range1d(left, right),
        y_range=Range1d(bottom, top),
        tools=[pan, zoom],
        active_drag=pan,
        active_scroll=zoom if "modifiers" in WheelZoomTool.properties() else None,
        toolbar_location=None,
        min_border=0,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
    )
    plot.axis.visible = False
    plot.grid.visible = False
    # A vertical swipe scrolls the page, a horizontal swipe moves the map.
    plot.stylesheets.append(".bk-events { touch-action: pan-y !important; }")
    for cloud in clouds:
        columns: dict[str, Any] = {}
        for number, projection in enumerate(points.projections):
            xy = np.asarray(projection.xy, np.float32)[cloud.points]
            columns[f"x{number}"] = np.ascontiguousarray(xy[:, 0])
            columns[f"y{number}"] = np.ascontiguousarray(xy[:, 1])
        columns["x"], columns["y"] = columns[f"x{first}"], columns[f"y{first}"]
        style: dict[str, Any] = {
            "marker": cloud.mark.shape,
            "fill_color": cloud.mark.colour,
            "line_color": cloud.mark.colour,
            "line_width": LINE,
        }
        if cloud.kind in ("target", "validation"):
            n = len(cloud.points)
            columns |= {"shape": [cloud.mark.shape] * n, "fill": [cloud.mark.colour] * n}
            columns |= {"line": [cloud.mark.colour] * n, "width": [LINE] * n}
            style = {"marker": "shape", "fill_color": "fill", "line_color": "line", "line_width": "width"}
        renderer = plot.scatter(
            x="x",
            y="y",
            size=6 if cloud.kind == "train" else 7,
            fill_alpha=0.5,
            line_alpha=0.9,
            source=ColumnDataSource(columns),
            **style,
        )
        renderer.name = cloud.model
        renderer.visible = cloud.shown
        if cloud.dash is not None:
            lines = plot.multi_line(
                xs="xs",
                ys="ys",
                line_width="width",
                line_color=cloud.mark.colour,
                line_dash="solid" if cloud.dash == "none" else cloud.dash,
                source=ColumnDataSource({"xs": [], "ys": [], "width": []}),
            )
            lines.name = f"{cloud.model}-contours"
            lines.visible = False
            lines.level = "overlay"
    ring = plot.scatter(
        x="x",
        y="y",
        size=20,
        marker="circle",
        fill_color=None,
        line_color="#000000",
        line_width=2,
        source=ColumnDataSource({"x": [], "y": []}),
    )
    ring.name = "ring"
    ring.level = "overlay"
    look = CustomJS(code="window.eyeshotMap && window.eyeshotMap.look(cb_obj.x, cb_obj.y)")
    plot.js_on_event(MouseMove, look)
    plot.js_on_event(Tap, look)
    item: dict[str, Any] = json_item(plot, target="map-figure")
    return item


def point_lists(
    ranking: AugmentationRanking, points: JointMap, clouds: list[CloudOnMap], *, sprites: bool
) -> dict[str, Any]:
    """What the page shows about each point, cloud by cloud, in plain lists."""

    policy = ranking.report.policy
    best = "the policy" if policy is not None and policy.composed else ranking.report.advice

    def entry(cloud: CloudOnMap) -> dict[str, Any]:
        chosen = cloud.points
        lists: dict[str, Any] = {
            "model": cloud.model,
            "cloud": shortened(cloud.cloud, LONGEST_ID),
            "kind": cloud.kind,
            "shape": cloud.mark.shape,
            "variable": cloud.mark.variable,
            "shown": cloud.shown,
            "ids": [shortened(name, LONGEST_ID) for name in points.ids[chosen]],
            "label": points.label[chosen].tolist(),
        }
        if sprites:
            lists["sprite"] = chosen.tolist()
        if cloud.kind in ("target", "validation"):
            lists["byClean"] = points.covered_by_clean[chosen].tolist()
        if cloud.kind == "target" and best != "clean":
            lists["byBest"] = points.covered_by_best[chosen].tolist()
        if cloud.kind == "validation":
            lists["predicted"] = points.predicted[chosen].tolist()
        if cloud.dash is not None:
            lists["contours"] = [
                _contours(np.asarray(projection.xy)[chosen], frame)
                for projection, frame in zip(points.projections, frames, strict=True)
            ]
        return lists

    frames = frames_of(points)
    return {
        "classes": [shortened(name, LONGEST_ID) for name in ranking.report.classes],
        "advice": shortened(best, LONGEST_ID),
        "ranges": frames,
        "clouds": [entry(cloud) for cloud in clouds],
    }


def _contours(xy: NDArray[np.float32], frame: Frame) -> dict[str, Any]:
    """Lines as a figure takes them; the line around the densest share is the thickest."""
    lines = density_contours(xy, frame)
    return {
        "xs": [xs for _, xs, _ in lines],
        "ys": [ys for _, _, ys in lines],
        "width": [round(1 + 2.2 * (1 - share), 2) for share, _, _ in lines],
    }
