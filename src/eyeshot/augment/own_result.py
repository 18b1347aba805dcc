"""What a user's own transform may give, and which of its steps is to blame where it gives something else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import PIL.Image
import torch
from torch import Tensor

HALF_A_LEVEL = 0.5 / 255  # floats so little outside of 0 to 1 round to a level within


@dataclass(frozen=True)
class Wrong:
    """Why a result is no view.

    Attributes:
        what: the kind of fault.
        rule: what it must give.
        got: what it gave.
    """

    what: Literal["type", "channels", "size", "dtype", "range", "finite"]
    rule: str
    got: str


def as_levels(result: Any, size: tuple[int, int]) -> Tensor | Wrong:
    """A result as uint8 (3, H, W), or what is wrong with it.

    Args:
        result: a PIL image in RGB, or a tensor (3, H, W), uint8 0-255 or float 0-1, which is rounded to levels.
        size: height and width that it must have.
    """
    if isinstance(result, PIL.Image.Image):
        if result.mode != "RGB":
            return Wrong("channels", "RGB images, 3 channels", f"a PIL image in mode {result.mode}")
        result = torch.from_numpy(np.array(result)).permute(2, 0, 1)
    if not isinstance(result, Tensor):
        return Wrong("type", "a PIL image or a tensor (3, H, W)", type(result).__name__)
    pixels = result.detach().as_subclass(Tensor).cpu()
    if pixels.ndim != 3 or pixels.shape[0] != 3:
        return Wrong("channels", "RGB images, 3 channels first", f"a tensor {tuple(pixels.shape)}")
    if tuple(pixels.shape[1:]) != size:
        rule = f"images of the size that it is given, {size[1]} x {size[0]}"
        return Wrong("size", rule, f"{pixels.shape[2]} x {pixels.shape[1]}")
    if pixels.dtype == torch.uint8:
        return pixels.contiguous()
    if not pixels.is_floating_point():
        return Wrong("dtype", "uint8 (0-255) or float (0-1) images", str(pixels.dtype).removeprefix("torch."))
    low, high = (float(limit) for limit in pixels.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        return Wrong("finite", "finite values", "NaN or infinite ones")
    if low < -HALF_A_LEVEL or high > 1 + HALF_A_LEVEL:
        return Wrong("range", "float images between 0 and 1", f"values from {low:.3g} to {high:.3g}")
    return (pixels.float() * 255).round_().clamp_(0, 255).to(torch.uint8).contiguous()


def blamed(wrong: Wrong, function: Callable[..., Any], image: Any, size: tuple[int, int]) -> str:
    """The rest of a message that begins with the transform's name; its steps are run again to find the one.

    Args:
        wrong: the fault of the whole.
        function: the transform; the global generators are seeded as they were.
        image: what it was given.
        size: height and width of that.
    """
    steps = steps_of(function)
    names = _culprits(wrong, steps, image, size) if len(steps) > 1 else []
    after = f", after {' and '.join(names)}" if names else ""
    return f"must give {wrong.rule}; got {wrong.got}{after}. {_advice(wrong, names, size)}"


def steps_of(function: Any) -> list[Any]:
    """The steps of a torchvision Compose or a Sequential, nested ones in their place; else the function itself."""
    kinds = {
        base.__name__ for base in type(function).__mro__ if base.__module__.startswith(("torchvision", "torch.nn"))
    }
    if "Compose" in kinds:
        return [inner for step in function.transforms for inner in steps_of(step)]
    if "Sequential" in kinds:
        return [inner for step in function for inner in steps_of(step)]
    return [function]


def step_name(step: Any) -> str:
    """A step's class, or a function's name."""
    return str(getattr(step, "__qualname__", None) or type(step).__name__)


def _culprits(wrong: Wrong, steps: list[Any], image: Any, size: tuple[int, int]) -> list[str]:
    """For the size every step that changed it; for other faults the step since which they have been there."""
    found: list[str] = []
    shape = size
    for step in steps:
        try:
            image = step(image)
        except Exception:  # what does not repeat cannot be traced
            return found
        now = _shape(image)
        if wrong.what == "size":
            if now is not None and now != shape:
                found.append(f"{step_name(step)} ({now[1]} x {now[0]})")
                shape = now
            continue
        fault = as_levels(image, now or size)
        if isinstance(fault, Tensor) or fault.what != wrong.what:
            found = []
        elif not found:
            found = [step_name(step)]
    return found


def _shape(image: Any) -> tuple[int, int] | None:
    if isinstance(image, PIL.Image.Image):
        return image.height, image.width
    return (image.shape[-2], image.shape[-1]) if isinstance(image, Tensor) and image.ndim >= 2 else None


def _advice(wrong: Wrong, names: list[str], size: tuple[int, int]) -> str:
    which = " and ".join(name.partition(" (")[0] for name in names) or "what does that"
    if wrong.what == "size":
        return (
            f"Images are at the model's size already: leave {which} out, set its size to {size[0]}, "
            f"or give --size {wrong.got.split(' x ')[1]}."
        )
    if wrong.what == "range":
        if "Normalize" in names:
            return "Leave Normalize out: the model's own mean and std are applied afterwards."
        return f"Scale to 0-1 after {which} (v2.ToDtype(torch.float32, scale=True)), or clamp."
    return {
        "channels": f"Let {which} give 3 channels, for instance Grayscale(num_output_channels=3), or convert to RGB.",
        "dtype": f"Convert with v2.ToDtype(torch.uint8, scale=True) after {which}.",
        "finite": f"See to divisions by zero in {which}: constant images occur.",
        "type": "Return the image alone, for instance PIL.Image.fromarray(array).",
    }[wrong.what]
