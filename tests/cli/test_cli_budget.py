"""Budget, base, several models, confirming and opening, on a few digits."""

from __future__ import annotations

import json
import re
import shlex
import time
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import MODEL, Digits, Done, Eyeshot, tree

from counted_clock import counted_clock
from eyeshot.augment import augmentation, compose_lines
from eyeshot.rankings import RankingReport

pytestmark = pytest.mark.usefixtures("quick", "warm")

FEW = ("--max-images", "40", "--samples-per-image", "1", "--no-images", "--candidates", "invert")
OTHER = "test_efficientnet.r160_in1k"


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decoded digits, the baseline and features: the same for all tests here."""
    return tmp_path_factory.mktemp("warm")


@pytest.fixture
def warm(eyeshot: Eyeshot, warm_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYESHOT_CACHE", str(warm_cache))


def cover(eyeshot: Eyeshot, digits: Digits, *more: object) -> Done:
    """With no budget, unless one is among `more`."""
    budget = () if "--budget" in more else ("--budget", "0")
    return eyeshot("rank", "augmentations", digits.train, "--test", digits.test, *MODEL, *FEW, *budget, *more)


def written(folder: Path = Path("eyeshot-out/augmentations")) -> RankingReport:
    return RankingReport.model_validate_json((folder / "augmentations.json").read_text("utf-8"))


def next_words(done: Done) -> list[str]:
    (line,) = [line for line in done.out.splitlines() if line.startswith("Next: ")]
    return shlex.split(line.removeprefix("Next: "))


def error_of(done: Done) -> str:
    assert done.code == 2, done.err
    assert done.out == ""
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    return line


def refuse_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "eyeshot.rankings.augmentations.run.decode_tables", lambda *_, **__: pytest.fail("the work began")
    )


@pytest.mark.slow
def test_a_budget_brings_the_ranking_of_all_and_the_same_command_again_brings_the_same(
    eyeshot: Eyeshot, digits: Digits
):
    options = ("--candidates", "rotate-15", "--candidates", "mirror", "--candidates", "cutout", "--budget", "10s")
    with counted_clock(step_s=0.1, evaluate_s=0.2) as calls:
        done = cover(eyeshot, digits, *options)
    assert calls
    assert done.code == 0, done.err
    report = written()
    assert report.budget.budget_s == 10
    assert 5 < report.budget.used_s < 10.5
    assert report.budget.steps > 0
    by_cover, both = done.out.index("By coverage, before short trainings:"), done.out.index(report.order.words)
    assert by_cover < both
    # A ranking before the budget is spent, and another one after it, with other columns.
    tables = [line.split() for line in done.out.splitlines() if re.match(r"\s+candidate\s", line)]
    assert [words[1] for words in tables] == ["gain", "score", "score"]
    for words in (
        report.order.weight_words,
        report.budget.words,
        report.headline,
        report.next_step,
        report.trust,
        *report.answer,
    ):
        assert done.out.count(words) == 1, words
    for one in report.of("ranked"):
        assert set(one.parts) == {"target_accuracy", "coverage_gain", "validation"}
        assert one.run.stage == "network"
        assert one.combined is not None
    (regularisers,) = report.of("regulariser")
    assert set(regularisers.parts) == {"validation", "half_masked"}
    for one in (*report.of("ranked"), regularisers):
        assert one.run.steps > 0
        assert one.run.ended is None
    with counted_clock(step_s=0.1, evaluate_s=0.2) as calls:
        again = json.loads(cover(eyeshot, digits, *options, "--json").out)
    assert calls == []
    assert again["seconds"]["forward"] == 0
    wanted = json.loads(report.model_dump_json())
    for key in ("candidates", "order", "budget", "answer", "advice"):
        assert again[key] == wanted[key]
    alone = json.loads(cover(eyeshot, digits, *options, "--budget", "0", "--json").out)
    assert alone["order"] is None
    assert alone["budget"] is None
    assert all(one["run"] is None and one["combined"] is None for one in alone["candidates"])


@pytest.mark.parametrize("text", ["ten", "-1m", "", "1w", "m", "nan", "inf"])
def test_a_budget_that_is_no_time_is_told_before_anything(eyeshot: Eyeshot, digits: Digits, tmp_path: Path, text: str):
    before = tree(tmp_path)
    message = error_of(cover(eyeshot, digits, "--budget", text))
    assert message == f"error: --budget takes a time such as 90s, 10m, 1h or 2d, or 0 for none, got {text!r}."
    assert tree(tmp_path) == before


def test_a_budget_that_is_too_small_for_a_step_ranks_by_coverage_and_says_what_would_do(
    eyeshot: Eyeshot, digits: Digits
):
    done = cover(eyeshot, digits, "--budget", "0.01s")
    assert done.code == 0, done.err
    report = written()
    (note,) = [note for note in report.notes if note.startswith("Short runs: ")]
    found = re.fullmatch(
        r"Short runs: --budget 0\.01s is too short for any, so coverage ranks alone; "
        r"training all of them takes about --budget \d+[smh] here\.",
        note,
    )
    assert found, note
    assert done.out.count(note) == 1
    assert sum(line.split()[:1] == ["candidate"] for line in done.out.splitlines()) == 1
    assert report.of("ranked")[0].score is not None
    assert report.budget.steps == 0
    assert cover(eyeshot, digits, "--budget", "0.01s", "--dry-run").code == 0


def test_a_dry_run_counts_the_budget_and_spends_none_of_it(eyeshot: Eyeshot, digits: Digits):
    begin = time.process_time()
    plans = [json.loads(cover(eyeshot, digits, "--budget", text, "--dry-run", "--json").out) for text in ("0", "1h")]
    assert time.process_time() - begin < 60
    assert plans[1]["estimated_seconds"] - plans[0]["estimated_seconds"] == pytest.approx(3600, abs=60)
    assert not Path("eyeshot-out").exists()


def test_gains_are_on_top_of_a_base_and_so_is_the_next_command(eyeshot: Eyeshot, digits: Digits):
    done = cover(eyeshot, digits, "--baseline-aug", "translate")
    assert done.code == 0, done.err
    report = written()
    assert report.baseline_augmentation.name == "translate"
    assert report.baseline_augmentation.label_breaking == []
    assert report.baseline_augmentation.score is not None
    assert report.answer[0] == "All gains are on top of translate."
    assert done.out.lstrip("\n- ").find(report.answer[0]) > 0
    assert report.recipe == list(compose_lines(augmentation(report.advice)))
    words = next_words(done)
    at = words.index("--augment")
    assert words[at : at + 4] == ["--augment", "translate", "--augment", report.advice]
    dry = eyeshot(*words[1:], "--dry-run")
    assert dry.code == 0, dry.err
    without = json.loads(cover(eyeshot, digits, "--json").out)
    assert without["baseline_augmentation"] is None
    (invert,) = [one for one in without["candidates"] if one["name"] == "invert"]
    assert report.candidate("invert").score != invert["score"]


def test_a_base_of_ones_own_may_be_a_pipeline_in_a_file(eyeshot: Eyeshot, digits: Digits):
    Path("mine.py").write_text(
        "from torchvision.transforms import v2\n\n"
        "transform = v2.Compose([v2.RandomRotation(8), v2.ColorJitter(0.2)])\n",
        encoding="utf-8",
    )
    done = cover(eyeshot, digits, "--baseline-aug", "mine.py:transform")
    assert done.code == 0, done.err
    assert written().baseline_augmentation.name == "mine.py:transform"
    words = next_words(done)
    assert words[words.index("--augment") :][:2] == ["--augment", "mine.py:transform"]
    assert eyeshot(*words[1:], "--dry-run").code == 0


def test_a_base_that_destroys_labels_is_warned_of_before_all_else(eyeshot: Eyeshot, digits: Digits):
    Path("black.py").write_text("def transform(image):\n    return image * 0\n", encoding="utf-8")
    with counted_clock(step_s=0.1, evaluate_s=0.2):
        done = cover(eyeshot, digits, "--baseline-aug", "black.py:transform", "--budget", "20s")
    assert done.code == 0, done.err
    report = written()
    assert report.baseline_augmentation.label_breaking
    assert report.answer[0].startswith("The baseline augmentation black.py:transform breaks labels itself: ")
    assert report.baseline_augmentation.label_breaking[0] in report.answer[0]
    assert report.answer[0] in done.out
    page = Path("eyeshot-out/augmentations/augmentations.html").read_text("utf-8")
    assert "breaks labels itself" in page


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("mixup", "--baseline-aug must leave each image with a single label, got mixup, which mixes labels."),
        ("miror", "No augmentation is called 'miror'. Nearest: mirror"),
        ("none.py:transform", "none.py"),
    ],
)
def test_a_base_that_cannot_be_used_is_told_before_images_are_decoded(
    eyeshot: Eyeshot, digits: Digits, monkeypatch: pytest.MonkeyPatch, base: str, words: str
):
    refuse_to_decode(monkeypatch)
    assert words in error_of(cover(eyeshot, digits, "--baseline-aug", base))


def test_the_base_itself_is_no_candidate(eyeshot: Eyeshot, digits: Digits):
    plan = json.loads(
        cover(eyeshot, digits, "--candidates", "mirror", "--baseline-aug", "mirror", "--dry-run", "--json").out
    )
    assert plan["candidates"] == ["invert", "clean", "no-op", "shuffled-pixels"]
    assert "mirror is the baseline augmentation, so it is not ranked." in plan["notes"]


def models(eyeshot: Eyeshot, digits: Digits, *more: object) -> Done:
    budget = () if "--budget" in more else ("--budget", "0")
    names = ("--model", MODEL[1], "--model", OTHER, *MODEL[2:])
    few = (*FEW, *(word for name in ("mirror", "grey", "rotate-15") for word in ("--candidates", name)))
    return eyeshot("rank", "augmentations", digits.train, "--test", digits.test, *names, *few, *budget, *more)


def test_several_models_have_a_page_each_that_leads_to_the_others(eyeshot: Eyeshot, digits: Digits):
    done = models(eyeshot, digits)
    assert done.code == 0, done.err
    folders = {MODEL[1]: Path("eyeshot-out/augmentations"), OTHER: Path("eyeshot-out/augmentations") / OTHER}
    for name, folder in folders.items():
        report = written(folder)
        assert report.models[0].name == name
        table = report.model_table
        assert table.models == [MODEL[1], OTHER]
        assert {row.name for row in table.rows if "ranked" in row.roles.values()} == {
            one.name for model in folders.values() for one in written(model).of("ranked")
        }
        page = (folder / "augmentations.html").read_text("utf-8")
        for model, place in table.pages.items():
            assert (folder / place).resolve() == (folders[model] / "augmentations.html").resolve()
            if model != name:
                assert f'href="{place}"' in page
        assert table.words in " ".join(done.out.split())
    assert [line.split()[1:] for line in done.out.splitlines() if re.match(rf"candidate\s+{MODEL[1]}", line)] == [
        [MODEL[1], OTHER],
        [MODEL[1], OTHER],
    ]
    found = models(eyeshot, digits, "--json")
    assert [RankingReport.model_validate(one).models[0].name for one in json.loads(found.out)] == [MODEL[1], OTHER]


def test_models_with_weights_get_their_features_from_the_same_samples(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "two_nets.py").write_text(
        "import torch\n\n"
        "def make(seed):\n"
        "    torch.manual_seed(seed)\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5, 3), torch.nn.ReLU())\n\n"
        "def one():\n    return make(1)\n\n"
        "def two():\n    return make(2)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    names = "--model", "two_nets:one", "--model", "two_nets:two", "--size", "32", "--candidates", "mixup"
    done = eyeshot(
        "rank", "augmentations", digits.train, "--test", digits.test, *names, *FEW, "--budget", "0", "--json"
    )
    assert done.code == 0, done.err
    first, second = (report["seconds"] for report in json.loads(done.out))
    assert (first["augment"] > 0, second["augment"]) == (True, 0)
    assert first["other models"] > 0
    assert "other models" not in second


def test_a_dry_run_of_several_models_plans_each_and_halves_the_budget(eyeshot: Eyeshot, digits: Digits):
    plans = json.loads(models(eyeshot, digits, "--budget", "1h", "--dry-run", "--json").out)
    assert [Path(plan["out"]).name for plan in plans] == ["augmentations", OTHER]
    assert all(1800 <= plan["estimated_seconds"] <= 2100 for plan in plans)
    done = models(eyeshot, digits, "--dry-run")
    assert done.out.count("Estimate: ") == 2
    assert done.out.count("Next: the same command without --dry-run.") == 1
    assert not Path("eyeshot-out").exists()


@pytest.mark.parametrize("second", [MODEL[1], MODEL[1].partition(".")[0]])
def test_a_model_that_is_named_twice_is_told(
    eyeshot: Eyeshot, digits: Digits, monkeypatch: pytest.MonkeyPatch, second: str
):
    refuse_to_decode(monkeypatch)
    done = cover(eyeshot, digits, "--model", second)
    assert "--model must name each model once, got" in error_of(done)


def test_weights_belong_to_one_model(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    (tmp_path / "weights.pth").touch()
    message = error_of(cover(eyeshot, digits, "--model", OTHER, "--weights", tmp_path / "weights.pth"))
    assert "--weights belongs to a single --model, got 2 models. Run them separately." in message


@pytest.mark.parametrize("there", [True, False])
def test_the_page_is_opened_or_its_place_is_told(eyeshot: Eyeshot, digits: Digits, monkeypatch, there: bool):
    opened: list[str] = []

    def open_(address: str, *_: Any) -> bool:
        opened.append(address)
        return there

    monkeypatch.setattr(webbrowser, "open", open_)
    done = cover(eyeshot, digits, "--open")
    assert done.code == 0
    page = Path("eyeshot-out/augmentations/augmentations.html").resolve()
    assert opened == [page.as_uri()]
    assert ("No browser was found" in done.out) is not there
    if not there:
        assert done.out.rstrip().endswith(str(page))
    assert json.loads(cover(eyeshot, digits, "--open", "--json").out)
    assert len(opened) == 2
    cover(eyeshot, digits)
    cover(eyeshot, digits, "--open", "--dry-run")
    assert len(opened) == 2


def test_confirming_trains_to_the_end_once_and_tells_paired_gains(
    eyeshot: Eyeshot, digits: Digits, monkeypatch: pytest.MonkeyPatch
):
    from eyeshot.training import TrainingRun, folders

    usual, trained = folders.default_settings, []

    def few(*arguments: Any, **options: Any) -> Any:
        settings, reason = usual(*arguments, **options)
        return settings.model_copy(update={"epochs": 3}), reason

    step = TrainingRun._do_step

    def counted(*arguments: Any, **options: Any) -> Any:
        trained.append(1)
        return step(*arguments, **options)

    monkeypatch.setattr(folders, "default_settings", few)
    monkeypatch.setattr(TrainingRun, "_do_step", counted)
    options = ("--candidates", "trivial-augment", "--full-train", "1")
    done = cover(eyeshot, digits, *options)
    assert done.code == 0, done.err
    report = written()
    first = report.of("ranked")[0].name
    names = ["clean", *dict.fromkeys([first, "trivial-augment"])]
    assert [one.name for one in report.full_training] == names
    clean, *others = report.full_training
    assert (clean.gain, clean.gain_interval) == (None, None)
    for one in others:
        assert one.gain == pytest.approx(one.accuracy - clean.accuracy)
        assert one.gain_interval[0] <= one.gain <= one.gain_interval[1]
        assert (one.epochs, one.n_train, one.n_val) == (3, report.n_train, report.n_val)
        (row,) = [line for line in done.out.splitlines() if re.match(rf"{one.name}\s+\d+\.\d %", line)]
        assert f"{100 * one.gain:+.1f}" in row
    assert np.unique([one.n_val for one in report.full_training]).size == 1
    assert trained
    estimates = [one.estimate for one in report.full_training]
    assert {estimate.n for estimate in estimates} == {report.n_target_used}
    assert estimates[0].assumptions[0] == "Classes occur among the target images as often as given."
    choice = report.choice
    assert choice.chosen in names
    assert choice.reason in done.out
    assert report.advice == choice.chosen
    assert choice.reason == f"{report.headline} {report.answer[0]}"
    trained.clear()
    monkeypatch.setattr("eyeshot.training.FinishedRun.predict", lambda *_, **__: pytest.fail("predicted again"))
    again = json.loads(cover(eyeshot, digits, *options, "--json").out)
    assert trained == []
    assert again["choice"] == json.loads(choice.model_dump_json())
    assert again["full_training"] == json.loads(report.model_dump_json())["full_training"]
