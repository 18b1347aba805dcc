from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from command_line import MODEL, Digits, Eyeshot, tree

from eyeshot.augment import augmentations
from eyeshot.cli.rankings.rank_output import print_result
from eyeshot.rankings import AugmentationRanking, Candidate, RankingReport, RankingSettings
from eyeshot.rankings.augmentations.result import Pictures

MIXING = [one.name for one in augmentations("mixing")]
FEW = (
    "--candidates",
    "invert",
    "--candidates",
    "mixing",
    "--max-images",
    "40",
    "--samples-per-image",
    "1",
    "--no-images",
)
FEW += ("--budget", "0")


def cover(eyeshot: Eyeshot, digits: Digits, *more: object):
    return eyeshot("rank", "augmentations", digits.train, "--test", digits.test, *MODEL, *FEW, *more)


@pytest.mark.usefixtures("quick")
def test_the_command_prints_the_ranking_and_writes_its_files(eyeshot: Eyeshot, digits: Digits):
    done = cover(eyeshot, digits)
    assert done.code == 0
    out = Path("eyeshot-out/augmentations").resolve()
    assert sorted(path.name for path in out.iterdir()) == [
        "augmentations.html",
        "augmentations.json",
        "augmentations.svg",
        "uncovered.csv",
    ]
    report = RankingReport.model_validate_json((out / "augmentations.json").read_text("utf-8"))
    assert report.command == shlex.join(
        ["eyeshot", "rank", "augmentations", str(digits.train), "--test", str(digits.test), *MODEL, *FEW]
    )
    assert report.headline in done.out
    best = report.of("ranked")[0]
    (row,) = [line for line in done.out.splitlines() if re.match(r"\s*1\s+invert\s", line)]
    assert f"{100 * best.score:+.1f}" in row
    assert f"{100 * best.scores.consistent_coverage:.0f} %" in row
    assert "v2.RandomInvert(p=0.5)," in done.out
    assert re.search(rf"regularisers .*: {', '.join(MIXING)}", done.out)
    for name in ("augmentations.html", "augmentations.json", "uncovered.csv"):
        assert str(out / name) in done.out
    assert str(Path("eyeshot-out/cache").resolve()) in done.out
    assert "eyeshot cache clear" in done.out
    assert f"Next: eyeshot train {digits.train} --model test_resnet.r160_in1k" in done.out
    assert "--augment invert" in done.out
    page = (out / "augmentations.html").read_text("utf-8")
    assert "invert" in page
    assert len(page) < 15e6


@pytest.mark.usefixtures("quick")
def test_the_next_command_that_is_printed_can_be_run(eyeshot: Eyeshot, digits: Digits):
    done = cover(eyeshot, digits)
    (line,) = [line for line in done.out.splitlines() if line.startswith("Next: ")]
    words = shlex.split(line.removeprefix("Next: "))
    assert words[0] == "eyeshot"
    assert eyeshot(*words[1:], "--dry-run").code == 0


def report_of(count: int, **changes: object) -> RankingReport:
    """A made-up report of so many ranked candidates, TrivialAugment the last."""
    names = [f"own-{number}" for number in range(1, count)] + ["trivial-augment"]
    ranked = [
        Candidate(name=name, family="geometric", model="net", role="ranked", rank=rank, group=1, beats_clean=False,
                  score=0.25, interval=(-0.5, 1.0), reasons=["because"])
        for rank, name in enumerate(names, start=1)
    ]  # fmt: skip
    shift = {
        "target_coverage": 0.1, "held_out_coverage": 0.5, "ratio": 0.2, "target_consistent": 0.1,
        "held_out_consistent": 0.5, "weight": 0.8, "domain_auc": None, "count": 50, "words": "far",
    }  # fmt: skip
    model = {"name": "net", "pretrained": False, "size": 32, "feature_count": 8, "fingerprint": "f", "reason": ""}
    facts: dict[str, object] = {
        "headline": "No clear winner.", "next_step": "Train twice.", "trust": "Little.", "answer": ["one", "two"],
        "advice": "trivial-augment", "recipe": ["v2.TrivialAugmentWide(),"], "n_train": 90, "n_val": 50,
        "n_target": 60, "n_sources": 50, "n_target_used": 60, "n_val_used": 50, "target": "test",
        "classes": ["a", "b"], "models": [model], "size": 32, "fit": "crop", "neighbours": 5,
        "samples_per_image": 1, "max_images": 500, "seed": 0, "ranked_by": "coverage_gain", "shift": shift,
        "validation_check": None, "candidates": ranked, "uncovered": [], "command": "eyeshot rank augmentations train",
    }  # fmt: skip
    return RankingReport.model_validate(facts | changes)


