"""Pictures of the report, as SVG and as pixels: the timeline, leaderboard against validation, sheets of images."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from eyeshot.auditing import AuditReport, ImageRef
from eyeshot.core import shortened
from eyeshot.data import UnreadableImageError, decode_upright, strict_pillow
from eyeshot.reports.document import Block, figure
from eyeshot.reports.formats.fonts import korean_fonts
from eyeshot.reports.marks import CANDIDATES, TARGET, TRAIN
from eyeshot.reports.ranking_picture import INK, PAPER, RULE, SOFT, STYLE, UNITS
from eyeshot.reports.submissions_picture import score_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from eyeshot.reports.wrapup.facts import Facts

PIXELS_PER_INCH = 160
WIDTH, HEIGHT = 1000, 560
KOREAN_FONTS = (
    "Noto Sans KR", "Noto Sans CJK KR", "NanumGothic", "Nanum Gothic", "Malgun Gothic", "Apple SD Gothic Neo",
    "AppleGothic",
)  # fmt: skip
MOST_SHEETS = 4
MOST_ON_SHEET = 4
SIDE = 150
"""Of a picture on a sheet, pixels."""
LANES = ("decisions", "experiments", "runs", "submissions")


@cache
def picture_fonts() -> list[str]:
    """Font families for pictures: matplotlib's own, then those with Korean letters that this machine has."""
    from matplotlib import font_manager

    for file in korean_fonts():
        font_manager.fontManager.addfont(str(file))
    here = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in KOREAN_FONTS if name in here)]


def drawn(draw: Callable[[], Figure], *, title: str) -> tuple[str, bytes, bool]:
    """A figure as SVG and as PNG, and whether all its signs are in a font of this machine."""
    from matplotlib import style

    fonts = {"font.family": picture_fonts(), "font.size": 13}
    with style.context(["default", STYLE | fonts]), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = draw()
        svg, png = io.StringIO(), io.BytesIO()
        made.savefig(svg, format="svg", metadata={"Date": None, "Creator": "eyeshot", "Title": title})
        made.savefig(png, format="png", dpi=PIXELS_PER_INCH, metadata={"Software": "eyeshot"})
    complete = not any("missing from" in str(warning.message) for warning in said)
    return svg.getvalue(), png.getvalue(), complete


def draw_timeline(facts: Facts) -> tuple[str, bytes, list[str]]:
    """Accuracies over time, and below them lanes of what was done; notes say what the picture lacks."""
    say = facts.say
    svg, png, complete = drawn(lambda: _timeline(facts), title=say("Timeline", "진행 과정"))
    return svg, png, [] if complete else [_no_font(facts)]


def _no_font(facts: Facts) -> str:
    return facts.say(
        "Some signs in pictures are in no font of this machine and show as boxes in DOCX. For Korean: pip install "
        '"eyeshot[pdf]".',
        "이 컴퓨터의 글꼴에 없는 문자가 있어 DOCX 그림에서 네모로 표시됨. 한국어 글꼴 설치: pip install "
        '"eyeshot[pdf]".',
    )


def _timeline(facts: Facts) -> Figure:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    say = facts.say
    made = Figure(figsize=(WIDTH / UNITS, HEIGHT / UNITS), dpi=UNITS, facecolor=PAPER, layout="constrained")
    above, below = made.subplots(2, 1, sharex=True, height_ratios=[3, 1.25])
    judged = [each for each in facts.experiments if each.got is not None and each.got.metric == "accuracy"]
    kinds: tuple[tuple[Any, str, str, str], ...] = (
        ("better", CANDIDATES[2].colour, "^", say("better than its parent", "기준보다 좋음")),
        ("worse", TARGET.colour, "v", say("worse", "기준보다 나쁨")),
        ("not distinguishable", SOFT, "o", say("not distinguishable", "구분 불가")),
        (None, TRAIN.colour, "s", say("not compared", "비교 대상 없음")),
    )
    for gain, colour, mark, label in kinds:
        own = [(each.created, each.got) for each in judged if each.gain == gain and each.got is not None]
        if not own:
            continue
        for moment, got in own:
            if got.low is not None and got.high is not None:
                above.plot([moment, moment], [100 * got.low, 100 * got.high], color=(colour, 0.35), linewidth=1.2)
        above.plot([moment for moment, _ in own], [100 * got.value for _, got in own], mark, color=colour, label=label,
                   markersize=6, zorder=3)  # fmt: skip
    if judged:
        best = np.maximum.accumulate([100 * each.got.value for each in judged if each.got is not None])
        above.step([each.created for each in judged], best, where="post", color=INK, linewidth=1.2,
                   label=say("highest so far", "누적 최고"))  # fmt: skip
        above.legend(frameon=False, fontsize=11, loc="lower left", bbox_to_anchor=(0, 1), ncols=5, columnspacing=1.2)
    above.set_ylabel(say("validation accuracy, %", "검증 정확도, %"))
    moments: dict[str, list[datetime]] = {
        "decisions": [decision.time for decision in facts.decisions],
        "experiments": [each.created for each in facts.experiments],
        "runs": [record.created for record in facts.runs.values()],
        "submissions": [] if facts.submissions is None else [each.time for each in facts.submissions.submissions],
    }
    words = {
        "decisions": say("decisions", "결정"), "experiments": say("experiments", "실험"), "runs": say("runs", "실행"),
        "submissions": say("submissions", "제출"),
    }  # fmt: skip
    for place, lane in enumerate(LANES):
        below.plot(moments[lane], [place] * len(moments[lane]), "|", color=TRAIN.colour, markersize=13)
    below.set_yticks(range(len(LANES)), [words[lane] for lane in LANES])
    below.set_ylim(len(LANES) - 0.5, -0.5)
    locator: Any = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    for axes in (above, below):
        axes.grid(color=RULE, zorder=0)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    return made


