"""Every tab of the workbench, the review in it and its export, as axe-core sees them: light, dark, wide and narrow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_made import Site, make_project
from workbench_made import Window, served_workbench

from accessibility import LOOKS, violations
from eyeshot.ledger import open_ledger
from eyeshot.reports import store_report_text
from eyeshot.web.workbench.export import export_workbench
from made_ledger import HOSTILE, make_ledger
from results_made import make_result

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAGE = "<!doctype html><html lang=en><meta charset=utf-8><title>Page</title><main><h1>A page</h1></main>"
QUERIES = (
    "", "?tab=models", "?tab=augmentation", "?tab=experiments", "?tab=experiments&show=curves,timeline,expectations",
    "?tab=errors", "?tab=submissions",
)  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("accessible")
    make_project(folder)
    (folder / "eyeshot.toml").write_text('[data]\ntrain = "train"\ntest = "test"\n', encoding="utf-8")
    root = folder / "eyeshot-out"
    ids = make_ledger(root)
    with open_ledger(root, write=True) as ledger:
        ledger.append(ids["better"], "note", text=HOSTILE, author=HOSTILE)
    shutil.move(folder / "audit", root / "audit")
    store_report_text(folder, "goal", "Tell cats from dogs.", author="ann")
    ranked = {"name": "invert", "role": "ranked", "rank": 1, "group": 1, "score": 0.12, "interval": [0.1, 0.2]}
    ranking = {"headline": "Take invert.", "models": [{"name": "a.b"}], "candidates": [ranked]}
    make_result(root, "augmentations", ranking, page=PAGE)
    make_result(root, "models", {"headline": "Take a.b.", "advised": {"name": "a.b"}}, page=PAGE)
    make_result(root, "errors", {"answer": "5 of 90 are wrong.", "to_do": []})
    line = '{"time": "2026-11-01T10:00:00Z", "content": "a", "name": "a.csv", "n": 10, "images": "i", "score": 0.8}\n'
    (folder / "submissions.jsonl").write_text(line, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def site(project: Path) -> Iterator[Site]:
    with served_workbench(project / "eyeshot-out") as served:
        yield served


def looked_at(chromium: Any, site: Site, look: tuple[int, str], query: str) -> Window:
    # Without motion: a row that is fading in has not its colours yet.
    return Window(chromium, site, look[0], query, color_scheme=look[1], reduced_motion="reduce")


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_on_the_tabs(chromium: Any, site: Site, look: tuple[int, str]) -> None:
    window = looked_at(chromium, site, look, "")
    for query in QUERIES:
        window.open(site, query)
        assert violations(window.page) == [], query
    window.open(site, "?tab=experiments")
    window.wait_rows(7)
    window.page.locator("#rows a").nth(5).click()
    window.page.locator("#details[open] h2").wait_for()
    assert violations(window.page) == [], "an open experiment"
    window.close()


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_in_the_report(chromium: Any, site: Site, look: tuple[int, str]) -> None:
    window = looked_at(chromium, site, look, "?tab=report")
    window.page.wait_for_selector("#report-document[data-whole]", timeout=120_000)
    window.page.locator("#report-contents summary").click()
    window.page.locator(".field").get_by_role("button", name="Change").first.click()
    assert violations(window.page) == []
    window.close()


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_in_the_data_and_the_review(chromium: Any, site: Site, look: tuple[int, str]) -> None:
    window = looked_at(chromium, site, look, "?tab=data&review=1")
    frame = window.page.frame_locator("#review iframe")
    frame.locator("html[data-ready]").wait_for(timeout=60_000)
    assert violations(window.page) == []
    (review,) = [one for one in window.page.frames if "/review/" in one.url]
    assert violations(review) == []
    window.close()


def test_axe_finds_nothing_in_the_exported_pages(
    chromium: Any, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    folder = Path(export_workbench(tmp_path / "pages", progress=False)["folder"])
    pages = [*folder.glob("*.html"), *(folder / "experiments").glob("*.html"), folder / "report" / "report.html"]
    for width, scheme in LOOKS:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        for file in pages:
            page.goto(file.as_uri())
            assert violations(page) == [], (file.name, width, scheme)
        context.close()


def test_axe_finds_a_fault_that_is_there(chromium: Any) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.set_content("<!doctype html><html lang=en><title>x</title><main><h1>x</h1><img src=data:,><input></main>")
    found = " ".join(violations(page))
    assert "image-alt (critical)" in found
    assert "label (critical)" in found
    context.close()
