"""The tabs of the workbench in Chromium: address and history, keys, widths, themes, and pages in a frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_made import TOKEN, Site
from workbench_made import Window, served_workbench

from contrast import contrast
from eyeshot.ledger import open_ledger
from eyeshot.reports import asset
from made_ledger import HOSTILE
from results_made import make_result

pytestmark = pytest.mark.browser
TABS = ["Overview", "Data", "Models", "Augmentation", "Experiments", "Errors", "Submissions", "Report"]
PAGE = f"<!doctype html><meta charset=utf-8><script>{asset('page.js')}</script><h1>Page</h1><button id=theme hidden>"
# What a page from a stranger's project might try: to read the workbench, to write to it, to leave.
SPY = """<!doctype html><meta charset=utf-8><p id=out>nothing</p><script>
(async () => {
  const got = [];
  try { got.push(parent.document.title); } catch { got.push("no parent"); }
  const place = location.href.replace(/page.*/, "api/tags");
  for (const options of [{}, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }]) {
    try { got.push((await fetch(place, options)).status); } catch { got.push("no answer"); }
  }
  try { top.location = "http://127.0.0.1:9/"; } catch { got.push("stays"); }
  document.getElementById("out").textContent = got.join(", ");
})();
</script>"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project" / "eyeshot-out"
    make_result(root, "models", {"headline": HOSTILE, "advised": {"name": HOSTILE}}, page=PAGE)
    make_result(root, "errors", {"answer": "5 of 90 are wrong.", "to_do": []}, page=PAGE)
    return root


@pytest.fixture
def site(root: Path, ids: dict[str, str]) -> Iterator[Site]:
    with served_workbench(root) as served:
        yield served


def shown(window: Window) -> str:
    """The only tab that is on the screen."""
    (tab,) = window.page.evaluate(
        "[...document.querySelectorAll('.tab')].filter(tab => !tab.hidden).map(tab => tab.id)"
    )
    return str(tab)


def wait_tab(window: Window, name: str) -> None:
    window.wait("name => !document.getElementById(name).hidden && document.title !== 'eyeshot open'", name)
    assert shown(window) == name


def test_tabs_follow_the_address_and_the_history(chromium: Any, site: Site, ids: dict[str, str]) -> None:
    window = Window(chromium, site, query="")
    assert shown(window) == "overview"
    assert window.page.locator("#tabs a").all_inner_texts() == TABS
    window.page.get_by_role("link", name="Models", exact=True).first.click()
    wait_tab(window, "models")
    assert window.page.url.endswith("?tab=models")
    assert window.page.title() == "Models – eyeshot"
    assert window.page.locator("#tabs [aria-current=page]").inner_text() == "Models"
    window.page.go_back()
    wait_tab(window, "overview")
    window.page.go_forward()
    wait_tab(window, "models")
    window.open(site, "?tab=nonsense")
    assert shown(window) == "overview"
    window.open(site, f"?open={ids['worse']}")
    window.wait_sheet(ids["worse"])
    assert window.page.url.endswith(f"?open={ids['worse']}&tab=experiments"), "a link to an experiment opens it"
    window.press("Escape")
    window.wait("() => !document.querySelector('#details').open")
    assert shown(window) == "experiments"
    window.close()


def test_an_open_experiment_closes_with_its_tab_and_keeps_what_is_written(
    chromium: Any, site: Site, ids: dict[str, str]
) -> None:
    window = Window(chromium, site, query="?tab=report")
    window.page.locator("#report-lists summary").first.click()
    window.page.locator(f"#report-lists [data-open='{ids['worse']}']").click()
    window.wait_sheet(ids["worse"])
    window.page.locator("#edit-learned").fill("A draft")
    window.page.go_back()
    wait_tab(window, "report")
    window.wait("() => !document.querySelector('#details').open")
    window.page.go_forward()
    window.wait_sheet(ids["worse"])
    assert window.page.locator("#edit-learned").input_value() == "A draft"
    window.close()


