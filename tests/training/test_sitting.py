"""What happens while a run trains: memory that runs out, a device that is lost, a disk that is full, its lines."""

import errno
import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from eyeshot.augment import augmentation
from eyeshot.core import CallbackProgress
from eyeshot.core.errors import StorageError
from eyeshot.training import run_log, sitting
from eyeshot.training.curves import MOST_POINTS, binned, draw_curves
from eyeshot.training.run_log import TIME_FIELDS, read_metrics

from .helpers import SETTINGS, Tiny, make_pool, run, tiny_backbone


class Small(Tiny):
    """As a device on which more than `room` images do not fit."""

    room, message, left = 4, "CUDA out of memory. Tried to allocate 2.00 GiB", 10**9

    def forward(self, images):
        if self.training and len(images) > self.room:
            type(self).left -= 1
            if type(self).left < 0:
                raise RuntimeError(self.message)
        return super().forward(images)


def small_backbone(steps, **changes):
    """Memory runs out after `steps` steps."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kind = type("Room", (Small,), changes | {"left": steps})
        return tiny_backbone(kind())


def test_memory_that_runs_out_halves_the_batches_and_the_same_step_goes_on(tmp_path):
    result = run(tmp_path, backbone=small_backbone(7))
    (note,) = result.notes
    assert note.startswith("Out of memory at step 8: a step now takes its 8 images in 2 parts of 4 instead of 8.")
    assert "BatchNorm now normalises over 4 images" in note
    assert note in (tmp_path / "log.txt").read_text("utf-8")
    assert [fields["step"] for fields in read_metrics(tmp_path)[0]] == list(range(1, 31))
    assert result.alarms[0].kind == "small-batches"
    assert (result.alarms[0].step, result.alarms[0].epoch) == (7, 2)
    assert result.settings.accumulate == 1  # as given: the key of the run stays


def test_batches_are_halved_until_they_fit(tmp_path):
    notes = run(tmp_path, backbone=small_backbone(0, room=2)).notes
    assert [note.split("images in ")[1][:12] for note in notes] == ["2 parts of 4", "4 parts of 2"]


def test_what_no_batch_of_two_fits_into_is_an_error_and_the_run_can_be_continued(tmp_path):
    with pytest.raises(RuntimeError, match="out of memory"):
        run(tmp_path, backbone=small_backbone(0, room=1))
    assert "stopped after step 0: CUDA out of memory" in (tmp_path / "log.txt").read_text("utf-8")


def test_weights_may_begin_to_be_trained_at_the_very_step_that_is_watched(tmp_path):
    settings = SETTINGS.model_copy(update={"epochs": 10, "freeze": "head-first", "head_epochs": 1})
    assert settings.warm_up_share * settings.epochs == settings.head_epochs  # the peak ends the head's epochs
    assert len(run(tmp_path, settings=settings).history) == 10


def test_a_run_without_batch_norm_ends_alike_with_and_without_enough_memory(tmp_path):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.room = 8
            torch.manual_seed(0)
            self.linear = nn.Linear(768, 8)

        def forward(self, images):
            if self.training and len(images) > self.room:
                raise RuntimeError("CUDA out of memory")
            return self.linear(images.flatten(1))

    enough, little = Plain(), Plain()
    little.room = 4
    first = run(tmp_path / "enough", backbone=tiny_backbone(enough))
    second = run(tmp_path / "little", backbone=tiny_backbone(little))
    assert not any("BatchNorm" in note for note in second.notes)
    weights = [load_file(tmp_path / name / "weights.safetensors") for name in ("enough", "little")]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-4) for name in weights[0])
    assert (first.notes, len(second.notes)) == ((), 1)


def test_a_resumed_run_keeps_the_batches_that_fitted(tmp_path, monkeypatch):
    monkeypatch.setattr(sitting, "CHECKPOINT_EVERY_S", 0)
    monkeypatch.setattr(sitting, "SHARE_OF_TIME", 1e9)

    def kill(done, _total, _text):
        if done == 14:
            raise KeyboardInterrupt

    whole = run(tmp_path / "whole", backbone=small_backbone(0))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", backbone=small_backbone(0), progress=CallbackProgress(kill))
    again = run(tmp_path / "broken", backbone=small_backbone(0))
    assert again.notes == whole.notes
    assert again.history == whole.history


def test_a_device_that_is_lost_leaves_the_last_checkpoint_and_the_same_call_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sitting, "CHECKPOINT_EVERY_S", 0)
    monkeypatch.setattr(sitting, "SHARE_OF_TIME", 1e9)
    whole = run(tmp_path / "whole", backbone=tiny_backbone())
    lost = small_backbone(13, message="CUDA error: unspecified launch failure")
    with pytest.raises(RuntimeError, match="CUDA error"):
        run(tmp_path / "lost", backbone=lost)
    found = run(tmp_path / "lost", backbone=tiny_backbone())
    assert found.history == whole.history
    log = (tmp_path / "lost" / "log.txt").read_text("utf-8")
    assert "stopped after step 13: CUDA error" in log
    assert "continued after step 10" in log


@pytest.mark.parametrize("name", ["metrics.jsonl", "log.txt", "config.json"])
def test_a_full_disk_leaves_no_half_line_and_the_run_goes_on_when_there_is_room(tmp_path, monkeypatch, name):
    whole = run(tmp_path / "whole")
    usual_append, usual_replace = run_log.append_lines, os.replace

    def full(file, lines):
        if file.name == name and tmp_path / "full" == file.parent:
            raise OSError(errno.ENOSPC, "No space left on device")
        usual_append(file, lines)

    def no_room(source, target):
        if os.path.basename(target) == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        usual_replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(run_log, "append_lines", full)
        patched.setattr(os, "replace", no_room)
        with pytest.raises(StorageError, match="No space left"):
            run(tmp_path / "full")
    assert not [file for file in (tmp_path / "full").iterdir() if file.name.endswith(".part")]
    assert not (tmp_path / "full" / "result.json").exists()
    assert run(tmp_path / "full").history == whole.history
    steps, epochs = read_metrics(tmp_path / "full")
    assert (len(steps), len(epochs)) == (30, 6)


def test_metrics_have_a_line_for_each_step_and_each_epoch_and_the_config_is_that_of_the_result(tmp_path):
    result = run(tmp_path, augmentations=[augmentation("mirror")], data_used={"fold": 1})
    steps, epochs = read_metrics(tmp_path)
    assert list(steps[0]) == [
        "step", "epoch", "learning_rate", "loss", "accuracy", "grad_norm", "images_per_s", "wait_s",
    ]  # fmt: skip
    assert [fields["epoch"] for fields in steps] == [number for number in range(1, 7) for _ in range(5)]
    assert max(fields["learning_rate"] for fields in steps) == pytest.approx(SETTINGS.learning_rate)
    assert all(fields["grad_norm"] > 0 and fields["images_per_s"] > 0 for fields in steps)
    for number, record in enumerate(result.history):
        part = steps[5 * number : 5 * number + 5]
        assert np.mean([fields["loss"] for fields in part]) == pytest.approx(record.loss)
        assert np.mean([fields["accuracy"] for fields in part]) == pytest.approx(record.train_accuracy)
        assert epochs[number]["val_accuracy"] == record.val_accuracy
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    stored = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert config == {name: stored[name] for name in config}
    assert config["settings"]["learning_rate"] == 0.01
    assert set(TIME_FIELDS) == {"images_per_s", "wait_s", "seconds"}


def test_what_json_cannot_say_is_null(tmp_path):
    from eyeshot.training import StepRecord

    log = run_log.RunLog(tmp_path)
    log.begin({}, None)
    log.step(StepRecord(1, 0, 0.1, 0.5, 4, 8, float("nan"), 0.0, 0.0))
    log.flush()
    ((fields,), _) = read_metrics(tmp_path)
    assert (fields["grad_norm"], fields["images_per_s"]) == (None, None)


def test_curves_are_drawn_while_it_trains_and_are_the_same_for_the_same_metrics(tmp_path, monkeypatch):
    monkeypatch.setattr(sitting, "CURVES_EVERY_S", 1e-9)
    monkeypatch.setattr(sitting, "SHARE_OF_TIME", 1e9)
    there = []
    run(
        tmp_path,
        SETTINGS.model_copy(update={"epochs": 2}),
        curves=True,
        progress=CallbackProgress(lambda *_: there.append((tmp_path / "curves.svg").exists())),
    )
    assert (there[0], there[-1]) == (False, True)
    drawn = (tmp_path / "curves.svg").read_bytes()
    assert b"learning rate" in drawn
    assert b"validation, clean" in drawn
    assert draw_curves(tmp_path, title="tiny, 2 epochs").read_bytes() == drawn


def test_a_long_run_is_drawn_in_few_points_that_keep_its_mean():
    steps = [{"step": number, "loss": float(number % 7)} for number in range(1, 20001)]
    at, values = binned([*steps, {"step": 20001, "loss": None}], "loss")
    assert len(at) == len(values) == MOST_POINTS
    assert values.mean() == pytest.approx(np.mean([fields["loss"] for fields in steps]), abs=1e-3)


def test_checkpoints_take_at_most_a_share_of_the_time(tmp_path, monkeypatch):
    """A save that takes long is done the more rarely."""
    monkeypatch.setattr(sitting, "CHECKPOINT_WITHIN_S", 0)
    monkeypatch.setattr(sitting, "CHECKPOINT_EVERY_S", 0)
    clock, saves = [0.0], []
    monkeypatch.setattr(sitting.time, "monotonic", lambda: clock[0])
    usual = sitting.save_checkpoint

    def slow(*arguments, **options):
        saves.append(clock[0])
        clock[0] += 10.0
        usual(*arguments, **options)

    monkeypatch.setattr(sitting, "save_checkpoint", slow)

    def tick(*_):
        clock[0] += 20.0

    pool, labels = make_pool()
    run(tmp_path, SETTINGS.model_copy(update={"epochs": 12}), data=(pool, labels), progress=CallbackProgress(tick))
    # The first when one step was done, the others a twentieth of the time apart, the last at the end.
    assert len(saves) == 1 + (60 * 20 - 20) // 200 + 1
