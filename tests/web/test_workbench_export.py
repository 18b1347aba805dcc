"""`eyeshot open --export`: the workbench as pages in a folder, which open without a server."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from eyeshot.core import InputError, make_folder
from eyeshot.data import DecisionLog, decide
from eyeshot.ledger import open_ledger, write_insight
from eyeshot.web.workbench import export as exporting
from eyeshot.web.workbench import tabs
from eyeshot.web.workbench.export import FILES, MARKER, export_workbench
from made_ledger import HOSTILE, make_ledger
from results_made import make_result

pytestmark = pytest.mark.slow
PAGE = "<!doctype html><meta charset=utf-8><title>Page</title><h1>A page</h1>"


class Links(HTMLParser):
    """What a page loads or leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in ("href", "src") and value]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    (folder / "eyeshot.toml").write_text('[data]\ntrain = "train"\n', encoding="utf-8")
    root = folder / "eyeshot-out"
    ids = make_ledger(root)
    with open_ledger(root, write=True) as ledger:
        ledger.append(ids["better"], "note", text=HOSTILE, author=HOSTILE)
    make_result(root, "models", {"headline": HOSTILE, "advised": {"name": "a.b"}}, page=PAGE)
    make_result(root, "errors", {"answer": "5 of 90 are wrong.", "to_do": []})
    ranked = {"name": HOSTILE, "role": "ranked", "rank": 1, "group": 1, "score": 0.123, "interval": [0.1, 0.2]}
    ranking = {
        "headline": "Take it.",
        "models": [{"name": "a.b"}],
        "ranked_by": "coverage_gain",
        "candidates": [ranked],
    }
    make_result(root, "augmentations", ranking, page=PAGE)
    make_result(root, "augmentations", ranking, part="C", page=PAGE)
    return folder


@pytest.fixture(scope="module")
def told(project: Path) -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(project)
        yield export_workbench(project / "handed-in", progress=False)


@pytest.fixture(scope="module")
def folder(told: dict[str, Any]) -> Path:
    return Path(told["folder"])


