"""The page driven by keyboard in Chromium, at both widths."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_made import Site, doubted, make_review, number_of, served
from review_window import Window, kinds

from eyeshot.core.config import Project
from eyeshot.data import DecisionLog

pytestmark = pytest.mark.browser
KEYS = ["k", "d", "D", "K", "1", "r", "x", "g", "u", "n", "p", "Space", "z", "b", "o", "c", "f", "?"]


@pytest.fixture(params=[1280, 400])
def window(request: pytest.FixtureRequest, chromium: Any, site: Site) -> Iterator[Window]:
    one = Window(chromium, site, request.param)
    yield one
    one.context.close()
    assert one.complaints == []


@pytest.fixture
def wide(chromium: Any, site: Site) -> Iterator[Window]:
    one = Window(chromium, site)
    yield one
    one.context.close()


def test_the_worst_comes_first_and_is_decided_by_one_key(window: Window, folder: Path) -> None:
    assert "same picture, different labels" in window.text("#kicker")
    assert window.text("#suggested") == "Drop both"
    window.stored("D", "cat/0.jpg, dog/same.jpg: all dropped")
    assert "duplicates across training and test" in window.text("#kicker")
    assert kinds(folder) == ["drop-both"]
    window.press("p")  # decided ones are passed over
    window.wait("Nothing open", "#title")
    window.stored("u", "undone: drop-both of cat/0.jpg, dog/same.jpg")
    assert "same picture, different labels" in window.text("#kicker")
    assert window.count(".image.out") == 0
    assert kinds(folder) == ["drop-both", "undo"]


def test_keep_drop_and_several_at_once(window: Window, folder: Path) -> None:
    window.only("near-copy")
    first = window.text(".image .name >> nth=0")
    window.stored("d", f"{first}: dropped")
    window.wait("Nothing open", "#title")
    window.stored("u", "undone")
    window.wait("near-duplicates", "#kicker")
    window.press("Space", "ArrowRight", "Space")
    window.wait("2 selected")
    assert window.count(".image[aria-selected=true]") == 2
    window.stored("k", "cat/")
    assert kinds(folder) == ["drop", "undo", "keep"]
    assert len(DecisionLog(folder / "decisions.jsonl").read().stored[2].images) == 2


@pytest.mark.parametrize("key", ["k", "d", "D", "K", "1"])
def test_every_decision_moves_to_the_next_finding_and_undo_shows_it_and_stays(
    wide: Window, folder: Path, key: str
) -> None:
    title = wide.text("#title")
    wide.press("Space")
    wide.wait("1 selected")
    wide.press(key)
    wide.wait("duplicates across training and test", "#kicker")
    assert wide.count(".image[aria-selected=true]") == 0
    assert len(kinds(folder)) == (2 if key == "K" else 1)  # images are kept under their own labels
    wide.press("u")
    wide.wait("Stored: undone")
    wide.wait("same picture, different labels", "#kicker")
    assert wide.text("#title") == title
    assert wide.count(".image.out, .image[aria-selected=true]") == 0
    wide.press("?")
    assert "A decision moves to the next finding" in wide.text("#help")


def test_on_a_contact_sheet_a_decision_moves_to_the_next_image_and_clears_the_selection(wide: Window) -> None:
    wide.press("c")
    wide.wait("Class", "#title")
    wide.press("Space", "ArrowRight", "Space")
    wide.wait("2 selected")
    wide.stored("d", "cat/")
    assert wide.count(".image[aria-selected=true]") == 0
    assert wide.page.locator(".image[aria-current=true]").get_attribute("data-place") == "2"


def test_copies_laid_alike_over_each_other_and_in_turn(window: Window) -> None:
    window.only("near-copy")
    window.press("o")
    window.wait("laid over each other", "#pair-words")
    window.page.wait_for_function(
        "() => [...document.querySelectorAll('.stack img')].every((one) => one.complete && one.naturalWidth)"
    )
    sizes = window.page.evaluate(
        "[...document.querySelectorAll('.stack img')].map((one) => [one.naturalWidth, one.naturalHeight])"
    )
    assert sizes[0] == sizes[1] == sizes[2]
    shown = "[...document.querySelectorAll('.stack img')].map((one) => getComputedStyle(one).visibility)"
    assert window.page.evaluate(shown) == ["visible", "visible", "hidden"]
    window.press("o")
    window.wait("grey where they are equal", "#pair-words")
    assert window.page.evaluate(shown) == ["hidden", "hidden", "visible"]
    window.press("b")
    for words in ("First:", "Second, laid like the first:", "First:"):  # it goes on by itself
        window.wait(words, "#pair-words")
    window.press("b")
    window.wait("Blinking stopped")
    window.press("Escape")
    window.page.wait_for_selector("#pair", state="hidden")


def test_still_eyes_blink_by_hand(chromium: Any, site: Site) -> None:
    window = Window(chromium, site, reduced_motion="reduce")
    window.only("near-copy")
    window.press("b")
    window.wait("First:", "#pair-words")
    window.page.wait_for_timeout(1500)
    assert window.text("#pair-words").startswith("First:")
    window.press("b")
    window.wait("Second", "#pair-words")
    window.context.close()


def test_not_a_copy_keep_one_and_keep_together(window: Window, folder: Path) -> None:
    window.only("near-copy")
    window.stored("x", "cat/")
    window.stored("u", "undone: not-copy")
    window.stored("g", "cat/")
    window.stored("u", "undone: group")
    window.stored("1", "cat/")
    assert kinds(folder) == ["not-copy", "undo", "group", "undo", "keep-one"]
    window.only("identical")  # equal bytes are copies, whatever a person says
    window.press("x")
    window.wait("different bytes", "#wrong")
    assert len(kinds(folder)) == 5


def test_relabel_with_type_ahead_that_is_faster_than_the_box(window: Window, folder: Path) -> None:
    window.only("one-colour")
    window.press("r", "c", "a")
    window.wait("cat", "#labels-list")
    assert window.page.locator("#labels-text").input_value() == "ca"
    window.press("Enter")
    window.wait("Stored: dog/blank.jpg: relabelled to cat")
    stored = DecisionLog(folder / "decisions.jsonl").read().stored
    assert [(one.kind, one.given, one.label) for one in stored] == [("relabel", "dog", "cat")]
    window.press("u")
    window.wait("undone")
    window.press("r")
    window.page.wait_for_selector("#labels[open]")
    window.press("Escape")
    window.wait("No label was given")
    assert len(kinds(folder)) == 2


@pytest.mark.parametrize("width", [1280, 400])
def test_a_doubted_label_is_shown_beside_its_nearest_and_the_proposed_one_is_two_keys(
    chromium: Any, folder: Path, width: int
) -> None:
    with served(make_review(folder, more=[doubted(folder)])) as site:
        window = Window(chromium, site, width)
        window.only("label-issue")
        assert window.text("#title") == "cat → dog?"
        assert window.text("#words").startswith("cat/3.jpg is labelled cat")
        assert "cat → dog?" in window.text("#queue")
        assert window.page.locator("#near h2").all_inner_texts() == ["Nearest of cat", "Nearest of dog"]
        alike = window.page.locator("#near img").evaluate_all("(all) => all.map((one) => one.title)")
        assert alike == ["cat/4.jpg", "dog/4.jpg", "dog/5.jpg"]
        assert window.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        window.press("r")
        window.wait("proposed", "#labels-list")
        window.press("Enter")
        window.wait("Stored: cat/3.jpg: relabelled to dog")
        assert window.complaints == []
        window.context.close()
    assert [(one.kind, one.given, one.label) for one in DecisionLog(folder / "decisions.jsonl").read().stored] == [
        ("relabel", "cat", "dog")
    ]


def test_a_contact_sheet_of_the_class_and_back(window: Window, folder: Path) -> None:
    window.press("c")
    window.wait("Class", "#title")
    name = window.text("#title").removeprefix("Class ")
    assert window.page.locator("#class").input_value() == name
    assert set(window.page.locator(".image b").all_inner_texts()) == {name}
    window.press("d", "d", "d")
    window.page.wait_for_function("() => document.querySelectorAll('.image.out').length === 3")
    assert kinds(folder) == ["drop"] * 3
    window.press("c")
    window.wait("same picture", "#kicker")
    assert window.page.locator("#class").input_value() == ""


def test_filters_zoom_help_and_moving(window: Window) -> None:
    window.press("j")
    window.wait("2 of", "#kicker")
    window.press("p")
    window.wait("1 of", "#kicker")
    window.press("z")
    window.page.wait_for_selector("#zoom[open]")
    before = window.page.locator("#zoom-picture").bounding_box()
    window.press("+", "+", "+")
    window.page.wait_for_function(f"() => document.getElementById('zoom-picture').clientWidth > {before['width']}")
    window.press("z")
    window.page.wait_for_selector("#zoom", state="hidden")
    window.press("?")
    window.page.wait_for_selector("#help[open]")
    window.press("d")  # no command behind an open list of keys
    window.press("?")
    window.page.wait_for_selector("#help", state="hidden")
    window.page.get_by_role("button", name="Keys").click()
    window.page.get_by_role("button", name="Close").click()
    window.page.wait_for_selector("#help", state="hidden")
    window.only("leak")
    window.wait("1 of 1", "#kicker")
    window.press("f")
    window.page.locator("#split").select_option("test")
    window.page.locator("#class").select_option("dog")
    window.press("Escape")
    window.wait("Nothing open", "#title")
    assert "all open" not in window.text("#left")


def test_every_key_has_a_button_that_can_be_seen_and_is_named(window: Window) -> None:
    window.only("near-copy")
    told = {
        key: one
        for one in window.page.locator("button[aria-keyshortcuts]:visible").all()
        for key in one.get_attribute("aria-keyshortcuts").replace("Shift+D", "D").replace("Shift+K", "K").split()
    }
    assert set(KEYS) <= set(told)
    width = window.page.viewport_size["width"]
    names = {
        "d": "Drop this image",
        "z": "Zoom",
        "f": "Filter",
        "g": "Keep all, on one side of every split",
        "?": "Keys",
    }
    for key, name in names.items():
        assert window.page.get_by_role("button", name=name, exact=True).get_attribute("aria-keyshortcuts") == key
    for key in KEYS:
        box = told[key].bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width, key
        assert box["height"] >= 24  # WCAG 2.2, target size
    assert window.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_screen_reader_hears_images_and_what_a_key_did(wide: Window) -> None:
    assert wide.page.get_by_role("status").first.get_attribute("aria-live") == "polite"
    options = wide.page.get_by_role("option", name="class cat, train image cat/0.jpg")
    assert options.count() == 1
    wide.press("n")
    wide.wait("duplicates across training and test, 2 of")  # unseen, in the live region
    outline = wide.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert wide.page.evaluate("document.activeElement.getAttribute('role')") == "option"
    assert outline == "solid"


def test_a_button_does_what_its_key_does(window: Window, folder: Path) -> None:
    window.page.get_by_role("button", name="Drop both").click()
    window.wait("Stored: cat/0.jpg, dog/same.jpg")
    window.page.get_by_role("button", name="Undo the last decision").click()
    window.wait("undone")
    assert kinds(folder) == ["drop-both", "undo"]


def test_keys_of_other_alphabets_count_by_their_place(wide: Window, folder: Path) -> None:
    wide.page.evaluate(
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'ㅏ', code: 'KeyK', bubbles: true}))"
    )
    wide.wait("Stored: cat/0.jpg: kept")
    assert kinds(folder) == ["keep"]


def test_a_picture_that_is_gone_since_the_audit_is_said(chromium: Any, site: Site, folder: Path) -> None:
    (folder / "train" / "cat" / "0.jpg").unlink()
    window = Window(chromium, site)
    window.wait("cannot be shown", "#images")
    window.stored("D", "cat/0.jpg, dog/same.jpg")  # the other files of this content may be elsewhere
    window.context.close()


def test_a_broken_file_has_nothing_to_decide_about(wide: Window, folder: Path) -> None:
    wide.only("unreadable")
    wide.wait("broken.jpg cannot be read", "#title")
    assert wide.page.locator("#nothing").is_visible()
    assert wide.count("[data-do=drop]:visible, [data-do=keep-all]:visible, [data-do=zoom]:visible") == 0
    wide.press("d")
    wide.wait("nothing here to decide about")
    assert kinds(folder) == []


def test_a_full_disk_is_said_and_nothing_is_shown_as_decided(
    window: Window, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = os.fsync

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("eyeshot.data.decisions.os.fsync", full)
    for key in ("d", "D"):
        window.press(key)
        window.wait("No space left on device", "#wrong")
        assert window.page.locator("#wrong").get_attribute("role") == "alert"
        assert "same picture" in window.text("#kicker")
        assert window.count(".image.out, .badge") == 0
    assert kinds(folder) == []
    assert (folder / "decisions.jsonl").read_bytes() == b""
    monkeypatch.setattr("eyeshot.data.decisions.os.fsync", usual)
    window.stored("D", "cat/0.jpg, dog/same.jpg")
    assert window.page.locator("#wrong").is_hidden()
    monkeypatch.setattr("eyeshot.data.decisions.os.fsync", full)
    window.press("u")
    window.wait("No space left", "#wrong")
    monkeypatch.setattr("eyeshot.data.decisions.os.fsync", usual)
    window.stored("u", "undone")  # what could not be undone can be later
    assert kinds(folder) == ["drop-both", "undo"]


def test_a_server_that_is_gone_is_said(chromium: Any, folder: Path) -> None:
    with served(make_review(folder)) as site:
        window = Window(chromium, site)
    window.press("d")
    window.wait("Not stored: the server does not answer", "#wrong")
    assert window.count(".image.out") == 0
    window.context.close()


def test_two_windows_see_and_lose_nothing_of_each_other(chromium: Any, site: Site, folder: Path) -> None:
    one, other = Window(chromium, site), Window(chromium, site)
    one.stored("D", "cat/0.jpg, dog/same.jpg")
    one.wait("duplicates across training and test", "#kicker")
    one.stored("D", "cat/1.jpg: all dropped")
    other.press("n")  # what the first window decided is passed over
    other.wait("near-duplicates", "#kicker")
    assert "decided" in other.page.locator("#queue li").first.inner_text() or other.text("#left").startswith("4 of 6")
    other.press("c")
    other.wait("Class", "#title")
    one.press("c")
    one.wait("Class", "#title")
    for window in (one, other):
        window.press("ArrowRight", "ArrowRight")  # past those that are dropped already
    for window in (one, other, one, other):
        window.press("d")
    for window in (one, other):
        window.page.wait_for_function("() => document.querySelectorAll('.image.out').length === 4")
    give_up = time.monotonic() + 20
    while len(kinds(folder)) < 6 and time.monotonic() < give_up:
        time.sleep(0.05)
    assert sorted(kinds(folder)) == ["drop"] * 5 + ["drop-both"]
    for window in (one, other):
        window.context.close()


def test_images_without_a_label_get_one_by_hand_where_the_rules_allow_it(chromium: Any, folder: Path) -> None:
    file = folder / "eyeshot.toml"
    file.write_text('[rules]\ntest_images = "hand-labels"\n', encoding="utf-8")
    with served(make_review(folder, project=Project(file, {}, "hand-labels"))) as site:
        window = Window(chromium, site)
        window.only("unlabelled")
        window.press("r", "d", "o", "g", "Enter")
        window.wait("relabelled to dog")
        window.wait("without a label, 2 of", "#kicker")
        window.press("c")
        window.wait("Images without a label", "#title")
        window.press("Space", "ArrowRight", "Space", "r", "c", "a", "t", "Enter")
        window.wait("relabelled to cat")
        assert window.page.locator(".badge.new").all_inner_texts() == ["now cat"] * 2
        window.context.close()
    stored = DecisionLog(folder / "decisions.jsonl").read().stored
    assert [(one.label, len(one.images)) for one in stored] == [("dog", 1), ("cat", 2)]
    file.write_text('[rules]\ntest_images = "features"\n', encoding="utf-8")
    with served(make_review(folder, project=Project(file, {}, "features"))) as site:
        window = Window(chromium, site)
        assert window.count("#kind option[value=unlabelled]") == 0
        assert site.review is not None
        leak = number_of(site.review, "leak")
        window.page.locator(f'#queue [data-item="{leak}"]').click()
        window.wait("duplicates across training and test", "#kicker")
        window.page.locator(".image", has_text="leaked.jpg").click()
        window.press("r", "c", "a", "t", "Enter")
        window.wait("line 2", "#wrong")
        window.context.close()
    assert len(kinds(folder)) == 2


def test_a_name_that_looks_like_markup_stays_text(chromium: Any, folder: Path) -> None:
    (folder / "train" / "cat" / "0.jpg").rename(folder / "train" / "cat" / "<img src=x onerror=alert(1)>.jpg")
    with served(make_review(folder)) as site:
        window = Window(chromium, site)
        window.wait("<img src=x onerror=alert(1)>.jpg", "#images")
        assert window.complaints == []
        window.stored("D", "cat/<img src=x")
        window.context.close()