@pytest.mark.parametrize("width", [1280, 400])
def test_every_tab_is_reached_by_a_key_and_fits(chromium: Any, site: Site, width: int) -> None:
    window = Window(chromium, site, width, "")
    for place, title in enumerate(TABS, 1):
        window.press(str(place))
        wait_tab(window, title.lower())
        window.wait(f"() => document.querySelector('#{title.lower()} h1')?.textContent === '{title}'")
        assert window.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), title
        assert window.page.evaluate("document.activeElement.id") == "main", "a screen reader goes on from the content"
    window.press("5", "/")
    window.page.keyboard.type("1")
    assert shown(window) == "experiments", "a digit that is typed into a field is a letter"
    window.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_overview_can_be_read_and_follows_the_ledger(chromium: Any, site: Site, root: Path, scheme: str) -> None:
    window = Window(chromium, site, query="", color_scheme=scheme)
    window.wait_text("eyeshot audit", "#next pre")
    for place in (
        "#next .lead",
        "#next pre",
        "#steps .good",
        "#steps .none",
        "#steps .open",
        "#steps .open-words",
        "#tabs a",
    ):
        colours = """place => { const node = document.querySelector(place); let paper = node;
            while (getComputedStyle(paper).backgroundColor === 'rgba(0, 0, 0, 0)') paper = paper.parentElement;
            return [getComputedStyle(node).color, getComputedStyle(paper).backgroundColor]; }"""
        assert contrast(*window.page.evaluate(colours, place)) >= 4.5, place
    with open_ledger(root, write=True) as ledger:
        ledger.add("One more", author="ann")
    window.wait_text("8 experiments", "#steps [data-step-name=experiments]")
    window.page.locator("#steps [data-step-name=experiments] a").click()
    wait_tab(window, "experiments")
    window.close()


def test_names_of_the_users_are_never_markup(chromium: Any, site: Site) -> None:
    window = Window(chromium, site, query="")
    window.wait_text("<img src=x", "#steps [data-step-name=models]")
    for tab in ("models", "report", "data"):
        window.open(site, f"?tab={tab}")
        assert window.page.locator(f"#{tab} img").count() == 0
        assert window.page.title() != "hacked"
    window.close()


def test_a_page_in_the_frame_is_light_or_dark_with_the_workbench(chromium: Any, site: Site) -> None:
    window = Window(chromium, site, query="?tab=models", color_scheme="light")
    frame = window.page.frame_locator("#models iframe")
    frame.locator("html[data-theme=light]").wait_for()
    assert not frame.locator("#theme").is_visible(), "one button is enough"
    window.page.locator("#theme").click()
    frame.locator("html[data-theme=dark]").wait_for()
    assert window.page.locator("#models iframe").get_attribute("title") == "Ranking of models: the whole page"
    window.close()


def test_a_page_in_the_frame_reaches_nothing_of_the_workbench(chromium: Any, site: Site, root: Path) -> None:
    make_result(root, "errors", {"answer": "5 of 90 are wrong.", "to_do": []}, page=SPY)
    with open_ledger(root) as ledger:
        before = ledger.last_seq()
    window = Window(chromium, site, query="?tab=errors")
    out = window.page.frame_locator("#errors iframe").locator("#out")
    window.page.wait_for_timeout(500)
    assert out.inner_text() == "no parent, no answer, no answer, stays"
    assert window.page.url == f"{site.address}?tab=errors"
    alone = window.context.new_page()
    alone.goto(f"{site.address}page?of=errors&part=")
    alone.wait_for_timeout(500)
    assert TOKEN in site.address
    assert alone.evaluate("window.origin") == "null", "opened by itself it has no origin either"
    with open_ledger(root) as ledger:
        assert ledger.last_seq() == before
    window.context.close()


def test_the_sheet_shows_configuration_difference_and_files(chromium: Any, site: Site, ids: dict[str, str]) -> None:
    window = Window(chromium, site, 400, f"?open={ids['better']}")
    window.wait_sheet(ids["better"])
    assert "radam" in window.text("#facts table >> nth=0")
    window.page.locator("#config summary").click()
    assert window.page.locator("#config tr").all_inner_texts() == [
        "model\tresnet18.a1_in1k",
        "training.optimizer\tradam",
    ]
    window.page.locator("#files summary").click()
    assert "metrics.jsonl" in window.text("#files")
    assert "14 min, 15 min planned" in window.text("#facts dl")
    with window.context.expect_page() as opened:
        window.page.get_by_role("link", name="metrics.jsonl").click()
    assert opened.value.locator("body").inner_text().startswith('{"step": 0')
    window.press("Tab")
    window.page.locator("#edit-learned").fill("Words")
    window.press("Control+Enter")
    window.wait_text("Stored.", "[data-field=learned] .said")
    assert window.page.locator("#config").get_attribute("open") is not None, "what is unfolded stays so"
    window.close()
