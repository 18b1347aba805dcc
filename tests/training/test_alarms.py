"""Each alarm is fired by its planted fault, and none by a healthy run."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from eyeshot.augment import Pool
from eyeshot.core import ProgressDisplay
from eyeshot.training import StepRecord
from eyeshot.training.checks.alarms import AlarmWatch
from eyeshot.training.result import read_result
from eyeshot.training.run import train

from .helpers import CLASSES, SETTINGS, make_pool, run, tiny_backbone

LONG = SETTINGS.model_copy(update={"epochs": 30})


class Memory(nn.Module):
    """Can learn any labels of a few images by heart; without batch normalisation."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(768, 64), nn.ReLU())

    def forward(self, images):
        return self.layers(images)


def faint_pool(count, contrast, seed=0):
    """Noise, and one grey level per class that is hardly different from the others."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 3
    images = (128 + contrast * (labels - 1))[:, None, None, None] + random.normal(0, 40, (count, 16, 16, 3))
    return Pool(images.clip(0, 255).astype(np.uint8), [f"{number:032x}" for number in range(count)]), labels


def kinds(result):
    return [alarm.kind for alarm in result.alarms]


def halves(tmp_path, backbone, pool, labels, **options):
    """A run on the first half of the images, validated on the second."""
    rows = np.arange(len(pool))
    half = len(pool) // 2
    arguments = {"classes": CLASSES, "settings": LONG, "folder": tmp_path, "curves": False} | options
    return train(backbone, pool, labels, rows[:half], rows[half:], **arguments)


@pytest.mark.parametrize(
    ("change", "seed"), [({}, 0), ({"batch_size": 12}, 1), ({"learning_rate": 0.003, "label_smoothing": 0.1}, 2)]
)
def test_healthy_runs_raise_no_alarm(tmp_path, change, seed):
    assert run(tmp_path, LONG.model_copy(update=change | {"seed": seed})).alarms == ()


def test_a_network_without_batch_norm_that_is_healthy_raises_no_alarm(tmp_path):
    pool, labels = make_pool(120)
    settings = LONG.model_copy(update={"learning_rate": 1e-3})
    result = halves(tmp_path, tiny_backbone(Memory(), features=64), pool, labels, settings=settings)
    assert result.accuracy.value > 0.9
    assert result.alarms == ()


def test_a_learning_rate_that_is_far_too_low_is_told_while_there_is_time(tmp_path):
    result = run(tmp_path, LONG.model_copy(update={"learning_rate": 1e-6}))
    (alarm,) = [alarm for alarm in result.alarms if alarm.kind == "learning-rate-low"]
    assert alarm.step < 0.4 * result.steps
    assert "barely moved" in alarm.seen
    assert float(alarm.next_step.split()[2].rstrip(",")) > 1e-4


def test_a_learning_rate_that_is_far_too_high_is_told_while_there_is_time(tmp_path):
    result = run(tmp_path, LONG.model_copy(update={"learning_rate": 10.0}))
    (alarm,) = [alarm for alarm in result.alarms if alarm.kind in ("learning-rate-high", "divergence")]
    assert alarm.step < 0.5 * result.steps
    assert "too high" in alarm.cause
    assert "learning rate of 1 " in alarm.next_step


def test_a_training_that_learns_and_then_diverges_is_told(tmp_path):
    pool, labels = make_pool(120)
    settings = LONG.model_copy(update={"learning_rate": 10.0, "warm_up_share": 0.95})
    result = halves(tmp_path, tiny_backbone(), pool, labels, settings=settings)
    (alarm,) = [alarm for alarm in result.alarms if alarm.kind == "divergence"]
    assert "The loss rose from 0." in alarm.seen
    assert "too high" in alarm.cause


def test_a_class_that_is_never_predicted_is_told_by_its_name(tmp_path):
    pool, labels = make_pool(120)
    bright = np.flatnonzero(labels == 2)
    labels[bright[bright < 60][2:]] = 1  # of the 20 bright training images all but two say "middle"
    result = halves(tmp_path, tiny_backbone(), pool, labels)
    (alarm,) = [alarm for alarm in result.alarms if alarm.kind == "dead-classes"]
    assert "1 of 3 classes is never predicted" in alarm.seen
    assert "'bright' with 20 validation and 2 training images" in alarm.seen


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_of_other_images_are_told_apart_from_overfitting(tmp_path, seed):
    """The same network fits both trainings; only where labels are shuffled is validation at chance."""
    settings = LONG.model_copy(update={"learning_rate": 1e-3, "seed": seed})
    backbone = tiny_backbone(Memory(), features=64)
    pool, labels = faint_pool(240, contrast=3)
    shuffled = np.random.default_rng(seed).permutation(labels)
    wrong = halves(tmp_path / "shuffled", backbone, pool, shuffled, settings=settings)
    right = halves(tmp_path / "overfitted", backbone, pool, labels, settings=settings)
    assert wrong.history[-1].train_accuracy == right.history[-1].train_accuracy == 1.0
    assert 0.45 < right.accuracy.value < 0.85
    assert kinds(wrong) == ["labels"]
    assert kinds(right) == ["gap"]


def test_a_gap_is_told_with_its_interval(tmp_path):
    pool, labels = faint_pool(240, contrast=3)
    settings = LONG.model_copy(update={"learning_rate": 1e-3})
    result = halves(tmp_path, tiny_backbone(Memory(), features=64), pool, labels, settings=settings)
    (alarm,) = result.alarms
    assert alarm.epoch >= 0.75 * 30
    assert "Training accuracy is 100.0%" in alarm.seen
    assert "(95 % interval)" in alarm.seen


@pytest.mark.parametrize(("size", "fired"), [(4, True), (7, True), (8, False)])
def test_batch_norm_over_tiny_batches_is_told_before_the_first_step(tmp_path, size, fired):
    result = run(tmp_path, SETTINGS.model_copy(update={"batch_size": size}))
    alarms = [alarm for alarm in result.alarms if alarm.kind == "small-batches"]
    assert len(alarms) == fired
    assert all(f"only {size} images" in alarm.seen and alarm.step == 0 for alarm in alarms)


def test_without_batch_norm_tiny_batches_are_no_alarm(tmp_path):
    pool, labels = make_pool(60)
    backbone = tiny_backbone(Memory(), features=64)
    settings = SETTINGS.model_copy(update={"batch_size": 4, "learning_rate": 1e-3})
    assert "small-batches" not in kinds(halves(tmp_path, backbone, pool, labels, settings=settings))


@pytest.mark.parametrize(
    ("mean", "std", "divide", "cause"),
    [
        ((0.0,) * 3, (1 / 255,) * 3, 1, "constants do not belong"),  # 0-255 into the network
        ((0.485, 0.456, 0.406), (58.4, 57.1, 57.4), 1, "constants do not belong"),  # std of 0-255 on images in 0-1
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 255, "values of 0 to 1"),  # files that hold 0 to 1
    ],
)
def test_wrong_normalisation_is_told_before_the_first_step(tmp_path, mean, std, divide, cause):
    pool, labels = make_pool()
    pool = Pool(pool.images // divide, pool.keys)
    backbone = dataclasses.replace(tiny_backbone(), mean=mean, std=std)
    (alarm,) = [
        alarm for alarm in run(tmp_path, backbone=backbone, data=(pool, labels)).alarms if alarm.kind == "normalisation"
    ]
    assert cause in alarm.cause
    assert alarm.step == 0


def test_mean_and_std_of_another_model_are_told_but_not_those_that_hardly_differ(tmp_path):
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    clip = ((0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758))
    other = dataclasses.replace(tiny_backbone(), own_normalisation=imagenet)
    (alarm,) = [alarm for alarm in run(tmp_path / "other", backbone=other).alarms if alarm.kind == "normalisation"]
    assert "trained with 0.485, 0.456 and 0.406" in alarm.seen
    close = dataclasses.replace(other, mean=clip[0], std=clip[1])
    assert "normalisation" not in kinds(run(tmp_path / "close", backbone=close))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ((0.5,) * 3, (0.5,) * 3),
        ((0.4824, 0.4588, 0.4078), (1 / 255,) * 3),  # SqueezeNet's own: 0-255 less a mean
    ],
)
def test_photographs_and_sketches_are_normalised_without_an_alarm(shared, mean, std):
    from PIL import Image

    for kind in ("photo", "sketch"):
        files = sorted((shared / "data" / "pacs" / kind).glob("*/*"))[::40]
        images = np.stack([np.asarray(Image.open(file).convert("RGB").resize((64, 64))) for file in files]) / 255
        values = (images - mean) / std
        watch = make_watch()
        watch.check_normalisation(values.mean((0, 1, 2)), values.std((0, 1, 2)), mean=mean, std=std)
        assert watch.alarms == []


def test_a_fitted_head_that_training_does_not_find_again_is_told(tmp_path):
    backbone = tiny_backbone(pretrained=True)
    for layer in backbone.module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_var.fill_(1e4)  # as of images of quite another kind
    result = run(tmp_path / "lost", backbone=backbone)
    assert result.alarms[0].kind == "start"
    assert result.alarms[0].step == 1


def test_a_loss_that_is_not_finite_leaves_its_reason_in_the_log(tmp_path):
    from eyeshot.core import EyeshotError

    with pytest.raises(EyeshotError, match="diverged"):
        run(tmp_path, SETTINGS.model_copy(update={"learning_rate": 1e30, "warm_up_share": 0.5}))
    assert "tiny diverged" in (tmp_path / "log.txt").read_text("utf-8")


def test_an_alarm_is_shown_once_on_a_line_of_its_own_when_it_fires_and_is_logged_and_stored(tmp_path):
    from io import StringIO

    shown = StringIO()
    pool, labels = make_pool()
    pool.images[:] = 100
    with ProgressDisplay(shown, live=True) as display:
        result = run(tmp_path, LONG, data=(pool, labels), progress=display.sub("training"))
    (alarm,) = [alarm for alarm in result.alarms if alarm.kind == "chance"]
    assert alarm.step < 0.6 * result.steps
    assert shown.getvalue().count("stayed at chance") == 1
    assert f"alarm: {alarm.words}\n" in shown.getvalue()
    assert (tmp_path / "log.txt").read_text("utf-8").count(f"alarm (chance, step {alarm.step}") == 1
    assert read_result(tmp_path).alarms == result.alarms


def test_results_whose_alarms_are_sentences_can_still_be_read(tmp_path):
    run(tmp_path)
    file = tmp_path / "result.json"
    fields = json.loads(file.read_text("utf-8"))
    fields["alarms"] = ["Training accuracy stayed at chance."]
    del fields["notes"]
    file.write_text(json.dumps(fields), "utf-8")
    (alarm,) = read_result(tmp_path).alarms
    assert (alarm.kind, alarm.words) == ("chance", "Training accuracy stayed at chance.")


def make_watch(**changes):
    options = {"total_steps": 200, "warm_up_steps": 20, "epochs": 10, "learning_rate": 0.1} | changes
    return AlarmWatch(np.array([50, 50, 50]), classes=CLASSES, **options)


def feed(watch, losses, first=1):
    for step, loss in enumerate(losses, first):
        watch.step(StepRecord(step, (step - 1) // 20, 0.1, float(loss), 4, 8, 1.0, 0.01, 0.0))


@pytest.mark.parametrize("seed", range(20))
def test_noise_of_batches_is_no_divergence(seed):
    random = np.random.default_rng(seed)
    watch = make_watch()
    fall = 1.1 * np.exp(-np.arange(200) / 50) + 0.05
    feed(watch, fall * random.lognormal(0, 0.6, 200))
    assert watch.alarms == []


def test_a_watch_that_is_saved_and_loaded_fires_as_one_that_was_not():
    losses = np.r_[np.linspace(1.1, 0.2, 100), np.linspace(0.2, 3, 100)] + np.random.default_rng(0).normal(0, 0.02, 200)
    whole = make_watch()
    feed(whole, losses)
    begun, continued = make_watch(), make_watch()
    feed(begun, losses[:117])
    continued.load_state_dict(json.loads(json.dumps(begun.state_dict())))
    feed(continued, losses[117:], first=118)
    assert [alarm.kind for alarm in whole.alarms] == ["divergence"]
    assert continued.alarms == whole.alarms


def test_training_at_chance_is_no_alarm_while_validation_is_surely_above_it():
    """Two steps after the best linear head: batches of 64 at 30 %, and 19 of 20 validation images right."""
    labels = np.arange(60) % 3
    for predicted, expected in ((labels, []), (np.zeros(60, int), ["chance"])):
        watch = make_watch(total_steps=2, warm_up_steps=1, epochs=2)
        watch.epoch(2, 2, loss=1.6, right=19, seen=64, predicted=predicted, labels=labels)
        assert [alarm.kind for alarm in watch.alarms if alarm.kind == "chance"] == expected


@pytest.mark.parametrize(
    ("clean", "lag", "expected"),
    [
        (40, 4, []),  # averages of batch normalisation that are not there yet: training images are at chance as well
        (40, 10, [("gap", 9)]),  # they never get there
        (110, 10, [("labels", 2)]),  # the network knows its training images by heart, and nothing else
    ],
)
def test_averages_that_are_not_there_yet_are_not_taken_for_wrong_labels(clean, lag, expected):
    """A digit classifier of the demo: 83 % right in training and 14 % on validation after 2 of 10 epochs."""
    labels = np.arange(120) % 3
    watch = make_watch()
    asked = 0

    def count():
        nonlocal asked
        asked += 1
        return clean, 120

    for epoch in range(1, 11):
        predicted = np.zeros(120, int) if epoch <= lag else labels
        watch.epoch(epoch, 20 * epoch, loss=0.5, right=105, seen=120, predicted=predicted, labels=labels, clean=count)
    assert [(alarm.kind, alarm.epoch) for alarm in watch.alarms if alarm.kind != "dead-classes"] == expected
    assert asked == lag
    if clean == 40 and expected:
        assert "33.3% of 120 training images and 33.3% of 120 validation images are right" in watch.alarms[0].seen


def test_a_rare_class_alone_is_no_chance_level():
    """With 99 % of the images in one class no network is more accurate than its name; the loss says that it learns."""
    watch = AlarmWatch(
        np.array([990, 10]), classes=("common", "rare"), total_steps=100, warm_up_steps=10, epochs=10, learning_rate=0.1
    )
    watch.epoch(10, 100, loss=0.01, right=990, seen=1000)
    assert watch.alarms == []
    watch.epoch(10, 100, loss=0.056, right=990, seen=1000)
    assert [alarm.kind for alarm in watch.alarms] == ["chance"]
