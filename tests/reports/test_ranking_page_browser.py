from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_ranking import make_map, make_pictures, make_report

from accessibility import violations_of_file
from eyeshot.rankings.augmentations.result import AugmentationRanking, Pictures
from eyeshot.reports import write_ranking_page

pytestmark = pytest.mark.browser
WIDTHS = (1280, 400)


class Opened:
    """A page in the browser, with what it complained about and what it asked the network for."""

    def __init__(self, chromium: Any, path: Path, width: int, *, height: int = 900, **options: Any) -> None:
        self.context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        self.context.set_default_timeout(120_000)  # a busy machine is slow, not wrong
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_function("window.eyeshotMap && window.eyeshotMap.ready")

    def map(self, call: str) -> Any:
        return self.page.evaluate(f"window.eyeshotMap.{call}")


def opened(chromium: Any, path: Path, width: int, **options: Any) -> Iterator[Opened]:
    site = Opened(chromium, path, width, **options)
    yield site
    complaints = site.complaints
    site.context.close()
    assert complaints == []


@pytest.fixture(params=WIDTHS)
def site(request: pytest.FixtureRequest, chromium: Any, page_path: Path) -> Iterator[Opened]:
    yield from opened(chromium, page_path, request.param)


@pytest.fixture
def wide(chromium: Any, page_path: Path) -> Iterator[Opened]:
    yield from opened(chromium, page_path, 1280)


def test_the_page_opens_from_a_file_and_asks_for_nothing_else(site: Opened, page_path: Path) -> None:
    site.page.wait_for_timeout(300)
    outside = [url for url in site.requests if not url.startswith(("data:", "blob:"))]
    assert outside == [page_path.as_uri()]


