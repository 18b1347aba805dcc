"""Augmentations of the user's own: by the name of their code, by a decorator, checked before the long work."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.augment.candidate import Augmentation, Family
from eyeshot.augment.image_by_image import FixedImageByImage, ImageByImage, choose_kind
from eyeshot.augment.operation import Operation
from eyeshot.augment.own_result import step_name, steps_of
from eyeshot.augment.plans import Pool
from eyeshot.augment.views import make_views
from eyeshot.errors import EyeshotError, InputError
from eyeshot.own_code import OwnCode, load_own_code, source_hash, user_line

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_TRIES = 3  # draws in the check


def own_augmentation(
    *,
    strength: str = "",
    probability: float = 0.5,
    deterministic: bool = False,
    description: str = "",
    may_destroy: str = "not told",
    source: str = "your own",
    family: Family = "own",
) -> Callable[[Callable[..., Tensor]], Augmentation]:
    """Decorator that makes an `Augmentation` of a function of one image.

    The function is given a tensor uint8 (3, H, W), RGB, 0-255, on the CPU, which it may overwrite, and, where it has
    a second parameter, a `numpy.random.Generator`. It returns an image of the same size, uint8 or float 0-1.
    Its name is the function's; by "module:function" every command finds it::

        @eyeshot.own_augmentation(strength="20 to 80 grey levels")
        def haze(image, random):
            return (image.int() + random.integers(20, 80)).clamp(0, 255).to(torch.uint8)

    Args:
        strength: the strength in words.
        probability: share of images that it changes in training; for the clouds it is always applied.
        deterministic: whether it draws nothing, so that every image has one view.
        description: one line; the first line of the function's docstring where empty.
        may_destroy: which labels it may make unreadable.
        source: where the strength comes from.
        family: the kind of change.
    """

    def decorate(function: Callable[..., Tensor]) -> Augmentation:
        if not inspect.isfunction(function):
            raise InputError(
                f"own_augmentation makes an augmentation of a function, got {type(function).__name__}. "
                "Name objects, a Compose among them, as module:attribute instead."
            )
        make = FixedImageByImage if deterministic else ImageByImage
        file = Path(inspect.getfile(function))
        operation = make(
            function=function,
            reference=f"{function.__module__}:{function.__qualname__}",
            takes="tensor",
            takes_random=_takes_random(function),
            decorated=True,
            identity=_identity(function),
            folder=str(file.parents[function.__module__.count(".")]),
        )
        text = description or (inspect.getdoc(function) or "A function of your own.").splitlines()[0]
        return Augmentation(function.__name__, family, strength, probability, text, may_destroy, source, operation)

    return decorate


def check_own(augmentation: Augmentation, size: int) -> None:
    """Runs an augmentation of the user's own on a few made images, so that faults show before the long work.

    Nothing is done for those of the catalogue.

    Args:
        augmentation: what to check.
        size: side of the images in pixels, as they will be.

    Raises:
        InputError: it fails, gives no images of that size in RGB, or does not repeat for the same seed.
    """
    operation = augmentation.operation
    if type(operation).__module__.startswith("eyeshot.") and not isinstance(operation, ImageByImage):
        return
    images = _made_images(size)
    pool = Pool(images, [f"{number:032x}" for number in range(len(images))])
    for draw in range(1 if augmentation.deterministic else _TRIES):
        try:
            first, second = (
                make_views(augmentation, pool, range(len(images)), seed=0, draw=draw).images for _ in range(2)
            )
        except EyeshotError:
            raise
        except Exception as error:
            raise InputError(
                f"{augmentation.name} must give views uint8 (n, 3, {size}, {size}) of such images; on made ones it "
                f"failed: {type(error).__name__}: {error} ({user_line(error)}). "
                "Run eyeshot.testing.AugmentationContract on it."
            ) from error
        if not torch.equal(first, second):
            raise InputError(
                f"{augmentation.name} must give the same view for the same seed, and did not. What it draws must come "
                "from the generator that it is given, or from torch's, NumPy's or Python's global one: not from "
                "numpy.random.default_rng() or the clock."
            )


def is_own(name: str) -> bool:
    """Whether a name is that of the user's own code and not of the catalogue, whose names have no colon."""
    return ":" in name


