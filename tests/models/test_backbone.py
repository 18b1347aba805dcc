import dataclasses

import pytest
import torch
from torch import nn

from eyeshot.core.errors import ModelError
from eyeshot.data import Geometry
from eyeshot.models.backbone import count_features, fingerprint_of

from .helpers import HALF, Tiny, tiny_backbone

GEOMETRY = Geometry(size=16)


def test_the_fingerprint_is_the_same_for_the_same_weights():
    assert tiny_backbone(seed=3).fingerprint == tiny_backbone(seed=3).fingerprint


def test_the_fingerprint_changes_with_a_single_weight():
    module = Tiny()
    before = fingerprint_of(module, "tiny", GEOMETRY, HALF, HALF)
    with torch.no_grad():
        module.layers[2].bias[5] += 1e-6
    assert fingerprint_of(module, "tiny", GEOMETRY, HALF, HALF) != before


@pytest.mark.parametrize("change", [{"size": 32}, {"crop_share": 0.9}, {"interpolation": "nearest"}, {"fit": "pad"}])
def test_the_fingerprint_changes_with_the_geometry(change):
    module = Tiny()
    other = dataclasses.replace(GEOMETRY, **change)
    assert fingerprint_of(module, "t", GEOMETRY, HALF, HALF) != fingerprint_of(module, "t", other, HALF, HALF)


def test_the_fingerprint_changes_with_name_mean_and_std():
    module = Tiny()
    found = {
        fingerprint_of(module, name, GEOMETRY, mean, std)
        for name, mean, std in [
            ("a", HALF, HALF),
            ("b", HALF, HALF),
            ("a", (0.4,) * 3, HALF),
            ("a", HALF, (0.4,) * 3),
        ]
    }
    assert len(found) == 4


def test_the_fingerprint_does_not_depend_on_the_memory_layout():
    module = Tiny()
    before = fingerprint_of(module, "t", GEOMETRY, HALF, HALF)
    assert fingerprint_of(module.to(memory_format=torch.channels_last), "t", GEOMETRY, HALF, HALF) == before


def test_half_precision_weights_have_a_fingerprint_too():
    assert len(fingerprint_of(Tiny().bfloat16(), "t", GEOMETRY, HALF, HALF)) == 32


def test_other_weights_under_the_same_preparation_are_another_backbone():
    before = tiny_backbone(seed=0)
    after = before.with_module(Tiny(), pretrained=False, reason="trained here")
    assert after.fingerprint != before.fingerprint
    assert (after.geometry, after.mean, after.reason) == (before.geometry, before.mean, "trained here")


def test_features_that_are_not_a_row_per_image_are_a_model_error():
    with pytest.raises(ModelError, match=r"shape \(n, D\), got \(1, 4, 16, 16\)"):
        count_features(nn.Conv2d(3, 4, 1), 16)
