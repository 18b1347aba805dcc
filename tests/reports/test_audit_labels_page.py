from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outline import Outline
from PIL import Image
from torch import nn

from eyeshot.auditing import Audit, audit
from eyeshot.data import Geometry
from eyeshot.models import Backbone
from eyeshot.reports import write_audit_page
from eyeshot.reports.audit_labels import MOST_CARDS, MOST_OF_CLASS, a_few_of_each

COLOURS = {"<b>red</b>": (200, 50, 40), "two\nlines": (50, 190, 60), "{{ 7 * 7 }}": (40, 60, 200)}
NAMES = list(COLOURS)


def picture(colour: tuple[int, int, int], seed: int) -> Image.Image:
    blobs = np.array(colour) + np.random.default_rng(seed).integers(-40, 41, (5, 5, 3))
    return Image.fromarray(blobs.clip(0, 255).astype(np.uint8)).resize((48, 48), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Three classes with hostile names: 1 and 2 taken for each other, 0 under 1 once, and five odd pictures in 0."""
    folder = tmp_path_factory.mktemp("labels")
    wrong = {(0, 0): 1, **{(1, n): 2 for n in range(4)}, **{(2, n): 1 for n in range(5)}}
    for place, name in enumerate(NAMES):
        for number in range(40):
            label = NAMES[wrong.get((place, number), place)].replace("/", "⁄")
            path = folder / "train" / label / f'{place}-{number}"><svg onload=alert(3)>.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(COLOURS[name], 100 * place + number).save(path)
    for number in range(5):
        odd = picture((200 - 8 * number, 180, 40), 900 + number)
        odd.save(folder / "train" / NAMES[0].replace("/", "⁄") / f"odd-{number}.png")
    (folder / "test").mkdir()
    for number in range(30):
        picture((230, 230, 230), 500 + number).save(folder / "test" / f"{number}.png")
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    backbone = Backbone(
        name="mean-colour", module=module, geometry=Geometry(16), mean=(0.0,) * 3, std=(1.0,) * 3, feature_count=12,
        pretrained=True, fingerprint="1" * 32, reason="",
    )  # fmt: skip
    return audit(folder / "train", folder / "test", backbone=backbone, cache=folder / "cache", command="eyeshot audit")


@pytest.fixture(scope="module")
def path(result: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_audit_page(result, tmp_path_factory.mktemp("page") / "audit.html")


def words_of(path: Path) -> str:
    return " ".join(" ".join(Outline(path.read_text("utf-8")).words).split())


def test_the_page_is_well_formed_and_names_are_text_only(path: Path) -> None:
    text = path.read_text("utf-8")
    outline = Outline(text)
    assert outline.faults == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert "<svg onload" not in text
    assert "<b>red" not in text
    assert "{{ 7 * 7 }}" in text
    assert all(tag.get("alt") for name, tag in outline.tags if name == "img")


def test_classes_taken_for_each_other_are_shown_once_and_the_rest_as_a_queue(path: Path, result: Audit) -> None:
    words = words_of(path)
    summary = result.report.label_issues
    assert summary is not None
    assert [one.confusable for one in summary.pairs] == [True, False]
    assert "Classes that are confused with each other" in words
    assert "4 labelled" in words or "5 labelled" in words
    # One card for the image of class 0, none for the nine of the pair.
    assert path.read_text("utf-8").count(">the image</p>") == 1 <= MOST_CARDS
    assert "precision not measured on these images" in words


def test_nearest_images_of_both_classes_stand_beside_the_image(path: Path) -> None:
    assert path.read_text("utf-8").count(">nearest of ") == 2
    assert "nearest of two␊lines" in words_of(path)


def test_outliers_are_capped_by_class_and_counted_in_full(path: Path, result: Audit) -> None:
    found = [one for one in result.report.findings if one.kind == "outlier"]
    shown = a_few_of_each(found)
    assert len(found) > len(shown)
    labels = [one.images[0].label for one in shown]
    assert max(labels.count(label) for label in labels) == MOST_OF_CLASS
    words = words_of(path)
    assert f"{len(found)} images are unusually far" in words
    assert f"At most {MOST_OF_CLASS} of a class are shown" in words


def test_train_against_test_by_features_has_both_ends(path: Path, result: Audit) -> None:
    assert result.report.adversarial_features is not None
    words = words_of(path)
    assert "training images least like test" in words
    assert "test images least like training" in words


def test_without_a_model_the_page_says_what_is_needed(result: Audit, tmp_path: Path) -> None:
    findings = [one for one in result.report.findings if one.kind not in ("label-issue", "outlier")]
    counts = {kind: count for kind, count in result.report.counts.items() if kind not in ("label-issue", "outlier")}
    gone = {"label_issues": None, "adversarial_features": None, "findings": findings, "counts": counts}
    plain = Audit(result.report.model_copy(update=gone), result.images)
    words = words_of(write_audit_page(plain, tmp_path / "a.html"))
    assert "Label issues were not looked for" in words


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_label_issues_fit_the_window(chromium: Any, path: Path, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
    page.goto(path.as_uri())
    wide = page.evaluate("document.documentElement.scrollWidth")
    pictures = page.locator("#label-issues img").count()
    context.close()
    assert complaints == []
    assert wide <= width
    assert pictures > 10
