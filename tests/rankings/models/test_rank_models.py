import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_networks import write_networks, write_pictures

from eyeshot import rank_models
from eyeshot.core import InputError, ModelError
from eyeshot.rankings import ModelsReport, write_models
from eyeshot.rankings.models import job


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_networks(tmp_path)
    write_pictures(tmp_path / "train")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EYESHOT_CACHE", raising=False)
    return tmp_path


def ranked(models, **options):
    options = {"size": 24, "budget_s": 0, "progress": False} | options
    return rank_models(options.pop("train", "train"), models=[f"nets:{name}" for name in models], **options)


def comparable(report):
    """All that does not depend on how long something took."""
    values = json.loads(report.model_dump_json())
    for name in ("used_s", "command", "cheap"):
        values.pop(name)
    for model in values["models"]:
        model["probe"].pop("seconds")
        for name in ("seconds_per_1000", "timed_images"):
            model["cost"].pop(name)
    return values


def test_the_planted_better_model_is_advised_and_the_worse_is_told_apart(here):
    report = ranked(["poor", "good"])
    assert report.advised.name == "nets:good"
    first, second = report.models
    assert (first.name, first.rank, second.rank) == ("nets:good", 1, 2)
    assert first.probe.with_best
    assert not second.probe.with_best
    assert second.probe.difference < 0
    assert second.probe.difference_interval[1] < 0
    assert first.probe.difference is None
    assert "better than every other" in report.advised.reason
    assert report.headline.startswith("Take nets:good: ")


def test_two_identical_models_cannot_be_told_apart(here):
    report = ranked(["good", "twin"])
    assert [model.probe.with_best for model in report.models] == [True, True]
    assert report.models[1].probe.difference == 0
    assert report.models[1].probe.difference_interval == (0, 0)
    assert "cannot be told apart" in report.headline


def test_every_image_is_judged_once_and_the_accuracy_has_its_interval(here):
    probe = ranked(["good"]).models[0].probe
    assert probe.accuracy.n == 60
    assert probe.accuracy.low < probe.accuracy.value < probe.accuracy.high or probe.accuracy.value == 1
    assert {worst.name for worst in probe.worst_classes} <= {"c0", "c1", "c2"}
    values = [worst.accuracy.value for worst in probe.worst_classes]
    assert values == sorted(values)


def test_a_class_with_one_image_trains_and_is_not_judged(here):
    write_pictures(here / "odd", (12, 12, 1))
    report = ranked(["good"], train="odd")
    assert (report.n_images, report.n_judged) == (25, 24)
    assert any("c2" in note and "cannot be judged" in note for note in report.notes)
    assert all(worst.name != "c2" for worst in report.models[0].probe.worst_classes)


def test_a_model_that_fails_is_left_out_and_the_rest_goes_on(here):
    report = ranked(["broken", "good"])
    assert [model.name for model in report.models] == ["nets:good"]
    assert report.left_out[0].name == "nets:broken"
    assert "cannot be made" in report.left_out[0].why


def test_where_no_model_can_be_ranked_the_first_reason_is_the_error(here):
    with pytest.raises(ModelError, match="cannot be made"):
        ranked(["broken"])


def test_a_model_added_later_computes_only_itself(here, monkeypatch):
    first = ranked(["good"])
    computed = []
    usual = job.run_probe
    monkeypatch.setattr(job, "run_probe", lambda data, backbone, **more: computed.append(backbone.name) or usual(
        data, backbone, **more))  # fmt: skip
    both = ranked(["good", "poor"])
    assert computed == ["nets:poor"]
    assert both.models[0].cost == first.models[0].cost


def test_other_images_are_not_answered_from_the_store(here, monkeypatch):
    before = ranked(["good"])
    write_pictures(here / "train", (21, 20, 20))
    after = ranked(["good"])
    assert after.models[0].probe.accuracy.n == before.models[0].probe.accuracy.n + 1


def test_with_test_images_there_are_coverage_and_an_estimate_without_their_labels(here):
    write_pictures(here / "test", (8, 8, 8), seed=5)
    model = ranked(["good"], test="test").models[0]
    assert model.probe.test.n == 24
    assert model.probe.test.n_train == 60
    assert 0 <= model.probe.test.consistent_coverage <= model.probe.test.coverage <= 1
    assert abs(model.probe.test.estimate.value - model.probe.accuracy.value) < 0.25


