"""The site of docs/: it is built without a warning, is read without a network, and fits a telephone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sphinx", reason='the site needs the extra "docs"; .ci/run has it and builds the site first')

DOCS = Path(__file__).resolve().parents[1] / "docs"


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """What scripts/docs.sh does, in another folder."""
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--builder", "html"]
    return subprocess.run(
        [*command, "--doctree-dir", str(target / "pages"), str(source), str(target / "site")],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    done = build(DOCS, folder)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.mark.parametrize("link", ["missing.md", "page.md#no-such-heading"])
def test_a_broken_link_ends_the_build(link: str, tmp_path: Path) -> None:
    source = tmp_path / "docs"
    source.mkdir()
    for name in ("conf.py", "site.css"):
        shutil.copy(DOCS / name, source)
    (source / "index.md").write_text("# Index\n\n## Start\n\n- [Page](page.md)\n", encoding="utf-8")
    (source / "page.md").write_text("# 페이지\n\n## A heading\n\n[down](#a-heading)\n", encoding="utf-8")
    done = build(source, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "페이지" in (tmp_path / "site" / "page.html").read_text(encoding="utf-8")
    (source / "page.md").write_text(f"# Page\n\n## A heading\n\n[away]({link})\n", encoding="utf-8")
    done = build(source, tmp_path)
    assert done.returncode != 0
    assert link.split("#")[-1].removesuffix(".md") in done.stderr


def test_every_page_is_in_the_navigation(site: Path) -> None:
    pages = {file.relative_to(DOCS).with_suffix(".html").as_posix() for file in DOCS.rglob("*.md")}
    assert [page for page in pages if not (site / page).is_file()] == []
    index = (site / "index.html").read_text(encoding="utf-8")
    assert [page for page in pages - {"index.html"} if f'href="{page}"' not in index] == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_pages_fit_the_window_and_load_nothing_from_elsewhere(chromium: Any, site: Path, width: int) -> None:
    window = chromium.new_page(viewport={"width": width, "height": 900})
    loaded: list[str] = []
    errors: list[str] = []
    window.on("request", lambda request: loaded.append(request.url))
    window.on("pageerror", lambda error: errors.append(str(error)))
    for page in ("index", "tour", "commands/index", "commands/rank-augmentations", "evidence", "experiments"):
        window.goto((site / f"{page}.html").as_uri())
        assert window.evaluate("document.documentElement.scrollWidth") <= width, page
        pictures = window.evaluate("[...document.images].map(image => [image.naturalWidth > 0, image.alt])")
        assert all(there and words for there, words in pictures), page
    assert [address for address in loaded if not address.startswith(("file:", "data:"))] == []
    assert errors == []
    window.close()


@pytest.mark.browser
def test_the_search_finds_pages_without_a_server(chromium: Any, site: Path) -> None:
    window = chromium.new_page()
    window.goto((site / "search.html").as_uri() + "?q=label-breaking")
    window.wait_for_selector("#search-results li a")
    assert "Rank augmentations" in window.locator("#search-results").inner_text()
    window.close()
