"""A workbench that is served, and a window of it in Chromium."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from review_made import TOKEN, Site

from eyeshot.reports import store_report_text
from eyeshot.web import Edits, make_workbench, open_socket
from eyeshot.web.serving import make_server
from eyeshot.web.workbench.live_report import LiveReport
from made_ledger import make_ledger

EXPERIMENTS = "?tab=experiments"


def reported_project(folder: Path, *, goal: str, author: str) -> Path:
    """A project with a ledger whose report has a goal."""
    (folder / "eyeshot.toml").write_text('[data]\ntrain = "train"\n', encoding="utf-8")
    make_ledger(folder / "eyeshot-out")
    store_report_text(folder, "goal", goal, author=author)
    return folder


@contextmanager
def served_workbench(root: Path, *, author: str = "ann", token: str = TOKEN) -> Iterator[Site]:
    """Serve the ledger in a folder from a thread."""
    listener = open_socket()
    port = listener.getsockname()[1]
    ending = threading.Event()
    live_report = LiveReport(root)
    app = make_workbench(
        root, Edits(root, author), token=token, port=port, stopping=ending.is_set, live_report=live_report
    )
    server = make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Site(port, token=token)
    ending.set()
    server.should_exit = True
    thread.join(timeout=20)
    live_report.close()
    assert not thread.is_alive()
    listener.close()


class Window:
    """A window of the workbench."""

    def __init__(self, chromium: Any, site: Site, width: int = 1280, query: str = EXPERIMENTS, **options: Any) -> None:
        self.context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        self.context.set_default_timeout(30_000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.listen(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.open(site, query)

    def open(self, site: Site, query: str = EXPERIMENTS) -> None:
        self.page.goto(site.address + query)
        self.page.wait_for_selector("html[data-ready]")

    def listen(self, kind: str, words: str) -> None:
        # The browser names each refused request itself; what the page says about it is tested.
        if kind in ("error", "warning") and "the server responded with a status of" not in words:
            self.complaints.append(words)

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait(self, script: str, given: Any = None) -> None:
        """Wait until a function of JavaScript gives true."""
        self.page.wait_for_function(script, arg=given)

    def wait_text(self, words: str, place: str) -> None:
        self.wait("([place, words]) => document.querySelector(place)?.textContent.includes(words)", [place, words])

    def wait_rows(self, count: int) -> None:
        self.wait("count => document.querySelectorAll('#rows tr').length === count", count)

    def rows(self) -> list[str]:
        """Ids of the rows on the screen, in their order."""
        return list(self.page.evaluate("[...document.querySelectorAll('#rows tr')].map(row => row.dataset.id)"))

    def text(self, place: str) -> str:
        return str(self.page.locator(place).inner_text())

    def wait_sheet(self, experiment: str) -> None:
        """Wait until an experiment is open in the side sheet."""
        self.wait("id => document.querySelector('#details[open] .kicker .name')?.textContent === id", experiment)