def test_with_test_images_one_rule_says_which_models_are_considered(here, monkeypatch):
    write_pictures(here / "test", seed=1)
    report = ranked(["poor", "good"], test="test")
    assert (
        (report.choice.by, report.choice.chosen) == ("validation", "nets:good") == ("validation", report.advised.name)
    )
    assert "no shift" in report.choice.shift
    assert report.choice.shift in report.notes
    assert ranked(["poor", "good"]).choice is None

    def shifted(*arguments):
        found = report.choice.model_copy(
            update={"by": "estimate", "tied": ("nets:poor",), "shift": "There is a shift."}
        )
        return found

    monkeypatch.setattr(job, "choose_by_estimate", shifted)
    shifted_report = ranked(["poor", "good"], test="test")
    assert shifted_report.advised.name == shifted_report.choice.chosen == "nets:poor"
    assert "the estimate of accuracy there left 1 of 2 models to choose from" in shifted_report.headline
    assert "the only model that may be the best by the estimate on the test images" in shifted_report.advised.reason


def test_names_of_test_images_do_not_matter_so_labels_cannot_leak(here):
    write_pictures(here / "test", (8, 8, 8), seed=5)
    before = ranked(["good"], test="test").models[0].probe.test
    flat = here / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted((here / "test").rglob("*.png"))):
        file.rename(flat / f"{number:03}.png")
    after = ranked(["good"], test="flat", cache=here / "other").models[0].probe.test
    assert after.estimate.value == pytest.approx(before.estimate.value, abs=1e-6)


def test_a_budget_too_small_for_one_model_is_refused_before_the_start(here, monkeypatch):
    monkeypatch.setattr(job, "run_probe", lambda *_, **__: pytest.fail("the work began"))
    with pytest.raises(InputError, match=r"--budget must reach for one model.*nets:good.*--budget 1m or more"):
        ranked(["good"], budget_s=1e-6)


def test_memory_weights_and_time_are_measured(here):
    cost = ranked(["good"]).models[0].cost
    assert cost.parameters == 12 * 12 + 12
    assert cost.weights_bytes == 4 * cost.parameters
    assert cost.memory_bytes > cost.weights_bytes + 16 * 3 * 24 * 24 * 4
    assert cost.seconds_per_1000 > 0
    assert cost.timed_images >= 8


def test_the_report_is_read_back_from_its_file(here):
    report = ranked(["good", "poor"])
    file = write_models(report, here / "out")
    assert ModelsReport.model_validate_json(file.read_text("utf-8")) == report


CODE = """
import sys, time
from pathlib import Path
from eyeshot.rankings.models import job
from eyeshot import rank_models
if sys.argv[1] == "slow":
    usual = job.run_probe
    def slow(data, backbone, **more):
        if backbone.name == "nets:poor":
            Path("first-is-done").touch()
            time.sleep(60)
        return usual(data, backbone, **more)
    job.run_probe = slow
rank_models("train", models=["nets:good", "nets:poor"], size=24, budget_s=0, progress=False)
"""


def test_killed_in_rung_1_and_run_again_it_ends_as_if_nothing_had_happened(here):
    process = subprocess.Popen([sys.executable, "-c", CODE, "slow"])
    try:
        begin = time.monotonic()
        while not Path("first-is-done").exists() and time.monotonic() - begin < 200 and process.poll() is None:
            time.sleep(0.1)
        assert process.poll() is None
    finally:
        process.kill()  # SIGKILL
        process.wait()
    resumed = ranked(["good", "poor"])
    whole = ranked(["good", "poor"], cache=here / "another")
    assert comparable(resumed) == comparable(whole)


def test_the_folds_of_the_split_file_judge(here):
    from eyeshot import split

    split("train", folds=3, progress=False).write(here / "split.json")
    (here / "eyeshot.toml").write_text("", encoding="utf-8")
    report = ranked(["good"])
    assert report.folds == 3
    assert any("Split of split.json: 3 folds" in note for note in report.notes)


def test_messages_of_loading_name_the_options_of_this_command(here):
    code = "from torch import nn\ndef make(**_):\n    return nn.Linear(3, 4)\n"
    (here / "moody.py").write_text(code, encoding="utf-8")
    with pytest.raises(ModelError) as refused:
        rank_models("train", models=["moody:make"], size=24, budget_s=0, progress=False)
    said = str(refused.value)
    assert "two calls gave different weights" in said
    assert (
        "Give its weights with --models TAG=FILE, or train a baseline here with eyeshot train --from-scratch." in said
    )