def test_the_body_never_scrolls_sideways(site: Opened) -> None:
    for details in site.page.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    assert site.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def bottom(site: Opened, selector: str) -> float:
    box = site.page.locator(selector).last.bounding_box()
    return float(box["y"] + box["height"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_answer_the_map_five_rows_and_the_trust_are_seen_without_scrolling(
    chromium: Any, page_path: Path, cover: AugmentationRanking, scheme: str
) -> None:
    for site in opened(chromium, page_path, 1280, height=800, color_scheme=scheme):
        assert site.page.locator("h1").inner_text() == cover.report.headline
        rows = site.page.locator(".opening .ranking tbody tr")
        assert rows.count() == 5
        assert [rows.nth(place).locator("th a").inner_text() for place in range(5)] == [
            candidate.name for candidate in cover.report.of("ranked")[:5]
        ]
        for selector in ("h1", ".next-step", "#map-figure", ".opening .ranking tbody tr", ".trust-line"):
            assert site.page.locator(selector).last.is_visible()
            assert bottom(site, selector) <= 800, selector
        assert site.page.locator("#map-figure").bounding_box()["width"] >= 440


def test_a_headline_of_twenty_long_words_still_fits(chromium: Any, tmp_path: Path) -> None:
    report = make_report(headline=" ".join(["augmentation"] * 20))
    points = make_map(report.classes, train=60, target=60, validation=60, samples=10)
    path = write_ranking_page(AugmentationRanking(report, points, Pictures()), tmp_path / "augmentations.html")
    for site in opened(chromium, path, 1280, height=800):
        assert max(bottom(site, selector) for selector in ("#map-figure", ".opening .ranking", ".trust-line")) <= 800


def test_no_text_is_smaller_than_twelve_and_a_half_pixels(site: Opened) -> None:
    for details in site.page.locator("details").all():
        details.evaluate("fold => { fold.open = true; }")
    small = site.page.evaluate(
        "[...document.querySelectorAll('.sheet *')]"
        ".filter((part) => [...part.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))"
        ".filter((part) => part.checkVisibility() && parseFloat(getComputedStyle(part).fontSize) < 12.5)"
        ".map((part) => `${part.className}: ${part.textContent.slice(0, 30)}`)"
    )
    assert small == []


def test_a_link_to_a_folded_candidate_opens_it(wide: Opened) -> None:
    fold = wide.page.locator("details.folded").last
    assert fold.get_attribute("open") is None
    wide.page.evaluate("location.hash = [...document.querySelectorAll('details.folded')].at(-1).id")
    wide.page.wait_for_function("[...document.querySelectorAll('details.folded')].at(-1).open")


def test_at_first_train_target_and_the_winner_are_on(site: Opened) -> None:
    assert site.map("shown()") == ["train", "target", "pencil-sketch"]
    assert site.page.locator("input[name=cloud]:checked").count() == 3


def test_a_click_switches_a_cloud_and_moves_nothing(site: Opened) -> None:
    before = site.map("ranges()")
    site.page.get_by_role("checkbox", name="no-op").check()
    assert "no-op" in site.map("shown()")
    site.page.locator("input[name=cloud]").first.uncheck()
    assert "train" not in site.map("shown()")
    site.page.wait_for_timeout(200)
    assert site.map("ranges()") == before


def test_the_keyboard_switches_clouds_and_projections(site: Opened) -> None:
    before = site.map("places('train')")
    site.page.get_by_label("validation", exact=False).first.focus()
    site.page.keyboard.press("Space")
    assert "validation" in site.map("shown()")
    site.page.get_by_label("t-SNE").focus()
    site.page.keyboard.press("ArrowRight")
    assert site.page.get_by_label("UMAP").is_checked()
    assert site.map("places('train')") != before


def test_every_projection_has_its_own_places_and_its_own_words(wide: Opened) -> None:
    places, ranges = [], []
    for name in ("PCA", "t-SNE", "UMAP"):
        wide.page.get_by_label(name, exact=True).check()
        places.append(wide.map("places('target')"))
        ranges.append(wide.map("ranges()"))
        assert wide.page.locator(".trust:visible").inner_text().startswith(name)
    assert places[0] != places[1] != places[2]
    assert ranges[0] != ranges[1]
    assert wide.page.locator(".trust:visible .warning").count() == 0
    wide.page.get_by_label("PCA", exact=True).check()
    assert wide.map("places('target')") == places[0]
    assert wide.page.locator(".trust:visible .warning").count() == 1


def test_the_map_in_which_cover_is_seen_best_comes_first(site: Opened) -> None:
    assert site.page.get_by_label("t-SNE").is_checked()
    assert site.page.locator(".trust:visible").inner_text().startswith("t-SNE")


def test_nearly_all_points_lie_inside_of_the_frame(wide: Opened) -> None:
    for number in range(3):
        wide.page.locator(f"input[name=projection][value='{number}']").check()
        left, right, bottom, top = wide.map("ranges()")
        for name in ("train", "target", "validation", "no-op"):
            places = list(zip(*wide.map(f"places('{name}')"), strict=True))
            inside = sum(left < x < right and bottom < y < top for x, y in places)
            assert inside >= 0.97 * len(places)


def test_points_outside_of_the_frame_are_counted(chromium: Any, tmp_path: Path) -> None:
    report = make_report()
    points = make_map(report.classes, train=60, target=60, validation=60, samples=20)
    for projection in points.projections:
        projection.xy[(points.cloud == "no-op").nonzero()[0][:3]] = 1e4
    path = write_ranking_page(AugmentationRanking(report, points, Pictures()), tmp_path / "augmentations.html")
    for site in opened(chromium, path, 1280):
        assert not site.page.locator("#outside").is_visible()
        site.page.locator("input[name=cloud][value=cloud-5]").check()
        assert site.page.locator("#outside").inner_text().startswith("3 of the points that are on lie outside")
        site.page.locator("input[name=cloud][value=cloud-5]").uncheck()
        assert not site.page.locator("#outside").is_visible()


def test_target_points_that_are_not_covered_change_their_shape(wide: Opened, cover: AugmentationRanking) -> None:
    points = cover.map
    assert points is not None
    assert set(wide.map("shapes('target')")) == {"triangle"}
    for value, covered in (("clean", points.covered_by_clean), ("best", points.covered_by_best)):
        wide.page.locator(f"input[name=target][value={value}]").check()
        expected = ["x" if one == 0 else "triangle" for one in covered[points.cloud == "target"]]
        assert wide.map("shapes('target')") == expected
        assert wide.page.locator("#target-outside").inner_text() == str(expected.count("x"))
    wide.page.locator("input[name=target][value=plain]").check()
    assert set(wide.map("shapes('target')")) == {"triangle"}


def test_wrong_validation_images_change_their_shape(wide: Opened, cover: AugmentationRanking) -> None:
    points = cover.map
    assert points is not None
    wide.page.get_by_label("right against wrong").check()
    inside = points.cloud == "validation"
    wrong = points.predicted[inside] != points.label[inside]
    assert wide.map("shapes('validation')") == ["square_x" if one else "square" for one in wrong]
    said = wide.page.locator("#validation-key").inner_text().replace("\u202f", " ")
    assert "93.7 % are right" in said
    assert "of the others, 69.7 %" in said


def test_pointing_at_a_point_shows_its_image_and_class(site: Opened, cover: AugmentationRanking) -> None:
    points = cover.map
    assert points is not None
    x, y = (column[7] for column in site.map("places('target')"))
    left, right, bottom, top = site.map("ranges()")
    site.page.locator("#map-figure").scroll_into_view_if_needed()
    box = site.page.locator("#map-figure").bounding_box()
    side = box["width"] - 2
    site.page.mouse.move(
        box["x"] + 1 + side * (x - left) / (right - left), box["y"] + 1 + side * (top - y) / (top - bottom)
    )
    site.page.wait_for_function("window.eyeshotMap.chosen() !== null")
    name, place = site.map("chosen()")
    number = (points.cloud == name).nonzero()[0][place]
    assert points.ids[number] in site.page.locator("#point-text").inner_text()
    site.page.wait_for_function("document.getElementById('point-picture').dataset.sprite !== undefined")
    shown = site.page.evaluate(
        "[...document.getElementById('point-picture').getContext('2d').getImageData(96, 96, 1, 1).data]"
    )
    assert max(abs(shown[band] - int(points.thumbnails[number, 16, 16, band])) for band in range(3)) < 60


def test_the_keyboard_walks_from_point_to_point(site: Opened, cover: AugmentationRanking) -> None:
    assert cover.map is not None
    site.page.get_by_label("step through").select_option(label="no-op")
    site.page.get_by_label("Next point").focus()
    site.page.keyboard.press("Enter")
    assert site.map("chosen()") == ["no-op", 0]
    text = site.page.locator("#point-text").inner_text()
    assert "augmented by no-op" in text
    first = cover.map.label[cover.map.cloud == "no-op"][0]
    assert cover.report.classes[first] in text
    assert site.page.locator("#point-source").is_visible()
    site.page.wait_for_function("document.getElementById('point-source').dataset.sprite === '0'")
    site.page.get_by_label("Previous point").press("Enter")
    assert site.map("chosen()")[1] == (cover.map.cloud == "no-op").sum() - 1


def test_zooming_and_dragging_can_be_undone(wide: Opened) -> None:
    before = wide.map("ranges()")
    wide.page.get_by_label("Zoom in").click()
    closer = wide.map("ranges()")
    assert closer[1] - closer[0] == pytest.approx((before[1] - before[0]) / 1.5)
    wide.page.locator("#map-figure").scroll_into_view_if_needed()
    box = wide.page.locator("#map-figure").bounding_box()
    wide.page.mouse.move(box["x"] + 300, box["y"] + 300)
    wide.page.mouse.down()
    wide.page.mouse.move(box["x"] + 400, box["y"] + 350, steps=4)
    wide.page.mouse.up()
    assert wide.map("ranges()") != closer
    wide.page.get_by_role("button", name="Reset view").click()
    assert wide.map("ranges()") == before


def test_the_wheel_alone_scrolls_the_page_not_the_map(wide: Opened) -> None:
    before = wide.map("ranges()")
    wide.page.locator("#map-figure").scroll_into_view_if_needed()
    box = wide.page.locator("#map-figure").bounding_box()
    wide.page.mouse.move(box["x"] + 300, box["y"] + 300)
    was = wide.page.evaluate("window.scrollY")
    wide.page.mouse.wheel(0, 200)
    wide.page.wait_for_function(f"window.scrollY !== {was}")
    assert wide.map("ranges()") == before


def test_light_and_dark_follow_the_system_and_the_button(chromium: Any, page_path: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    for site in opened(chromium, page_path, 1280, color_scheme="dark"):
        dark = site.page.evaluate(paper)
        site.page.get_by_role("button", name="Switch between light and dark").focus()
        site.page.keyboard.press("Enter")
        light = site.page.evaluate(paper)
        assert dark != light
        assert sum(map(int, light[4:-1].split(","))) > 600 > sum(map(int, dark[4:-1].split(",")))
        site.page.reload()
        site.page.wait_for_function("window.eyeshotMap && window.eyeshotMap.ready")
        assert site.page.evaluate(paper) == light


def test_the_lines_to_paste_are_copied(chromium: Any, page_path: Path, cover: AugmentationRanking) -> None:
    for site in opened(chromium, page_path, 1280, permissions=["clipboard-read", "clipboard-write"]):
        site.page.locator("button[data-copy=recipe]").click()
        site.page.wait_for_function("document.querySelector('button[data-copy=recipe]').textContent === 'Copied'")
        assert site.page.evaluate("navigator.clipboard.readText()") == "\n".join(cover.report.recipe)


def test_focus_is_seen(wide: Opened) -> None:
    wide.page.keyboard.press("Tab")
    assert wide.page.evaluate("document.activeElement.className") == "skip"
    wide.page.keyboard.press("Tab")
    width = wide.page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
    assert width >= 2


def test_hostile_and_long_names_break_neither_page_nor_layout(chromium: Any, tmp_path: Path) -> None:
    classes = [
        "<img src=x onerror=alert(1)>",
        "고양이 🐈 " * 30,
        "x" * 400,
        "two\nlines",
        "</script><script>alert(2)</script>",
    ]
    classes += [f"class-{n}" for n in range(95)]
    report = make_report(classes)
    report.candidates[0].name = report.advice = "generated:" + "y" * 300
    report.recipe[0] = "z" * 500
    report.headline = report.next_step = report.answer[0] = "w" * 300
    points = make_map(classes, train=60, target=60, validation=60, samples=10)
    points.candidates[0] = report.advice
    points = type(points)(**{**points.__dict__, "cloud": points.cloud.astype("U400"), "ids": points.ids.astype("U900")})
    points.cloud[points.cloud == "pencil-sketch"] = report.advice
    path = write_ranking_page(
        AugmentationRanking(report, points, make_pictures(report)), tmp_path / "augmentations.html"
    )
    for width in WIDTHS:
        for site in opened(chromium, path, width):
            assert site.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            for _ in range(5):
                site.page.get_by_label("Next point").click()
            assert site.page.locator("#point-text script").count() == 0
            assert site.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_without_images_the_map_still_works(chromium: Any, cover: AugmentationRanking, tmp_path: Path) -> None:
    path = write_ranking_page(cover, tmp_path / "augmentations.html", images=False)
    for site in opened(chromium, path, 400):
        site.page.get_by_label("Next point").click()
        assert "target image" in site.page.locator("#point-text").inner_text()
        assert not site.page.locator("#point-picture").is_visible()


@pytest.mark.browser
def test_axe_finds_nothing(chromium: Any, page_path: Path) -> None:
    assert violations_of_file(chromium, page_path) == []
