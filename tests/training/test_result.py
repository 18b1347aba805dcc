import json
import re

import numpy as np
import pytest

from eyeshot.core import describe_hardware, describe_versions
from eyeshot.core.errors import StorageError
from eyeshot.predictions import Accuracy
from eyeshot.training import TrainConfig, TrainResult, discard_damaged
from eyeshot.training.result import EpochRecord, read_result

from .helpers import run


def test_a_result_is_read_back_as_it_was_written(tmp_path):
    result = run(tmp_path)
    assert read_result(tmp_path) == result
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["version"] == 2


def test_no_result_is_none(tmp_path):
    assert read_result(tmp_path) is None


def test_a_broken_result_is_a_storage_error(tmp_path):
    (tmp_path / "result.json").write_text('{"version": 1}', encoding="utf-8")
    with pytest.raises(StorageError, match="Delete it to run again"):
        read_result(tmp_path)


def test_the_result_says_where_and_with_what_it_was_computed(tmp_path):
    result = run(tmp_path, command="eyeshot train photos")
    assert result.command == "eyeshot train photos"
    assert result.hardware == describe_hardware("cpu")
    assert "CPU" in result.hardware
    assert result.versions == describe_versions()
    assert {"torch", "timm", "python"} <= set(result.versions)


def test_probabilities_of_validation_are_kept_with_ids_and_labels(tmp_path):
    ids = [f"사진 {number}.jpg" for number in range(60)]
    result = run(tmp_path, ids=ids)
    with np.load(tmp_path / "validation.npz", allow_pickle=False) as kept:
        assert list(kept["ids"]) == ids[42:]
        assert list(kept["classes"]) == ["dark", "middle", "bright"]
        assert np.allclose(kept["probabilities"].sum(1), 1, atol=1e-5)
        right = (kept["probabilities"].argmax(1) == kept["labels"]).mean()
    assert right == pytest.approx(result.accuracy.value)


def test_accuracies_of_the_classes_add_up(tmp_path):
    result = run(tmp_path)
    counted = sum(round(one.value * one.n) for one in result.per_class.values())
    assert sum(one.n for one in result.per_class.values()) == result.accuracy.n == 18
    assert counted == round(result.accuracy.value * 18)


def test_every_key_of_a_result_is_documented(tmp_path, request):
    text = (request.config.rootpath / "docs" / "runs.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`([a-z_0-9]+)`", text))
    result = run(tmp_path)
    with np.load(tmp_path / "validation.npz") as kept:
        names = {*kept.files, "fold"}
    names |= {name for record in (TrainResult, TrainConfig, EpochRecord, Accuracy) for name in record.model_fields}
    assert names | set(result.weights) <= words


def test_the_files_of_a_damaged_run_are_thrown_away_and_those_of_a_whole_one_are_kept(tmp_path):
    run(tmp_path)
    discard_damaged(tmp_path)
    assert read_result(tmp_path) is not None
    (tmp_path / "validation.npz").write_bytes(b"PK\x03\x04")
    discard_damaged(tmp_path)
    assert read_result(tmp_path) is None
    assert (tmp_path / "weights.safetensors").exists()
    assert not (tmp_path / "validation.npz").exists()
