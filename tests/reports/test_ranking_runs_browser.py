"""The full page in Chromium at both widths: contours, tables that fit, paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import make_full_ranking

from eyeshot.reports import write_ranking_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def full_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ranking_page(make_full_ranking(), tmp_path_factory.mktemp("full") / "augmentations.html")


@pytest.fixture(params=[1280, 400])
def page(request: pytest.FixtureRequest, chromium: Any, full_path: Path) -> Iterator[Any]:
    context = chromium.new_context(viewport={"width": request.param, "height": 900})
    context.set_default_timeout(120_000)
    one = context.new_page()
    complaints: list[str] = []
    one.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
    one.on("pageerror", lambda error: complaints.append(str(error)))
    one.goto(full_path.as_uri())
    one.wait_for_function("window.eyeshotMap && window.eyeshotMap.ready")
    yield one
    context.close()
    assert complaints == []


def lines(page: Any, name: str) -> int:
    return int(page.evaluate(f"window.eyeshotMap.contours('{name}') ?? 0"))


def test_the_full_page_does_not_scroll_sideways(page: Any) -> None:
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def unfold(page: Any) -> None:
    for details in page.locator("details").all():
        details.evaluate("fold => { fold.open = true; }")


def test_no_table_is_wider_than_the_page(page: Any) -> None:
    unfold(page)
    wide = page.evaluate(
        "[...document.querySelectorAll('table')].filter((table) => "
        "table.getBoundingClientRect().right > document.querySelector('.sheet').getBoundingClientRect().right"
        " || (table.closest('.box')?.scrollWidth ?? 0) > (table.closest('.box')?.clientWidth ?? 0) + 1)"
        ".map((table) => table.className)"
    )
    assert wide == []


def test_no_word_of_a_table_is_broken_into_letters(page: Any) -> None:
    """A column that is pressed below a word's width stands as a tower of letters."""
    unfold(page)
    narrow = page.evaluate(
        "[...document.querySelectorAll('.plain th, .plain td')]"
        ".filter((cell) => cell.checkVisibility() && cell.closest('thead')?.getBoundingClientRect().width !== 1)"
        ".filter((cell) => cell.innerText.trim().length > 3 && cell.getBoundingClientRect().width < 24)"
        ".map((cell) => cell.innerText)"
    )
    assert narrow == []


def test_the_rows_of_narrow_tables_are_blocks_in_which_each_value_has_a_label(page: Any) -> None:
    unfold(page)
    stacked = page.viewport_size["width"] == 400
    cells = page.evaluate(
        "[...document.querySelectorAll('table.plain tbody td')].filter((cell) => cell.innerText.trim())"
        ".map((cell) => [getComputedStyle(cell, '::before').content, cell.getBoundingClientRect().width])"
    )
    assert len(cells) > 300
    assert all((label not in ("none", "normal", '""')) == stacked for label, _ in cells)
    if stacked:
        assert min(width for _, width in cells) > 300


def test_contours_are_switched_and_follow_clouds_and_projections(page: Any) -> None:
    before = page.evaluate("window.eyeshotMap.ranges()")
    assert [lines(page, name) for name in ("train", "target", "pencil-sketch")] == [0, 0, 0]
    page.locator("input[name=contours]").check()
    assert all(lines(page, name) >= 3 for name in ("train", "target", "pencil-sketch"))
    assert lines(page, "validation") == 0
    page.locator("input[name=cloud]").first.uncheck()
    assert lines(page, "train") == 0
    page.locator("input[name=cloud]").first.check()
    assert page.evaluate("window.eyeshotMap.ranges()") == before
    islands = lines(page, "train")
    page.get_by_label("PCA", exact=True).check()
    assert 3 <= lines(page, "train") < islands  # one wide cloud, not seven islands
    page.locator("input[name=contours]").uncheck()
    assert lines(page, "train") == 0


def test_on_paper_all_is_open_light_and_without_buttons(chromium: Any, full_path: Path) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.goto(full_path.as_uri())
    page.wait_for_function("window.eyeshotMap && window.eyeshotMap.ready")
    recipe = page.locator(".card details pre").first
    assert not recipe.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert recipe.bounding_box()["height"] > 10
    assert page.locator("button:visible, select:visible, nav:visible").count() == 0
    page.set_viewport_size({"width": 695, "height": 1000})  # A4 less its margins
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()
