"""A damaged file of short runs: all of them are done again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from eyeshot.rankings.augmentations.reading import Reading
from eyeshot.rankings.augmentations.short_run_store import ShortRunStore

READING = Reading(np.zeros(3), np.ones(3, bool), np.empty(0, bool), 0.5, np.zeros(2), 0.9, 0.8)


def filled(folder: Path) -> ShortRunStore:
    store = ShortRunStore(folder)
    store.decide("plan", {"starts": 1})
    store.keep_reading("invert", 0, 0, READING)
    store.keep_state("invert", 0, 0, {"weight": torch.ones(40)})
    store.add_seconds(2.5)
    return store


def test_what_is_whole_is_kept(tmp_path: Path) -> None:
    filled(tmp_path)
    again = ShortRunStore(tmp_path)
    assert again.decision("plan") == {"starts": 1}
    assert again.reading("invert", 0, 0) is not None
    kept = again.state("invert", 0)
    assert kept is not None
    assert kept[1] == 0
    assert again.seconds() == 2.5


@pytest.mark.parametrize("kind", ["decisions.json", "*.npz", "*.safetensors", "seconds.txt"])
@pytest.mark.parametrize("damage", [b"", b"\xff" * 100 + b"\n", bytes(500) + b"\n", "half"])
def test_where_a_file_is_damaged_all_is_done_again(tmp_path: Path, kind: str, damage: bytes | str) -> None:
    filled(tmp_path)
    (file,) = tmp_path.glob(kind)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if isinstance(damage, str) else damage)
    again = ShortRunStore(tmp_path)
    if kind == "seconds.txt" and damage in (b"", "half"):  # as a kill leaves it: no whole line
        assert again.seconds() == 0
        return
    assert again.decision("plan") is None
    assert again.reading("invert", 0, 0) is None
    assert again.state("invert", 0) is None
    assert again.seconds() == 0
