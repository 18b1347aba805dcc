from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outline import Outline
from PIL import Image, ImageOps

from accessibility import violations_of_file
from contrast import contrast
from eyeshot.auditing import Audit, audit
from eyeshot.reports import write_audit_page
from eyeshot.reports.audit_page import MOST_LISTED, MOST_SIMILAR

HOSTILE = ("<script>alert(1)</script>", "two\nlines", "{{ 7 * 7 }}", '"><svg onload=alert(3)>', "고양이 🐈")


def picture(seed: int) -> Image.Image:
    blobs = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize((90, 70), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Two classes with hostile names, a conflict, a leak, a near copy, a broken file, and a darker test set."""
    folder = tmp_path_factory.mktemp("audit")
    classes = [HOSTILE[1], HOSTILE[2]]
    for number in range(50):
        name = HOSTILE[number % len(HOSTILE)].replace("/", "") + f"{number}.png"
        path = folder / "train" / classes[number % 2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    first = sorted((folder / "train" / classes[0]).iterdir())[0]
    shutil.copy(first, folder / "train" / classes[1] / "copy.png")
    ImageOps.mirror(picture(1)).save(folder / "train" / classes[1] / "mirrored.png")
    for number in range(2):  # an icon at two places
        icon = Image.new("RGB", (90, 70), "white")
        icon.paste("black", (20 + 4 * number, 15, 50 + 4 * number, 45))
        icon.save(folder / "train" / classes[0] / f"icon{number}.png")
    (folder / "train" / classes[0] / "empty.jpg").write_bytes(b"")
    for number in range(300):
        (folder / "train" / classes[0] / f"torn{number}.jpg").write_bytes(b"no picture")
    (folder / "test").mkdir()
    for number in range(30):
        Image.fromarray(np.asarray(picture(100 + number)) // 2).save(folder / "test" / f"{number}.png")
    picture(7).rotate(90, expand=True).save(folder / "test" / "leak.png")
    return audit(folder / "train", folder / "test", cache=folder / "cache", command="eyeshot audit <train>")


@pytest.fixture(scope="module")
def path(result: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_audit_page(result, tmp_path_factory.mktemp("page") / "audit.html")


def test_the_page_is_well_formed_and_names_nothing_outside_of_itself(path: Path) -> None:
    text = path.read_text("utf-8")
    outline = Outline(text)
    assert outline.faults == []
    assert len(set(outline.ids)) == len(outline.ids)
    sources = [tag[key] for _, tag in outline.tags for key in ("src", "href", "srcset", "action") if key in tag]
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert all(link[1:] in outline.ids for link in sources if link.startswith("#"))
    assert not re.search(r"url\((?!data:)", text.partition("</style>")[0])
    assert all(tag.get("alt") for name, tag in outline.tags if name == "img")


def test_names_of_files_and_classes_are_text_only(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "<script>alert" not in text
    assert "<svg onload" not in text
    assert "{{ 7 * 7 }}" in text


def test_the_page_says_what_the_report_says(path: Path, result: Audit) -> None:
    words = " ".join(" ".join(Outline(path.read_text("utf-8")).words).split())
    report = result.report
    assert report.counts.keys() >= {"conflict", "leak", "near-copy", "unreadable"}
    for said in report.answer:
        assert " ".join(said.replace("\n", "␊").split()) in words
    assert "mirrored" in words
    assert "empty file (0 bytes)" in words
    assert report.distributions[0].name in words


def test_many_files_with_one_fault_are_one_line_and_a_folded_list(path: Path) -> None:
    text = path.read_text("utf-8")
    heading = text.index('Broken files <span class="soft number">301</span>')
    section = text[heading : text.index("<h3>", heading + 1)]
    folded = section.index("<details>")
    assert "300 not an image" in section[:folded]
    assert "torn0.jpg" not in section[:folded]
    assert section.count("<li>") == MOST_LISTED
    assert "All 301 are in" in section


def test_duplicates_are_counted_in_training_in_test_and_across(path: Path, result: Audit) -> None:
    counts = result.report.duplicates
    assert counts.train.train_images >= 4
    words = " ".join(" ".join(Outline(path.read_text("utf-8")).words).split())
    across = counts.across.train_images + counts.across.test_images
    assert f"duplicates in training {counts.train.train_images} images in {counts.train.groups} groups" in words
    assert "duplicates in test 0 images" in words
    assert f"across training and test {across} images in {counts.across.groups} group" in words


def test_very_similar_pictures_have_a_folded_section_of_their_own(path: Path, result: Audit) -> None:
    assert result.report.counts["very-similar"] >= 1
    text = path.read_text("utf-8")
    section = text.partition('<section id="similar"')[2].partition("</section>")[0]
    assert "another photograph of the same thing or scene; no advice to drop" in section
    assert "<details><summary>" in section
    assert 1 <= section.count('<article class="copy-card">') <= MOST_SIMILAR
    assert "icon0.png" in section
    assert "very similar" not in text.partition('<section id="odd"')[2].partition("</section>")[0]


def test_properties_have_units(path: Path) -> None:
    words = " ".join(" ".join(Outline(path.read_text("utf-8")).words).split())
    for property_ in ("brightness , 0 to 255", "file size , kB", "image area , megapixels"):
        assert property_ in words


def test_without_images_no_picture_is_on_the_page(result: Audit, tmp_path: Path) -> None:
    text = write_audit_page(result, tmp_path / "a.html", images=False).read_text("utf-8")
    assert "data:image" not in text


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_the_window_and_complains_of_nothing(chromium: Any, path: Path, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    tables = page.evaluate(
        "[...document.querySelectorAll('table')].map((one) => one.scrollWidth - one.parentElement.clientWidth)"
    )
    rows = page.evaluate("[...document.querySelectorAll('tbody tr')].map((one) => getComputedStyle(one).display)")
    letters = page.evaluate(
        "[...document.querySelectorAll('th, td, figcaption, figcaption span, .axis, button')]"
        ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
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
    assert set(rows) == {"block" if width == 400 else "table-row"}
    assert min(letters) >= 12.5
    assert narrow == 0


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_paper(chromium: Any, path: Path, scheme: str) -> None:
    """WCAG 2.2, contrast of at least 4.5 to 1, against the background of the page."""
    context = chromium.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(path.as_uri())
    colours = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((one) => one.checkVisibility() && one.innerText)"
        ".map((one) => getComputedStyle(one).color)"
    )
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    assert min(contrast(colour, paper) for colour in set(colours)) >= 4.5


@pytest.mark.browser
def test_axe_finds_nothing(chromium: Any, path: Path) -> None:
    assert violations_of_file(chromium, path) == []
