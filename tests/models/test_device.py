import pytest
import torch

from eyeshot.core.errors import InputError
from eyeshot.models import choose_device


def test_without_an_accelerator_the_cpu_is_chosen_and_the_reason_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    device, reason = choose_device()
    assert device.type == "cpu"
    assert "no CUDA or MPS" in reason


def test_cuda_is_preferred_where_it_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Some GPU")
    device, reason = choose_device(None)
    assert device.type == "cuda"
    assert "Some GPU" in reason


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_an_input_error_that_names_those_that_are(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"available on this machine \(cpu\)"):
        choose_device(device)


def test_a_device_that_does_not_exist_at_all_is_an_input_error():
    with pytest.raises(InputError, match="must be one of cpu"):
        choose_device("tpu9")


def test_a_gpu_number_beyond_the_last_is_an_input_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="1 CUDA devices"):
        choose_device("cuda:3")
