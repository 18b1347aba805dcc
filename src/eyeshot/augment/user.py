"""Custom augmentations: loaded by name, made by a decorator, run image by image, checked before long work."""

from __future__ import annotations

import inspect
import random as python_random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation, Family
from eyeshot.augment.operation import Operation, Parameters
from eyeshot.augment.samples import Pool, make_samples
from eyeshot.augment.user_result import as_levels, explain_fault, step_name, steps_of
from eyeshot.core import EyeshotError, InputError, UserCode, importable, load_user_code, source_hash, user_line

Kind = Literal["PIL image", "tensor"]

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_CHECKED_DRAWS = 3
_FROM_PICTURES = {"ToTensor", "PILToTensor", "ToImage", "MaybeToTensor", "ToNumpy"}
_OF_TENSORS = {"RandomErasing", "ToPILImage", "ConvertImageDtype", "ToDtype", "GaussianNoise", "JPEG", "Normalize"}


def custom_augmentation(
    *,
    strength: str = "",
    probability: float = 0.5,
    deterministic: bool = False,
    description: str = "",
    may_destroy: str = "not stated",
    source: str = "your own",
    family: Family = "custom",
) -> Callable[[Callable[..., Tensor]], Augmentation]:
    """Decorator that makes an `Augmentation` of a function of one image.

    The function takes a tensor uint8 (3, H, W), RGB, 0-255, on the CPU, which it may overwrite. A second parameter, if
    there is one, gets a `numpy.random.Generator`. The function returns an image of the same size, uint8 or float 0-1.
    The augmentation has the function's name; every command finds it by "module:function"::

        @eyeshot.custom_augmentation(strength="20 to 80 grey levels")
        def haze(image, random):
            return (image.int() + random.integers(20, 80)).clamp(0, 255).to(torch.uint8)

    Args:
        strength: the strength in words.
        probability: share of images that it changes in training; clouds have it applied to every image.
        deterministic: whether it draws nothing, so that every image has one augmented sample.
        description: one line; empty: the first line of the function's docstring.
        may_destroy: which labels it may make unreadable.
        source: where the strength comes from.
        family: the kind of change.

    Raises:
        InputError: what is decorated is not a function.
    """

    def decorate(function: Callable[..., Tensor]) -> Augmentation:
        if not inspect.isfunction(function):
            raise InputError(
                f"custom_augmentation decorates a function, got {type(function).__name__}. "
                "Name objects, a Compose among them, as module:attribute instead."
            )
        operation_class = FixedImageByImage if deterministic else ImageByImage
        file = Path(inspect.getfile(function))
        operation = operation_class(
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


def check_augmentation(augmentation: Augmentation, size: int) -> None:
    """Runs a user's augmentation on a few synthetic images, so that faults show before the long work.

    Augmentations of the catalogue are not run.

    Args:
        augmentation: what to check.
        size: side of the images in pixels, as in the run.

    Raises:
        InputError: it fails, does not return RGB images of that size, or differs for the same seed.
    """
    operation = augmentation.operation
    if type(operation).__module__.startswith("eyeshot.") and not isinstance(operation, ImageByImage):
        return
    images = _synthetic_images(size)
    pool = Pool(images, [f"{number:032x}" for number in range(len(images))])
    for draw in range(1 if augmentation.deterministic else _CHECKED_DRAWS):
        try:
            first, second = (
                make_samples(augmentation, pool, range(len(images)), seed=0, draw=draw).images for _ in range(2)
            )
        except EyeshotError:
            raise
        except Exception as error:
            raise InputError(
                f"{augmentation.name} must return images uint8 (n, 3, {size}, {size}) of such images; on synthetic "
                f"ones it failed: {type(error).__name__}: {error} ({user_line(error)}). "
                "Run eyeshot.testing.AugmentationContract on it."
            ) from error
        if not torch.equal(first, second):
            raise InputError(
                f"{augmentation.name} must give the same sample for the same seed, and did not. Draw its random "
                "numbers from the generator that it is given, or from the global one of torch, NumPy or Python, not "
                "from numpy.random.default_rng() or the clock."
            )


def load_augmentation(name: str, *, folder: Path | None = None) -> Augmentation:
    """The augmentation that "package.module:attribute" or "path/to/file.py:attribute" stands for.

    Its name is what was typed, even if the attribute is an `Augmentation` with another name. So a printed name can be
    typed again, and it never equals a name of the catalogue.

    Args:
        name: the reference.
        folder: where it is looked up; None: the current folder.

    Raises:
        InputError: it cannot be loaded, or it does not change images.
    """
    code = load_user_code(name, label=f"The augmentation {name}", folder=folder)
    value = code.value
    if isinstance(value, Augmentation):
        operation = value.operation
        if isinstance(operation, ImageByImage):
            operation = replace(operation, reference=name, folder=str(code.folder))
        return replace(value, name=name, operation=operation)
    if isinstance(value, Operation):
        settings = ", ".join(f"{key} {text}" for key, text in value.settings().items())
        text = (inspect.getdoc(value) or "An operation of your own.").splitlines()[0]
        family: Family = "mixing" if value.mixes_labels else "custom"
        return Augmentation(name, family, settings, 1.0, text, "not stated", str(code.file or name), value)
    if inspect.isclass(value) or not callable(value):
        got = f"the class {value.__name__}" if inspect.isclass(value) else type(value).__name__
        raise InputError(
            f"The augmentation {name} must be a torchvision Compose, a function from image to image, an Operation or "
            f"an Augmentation, got {got}. Name an object that is made already, for instance transform = Compose([...])."
        )
    return _of_transform(name, code)


def _of_transform(name: str, code: UserCode) -> Augmentation:
    function = code.value
    takes_random = _takes_random(function)
    kind, reason = choose_kind(function, takes_random=takes_random)
    operation = ImageByImage(
        function=function,
        reference=name,
        takes=kind,
        takes_random=takes_random,
        decorated=False,
        identity=f"{_identity(function)} {code.source}",
        folder=str(code.folder),
    )
    steps = steps_of(function)
    subject = f"Your own pipeline of {len(steps)} steps" if len(steps) > 1 else "Your own transform"
    return Augmentation(
        name=name,
        family="custom",
        strength=", ".join(step_name(step) for step in steps),
        probability=1.0,
        description=f"{subject}, given a {kind}: {reason}.",
        may_destroy="not stated",
        source=str(code.file or name),
        operation=operation,
    )


@dataclass(frozen=True)
class ImageByImage(Operation):
    """Calls a function on one image after another, on the CPU.

    Its draws from torch's, NumPy's or Python's global generator follow from the image's seed, and the generators are
    put back afterwards: results repeat, and batch size and order change nothing.

    Attributes:
        function: of an image, or of an image and a `numpy.random.Generator`.
        reference: where it is found: "package.module:attribute" or "path/to/file.py:attribute".
        takes: the kind of image that it is given: a PIL image (RGB), or a tensor uint8 (3, H, W).
        takes_random: whether it is given a generator as well.
        decorated: whether `reference` is an `Augmentation` that holds this operation, and not the function.
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

    seeds_globally: ClassVar[bool] = True

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The seed of the image."""
        return {"seed": int(random.integers(1 << 63))}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The function's result for each image.

        Raises:
            InputError: the function fails, or returns something other than an image of the same size.
        """
        if not len(images):
            return images.clone()
        seeds: list[int] = parameters["seed"].tolist() if "seed" in parameters else [0] * len(images)
        with importable(Path(self.folder)), _generators_put_back():
            results = [self._call(image, seed) for image, seed in zip(images.cpu(), seeds, strict=True)]
        return torch.stack(results).to(images.device)

    @property
    def fingerprint(self) -> str:
        """Changes with the function's own text, settings and file."""
        return f"{type(self).__qualname__}.{self.version}({self.takes}, {self.identity})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Functions, lambdas among them, are looked up again by name: pickle knows only importable ones.
        return _load_operation, (self.reference, self.folder)

    def _call(self, image: Tensor, seed: int) -> Tensor:
        _seed_all(seed)
        generators = (np.random.Generator(np.random.Philox(key=seed)),) if self.takes_random else ()
        size = (image.shape[1], image.shape[2])
        try:
            result = self.function(_as_kind(image, self.takes), *generators)
        except Exception as error:
            step = self._failing_step(image, seed)
            raise InputError(
                f"{self.reference} must return an image for every image; given a {self.takes} of {size[1]} x {size[0]} "
                f"pixels, it failed{f' in {step}' if step else ''}: {type(error).__name__}: {error} "
                f"({user_line(error)}). Correct it, or leave it out."
            ) from error
        levels = as_levels(result, size)
        if isinstance(levels, Tensor):
            return levels
        _seed_all(seed)
        explanation = explain_fault(levels, self.function, _as_kind(image, self.takes), size)
        raise InputError(f"{self.reference} {explanation}")

    def _failing_step(self, image: Tensor, seed: int) -> str | None:
        """Name of the pipeline's step that fails on `image`; None for a single function."""
        steps = steps_of(self.function)
        if len(steps) == 1:
            return None
        _seed_all(seed)
        value: Any = _as_kind(image, self.takes)
        for step in steps:
            try:
                value = step(value)
            except Exception:
                return step_name(step)
        return None


@dataclass(frozen=True)
class FixedImageByImage(ImageByImage):
    """The same for a function without anything random: every image has one augmented sample."""

    deterministic: ClassVar[bool] = True

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Draws nothing."""
        return {}


def choose_kind(function: Callable[..., Any], *, takes_random: bool = False) -> tuple[Kind, str]:
    """The kind of image to give a function, and the reason.

    torchvision's data sets give PIL images to training pipelines, so a step that converts them decides, as does a
    step that needs a tensor: some v2 steps would silently return a PIL image unchanged. Otherwise the function is
    tried: with a tensor first for v2, which treats both alike, and with a PIL image first for anything else.
    """
    kind, reason = _expected_kind(steps_of(function))
    fallback: Kind = "PIL image" if kind == "tensor" else "tensor"
    if _runs_on(function, kind, takes_random):
        return kind, reason
    if _runs_on(function, fallback, takes_random):
        return fallback, f"it fails on a {kind}"
    return kind, "it failed on either kind of 224 x 224 pixels"


def _expected_kind(steps: list[Any]) -> tuple[Kind, str]:
    for step in steps:
        name = type(step).__name__
        if name in _FROM_PICTURES:
            return "PIL image", f"its step {name} converts one"
        if name in _OF_TENSORS:
            return "tensor", f"its step {name} needs one"
    if any(type(step).__module__.startswith("torchvision.transforms.v2") for step in steps):
        return "tensor", "it is of transforms.v2"
    return "PIL image", "it runs on one"


def _runs_on(function: Callable[..., Any], kind: Kind, takes_random: bool) -> bool:
    image = torch.arange(3 * 224 * 224).view(3, 224, 224).remainder(251).to(torch.uint8)
    with _generators_put_back():
        for seed in range(2):
            _seed_all(seed)
            generators = (np.random.Generator(np.random.Philox(key=seed)),) if takes_random else ()
            try:
                result = function(_as_kind(image, kind), *generators)
            except Exception:
                return False
            if not isinstance(result, (Tensor, PIL.Image.Image)):
                return False
    return True


def _load_operation(reference: str, folder: str) -> Operation:
    """The operation behind a name, in another process."""
    return load_augmentation(reference, folder=Path(folder)).operation


def _as_kind(image: Tensor, kind: Kind) -> Any:
    """A copy of an image uint8 (3, H, W) as the kind that a function takes."""
    if kind == "tensor":
        return image.clone()
    return PIL.Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))


def _seed_all(seed: int) -> None:
    # torch.manual_seed would seed the GPUs too, which nobody puts back.
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % (1 << 32))
    python_random.seed(seed)


@contextmanager
def _generators_put_back() -> Iterator[None]:
    numpy_state, python_state = np.random.get_state(), python_random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(numpy_state)
        python_random.setstate(python_state)


def _takes_random(function: Callable[..., Any]) -> bool:
    """Whether there is a second parameter to give a generator to: one called random, or one that must be given."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [parameter for parameter in parameters if parameter.kind in kinds]
    return len(positional) > 1 and (positional[1].name == "random" or positional[1].default is positional[1].empty)


def _identity(function: Callable[..., Any]) -> str:
    """The settings in words, without addresses, and hashes of the files that the steps were written in."""
    from torchvision import __version__ as torchvision

    written: list[Any] = [step if inspect.isfunction(step) else type(step) for step in steps_of(function)]
    hashes = [source_hash(thing) for thing in written]
    return " ".join([_ADDRESS.sub("", repr(function)), torchvision, *dict.fromkeys(hashes)])


def _synthetic_images(size: int) -> NDArray[np.uint8]:
    """Four images, uint8 (4, size, size, 3): noise, a gradient, black and white."""
    random = np.random.Generator(np.random.Philox(key=1))
    ramp = np.arange(size) * 255 // max(1, size - 1)
    images = np.zeros((4, size, size, 3), dtype=np.uint8)
    images[0] = random.integers(0, 256, (size, size, 3))
    images[1] = ramp[:, None, None] // 2 + ramp[None, :, None] // 2
    images[3] = 255
    return images
