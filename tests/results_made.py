"""Results of commands as they lie in a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def make_result(root: Path, name: str, report: dict[str, Any], *, part: str = "", page: str | None = None) -> None:
    """The report of a command, and its page."""
    folder = root / name / part
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(report), encoding="utf-8")
    if page is not None:
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
