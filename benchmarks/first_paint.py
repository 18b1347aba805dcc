"""How long a local page takes in Chromium, from its address to the first paint and to its contents."""

from __future__ import annotations

import shutil
from typing import Any

from benchmarks.decisions import milliseconds


def paints(address: str, *, whole: str, name: str, times: int) -> dict[str, Any]:
    """Open a page in a new window `times` times.

    Args:
        address: of the page.
        whole: a condition of JavaScript, true once the contents are there.
        name: what the time until then is called in the result.
        times: how often.
    """
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        return {"skipped": "no Chromium or no playwright found"}
    painted, complete = [], []
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        for _ in range(times):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(address)
            page.wait_for_function(
                f"() => {{ if (!({whole})) return false; window.wholeAt ??= performance.now(); return true; }}"
            )
            complete.append(page.evaluate("window.wholeAt") / 1000)
            told = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            painted.append(page.evaluate(told) / 1000)
            page.context.close()
        version = browser.version
        browser.close()
    return {"chromium": version, "n": times, "first_paint": milliseconds(painted), name: milliseconds(complete)}
