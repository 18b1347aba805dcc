"""The report on its tab in Chromium: fields in their place, two writers, both languages, keys and widths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_made import Site
from workbench_made import Window, reported_project, served_workbench

from eyeshot.ledger import open_ledger, write_field
from eyeshot.reports import read_report_texts, store_report_text
from made_ledger import HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WHOLE = "() => document.querySelector('#report-document')?.dataset.whole"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reported_project(tmp_path_factory.mktemp("shown"), goal=f"Tell {HOSTILE} apart.\nAll of them.", author="bob")


@pytest.fixture(scope="module")
def site(project: Path) -> Iterator[Site]:
    with served_workbench(project / "eyeshot-out") as served:
        yield served


@pytest.fixture
def window(chromium: Any, site: Site) -> Iterator[Window]:
    shown = opened(chromium, site)
    yield shown
    shown.close()


def opened(chromium: Any, site: Site, width: int = 1280, query: str = "?tab=report") -> Window:
    window = Window(chromium, site, width, query)
    window.page.wait_for_function(WHOLE, timeout=120_000)
    return window


def field(window: Window, name: str, place: int = 0) -> Any:
    return window.page.locator(f"#report-document .field[data-key^='{name} ']").nth(place)


def text_of(project: Path, name: str, person: str = "") -> str:
    return str(read_report_texts(project)[0][name, person]["text"])


def test_the_first_paint_does_not_wait_for_the_report(chromium: Any, site: Site) -> None:
    window = Window(chromium, site, query="?tab=report")
    assert window.text("#report h1") == "Report"
    assert window.page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    ) < window.page.wait_for_function(WHOLE, timeout=120_000).evaluate("performance.now()")
    assert "Made" in window.text("#report-state")
    window.close()


def test_a_missing_text_is_written_in_its_place(window: Window, project: Path) -> None:
    missing = window.text("#next-missing")
    box = field(window, "lessons")
    assert "gap" in str(box.get_attribute("class"))
    assert box.locator("label").inner_text() == "What did the team learn?"
    box.locator("textarea").fill("Look first <b>always</b>.")
    window.press("Control+Enter")
    box.locator("blockquote").wait_for()
    assert text_of(project, "lessons") == "Look first <b>always</b>."
    assert box.locator("blockquote").inner_text() == "Look first <b>always</b>."
    assert box.locator("b").count() == 0, "words are never markup"
    assert window.page.evaluate("document.activeElement.textContent") == "Change"
    assert window.text("#next-missing") != missing
    window.page.reload()
    window.page.wait_for_function(WHOLE, timeout=120_000)
    box.locator("blockquote").wait_for()
    box.get_by_role("button", name="Change").click()
    box.locator("textarea").fill("Something else")
    box.get_by_role("button", name="Leave as it is").click()
    assert box.locator("blockquote").inner_text() == "Look first <b>always</b>."


def test_names_and_texts_of_others_are_shown_as_they_are(window: Window) -> None:
    box = field(window, "goal")
    assert box.locator("p").first.inner_text() == f"Tell {HOSTILE} apart."
    assert box.locator("blockquote p").count() == 2
    assert window.page.locator("#report-document img[src='x']").count() == 0
    assert window.page.title() == "Report – eyeshot"


def test_the_key_goes_from_one_missing_text_to_the_next(window: Window) -> None:
    gaps = window.page.locator("#report-document .gap")
    window.page.evaluate("document.activeElement.blur()")
    window.press("m")
    in_gap = "place => document.querySelectorAll('#report-document .gap')[place].contains(document.activeElement)"
    assert window.page.evaluate(in_gap, 0)
    window.page.locator("#next-missing").click()
    assert window.page.evaluate(in_gap, 1)
    last = gaps.count() - 1
    gaps.nth(last).locator("textarea, a").first.focus()
    window.page.locator("#next-missing").click()
    assert window.page.evaluate(in_gap, 0), "after the last comes the first"


def test_the_later_of_two_writers_sees_the_earlier_and_loses_nothing(window: Window, project: Path) -> None:
    box = field(window, "next")
    box.locator("textarea").fill("Mine")
    store_report_text(project, "next", "Theirs", author="bob")
    box.get_by_role("button", name="Store").click()
    box.locator(".clash blockquote").wait_for()
    assert box.locator(".clash").inner_text().startswith("bob wrote here meanwhile:")
    assert (box.locator(".clash blockquote").inner_text(), box.locator("textarea").input_value()) == ("Theirs", "Mine")
    assert text_of(project, "next") == "Theirs"
    box.get_by_role("button", name="Put both in the field").click()
    box.get_by_role("button", name="Store", exact=True).click()
    box.locator(".field blockquote, blockquote").first.wait_for()
    window.page.wait_for_function("() => !document.querySelector('.field[data-key^=\"next \"] form')")
    assert text_of(project, "next") == "Theirs\nMine"


def test_what_somebody_else_wrote_comes_with_the_next_look(window: Window, project: Path) -> None:
    touched = field(window, "role")
    touched.locator("textarea").fill("Mine")
    person = str(touched.get_attribute("data-key")).split(" ", 1)[1]
    store_report_text(project, "data", "Twins everywhere", author="bob")
    store_report_text(project, "role", "Theirs", person=person, author="bob")
    window.press("Escape")
    window.page.evaluate("document.activeElement.blur()")
    window.press("1", "8")
    field(window, "data").locator("blockquote").wait_for()
    assert field(window, "data").inner_text().startswith("Twins everywhere")
    touched.locator(".clash blockquote").wait_for()
    assert (touched.locator(".clash blockquote").inner_text(), touched.locator("textarea").input_value()) == (
        "Theirs", "Mine",
    )  # fmt: skip
    touched.get_by_role("button", name="Take theirs").click()
    assert touched.locator("textarea").input_value() == "Theirs"


def test_a_draft_survives_that_the_report_is_made_anew(window: Window, project: Path) -> None:
    box = field(window, "contribution")
    box.locator("textarea").fill("A draft")
    before = window.page.evaluate("document.querySelector('#report-document').dataset.whole")
    with open_ledger(project / "eyeshot-out", write=True) as ledger:
        ledger.add("One more reason", author="ann")
    window.wait("() => !document.querySelector('#report-again').hidden")
    window.page.locator("#report-again").click()
    window.page.wait_for_function(
        "before => (document.querySelector('#report-document').dataset.whole ?? before) !== before", arg=before,
        timeout=120_000,
    )  # fmt: skip
    assert box.locator("textarea").input_value() == "A draft"
    box.locator("textarea").fill("")


def test_korean_has_korean_questions_and_its_own_address(chromium: Any, site: Site) -> None:
    window = opened(chromium, site, query="?tab=report")
    window.page.locator("#report-language").select_option("ko")
    window.page.wait_for_function(
        "() => document.querySelector('#report-document[data-whole]')?.lang === 'ko'", timeout=120_000
    )
    assert window.page.url.endswith("?tab=report&lang=ko")
    assert "데이터를 직접" in str(
        field(window, "data").locator("button, label").first.evaluate("node => node.ariaLabel ?? node.innerText")
    )
    window.page.go_back()
    window.page.wait_for_function(
        "() => document.querySelector('#report-document[data-whole]')?.lang === 'en'", timeout=120_000
    )
    window.close()


@pytest.mark.parametrize("width", [1280, 400])
def test_it_fits_and_its_links_lead_to_places_in_it(chromium: Any, site: Site, width: int) -> None:
    window = opened(chromium, site, width)
    assert window.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    lost = window.page.evaluate(
        "[...document.querySelectorAll('#report [data-jump]')].map(link => link.dataset.jump)"
        ".filter(place => !document.getElementById(place))"
    )
    assert lost == []
    ids = window.page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(ids) == len(set(ids))
    window.page.locator("#report-contents summary").click()
    window.page.locator("#report-contents a").last.click()
    assert window.page.evaluate("document.activeElement.matches('#report-document > section')")
    assert window.page.url.endswith("?tab=report")
    window.close()


def test_files_are_written_from_the_page(window: Window, project: Path) -> None:
    window.page.get_by_role("button", name="Write HTML").click()
    link = window.page.get_by_role("link", name="report.html")
    link.wait_for(timeout=120_000)
    assert (project / "eyeshot-out" / "report" / "report.html").is_file()
    with window.context.expect_page() as new:
        link.click()
    assert "Wrap-up report" in new.value.locator("h1").inner_text()
    assert new.value.evaluate("window.origin") == "null", "it has no rights in the workbench"


def test_a_long_table_shows_its_first_rows_and_the_others_when_they_are_asked_for(chromium: Any, site: Site) -> None:
    window = Window(chromium, site, query="")

    def lengthen(route: Any) -> None:
        answer = route.fetch()
        told = answer.json()
        if told["document"]:
            rows = [[{"text": f"row {number}", "anchor": f"long-{number}"}] for number in range(450)]
            table = {"kind": "table", "caption": "Long", "columns": ["name"], "numbers": [], "rows": rows}
            link = {"text": "to the last", "anchor": "long-449"}
            words = {"kind": "paragraph", "role": "claim", "text": "See", "links": [link], "command": ""}
            told["document"]["blocks"] += [table, {**table, "rows": rows[:201]}, words]
        route.fulfill(response=answer, json=told)

    window.page.route("**/api/report?*", lengthen)
    window.press("8")
    window.page.wait_for_function(WHOLE, timeout=120_000)
    tables = window.page.locator("#report-document .of-table:has(caption, [aria-label=Long])")
    assert [tables.nth(place).locator("tbody tr").count() for place in (0, 1)] == [200, 200]
    tables.nth(1).get_by_role("button", name="Show all 201 rows").click()
    assert tables.nth(1).locator("tbody tr").count() == 201
    window.page.get_by_role("link", name="to the last").click()
    assert tables.nth(0).locator("tbody tr").count() == 450
    assert window.page.evaluate("document.activeElement.textContent") == "row 449"
    window.close()


def test_what_an_experiment_asks_is_written_in_its_place(chromium: Any, tmp_path: Path) -> None:
    """In a project of its own: what it stores has the report made anew."""
    project = reported_project(tmp_path, goal="One", author="bob")
    with served_workbench(project / "eyeshot-out") as served:
        window = opened(chromium, served)
        why = field(window, "why_different")
        experiment = str(why.get_attribute("data-key")).split()[1]
        with open_ledger(project / "eyeshot-out", write=True) as ledger:
            write_field(ledger, experiment, "why_different", "Theirs", before="", author="bob")
        why.locator("textarea").fill("The warm-up was too short.")
        why.get_by_role("button", name="Store").click()
        why.locator(".clash blockquote").wait_for()
        assert why.locator(".clash").inner_text().startswith("bob wrote here meanwhile:")
        why.get_by_role("button", name="Store mine over it").click()
        why.locator(":scope > blockquote").wait_for()
        action = field(window, "action")
        _, acting, insight = str(action.get_attribute("data-key")).split()
        action.locator("textarea").fill("Left it out.")
        action.locator("textarea").press("Control+Enter")
        action.locator(":scope > blockquote").wait_for()
        assert action.get_by_role("button", name="Change").count() == 0
        with open_ledger(project / "eyeshot-out") as ledger:
            assert ledger.experiment(experiment).why_different == "The warm-up was too short."
            (done,) = [each.actions for each in ledger.experiment(acting).insights if each.id == insight]
            assert [(one["text"], one["author"]) for one in done] == [("Left it out.", "ann")]
        window.close()
