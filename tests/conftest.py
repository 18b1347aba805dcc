"""What all tests share: one thread, no hub, the team's real data where it is there, and one browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# On a busy machine the first call of a test may take a second; a deadline would make that a failure. Examples are new
# in each run, which finds faults, and the same on all machines where .ci/run asks for it.
hypothesis.settings.register_profile("eyeshot", deadline=None, derandomize="EYESHOT_SAME_EXAMPLES" in os.environ)
hypothesis.settings.load_profile("eyeshot")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that with two processes none works at the end alone on a long file.

    The files come in this order with `--no-loadscope-reorder` of pytest-xdist; by itself it begins with the files of
    most tests, and the longest of ours have few.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real images and weights, named by EYESHOT_SHARED or beside the checkout."""
    folder = Path(os.environ.get("EYESHOT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "data" / "pacs").is_dir():
        pytest.skip(f"no real images at {folder}; set EYESHOT_SHARED to their folder")
    return folder


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
