import argparse
import collections
import types

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from eyeshot.core.errors import InputError, ModelError
from eyeshot.models import load_backbone
from eyeshot.models.weights import load_weights, match_state, read_state

from .helpers import Tiny


class Whole(nn.Module):
    """A network of the user's with a classifier `fc`."""

    def __init__(self, classes=5):
        super().__init__()
        self.body = Tiny()
        self.norm = nn.BatchNorm1d(6)
        self.fc = nn.Linear(6, classes)


def saved(path, content):
    torch.save(content, path)
    return path


def load(module, file, **options):
    return load_weights(module, file, name="whole", **({"classifiers": ["fc"]} | options))


def equal(first, second):
    theirs = second.state_dict()
    return all(torch.equal(value, theirs[key]) for key, value in first.state_dict().items() if "fc" not in key)


NESTINGS = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state, "best": torch.tensor(0.9)},
    "model": lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": []}},
    "model_ema": lambda state: {"model_ema": state},
    "ema in ema": lambda state: {"ema": {"module": state}},
    "two deep": lambda state: {"module": {"state_dict": state}},
    "any other name": lambda state: {"weights": state, "config": {"lr": 1e-3}},
}


@pytest.mark.parametrize("nesting", NESTINGS)
def test_weights_are_found_however_they_are_nested(tmp_path, nesting):
    theirs, ours = Whole(), Whole()
    load(ours, saved(tmp_path / "w.pt", NESTINGS[nesting](theirs.state_dict())))
    assert equal(ours, theirs)


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "_orig_mod.", "backbone.", "module._orig_mod.", "net.encoder."]
)
def test_any_prefix_before_all_names_is_taken_off_and_told(tmp_path, prefix):
    theirs, ours = Whole(), Whole()
    state = {prefix + key: value for key, value in theirs.state_dict().items()}
    note = load(ours, saved(tmp_path / "w.pt", state))
    assert equal(ours, theirs)
    assert (repr(prefix) in note) == bool(prefix)


def test_averaged_weights_are_preferred_and_told(tmp_path):
    plain, averaged, ours = Whole(), Whole(), Whole()
    file = saved(tmp_path / "w.pt", {"state_dict": plain.state_dict(), "state_dict_ema": averaged.state_dict()})
    assert "state_dict_ema" in load(ours, file)
    assert equal(ours, averaged)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_safetensors_are_known_by_their_content(tmp_path, suffix):
    theirs, ours = Whole(), Whole()
    save_file(theirs.state_dict(), tmp_path / f"w.{suffix}")
    note = load(ours, tmp_path / f"w.{suffix}")
    assert equal(ours, theirs)
    assert "10 of 10 tensors" in note


def test_a_classifier_of_another_size_is_left_out_and_told(tmp_path):
    theirs, ours = Whole(7), Whole(5)
    before = ours.fc.weight.clone()
    note = load(ours, saved(tmp_path / "w.pt", theirs.state_dict()))
    assert "classifier left out: fc.weight, fc.bias" in note
    assert equal(ours, theirs)
    assert torch.equal(ours.fc.weight, before)


def test_a_classifier_of_the_same_size_is_loaded(tmp_path):
    theirs, ours = Whole(), Whole()
    load(ours, saved(tmp_path / "w.pt", theirs.state_dict()))
    assert torch.equal(ours.fc.weight, theirs.fc.weight)


def test_what_stands_beside_the_backbone_is_left_out_and_told(tmp_path):
    theirs, ours = Whole(), Whole()
    state = {f"backbone.{key}": value for key, value in theirs.state_dict().items()}
    note = load(ours, saved(tmp_path / "w.pt", state | {"neck.weight": torch.zeros(2), "head.bias": torch.zeros(2)}))
    assert "outside of it, left out: neck.weight, head.bias" in note


