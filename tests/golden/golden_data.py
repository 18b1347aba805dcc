"""The data of the golden runs: a project folder with digits, planted faults, weights and a model of one's own.

Everything is made from seeds by NumPy and written without compression, so that the bytes, and with them the contents
that decisions and splits are kept under, are the same on every machine.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from scipy import ndimage

from eyeshot.data.digits import large_digits

CLASSES = (0, 1, 7)
N_TRAIN, N_TEST = 130, 50
OWN_MODELS = """\
import timm
from safetensors.torch import load_file


def first():
    return loaded(timm.create_model("test_resnet", num_classes=0), "first.safetensors")


def second():
    return loaded(timm.create_model("test_vit", img_size=32, num_classes=0), "second.safetensors")


def loaded(network, file):
    network.load_state_dict(load_file(file))
    return network
"""


def make_project(folder: Path) -> None:
    """Write `train/<digit>/`, `test/`, `flat/` with `labels.csv`, weights and `golden_models.py` into `folder`."""
    images, labels = _digits()
    rows = np.flatnonzero(np.isin(labels, CLASSES))[: N_TRAIN + N_TEST]
    for row in rows[:N_TRAIN]:
        _save(images[row], folder / "train" / str(labels[row]) / f"{row:04d}.bmp")
    for place, row in enumerate(rows[N_TRAIN:]):
        # Two thirds inverted, a third with thicker strokes: two candidates reach some of them each.
        shifted = ndimage.grey_dilation(images[row], size=(5, 5, 1)) if place % 3 == 0 else 255 - images[row]
        _save(shifted, folder / "test" / f"{row:04d}.bmp")
    _plant(folder, [(int(labels[row]), f"{row:04d}.bmp") for row in rows[:N_TRAIN]])
    _make_labelled_list(folder, images, labels)
    networks = {
        "weights": timm.create_model("test_resnet"),
        "first": timm.create_model("test_resnet", num_classes=0),
        "second": timm.create_model("test_vit", img_size=32, num_classes=0),
    }
    for seed, (name, network) in enumerate(networks.items()):
        save_file(_weights(network, seed), folder / f"{name}.safetensors")
    (folder / "golden_models.py").write_text(OWN_MODELS, encoding="utf-8")


def _digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Digits on a ground of coloured squares, uint8 (n, 32, 32, 3), and their labels.

    Plain digits are near copies of each other; the ground leaves the planted copies alone.
    """
    digits, labels = large_digits()
    squares = np.random.default_rng(11).integers(0, 96, (len(digits), 8, 8, 3), dtype=np.int64)
    ground = squares.repeat(4, axis=1).repeat(4, axis=2)
    return (digits[..., None].astype(np.int64) * 159 // 255 + ground).astype(np.uint8), labels


def _plant(folder: Path, files: list[tuple[int, str]]) -> None:
    """Two identical files, one picture under two labels, one turned copy, one picture in train and test, one broken."""
    zeros, ones = ([name for label, name in files if label == wanted] for wanted in (0, 1))
    train, test = folder / "train", folder / "test"
    shutil.copyfile(train / "0" / zeros[3], train / "0" / "identical.bmp")
    shutil.copyfile(train / "1" / ones[2], train / "7" / "two-labels.bmp")
    shutil.copyfile(train / "1" / ones[5], test / "leak.bmp")
    with Image.open(train / "0" / zeros[7]) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(train / "0" / "turned.bmp")
    (train / "7" / "broken.bmp").write_bytes((train / "1" / ones[0]).read_bytes()[:300])


def _make_labelled_list(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """A flat folder whose labels lie in a CSV file, and probabilities of a judge that is wrong about a few images."""
    rows = np.flatnonzero(np.isin(labels, CLASSES))[200:260]
    random = np.random.default_rng(5)
    with (
        open(folder / "labels.csv", "w", newline="", encoding="utf-8") as named,
        open(folder / "probabilities.csv", "w", newline="", encoding="utf-8") as judged,
    ):
        listing, probabilities = csv.writer(named), csv.writer(judged)
        listing.writerow(["file", "digit"])
        probabilities.writerow(["file", *CLASSES])
        for place, row in enumerate(rows):
            name = f"{row:04d}.bmp"
            _save(images[row], folder / "flat" / name)
            believed = 1 if place in (7, 31) else int(labels[row])
            shares = random.uniform(0.01, 0.05, len(CLASSES))
            shares[CLASSES.index(believed)] = 0.9
            listing.writerow([name, labels[row]])
            probabilities.writerow([name, *(f"{share:.6f}" for share in shares / shares.sum())])


def _save(image: NDArray[np.uint8], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(file)


def _weights(network: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """Untrained weights drawn by NumPy: torch's own draws may differ between versions."""
    random = np.random.default_rng(seed)
    state = network.state_dict()
    for name, value in sorted(state.items()):
        if value.ndim > 1:
            spread = np.sqrt(2 / value[0].numel())
            state[name] = torch.from_numpy((spread * random.standard_normal(value.shape)).astype(np.float32))
        elif name.endswith("bias"):
            state[name] = torch.zeros_like(value)
    return state
