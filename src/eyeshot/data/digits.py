"""Digits whose right answers are known: the data of `eyeshot demo`.

The handwritten digits that ship inside scikit-learn (UCI "Optical recognition of handwritten digits", 1,797 images
of 8 × 8), each on a paper of its own, so that no two are alike. Test images, and the few labelled validation images
like them, come from "other scanners": a third is turned by up to 30°, a third inverted, a third has thicker strokes.
Faults as they occur in real collections are planted among the training images. Printed letters, from the fonts that
ship inside matplotlib, stand in for the images of another task on which networks are pretrained. Made with SciPy and
Pillow alone; nothing here is shared with the catalogue of augmentations.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from string import ascii_uppercase
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy import ndimage
from sklearn.datasets import load_digits

from eyeshot.core import make_folder, replacing

SIDE = 32
TRAINING, VALIDATION, TEST = 800, 240, 360
LARGEST_TURN = 30.0
PAPER_LEVEL, PAPER_CONTRAST, GRAIN = 50.0, 20.0, 1.5
"""Mean and standard deviation of the paper, and the width of its grain in pixels: digits stay readable."""
WRONG_LABELS = 10
FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmb", "cmr", "cmss", "cmtt")
LETTERS_OF_A_FONT = 2

Shift = Literal["turned", "inverted", "thicker"]
SHIFTS: tuple[Shift, ...] = ("turned", "inverted", "thicker")


def write_digits(folder: Path, *, seed: int) -> dict[str, list[str]]:
    """Write `data/train/<digit>/*.png`, `data/val/<digit>/*.png`, `data/test/*.png` and `letters/<letter>/*.png`, once.

    All are under `folder`, and follow from `seed`. A folder that was written before is left as it is.

    Returns:
        what is planted, as paths relative to `data`: "copies" (of the training image with which each is paired, one
        after the other), "two labels" (a picture under two), "leaks" (a test image and the training image that it
        repeats), "broken", "wrong labels", and the test images by shift: "turned", "inverted", "thicker".

    Raises:
        StorageError: a file cannot be written.
    """
    random = np.random.default_rng(seed)
    images, labels = large_digits()
    order = random.permutation(len(images))[: TRAINING + VALIDATION + TEST]
    files: dict[str, Image.Image] = {}
    planted: dict[str, list[str]] = {name: [] for name in SHIFTS}
    clean: dict[int, list[str]] = {digit: [] for digit in range(10)}
    for place, row in enumerate(order):
        digit, number = int(labels[row]), f"{row:04d}.png"
        if place < TRAINING:
            files[f"train/{digit}/{number}"] = Image.fromarray(_scan(images[row], None, random))
            clean[digit].append(f"train/{digit}/{number}")
            continue
        shift = SHIFTS[place % 3]
        validates = place < TRAINING + VALIDATION
        name = f"val/{digit}/{number}" if validates else f"test/{number}"
        files[name] = Image.fromarray(_scan(images[row], shift, random))
        if not validates:
            planted[shift].append(name)
    broken = _plant(files, planted, clean, random)
    if not (folder / "letters").is_dir():
        _write_letters(folder, np.random.default_rng(seed))
    if not (folder / "data").is_dir():
        _write(folder / "data", files, broken)
    return planted


def large_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All digits as bright strokes on black, uint8 (1797, 32, 32), and their labels."""
    digits = load_digits()
    small = digits.images / 16.0
    large = ndimage.zoom(small, (1, SIDE // 8, SIDE // 8), order=1, grid_mode=True, mode="nearest")
    return (np.clip(large, 0, 1) * 255).round().astype(np.uint8), digits.target.astype(np.int64)


def shifted(image: NDArray[np.uint8], shift: Shift, random: np.random.Generator) -> NDArray[np.uint8]:
    """An image as another scanner gives it."""
    if shift == "inverted":
        return 255 - image
    if shift == "turned":
        angle = random.uniform(-LARGEST_TURN, LARGEST_TURN)
        turned: NDArray[np.uint8] = ndimage.rotate(image, angle, reshape=False, order=1, cval=0)
        return turned
    thick: NDArray[np.uint8] = ndimage.grey_dilation(image, size=(5, 5))
    return thick


def _scan(strokes: NDArray[np.uint8], shift: Shift | None, random: np.random.Generator) -> NDArray[np.uint8]:
    """Strokes on paper; the paper is inverted with them, and neither thicker nor turned."""
    if shift == "inverted":
        return shifted(_on_paper(strokes, random), shift, random)
    return _on_paper(strokes if shift is None else shifted(strokes, shift, random), random)


def _on_paper(strokes: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Bright strokes over a dark paper whose grain no other image has."""
    grain = ndimage.gaussian_filter(random.standard_normal(strokes.shape), GRAIN)
    paper = np.clip(PAPER_LEVEL + PAPER_CONTRAST * (grain - grain.mean()) / grain.std(), 0, 255)
    ink = strokes / 255.0
    scan: NDArray[np.uint8] = (paper * (1 - ink) + 255 * ink).round().astype(np.uint8)
    return scan


def _plant(
    files: dict[str, Image.Image],
    planted: dict[str, list[str]],
    clean: dict[int, list[str]],
    random: np.random.Generator,
) -> str:
    """Add the faults to `files`, say so in `planted`, and give the name of the file that breaks off."""
    numbers = iter(range(2000, 3000))  # above those of all digits
    taken = {digit: iter([names[row] for row in random.permutation(len(names))]) for digit, names in clean.items()}

    def added(image: Image.Image, folder: str) -> str:
        name = f"{folder}/{next(numbers)}.png"
        files[name] = image
        return name

    planted["copies"] = []
    for digit, copy in ((3, Image.Image.copy), (2, ImageOps.mirror), (5, _quarter_turn)):
        original = next(taken[digit])
        planted["copies"] += [original, added(copy(files[original]), f"train/{digit}")]
    original = next(taken[4])
    planted["two labels"] = [original, added(files[original].copy(), "train/9")]
    original = next(taken[7])
    planted["leaks"] = [added(files[original].copy(), "test"), original]
    broken: str = next(taken[6])
    planted["broken"] = [broken]
    planted["wrong labels"] = []
    for digit in range(WRONG_LABELS):
        original = next(taken[digit % 10])
        wrong = (digit + int(random.integers(1, 10))) % 10
        planted["wrong labels"].append(added(files.pop(original), f"train/{wrong}"))
    return broken


def _quarter_turn(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_90)


def _write(folder: Path, files: dict[str, Image.Image], broken: str) -> None:
    """Write all files, and the folder's own name last, so that it is never there in part."""
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name, image in files.items():
        file = unfinished / name
        if not file.parent.is_dir():
            make_folder(file.parent)
        image.save(file)
    if broken:
        whole = (unfinished / broken).read_bytes()
        with replacing(unfinished / broken) as temporary:
            temporary.write_bytes(whole[: len(whole) // 5])
    os.replace(unfinished, folder)


def _write_letters(folder: Path, random: np.random.Generator) -> None:
    """Capital letters of many fonts, as coarse as the digits, on the same kind of paper."""
    import matplotlib

    fonts = sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf"))
    fonts = [font for font in fonts if font.stem.startswith(FONTS) and "Display" not in font.stem]
    files: dict[str, Image.Image] = {}
    for letter in ascii_uppercase:
        for number, font in enumerate(fonts):
            for draw in range(LETTERS_OF_A_FONT):
                drawn = Image.new("L", (SIDE, SIDE))
                middle = tuple(SIDE // 2 + random.integers(-3, 4, size=2))
                sized = ImageFont.truetype(str(font), int(random.integers(26, 38)))
                ImageDraw.Draw(drawn).text(middle, letter, fill=255, font=sized, anchor="mm")
                coarse = drawn.resize((8, 8), Image.Resampling.BOX).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
                strokes = np.asarray(coarse, np.uint8)
                files[f"{letter}/{number:02d}-{draw}.png"] = Image.fromarray(_on_paper(strokes, random))
    _write(folder / "letters", files, "")
