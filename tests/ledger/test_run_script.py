"""The script of a run, run where eyeshot cannot be imported."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

import eyeshot
from eyeshot.core import InputError
from eyeshot.data import DataConfig, Geometry, decode
from eyeshot.data.digits import large_digits
from eyeshot.training import check_config, plan_training, read_result, train_folder
from eyeshot.training.script import writing
from eyeshot.training.script.sources import Sources

RESNET, VIT = "test_resnet.r160_in1k", "test_vit.r160_in1k"
WITHOUT_EYESHOT = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
assert not [name for name in sys.modules if name.startswith("eyeshot")]
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders with 54 digits, some of them in other modes and formats."""
    folder = tmp_path_factory.mktemp("pictures") / "train"
    images, labels = large_digits()
    for place, row in enumerate(np.flatnonzero(np.isin(labels, (0, 1, 7)))[:54].tolist()):
        image = Image.fromarray(images[row]).convert("RGB")
        file = folder / str(labels[row]) / f"{row}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if place % 9 == 1:
            image.resize((300, 220)).save(file.with_suffix(".jpg"), quality=80)
        elif place % 9 == 4:
            exif = Image.Exif()
            exif[0x0112] = 6
            image.resize((90, 60)).save(file.with_suffix(".jpg"), exif=exif)
        elif place % 9 == 7:
            image.putalpha(Image.fromarray(images[row]).convert("L"))
            image.save(file.with_suffix(".png"))
        else:
            image.convert("L").save(file.with_suffix(".png"))
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EYESHOT_CACHE", raising=False)
    return tmp_path


def train(pictures: Path | None, **options: Any) -> Path:
    """A short run; returns its folder."""
    usual = {"model": RESNET, "from_scratch": True, "size": 32, "epochs": 2, "batch_size": 16, "progress": False}
    eyeshot.train(pictures, **(usual | options))
    return max(Path("eyeshot-out/runs").resolve().iterdir())


def run_alone(script: Path) -> str:
    """What the script says, in a Python that finds no eyeshot."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT_EYESHOT, str(script)],
        cwd=script.parent, env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_here(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the script in this process, which is quicker."""
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")


