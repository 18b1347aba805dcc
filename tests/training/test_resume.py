"""A run that was killed ends in the weights of one that was not."""

import random
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from eyeshot.augment import augmentation
from eyeshot.core import CallbackProgress
from eyeshot.core.errors import StorageError
from eyeshot.training import sitting
from eyeshot.training.checkpoints import load_checkpoint, save_checkpoint
from eyeshot.training.run_log import TIME_FIELDS, read_metrics

from .helpers import SETTINGS, run

LONG = SETTINGS.model_copy(update={"epochs": 60})
SCRIPT = """
import sys, pathlib
from eyeshot.augment import augmentation
from eyeshot.training import sitting
from tests.training.helpers import run
from tests.training.test_resume import LONG
sitting.CHECKPOINT_EVERY_S = sitting.CHECKPOINT_WITHIN_S = 0
sitting.SHARE_OF_TIME = 1e9
print("ready", flush=True)
run(pathlib.Path(sys.argv[1]), LONG, augmentations=[augmentation("rotate-15"), augmentation("mixup")])
"""


class Killed(BaseException):
    pass


def save_at_every_step(monkeypatch):
    monkeypatch.setattr(sitting, "CHECKPOINT_EVERY_S", 0)
    monkeypatch.setattr(sitting, "CHECKPOINT_WITHIN_S", 0)
    monkeypatch.setattr(sitting, "SHARE_OF_TIME", 1e9)


def same_but_for_times(first, second):
    """Whether two folders hold the same run: weights and probabilities bit for bit, and the same metrics."""
    weights = [load_file(folder / "weights.safetensors") for folder in (first, second)]
    predictions = [dict(np.load(folder / "validation.npz")) for folder in (first, second)]
    metrics = [read_metrics(folder) for folder in (first, second)]
    for fields in (line for lines in metrics for kind in lines for line in kind):
        for name in TIME_FIELDS:
            fields.pop(name, None)
    return (
        weights[0].keys() == weights[1].keys()
        and all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
        and all((predictions[0][name] == predictions[1][name]).all() for name in ("ids", "probabilities", "labels"))
        and metrics[0] == metrics[1]
    )


@pytest.mark.parametrize("step", [1, 7, 16, 29])
def test_a_run_that_breaks_off_at_any_step_ends_in_the_same_weights(tmp_path, monkeypatch, step):
    save_at_every_step(monkeypatch)
    steps = [augmentation("crop-mild"), augmentation("cutmix")]
    whole = run(tmp_path / "whole", augmentations=steps)

    def kill(done, _total, _text):
        if done == step:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path / "broken", augmentations=steps, progress=CallbackProgress(kill))
    done = []
    found = run(
        tmp_path / "broken", augmentations=steps, progress=CallbackProgress(lambda number, *_: done.append(number))
    )
    assert done[0] == step  # none that was finished is redone
    assert found.model_dump(exclude={"seconds", "wait_s"}) == whole.model_dump(exclude={"seconds", "wait_s"})
    assert same_but_for_times(tmp_path / "whole", tmp_path / "broken")


def test_metrics_behind_the_checkpoint_are_dropped_and_written_again(tmp_path):
    """Without a checkpoint within the epoch, its steps are done twice, and the file holds each once."""
    whole = run(tmp_path / "whole")

    def kill(done, _total, _text):
        if done == 14:
            (tmp_path / "broken" / "metrics.jsonl").open("a").write('{"step": 99')  # as a kill cuts a line
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path / "broken", progress=CallbackProgress(kill))
    assert run(tmp_path / "broken").history == whole.history
    assert same_but_for_times(tmp_path / "whole", tmp_path / "broken")
    steps, epochs = read_metrics(tmp_path / "broken")
    assert [fields["step"] for fields in steps] == list(range(1, 31))
    assert [fields["epoch"] for fields in epochs] == list(range(1, 7))


def broken_off(folder, step):
    """A run that saved at every step and was killed at one."""

    def kill(done, _total, _text):
        if done == step:
            raise Killed

    with pytest.raises(Killed):
        run(folder, progress=CallbackProgress(kill))


