"""docs/own-code.md, word by word, and the user's own code on every command that takes it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import MODEL, Digits, Eyeshot
from PIL import Image

import eyeshot as package

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own-code.md"
SECTION = PAGE.read_text(encoding="utf-8").partition("## Your own augmentations")[2].partition("\n## ")[0]
MODULE, TESTS = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
COMMANDS = [shlex.split(line, comments=True)[1:] for line in SECTION.splitlines() if line.startswith("eyeshot ")]


@pytest.fixture(autouse=True)
def _fresh_modules():
    yield
    for name in [name for name in sys.modules if name.startswith("my_aug")]:
        del sys.modules[name]


@pytest.fixture
def own(eyeshot: Eyeshot, digits: Digits) -> Eyeshot:
    """The command line in a folder with the page's my_aug.py, train/, test/ and image.jpg."""
    Path("my_aug.py").write_text(MODULE, encoding="utf-8")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save("image.jpg")
    shutil.copytree(digits.train, "train")
    shutil.copytree(digits.test, "test")
    return eyeshot


def test_the_page_lists_and_previews_its_own(own: Eyeshot):
    listing, preview = COMMANDS[:2]
    assert (listing[:2], preview[0]) == (["list", "augmentations"], "preview")
    listed = json.loads(own(*listing, "--json").out)
    assert [one["name"] for one in listed] == listing[2:]
    assert {one["family"] for one in listed} == {"custom"}
    done = own(*listing)
    assert all(name in done.out for name in listing[2:])
    done = own(*preview)
    assert done.code == 0, done.err
    rows = np.asarray(Image.open("preview.png").convert("RGB"))
    assert rows.shape[0] > 2 * 128


@pytest.mark.usefixtures("quick")
def test_the_page_trains_and_ranks_with_its_own(own: Eyeshot):
    (training,) = (words for words in COMMANDS if words[0] == "train")
    done = own(*training, *MODEL, "--epochs", "1")
    assert done.code == 0, done.err
    (run,) = Path("eyeshot-out/runs").iterdir()
    assert run.name.endswith("-test_resnet-my_aug-train_transform+my_aug-darker-s0")
    result = json.loads((run / "result.json").read_text("utf-8"))
    assert result["augmentations"] == ["my_aug:train_transform", "my_aug:darker"]
    (covering,) = (words for words in COMMANDS if words[0] == "rank")
    names = [word for word in covering if word.startswith("my_aug")]
    assert own(*covering, *MODEL, "--dry-run").code == 0
    options = {
        "model": MODEL[1],
        "from_scratch": True,
        "size": 32,
        "max_images": 40,
        "samples_per_image": 1,
        "budget_s": 0,
        "projections": (),
    }
    report = package.rank_augmentations("train", test="test", candidates=names, baseline_aug=names[0], **options).report
    (haze,) = (one for one in report.candidates if one.name == names[1])
    assert haze.family == "custom"
    assert haze.recipe == ["# from my_aug import haze", "haze.as_transform(),"]
    assert names[0] not in [one.name for one in report.candidates]


def test_the_contract_on_the_page_passes(own: Eyeshot):
    Path("test_mine.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b\d\d passed", done.stdout)


def test_a_step_that_cannot_stay_is_named_before_any_image_is_read(own: Eyeshot, tmp_path: Path):
    text = (
        "from torchvision import transforms as t\nmine = t.Compose([t.ToTensor(), t.Normalize([0.5] * 3, [0.5] * 3)])"
    )
    Path("my_aug_normal.py").write_text(text, encoding="utf-8")
    for name in ("my_aug_normal:mine", "my_aug_normal.py:mine"):
        done = own("train", "train", *MODEL, "--augment", name)
        assert done.code == 2
        assert f"error: {name} must return float images between 0 and 1" in done.err
        assert "Leave Normalize out" in done.err
        assert "reading files" not in done.err


def test_a_preview_has_a_size_for_pipelines_that_crop_to_one(own: Eyeshot):
    text = "from torchvision.transforms import v2\nmine = v2.RandomResizedCrop(64)"
    Path("my_aug_crop.py").write_text(text, encoding="utf-8")
    done = own("preview", "image.jpg", "my_aug_crop:mine")
    assert done.code == 2
    assert "got 64 x 64" in done.err
    assert "--size 64" in done.err
    assert own("preview", "image.jpg", "my_aug_crop:mine", "--size", "64").code == 0
