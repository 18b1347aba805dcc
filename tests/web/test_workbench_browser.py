"""The workbench in Chromium, while other processes write to the ledger."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_made import Site
from workbench_made import Window, served_workbench

from contrast import contrast
from eyeshot.ledger import open_ledger
from eyeshot.web.workbench import session
from made_ledger import HOSTILE

pytestmark = pytest.mark.browser
SWEEP = """
import sys, time
from pathlib import Path
from eyeshot.ledger import open_ledger

root, parent = Path(sys.argv[1]), sys.argv[2]
with open_ledger(root, write=True) as ledger:
    for number in range(12):
        trial = ledger.add(
            f"Trial {number}", author_kind="sweep", parent=parent, expected={"direction": "up", "words": "up"},
            difference={"training.learning_rate": [0.001, 0.001 * (number + 2)]},
        )
        ledger.append(trial.id, "run", run=f"run-{number}", seed=0)
        ledger.append(trial.id, "rung", rung="probe", value=0.5 + number / 100, n=100, seconds=1.0)
        time.sleep(0.05)
        numbers = {"value": 0.8 + number / 100, "difference": number / 100, "difference_low": -0.01,
                   "difference_high": number / 50, "p": 0.2}
        ledger.append(trial.id, "got", got=numbers)
        ledger.append(trial.id, "verdict", verdict="not distinguishable", gain="not distinguishable", words="")
        ledger.append(trial.id, "state", state="done")
"""

CAMPAIGN = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from simulated_search import Learner, spend

class Waiting(Learner):
    def __call__(self, item):
        while item.number == 5 and not Path(sys.argv[3]).exists():
            time.sleep(0.05)
        return super().__call__(item)

spend(Path(sys.argv[1]), Waiting())
"""
"""A sweep as `eyeshot sweep` does it, but for trainings; it waits in its sixth trial."""


@pytest.fixture
def site(root: Path, ids: dict[str, str]) -> Iterator[Site]:
    with served_workbench(root) as served:
        yield served


@pytest.fixture
def window(chromium: Any, site: Site) -> Iterator[Window]:
    opened = Window(chromium, site)
    yield opened
    opened.close()


