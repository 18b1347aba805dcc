from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outline import Outline
from PIL import Image, ImageOps

from eyeshot.auditing import Audit, audit
from eyeshot.reports import write_audit_page

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
    (folder / "train" / classes[0] / "empty.jpg").write_bytes(b"")
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
    context.close()
    assert complaints == []
    assert wide <= width