def printed(report: RankingReport, capsys: pytest.CaptureFixture[str], tmp_path: Path, *said: str) -> str:
    ranking = AugmentationRanking(report, None, Pictures())
    print_result(ranking, tmp_path, tmp_path, train=Path("train"), settings=RankingSettings(), said=said)
    return capsys.readouterr().out


def test_the_advice_stands_in_the_table_beyond_the_rows_that_are_shown(capsys, tmp_path: Path):
    out = printed(report_of(30), capsys, tmp_path)
    assert re.search(r"^12 +own-12 ", out, re.MULTILINE)
    assert "own-13" not in out
    assert re.search(r"^30 +trivial-augment ", out, re.MULTILINE)
    assert "… and 17 more on the page" in out
    assert "--augment trivial-augment" in out


def test_the_unit_of_a_gain_is_that_of_what_ranks(capsys, tmp_path: Path):
    assert "+25.0" in printed(report_of(2), capsys, tmp_path)
    by_distance = printed(report_of(2, ranked_by="nearest_distance"), capsys, tmp_path)
    assert "+0.25" in by_distance
    assert "neighbour radii" in by_distance


def test_where_nothing_is_suggested_no_lines_are_shown_and_the_next_command_leaves_augment_out(capsys, tmp_path: Path):
    out = printed(report_of(2, advice="clean", recipe=[]), capsys, tmp_path)
    assert "Lines for your pipeline" not in out
    assert "Next: eyeshot train train --model net\n" in out
    out = printed(report_of(2, advice="clean", recipe=[], longer_baseline_s=120), capsys, tmp_path)
    assert "Next: eyeshot rank augmentations train --scratch-time 2m\n" in out


def test_notes_of_the_work_are_printed_once(capsys, tmp_path: Path):
    notes = ["model: net", "Short runs: 3 of 9 candidates, because --budget 1m has no time for more.", "one"]
    out = printed(report_of(2, notes=notes), capsys, tmp_path, "model: net")
    assert "- Short runs: 3 of 9 candidates, because --budget 1m has no time for more.\n" in out
    assert "- model: net" not in out
    assert out.count("- one\n") == 1


@pytest.mark.usefixtures("quick")
def test_the_next_command_is_about_the_same_images(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    rows = [f"{path.relative_to(digits.train)},{path.parent.name}" for path in sorted(digits.train.rglob("*.png"))]
    (tmp_path / "labels.csv").write_text("\n".join(["image,digit", *rows]), encoding="utf-8")
    data = ("--labels", tmp_path / "labels.csv", "--label-column", "digit", "--val-share", "0.3")
    done = cover(eyeshot, digits, *data, "--no-decisions", "--no-split")
    assert done.code == 0, done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("Next: ")]
    words = shlex.split(line.removeprefix("Next: "))
    for name, value in zip(data[::2], data[1::2], strict=True):
        assert words[words.index(str(name)) + 1] == str(value)
    assert {"--no-decisions", "--no-split"} <= set(words)
    assert eyeshot(*words[1:], "--dry-run").code == 0
    report = RankingReport.model_validate_json(Path("eyeshot-out/augmentations/augmentations.json").read_text("utf-8"))
    assert any(note.startswith("Labels from labels.csv") for note in report.notes)
    assert len(set(report.notes)) == len(report.notes), "a note is there twice"