@pytest.mark.parametrize("damage", [b"", None], ids=["damaged", "moved, as a kill within the save leaves it"])
def test_a_damaged_checkpoint_is_passed_over_for_the_state_before_it_and_that_is_said(tmp_path, monkeypatch, damage):
    save_at_every_step(monkeypatch)
    whole = run(tmp_path / "whole")
    folder = tmp_path / "broken"
    broken_off(folder, 8)
    if damage is None:
        (folder / "checkpoint.pt").unlink()
    else:
        (folder / "checkpoint.pt").write_bytes(damage)
    steps, words = [], "checkpoint.pt is damaged; the newest good state before it is used."
    found = run(folder, progress=CallbackProgress(lambda number, *_: steps.append(number)))
    assert min(number for number in steps if number) == 7  # the seventh step is done again, and no other
    assert same_but_for_times(tmp_path / "whole", folder)
    assert found.history == whole.history
    assert found.notes == (() if damage is None else (words,))
    assert (words in (folder / "log.txt").read_text("utf-8")) is (damage is not None)
    assert list(folder.glob("*.pt")) == []


def test_a_checkpoint_with_zeros_within_a_tensor_is_not_taken_as_good(tmp_path):
    save_checkpoint(tmp_path, {"weight": torch.ones(10_000)})
    file = tmp_path / "checkpoint.pt"
    content = bytearray(file.read_bytes())
    content[20_000:24_000] = bytes(4_000)
    file.write_bytes(content)
    assert not torch.load(file, weights_only=True)["weight"].all()  # torch alone does not notice
    with pytest.raises(StorageError, match="checksum of its part"):
        load_checkpoint(tmp_path)
    torch.save(torch.ones(3), file)  # somebody's own file
    with pytest.raises(StorageError, match="of version None"):
        load_checkpoint(tmp_path)


def test_where_no_state_can_be_read_the_run_is_refused_and_nothing_is_deleted(tmp_path, monkeypatch):
    save_at_every_step(monkeypatch)
    broken_off(tmp_path, 3)
    for file in tmp_path.glob("*.pt"):
        file.write_bytes(b"PK")
    with pytest.raises(StorageError, match="Delete it to start this run over"):
        run(tmp_path)
    assert len(list(tmp_path.glob("*.pt"))) == 2


@pytest.mark.slow
def test_a_process_killed_several_times_at_random_moments_is_continued_bit_for_bit(tmp_path, request):
    root = str(request.config.rootpath)
    steps = [augmentation("rotate-15"), augmentation("mixup")]
    whole = run(tmp_path / "whole", LONG, augmentations=steps)
    for _ in range(3):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "killed")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root)
        process.stdout.readline()
        # Three times less than a third, of a run that saves at every step besides: none of them can be through.
        time.sleep(random.uniform(0.02, 0.33 * whole.seconds))
        process.kill()
        process.wait()
        assert not (tmp_path / "killed" / "result.json").exists()
    found = run(tmp_path / "killed", LONG, augmentations=steps)
    assert same_but_for_times(tmp_path / "whole", tmp_path / "killed")
    of_this_process = {"seconds", "wait_s", "command"}
    assert found.model_dump(exclude=of_this_process) == whole.model_dump(exclude=of_this_process)


def test_a_checkpoint_is_read_back_as_it_was_saved(tmp_path):
    save_checkpoint(tmp_path, {"key": "k", "model": {"w": torch.arange(3)}, "history": [{"loss": 0.5}]})
    state = load_checkpoint(tmp_path)
    assert torch.equal(state["model"]["w"], torch.arange(3))
    assert state["history"] == [{"loss": 0.5}]


def test_a_save_that_breaks_off_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, {"key": "first"})

    def full(_state, file):
        file.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file: No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StorageError, match="No space left"):
        save_checkpoint(tmp_path, {"key": "second"})
    assert load_checkpoint(tmp_path)["key"] == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no checkpoint"])
def test_a_broken_checkpoint_is_a_storage_error_that_says_what_to_do(tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(StorageError, match="Delete it to start this run over"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_another_version_is_a_storage_error(tmp_path):
    torch.save({"version": 99}, tmp_path / "checkpoint.pt")
    with pytest.raises(StorageError, match="of version 99"):
        load_checkpoint(tmp_path)


def test_a_full_disk_is_named_where_torch_says_that_a_write_came_up_short(tmp_path, monkeypatch):
    def short(state, file):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 458304 vs 458200.")

    monkeypatch.setattr("eyeshot.training.checkpoints.torch.save", short)
    with pytest.raises(StorageError, match="the disk is full"):
        save_checkpoint(tmp_path, {})
