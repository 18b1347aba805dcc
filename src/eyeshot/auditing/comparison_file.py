"""What the cleaning did, as it was measured last: the file that `eyeshot decisions compare` leaves for the report."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter

from eyeshot.auditing.split_quality import Comparison
from eyeshot.core import InputError, find_workspace, make_folder, replacing
from eyeshot.data import COMPARISON_FILE

VERSION = 1


def store_comparison(comparison: Comparison, *, command: str) -> Path:
    """Keep a comparison in the project, with the time in UTC and what was typed; the one before is replaced.

    Raises:
        StorageError: the file cannot be written.
    """
    file = find_workspace().root / COMPARISON_FILE
    make_folder(file.parent)
    stored = {
        "version": VERSION, "created": datetime.now(UTC).isoformat(), "command": command,
        "comparison": asdict(comparison),
    }  # fmt: skip
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    return file


def read_comparison(file: Path) -> tuple[datetime, Comparison]:
    """When it was measured, and what.

    Raises:
        OSError: the file cannot be read.
        InputError: it is damaged or of another version.
    """
    try:
        stored = json.loads(file.read_bytes())
        if stored["version"] != VERSION:
            raise ValueError(f"version {stored['version']}")
        created = TypeAdapter(AwareDatetime).validate_python(stored["created"])
        return created, TypeAdapter(Comparison).validate_python(stored["comparison"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(file)!r} cannot be read: {error}. Make it anew: eyeshot decisions compare") from error
