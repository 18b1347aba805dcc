import numpy as np
import PIL.Image
import pytest

from eyeshot.augment import augmentations, preview_grid
from eyeshot.core.errors import InputError

from .helpers import textured


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "그림 one.png"
    PIL.Image.fromarray(textured(1, 60, 90)[0].permute(1, 2, 0).numpy()).save(path)
    return path


def test_the_whole_catalogue_fits_on_one_picture(picture, tmp_path):
    grid = preview_grid(picture, augmentations(), samples=2, size=32)
    grid.save(tmp_path / "grid.png")
    assert grid.mode == "RGB"
    assert grid.width < 2 * grid.height


def test_the_original_stands_before_its_views(picture):
    grid = np.asarray(preview_grid(picture, augmentations("invert"), size=40))
    original = np.asarray(PIL.Image.open(picture).convert("RGB").crop((15, 0, 75, 60)).resize((40, 40), 3))
    left = 198
    shown, inverted = grid[8:48, left : left + 40], grid[8:48, left + 48 : left + 88]
    assert np.abs(shown.astype(int) - original).max() <= 2
    assert np.array_equal(inverted, 255 - shown)


def test_the_same_seed_gives_the_same_picture(picture):
    grids = [preview_grid(picture, augmentations("rotate-30"), size=24, seed=seed) for seed in (0, 0, 1)]
    assert grids[0].tobytes() == grids[1].tobytes() != grids[2].tobytes()


def test_mixing_takes_other_images_of_the_folder(picture):
    alone = preview_grid(picture, augmentations("mixup"), size=24)
    PIL.Image.new("RGB", (50, 50), "red").save(picture.parent / "two.jpg")
    (picture.parent / "broken.jpg").write_bytes(b"<html>")
    together = preview_grid(picture, augmentations("mixup"), size=24)
    assert alone.tobytes() != together.tobytes()


def test_what_failed_is_marked(tmp_path):
    path = tmp_path / "blank.png"
    PIL.Image.new("RGB", (40, 40), "white").save(path)
    grid = np.asarray(preview_grid(path, augmentations("edges"), size=40))
    assert (grid == (187, 0, 0)).all(2).any()


def test_an_unreadable_image_is_refused(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_text("<html>", encoding="utf-8")
    with pytest.raises(InputError, match=r"page\.jpg"):
        preview_grid(path, augmentations("mirror"))
    with pytest.raises(InputError):
        preview_grid(tmp_path / "missing.jpg", augmentations("mirror"))


def test_a_preview_of_nothing_is_refused(picture):
    with pytest.raises(InputError, match="at least one augmentation"):
        preview_grid(picture, ())
