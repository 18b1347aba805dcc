import numpy as np
import pytest
import torch
from torch import nn

from eyeshot.core.errors import ModelError
from eyeshot.models import extract, normalise

from .helpers import HALF, make_backbone, make_pool, small_timm, tiny_backbone

CPU = torch.device("cpu")


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
