import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from eyeshot.models import extract, fit_head
from eyeshot.training import classifier as room
from eyeshot.training.classifier import Classifier, predict, read_images_with, start_head

from .helpers import SETTINGS, make_pool, run, tiny_backbone

CPU = torch.device("cpu")
ROWS = np.arange(60)


def started(backbone, *, seed=0):
    pool, labels = make_pool()
    model = Classifier(backbone, 3)
    start_head(model, backbone, pool, labels, class_count=3, device=CPU, batch_size=16, seed=seed)
    return model


def test_a_head_that_was_started_gives_the_probabilities_of_logistic_regression_on_the_features():
    pool, labels = make_pool()
    backbone = tiny_backbone()
    features = extract(backbone, pool.images)
    found = predict(started(backbone), backbone, pool, ROWS, class_count=3, device=CPU, batch_size=16)
    assert np.allclose(found, fit_head(features, labels).predict_proba(features), atol=1e-4)


def test_the_linear_head_works_on_features_as_they_are():
    pool, _ = make_pool()
    backbone = tiny_backbone()
    model = started(backbone)
    wanted = predict(model, backbone, pool, ROWS, class_count=3, device=CPU, batch_size=16)
    assert np.allclose(model.linear_head().predict_proba(extract(backbone, pool.images)), wanted, atol=1e-4)


def test_short_trainings_are_read_in_the_format_of_the_device_and_finished_ones_in_float32(monkeypatch):
    pool, _ = make_pool()
    backbone = tiny_backbone()
    model = started(backbone)
    wanted = predict(model, backbone, pool, ROWS, class_count=3, device=CPU, batch_size=16)
    monkeypatch.setattr(room, "feature_precision", lambda device: "bf16")
    (found,) = read_images_with(backbone, model.state_dict(), [pool.images], class_count=3, batch_size=16)
    assert found.features.dtype == found.probabilities.dtype == np.float32
    assert not np.array_equal(found.probabilities, wanted)
    assert np.abs(found.probabilities - wanted).max() < 0.05
    assert np.array_equal(found.features, extract(backbone, pool.images, batch_size=16, precision="bf16"))
    assert np.array_equal(predict(model, backbone, pool, ROWS, class_count=3, device=CPU, batch_size=16), wanted)


def test_features_that_never_change_do_not_break_the_start():
    class Constant(torch.nn.Module):
        def forward(self, images):
            return torch.cat([images.mean((2, 3)), torch.ones(len(images), 1)], dim=1)

    model = started(tiny_backbone(Constant(), features=4))
    assert torch.isfinite(model.scale).all()
    assert model.scale[3] == 1


def test_only_some_images_are_used_where_there_are_more_than_enough(monkeypatch):
    monkeypatch.setattr(room, "HEAD_IMAGES", 20)
    backbone = tiny_backbone()
    first, again, other = (started(backbone, seed=seed).head.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("pretrained", [True, False])
def test_trained_weights_begin_at_the_best_head_and_untrained_ones_do_not(tmp_path, pretrained):
    backbone = dataclasses.replace(tiny_backbone(), pretrained=pretrained)
    run(tmp_path, SETTINGS.model_copy(update={"epochs": 1, "learning_rate": 1e-9}), backbone=backbone)
    state = load_file(tmp_path / "weights.safetensors")
    assert bool(state["head.weight"].abs().max() > 0.1) == pretrained  # a new head is drawn with a spread of 0.01
