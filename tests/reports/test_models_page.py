"""The page of `eyeshot rank models` with hostile names, and with as little as a report can hold."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from outline import Outline
from synthetic_models import synthetic_models

from accessibility import violations_of_file
from contrast import contrast
from eyeshot.reports import write_models_page
from eyeshot.reports.models_page import log_axis, span_axis


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models_page(synthetic_models(), tmp_path_factory.mktemp("page") / "models.html")


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models_page(synthetic_models(1, test=False, rungs=1), tmp_path_factory.mktemp("one") / "models.html")


def test_the_page_is_well_formed_and_names_nothing_outside_of_itself(path: Path, smallest: Path) -> None:
    for file in (path, smallest):
        text = file.read_text("utf-8")
        outline = Outline(text)
        assert outline.faults == []
        assert len(set(outline.ids)) == len(outline.ids)
        sources = [tag[key] for _, tag in outline.tags for key in ("src", "href", "srcset", "action") if key in tag]
        assert all(source.startswith(("data:", "#")) for source in sources)
        assert all(link[1:] in outline.ids for link in sources if link.startswith("#"))
        assert "<script>alert" not in text
        assert "<b>own" not in text


def test_the_answer_comes_first_and_all_that_was_ranked_and_left_out_is_there(path: Path) -> None:
    report, text = synthetic_models(), path.read_text("utf-8").replace("<wbr>", "")
    assert text.index("Take network_0") < text.index("Accuracy against cost") < text.index("own recipes")
    assert all(model.name in text for model in report.models)
    assert all(entry.name in text for entry in report.not_at_hand)
    assert text.count("halo") - text.count(".halo") == sum(model.probe.with_best for model in report.models)
    assert "Alarm: Training stayed at chance." in text


def test_without_rungs_and_test_images_nothing_empty_is_shown(smallest: Path) -> None:
    text = smallest.read_text("utf-8")
    assert not any(words in text for words in ("estimate on test", "Higher resolution?", "range test", "None"))


def test_axes_hold_their_values_and_have_ticks() -> None:
    for values in ([3.0], [1e-6, 1.0], [0.9, 1.1], [20.0, 900.0]):
        axis = log_axis(values)
        assert all(0 < axis.place(math.log10(value)) < 100 for value in values)
        assert 1 <= len(axis.ticks) <= 12
    for values in ([0.5], [0.93, 0.94], [0.0, 1.0], [2.3, 1e6]):
        axis = span_axis(values)
        assert all(0 < axis.place(value) < 100 for value in values)
        assert 2 <= len(axis.ticks) <= 7


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_scrolls_sideways_is_small_or_faint(chromium: Any, path: Path, width: int, theme: Any) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((each) => each.innerText && each.offsetParent)"
        ".map((each) => parseFloat(getComputedStyle(each).fontSize))"
    )
    assert min(sizes) >= 12.5
    colours = page.evaluate(
        "[...document.querySelectorAll('.soft, .tag b, .rise span, figcaption')].map((each) => "
        "[getComputedStyle(each).color, getComputedStyle(document.body).backgroundColor])"
    )
    assert min(contrast(text, ground) for text, ground in {tuple(pair) for pair in colours}) >= 4.5
    outside = page.evaluate(
        "[...document.querySelectorAll('.field .point')].filter((each) => { const own = each.getBoundingClientRect();"
        "const field = each.parentElement.getBoundingClientRect();"
        "const middle = own.left + own.width / 2; const height = own.top + own.height / 2;"
        "return middle < field.left || middle > field.right + 12 || height < field.top || height > field.bottom; })"
        ".length"
    )
    assert outside == 0
    assert errors == []
    page.close()


@pytest.mark.browser
def test_axe_finds_nothing(chromium: Any, path: Path) -> None:
    assert violations_of_file(chromium, path) == []
