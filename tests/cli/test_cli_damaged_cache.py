"""A file of the cache that a power cut or a full disk damaged is made again, whichever it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import MODEL, Digits, Eyeshot

COVER = (
    "--candidates",
    "invert",
    "--max-images",
    "40",
    "--samples-per-image",
    "1",
    "--no-images",
    "--budget",
    "0",
    "--json",
)
VARY = {"seconds", "cpu_seconds", "read", "command", "created", "cache_bytes"}
DAMAGES = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "garbage": lambda content: np.random.default_rng(0).bytes(max(40, len(content))),
    "zeros": lambda content: bytes(len(content)),
}


def lasting(value: Any) -> Any:
    """What must repeat."""
    if isinstance(value, dict):
        return {key: lasting(inner) for key, inner in value.items() if key not in VARY and not key.endswith("_s")}
    return [lasting(inner) for inner in value] if isinstance(value, list) else value


def run_both(eyeshot: Eyeshot, digits: Digits) -> list[Any]:
    audited = eyeshot("audit", digits.train, "--test", digits.test, "--no-images")
    covered = eyeshot("rank", "augmentations", digits.train, "--test", digits.test, *MODEL, *COVER, "--json")
    assert (audited.code, covered.code) == (0, 0), audited.out + covered.out
    files = [Path("eyeshot-out/audit/audit.json"), Path("eyeshot-out/augmentations/augmentations.json")]
    return [lasting(json.loads(file.read_text("utf-8"))) for file in files]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("damage", DAMAGES)
def test_every_file_of_a_cache_may_be_damaged(eyeshot: Eyeshot, digits: Digits, damage: str) -> None:
    expected = run_both(eyeshot, digits)
    files = [path for path in Path("eyeshot-out/cache").rglob("*") if path.is_file() and path.name != "lock"]
    kinds = {path.relative_to("eyeshot-out/cache").parts[0] for path in files}
    assert kinds >= {"audit", "baselines", "features", "headers", "pixels"}
    for file in files:
        content = file.read_bytes()
        file.write_bytes(DAMAGES[damage](content))
        assert run_both(eyeshot, digits) == expected, file
    for file in files:
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert run_both(eyeshot, digits) == expected
    assert run_both(eyeshot, digits) == expected
