"""No command writes over a file of the user."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Digits, Eyeshot
from PIL import Image


@pytest.mark.parametrize(
    "command", ["preview picture.png grey --out picture.png", "manifest export {train} --csv labels.csv"]
)
def test_a_file_of_the_user_is_left_as_it_is(eyeshot: Eyeshot, digits: Digits, command: str) -> None:
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save("picture.png")
    Path("labels.csv").write_text("image,label\n1.png,cat\n", encoding="utf-8")
    before = {name: Path(name).read_bytes() for name in ("picture.png", "labels.csv")}
    done = eyeshot(*command.format(train=digits.train).split())
    assert done.code == 2
    assert "so it is left as it is" in done.err
    assert {name: Path(name).read_bytes() for name in before} == before


def test_the_same_command_writes_its_own_file_again(eyeshot: Eyeshot, digits: Digits) -> None:
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save("picture.png")
    for _ in range(2):
        assert eyeshot("preview", "picture.png", "grey", "--out", "grid.png").code == 0
        assert eyeshot("manifest", "export", digits.train, "--csv", "clean.csv").code == 0


def test_decisions_are_not_exported_onto_themselves_nor_garbage_merged(eyeshot: Eyeshot, digits: Digits) -> None:
    image = next(digits.train.glob("*/*.png"))
    assert eyeshot("init", digits.train).code == 0
    assert eyeshot("decisions", "add", "drop", image).code == 0
    before = Path("decisions.jsonl").read_bytes()
    assert eyeshot("decisions", "export", "decisions.jsonl").code == 2
    assert eyeshot("manifest", "export", "--csv", "decisions.jsonl").code == 2
    Path("garbage.jsonl").write_bytes(bytes(range(256)) * 9)
    done = eyeshot("decisions", "merge", "garbage.jsonl")
    assert (done.code, "holds no decision that can be used" in done.err) == (2, True)
    assert Path("decisions.jsonl").read_bytes() == before
    for _ in range(2):
        assert eyeshot("decisions", "export", "all.jsonl").code == 0