def draw_scores(facts: Facts) -> tuple[str, bytes]:
    """Score against validation accuracy of the submissions that have both, with 95 % intervals."""
    from matplotlib.figure import Figure

    say, report = facts.say, facts.submissions
    assert report is not None

    def draw() -> Figure:
        made = Figure(figsize=(620 / UNITS, 560 / UNITS), dpi=UNITS, facecolor=PAPER, layout="constrained")
        axes = made.subplots()
        ends: list[float] = []
        for place, each in enumerate(scored(facts)):
            assert each.score is not None
            assert each.validation is not None
            low, high = (100 * end for end in score_interval(report, each)[:2])
            left, right = (100 * end for end in each.validation.interval or (0.0, 0.0))
            x, y = 100 * (each.validation.value or 0.0), 100 * each.score
            axes.plot([left, right], [y, y], color=(TARGET.colour, 0.45), linewidth=1.4)
            axes.plot([x, x], [low, high], color=(TARGET.colour, 0.45), linewidth=1.4)
            axes.plot(x, y, "^", color=TARGET.colour, markersize=8, zorder=3)
            axes.annotate(f"S{place + 1}", (x, y), xytext=(7, 5), textcoords="offset points", fontsize=11)
            ends += [left, right, low, high]
        line = [min(ends) - 1, max(ends) + 1]
        axes.plot(line, line, color=INK, linewidth=1.2, label=say("leaderboard = validation", "리더보드 = 검증"))
        axes.set(
            xlabel=say("validation accuracy, %", "검증 정확도, %"), ylabel=say("leaderboard, %", "리더보드 점수, %")
        )
        axes.grid(color=RULE, zorder=0)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.legend(frameon=False, fontsize=12, loc="upper left")
        return made

    svg, png, complete = drawn(draw, title=say("Leaderboard against validation", "리더보드와 검증"))
    if not complete and (note := _no_font(facts)) not in facts.notes:
        facts.notes.append(note)
    return svg, png


def scored(facts: Facts) -> list[Any]:
    """The submissions with a score whose run has a validation accuracy, in their order."""
    if facts.submissions is None:
        return []
    return [
        each
        for each in facts.submissions.submissions
        if each.score is not None and each.validation is not None and each.validation.interval is not None
    ]


def pictures_of(facts: Facts, audit: AuditReport) -> list[Block]:
    """Sheets of the first findings about labels: the same picture under two labels, and doubtful labels."""
    say = facts.say
    blocks: list[Block] = []
    chosen = [each for each in audit.findings if each.kind in ("conflict", "label-issue") and each.images][:MOST_SHEETS]
    for finding in chosen:
        shown = finding.images[:MOST_ON_SHEET]
        png, gone = sheet(shown, Path(audit.train), None if audit.test is None else Path(audit.test))
        labels = "; ".join(
            f"{shortened(image.id)} ({shortened(image.label)})" if image.label else shortened(image.id)
            for image in shown
        )
        what = (
            say("The same picture under different labels", "서로 다른 라벨이 붙은 같은 이미지")
            if finding.kind == "conflict"
            else say("A doubtful label", "라벨이 의심되는 이미지")
        )
        missing = (
            say(f" {gone} of {len(shown)} files are gone.", f" 파일 {len(shown)}개 중 {gone}개 없음.") if gone else ""
        )
        blocks.append(figure(f"{what}: {labels}.{missing}", f"{what}: {labels}", png=png))
    return blocks


def sheet(images: Sequence[ImageRef], train: Path, test: Path | None) -> tuple[bytes, int]:
    """Pictures side by side as PNG, and how many of their files are gone; these are a crossed frame."""
    page = Image.new("RGB", (len(images) * (SIDE + 10) - 10, SIDE), "white")
    gone = 0
    for place, ref in enumerate(images):
        left = place * (SIDE + 10)
        picture = _opened((train if ref.split == "train" or test is None else test) / ref.id)
        if picture is None:
            gone += 1
            pen = ImageDraw.Draw(page)
            pen.rectangle((left, 0, left + SIDE - 1, SIDE - 1), outline="#8b8a84")
            pen.line((left, 0, left + SIDE - 1, SIDE - 1), fill="#8b8a84")
            pen.line((left, SIDE - 1, left + SIDE - 1, 0), fill="#8b8a84")
            continue
        if (times := SIDE // max(picture.size)) > 1:
            picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
        picture.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
        page.paste(picture, (left + (SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    stored = io.BytesIO()
    page.save(stored, format="PNG", optimize=True)
    return stored.getvalue(), gone


def _opened(file: Path) -> Image.Image | None:
    try:
        with strict_pillow():
            return decode_upright(file.read_bytes()).rgb
    except (OSError, ValueError, UnreadableImageError):  # removed or broken since the audit, or a name with a null
        return None
