from __future__ import annotations

import inspect
import json
import random
import re
import shutil
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from small_run import SETTINGS, World, numbers, run, write

from eyeshot.core import CallbackProgress
from eyeshot.core.errors import InputError, ModelError
from eyeshot.models import feature_bank
from eyeshot.rankings import AugmentationRanking, RankingReport, RankingSettings, estimate, prepare, rank_augmentations
from eyeshot.rankings.augmentations.settings import check_settings
from eyeshot.reports import write_ranking_page

CONTROLS = {"clean", "no-op", "shuffled-pixels"}


def scores_of(result: AugmentationRanking) -> dict[str, object]:
    return {
        candidate.name: (
            candidate.role,
            candidate.rank,
            candidate.group,
            candidate.score,
            candidate.interval,
            candidate.scores.model_dump(),
            candidate.per_class,
        )
        for candidate in result.report.candidates
    }


@pytest.fixture
def forwarded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images go through the model, call by call."""
    counts: list[int] = []
    usual = feature_bank.extract

    def counting(backbone, images, **options):
        counts.append(len(images))
        return usual(backbone, images, **options)

    monkeypatch.setattr(feature_bank, "extract", counting)
    return counts


def test_inverted_digits_are_covered_by_invert_and_by_nothing_else(first: AugmentationRanking):
    report = first.report
    assert report.advice == "invert"
    assert [candidate.name for candidate in report.of("ranked") if candidate.group == 1] == ["invert"]
    assert report.candidate("clean").group > 1
    assert report.headline.startswith("Train with invert: it covers ")
    assert report.recipe == ["v2.RandomInvert(p=0.5),"]
    assert report.shift.ratio < 0.6


def test_the_report_counts_what_was_used(first: AugmentationRanking):
    report = first.report
    assert (report.n_train + report.n_val, report.n_target) == (210, 90)
    assert report.n_val == pytest.approx(42, abs=4)
    assert report.n_sources == report.n_target_used == 60
    assert report.n_val_used <= report.n_val
    assert report.classes == ["0", "1", "4", "7"]
    assert (report.size, report.neighbours, report.seed, report.samples_per_image, report.max_images) == (
        32,
        5,
        0,
        2,
        60,
    )
    assert report.target == "test"
    assert report.models[0].name == "test_resnet.r160_in1k"
    assert report.models[0].baseline_accuracy > 0.3
    assert report.seconds["total"] >= max(report.seconds.values())
    assert set(report.seconds) >= {"read", "decode", "augment", "forward", "scores", "map", "baseline", "total"}


def test_controls_are_in_every_run_beside_the_asked_candidates(first: AugmentationRanking):
    assert {candidate.name for candidate in first.report.candidates} == CONTROLS | {
        "invert",
        "mirror",
        "mixup",
        "edges",
    }
    samples = {
        candidate.name: (candidate.samples_per_image, candidate.samples + candidate.left_out)
        for candidate in first.report.candidates
    }
    assert samples["invert"] == samples["clean"] == samples["edges"] == (1, 60)  # every sample would be the same
    assert samples["no-op"] == samples["mixup"] == samples["shuffled-pixels"] == (2, 120)


@pytest.mark.parametrize("target", ["test", "validation"])
def test_a_cloud_holds_the_clean_images_so_it_covers_no_less_than_they(first: AugmentationRanking, rerun, target: str):
    report = first.report if target == "test" else rerun(test=None).report
    clean = report.candidate("clean").scores
    assert (clean.coverage > 0.5) == (target == "validation")
    for candidate in report.candidates:
        assert candidate.scores.coverage >= clean.coverage, candidate.name
        assert candidate.scores.nearest_distance <= clean.nearest_distance + 1e-4, candidate.name


def test_shuffled_pixels_are_flagged_and_the_identity_control_ties_with_clean(first: AugmentationRanking):
    report = first.report
    shuffled = report.candidate("shuffled-pixels")
    assert (shuffled.role, shuffled.rank) == ("label-breaking", None)
    assert "linear probe trained on its samples" in shuffled.warnings[0]
    assert [candidate.name for candidate in report.of("label-breaking")] == ["shuffled-pixels"]
    assert report.candidate("no-op").group == report.candidate("clean").group
    assert report.candidate("no-op").score == 0


def test_affinity_is_that_of_the_network_that_was_trained(world: World, first: AugmentationRanking, rerun, monkeypatch):
    module = import_module("eyeshot.rankings.augmentations.context")
    seen: list[float] = []
    usual = module.fit_clean_probe

    def looking(sources, labels, held_out, held_out_labels, **options):
        said = options["clean_model"](options["held_out_features"])
        seen.append(float((said == held_out_labels).mean()))
        return usual(sources, labels, held_out, held_out_labels, **options)

    monkeypatch.setattr(module, "fit_clean_probe", looking)
    rerun()
    assert seen == [pytest.approx(first.report.models[0].baseline_accuracy)]
    assert first.report.candidate("clean").scores.affinity == 1


def test_mixtures_have_null_label_consistent_coverage_with_a_reason(first: AugmentationRanking):
    mixup = first.report.candidate("mixup")
    assert mixup.scores.consistent_coverage is None
    assert "labels are mixed" in mixup.missing["consistent_coverage"]
    assert 0 <= mixup.scores.coverage <= 1


def test_every_null_score_has_a_reason(first: AugmentationRanking):
    for candidate in first.report.candidates:
        assert {name for name, value in candidate.scores.model_dump().items() if value is None} == set(
            candidate.missing
        )


def test_images_that_no_candidate_covers_are_listed(first: AugmentationRanking):
    report = first.report
    covered = [candidate.scores.consistent_coverage for candidate in report.of("ranked")]
    assert 0 < len(report.uncovered) <= round((1 - max(covered)) * 60)
    assert set(report.uncovered) <= {f"{path}" for path in first.map.ids}


def test_the_files_hold_the_report_and_read_back_as_it(first: AugmentationRanking, tmp_path: Path):
    folder = tmp_path / "results"  # made where it is missing
    path = first.save(folder)
    assert RankingReport.model_validate_json(path.read_text("utf-8")) == first.report
    raw = json.loads(path.read_text("utf-8"))
    assert raw["version"] == 2
    asked = ("n_train", "n_val", "n_target", "classes", "models", "size", "neighbours", "seed", "seconds", "versions")
    asked += ("hardware", "command", "skipped", "shift", "candidates")
    assert set(asked) <= set(raw)
    of_candidate = ("name", "family", "model", "rank", "group", "score", "interval", "scores", "reasons")
    assert set(of_candidate) | {"per_class", "warnings"} <= set(raw["candidates"][0])
    assert pl.read_csv(folder / "uncovered.csv")["id"].to_list() == first.report.uncovered
    assert sorted(file.name for file in folder.iterdir()) == ["augmentations.json", "uncovered.csv"]


def test_the_frame_has_a_row_for_each_candidate_and_a_column_for_each_score(first: AugmentationRanking):
    frame = first.to_frame()
    assert frame["name"].to_list() == [candidate.name for candidate in first.report.candidates]
    assert frame.row(0, named=True)["coverage_gain"] == first.report.candidates[0].scores.coverage_gain
    low, high = first.report.candidates[0].interval
    assert frame.row(0, named=True)["low"] == low
    assert frame.row(0, named=True)["high"] == high


def test_the_table_for_notebooks_names_every_candidate(first: AugmentationRanking):
    html = first._repr_html_()
    assert html.count("<tr>") == len(first.report.candidates) + 1
    assert all(f"<td>{candidate.name}</td>" in html for candidate in first.report.candidates)


def test_the_points_of_the_map_belong_together(first: AugmentationRanking):
    drawn = first.map
    count = len(drawn.cloud)
    assert {len(drawn.label), len(drawn.ids), len(drawn.thumbnails), len(drawn.predicted), count} == {count}
    assert [projection.info.name for projection in drawn.projections] == ["PCA"]
    assert drawn.projections[0].xy.shape == (count, 2)
    assert drawn.candidates[:2] == ["invert", "no-op"]
    assert set(drawn.cloud) == {"train", "target", "validation", *drawn.candidates}
    target, val = drawn.cloud == "target", drawn.cloud == "validation"
    assert set(drawn.label[target]) == {-1}
    assert set(drawn.predicted[~val]) == {-1}
    for shown, name in ((drawn.covered_by_best, "invert"), (drawn.covered_by_clean, "clean")):
        assert shown[target].mean() == pytest.approx(first.report.candidate(name).scores.coverage)
    assert set(drawn.covered_by_best[~target]) == {-1}
    assert set(drawn.covered_by_clean[~(target | val)]) == {-1}


def test_validation_is_judged_inside_and_outside_of_what_is_covered(first: AugmentationRanking):
    check = first.report.validation_check
    val = first.map.cloud == "validation"
    inside = first.map.covered_by_clean[val] == 1
    right = first.map.predicted[val] == first.map.label[val]
    assert (check.inside, check.outside) == (inside.sum(), (~inside).sum())
    assert check.accuracy_inside == pytest.approx(right[inside].mean())
    assert (check.accuracy_outside is None) == (check.outside == 0)


def test_the_same_seed_gives_the_same_numbers_from_nothing_and_progress_is_shown_for_every_stage(
    world: World, first: AugmentationRanking, tmp_path: Path
):
    heard: list[str] = []
    again = run(world, tmp_path / "cache", progress=CallbackProgress(lambda done, total, text: heard.append(text)))
    stages = ("reading training files", "reading test files", "decoding", "training the baseline", "features of")
    for stage in (*stages, "measuring candidates", "drawing the PCA map"):
        assert any(what.startswith(stage) for what in heard), stage
    assert numbers(again) == numbers(first)
    np.testing.assert_array_equal(again.map.projections[0].xy, first.map.projections[0].xy)


def test_another_seed_gives_other_numbers(first: AugmentationRanking, rerun: Callable[..., AugmentationRanking]):
    assert scores_of(rerun(seed=1)) != scores_of(first)


def test_a_second_run_sends_nothing_through_the_model(first: AugmentationRanking, rerun, forwarded: list[int]):
    again = rerun()
    assert numbers(again) == numbers(first)
    assert forwarded == []
    assert again.report.seconds["forward"] == 0
    assert again.report.seconds["augment"] == 0


def test_one_more_candidate_computes_just_its_own_samples(rerun, forwarded: list[int], first: AugmentationRanking):
    more = rerun(candidates=(*SETTINGS["candidates"], "half-turns"))
    assert sum(forwarded) == 60 + more.report.n_val_used
    assert scores_of(more)["mixup"] == scores_of(first)["mixup"]


def test_one_more_sample_computes_just_that_sample(rerun, forwarded: list[int]):
    rerun(samples_per_image=3)
    # All samples of the other candidates are the same, and many of mixup's have the pixels of the image itself.
    mixup, no_op, shuffled = forwarded
    assert 0 < mixup < no_op == shuffled == 60


def test_one_new_target_image_computes_just_what_depends_on_it(
    world: World, rerun, forwarded: list[int], tmp_path: Path
):
    shutil.copytree(world.test, tmp_path / "test")
    write(np.asarray(Image.open(next(world.test.iterdir()))).T, tmp_path / "test" / "new.png")
    again = rerun(test=tmp_path / "test", max_images=90)
    assert again.report.n_target == 91
    rerun(test=world.test, max_images=90)
    before = sum(forwarded)
    rerun(test=tmp_path / "test", max_images=90)
    assert sum(forwarded) == before


def test_batch_size_and_workers_move_no_score_by_more_than_two_target_points(
    world, first: AugmentationRanking, tmp_path: Path
):
    other = run(world, tmp_path / "cache", batch_size=7, workers=3)
    for candidate in first.report.candidates:
        same = other.report.candidate(candidate.name)
        assert abs(candidate.scores.coverage - same.scores.coverage) <= 2 / 60
        if candidate.scores.consistent_coverage is not None:
            assert abs(candidate.scores.consistent_coverage - same.scores.consistent_coverage) <= 2 / 60
        assert (candidate.samples, candidate.left_out) == (same.samples, same.left_out)
    assert other.report.of("ranked")[0].name == "invert"


def test_names_and_order_of_the_target_files_change_no_number(
    world: World, first: AugmentationRanking, rerun, tmp_path: Path
):
    names = list(world.truth)
    random.Random(0).shuffle(names)
    (tmp_path / "test").mkdir()
    for place, name in enumerate(names):
        shutil.copy(world.test / name, tmp_path / "test" / f"{place:03d}.png")
    again = rerun(test=tmp_path / "test", candidates=(*SETTINGS["candidates"],), max_images=60)
    assert scores_of(again) == scores_of(first)
    assert again.report.shift == first.report.shift


@pytest.mark.parametrize("lie", [False, True])
def test_labels_of_the_target_are_not_read(world: World, first: AugmentationRanking, rerun, tmp_path: Path, lie: bool):
    """Class folders and classes in the names, true or false, give what the flat folder gives."""
    classes = sorted(set(world.truth.values()))
    for name, label in world.truth.items():
        told = classes[(classes.index(label) + lie) % 4]
        write(np.asarray(Image.open(world.test / name)), tmp_path / "test" / told / f"class_{told}_{name}")
    assert scores_of(rerun(test=tmp_path / "test")) == scores_of(first)


def test_without_a_test_folder_the_validation_images_are_the_target(rerun):
    report = rerun(test=None).report
    assert report.target == "validation"
    assert report.n_target == report.n_val
    assert report.n_target_used == report.n_val_used == report.n_sources
    assert report.shift.ratio == 1
    assert report.shift.domain_auc is None
    assert report.candidate("clean").scores.coverage > 0.7
    assert "validation" in report.headline or report.advice == "trivial-augment"


def test_generated_images_are_one_more_candidate(world: World, rerun, tmp_path: Path):
    """A perfect generator: more digits as the target shows them."""
    for path in sorted(world.train.glob("*/*.png"))[::2]:
        write(255 - np.asarray(Image.open(path)), tmp_path / "made" / path.parent.name / path.name)
    result = rerun(generated=tmp_path / "made", images=True)
    made = result.report.candidate("generated")
    assert (made.family, made.role, made.group) == ("generated", "ranked", 1)
    assert made.scores.consistent_coverage > result.report.candidate("clean").scores.consistent_coverage
    assert made.samples == 105
    assert len(result.pictures.samples["generated"]) == 5


def test_generated_images_of_an_unknown_class_are_refused(world: World, tmp_path: Path):
    write(np.zeros((32, 32), np.uint8), tmp_path / "made" / "cat" / "1.png")
    with pytest.raises(InputError, match="'cat'"):
        run(world, tmp_path / "cache", generated=tmp_path / "made")


def test_a_model_of_the_users_own_needs_no_baseline(rerun, tmp_path: Path, monkeypatch):
    (tmp_path / "own_net.py").write_text(
        "import torch\n\n"
        "def make():\n"
        "    torch.manual_seed(0)\n"
        "    layers = [torch.nn.Conv2d(3, 16, 5, stride=3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(3)]\n"
        "    return torch.nn.Sequential(*layers, torch.nn.Flatten())\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    report = rerun(model="own_net:make", from_scratch=False, mean=(0.5,) * 3, std=(0.5,) * 3).report
    assert report.models[0].pretrained
    assert report.models[0].baseline_accuracy is None
    assert report.models[0].feature_count == 144
    assert report.n_sources == 60
    assert report.of("ranked")[0].name == "invert"


def test_pictures_show_every_candidate_on_the_same_images_and_can_be_left_out(first: AugmentationRanking, rerun):
    assert first.pictures.samples == {}
    assert first.map.thumbnails.shape[1:] == (1, 1, 3)
    seen = rerun(images=True)
    assert set(seen.pictures.samples) == {candidate.name for candidate in seen.report.candidates}
    assert {pictures.shape for pictures in seen.pictures.samples.values()} == {(4, 64, 64, 3)}
    np.testing.assert_array_equal(seen.pictures.samples["invert"], 255 - seen.pictures.samples["clean"])
    assert seen.map.thumbnails.shape[1:] == (32, 32, 3)
    assert len(seen.pictures.uncovered) == len(seen.pictures.uncovered_ids) == min(24, len(seen.report.uncovered))
    assert scores_of(seen) == scores_of(first)


def test_without_projections_there_is_no_map(rerun):
    result = rerun(projections=())
    assert result.map is None
    assert result.report.projections == []


def test_candidates_for_the_map_can_be_named(rerun):
    drawn = rerun(plot=("edges",)).map
    assert drawn.candidates == ["invert", "edges"]
    assert (drawn.cloud == "edges").sum() == rerun().report.candidate("edges").samples


def test_files_that_cannot_be_read_are_counted_and_end_nothing(
    world: World, rerun, first: AugmentationRanking, tmp_path: Path
):
    shutil.copytree(world.test, tmp_path / "test")
    (tmp_path / "test" / "empty.png").touch()
    (tmp_path / "test" / "page.jpg").write_text("<html>not found</html>", encoding="utf-8")
    whole = next(world.test.iterdir()).read_bytes()
    (tmp_path / "test" / "cut.png").write_bytes(whole[: len(whole) // 2])
    report = rerun(test=tmp_path / "test", max_images=120).report
    reasons = {Path(item.path).name: item.reason for item in report.skipped}
    assert set(reasons) == {"empty.png", "page.jpg", "cut.png"}
    assert all(reasons.values())
    assert report.n_target_used == 90


def test_an_unknown_candidate_is_reported_before_any_image_is_read(tmp_path: Path):
    with pytest.raises(InputError, match="mirror"):
        prepare(tmp_path, check_settings(**(SETTINGS | {"candidates": ("miror",)})), cache=tmp_path)


def test_a_setting_that_does_not_exist_is_an_input_error(tmp_path: Path):
    with pytest.raises(InputError, match="--no-such-thing"):
        check_settings(no_such_thing=1)
    with pytest.raises(TypeError, match="no_such_thing"):
        run(World(tmp_path, tmp_path, {}), tmp_path, no_such_thing=1)


@pytest.mark.parametrize(
    ("name", "value"), [("max_images", 3), ("samples_per_image", 0), ("size", 2), ("scratch_time_s", 0)]
)
def test_a_setting_out_of_range_names_its_option_and_the_value(name: str, value: int):
    with pytest.raises(InputError, match=f"--{name.removesuffix('_s').replace('_', '-')}: .*got {value}"):
        check_settings(**{name: value})


def test_an_unknown_model_is_a_model_error_that_names_the_nearest(world: World, tmp_path: Path):
    with pytest.raises((ModelError, InputError), match="test_resnet"):
        run(world, tmp_path, model="test_resnett")


def test_an_estimate_has_time_memory_and_disk_and_keeps_no_feature(world: World, tmp_path: Path, monkeypatch):
    module = import_module("eyeshot.rankings.augmentations.plan")

    def slow(backbone, images, **options):
        time.sleep(0.02 * len(images))

    monkeypatch.setattr(module, "extract", slow)
    plan = prepare(world.train, check_settings(**(SETTINGS | {"test": world.test})), cache=tmp_path / "cache")
    cost = estimate(plan)
    forward = int(re.search(r"forward (\d+) s", cost.words)[1])
    assert cost.seconds > forward > 0.02 * plan.n_samples
    assert cost.memory_bytes > 2**28
    assert cost.disk_bytes > plan.n_samples * 2 * 96
    held_out = len(plan.tables.val)
    assert plan.n_samples == 60 * (4 + 2 * 3) + 7 * held_out
    assert not (tmp_path / "cache" / "features").exists()
    assert not (tmp_path / "cache" / "baselines").exists()


def test_one_name_of_a_family_works_like_a_list_of_one(rerun):
    names = {candidate.name for candidate in rerun(candidates="mixing").report.candidates}
    assert "mixup" in names
    assert names == {candidate.name for candidate in rerun(candidates=("mixing",)).report.candidates}


def test_a_folder_as_a_string_is_taken_for_reading_saving_and_the_page(world: World, first_cache: Path, tmp_path: Path):
    again = run(World(str(world.train), str(world.test), {}), str(first_cache))  # type: ignore[arg-type]
    assert again.save(str(tmp_path / "results")) == tmp_path / "results" / "augmentations.json"
    assert write_ranking_page(again, str(tmp_path / "augmentations.html")).is_file()


def test_help_shows_every_setting_with_its_default():
    shown = inspect.signature(rank_augmentations).parameters
    fields = dict(RankingSettings.model_fields)
    del fields["rules"]  # no option: eyeshot.toml states them
    for name in ("decisions", "split"):
        # The project's own files are used where there are such; the settings name the files.
        assert fields.pop(name).default is None
        assert shown[name].default is True
    for name, field in fields.items():
        assert shown[name].default == field.default, name
    assert rank_augmentations.__doc__


def test_a_model_whose_features_are_the_same_for_all_images_is_refused(rerun, tmp_path: Path, monkeypatch):
    (tmp_path / "constant_net.py").write_text(
        "import torch\n\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = torch.nn.Conv2d(3, 8, 3)\n\n"
        "    def forward(self, images):\n"
        "        return self.layer(images).mean((2, 3)) * 0 + 1\n\n"
        "def make():\n"
        "    torch.manual_seed(0)\n"
        "    return Net()\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="constant_net:make gave the same for all 60") as raised:
        rerun(model="constant_net:make", from_scratch=False, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert "--mean" in str(raised.value)


def test_labels_that_say_nothing_of_the_images_are_the_headline_and_nothing_is_ranked(
    world: World, rerun, tmp_path: Path, monkeypatch
):
    images = sorted(world.train.glob("*/*.png"))
    classes = np.random.default_rng(3).integers(0, 4, len(images))
    for path, label in zip(images, classes, strict=True):
        write(np.asarray(Image.open(path)), tmp_path / "train" / str(label) / path.name)
    result = run(World(tmp_path / "train", world.test, {}), tmp_path / "cache", budget_s=60.0)
    report = result.report
    assert report.headline.startswith("This model's features cannot tell the classes apart here")
    assert report.advice == "clean"
    assert [candidate.rank for candidate in report.candidates] == [None] * len(report.candidates)
    assert report.budget is None
    assert any(note.startswith("No short runs:") for note in report.notes)
    assert any(f"{report.n_sources} source images" in words for words in report.answer)
    assert any(words.startswith("Baseline:") for words in report.answer)
    assert report.recipe == []
    assert result.map is None
    assert write_ranking_page(result, tmp_path / "page.html").is_file()


@pytest.mark.parametrize(("kind", "max_images"), [("equal files", 30), ("equal files", 200), ("mirrored", 200)])
def test_duplicates_within_the_target_count_once_and_make_no_shift(
    world: World, rerun, tmp_path: Path, kind: str, max_images: int
):
    shutil.copytree(world.test, tmp_path / "test")
    plain = rerun(test=tmp_path / "test", max_images=max_images).report
    copied = sorted(world.test.iterdir())[0]
    for number in range(60):
        if kind == "equal files":
            shutil.copy(copied, tmp_path / "test" / f"copy-{number}.png")
        else:
            mirrored = Image.open(copied).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            mirrored.resize((mirrored.width - 1, mirrored.height - 1)).save(tmp_path / "test" / f"copy-{number}.jpg")
    report = rerun(test=tmp_path / "test", max_images=max_images).report
    assert report.n_target == plain.n_target + 60
    assert report.n_target_used == plain.n_target_used
    assert report.shift == plain.shift
    assert any("60 target images are duplicates" in note for note in report.notes)
    assert [candidate.score for candidate in report.candidates] == [candidate.score for candidate in plain.candidates]


def test_of_a_few_images_no_winner_is_named(world: World, rerun, tmp_path: Path):
    (tmp_path / "test").mkdir()
    for path in sorted(world.test.iterdir())[:24]:
        shutil.copy(path, tmp_path / "test")
    report = rerun(test=tmp_path / "test").report
    assert report.headline.startswith("Too few images to say: 24 test images are used")
    assert f"{report.headline} {report.next_step}" in report.notes  # it was said before the work, too
    assert report.advice == "clean"
    for candidate in report.candidates:
        assert candidate.interval is None or (candidate.interval[0] >= -1 and candidate.interval[1] <= 1)


def test_a_target_of_duplicates_alone_is_refused_with_what_it_needs(world: World, rerun, tmp_path: Path):
    copied = sorted(world.test.iterdir())[0]
    (tmp_path / "test").mkdir()
    for number in range(40):
        shutil.copy(copied, tmp_path / "test" / f"{number}.png")
    with pytest.raises(InputError, match=r"at least 12 different target images .* got 1 among 40 files"):
        rerun(test=tmp_path / "test")
