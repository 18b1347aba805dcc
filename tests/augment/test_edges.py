import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
import scipy.ndimage
import torch

from eyeshot.augment import augmentation, make_views
from eyeshot.augment.edges import sobel

from .helpers import pool_of, textured


def drawing(background, line, *, size=64):
    """A circle and a square, as uint8 (1, 3, H, W)."""
    picture = PIL.Image.new("RGB", (size, size), (background,) * 3)
    pen = PIL.ImageDraw.Draw(picture)
    pen.ellipse((12, 12, 50, 50), outline=(line,) * 3, width=2)
    pen.rectangle((24, 24, 58, 40), outline=(line,) * 3, width=2)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]


def view(name, images):
    views = make_views(augmentation(name), pool_of(images), range(len(images)), seed=0, draw=0)
    return views.images, views.success


def test_the_gradient_is_that_of_scipy():
    brightness = textured(1)[:, :1].float()
    down, along = (scipy.ndimage.sobel(brightness[0, 0].numpy(), axis, mode="mirror") for axis in (0, 1))
    assert np.allclose(sobel(brightness)[0, 0].numpy(), np.hypot(down, along) / 4, atol=1e-3)


def test_a_step_of_one_level_has_a_gradient_of_one():
    step = torch.zeros(1, 1, 9, 9)
    step[..., 5:] = 1
    assert float(sobel(step).max()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["edges", "pencil"])
@pytest.mark.parametrize(("background", "line"), [(255, 0), (0, 255), (200, 60)])
def test_drawings_give_lines_and_succeed(name, background, line):
    images, success = view(name, drawing(background, line))
    assert success.all()
    ground = 255 if name == "pencil" else 0
    marked = (images[0, 0].int() - ground).abs() > 100
    assert 0.02 < float(marked.float().mean()) < 0.45
    assert (images[0, 0, :8, :8].int() - ground).abs().max() < 10


def test_the_same_edges_are_found_in_the_negative():
    images = drawing(180, 20)
    one, other = view("edges", images)[0], view("edges", 255 - images)[0]
    assert (one.int() - other.int()).abs().max() <= 2


@pytest.mark.parametrize("name", ["edges", "pencil"])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_empty_edge_maps_fail_and_leave_the_image_as_it_was(name, level):
    images = torch.full((2, 3, 32, 32), level, dtype=torch.uint8)
    images[1] = textured(1)[0] // 64 + 100
    result, success = view(name, images)
    assert success.tolist() == [False, False]
    assert torch.equal(result, images)


def test_full_edge_maps_fail():
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8))
    ramp = torch.linspace(0, 255, 64).round().to(torch.uint8).expand(1, 3, 64, 64)
    assert not view("edges", noise)[1].any()
    assert not view("edges", ramp)[1].any()


def test_only_the_failed_images_of_a_batch_stay_clean():
    images = torch.cat([drawing(255, 0), torch.zeros(1, 3, 64, 64, dtype=torch.uint8), drawing(0, 200)])
    result, success = view("pencil", images)
    assert success.tolist() == [True, False, True]
    assert torch.equal(result[1], images[1])
    assert not torch.equal(result[2], images[2])


@pytest.mark.shared
def test_most_photographs_and_drawings_succeed(shared):
    for kind, folder in (("photo", "dog"), ("sketch", "horse")):
        files = sorted((shared / "data" / "pacs" / kind / folder).iterdir())[:60]
        pictures = [np.array(PIL.Image.open(file).convert("RGB").resize((64, 64))) for file in files]
        images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        for name in ("edges", "pencil"):
            assert float(view(name, images)[1].float().mean()) > 0.9
