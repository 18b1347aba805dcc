"""The page of `eyeshot errors` with 500 classes of hostile names, pictures and maps."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outline import Outline
from PIL import Image

import eyeshot
from accessibility import violations_of_file
from contrast import contrast
from eyeshot.auditing import ErrorAnalysis, slice_name
from eyeshot.auditing.error_report import SliceErrors, ToDo
from eyeshot.predictions import Accuracy, Predictions
from eyeshot.reports import write_errors_page
from eyeshot.reports.errors_page import MOST_CLASSES, MOST_PAIRS, overlaid

HOSTILE = ("<script>alert(1)</script>", "two\nlines", "{{ 7 * 7 }}", '"><svg onload=alert(3)>', "고양이 🐈")
CLASSES = (*HOSTILE, *(f"a class with a rather long name, number {number}" for number in range(495)))
PER_CLASS = 4


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> ErrorAnalysis:
    """Two files of 2,000 images and 500 classes; the pictures of what is shown exist, and their maps are made up."""
    folder = tmp_path_factory.mktemp("errors")
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(500), PER_CLASS)
    for name in ("one", "two"):
        chosen = np.where(random.random(2000) < 0.6, labels, (labels + random.integers(1, 3, 2000)) % 500)
        probabilities = np.full((2000, 500), 0.2 / 499)
        probabilities[np.arange(2000), chosen] = 0.8
        ids = tuple(f"{HOSTILE[row % 5].replace('/', '')}{row}.png" for row in range(2000))
        Predictions(ids, probabilities, CLASSES, labels, run=name).save(folder / f"{name}.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = eyeshot.find_errors(["one.npz", "two.npz"], progress=False, command="eyeshot errors <one>")
    files = {}
    for number, panel in enumerate(made.report.panels):
        panel.nearest_label, panel.nearest_predicted = ("near.png",) * 3, ("other.png",) * 3
        files[panel.image.id] = str(folder / f"{number}.jpg")
    for name in (*files.values(), str(folder / "near.png"), str(folder / "other.png")):
        Image.fromarray(random.integers(0, 255, (90, 70, 3), np.uint8)).save(name)
    files |= {"near.png": str(folder / "near.png"), "other.png": str(folder / "other.png")}
    seen = random.integers(0, 255, (48, 48, 3), np.uint8)
    maps = {panel.image.id: (seen, random.random((48, 48), np.float32)) for panel in made.report.panels}
    share = Accuracy.of_counts(30, 60)
    made.report.slices.append(
        SliceErrors(
            property="brightness", side="low", limit=41.2, n=60, errors=30, rate=share, rest=Accuracy.of_counts(5, 90),
            expected=11.0, p=1e-5, chance=1e-4, p_within=0.001, chance_within=0.01, found=True, words="Dark images.",
        )
    )  # fmt: skip
    made.report.to_do.append(
        ToDo(
            id="slice:x", kind="slice", words="Dark <b>images</b>.", action="Try jitter.", commands=["eyeshot x"],
            since=datetime(2026, 1, 1, tzinfo=UTC), state="acted", acted="run 7 was trained with jitter afterwards",
        )
    )  # fmt: skip
    return ErrorAnalysis(made.report, files, maps)


@pytest.fixture(scope="module")
def path(analysis: ErrorAnalysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_errors_page(analysis, tmp_path_factory.mktemp("page") / "errors.html")


def test_the_page_is_well_formed_small_and_names_nothing_outside_of_itself(path: Path) -> None:
    text = path.read_text("utf-8")
    outline = Outline(text)
    assert outline.faults == []
    assert len(set(outline.ids)) == len(outline.ids)
    sources = [tag[key] for _, tag in outline.tags for key in ("src", "href", "srcset", "action") if key in tag]
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert all(link[1:] in outline.ids for link in sources if link.startswith("#"))
    assert all(tag.get("alt") for name, tag in outline.tags if name == "img")
    assert path.stat().st_size < 15_000_000


def test_names_of_files_and_classes_are_text_only(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "<script>alert" not in text
    assert "<svg onload" not in text
    assert "<b>images</b>" not in text


def test_the_worst_of_many_classes_are_shown_and_the_rest_counted(path: Path, analysis: ErrorAnalysis) -> None:
    text = path.read_text("utf-8")
    section = text[text.index('<section id="classes"') : text.index('<section id="pairs"')]
    assert section.count('<th scope="row">') == MOST_CLASSES
    count = sum(bool(row.taken_for) for row in analysis.report.classes)
    assert f"The first {MOST_CLASSES} of {count} classes with errors" in section
    pairs = text[text.index('<section id="pairs"') : text.index('<section id="slices"')]
    assert pairs.count('<th scope="row">') == MOST_PAIRS


def test_the_page_says_what_the_report_says(path: Path, analysis: ErrorAnalysis) -> None:
    report = analysis.report
    words = " ".join(" ".join(Outline(path.read_text("utf-8")).words).split())
    assert report.shared is not None
    assert " ".join(report.answer.replace("\n", "␊").replace(" %", "\u202f%").split()) in words
    for entry in report.to_do:
        assert " ".join(entry.words.replace("\n", "␊").split()) in words
    assert "run 7 was trained with jitter afterwards" in words
    assert f"Both runs are wrong on {report.shared:,} images" in words
    assert " ".join(report.calibration_words.split()) in words


def test_without_images_no_picture_is_on_the_page(analysis: ErrorAnalysis, tmp_path: Path) -> None:
    text = write_errors_page(analysis, tmp_path / "a.html", images=False).read_text("utf-8")
    assert "data:image" not in text
    assert Outline(text).faults == []


def test_a_map_darkens_where_the_network_does_not_look() -> None:
    saliency = np.zeros((48, 48), np.float32)
    saliency[:24] = 1
    picture = overlaid(np.full((48, 48, 3), 200, np.uint8), saliency).astype(int)
    assert picture[:40].mean() > picture[-40:].mean() + 40
    assert abs(picture[-40:] - 100).max() <= 1


def test_pairs_are_headed_by_both_classes(analysis: ErrorAnalysis, path: Path) -> None:
    shown = min(MOST_PAIRS, len(analysis.report.pairs))
    assert path.read_text("utf-8").count('<span class="narrow"> and ') == shown > 0


def test_a_picture_goes_by_its_file_name_with_the_whole_id_as_title(analysis: ErrorAnalysis, tmp_path: Path) -> None:
    panel = analysis.report.panels[0]
    names = ["train/000213.jpg"]
    moved = panel.model_copy(update={"nearest_label": names})
    report = analysis.report.model_copy(update={"panels": [moved, *analysis.report.panels[1:]], "findings": []})
    text = write_errors_page(ErrorAnalysis(report, analysis.paths, analysis.maps), tmp_path / "x.html").read_text(
        "utf-8"
    )
    assert '<span class="name" title="train/000213.jpg">000213.jpg</span>' in text


@pytest.mark.parametrize(
    ("name", "words"), [("file size", "file size at most 9.56 kB"), ("brightness", "brightness at most 9.56")]
)
def test_a_slice_names_the_unit_of_its_limit(name: str, words: str) -> None:
    assert slice_name(name, "low", 9.56) == words


@pytest.mark.browser
@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_the_window_and_complains_of_nothing(
    chromium: Any, analysis: ErrorAnalysis, tmp_path: Path, width: int, pictures: bool
) -> None:
    file = write_errors_page(analysis, tmp_path / "errors.html", images=pictures)
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    wide = page.evaluate("document.documentElement.scrollWidth")
    tables = page.evaluate(
        "[...document.querySelectorAll('table')].map((one) => one.scrollWidth - one.parentElement.clientWidth)"
    )
    letters = page.evaluate(
        "[...document.querySelectorAll('th, td, figcaption, figcaption span, .axis, button, li, p, dt')]"
        ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    drawn = page.evaluate(
        "[...document.querySelectorAll('.reliability text')].map((one) => one.getBoundingClientRect().height)"
    )
    narrow = page.evaluate(
        "[...document.querySelectorAll('tbody th')].filter((one) => one.checkVisibility())"
        ".filter((one) => one.clientWidth < 80).length"
    )
    context.close()
    assert complaints == []
    assert wide <= width
    assert tables
    assert max(tables) <= 1
    assert min(letters) >= 12.5
    assert min(drawn) >= 12.5
    assert narrow == 0


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_paper(chromium: Any, path: Path, scheme: str) -> None:
    """WCAG 2.2, contrast of at least 4.5 to 1, against the background of the page."""
    context = chromium.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(path.as_uri())
    colours = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((one) => one.checkVisibility())"
        ".filter((one) => one.innerText || one.tagName === 'text')"
        ".map((one) => one.tagName === 'text' ? getComputedStyle(one).fill : getComputedStyle(one).color)"
    )
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    assert min(contrast(colour, paper) for colour in set(colours)) >= 4.5


@pytest.mark.browser
def test_axe_finds_nothing(chromium: Any, path: Path) -> None:
    assert violations_of_file(chromium, path) == []
