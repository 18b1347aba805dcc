"""Any timm model by its tag, prepared as its weights were trained."""

from __future__ import annotations

import difflib
import inspect
import sys
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from torch import nn

from eyeshot.core import InputError, ModelError
from eyeshot.models.hub import cached_file, require_hub, ways_on
from eyeshot.models.weights import Convert, load_weights


def resolve_tag(model: str) -> tuple[str, Any, list[str]]:
    """The full tag of a model, its timm configuration, and notes on what was guessed.

    Raises:
        ModelError: timm has no such model; the message names the nearest tags.
    """
    for prefix in ("hf-hub:", "hf_hub:", "timm/"):  # prefixes that the hub puts before the same tag
        model = model.removeprefix(prefix)
    architecture, _, tag = model.partition(".")
    if not timm.is_model(architecture):
        raise _unknown(model, difflib.get_close_matches(model, _all_names(), n=5, cutoff=0.4))
    tags = timm.list_pretrained(f"{architecture}.*")
    if "." in model and model not in tags:  # a full stop at the end is no tag either
        raise _unknown(model, difflib.get_close_matches(model, tags, n=5, cutoff=0.0))
    config = timm.get_pretrained_cfg(model)
    if tag or config is None or not config.tag:
        return model, config, []
    full = f"{architecture}.{config.tag}"
    return full, config, [f"{model!r} names no weights; timm's default for it is {full}."]


def load_timm(
    name: str, config: Any, *, weights: Path | None, from_scratch: bool, size: int | None, seed: int
) -> tuple[nn.Module, list[str]]:
    """Load the network of a full tag without its classifier; returns it with notes to print.

    Raises:
        InputError: the architecture does not support `size`.
        ModelError: the weights are unavailable or do not fit.
    """
    arguments = _size_arguments(name, config, size)
    if from_scratch or weights is not None:
        module = _build(name, size, config, seed, arguments | {"pretrained": False, "num_classes": 0})
        if weights is None:
            return module, []
        classifiers = _classifiers(config)
        return module, [load_weights(module, weights, name=name, classifiers=classifiers, convert=_filter_of(module))]
    return _pretrained(name, config, size, seed, arguments)


def network_with_classifier(name: str, size: int, class_count: int) -> tuple[nn.Module, str]:
    """timm's plain network with a new classifier, and the line of Python that creates it."""
    config = timm.get_pretrained_cfg(name)
    arguments = _size_arguments(name, config, size)
    network = _build(name, size, config, 0, arguments | {"pretrained": False, "num_classes": class_count})
    extra_arguments = "".join(f", {key}={value}" for key, value in arguments.items())
    return network, f"timm.create_model({name!r}, num_classes={class_count}{extra_arguments})"


def size_arguments(name: str, size: int) -> dict[str, int]:
    """Arguments that `timm.create_model` needs for images of `size` pixels; none where it takes them as it is."""
    return _size_arguments(name, timm.get_pretrained_cfg(name), size)


def classifier_name(config: Any) -> str | None:
    """Name of the classifier layer; None if timm names none or several."""
    names = _classifiers(config)
    return names[0] if len(names) == 1 else None


def preparation(module: nn.Module) -> dict[str, Any]:
    """timm's own size, crop, mean, std and interpolation for the weights of `module`."""
    return dict(resolve_data_config({}, model=module))


def own_size(name: str, config: Any) -> int:
    """The side of the images that the weights were trained on.

    Raises:
        InputError: the model does not read square RGB images.
    """
    channels, height, width = config.input_size if config is not None else (3, 224, 224)
    if channels != 3 or height != width:
        raise InputError(
            f"`model` must read square RGB images, but {name} reads {channels} channels of "
            f"{height} x {width}. Choose another --model."
        )
    return int(height)


def _pretrained(
    name: str, config: Any, size: int | None, seed: int, arguments: dict[str, Any]
) -> tuple[nn.Module, list[str]]:
    if config is None or not (config.hf_hub_id or config.url):
        raise ModelError(
            f"timm has no weights for {name!r}. Give --weights FILE, or train a baseline with --from-scratch."
        )
    file = cached_file(config)
    arguments["pretrained"] = True
    if file is not None:
        # The file is passed by its path, because asking the hub for a newer version would wait for the network.
        custom = config.custom_load if file.suffix == ".npz" or isinstance(config.custom_load, str) else False
        arguments["pretrained_cfg_overlay"] = {"file": str(file), "custom_load": custom}
    else:
        require_hub(name, config)
    try:
        # Built with its classifier first, because only then timm checks that every tensor of the file fits.
        module = _build(name, size, config, seed, arguments)
        module.reset_classifier(0)  # type: ignore[operator]
    except InputError:
        raise
    except Exception as error:  # the hub, the file formats and timm raise errors of many classes
        if file is not None:
            raise ModelError(
                f"The cached weights {str(file)!r} do not load into {name} ({_first_line(error)}). "
                "Delete the file to fetch it again, or give --weights FILE."
            ) from error
        raise ModelError(
            ways_on(name, config, f"downloading them failed ({type(error).__name__}: {_first_line(error)})")
        ) from error
    return module, [f"Weights from the cache: {file}."] if file is not None else []


def _build(name: str, size: int | None, config: Any, seed: int, arguments: dict[str, Any]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module: nn.Module = timm.create_model(name, **arguments)
        except (TypeError, AssertionError, ValueError, ZeroDivisionError) as error:
            if "img_size" not in arguments:
                raise
            own = own_size(name, config)
            raise InputError(
                f"`size` must be {own}, the fixed size of {name}, got {size}: {_first_line(error)}"
            ) from error
    return module


def _size_arguments(name: str, config: Any, size: int | None) -> dict[str, Any]:
    own = own_size(name, config)
    if size is None or size == own or config is None or not config.fixed_input_size:
        return {}
    return {"img_size": size}


def check_patches(name: str, module: nn.Module, size: int, own: int) -> None:
    """Check that whole patches fill the image; pixels beyond the last whole patch would be ignored.

    Raises:
        InputError: `size` is not a multiple of the patch size.
    """
    patch = getattr(getattr(module, "patch_embed", None), "patch_size", None)
    step = int(patch[0] if isinstance(patch, (tuple, list)) else patch or 1)
    if step > 1 and size % step:
        low = max(step, size // step * step)
        raise InputError(
            f"`size` must be a multiple of {step} for {name} (its patch), got {size}. "
            f"Nearest: {low} and {low + step}; its own size is {own}."
        )


def _classifiers(config: Any) -> list[str]:
    names = config.classifier if config is not None else None
    return [names] if isinstance(names, str) else list(names or [])


def _filter_of(module: nn.Module) -> Convert | None:
    """timm's converter for other layouts of the same weights, and for position embeddings of other sizes."""
    function = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    if function is None:
        return None
    takes_model = len(inspect.signature(function).parameters) > 1
    return lambda state, target: dict(function(state, target) if takes_model else function(state))


def _all_names() -> list[str]:
    return [*timm.list_models(), *timm.list_pretrained()]


def _unknown(model: str, near: list[str]) -> ModelError:
    hint = f"Nearest: {', '.join(near)}." if near else "No tag is similar."
    if model.endswith((".pt", ".pth", ".safetensors", ".bin", ".ckpt")):
        hint = "Give a weights file with --weights, and its architecture with --model."
    return ModelError(
        f"`model` must be a timm tag or package.module:factory; timm has no {model!r}. {hint} "
        "All tags: python -c \"import timm; print(*timm.list_pretrained(), sep='\\n')\""
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
