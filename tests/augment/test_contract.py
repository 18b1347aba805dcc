"""The whole catalogue keeps the contract that anybody's augmentation must keep."""

import pytest

from eyeshot.augment import augmentation, augmentations
from eyeshot.testing import AugmentationContract


class TestCatalogue(AugmentationContract):
    @pytest.fixture(autouse=True, params=[entry.name for entry in augmentations()])
    def _chosen(self, request):
        self.augmentation = augmentation(request.param)
