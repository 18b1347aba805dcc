"""The report on its tab: made in another process, written in its place, and handed out as files."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_made import TOKEN, Site
from workbench_made import reported_project, served_workbench

from eyeshot.ledger import open_ledger
from eyeshot.reports import QUESTIONS, read_report_texts, store_report_text
from made_ledger import HOSTILE

pytestmark = pytest.mark.slow
LONGEST_S = 120.0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reported_project(tmp_path_factory.mktemp("reported"), goal=f"Tell {HOSTILE} apart.", author="ann")


@pytest.fixture(scope="module")
def site(project: Path) -> Iterator[Site]:
    with served_workbench(project / "eyeshot-out") as served:
        yield served


def made(site: Site, query: str = "lang=en&make=1") -> Any:
    """The answer once nothing is being made."""
    answer = site.get(f"report?{query}")
    end = time.monotonic() + LONGEST_S
    while answer["progress"] is not None:
        assert time.monotonic() < end
        time.sleep(0.1)
        answer = site.get(f"report?{query.replace('&make=1', '')}")
    return answer


def test_the_report_is_made_beside_the_server_and_sent_once(site: Site, project: Path) -> None:
    begun = site.get("report?lang=en&make=1")
    assert begun["progress"] is not None
    assert (begun["version"], begun["document"]) == (0, None)
    assert site.get("start")["author"] == "ann", "the server answers meanwhile"
    answer = made(site)
    assert (answer["wrong"], answer["old"]) == ("", False)
    blocks = answer["document"]["blocks"]
    fields = {block["field"] for block in blocks if block.get("field")}
    assert (
        {"goal", "role", "contribution", "reflection", "lessons", "next"}
        <= fields
        <= {*QUESTIONS, "why_different", "learned", "action"}
    )
    gap = next(block for block in blocks if block.get("experiment"))
    with open_ledger(project / "eyeshot-out") as ledger:
        assert ledger.experiment(gap["experiment"]).id == gap["experiment"]
    again = site.get(f"report?lang=en&since={answer['version']}")
    assert (again["version"], again["document"]) == (answer["version"], None)
    (figure,) = [
        block["source"] for block in blocks if block["kind"] == "figure" and "timeline" in block["alt"].lower()
    ]
    status, headers, body = site.ask("GET", f"/{TOKEN}/{figure}")
    assert (status, headers["content-type"], body[:5]) == (200, "image/svg+xml", b"<?xml")
    assert site.ask("GET", f"/{TOKEN}/figure?lang=en&version=99&place=0")[0] == 404
    assert site.ask("GET", f"/{TOKEN}/figure?lang=en&version=x")[0] == 422
    assert site.ask("GET", f"/{TOKEN}/api/report?lang=fr")[0] == 422


def test_a_change_of_the_project_makes_it_old_and_then_anew(site: Site, project: Path) -> None:
    before = made(site)
    with open_ledger(project / "eyeshot-out", write=True) as ledger:
        ledger.add("One more reason", author="ann")
    old = site.get(f"report?lang=en&since={before['version']}")
    assert (old["old"], old["document"], old["progress"]) == (True, None, None), "looking alone makes nothing"
    anew = made(site)
    assert (anew["old"], anew["version"]) == (False, before["version"] + 1)
    assert "One more reason" in json.dumps(anew["document"])


def test_what_is_written_is_stored_with_its_author_and_nothing_is_lost(site: Site, project: Path) -> None:
    status, told = site.post("report-text", field="lessons", person="", text="Look first.", before="")
    assert (status, told) == (200, {"author": "ann", "field": "lessons", "person": "", "text": "Look first."})
    store_report_text(project, "lessons", "Theirs", author="bob")
    sent = {"field": "lessons", "person": "", "text": "Mine"}
    status, told = site.post("report-text", **sent, before="Look first.")
    assert (status, told["now"], told["author"]) == (409, "Theirs", "bob")
    assert read_report_texts(project)[0]["lessons", ""]["text"] == "Theirs"
    assert site.post("report-text", **sent, before="Theirs")[0] == 200
    words = [json.loads(line)["text"] for line in (project / "report.jsonl").read_text("utf-8").splitlines()]
    assert words[-3:] == ["Look first.", "Theirs", "Mine"], "earlier words stay in the file"
    assert site.post("report-text", field="role", person="bob", text="Data", before="")[1]["person"] == "bob"
    texts = {(one["field"], one["person"]): one["text"] for one in site.get("report?lang=en")["texts"]}
    assert texts["lessons", ""] == "Mine"
    assert texts["goal", ""] == f"Tell {HOSTILE} apart."


@pytest.mark.parametrize(
    "sent",
    [
        {"field": "why", "text": "x"}, {"field": "goal", "text": "  "}, {"field": "goal", "person": "bob", "text": "x"},
        {"field": "goal", "text": "x" * 20_001}, {"field": "goal", "text": "x", "path": "/"},
    ],
)  # fmt: skip
def test_what_is_no_field_is_refused(site: Site, project: Path, sent: dict[str, str]) -> None:
    before = (project / "report.jsonl").read_bytes()
    status, answer = site.post("report-text", **sent)  # type: ignore[arg-type]
    assert status in (409, 422)
    assert answer["error"]
    assert (project / "report.jsonl").read_bytes() == before


def test_files_are_written_and_handed_out(site: Site, project: Path) -> None:
    made(site)
    assert site.post("write?lang=ko&formats=html,docx")[0] == 200
    answer = made(site, "lang=ko")
    assert [file["name"] for file in answer["files"]] == ["report-ko.html", "report-ko.docx"]
    assert answer["not_written"] == {}
    status, headers, body = site.ask("GET", f"/{TOKEN}/report-file?name=report-ko.html")
    assert (status, body.startswith(b"<!doctype html>")) == (200, True)
    assert headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'; ")
    status, headers, body = site.ask("GET", f"/{TOKEN}/report-file?name=report-ko.docx")
    assert (status, body[:2]) == (200, b"PK")
    assert headers["content-disposition"] == 'attachment; filename="report-ko.docx"'
    for name in ("../ledger.sqlite", "report.pdf", "", "ledger.sqlite"):
        assert site.ask("GET", f"/{TOKEN}/report-file?name={name}")[0] == 404
    assert site.post("write?lang=en&formats=exe")[0] == 409
    body = b"{}"
    given = {"Origin": "http://evil.example", "Content_Type": "application/json"}
    assert site.ask("POST", f"/{TOKEN}/api/write?lang=en&formats=html", body=body, **given)[0] == 403


def test_an_empty_project_says_what_to_do_first(tmp_path: Path) -> None:
    (tmp_path / "eyeshot.toml").write_text("", encoding="utf-8")
    with served_workbench(tmp_path / "eyeshot-out") as site:
        answer = made(site)
        assert "Begin with: eyeshot audit" in answer["wrong"]
        assert answer["version"] == 0
    assert not (tmp_path / "eyeshot-out").exists(), "looking writes nothing"


def test_a_process_that_ends_is_said_and_the_next_one_works(project: Path) -> None:
    from eyeshot.web.workbench.live_report import LiveReport

    live = LiveReport(project / "eyeshot-out")

    def wait() -> Any:
        end = time.monotonic() + LONGEST_S
        while (answer := live.answer(ledger, "en", since=0))["progress"] is not None:
            assert time.monotonic() < end
            time.sleep(0.05)
        return answer

    with open_ledger(project / "eyeshot-out") as ledger:
        live.begin(ledger, "en")
        while live._process is None:
            time.sleep(0.01)
        live._process.kill()
        assert "has ended" in wait()["wrong"]
        live.begin(ledger, "en")
        answer = wait()
    assert (answer["wrong"], answer["version"]) == ("", 1)
    live.close()
