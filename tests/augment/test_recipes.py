import types

import PIL.Image
import pytest
import torch
from torchvision.transforms import v2

from eyeshot.augment import augmentation, augmentations, compose_lines, make_samples

from .helpers import largest_difference, pool_of, textured

NAMES = [entry.name for entry in augmentations()]
SPACE = {"v2": v2, "eyeshot": types.SimpleNamespace(augmentation=augmentation), "class_count": 4}


def pasted(name, *, size=None):
    """The transform that somebody gets who pastes the lines into a pipeline."""
    return eval("v2.Compose([\n" + "\n".join(compose_lines(augmentation(name), size=size)) + "\n])", SPACE)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if not augmentation(name).operation.partners and name != "clean"]
)
@pytest.mark.parametrize("size", [None, 24])
def test_the_lines_run_on_pictures_and_tensors(name, size):
    picture = PIL.Image.fromarray(textured(1, 24, 24)[0].permute(1, 2, 0).numpy())
    pipeline = v2.Compose([v2.ToImage(), pasted(name, size=size)])
    for _ in range(4):
        image = pipeline(picture)
        assert image.shape == (3, 24, 24)
        assert image.dtype == torch.uint8


@pytest.mark.parametrize(
    "name", ["mirror", "vertical-flip", "half-turns", "grey", "invert", "solarize", "posterize", "equalize",
             "autocontrast", "sharpness"]
)  # fmt: skip
def test_torchvision_does_the_same_as_the_operation_that_was_measured(name):
    (line,) = compose_lines(augmentation(name))
    assert line.startswith("v2.")
    assert "p=0.5" in line
    images = textured()
    pipeline = eval(f"v2.Compose([{line.replace('p=0.5', 'p=1.0')}])", SPACE)
    measured = make_samples(augmentation(name), pool_of(images), range(len(images)), seed=0, draw=0).images
    assert largest_difference(pipeline(images), measured) <= 1


def test_strengths_are_those_of_the_catalogue():
    assert compose_lines(augmentation("gaussian-blur")) == [
        "v2.RandomApply([v2.GaussianBlur(13, sigma=(0.1, 2.0))], p=0.5),"
    ]
    assert compose_lines(augmentation("jitter")) == [
        "v2.RandomApply([v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)], p=0.5),"
    ]
    assert compose_lines(augmentation("crop-strong"), size=224) == [
        "v2.RandomResizedCrop(224, scale=(0.2, 1.0), ratio=(0.75, 1.333)),"
    ]


@pytest.mark.parametrize("name", ["rotate-15", "affine", "perspective", "trivial-augment", "rand-augment", "augmix",
                                  "elastic", "random-convolution", "downscale", "erasing", "jpeg"])  # fmt: skip
def test_what_torchvision_does_otherwise_is_written_as_our_own(name):
    assert compose_lines(augmentation(name)) == [f'eyeshot.augmentation("{name}").as_transform(),']


def test_torchvisions_channel_permutation_gives_every_order_as_often():
    image = torch.tensor([10, 20, 30], dtype=torch.uint8).view(3, 1, 1)
    pipeline = pasted("channel-shuffle")
    assert "v2.RandomChannelPermutation" in compose_lines(augmentation("channel-shuffle"))[0]
    torch.manual_seed(0)
    seen = [tuple(pipeline(image).flatten().tolist()) for _ in range(3000)]
    assert seen.count((10, 20, 30)) / 3000 == pytest.approx(0.5, abs=0.04)
    others = [seen.count(order) / 3000 for order in set(seen) - {(10, 20, 30)}]
    assert others == pytest.approx([0.1] * 5, abs=0.025)


def test_the_ratios_that_were_seen_are_written_down():
    (entry,) = augmentations("affine-stretch", aspect_ratios=(1.25, 1.5))
    (line,) = compose_lines(entry)
    assert "aspect_ratios=(1.0, 1.5)" in line
    pasted_entry = eval(line.replace(".as_transform(),", ""), SPACE)
    assert pasted_entry.operation == entry.operation
    assert "aspect_ratios" not in compose_lines(augmentation("affine-stretch"))[0]


def test_clean_needs_no_line():
    assert compose_lines(augmentation("clean")) == []


@pytest.mark.parametrize("name", [name for name in NAMES if augmentation(name).operation.partners])
def test_mixing_lines_work_on_batches(name):
    space = dict(SPACE)
    exec("\n".join(compose_lines(augmentation(name))), space)
    images, labels = textured(4) / 255, torch.arange(4)
    torch.manual_seed(0)
    for _ in range(8):
        mixed, targets = space["mix"](images, labels)
        assert mixed.shape == images.shape
        assert targets.shape in ((4,), (4, 4))