@pytest.mark.usefixtures("quick")
def test_json_is_all_that_stands_on_standard_output(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    done = cover(eyeshot, digits, "--json", "--out", tmp_path / "out")
    assert done.code == 0
    printed = RankingReport.model_validate_json(done.out)
    assert printed == RankingReport.model_validate_json((tmp_path / "out" / "augmentations.json").read_text("utf-8"))
    assert "measuring candidates" in done.err


@pytest.mark.usefixtures("quick")
def test_the_same_command_again_computes_nothing_and_says_the_same(eyeshot: Eyeshot, digits: Digits):
    first, again = (json.loads(cover(eyeshot, digits, "--json").out) for _ in range(2))
    assert again["seconds"]["forward"] == 0
    for numbers in (first, again):
        del numbers["seconds"]
    assert first == again


@pytest.mark.usefixtures("quick")
def test_a_dry_run_says_what_would_run_and_writes_nothing(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    before = tree(tmp_path)
    done = cover(eyeshot, digits, "--dry-run")
    assert done.code == 0
    assert tree(tmp_path) == before
    assert not Path("eyeshot-out").exists()
    assert "103 training, 27 held-out and 50 target images" in done.out
    assert f"{len(MIXING) + 4} candidates" in done.out
    assert re.search(r"Estimate: [\d.]+ minutes", done.out)
    assert "of memory" in done.out
    assert "of cache" in done.out


def test_a_dry_run_can_be_read_by_machines(eyeshot: Eyeshot, digits: Digits):
    plan = json.loads(cover(eyeshot, digits, "--dry-run", "--json").out)
    assert plan["candidates"] == ["invert", *MIXING, "clean", "no-op", "shuffled-pixels"]
    assert (plan["n_train"], plan["n_val"], plan["n_target"], plan["sources"]) == (103, 27, 50, 40)
    assert min(plan[f"estimated_{what}"] for what in ("seconds", "memory_bytes", "disk_bytes")) > 0
    assert Path(plan["out"]) == Path("eyeshot-out/augmentations").resolve()


@pytest.mark.usefixtures("quick")
def test_results_lie_in_the_project_of_the_nearest_settings_file(eyeshot: Eyeshot, digits: Digits, monkeypatch):
    here = Path.cwd()
    (here / "eyeshot.toml").touch()
    (here / "notebooks").mkdir()
    monkeypatch.chdir(here / "notebooks")
    assert cover(eyeshot, digits).code == 0
    assert (here / "eyeshot-out" / "augmentations" / "augmentations.json").is_file()
    assert not (here / "notebooks" / "eyeshot-out").exists()


@pytest.mark.usefixtures("quick")
def test_without_a_test_folder_the_command_works_too(eyeshot: Eyeshot, digits: Digits):
    done = eyeshot("rank", "augmentations", digits.train, *MODEL, *FEW, "--json")
    assert json.loads(done.out)["target"] == "validation"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--candidates", "miror"), ("miror", "mirror")),
        (("--plot", "invertt"), ("invertt", "invert")),
        (("--max-images", "3"), ("--max-images", "got 3", "20")),
        (("--samples-per-image", "0"), ("--samples-per-image", "got 0")),
        (("--val-share", "1.5"), ("1.5", "--val-share 0.2")),
        (("--seed", "-1"), ("--seed", "got -1")),
        (("--fit", "stretch"), ("--fit", "'stretch'", "crop")),
        (("--interpolation", "best"), ("--interpolation", "'best'", "bicubic")),
        (("--mean", "0.5,0.5"), ("--mean", "'0.5,0.5'", "0.485,0.456,0.406")),
        (("--std", "a,b,c"), ("--std", "'a,b,c'", "--std 0.485")),
        (("--device", "tpu"), ("tpu", "cpu")),
        (("--size", "4"), ("--size", "got 4", "8")),
        (("--batch-size", "0"), ("--batch-size", "got 0")),
        (("--generated", "nowhere"), ("nowhere",)),
        (("--val", "nowhere"), ("nowhere",)),
        (("--labels", "nowhere.csv"), ("nowhere.csv",)),
        (("--test", "nowhere"), ("nowhere",)),
    ],
)
def test_an_option_that_cannot_be_used_is_told_with_its_value_and_a_way_on(
    eyeshot: Eyeshot, digits: Digits, more: tuple[str, ...], words: tuple[str, ...]
):
    done = cover(eyeshot, digits, *more)
    assert done.code == 2, done.err
    assert done.out == ""
    message = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(message) == 1
    for word in words:
        assert word in done.err
    assert not Path("eyeshot-out/augmentations").exists()


