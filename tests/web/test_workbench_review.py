"""The review inside the workbench: read when it is asked for, behind the same guard, in a frame of the tab Data."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_made import TOKEN, Site
from workbench_made import Window, served_workbench

from eyeshot.data import DecisionLog

LONGEST_S = 60.0


@pytest.fixture
def project(folder: Path) -> Path:
    shutil.copytree(folder / "audit", folder / "eyeshot-out" / "audit")
    return folder


@pytest.fixture
def workbench(project: Path) -> Iterator[Site]:
    with served_workbench(project / "eyeshot-out") as served:
        yield served


def ready(site: Site) -> str:
    """Ask for the review, and wait for its path."""
    assert site.post("review")[0] == 200
    end = time.monotonic() + LONGEST_S
    while (answer := site.get("review"))["path"] is None:
        assert answer["wrong"] == ""
        assert time.monotonic() < end
        time.sleep(0.05)
    return str(answer["path"])


def test_it_is_read_once_it_is_asked_for_and_stands_behind_the_same_guard(project: Path, workbench: Site) -> None:
    assert workbench.get("review") == {"path": None, "progress": None, "wrong": ""}
    assert workbench.ask("GET", f"/{TOKEN}/review/1/")[0] == 404
    path = ready(workbench)
    status, headers, body = workbench.ask("GET", f"/{TOKEN}/{path}")
    assert (status, b"What needs a look" in body) == (200, True)
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert workbench.ask("GET", f"/{TOKEN}/")[1]["x-frame-options"] == "DENY"
    assert workbench.ask("GET", f"/wrong/{path}")[0] == 403
    assert workbench.ask("GET", f"/{TOKEN}/{path}api/start", Sec_Fetch_Site="cross-site")[0] == 403
    assert workbench.ask("GET", f"/{TOKEN}/{path}api/start", Host="evil.example")[0] == 403
    for outside in ("small/../api/start", "small/%2e%2e/0", "small/99999", "../../etc/passwd"):
        assert workbench.ask("GET", f"/{TOKEN}/{path}{outside}")[0] in (403, 404)
    queue = workbench.ask("GET", f"/{TOKEN}/{path}api/queue")[2]
    assert b"same picture, different labels" in queue
    told = workbench.ask(
        "POST", f"/{TOKEN}/{path}api/decide", body=b'{"press": "%s", "action": "drop", "images": [0]}' % (b"0" * 32),
        Origin=f"http://{workbench.host}", Content_Type="application/json",
    )  # fmt: skip
    assert told[0] == 200
    (decision,) = DecisionLog(project / "decisions.jsonl").read().stored
    assert (decision.author, decision.kind) == ("ann", "drop")
    foreign = {"Origin": "http://evil.example", "Content_Type": "application/json"}
    assert workbench.ask("POST", f"/{TOKEN}/{path}api/decide", body=b"{}", **foreign)[0] == 403
    assert workbench.ask("POST", f"/{TOKEN}/api/review", body=b"{}", **foreign)[0] == 403


def test_another_audit_is_read_anew_under_another_address(project: Path, workbench: Site) -> None:
    first = ready(workbench)
    assert ready(workbench) == first, "the same audit is read once"
    file = project / "eyeshot-out" / "audit" / "audit.json"
    file.write_text(file.read_text("utf-8") + "\n", encoding="utf-8")
    assert workbench.get("review")["path"] is None
    second = ready(workbench)
    assert second != first
    assert workbench.ask("GET", f"/{TOKEN}/{first}")[0] == 404, "pictures are kept by address, and may be others now"


def test_what_cannot_be_read_is_said(project: Path, workbench: Site) -> None:
    (project / "eyeshot.toml").write_text('[data]\ntrain = "gone"\n', encoding="utf-8")
    workbench.post("review")
    end = time.monotonic() + LONGEST_S
    while (answer := workbench.get("review"))["progress"] is not None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (answer["path"], "gone" in answer["wrong"]) == (None, True)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_decisions_in_the_frame_show_in_the_tab(chromium: Any, project: Path, workbench: Site, width: int) -> None:
    window = Window(chromium, workbench, width, "?tab=data")
    window.page.get_by_role("button", name="Decide about the findings here").click()
    frame = window.page.frame_locator("#review iframe")
    frame.locator("html[data-ready]").wait_for(timeout=60_000)
    assert window.page.url.endswith("?tab=data&review=1"), "the address opens it again"
    assert window.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert not frame.locator("#theme").is_visible(), "one button is enough"
    before = window.text("#data .part >> nth=0")
    frame.locator(".image").first.focus()
    window.press("Shift+D")
    frame.get_by_text("Stored:").first.wait_for()
    window.wait("before => document.querySelector('#data .part').innerText !== before", before)
    assert "5 of 6 findings wait" in window.text("#data .part >> nth=0")
    assert "dropped" in frame.locator("#said").inner_text(), "the frame stood still"
    assert len(DecisionLog(project / "decisions.jsonl").read().stored) >= 1
    window.close()
