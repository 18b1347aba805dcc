"""A file of the cache that a power cut or a full disk damaged is made again, whichever it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import MODEL, Digits, Eyeshot
from PIL import Image

from eyeshot.data.digits import large_digits

COVER = (
    "--candidates",
    "invert",
    "--max-images",
    "20",
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


def nearly(value: Any) -> Any:
    """The same, where trustworthiness is free in its fourth digit: it counts ranks of neighbours, and features that are
    made again go through the network in other batches, so that on some processors a tie is decided by their last bit.
    """
    if isinstance(value, dict):
        return {
            key: pytest.approx(inner, abs=5e-4) if key == "trustworthiness" else nearly(inner)
            for key, inner in value.items()
        }
    return [nearly(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digits:
    """Three digits, as few as can be ranked; pages and pictures, which the cache has no part in, are left out."""
    images, labels = large_digits()
    rows = np.flatnonzero(np.isin(labels, (0, 1, 7)))
    for place, row in enumerate(rows[:85]):
        path = tmp_path / ("train" if place < 60 else "test") / str(labels[row]) / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row] if place < 60 else 255 - images[row]).save(path)
    for page in ("eyeshot.write_ranking_page", "eyeshot.reports.write_ranking_picture"):
        monkeypatch.setattr(page, lambda *_, **__: None)
    return Digits(tmp_path / "train", tmp_path / "test")


def run_both(eyeshot: Eyeshot, few: Digits) -> list[Any]:
    audited = eyeshot("audit", few.train, "--quick", "--no-images")
    covered = eyeshot("rank", "augmentations", few.train, "--test", few.test, *MODEL, *COVER)
    assert (audited.code, covered.code) == (0, 0), audited.out + covered.out
    files = [Path("eyeshot-out/audit/audit.json"), Path("eyeshot-out/augmentations/augmentations.json")]
    return [lasting(json.loads(file.read_text("utf-8"))) for file in files]


def stores(cache: Path) -> list[list[Path]]:
    """The files of each store in the cache; what one holds is read whatever the others hold."""
    files = [path for path in sorted(cache.rglob("*")) if path.is_file() and path.name != "lock"]
    assert {path.relative_to(cache).parts[0] for path in files} >= {
        "audit", "baselines", "features", "headers", "pixels",
    }  # fmt: skip
    return [[path for path in files if path.parent == folder] for folder in sorted({path.parent for path in files})]


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute on an idle machine
@pytest.mark.usefixtures("quick")
def test_every_file_of_a_cache_may_be_damaged(eyeshot: Eyeshot, few: Digits) -> None:
    expected = nearly(run_both(eyeshot, few))
    of_each = stores(Path("eyeshot-out/cache"))
    everything = [file for files in of_each for file in files]
    # One file of each store at a time, then all of them.
    rounds = [[files[turn] for files in of_each if turn < len(files)] for turn in range(max(map(len, of_each)))]
    for damage, damaged in DAMAGES.items():
        for files in (*rounds, everything):
            for file in files:
                file.write_bytes(damaged(file.read_bytes()))
            assert run_both(eyeshot, few) == expected, (damage, files)
    assert run_both(eyeshot, few) == expected  # from what was made again
