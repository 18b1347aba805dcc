"""Planted copies among the team's real photographs and drawings; the benchmark does the same with more."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from bad_input import as_jpeg, cropped, tilted
from PIL import Image, ImageEnhance

from eyeshot.auditing import audit

pytestmark = [pytest.mark.shared, pytest.mark.slow]
COUNT = 20
OTHERS = 100
CHANGES = {
    "q30": lambda image: as_jpeg(image, 30),
    "half": lambda image: as_jpeg(image.resize((image.width // 2, image.height // 2)), 95),
    "grey": lambda image: as_jpeg(image.convert("L"), 95),
    "contrast": lambda image: as_jpeg(ImageEnhance.Contrast(image).enhance(0.7), 95),
    "saturation": lambda image: as_jpeg(ImageEnhance.Color(image).enhance(1.6), 95),
    "brightness": lambda image: as_jpeg(ImageEnhance.Brightness(image).enhance(1.3), 95),
    "turned": lambda image: as_jpeg(image.transpose(Image.Transpose.TRANSVERSE), 90),
    "crop": lambda image: as_jpeg(cropped(image, 0.12), 90),
    "tilt": lambda image: as_jpeg(tilted(image, 4), 90),
}


MOVED = ("turned", "crop", "tilt")


@pytest.mark.parametrize("domain", ["photo", "sketch"])
def test_every_planted_copy_is_found_and_no_other_picture_is_called_a_duplicate(
    shared: Path, tmp_path: Path, domain: str
) -> None:
    files = sorted((shared / "data" / "pacs" / domain).rglob("*.*"))
    random = np.random.default_rng(1)
    rows = random.choice(len(files), COUNT * len(CHANGES) + OTHERS, replace=False)
    planted = {}
    for place, row in enumerate(rows):
        folder = tmp_path / "set" / files[row].parent.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{place}{files[row].suffix}").write_bytes(files[row].read_bytes())
        if place < COUNT * len(CHANGES):
            name = list(CHANGES)[place % len(CHANGES)]
            image = Image.open(io.BytesIO(files[row].read_bytes())).convert("RGB")
            (folder / f"{place}-{name}.jpg").write_bytes(CHANGES[name](image))
            pair = frozenset((f"{folder.name}/{place}{files[row].suffix}", f"{folder.name}/{place}-{name}.jpg"))
            planted[pair] = name
    report = audit(tmp_path / "set", cache=tmp_path / "cache").report
    found = {frozenset(ref.id for ref in group.images) for group in report.groups}
    assert found <= planted.keys()
    missed = planted.keys() - found
    # Two guitars of a few lines agree once they are moved, so moved copies of them are named as very similar only.
    very_similar = {
        frozenset(ref.id for ref in finding.images) for finding in report.findings if finding.kind == "very-similar"
    }
    assert missed <= very_similar
    assert {planted[pair] for pair in missed} <= (set(MOVED) if domain == "sketch" else set())
    assert len(missed) <= 0.02 * len(planted)
