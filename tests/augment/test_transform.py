import numpy as np
import PIL.Image
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from eyeshot.augment import augmentation
from eyeshot.core.errors import InputError

from .helpers import textured


def always(name, **options):
    return augmentation(name).as_transform(always=True, **options)


def test_pictures_keep_their_mode_where_it_is_grey_or_rgb_and_become_rgb_otherwise():
    for mode, expected in (("RGB", "RGB"), ("L", "L"), ("RGBA", "RGB"), ("P", "RGB"), ("1", "RGB")):
        result = always("jitter")(PIL.Image.new(mode, (20, 11)))
        assert (result.mode, result.size) == (expected, (20, 11))


@pytest.mark.parametrize("shape", [(3, 9, 14), (1, 9, 14), (5, 3, 9, 14), (2, 1, 9, 14), (0, 3, 4, 4)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16])
def test_tensors_keep_shape_and_type(shape, dtype):
    image = torch.rand(shape).to(dtype) if dtype.is_floating_point else torch.zeros(shape, dtype=dtype)
    for name in ("rotate-30", "edges", "gaussian-noise", "patch-mask"):
        result = always(name)(image)
        assert (result.shape, result.dtype) == (image.shape, dtype)


def test_float_images_are_treated_as_their_256_levels():
    images = textured(3)
    assert torch.equal(always("invert")(images / 255), (255 - images) / 255)


def test_the_input_is_not_modified():
    images = textured(3)
    before = images.clone()
    for name in ("clean", "mirror", "translate", "erasing"):
        always(name)(images)
    assert torch.equal(images, before)


def test_torchs_seed_repeats_the_transform_and_calls_differ():
    images, transform = textured(2), always("rotate-30")
    torch.manual_seed(7)
    first, second = transform(images), transform(images)
    torch.manual_seed(7)
    assert torch.equal(transform(images), first)
    assert not torch.equal(first, second)


def test_images_of_a_batch_get_parameters_of_their_own():
    same = textured(1).expand(4, -1, -1, -1)
    results = always("rotate-30")(same)
    assert len({result.numpy().tobytes() for result in results}) == 4


def test_it_is_applied_with_the_catalogues_probability():
    images = textured(1, 4, 4).expand(2000, -1, -1, -1)
    torch.manual_seed(0)
    changed = (augmentation("invert").as_transform()(images) != images).flatten(1).any(1)
    assert 0.45 < float(changed.float().mean()) < 0.55
    assert always("invert")(images).ne(images).flatten(1).any(1).all()


def test_it_stands_in_a_torchvision_pipeline_beside_labels():
    pipeline = v2.Compose([v2.ToImage(), always("invert"), v2.ToDtype(torch.float32, scale=True)])
    image, label = pipeline(PIL.Image.new("RGB", (5, 4), "white"), 3)
    assert isinstance(image, tv_tensors.Image)
    assert float(image.max()) == 0
    assert label == 3


def test_a_failed_image_comes_back_as_it_was():
    blank = torch.full((3, 20, 20), 90, dtype=torch.uint8)
    assert torch.equal(always("edges")(blank), blank)


def test_mixing_takes_a_batch_and_gives_label_probabilities():
    images, labels = textured(8), torch.arange(8) % 4
    torch.manual_seed(1)
    mixed, targets = always("cutmix", class_count=4)(images, labels)
    assert mixed.shape == images.shape
    assert targets.shape == (8, 4)
    assert torch.allclose(targets.sum(1), torch.ones(8))
    soft = always("mixup")(images.float() / 255, torch.eye(8))
    assert soft[0].dtype == torch.float32
    assert (soft[1].diagonal() < 1).any()


def test_mixed_labels_are_the_shares_of_pixels():
    levels = torch.arange(6, dtype=torch.uint8).view(-1, 1, 1, 1) * 40
    torch.manual_seed(3)
    mixed, targets = always("mosaic", class_count=6)(levels.expand(-1, 3, 16, 16), torch.arange(6))
    for image, target in zip(mixed, targets, strict=True):
        counted = torch.bincount(image[0].flatten().long() // 40, minlength=6) / 256
        assert torch.allclose(counted, target, atol=1e-6)


def test_an_unmixed_image_keeps_its_label():
    images = textured(64, 4, 4)
    torch.manual_seed(0)
    mixed, targets = augmentation("mixup").as_transform(class_count=64)(images, torch.arange(64))
    kept = targets.amax(1) == 1
    assert 15 < int(kept.sum()) < 55
    assert torch.equal(mixed[kept], images[kept])


@pytest.mark.parametrize(
    ("image", "rule"),
    [
        (np.zeros((4, 4, 3), np.uint8), "PIL image or a tensor"),
        (torch.zeros(4, 4, dtype=torch.uint8), "channels"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), "channels"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "uint8 or float"),
        (torch.full((3, 4, 4), -1.0), "before Normalize"),
        (torch.full((3, 4, 4), 200.0), "between 0 and 1"),
    ],
)
def test_what_is_no_image_is_refused_with_the_rule(image, rule):
    with pytest.raises(InputError, match=rule):
        always("mirror")(image)


def test_mixing_without_a_batch_or_a_class_count_is_refused():
    with pytest.raises(InputError, match="mixes a batch"):
        always("mixup", class_count=2)(textured(1)[0], torch.zeros(1))
    with pytest.raises(InputError, match="class_count"):
        always("mixup")(textured(2), torch.zeros(2, dtype=torch.int64))
