from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from synthetic_cover import make_cover, make_report

from eyeshot.coverage.result import Cover, Pictures
from eyeshot.errors import InputError
from eyeshot.reports import write_cover_picture
from eyeshot.reports.cover_picture import MOST_ROWS

SVG = "{http://www.w3.org/2000/svg}"


def drawn(cover: Cover, folder: Path) -> ElementTree.Element:
    return ElementTree.fromstring(write_cover_picture(cover, folder / "picture.svg").read_text(encoding="utf-8"))


def test_the_picture_shows_the_map_the_ranking_and_images(cover: Cover, tmp_path: Path) -> None:
    picture = drawn(cover, tmp_path)
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert "pencil-sketch" in texts
    assert "+14.2" in texts
    assert len(list(picture.iter(f"{SVG}use"))) > 800
    assert len(list(picture.iter(f"{SVG}image"))) == 3


def test_it_needs_nothing_from_outside_and_runs_nothing(cover: Cover, tmp_path: Path) -> None:
    picture = drawn(cover, tmp_path)
    links = [element.get("href", "") for element in picture.iter() if element.get("href")]
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)
    assert not [element for element in picture.iter() if element.tag in (f"{SVG}script", f"{SVG}foreignObject")]
    assert (tmp_path / "picture.svg").stat().st_size < 300_000


def test_trivial_augment_is_shown_even_far_down(tmp_path: Path) -> None:
    report = make_report()
    policy = next(one for one in report.candidates if one.family == "policy")
    report.candidates.remove(policy)
    report.candidates.insert(20, policy)
    texts = [element.text for element in drawn(Cover(report, None, Pictures()), tmp_path).iter(f"{SVG}text")]
    assert policy.name in texts
    assert sum(one.name in texts for one in report.of("ranked")) == MOST_ROWS


def test_names_are_escaped(tmp_path: Path) -> None:
    cover = make_cover()
    cover.report.candidates[0].name = "<b>&bold"
    texts = [element.text for element in drawn(cover, tmp_path).iter(f"{SVG}text")]
    assert "<b>&bold" in texts


def test_without_candidates_there_is_still_a_picture(tmp_path: Path) -> None:
    assert len(drawn(Cover(make_report(candidates=[]), None, Pictures()), tmp_path)) > 0


def test_another_kind_of_file_is_refused(cover: Cover, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.svg"):
        write_cover_picture(cover, tmp_path / "picture.png")
