"""What the cleaning did, as it was measured last: the file that `eyeshot decisions compare` leaves for the report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from eyeshot.auditing.split_quality import Comparison
from eyeshot.core import find_workspace, make_folder, replacing
from eyeshot.data import COMPARISON_FILE


class StoredComparison(BaseModel):
    """Contents of the file.

    Attributes:
        created: when it was measured, in UTC.
        command: what was typed.
        comparison: accuracy with and without the decisions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    created: AwareDatetime
    command: str
    comparison: Comparison


def store_comparison(comparison: Comparison, *, command: str) -> Path:
    """Keep a comparison in the project; the one before is replaced.

    Raises:
        StorageError: the file cannot be written.
    """
    file = find_workspace().root / COMPARISON_FILE
    make_folder(file.parent)
    stored = StoredComparison(created=datetime.now(UTC), command=command, comparison=comparison)
    with replacing(file) as temporary:
        temporary.write_text(stored.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return file


def read_comparison(file: Path) -> StoredComparison:
    """Read what `store_comparison` wrote.

    Raises:
        OSError, ValidationError: the file cannot be read, or is of another version.
    """
    return StoredComparison.model_validate_json(file.read_bytes())
