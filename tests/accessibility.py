"""What axe-core finds in a page: https://github.com/dequelabs/axe-core (MPL-2.0, used by tests alone)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

OPTIONS = {
    "resultTypes": ["violations"],
    "iframes": False,  # a frame is a page of its own, and is looked at by itself
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
LOOKS = [(width, scheme) for width in (1280, 400) for scheme in ("light", "dark")]
"""Width of the window, and colours."""


def violations(page: Any) -> list[str]:
    """A line for each rule that a page or a frame breaks, with the first places."""
    try:
        from axe_playwright_python.base import AXE_SCRIPT
    except ImportError:
        words = "axe-playwright-python is not installed: accessibility was not tested"
        if os.environ.get("EYESHOT_REQUIRE_BROWSER") == "1":
            pytest.fail(words)
        pytest.skip(words)
    page.evaluate(AXE_SCRIPT)
    result = page.evaluate("options => axe.run(options)", OPTIONS)
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in result["violations"]
    ]


def violations_of_file(chromium: Any, file: Path) -> list[str]:
    """What axe-core finds in a page of a file in each of `LOOKS`."""
    found = []
    for width, scheme in LOOKS:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.goto(file.as_uri())
        found += [f"{width}, {scheme}: {line}" for line in violations(page)]
        context.close()
    return found
