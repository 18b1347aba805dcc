"""`rank_optimizers()` on small images with a small network: whole, cut off, and with bad input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import eyeshot
from eyeshot.core import InputError
from eyeshot.rankings import OptimizersReport
from eyeshot.rankings.optimizers import trials

HERE = Path(__file__).parent
OPTIONS: dict[str, Any] = {
    "model": "own_network:make", "from_scratch": True, "size": 16, "epochs": 2, "batch_size": 16,
    "learning_rate": 0.01, "optimizer": ["sgd", "lion"], "rates": 2, "seeds": 2, "budget_s": 3000.0,
    "decisions": False, "split": False, "progress": False,
}  # fmt: skip


def write_images(folder: Path, *, per_class: int = 30, level: int = 60, noise: float = 40) -> Path:
    """Three classes of noise around a grey level."""
    random = np.random.default_rng(0)
    for number, name in enumerate(("dark", "middle", "bright")):
        (folder / name).mkdir(parents=True)
        for place in range(per_class):
            pixels = (40 + level * number) + random.normal(0, noise, (16, 16, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{place:03d}.png")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("grey") / "train")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(HERE))


def numbers(report: OptimizersReport) -> Any:
    """All of a report that does not depend on the time."""
    tried = [each.model_dump(exclude={"seconds"}) for each in report.tried]
    return report.answer, report.choice, report.situation.model_dump(), tried, report.epochs, report.seeds


@pytest.fixture(scope="module")
def whole(images: Path, tmp_path_factory: pytest.TempPathFactory) -> eyeshot.OptimizerRanking:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        patch.syspath_prepend(str(HERE))
        return eyeshot.rank_optimizers(images, **OPTIONS)


def test_each_optimizer_is_tried_at_several_rates_and_compared_on_the_same_images(
    whole: eyeshot.OptimizerRanking,
) -> None:
    report = whole.report
    assert [each.optimizer for each in report.tried] == ["adamw", "sgd", "lion"]
    assert (report.epochs, report.seeds, report.n_train, report.n_val) == (2, 2, 72, 18)
    assert report.n_inner_train + report.n_inner_val == report.n_train
    for each in report.tried:
        assert len(each.rates) >= 2
        assert len(each.accuracies) == 2
        assert each.learning_rate in [rate.learning_rate for rate in each.rates]
        assert each.accuracy.n == 18
        assert (each.difference is None) == (each.optimizer == "adamw")
    assert report.situation.kind == "convolutional with BatchNorm"
    assert [each.reason for each in report.advised][1] == "Named by you."
    assert "eyeshot train" in report.next_step
    assert f"--optimizer {report.choice}" in report.next_step


def test_the_images_that_judge_have_no_part_in_the_choice_of_rates(images: Path, tmp_path: Path) -> None:
    found: list[Any] = []

    def look(plan: Any) -> None:
        found.append(plan)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eyeshot.rank_optimizers(images, **OPTIONS, planned=look)
    dataset = found[0].training.dataset
    inner = np.concatenate([found[0].inner_rows, found[0].inner_val_rows])
    assert sorted(inner.tolist()) == dataset.train_rows.tolist()
    assert not set(inner.tolist()) & set(dataset.val_rows.tolist())
    assert not set(found[0].inner_rows.tolist()) & set(found[0].inner_val_rows.tolist())
    assert not list(tmp_path.rglob("done.json"))


@pytest.mark.parametrize("after", [1, 8])
def test_the_same_call_continues_an_interrupted_ranking_and_repeats_nothing(
    images: Path, whole: eyeshot.OptimizerRanking, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    usual, folders = trials.train, list[Path]()

    def train(*arguments: Any, **options: Any) -> Any:
        folders.append(options["folder"])
        if len(folders) == after:
            raise KeyboardInterrupt
        return usual(*arguments, **options)

    monkeypatch.setattr(trials, "train", train)
    with pytest.raises(KeyboardInterrupt):
        eyeshot.rank_optimizers(images, **OPTIONS)
    continued = eyeshot.rank_optimizers(images, **OPTIONS)
    assert numbers(continued.report) == numbers(whole.report)
    assert len(set(folders)) == len(folders) - 1
    before = len(folders)
    again = eyeshot.rank_optimizers(images, **OPTIONS)
    assert numbers(again.report) == numbers(whole.report)
    assert len(folders) == before


def test_a_trial_whose_files_are_damaged_is_trained_again(images: Path, whole: eyeshot.OptimizerRanking) -> None:
    eyeshot.rank_optimizers(images, **OPTIONS)
    done = sorted(Path().rglob("done.json"))
    assert not list(Path("eyeshot-out").rglob("optimizers/**/*.safetensors"))
    done[0].write_text("{", encoding="utf-8")
    (done[1].parent / "validation.npz").write_bytes(b"x")
    assert numbers(eyeshot.rank_optimizers(images, **OPTIONS).report) == numbers(whole.report)


@pytest.mark.slow
def test_killed_at_any_time_it_ends_as_uninterrupted(images: Path, whole: eyeshot.OptimizerRanking) -> None:
    code = f"import eyeshot; eyeshot.rank_optimizers({str(images)!r}, **{OPTIONS!r})"
    path = os.pathsep.join([str(HERE), *sys.path])
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}) as process:
        end = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < end and len(list(Path().rglob("done.json"))) < 3:
            time.sleep(0.01)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert numbers(eyeshot.rank_optimizers(images, **OPTIONS).report) == numbers(whole.report)


def test_without_a_budget_it_measures_and_advises_alone(images: Path) -> None:
    report = eyeshot.rank_optimizers(images, **OPTIONS | {"budget_s": 0, "optimizer": ()}).report
    assert report.tried == []
    assert [each.optimizer for each in report.advised] == ["sgd", "muon", "sam-sgd"]
    assert report.answer.startswith("Worth a try beside adamw here: sgd, muon and sam-sgd;")
    assert report.next_step.endswith("--budget 20m")


def test_planted_odd_images_are_found_and_named(tmp_path: Path) -> None:
    """Among grey images two are white; a network without norms feels them alone."""
    folder = write_images(tmp_path / "train", per_class=60, level=0, noise=4)
    random = np.random.default_rng(1)
    odd = [f"dark/odd{place}.png" for place in range(2)]
    for name in odd:
        Image.fromarray((250 - np.abs(random.normal(0, 4, (16, 16, 3)))).astype(np.uint8)).save(folder / name)
    options = OPTIONS | {"model": "own_network:make_plain", "budget_s": 0, "val_share": 0.1, "batch_size": 8,
                         "mean": (40 / 255,) * 3, "std": (0.01, 0.01, 0.01), "optimizer": ()}  # fmt: skip
    ranking = eyeshot.rank_optimizers(folder, **options)
    here = ranking.report.situation
    assert here.odd_batches
    assert all({image.id for image in batch.images} & set(odd) for batch in here.odd_batches)
    assert all(batch.norm_ratio > 1.5 or batch.loss_ratio > 1.5 for batch in here.odd_batches)
    assert ranking.report.advised[0].optimizer == "radamw"
    assert set(ranking.paths) == {image.id for batch in here.odd_batches for image in batch.images}
    assert all(Path(file).is_file() for file in ranking.paths.values())


def test_a_budget_that_is_too_small_is_refused_before_any_training(images: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--budget must hold 3 optimizers"):
        eyeshot.rank_optimizers(images, **OPTIONS | {"budget_s": 0.01})
    assert not list(tmp_path.rglob("done.json"))


def test_classes_with_one_image_cannot_choose_rates_and_others_go_on(tmp_path: Path) -> None:
    few = write_images(tmp_path / "few", per_class=1)
    val = write_images(tmp_path / "val", per_class=4, level=61)
    with pytest.raises(InputError, match="every class has one image, or copies of one"):
        eyeshot.rank_optimizers(few, **OPTIONS, val=val)
    mixed = write_images(tmp_path / "mixed", per_class=12)
    for file in sorted((mixed / "bright").iterdir())[1:]:
        file.unlink()
    found: list[Any] = []
    options = OPTIONS | {"optimizer": ["sgd"], "rates": 1, "seeds": 1, "epochs": 1}
    report = eyeshot.rank_optimizers(mixed, **options, planned=found.append).report
    assert any("1 of 3 classes have too few images" in note for note in found[0].notes)
    assert len(report.tried) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": "adamW2"}, "Nearest: adamw"),
        ({"schedule": "cosin"}, "Nearest: cosine"),
        ({"optimizer": ["adamw"]}, "got adamw alone"),
        ({"settings": {"optimizer": "sgd"}}, "training.optimizer is what is ranked here"),
        ({"budget_s": -1}, "--budget must be"),
        ({"seeds": 0}, "--seeds must be 1 to 20, got 0"),
        ({"rates": 10}, "--rates must be 1 to 9, got 10"),
    ],
)
def test_wrong_options_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        eyeshot.rank_optimizers("nowhere", **OPTIONS | changes)