def test_a_training_folder_that_is_not_there_is_told(eyeshot: Eyeshot):
    done = eyeshot("rank", "augmentations", "no such folder", *MODEL)
    assert done.code == 2
    assert "no such folder" in done.err


def test_a_test_folder_inside_of_training_is_told(eyeshot: Eyeshot, digits: Digits):
    done = eyeshot("rank", "augmentations", digits.train, "--test", digits.train / "7", *MODEL)
    assert done.code == 2
    assert "inside" in done.err


@pytest.mark.parametrize("option", ["--out", "cache"])
def test_a_folder_that_cannot_be_written_is_told_before_the_long_work(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path, monkeypatch, option: str
):
    (tmp_path / "file").touch()
    if option == "--out":
        monkeypatch.setattr(
            "eyeshot.rankings.augmentations.run.decode_tables",
            lambda *arguments, **options: pytest.fail("the work began"),
        )
        done = cover(eyeshot, digits, "--out", tmp_path / "file" / "out")
    else:
        monkeypatch.setenv("EYESHOT_CACHE", str(tmp_path / "file" / "cache"))
        done = cover(eyeshot, digits)
    assert done.code == 4
    assert str(tmp_path / "file") in done.err
    assert "--out" in done.err or "EYESHOT_CACHE" in done.err


def test_a_read_only_folder_for_results_is_told(eyeshot: Eyeshot, digits: Digits, tmp_path: Path, monkeypatch):
    """As the system answers it to users; root may write everywhere."""

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("eyeshot.core.files.tempfile.TemporaryFile", refuse)
    done = cover(eyeshot, digits, "--out", tmp_path / "out")
    assert done.code == 4
    assert "Permission denied" in done.err
    assert "--out" in done.err


@pytest.mark.usefixtures("quick")
def test_a_disk_that_fills_up_at_the_end_is_told_and_leaves_no_half_file(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path, monkeypatch
):
    import os

    usual = os.replace

    def full(source, target):
        if str(target).endswith("augmentations.json"):
            raise OSError(28, "No space left on device")
        usual(source, target)

    monkeypatch.setattr(os, "replace", full)
    done = cover(eyeshot, digits, "--out", tmp_path / "out")
    assert done.code == 4
    assert "No space left on device" in done.err
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unknown_model_is_told_with_the_nearest_names(eyeshot: Eyeshot, digits: Digits):
    done = eyeshot("rank", "augmentations", digits.train, "--model", "resnet81.a1_in1k", "--from-scratch")
    assert done.code in (2, 3)
    assert "resnet81" in done.err
    assert "resnet18" in done.err


def test_weights_that_would_need_a_network_name_the_three_ways_on(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    done = eyeshot("rank", "augmentations", digits.train, "--model", "resnet18.a1_in1k")
    assert done.code == 3
    for way in ("--weights", "--from-scratch", "cache"):
        assert way in done.err


def test_weights_of_another_architecture_are_told_with_their_keys(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    import torch

    torch.save({"stranger.weight": torch.zeros(3)}, tmp_path / "weights.pth")
    done = eyeshot(
        "rank",
        "augmentations",
        digits.train,
        "--model",
        "test_resnet.r160_in1k",
        "--size",
        "32",
        "--weights",
        tmp_path / "weights.pth",
    )
    assert done.code == 3
    assert "stranger.weight" in done.err


def test_features_that_are_no_numbers_are_a_model_error(eyeshot: Eyeshot, digits: Digits, tmp_path: Path, monkeypatch):
    (tmp_path / "broken_net.py").write_text(
        "import torch\n\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, images):\n"
        "        return images.mean((2, 3)) * float('nan')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    done = eyeshot("rank", "augmentations", digits.train, "--model", "broken_net:Net", "--size", "32", *FEW)
    assert done.code == 3
    assert "broken_net:Net" in done.err
    assert re.search("NaN|finite", done.err)
