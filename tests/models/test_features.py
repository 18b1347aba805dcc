import numpy as np
import pytest
import torch
from torch import nn

from eyeshot.core.errors import ModelError
from eyeshot.models import extract, feature_precision, normalise

from .helpers import HALF, make_backbone, make_pool, small_timm, tiny_backbone

CPU = torch.device("cpu")
ROUNDING = {"fp16": 2**-10, "bf16": 2**-7}  # of one number; a few of them add up in a small network


class Average(nn.Module):
    def forward(self, images):
        return images.mean((2, 3))


def test_images_are_normalised_as_torchvision_does():
    from torchvision.transforms.v2.functional import normalize, to_dtype

    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    wanted = normalize(to_dtype(images, torch.float32, scale=True), list(HALF), list(HALF))
    assert torch.allclose(normalise(images, tiny_backbone(), device=CPU), wanted, atol=1e-6)


def test_the_features_of_an_average_are_the_normalised_mean_colour():
    pool, _ = make_pool(5)
    features = extract(make_backbone(Average(), features=3), pool.images)
    wanted = (pool.images.mean((1, 2)) / 255 - 0.5) / 0.5
    assert features.dtype == np.float32
    assert np.allclose(features, wanted, atol=1e-5)


def test_a_tensor_with_channels_first_gives_the_same_as_an_array_with_channels_last():
    pool, _ = make_pool(5)
    backbone = tiny_backbone()
    tensor = torch.from_numpy(pool.images).permute(0, 3, 1, 2)
    assert np.array_equal(extract(backbone, pool.images), extract(backbone, tensor))


@pytest.mark.parametrize("batch_size", [1, 7, 24, 100])
def test_the_batch_size_changes_features_only_by_rounding(batch_size):
    pool, _ = make_pool(24, 32)
    backbone = small_timm()
    wanted, found = extract(backbone, pool.images), extract(backbone, pool.images, batch_size=batch_size)
    assert np.abs(found - wanted).max() <= 1e-3 * np.abs(wanted).max()


def test_features_do_not_change_with_a_training_mode_left_on():
    pool, _ = make_pool(8, 32)
    backbone = small_timm()
    wanted = extract(backbone, pool.images)
    backbone.module.train()
    assert np.array_equal(extract(backbone, pool.images), wanted)


def test_a_read_only_memory_map_is_read_without_a_warning(tmp_path, recwarn):
    pool, _ = make_pool(4)
    np.save(tmp_path / "images.npy", pool.images)
    extract(tiny_backbone(), np.load(tmp_path / "images.npy", mmap_mode="r"))
    assert not [warning for warning in recwarn if "writable" in str(warning.message)]


def test_nan_features_are_a_model_error_that_names_the_model_and_how_many():
    class Broken(nn.Module):
        def forward(self, images):
            found = images.mean((2, 3))
            return torch.where(found > 0, torch.nan, found)

    pool, _ = make_pool(24)
    with pytest.raises(ModelError, match="broken gave NaN or infinite values for 8 of 24"):
        extract(make_backbone(Broken(), features=3, name="broken"), pool.images)


def test_no_images_give_no_features():
    assert extract(tiny_backbone(), np.empty((0, 16, 16, 3), np.uint8)).shape == (0, 6)


@pytest.mark.parametrize(
    ("device", "capability", "chosen"),
    [("cuda", (6, 1), "fp32"), ("cuda", (7, 0), "fp16"), ("cuda", (9, 0), "fp16"), ("cpu", None, "fp32"),
     ("mps", None, "fp32")],
)  # fmt: skip
def test_features_are_float16_on_gpus_that_are_fast_in_it(monkeypatch, device, capability, chosen):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert feature_precision(torch.device(device)) == chosen


@pytest.mark.parametrize("precision", ROUNDING)
def test_features_in_16_bits_are_near_those_in_float32(precision):
    pool, _ = make_pool(24, 32)
    backbone = small_timm()
    wanted, found = extract(backbone, pool.images), extract(backbone, pool.images, precision=precision)
    assert found.dtype == np.float32
    assert not np.array_equal(found, wanted)  # it was another format
    assert np.abs(found - wanted).max() <= 8 * ROUNDING[precision] * np.abs(wanted).max()
    assert all(weight.dtype == torch.float32 for weight in backbone.module.parameters())


class Recording(nn.Module):
    """A convolution whose output is changed, and the number formats that it was computed in."""

    def __init__(self, change):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.change, self.formats = nn.Conv2d(3, 6, 3), change, []

    def forward(self, images):
        maps = self.layer(images)
        self.formats.append(maps.dtype)
        return self.change(maps).mean((2, 3))


@pytest.mark.parametrize(
    "change",
    [
        lambda maps: maps * 1e7,  # overflows
        lambda maps: maps * 1e7 / 1e7,  # overflows on the way
        lambda maps: maps * 1e-7,  # loses its digits
        lambda maps: maps * 1e-12,  # becomes 0
    ],
)
def test_what_float16_does_not_hold_is_computed_in_float32(change):
    pool, _ = make_pool(24)
    wanted = extract(make_backbone(Recording(change)), pool.images, batch_size=8)
    network = Recording(change)
    found = extract(make_backbone(network), pool.images, batch_size=8, precision="fp16")
    assert np.array_equal(found, wanted)
    assert network.formats == [torch.float16, *3 * [torch.float32]]  # the first batch decides for all


def test_small_differences_between_images_are_not_rounded_away():
    pool, _ = make_pool(24)

    def change(maps):
        return maps * 1e-4 + 10

    network = Recording(change)
    found = extract(make_backbone(network), pool.images, precision="fp16")
    assert np.array_equal(found, extract(make_backbone(Recording(change)), pool.images))
    assert network.formats == [torch.float16, torch.float32]


def test_a_network_that_does_not_take_mixed_formats_is_computed_in_float32():
    class Strict(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Linear(3, 6)

        def forward(self, images):
            found = self.layer(images.mean((2, 3)))
            return torch.zeros(len(images), 6).index_add_(0, torch.arange(len(images)), found)

    pool, _ = make_pool(5)
    assert np.array_equal(
        extract(make_backbone(Strict()), pool.images, precision="fp16"), extract(make_backbone(Strict()), pool.images)
    )


def test_features_that_are_no_numbers_are_an_error_in_16_bits_too():
    pool, _ = make_pool(5)
    with pytest.raises(ModelError, match="infinite values for 5 of 5"):
        extract(make_backbone(Recording(lambda maps: maps / 0)), pool.images, precision="fp16")


def test_the_same_features_for_all_are_an_error_in_16_bits_too():
    pool, _ = make_pool(24)
    with pytest.raises(ModelError, match="the same for all 24"):
        extract(make_backbone(Recording(lambda maps: maps * 0 + 2)), pool.images, precision="fp16")
