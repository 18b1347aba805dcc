"""A window of the review in Chromium, and what it stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from review_made import Site

from eyeshot.data import DecisionLog


def kinds(folder: Path) -> list[str]:
    return [one.kind for one in DecisionLog(folder / "decisions.jsonl").read().stored]


class Window:
    """A window of the review."""

    def __init__(self, chromium: Any, site: Site, width: int = 1280, **options: Any) -> None:
        self.context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        self.context.set_default_timeout(60_000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.listen(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(site.address)
        self.page.wait_for_selector("html[data-ready]")

    def listen(self, kind: str, words: str) -> None:
        # The browser names each refused request itself; what the page says about it is tested.
        if kind in ("error", "warning") and "the server responded with a status of" not in words:
            self.complaints.append(words)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait(self, words: str, place: str = "#said") -> None:
        self.page.wait_for_function(
            "([place, words]) => document.querySelector(place).textContent.includes(words)", arg=[place, words]
        )

    def stored(self, key: str, words: str) -> None:
        """Press a key and wait until the page says what was stored."""
        self.press(key)
        self.wait(f"Stored: {words}")

    def only(self, kind: str) -> None:
        """Filter by a kind of finding, by keyboard."""
        self.press("f")
        self.page.wait_for_function("() => document.activeElement.id === 'kind'")
        self.page.locator("#kind").select_option(kind)
        self.press("Escape")
        self.page.wait_for_function("() => document.activeElement.matches('.image')")

    def text(self, place: str) -> str:
        return str(self.page.locator(place).inner_text())

    def count(self, selector: str) -> int:
        return int(self.page.locator(selector).count())