def load_own(name: str, *, folder: Path | None = None) -> Augmentation:
    """The augmentation that "package.module:attribute" or "path/to/file.py:attribute" stands for.

    Its name is what was typed, also where the attribute is an `Augmentation` with a name of its own: what is printed
    can then be typed again, and is never that of another one of the catalogue.

    Raises:
        InputError: it cannot be loaded, or is nothing that changes images.
    """
    found = load_own_code(name, told_as=f"The augmentation {name}", folder=folder)
    value = found.value
    if isinstance(value, Augmentation):
        operation = value.operation
        if isinstance(operation, ImageByImage):
            operation = replace(operation, reference=name, folder=str(found.folder))
        return replace(value, name=name, operation=operation)
    if isinstance(value, Operation):
        settings = ", ".join(f"{key} {text}" for key, text in value.settings().items())
        text = (inspect.getdoc(value) or "An operation of your own.").splitlines()[0]
        family: Family = "mixing" if value.mixes_labels else "own"
        return Augmentation(name, family, settings, 1.0, text, "not told", str(found.file or name), value)
    if inspect.isclass(value) or not callable(value):
        got = f"the class {value.__name__}" if inspect.isclass(value) else type(value).__name__
        raise InputError(
            f"The augmentation {name} must be a torchvision Compose, a function from image to image, an Operation or "
            f"an Augmentation, got {got}. Name an object that is made already, for instance transform = Compose([...])."
        )
    return _of_transform(name, found)


def find_again(reference: str, folder: str) -> Operation:
    """The operation behind a name, in another process."""
    return load_own(reference, folder=Path(folder)).operation


def _of_transform(name: str, found: OwnCode) -> Augmentation:
    function = found.value
    takes_random = _takes_random(function)
    kind, why = choose_kind(function, takes_random=takes_random)
    operation = ImageByImage(
        function=function,
        reference=name,
        takes=kind,
        takes_random=takes_random,
        decorated=False,
        identity=f"{_identity(function)} {found.source}",
        folder=str(found.folder),
    )
    steps = steps_of(function)
    what = f"Your own pipeline of {len(steps)} steps" if len(steps) > 1 else "Your own transform"
    return Augmentation(
        name=name,
        family="own",
        strength=", ".join(step_name(step) for step in steps),
        probability=1.0,
        description=f"{what}, given a {kind}: {why}.",
        may_destroy="not told",
        source=str(found.file or name),
        operation=operation,
    )


def _takes_random(function: Callable[..., Any]) -> bool:
    """Whether there is a second parameter to give a generator to: one called random, or one that must be given."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    named = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return len(named) > 1 and (named[1].name == "random" or named[1].default is named[1].empty)


def _identity(function: Callable[..., Any]) -> str:
    """The settings in words, without addresses, and hashes of the files that the steps were written in."""
    from torchvision import __version__ as torchvision

    kinds: list[Any] = [step if inspect.isfunction(step) else type(step) for step in steps_of(function)]
    hashes = [source_hash(kind) for kind in kinds]
    return " ".join([_ADDRESS.sub("", repr(function)), torchvision, *dict.fromkeys(hashes)])


def _made_images(size: int) -> NDArray[np.uint8]:
    """Four images, uint8 (4, size, size, 3): noise, a gradient, black and white."""
    random = np.random.Generator(np.random.Philox(key=1))
    ramp = np.arange(size) * 255 // max(1, size - 1)
    images = np.zeros((4, size, size, 3), dtype=np.uint8)
    images[0] = random.integers(0, 256, (size, size, 3))
    images[1] = ramp[:, None, None] // 2 + ramp[None, :, None] // 2
    images[3] = 255
    return images
