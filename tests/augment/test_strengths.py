import numpy as np
import pytest

from eyeshot.augment import SCALABLE, augmentation, augmentations, make_samples
from eyeshot.augment.strengths import at_strength

from .helpers import pool_of, textured


@pytest.mark.parametrize("name", SCALABLE)
def test_half_the_strength_changes_images_less_and_the_whole_is_the_catalogue_s(name):
    entry = augmentation(name)
    assert at_strength(entry.operation, 1) is entry.operation
    pool = pool_of(textured(12, 48, 48))
    clean = pool.take(np.arange(12)).float()

    def change(text: str) -> float:
        samples = [make_samples(augmentation(text), pool, range(12), seed=0, draw=draw).images for draw in range(4)]
        return float(np.mean([(images.float() - clean).abs().mean().item() for images in samples]))

    weakest, half, whole = (change(f"{name}{strength}@1") for strength in ("=0.05", "=0.5", ""))
    assert 0 < half < whole
    assert weakest < half


def test_operations_with_one_strength_say_so():
    for entry in augmentations():
        if entry.name not in SCALABLE:
            with pytest.raises(ValueError, match="one strength only"):
                at_strength(entry.operation, 0.5)