@pytest.fixture
def quick(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the project, and without the report, which takes seconds."""
    monkeypatch.chdir(project)

    def no_report(**given: Any) -> None:
        raise InputError("not in this test")

    monkeypatch.setattr(exporting, "report", no_report)


def test_every_tab_and_experiment_is_a_page_and_every_link_leads_to_a_file(told: dict[str, Any], folder: Path) -> None:
    pages = sorted(folder.rglob("*.html"))
    assert {file.name for file in folder.glob("*.html")} == set(FILES.values())
    assert len(list((folder / "experiments").glob("*.html"))) == told["experiments"] == 7
    assert told["files"] == len([file for file in folder.rglob("*") if file.is_file() and file.name != MARKER])
    for page in pages:
        if page.parent.name in ("pages", "report"):
            continue
        links = Links(page.read_text("utf-8")).found
        assert links
        for link in links:
            parts = urlsplit(link)
            assert (parts.scheme, parts.netloc) == ("", ""), "relative links alone"
            if parts.path:
                assert (page.parent / unquote(parts.path)).is_file(), (page.name, link)
    assert "Wrap-up report" in (folder / "report" / "report.html").read_text("utf-8")
    augmentation = (folder / "augmentation.html").read_text("utf-8")
    assert (
        augmentation.index("augmentations.html#only-map") < augmentation.index("Take it.") < augmentation.index("+12.3")
    )
    assert (folder / "pages" / "augmentations-2.html").is_file(), "the ranking for a second model"


def test_what_is_gone_is_said_in_its_place(told: dict[str, Any], folder: Path) -> None:
    assert "Its page is gone from the project" in (folder / "errors.html").read_text("utf-8")
    (words,) = told["left_out"]
    assert words.startswith("The page of Errors of the best run is gone.")
    assert words in (folder / "index.html").read_text("utf-8").replace("&#39;", "'")


def test_names_and_notes_are_never_markup(folder: Path) -> None:
    for page in [*folder.glob("*.html"), *(folder / "experiments").glob("*.html")]:
        text = page.read_text("utf-8")
        assert "<img src=x" not in text
        assert not re.search(r"<(?:b|td)>(?:tag|right)", text)
    assert any("&lt;img src=x" in page.read_text("utf-8") for page in (folder / "experiments").glob("*.html"))


@pytest.mark.usefixtures("quick")
def test_a_folder_with_files_of_others_is_refused_and_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(InputError, match=r"holds 'thesis\.txt'\. Name another folder"):
        export_workbench(foreign, progress=False)
    with pytest.raises(InputError, match="got the file"):
        export_workbench(foreign / "thesis.txt", progress=False)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "index.html").write_text("my own words", encoding="utf-8")
    with pytest.raises(InputError, match=r"'index\.html' was changed since"):
        export_workbench(copy, progress=False)
    assert (copy / "index.html").read_text("utf-8") == "my own words"
    assert [file.name for file in foreign.iterdir()] == ["thesis.txt"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy", "mine"], "nothing is left beside"


@pytest.mark.usefixtures("quick")
def test_an_export_is_replaced_as_a_whole_or_not_at_all(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    told = export_workbench(again, progress=False)
    assert told["left_out"][0] == "There is no report: not in this test"
    assert not (again / "report" / "report.html").exists(), "what is no longer there goes"
    before = {file: file.read_bytes() for file in again.rglob("*") if file.is_file()}

    def broken(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "experiment_answer", broken)
    with pytest.raises(Exception, match="No space left"):
        export_workbench(again, progress=False)
    assert {file: file.read_bytes() for file in again.rglob("*") if file.is_file()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["again"]


@pytest.mark.usefixtures("quick")
def test_rows_that_no_page_has_and_files_that_are_not_made_anew_are_named(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tabs, "LATEST", 2)
    monkeypatch.setattr(tabs, "MOST_ASKED", 1)
    log = DecisionLog(project / "decisions.jsonl")
    log.append([decide("drop", [f"{number:032x}"], author="ann", names=[f"{number}.png"]) for number in range(3)])
    with open_ledger(project / "eyeshot-out", write=True) as ledger:
        for record in ledger.experiments(limit=2):
            write_insight(ledger, record.id, "Red is taken for blue.", author="ann")
        count = sum(insight.open for record in ledger.experiments() for insight in record.insights)
    korean = make_folder(project / "eyeshot-out" / "report") / "report-ko.html"
    korean.write_text(PAGE, encoding="utf-8")
    left_out = export_workbench(tmp_path / "cut", progress=False)["left_out"]
    korean.unlink()
    assert "Decisions: The latest 2 of 3 decisions are shown; all are in decisions.jsonl." in left_out
    assert f"Open insights: The latest 1 of {count} insights are shown; all are in the report." in left_out
    assert any(words.startswith("report-ko.html is as it was written 20") for words in left_out)
    assert "The latest 2 of 3 decisions are shown" in (tmp_path / "cut" / "data.html").read_text("utf-8")


@pytest.mark.usefixtures("quick")
def test_long_lists_are_parted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "ROWS", 3)
    export_workbench(tmp_path / "parted", progress=False)
    assert (tmp_path / "parted" / "experiments-3.html").is_file()
    text = (tmp_path / "parted" / "experiments-3.html").read_text("utf-8")
    assert text.count("<tr>") == 2, "a head and the seventh experiment"


def test_an_empty_project_has_pages_that_say_what_to_do_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "eyeshot.toml").write_text("", encoding="utf-8")
    told = export_workbench("pages", progress=False)
    assert "Begin with: eyeshot audit" in told["left_out"][0]
    assert "eyeshot audit" in (tmp_path / "pages" / "index.html").read_text("utf-8")
    assert json.loads((tmp_path / "pages" / MARKER).read_text("utf-8"))["version"] == 1


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_pages_open_from_the_folder(chromium: Any, folder: Path, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("requestfailed", lambda request: wrong.append(request.url))
    for name in (*FILES.values(), *(f"experiments/{file.name}" for file in (folder / "experiments").iterdir())):
        page.goto((folder / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
        assert page.evaluate("getComputedStyle(document.querySelector('main')).fontSize") == "16px"
        assert page.title() != "hacked"
    page.goto((folder / "models.html").as_uri())
    assert page.frame_locator("iframe").locator("h1").inner_text() == "A page"
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("link", name="Experiments").click()
    assert page.locator("h1").inner_text() == "Experiments"
    context.close()
    assert wrong == []
