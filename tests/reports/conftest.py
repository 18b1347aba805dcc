from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_cover import make_cover

from eyeshot.coverage.result import Cover
from eyeshot.reports import write_cover_page


@pytest.fixture(scope="session")
def cover() -> Cover:
    return make_cover()


@pytest.fixture(scope="session")
def page_path(cover: Cover, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cover_page(cover, tmp_path_factory.mktemp("page") / "cover.html")


@pytest.fixture(scope="session")
def page_text(page_path: Path) -> str:
    return page_path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium; without one the test skips, or fails where EYESHOT_REQUIRE_BROWSER is 1."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    missing = "no Chromium found: the pages were not opened in a browser" if program is None else None
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing = "playwright is not installed: the pages were not opened in a browser"
    if missing:
        if os.environ.get("EYESHOT_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()