def test_counters_may_be_missing_and_additional(tmp_path):
    theirs, ours = Whole(), Whole()
    state = theirs.state_dict()
    del state["norm.num_batches_tracked"]
    load(ours, saved(tmp_path / "w.pt", state | {"n_averaged": torch.tensor(4)}))
    assert equal(ours, theirs)


def test_a_missing_tensor_is_a_model_error_with_counts_and_names(tmp_path):
    state = Whole().state_dict()
    del state["body.layers.2.weight"]
    with pytest.raises(ModelError, match=r"9 of its 10 tensors fit; 1 missing: body.layers.2.weight"):
        load(Whole(), saved(tmp_path / "w.pt", state))


def test_a_tensor_of_another_shape_is_a_model_error_with_both_shapes(tmp_path):
    state = Whole().state_dict()
    state["body.layers.0.bias"] = torch.zeros(9)
    with pytest.raises(ModelError, match=r"1 of another shape: body.layers.0.bias \(9,\) against the model's \(8,\)"):
        load(Whole(), saved(tmp_path / "w.pt", state))


def test_a_tensor_too_many_is_a_model_error(tmp_path):
    state = Whole().state_dict() | {"body.layers.6.weight": torch.zeros(3)}
    with pytest.raises(ModelError, match=r"1 unknown to the model: body.layers.6.weight"):
        load(Whole(), saved(tmp_path / "w.pt", state))


def test_weights_of_a_deeper_network_of_the_same_family_are_refused(tmp_path):
    deeper = timm.create_model("resnet34", pretrained=False).state_dict()
    file = saved(tmp_path / "resnet34.pt", deeper)
    with pytest.raises(ModelError, match=r"100 of its 100 tensors fit.*unknown to the model: layer1.2"):
        load_backbone("resnet18.a1_in1k", weights=file)


def test_weights_of_another_architecture_name_the_first_keys_and_how_many_more(tmp_path):
    file = saved(tmp_path / "w.pt", timm.create_model("test_vit", pretrained=False).state_dict())
    with pytest.raises(ModelError, match=r"0 of its \d+ tensors fit; \d+ missing: .* and \d+ more"):
        load_backbone("test_resnet.r160_in1k", weights=file)


def test_nan_weights_are_a_model_error(tmp_path):
    state = Whole().state_dict()
    state["norm.weight"][2] = torch.nan
    with pytest.raises(ModelError, match=r"NaN or infinite weights, for instance in norm.weight"):
        load(Whole(), saved(tmp_path / "w.pt", state))


def test_half_precision_weights_are_read_into_single_precision(tmp_path):
    theirs, ours = Whole(), Whole()
    load(ours, saved(tmp_path / "w.pt", {key: value.half() for key, value in theirs.state_dict().items()}))
    assert ours.body.layers[0].weight.dtype == torch.float32
    assert torch.allclose(ours.body.layers[0].weight, theirs.body.layers[0].weight, atol=1e-3)


def test_the_command_line_that_timm_saves_beside_the_weights_does_no_harm(tmp_path):
    theirs, ours = Whole(), Whole()
    load(
        ours,
        saved(tmp_path / "w.pt", {"state_dict": theirs.state_dict(), "args": argparse.Namespace(lr=0.1)}),
    )
    assert equal(ours, theirs)


def test_a_pickled_network_is_refused_without_running_it(tmp_path):
    file = saved(tmp_path / "w.pt", Whole())
    with pytest.raises(ModelError, match=r"would run code \(.*Whole.*state_dict\(\), 'weights.pt'\)"):
        read_state(file)


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("code from the file was run",))


def test_code_in_a_file_is_never_run(tmp_path):
    file = saved(tmp_path / "w.pt", {"state_dict": Whole().state_dict(), "extra": Evil()})
    with pytest.raises(ModelError, match="would run code"):
        read_state(file)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04broken", b"\x80\x02}q\x00."])
