from __future__ import annotations

from pathlib import Path

import pytest

from decisions_made import key
from eyeshot.auditing import AuditReport, CopyGroup, ImageRef, read_groups
from eyeshot.core.errors import InputError


def reference(split: str, picture: int) -> ImageRef:
    return ImageRef(split=split, id=f"{picture}.png", label="ant", content=key(picture))


def test_near_copies_of_an_audit_are_read_those_of_training_alone(tmp_path: Path) -> None:
    members = [
        [reference("train", 1), reference("train", 2), reference("test", 3)],
        [reference("train", 4), reference("test", 5)],
    ]
    groups = [
        CopyGroup(images=images, medoid=0, diameter=0.2, identical=False, labels=["ant"], findings=[])
        for images in members
    ]
    report = AuditReport(train="a", test="b", n_train=4, n_test=2, n_files=6, groups=groups)
    (tmp_path / "audit.json").write_text(report.model_dump_json(), "utf-8")
    assert read_groups(tmp_path / "audit.json") == [(key(1), key(2))]


@pytest.mark.parametrize("text", ["", "{}", "[1]", "{"])
def test_another_file_is_no_audit(tmp_path: Path, text: str) -> None:
    (tmp_path / "audit.json").write_text(text, "utf-8")
    with pytest.raises(InputError, match="no result of `eyeshot audit`"):
        read_groups(tmp_path / "audit.json")
    with pytest.raises(InputError, match="Cannot read"):
        read_groups(tmp_path / "none.json")
