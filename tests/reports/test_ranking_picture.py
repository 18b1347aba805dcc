from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import matplotlib
import pytest
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from synthetic_ranking import make_ranking, make_report
from synthetic_runs import make_full_ranking

from eyeshot.core.errors import InputError
from eyeshot.rankings.augmentations.result import AugmentationRanking, Pictures
from eyeshot.reports import write_ranking_picture
from eyeshot.reports.ranking_picture import MOST_ROWS, STYLE, draw_ranking

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


def drawn(cover: AugmentationRanking, folder: Path) -> ElementTree.Element:
    return ElementTree.fromstring(write_ranking_picture(cover, folder / "picture.svg").read_text(encoding="utf-8"))


def test_the_picture_shows_the_map_the_ranking_and_images(cover: AugmentationRanking, tmp_path: Path) -> None:
    picture = drawn(cover, tmp_path)
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert "pencil-sketch" in texts
    assert "+14.2" in texts
    assert len(list(picture.iter(f"{SVG}use"))) > 800
    assert len(list(picture.iter(f"{SVG}image"))) == 3


def test_it_needs_nothing_from_outside_and_runs_nothing(cover: AugmentationRanking, tmp_path: Path) -> None:
    picture = drawn(cover, tmp_path)
    links = [link for element in picture.iter() for name in ("href", LINK) if (link := element.get(name))]
    assert len(links) > 800
    assert all(link.startswith("#") or re.match("data:image/png;base64,", link) for link in links)
    assert not [element for element in picture.iter() if element.tag in (f"{SVG}script", f"{SVG}foreignObject")]
    assert (tmp_path / "picture.svg").stat().st_size < 300_000


def test_trivial_augment_is_shown_even_far_down(tmp_path: Path) -> None:
    report = make_report()
    policy = next(one for one in report.candidates if one.family == "policy")
    report.candidates.remove(policy)
    report.candidates.insert(20, policy)
    texts = [
        element.text for element in drawn(AugmentationRanking(report, None, Pictures()), tmp_path).iter(f"{SVG}text")
    ]
    assert policy.name in texts
    assert sum(one.name in texts for one in report.of("ranked")) == MOST_ROWS


@pytest.mark.parametrize("name", ["<b>&bold", "costs $5 or $6_x^2$", "鉛筆 スケッチ"])
def test_names_stand_there_as_they_are(name: str, tmp_path: Path) -> None:
    cover = make_ranking()
    cover.report.candidates[0].name = name
    texts = [element.text for element in drawn(cover, tmp_path).iter(f"{SVG}text")]
    assert name in texts


def test_the_answer_is_its_title(cover: AugmentationRanking, tmp_path: Path) -> None:
    assert drawn(cover, tmp_path).findtext(f"{SVG}title") == cover.report.headline


def test_the_same_result_gives_the_same_file(tmp_path: Path) -> None:
    """The solver of the layout gives other last digits now and then, so twice would not show it."""
    assert len({write_ranking_picture(make_ranking(), tmp_path / "again.svg").read_bytes() for _ in range(8)}) == 1


def test_the_users_own_style_is_neither_used_nor_changed(cover: AugmentationRanking, tmp_path: Path) -> None:
    plain = write_ranking_picture(cover, tmp_path / "plain.svg").read_bytes()
    with matplotlib.rc_context({"font.size": 40.0, "svg.fonttype": "path"}):
        assert write_ranking_picture(cover, tmp_path / "styled.svg").read_bytes() == plain
        assert matplotlib.rcParams["font.size"] == 40.0


def test_all_text_lies_inside_the_picture_and_on_no_other_text(tmp_path: Path) -> None:
    covers = {
        "coverage gain": make_ranking(),
        "all": make_full_ranking(),
        "distance": make_ranking(ranked_by="nearest_distance"),
        "no map": AugmentationRanking(make_report(), None, Pictures()),
    }
    for kind, cover in covers.items():
        cover.report.candidates[3].name = "a-long-name-" * 4
        with style.context(["default", STYLE]):
            figure = draw_ranking(cover)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
            boxes = {text: text.get_window_extent(canvas.get_renderer()) for text in texts}
        for text, box in boxes.items():
            inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
            assert inside, (kind, text.get_text(), box)
        for (text, box), (other, there) in combinations(boxes.items(), 2):
            both = Bbox.intersection(box.padded(-2), there.padded(-2))
            assert both is None or min(both.width, both.height) <= 0, (kind, text.get_text(), other.get_text())


def test_without_candidates_there_is_still_a_picture(tmp_path: Path) -> None:
    assert len(drawn(AugmentationRanking(make_report(candidates=[]), None, Pictures()), tmp_path)) > 0


def test_another_kind_of_file_is_refused(cover: AugmentationRanking, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.svg"):
        write_ranking_picture(cover, tmp_path / "picture.png")
