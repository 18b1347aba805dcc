"""`eyeshot list models` and `eyeshot models fetch`, without a network."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Digits, Eyeshot
from huggingface_hub import constants

import eyeshot as package
from eyeshot.models import Download

FIELDS = {
    "tag", "line", "year", "parameters", "gmacs", "size", "pretraining_data", "objective", "licence", "recipe",
    "when_to_take", "at_hand",
}  # fmt: skip


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(cache: Path, tag: str) -> Path:
    """A file of a tag where the hub's library looks for it."""
    file = cache / f"models--timm--{tag}" / "snapshots" / "0123abc" / "model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    (file.parents[2] / "refs").mkdir()
    (file.parents[2] / "refs" / "main").write_text("0123abc")
    return file


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_catalogue_fits_the_terminal_and_names_every_model(
    eyeshot: Eyeshot, no_cache: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    put(no_cache, "resnet18.a1_in1k")
    done = eyeshot("list", "models")
    assert done.code == 0
    table = done.out.split("\n82 models.")[0].splitlines()
    assert max(map(len, table)) <= int(columns)
    letters = re.sub(r"\s+", "", done.out)
    for record in package.list_models():
        assert record.tag.partition("_")[0] in letters
    assert [line for line in table if line.rstrip().endswith("yes")] == [
        line for line in table if line.startswith("resnet18.a1_in1k")
    ]
    assert "ConvNeXt:" in done.out
    assert "…" not in done.out


def test_the_catalogue_is_one_record_a_model_as_json(eyeshot: Eyeshot, no_cache: Path) -> None:
    file = put(no_cache, "resnet18.a1_in1k")
    listed = json.loads(eyeshot("list", "models", "--json").out)
    assert len(listed) == len(package.list_models())
    assert all(set(each) == FIELDS for each in listed)
    assert [each["at_hand"] for each in listed] == [str(file)] + [None] * (len(listed) - 1)
    assert listed[0]["recipe"]["source"].startswith("Rate 0.01")


def test_one_tag_is_shown_with_its_recipe_source_licence_and_sentence(eyeshot: Eyeshot, no_cache: Path) -> None:
    done = eyeshot("list", "models", "vit_base_patch16_224.mae")
    assert done.code == 0
    for words in (
        "85.8M", "NC", "cc-by-nc-4.0", "layer decay 0.65", "learning rate 0.0005 at 256 images", "He et al. 2022 (MAE)",
        "a linear probe undersells it", "masked (MAE)", "Next: eyeshot models fetch vit_base_patch16_224.mae",
    ):  # fmt: skip
        assert words in done.out


def test_wildcards_go_over_all_of_timm_with_unknown_fields_as_null(eyeshot: Eyeshot, no_cache: Path) -> None:
    listed = json.loads(eyeshot("list", "models", "vit_*dinov3*", "--json").out)
    by_tag = {each["tag"]: each for each in listed}
    assert by_tag["vit_base_patch16_dinov3.lvd1689m"]["parameters"] == 85_641_216
    beyond = by_tag["vit_7b_patch16_dinov3.lvd1689m"]
    assert (beyond["parameters"], beyond["recipe"], beyond["size"]) == (None, None, 256)
    assert beyond["licence"] == "dinov3-license"


def test_a_pattern_that_fits_nothing_ends_with_code_3_and_the_nearest(eyeshot: Eyeshot) -> None:
    done = eyeshot("list", "models", "convnekst")
    assert done.code == 3
    assert "Nearest: ConvNeXt" in done.err


def test_the_catalogue_is_printed_without_torch() -> None:
    code = (
        "import sys; sys.argv = ['eyeshot', 'list', 'models']\nfrom eyeshot.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint(sorted({'torch', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A hub whose plans and downloads are made here; keeps the tags of each download."""
    fetched: list[list[str]] = []

    def plan(tags: list[str]) -> list[Download]:
        place = tmp_path / "hub"
        here = {"test_vit.r160_in1k": place / "vit.safetensors"}
        return [
            Download(tag, f"https://hub/{tag}", 12_345_678, "apache-2.0", place / tag, here.get(tag)) for tag in tags
        ]

    def download(plans: list[Download], *, progress: Any = None) -> list[Download]:
        fetched.append([each.tag for each in plans if each.file is None])
        return [each._replace(file=each.file or each.destination / "model.safetensors") for each in plans]

    monkeypatch.setattr("eyeshot.models.plan_downloads", plan)
    monkeypatch.setattr("eyeshot.models.download", download)
    return fetched


TAGS = ("test_resnet.r160_in1k", "test_vit.r160_in1k")


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A person at a terminal who types `text`."""
    terminal = io.StringIO(text)
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", terminal)


def test_size_licence_and_destination_are_shown_before_the_question(
    eyeshot: Eyeshot, hub: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer(monkeypatch, "n\n")
    done = eyeshot("models", "fetch", *TAGS)
    assert done.code == 1
    assert hub == []
    shown = done.out.partition("Download?")[0]
    letters = re.sub(r"\s+", "", shown)
    for words in ("12,345,678 bytes (12 MB)", "1 of 2 files", "apache-2.0", "at hand", str(tmp_path / "hub")):
        assert re.sub(r"\s+", "", words) in letters
    assert "Nothing was downloaded" in done.out


def test_a_yes_or_the_option_downloads_what_is_missing(
    eyeshot: Eyeshot, hub: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "y\n")
    assert eyeshot("models", "fetch", *TAGS).code == 0
    done = eyeshot("models", "fetch", *TAGS, "--yes")
    assert hub == [[TAGS[0]], [TAGS[0]]]
    assert "Next: eyeshot audit TRAIN --model test_resnet.r160_in1k" in done.out


def test_a_dry_run_downloads_nothing(eyeshot: Eyeshot, hub: list[list[str]]) -> None:
    done = eyeshot("models", "fetch", *TAGS, "--dry-run", "--json")
    assert done.code == 0
    assert hub == []
    first, second = json.loads(done.out)
    assert (first["bytes"], first["licence"], first["file"], first["downloaded"]) == (
        12_345_678, "apache-2.0", None, False,
    )  # fmt: skip
    assert second["file"].endswith("vit.safetensors")


def test_json_with_yes_tells_where_the_files_are(eyeshot: Eyeshot, hub: list[list[str]]) -> None:
    first, second = json.loads(eyeshot("models", "fetch", *TAGS, "--yes", "--json").out)
    assert (first["downloaded"], second["downloaded"]) == (True, False)
    assert first["file"].endswith("model.safetensors")


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_where_nobody_can_be_asked_nothing_is_downloaded(
    eyeshot: Eyeshot, hub: list[list[str]], more: tuple[str, ...]
) -> None:
    done = eyeshot("models", "fetch", *TAGS, *more)
    assert done.code == 2
    assert "Add --yes" in done.err
    assert hub == []


def test_a_tag_that_cannot_be_fetched_is_refused_before_anybody_is_asked(
    eyeshot: Eyeshot, hub: list[list[str]]
) -> None:
    unknown = eyeshot("models", "fetch", "no_such_net.in1k")
    assert unknown.code == 3
    assert "no_such_net.in1k" in unknown.err
    assert "--yes" not in unknown.err
    assert hub == []


@pytest.mark.parametrize(("what", "name", "fitting"), [("optimizers", "*adam*", "nadamw"), ("schedules", "wsd", "wsd")])
def test_lists_take_names_and_wildcards(eyeshot: Eyeshot, what: str, name: str, fitting: str) -> None:
    everything = json.loads(eyeshot("list", what, "--json").out)
    some = json.loads(eyeshot("list", what, name, "--json").out)
    assert fitting in {record["name"] for record in some}
    assert 0 < len(some) < len(everything)
    assert [record for record in everything if record in some] == some
    wrong = eyeshot("list", what, "nonsense")
    assert wrong.code == 2
    assert "'nonsense'" in wrong.err


def test_an_unreachable_hub_ends_with_code_3_and_the_three_ways_on(
    eyeshot: Eyeshot, no_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    done = eyeshot("models", "fetch", "test_resnet", "--yes", "--json")
    assert done.code == 3
    assert json.loads(done.out)["kind"] == "ModelError"
    assert "cannot be reached" in done.err
    assert "Three ways on: (1) --weights FILE" in done.err


@pytest.mark.parametrize(
    ("weights", "code", "words"),
    [
        ("nowhere.pth", 2, "--weights must be a safetensors or torch file, or a folder of them"),
        ("empty", 3, "it holds no file with one of the endings"),
        ("other.pth", 3, "of its 75 tensors fit"),
        ("pickled.pth", 3, "would run code"),
        ("grey", 3, "reads images of 1 channel"),
    ],
)
def test_bad_weights_end_a_training_before_it_begins(
    eyeshot: Eyeshot, digits: Digits, weights: str, code: int, words: str
) -> None:
    import timm
    import torch

    Path("empty").mkdir()
    Path("grey").mkdir()
    torch.save(timm.create_model("test_vit").state_dict(), "other.pth")
    torch.save(timm.create_model("test_resnet"), "pickled.pth")
    torch.save(timm.create_model("test_resnet", in_chans=1).state_dict(), "grey/test_resnet-grey.pth")
    done = eyeshot(
        "train", digits.train, "--model", "test_resnet", "--weights", weights, "--size", "32", "--epochs", "1"
    )
    assert done.code == code, done.err
    assert words in done.err
    assert not list(Path.cwd().rglob("result.json"))


def test_a_training_takes_its_weights_from_a_folder_and_says_which(eyeshot: Eyeshot, digits: Digits) -> None:
    import timm
    import torch

    Path("weights").mkdir()
    torch.save(timm.create_model("test_resnet").state_dict(), "weights/test_resnet.r160_in1k.pth")
    done = eyeshot(
        "train", digits.train, "--model", "test_resnet", "--weights", "weights", "--size", "32", "--epochs", "1"
    )
    assert done.code == 0, done.err
    assert "test_resnet.r160_in1k.pth is named by the tag" in done.out + done.err


@pytest.mark.usefixtures("no_cache")
def test_weights_in_a_folder_are_at_hand(eyeshot: Eyeshot, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "resnet18.a1_in1k.safetensors").write_bytes(b"weights")
    listed = json.loads(eyeshot("list", "models", "ResNet", "--weights", folder, "--json").out)
    here = {record["tag"] for record in listed if record["at_hand"]}
    assert here == {"resnet18.a1_in1k"}