def run_without_eyeshot(script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the script says, run in this process, in which no import of eyeshot succeeds meanwhile."""
    capsys.readouterr()
    with monkeypatch.context() as patch:
        for name in [name for name in sys.modules if name.partition(".")[0] == "eyeshot"]:
            patch.setitem(sys.modules, name, None)
        run_here(script, patch)
    return capsys.readouterr().out


def assert_same_numbers(folder: Path, script: Path, said: str) -> None:
    """The script ends in the weights and probabilities of the run, bit for bit."""
    result = read_result(folder)
    assert result is not None
    assert f"of the run {result.accuracy.value:.4f}; the same answer on {result.n_val} of {result.n_val} images" in said
    assert_same_weights(folder, script)


def assert_same_weights(folder: Path, script: Path) -> None:
    # No name is missing, defined twice or imported in vain.
    check = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F", str(script)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    run, own = np.load(folder / "validation.npz"), np.load(script.with_suffix(".npz"))
    assert np.array_equal(run["probabilities"], own["probabilities"])
    trained, weights = load_file(folder / "weights.safetensors"), torch.load(script.with_suffix(".pt"))
    compared = 0
    for name, value in weights.items():
        if name.startswith("backbone."):
            other = trained.get(name, trained.get(name.removeprefix("backbone.")))
            # A network of the user's own is wrapped.
            other = other if other is not None else trained[name.removeprefix("backbone.module.")]
            assert torch.equal(value, other), name
            compared += 1
    assert compared > 5


def test_a_script_trains_to_the_same_weights_bit_for_bit(pictures: Path) -> None:
    folder = train(pictures)
    script, notes = eyeshot.script("latest", progress=False)
    assert script == folder / "script.py"
    assert notes == ["It lists 54 images."]
    assert not (folder / "script.csv").exists()
    text = script.read_text("utf-8")
    assert "import xxhash" not in text
    assert "scipy" not in text
    assert_same_numbers(folder, script, run_alone(script))


def test_a_policy_is_written_with_its_stages(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = "~light0.2-0.5~full0.5-0.9"
    folder = train(pictures, augment=("mirror", f"jitter=0.5@0.8{stages}", f"cutmix@0.5{stages}"), epochs=4)
    script, _ = eyeshot.script("latest", progress=False)
    assert_same_numbers(folder, script, run_without_eyeshot(script, monkeypatch, capsys))


RECIPES = {
    "sgd": {
        "optimizer": "sgd", "momentum": 0.8, "learning_rate": 0.02, "schedule": "one-cycle", "accumulate": 3,
        "clip_norm": 0.5, "label_smoothing": 0.1, "class_weights": True, "sampling": "balanced", "small_size": 16,
        "small_share": 0.5,
    },
    "sam": {
        "model": VIT, "optimizer": "sam-adamw", "schedule": "wsd", "layer_decay": 0.7, "drop_path": 0.2, "dropout": 0.3,
        "ema_decay": 0.9, "freeze": "head-first", "head_epochs": 1, "epochs": 3, "accumulate": 2,
    },
    "muon": {"optimizer": "muon", "schedule": "plateau", "freeze": "last-stage", "precision": "bf16", "epochs": 2},
    "lion": {"optimizer": "lion", "schedule": "step", "ema_decay": 0.5, "freeze": "head", "learning_rate": 1e-3},
    "capped": {"epochs": 4, "time_cap_s": 1e-6},
    "radamw": {"optimizer": "radamw", "schedule": "constant", "layer_decay": 0.5, "class_weights": True,
               "norm_statistics": "frozen"},
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_every_part_of_a_recipe_is_written(
    pictures: Path, here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    recipe = dict(RECIPES[name])
    plan = plan_training(
        DataConfig(train=pictures), model=str(recipe.pop("model", RESNET)), from_scratch=True, size=32, out=here / "run"
    )
    settings = check_config(**plan.settings.model_dump() | {"epochs": 2, "batch_size": 16} | recipe)
    train_folder(dataclasses.replace(plan, settings=settings))
    script, _ = eyeshot.script(here / "run", progress=False)
    run_here(script, monkeypatch)
    assert_same_weights(here / "run", script)


def test_recipes_that_a_script_cannot_follow_are_refused_by_name(
    pictures: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train(pictures, epochs=1)
    text = (folder / "result.json").read_text("utf-8")
    for name, value, rule in (
        ("optimizer", "schedulefree-adamw", "'schedulefree-adamw' is not supported by script yet"),
        ("precision", "fp16", "fp16 is not supported by script yet"),
    ):
        result = json.loads(text)
        result["settings"][name] = value
        (folder / "result.json").write_text(json.dumps(result), "utf-8")
        with pytest.raises(InputError, match=rule):
            eyeshot.script(folder, progress=False)
    (folder / "result.json").write_text(text, "utf-8")
    monkeypatch.setattr(writing, "SETTINGS", writing.SETTINGS - {"batch_size"})
    with pytest.raises(InputError, match="batch size 16 is not supported by script yet"):
        eyeshot.script(folder, progress=False)
    assert not list(folder.glob("script*"))


def test_augmentations_are_copied_with_their_draws(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("mirror", "rotate-15", "jitter", "edges", "erasing", "trivial-augment", "mosaic", "translate")
    folder = train(pictures, model=VIT, augment=names, fit="pad")
    script, _ = eyeshot.script(folder, progress=False)
    assert_same_numbers(folder, script, run_without_eyeshot(script, monkeypatch, capsys))


def test_every_augmentation_can_be_written_without_two_definitions_of_a_name(pictures: Path) -> None:
    folder = train(pictures, epochs=1, augment=("mixup", "edges", "posterize"))
    plain = eyeshot.script(folder, progress=False)[0].read_text("utf-8")
    copied = {name for name in ("mixup", "edges", "posterize") if f"{name!r}," in plain}
    assert len(copied) == 3
    own = {target.id for node in ast.parse(plain).body if isinstance(node, ast.Assign) for target in node.targets
           if isinstance(target, ast.Name)}  # fmt: skip
    for step in eyeshot.augmentations():
        sources = Sources(("Operation", "FixedOperation", "DrawnOperation", "Mixing", "Parameters"))
        ((_, probability, _, expression),) = writing._write_augmentations([step], sources)
        names = [node.name for node in ast.parse(sources.take()).body if isinstance(node, ast.FunctionDef)]
        assert probability == step.probability
        assert len(set(names)) == len(names)
        assert not set(names) & own, (step.name, expression)


def test_pretrained_weights_of_a_file_and_the_head_fitted_on_their_features(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(3)
    network = timm.create_model("test_resnet", num_classes=5)
    torch.save({"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, "own.pt")
    folder = train(pictures, from_scratch=False, weights="own.pt", augment=("mixup",))
    script, _ = eyeshot.script(folder, weights="own.pt", progress=False)
    assert_same_numbers(folder, script, run_without_eyeshot(script, monkeypatch, capsys))
    with open("own.pt", "ab") as file:
        file.write(b"more")
    with pytest.raises(SystemExit, match="is not the file that the run started from"):
        run_here(script, monkeypatch)


def test_a_network_of_ones_own_is_imported_by_the_script(pictures: Path, here: Path) -> None:
    (here / "small_network.py").write_text(
        "import torch\n"
        "def make():\n"
        "    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2), torch.nn.BatchNorm2d(8), torch.nn.ReLU(),\n"
        "        torch.nn.Conv2d(8, 12, 3, 2), torch.nn.BatchNorm2d(12), torch.nn.AdaptiveAvgPool2d(1),\n"
        "        torch.nn.Flatten(), torch.nn.Linear(12, 4))\n"
        "    return layers\n"
    )
    folder = train(pictures, model="small_network:make")
    script, _ = eyeshot.script(folder, progress=False)
    assert_same_numbers(folder, script, run_alone(script))


def test_images_are_decoded_as_for_the_run(pictures: Path, here: Path) -> None:
    folder = train(pictures, epochs=1)
    text = eyeshot.script(folder, progress=False)[0].read_text("utf-8")
    wanted = {"SIZE", "SHORT_SIDE", "RESAMPLING", "decode"}
    kept = [
        node for node in ast.parse(text).body
        if isinstance(node, ast.Import | ast.ImportFrom) or getattr(node, "name", None) in wanted
        or (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in wanted)
    ]  # fmt: skip
    names: dict[str, Any] = {}
    exec(compile(ast.Module(kept, []), "script", "exec"), names)
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 256, (150, 210, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 5
    noise.convert("CMYK").save("a.jpg")
    noise.save("b.jpg", exif=exif)
    noise.convert("P").save("c.png", transparency=3)
    noise.convert("LA").save("d.png")
    noise.convert("1").save("e.png")
    noise.quantize(8).save("f.gif")
    noise.resize((1200, 900)).save("g.jpg")
    noise.resize((31, 40)).save("h.webp", lossless=True)
    geometry = Geometry(size=32, crop_share=read_crop_share(names), interpolation="bilinear")
    assert geometry.short_side == names["SHORT_SIDE"]
    for file in sorted(here.glob("?.*")):
        assert np.array_equal(names["decode"](file.read_bytes()), decode(file, geometry)), file.name


def read_crop_share(names: dict[str, Any]) -> float:
    return names["SIZE"] / (names["SHORT_SIDE"] + 0.5)


def test_a_script_says_where_images_are_missing_or_changed(
    pictures: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pictures, here / "train")
    folder = train(here / "train", epochs=1)
    script, _ = eyeshot.script(folder, progress=False)
    first = sorted((here / "train").rglob("*.png"))[0]
    Image.new("L", (40, 40), 7).save(first)
    run_here(script, monkeypatch)
    assert "ATTENTION: some image files are not those that the run used" in capsys.readouterr().out
    with pytest.raises(InputError, match="must be those of the run"):
        eyeshot.script(folder, progress=False)
    (here / "train").rename(here / "moved")
    with pytest.raises(SystemExit, match=r"No image at .*Set IMAGES_FOLDER"):
        run_here(script, monkeypatch)
    text = script.read_text("utf-8").replace(f"Path({str(here / 'train')!r})", f"Path({str(here / 'moved')!r})")
    script.write_text(text, "utf-8")
    run_here(script, monkeypatch)
    assert "the same answer on" in capsys.readouterr().out


def test_what_a_script_cannot_do_is_refused_before_anything_is_written(pictures: Path, here: Path) -> None:
    (here / "my_augmentation.py").write_text(
        "import eyeshot\n@eyeshot.custom_augmentation()\ndef darker(image):\n    return image // 2\n"
    )
    folder = train(pictures, epochs=1, augment=("my_augmentation:darker",))
    with pytest.raises(InputError, match="'my_augmentation:darker' is not supported by script yet"):
        eyeshot.script(folder, progress=False)
    assert not list(folder.glob("script*"))
    (folder / "result.json").rename(folder / "kept.json")
    with pytest.raises(InputError, match=r"has no result.json. The command that began it"):
        eyeshot.script("latest", progress=False)


def test_a_file_of_the_users_own_is_left_alone(pictures: Path, here: Path) -> None:
    folder = train(pictures, epochs=1)
    (here / "mine.py").write_text("print(1)\n")
    with pytest.raises(InputError, match=r"mine.py' exists and was not written by this command"):
        eyeshot.script(folder, out="mine.py", progress=False)
    with pytest.raises(InputError, match=r"must end in .py"):
        eyeshot.script(folder, out="mine.txt", progress=False)
    with pytest.raises(InputError, match="No run in"):
        eyeshot.script("nothing", progress=False)
    first = eyeshot.script(folder, out="again.py", progress=False)[0].read_text("utf-8")
    assert eyeshot.script(folder, out="again.py", progress=False)[0].read_text("utf-8") == first


def test_a_run_with_a_split_and_decisions_uses_the_same_images(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    eyeshot.init(pictures)
    eyeshot.split(folds=3).write("split.json")
    chosen = sorted(pictures.rglob("*.png"))[0]
    eyeshot.add_decision("drop", [chosen], reason="a test")
    folder = train(None, epochs=1, fold=1)
    script, _ = eyeshot.script(folder, progress=False)
    assert f"'{chosen.relative_to(pictures).as_posix()}'" not in script.read_text("utf-8")
    assert_same_numbers(folder, script, run_without_eyeshot(script, monkeypatch, capsys))
