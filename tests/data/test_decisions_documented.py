"""docs/decisions.md names every key of the two files."""

from __future__ import annotations

import re
from pathlib import Path

from eyeshot.data import KINDS, Decision
from eyeshot.data.split import Leakage, LikeTest, Split

PAGE = Path(__file__).resolve().parents[2] / "docs" / "decisions.md"


def test_every_key_and_kind_is_documented() -> None:
    words = set(re.findall(r"`([a-z_-]+)`", PAGE.read_text("utf-8")))
    fields = {name for record in (Decision, Split, Leakage, LikeTest) for name in record.model_fields}
    assert fields | set(KINDS) <= words
