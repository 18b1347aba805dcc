"""A run that was killed ends in the weights of one that was not."""

import random
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from eyeshot.augment import augmentation
from eyeshot.core import CallbackProgress
from eyeshot.core.errors import StorageError
from eyeshot.training import run as run_module
from eyeshot.training.checkpoints import load_checkpoint, save_checkpoint

from .helpers import SETTINGS, run

LONG = SETTINGS.model_copy(update={"epochs": 60})
SCRIPT = """
import sys, pathlib
from eyeshot.augment import augmentation
from eyeshot.training import run as run_module
from tests.training.helpers import run
from tests.training.test_resume import LONG
run_module.CHECKPOINT_EVERY_S = 0
print("ready", flush=True)
run(pathlib.Path(sys.argv[1]), LONG, augmentations=[augmentation("rotate-15"), augmentation("mixup")])
"""


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", [1, 7, 16, 29])
def test_a_run_that_breaks_off_at_any_step_ends_in_the_same_weights(tmp_path, monkeypatch, step):
    monkeypatch.setattr(run_module, "CHECKPOINT_EVERY_S", 0)
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
    assert done[0] == (step - 1) // 5 * 5 + 1  # five steps an epoch: none that was finished is redone
    assert found.model_dump(exclude={"seconds"}) == whole.model_dump(exclude={"seconds"})
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.slow
def test_a_process_killed_at_a_random_moment_is_continued_bit_for_bit(tmp_path, request):
    root = str(request.config.rootpath)
    whole = run(tmp_path / "whole", LONG, augmentations=[augmentation("rotate-15"), augmentation("mixup")])
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root)
    process.stdout.readline()
    time.sleep(random.uniform(0.05, whole.seconds))
    process.kill()
    process.wait()
    found = run(tmp_path / "killed", LONG, augmentations=[augmentation("rotate-15"), augmentation("mixup")])
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert found.model_dump(exclude={"seconds", "command"}) == whole.model_dump(exclude={"seconds", "command"})


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