def test_the_line_of_an_experiment_opens_it_at_another_address(
    chromium: Any, root: Path, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served_workbench(root, token="a" * 32) as first, served_workbench(root, token="b" * 32) as second:
        window = Window(chromium, first, query=f"?tab=experiments&open={ids['worse']}")
        window.wait_sheet(ids["worse"])
        program, command, experiment = window.text("#send").split()
        assert (program, command) == ("eyeshot", "open")
        addresses: list[str] = []
        monkeypatch.setattr(session, "run_server", lambda server, listener: listener.close())
        monkeypatch.chdir(root.parent)
        session.open_workbench(experiment, served=lambda address, notes: addresses.append(address))
        query = addresses[0].partition("?")[2]
        window.open(second, f"?{query}")
        window.wait_sheet(ids["worse"])
        assert first.host not in window.page.url
        window.close()


def learned(root: Path, experiment: str) -> str:
    with open_ledger(root) as ledger:
        return ledger.experiment(experiment).learned


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_the_table_follows_a_sweep_in_another_process(
    chromium: Any, site: Site, root: Path, ids: dict[str, str], width: int, scheme: str
) -> None:
    window = Window(chromium, site, width, "?show=timeline", color_scheme=scheme)
    window.wait_rows(7)
    window.page.locator(f"[data-open='{ids['better']}']").focus()
    sweep = subprocess.Popen([sys.executable, "-c", SWEEP, str(root), ids["better"]])
    window.wait_rows(19)
    assert sweep.wait(timeout=60) == 0
    window.wait("() => document.querySelectorAll('#rows .badge').length === 15")
    window.wait_text("19 experiments, 1 running", "#count")
    first = window.text("#rows tr >> nth=0")
    for words in ("Trial 11", "training.learning_rate", "0.013", "accuracy up", "91.0 %", "+11.0 points",
                  "not distinguishable", "probe"):  # fmt: skip
        assert words in first
    assert window.page.evaluate("document.activeElement.dataset.open") == ids["better"], "the focus stays"
    window.wait("() => document.querySelector('#timeline svg').getAttribute('aria-label').startsWith('16 exp')")
    assert window.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    paper = window.page.evaluate("getComputedStyle(document.body).backgroundColor")
    for place in ("#rows a", "#rows .badge", "#rows .setting", "#rows .soft", "#count", "#rows .state"):
        ink = window.page.evaluate("place => getComputedStyle(document.querySelector(place)).color", place)
        assert contrast(ink, paper) >= 4.5, place
    window.close()


def test_the_table_shows_what_a_sweep_proposes_promotes_and_stops(
    window: Window, root: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    window.wait_rows(7)
    go, place = tmp_path / "go", request.config.rootpath / "tests" / "sweep" / "search"
    sweep = subprocess.Popen([sys.executable, "-c", CAMPAIGN, str(root), str(place), str(go)])
    try:
        window.wait_rows(7 + 6)
        window.wait_text("13 experiments, 6 running", "#count")
        assert sweep.poll() is None
        assert "trial 5 of does it hold?" in window.text("#rows tr >> nth=0")
        go.touch()
        assert sweep.wait(timeout=60) == 0
    finally:
        sweep.kill()
    window.wait_rows(7 + 12)
    with open_ledger(root) as ledger:
        trials = ledger.experiments("sweep = 'simulated'")
    assert {trial.state for trial in trials} == {"done", "stopped"}
    assert len(trials) == 12
    window.wait_text("19 experiments, 1 running", "#count")  # that of the made ledger
    for trial in trials:
        words = window.text(f"#rows tr[data-id='{trial.id}']")
        assert trial.rungs[-1]["rung"] in words
        assert trial.got is not None
        assert f"{100 * trial.got.value:.1f} %" in words
        assert ("stopped" in words) is (trial.state == "stopped")


def test_the_address_holds_filter_order_and_what_is_open(window: Window, site: Site, ids: dict[str, str]) -> None:
    window.wait_rows(7)
    window.page.locator("#verdict").select_option("worse")
    window.wait_rows(1)
    assert window.rows() == [ids["worse"]]
    assert window.page.url.endswith("?tab=experiments&verdict=worse")
    window.page.locator("[data-open]").click()
    window.wait_sheet(ids["worse"])
    assert f"open={ids['worse']}" in window.page.url
    window.page.go_back()
    window.wait("() => !document.querySelector('#details').open")
    window.page.go_back()
    window.wait_rows(7)
    assert window.page.locator("#verdict").input_value() == ""
    window.page.go_forward()
    window.wait_rows(1)
    window.page.go_forward()
    window.wait_sheet(ids["worse"])
    window.press("Escape")
    window.wait("() => !document.querySelector('#details').open")
    window.page.locator("#clear").click()
    window.wait_rows(7)
    window.page.keyboard.type("radam short", delay=5)  # the focus went to the search
    window.wait_rows(1)
    assert window.rows() == [ids["better"]]
    window.page.reload()
    window.page.wait_for_selector("html[data-ready]")
    window.wait_rows(1)
    assert window.page.locator("#q").input_value() == "radam short"
    window.page.go_back()
    window.wait_rows(7)
    window.page.locator("#sort").select_option("-value")
    window.wait("id => document.querySelector('#rows tr').dataset.id === id", ids["noise"])
    window.open(site, "?q=nothing-like-this")
    window.wait_text("No experiment fits", "#nothing")


@pytest.mark.parametrize("width", [1280, 400])
def test_all_can_be_done_by_keyboard(chromium: Any, site: Site, root: Path, ids: dict[str, str], width: int) -> None:
    window = Window(chromium, site, width)
    window.wait_rows(7)
    window.press("/")
    assert window.page.evaluate("document.activeElement.id") == "q"
    window.press("Escape", "j", "j", "k", "j", "j")
    assert window.page.evaluate("document.activeElement.dataset.open") == ids["worse"]
    assert window.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    window.press("Enter")
    window.wait_sheet(ids["worse"])
    assert window.page.evaluate("document.activeElement.id") == "details-title"
    window.press("j")
    window.wait_sheet(ids["noise"])
    window.press("k")
    window.wait_sheet(ids["worse"])
    window.press("l")
    window.wait("() => document.activeElement.id === 'edit-learned'")
    window.page.keyboard.type("Rates above 0.001 j k x diverge")
    window.press("Control+Enter")
    window.wait_text("Stored.", "[data-field=learned] .said")
    assert learned(root, ids["worse"]) == "Rates above 0.001 j k x diverge"
    window.press("Tab", "Tab")
    window.page.locator("#details-title").focus()
    window.press("t")
    window.page.keyboard.type("rate")
    window.press("Enter")
    window.wait_text("rate", "#tags")
    window.page.locator("#details-title").focus()
    window.press("i")
    window.page.keyboard.type("Try a warm-up")
    window.press("Enter")
    window.wait_text("Try a warm-up", "#insights")
    window.page.locator("#insights input").fill("Warmed up")
    window.press("Enter")
    window.wait_text("→ Warmed up", "#insights")
    assert window.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    window.press("Escape")
    window.wait("() => !document.querySelector('#details').open")
    assert window.page.evaluate("document.activeElement.dataset.open") == ids["worse"], "the focus comes back"
    window.press("?")
    window.wait("() => document.querySelector('#help').open")
    window.press("Escape")
    with open_ledger(root) as ledger:
        record = ledger.experiment(ids["worse"])
    assert record.tags == ("rate",)
    assert [(insight.text, insight.open) for insight in record.insights] == [("Try a warm-up", False)]
    window.close()


def test_of_two_people_the_later_sees_the_earlier(chromium: Any, site: Site, root: Path, ids: dict[str, str]) -> None:
    first, second = (Window(chromium, site, query=f"?open={ids['noise']}") for _ in range(2))
    for each in (first, second):
        each.wait_sheet(ids["noise"])
    second.page.locator("#edit-learned").fill("Second")
    first.page.locator("#edit-learned").fill("First")
    first.press("Control+Enter")
    first.wait_text("Stored.", "[data-field=learned] .said")
    second.wait_text("First", "[data-field=learned] .clash")
    assert second.page.locator("#edit-learned").input_value() == "Second", "what is being written stays"
    second.page.get_by_role("button", name="Put both in the field").click()
    second.page.locator("[data-field=learned] button[type=submit]").click()
    second.wait_text("Stored.", "[data-field=learned] .said")
    assert learned(root, ids["noise"]) == "First\nSecond"
    first.wait("() => document.querySelector('#edit-learned').value === 'First\\nSecond'")
    second.page.locator("#edit-why_different").fill("A draft that is not stored")
    second.press("Escape")
    second.wait("() => !document.querySelector('#details').open")
    second.page.locator(f"[data-open='{ids['noise']}']").first.click()
    second.wait_sheet(ids["noise"])
    assert second.page.locator("#edit-why_different").input_value() == "A draft that is not stored"
    first.close()
    second.close()


def test_a_field_that_changed_before_the_news_arrived_is_not_overwritten(
    chromium: Any, site: Site, root: Path, ids: dict[str, str]
) -> None:
    window = Window(chromium, site, query=f"?open={ids['noise']}")
    window.wait_sheet(ids["noise"])
    window.page.route("**/api/news*", lambda route: route.abort())
    window.page.locator("#edit-learned").fill("Mine")
    # The page looks every 0.4 s; this is stored in between, as by somebody on another machine.
    with open_ledger(root, write=True) as ledger:
        ledger.append(ids["noise"], "learned", text="Theirs", author="bob")
    window.press("Control+Enter")
    window.wait_text("bob wrote here meanwhile", "[data-field=learned] .clash")
    assert learned(root, ids["noise"]) == "Theirs"
    window.page.get_by_role("button", name="Take theirs").click()
    assert window.page.locator("#edit-learned").input_value() == "Theirs"
    window.page.locator("#edit-learned").fill("Mine after all")
    window.press("Control+Enter")
    window.wait_text("Stored.", "[data-field=learned] .said")
    assert learned(root, ids["noise"]) == "Mine after all"
    window.context.close()


def test_curves_are_laid_over_each_other_and_read_by_arrow_keys(window: Window, ids: dict[str, str]) -> None:
    window.wait_rows(7)
    for name in ("better", "running"):
        window.page.locator(f"[data-open='{ids[name]}']").focus()
        window.press("x")
    window.wait("() => document.querySelectorAll('#curves .line').length === 2")
    assert f"chosen={ids['better']},{ids['running']}" in window.page.url
    legend = window.text("#curves .legend")
    assert "83.2 %" in legend
    assert "70.0 %" in legend
    window.page.locator("#curves svg").focus()
    window.press("ArrowRight")
    window.wait_text("at epoch 1", "#curves .readout")
    assert window.text("#curves .legend").count("50.0 %") == 2
    window.page.locator("#metric").select_option("learning_rate")
    window.wait_text("learning rate, at the end", "#curves .readout")
    window.page.locator(f"[data-remove='{ids['better']}']").click()
    window.wait("() => document.querySelectorAll('#curves .line').length === 1")
    assert not window.page.locator(f"[data-choose='{ids['better']}']").is_checked()


def test_the_timeline_opens_an_experiment(window: Window, site: Site, ids: dict[str, str]) -> None:
    window.open(site, "?show=timeline")
    window.page.wait_for_selector("#timeline svg")
    window.page.locator("#timeline svg").focus()
    window.press("ArrowRight", "ArrowRight")
    window.wait_text(f"{ids['better']}: 83.2 %, better than its parent", "#timeline .readout")
    window.press("Enter")
    window.wait_sheet(ids["better"])
    window.press("Escape")
    window.page.locator("#expectations-part summary").click()
    window.wait_text("night agent", "#expectations")
    assert "show=timeline,expectations" in window.page.url


def test_text_of_the_users_is_never_markup(window: Window, site: Site, ids: dict[str, str]) -> None:
    window.wait_rows(7)
    assert HOSTILE in str(window.page.evaluate("document.querySelector('#rows').textContent"))
    window.open(site, f"?open={ids['hostile']}&q=%3Cimg%20src%3Dx&chosen={ids['hostile']}&show=curves,timeline")
    window.wait_sheet(ids["hostile"])
    window.page.locator("#edit-learned").fill(HOSTILE)
    window.page.locator("[data-field=learned] button[type=submit]").click()
    window.wait_text("Stored.", "[data-field=learned] .said")
    window.wait("() => document.querySelectorAll('#rows tr').length === 1")
    assert window.page.locator("#main img, #details img").count() == 0
    assert window.page.title() == "Experiments – eyeshot"


def test_a_server_that_stopped_is_told_and_nothing_is_lost(chromium: Any, root: Path, ids: dict[str, str]) -> None:
    with served_workbench(root) as site:
        window = Window(chromium, site, query=f"?open={ids['noise']}")
        window.wait_sheet(ids["noise"])
        window.page.locator("#edit-learned").fill("Words")
    window.press("Control+Enter")
    window.wait_text("Not stored: the server does not answer", "[data-field=learned] .said")
    assert window.page.locator("#edit-learned").input_value() == "Words"
    window.wait_text("not connected", "#live")
    window.context.close()


def test_an_empty_project_says_how_to_begin(chromium: Any, tmp_path: Path) -> None:
    with served_workbench(tmp_path / "eyeshot-out") as site:
        window = Window(chromium, site, 400)
        window.wait_text("eyeshot try", "#nothing")
        assert not window.page.locator("#table").is_visible()
        window.close()
