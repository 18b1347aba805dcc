from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bad_input import BROKEN, FLAT, IDENTICAL, NEAR, write_bad_input
from PIL import Image

from eyeshot.auditing import AuditReport, Finding, audit


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> AuditReport:
    folder = tmp_path_factory.mktemp("bad")
    return audit(write_bad_input(folder / "set"), cache=folder / "cache").report


def found(report: AuditReport, kind: str) -> dict[str, Finding]:
    return {ref.id: one for one in report.findings if one.kind == kind for ref in one.images}


def group_of(report: AuditReport, name: str) -> list[str]:
    return next(
        ([ref.id for ref in group.images] for group in report.groups if name in [r.id for r in group.images]), []
    )


def test_bytes_and_pixels_that_are_equal_are_one_picture(report: AuditReport) -> None:
    (group,) = [group for group in report.groups if "original.jpg" in [ref.id for ref in group.images]]
    assert set(IDENTICAL) <= {ref.id for ref in group.images}


@pytest.mark.parametrize("name", NEAR)
def test_a_changed_copy_is_found_and_its_change_is_named(report: AuditReport, name: str) -> None:
    one = found(report, "near-copy")[name]
    assert set(IDENTICAL) <= {ref.id for ref in one.images}
    named = dict(text.split(": ", 1) for text in one.evidence["transforms"])
    assert one.evidence["reference"] in IDENTICAL
    assert NEAR[name][1] in named[name]
    # What was not done is not named.
    for turned in ("turned by", "mirrored", "flipped"):
        assert (turned in named[name]) == (turned in NEAR[name][1])


def test_nothing_else_is_a_copy(report: AuditReport) -> None:
    members = {ref.id for group in report.groups for ref in group.images}
    assert members <= {*IDENTICAL, *NEAR}


@pytest.mark.parametrize("name", FLAT)
def test_one_colour_is_told_and_no_copy_of_another(report: AuditReport, name: str) -> None:
    assert name in found(report, "one-colour")
    assert group_of(report, name) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_with_its_reason(report: AuditReport, name: str) -> None:
    assert found(report, "unreadable")[name].evidence["reason"] == BROKEN[name]


def test_a_png_named_jpg_is_read_and_named(report: AuditReport) -> None:
    assert found(report, "wrong-extension").keys() == {"png-inside.jpg"}
    assert "png-inside.jpg" not in found(report, "unreadable")


def test_the_exif_turned_one_is_upright(report: AuditReport) -> None:
    assert found(report, "exif-orientation").keys() == {"exif.jpg"}


def test_a_ratio_of_four_is_not_extreme_yet(report: AuditReport) -> None:
    assert found(report, "extreme-ratio") == {}


def test_a_set_of_deep_greys_is_no_set_of_blank_pictures(tmp_path: Path) -> None:
    for bits in (10, 14):
        random = np.random.default_rng(bits)
        for number in range(8):
            small = random.integers(0, 2**bits, (8, 8)).astype(np.float32)
            values = np.asarray(Image.fromarray(small, "F").resize((48, 48), Image.Resampling.BICUBIC))
            # One picture is darker than the others by a factor of 60, and has some hundred grey levels for all that.
            values = values.clip(0, 2**bits - 1) / (60 if bits == 14 and number == 0 else 1)
            path = tmp_path / str(bits) / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.astype(np.uint16)).save(path)
        report = audit(tmp_path / str(bits), cache=tmp_path / "cache", progress=False).report
        kinds = {finding.kind for finding in report.findings}
        assert not kinds & {"almost-blank", "one-colour", "unreadable"}, bits
        assert any(f"white {2**bits - 1:,}" in note for note in report.notes)