def test_a_file_that_holds_no_weights_is_a_model_error(tmp_path, content):
    file = tmp_path / "w.pt"
    file.write_bytes(content)
    with pytest.raises(ModelError):
        read_state(file)


def test_a_truncated_safetensors_file_is_a_model_error(tmp_path):
    save_file(Whole().state_dict(), tmp_path / "whole")
    file = tmp_path / "cut.safetensors"
    file.write_bytes((tmp_path / "whole").read_bytes()[:-40])
    with pytest.raises(ModelError, match="Is it complete"):
        read_state(file)


def test_a_truncated_torch_file_is_a_model_error(tmp_path):
    whole = saved(tmp_path / "whole.pt", Whole().state_dict())
    file = tmp_path / "cut.pt"
    file.write_bytes(whole.read_bytes()[:-400])
    with pytest.raises(ModelError, match="Is it complete"):
        read_state(file)


@pytest.mark.parametrize("name", ["", "missing.pt"])
def test_a_file_that_is_not_there_is_an_input_error(tmp_path, name):
    with pytest.raises(InputError, match="which is not a file"):
        read_state(tmp_path / name)


def test_an_old_torch_file_is_read_too(tmp_path):
    theirs, ours = Whole(), Whole()
    state = collections.OrderedDict(theirs.state_dict())
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    load(ours, tmp_path / "w.pth")
    assert equal(ours, theirs)


def test_the_prefix_with_the_most_fitting_tensors_wins():
    state = {f"student.{key}": value for key, value in Whole().state_dict().items()}
    state |= {"teacher.fc.bias": torch.zeros(5)}
    match = match_state(Whole(), state, ["fc"])
    assert match.complete
    assert "prefix 'student.' taken off" in match.notes


def test_positions_of_a_vision_transformer_are_resampled_to_another_size(tmp_path):
    theirs = timm.create_model("test_vit", pretrained=False)
    file = saved(tmp_path / "w.pt", {"state_dict": {f"module.{k}": v for k, v in theirs.state_dict().items()}})
    backbone = load_backbone("test_vit.r160_in1k", weights=file, size=96)
    assert backbone.geometry.size == 96
    assert "converted by timm" in backbone.reason
    assert torch.equal(backbone.module.blocks[0].attn.qkv.weight, theirs.blocks[0].attn.qkv.weight)


def test_scalars_of_numpy_and_namespaces_beside_the_weights_do_no_harm(tmp_path):
    beside = {
        "accuracy": np.float64(0.93), "loss": np.float32(0.1), "epoch": np.int64(3), "history": np.arange(4.0),
        "settings": types.SimpleNamespace(lr=1e-3),
    }  # fmt: skip
    theirs, ours = Whole(), Whole()
    load(ours, saved(tmp_path / "w.pt", {"state_dict": theirs.state_dict(), **beside}))
    assert equal(ours, theirs)


def test_weights_by_number_of_the_fold_are_found_and_told(tmp_path):
    theirs, ours = Whole(), Whole()
    file = saved(tmp_path / "w.pt", {"folds": {0: {"weights": theirs.state_dict()}}})
    assert "part 'folds.0.weights' of the file" in load(ours, file)
    assert equal(ours, theirs)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    ],
)
def test_files_that_are_no_weights_are_told_for_what_they_are(tmp_path, content, words):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelError, match=words):
        read_state(tmp_path / "w.pth")


def test_a_torchscript_file_names_the_line_that_saves_its_weights(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"TorchScript.*torch\.jit\.load\('w\.pt'\)\.state_dict\(\)") as caught:
        read_state(tmp_path / "w.pt")
    # The way on that it names is one.
    line = str(caught.value).rpartition(": ")[2].rstrip(".")
    state = eval(line.removeprefix("torch.save(").rpartition(", ")[0].replace("'w.pt'", repr(str(tmp_path / "w.pt"))))
    assert read_state(saved(tmp_path / "weights.pt", state))[0].keys() == {"weight", "bias"}
