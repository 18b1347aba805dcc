"""Devices out of memory and lost GPUs, as torch tells them; none of it needs one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eyeshot.augment import augmentation
from eyeshot.core.errors import ModelError
from eyeshot.models import FeatureBank, extract, gpu_errors_explained, out_of_memory, smaller_batches
from eyeshot.models import feature_bank as room

from .helpers import make_pool, tiny_backbone

FULL = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, max allowed: 9.07 GB)."),
    RuntimeError("CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]
LOST = [
    "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronously reported",
    "CUDA error: unspecified launch failure",
    "HIP error: the operation cannot be performed in the present state",
]


def room_for(most: int, error: Exception, tried: list[int]):
    """An action that has room for `most` images."""

    def action(size: int) -> str:
        tried.append(size)
        if size > most:
            raise error
        return "done"

    return action


@pytest.mark.parametrize("error", FULL, ids=str)
def test_a_batch_is_halved_until_it_fits(error: Exception):
    tried: list[int] = []
    assert smaller_batches(room_for(10, error, tried), 64) == ("done", 8)
    assert tried == [64, 32, 16, 8]


def test_where_all_fits_nothing_is_halved():
    tried: list[int] = []
    assert smaller_batches(room_for(64, FULL[0], tried), 64) == ("done", 64)
    assert tried == [64]


@pytest.mark.parametrize(("first", "least", "sizes"), [(64, 1, [64, 32, 16, 8, 4, 2, 1]), (5, 2, [5, 2]), (2, 2, [2])])
def test_at_the_least_batch_it_is_a_model_error_with_a_way_on(first: int, least: int, sizes: list[int]):
    tried: list[int] = []
    with pytest.raises(ModelError, match=f"have memory for {least} images at once.*--device cpu") as told:
        smaller_batches(room_for(0, FULL[0], tried), first, least=least)
    assert tried == sizes
    assert told.value.__cause__ is FULL[0]


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), RuntimeError(LOST[0]), ModelError("diverged")])
def test_any_other_error_is_raised_as_it_is(error: Exception):
    tried: list[int] = []
    with pytest.raises(type(error)) as raised:
        smaller_batches(room_for(0, error, tried), 64)
    assert raised.value is error
    assert tried == [64]


def test_only_a_full_device_is_out_of_memory():
    assert all(map(out_of_memory, FULL))
    assert not out_of_memory(RuntimeError(LOST[1]))
    assert not out_of_memory(ValueError("out of memory"))
    assert not out_of_memory(ModelError("out of memory"))


def test_a_bank_goes_on_with_smaller_batches_and_gives_the_same(tmp_path, monkeypatch):
    pool, _ = make_pool()
    rows = np.arange(len(pool))
    backbone = tiny_backbone()
    whole = FeatureBank(tmp_path / "whole", backbone)
    wanted = whole.clean(pool, rows), whole.views(augmentation("mirror"), pool, rows, seed=0, draw=0).features
    tried: list[int] = []

    def narrow(*arguments, batch_size: int, **options):
        tried.append(batch_size)
        if batch_size > 10:
            raise FULL[0]
        return extract(*arguments, batch_size=batch_size, **options)

    monkeypatch.setattr(room, "extract", narrow)
    bank = FeatureBank(tmp_path / "narrow", backbone)
    found = bank.clean(pool, rows), bank.views(augmentation("mirror"), pool, rows, seed=0, draw=0).features
    assert tried == [64, 32, 16, 8, 8]  # what was found for the first images holds for all later ones
    assert (whole.batch_size, bank.batch_size) == (64, 8)
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(one.astype(np.float32), other.astype(np.float32), atol=1e-3)


def test_a_bank_without_room_for_one_image_is_a_model_error(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise FULL[0]

    monkeypatch.setattr(room, "extract", full)
    pool, _ = make_pool()
    with pytest.raises(ModelError, match="ran out with 1"):
        FeatureBank(tmp_path, tiny_backbone()).clean(pool, np.arange(4))


@pytest.mark.parametrize("words", LOST)
def test_a_lost_gpu_is_told_in_one_line_with_what_to_do(words: str):
    error = getattr(torch, "AcceleratorError", RuntimeError)(words)
    with pytest.raises(ModelError, match="same command again, or --device cpu") as told, gpu_errors_explained():
        raise error
    assert f"stopped answering ({words.splitlines()[0]})" in str(told.value)
    assert "\n" not in str(told.value)
    assert told.value.__cause__ is error


@pytest.mark.parametrize("error", FULL, ids=str)
def test_a_full_device_is_no_lost_one(error: Exception):
    with (
        pytest.raises(ModelError, match=r"memory for the model and a batch.*smaller --batch-size"),
        gpu_errors_explained(),
    ):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), ValueError("CUDA error: "), KeyboardInterrupt()])
def test_errors_of_other_kinds_pass(error: BaseException):
    with pytest.raises(type(error)) as raised, gpu_errors_explained():
        raise error
    assert raised.value is error
