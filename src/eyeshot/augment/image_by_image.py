"""The user's own function or torchvision pipeline as an operation: image by image, under a seed of its own."""

from __future__ import annotations

import random as python_random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from eyeshot.augment.operation import Operation, Parameters
from eyeshot.augment.own_result import as_levels, blamed, step_name, steps_of
from eyeshot.errors import InputError
from eyeshot.own_code import importable, user_line

Kind = Literal["PIL image", "tensor"]

_FROM_PICTURES = {"ToTensor", "PILToTensor", "ToImage", "MaybeToTensor", "ToNumpy"}
_OF_TENSORS = {"RandomErasing", "ToPILImage", "ConvertImageDtype", "ToDtype", "GaussianNoise", "JPEG", "Normalize"}


@dataclass(frozen=True)
class ImageByImage(Operation):
    """Calls a function on one image after another, on the CPU.

    What it draws from torch's, NumPy's or Python's global generator follows from the image's seed, and the
    generators are put back afterwards: it repeats, and batch size and order change nothing.

    Attributes:
        function: of an image, or of an image and a `numpy.random.Generator`.
        reference: where it is found: "package.module:attribute" or "path/to/file.py:attribute".
        takes: the kind of image that it is given: a PIL image (RGB), or a tensor uint8 (3, H, W).
        takes_random: whether it is given a generator as well.
        decorated: whether `reference` is an `Augmentation` that holds this, and not the function.
        identity: text that changes when what the function does changes.
        folder: from where `reference` is looked up.
    """

    function: Callable[..., Any]
    reference: str
    takes: Kind
    takes_random: bool
    decorated: bool
    identity: str
    folder: str

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The seed of the image."""
        return {"seed": int(random.integers(1 << 63))}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """What the function makes of each image.

        Raises:
            InputError: the function fails, or gives something else than an image of the same size.
        """
        if not len(images):
            return images.clone()
        seeds: list[int] = parameters["seed"].tolist() if "seed" in parameters else [0] * len(images)
        with importable(Path(self.folder)), _generators_put_back():
            views = [self._view(image, seed) for image, seed in zip(images.cpu(), seeds, strict=True)]
        return torch.stack(views).to(images.device)

    @property
    def fingerprint(self) -> str:
        """Changes with the function's own text, settings and file."""
        return f"{type(self).__qualname__}.{self.version}({self.takes}, {self.identity})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Functions, lambdas among them, are looked up again by name: pickle knows but importable ones.
        from eyeshot.augment.own import find_again

        return find_again, (self.reference, self.folder)

    def _view(self, image: Tensor, seed: int) -> Tensor:
        _seed_all(seed)
        more = (np.random.Generator(np.random.Philox(key=seed)),) if self.takes_random else ()
        size = (image.shape[1], image.shape[2])
        try:
            result = self.function(given(image, self.takes), *more)
        except Exception as error:
            steps = steps_of(self.function)
            step = self._failing_step(image, seed) if len(steps) > 1 else None
            raise InputError(
                f"{self.reference} must give an image for every image; given a {self.takes} of {size[1]} x {size[0]} "
                f"pixels, it failed{f' in {step}' if step else ''}: {type(error).__name__}: {error} "
                f"({user_line(error)}). Correct it, or leave it out."
            ) from error
        levels = as_levels(result, size)
        if isinstance(levels, Tensor):
            return levels
        _seed_all(seed)
        raise InputError(f"{self.reference} {blamed(levels, self.function, given(image, self.takes), size)}")

    def _failing_step(self, image: Tensor, seed: int) -> str | None:
        _seed_all(seed)
        value: Any = given(image, self.takes)
        for step in steps_of(self.function):
            try:
                value = step(value)
            except Exception:
                return step_name(step)
        return None


@dataclass(frozen=True)
class FixedImageByImage(ImageByImage):
    """The same for a function without anything random: every image has one view."""

    deterministic: ClassVar[bool] = True

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Nothing to draw."""
        return {}


def given(image: Tensor, kind: Kind) -> Any:
    """A copy of an image uint8 (3, H, W) as the kind that a function takes."""
    if kind == "tensor":
        return image.clone()
    return PIL.Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))


def choose_kind(function: Callable[..., Any], *, takes_random: bool = False) -> tuple[Kind, str]:
    """The kind of image to give a function, and why.

    Pipelines in a training are given PIL images by torchvision's data sets, so a step that converts them decides,
    as does a step that wants a tensor, which the v2 ones among them would silently pass a PIL image by. Otherwise
    it is tried: the tensor first for v2, where both are equal, and the PIL image first for anything else.
    """
    steps = steps_of(function)
    wanted, why = _wanted_kind(steps)
    other: Kind = "PIL image" if wanted == "tensor" else "tensor"
    if _runs_on(function, wanted, takes_random):
        return wanted, why
    if _runs_on(function, other, takes_random):
        return other, f"it fails on a {wanted}"
    return wanted, "it failed on either kind of 224 x 224 pixels"


def _wanted_kind(steps: list[Any]) -> tuple[Kind, str]:
    for step in steps:
        name = type(step).__name__
        if name in _FROM_PICTURES:
            return "PIL image", f"its step {name} converts one"
        if name in _OF_TENSORS:
            return "tensor", f"its step {name} wants one"
    if any(type(step).__module__.startswith("torchvision.transforms.v2") for step in steps):
        return "tensor", "it is of transforms.v2"
    return "PIL image", "it runs on one"


def _runs_on(function: Callable[..., Any], kind: Kind, takes_random: bool) -> bool:
    image = torch.arange(3 * 224 * 224).view(3, 224, 224).remainder(251).to(torch.uint8)
    with _generators_put_back():
        for seed in range(2):
            _seed_all(seed)
            more = (np.random.Generator(np.random.Philox(key=seed)),) if takes_random else ()
            try:
                result = function(given(image, kind), *more)
            except Exception:
                return False
            if not isinstance(result, (Tensor, PIL.Image.Image)):
                return False
    return True


def _seed_all(seed: int) -> None:
    # torch.manual_seed would seed the GPUs too, which nobody puts back.
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % (1 << 32))
    python_random.seed(seed)


@contextmanager
def _generators_put_back() -> Iterator[None]:
    legacy, plain = np.random.get_state(), python_random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(legacy)
        python_random.setstate(plain)
