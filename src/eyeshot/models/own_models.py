"""The user's own network by "package.module:factory", turned into a module that gives pooled features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eyeshot.core import InputError, ModelError, importable, load_user_code, user_line
from eyeshot.models.backbone import Backbone
from eyeshot.models.memory import out_of_memory
from eyeshot.models.weights import load_weights

OWN_SIZE = 224
"""Side of the images of a network that names none, pixels."""
CLASSIFIERS = ("fc", "classifier", "head", "heads", "last_linear")


class PooledFeatures(nn.Module):
    """The output of a network, averaged over positions: float (n, D)."""

    def __init__(self, module: nn.Module, *, name: str, channels: Sequence[int] = ()) -> None:
        """Wrap a network.

        Args:
            module: float (n, 3, S, S) -> a tensor (n, ...).
            name: for messages.
            channels: channel counts that the network itself names, to tell channels from positions.
        """
        super().__init__()
        self.module = module
        self.name = name
        self.channels = tuple(channels)

    @property
    def own_prefix(self) -> str:
        """Prefix of the network's own names in this module."""
        return "module.network." if isinstance(self.module, _ForwardFeatures) else "module."

    def forward(self, images: Tensor) -> Tensor:
        """Features of a batch (n, 3, S, S).

        Raises:
            ModelError: the network fails, the output is not a tensor with a row for each image, or the channel axis is
                ambiguous.
        """
        try:
            output = self.module(images)
        except RuntimeError as error:
            if out_of_memory(error) or "CUDA error: " in str(error):  # of the device, with a remedy of its own
                raise
            raise self._failed(images, error) from error
        except Exception as error:
            raise self._failed(images, error) from error
        if not isinstance(output, Tensor) or output.ndim < 2:
            shape = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
            raise ModelError(f"{self.name} must give one tensor (n, ...) for n images, got {shape}.")
        if len(output) != len(images):  # assigned to the images, one row would be that of all
            raise ModelError(
                f"{self.name} must give a row for each image, got shape {tuple(output.shape)} for {len(images)} "
                "images. Keep the first axis in its forward."
            )
        if output.ndim == 4:
            return output.mean((1, 2) if self._channels_last(*output.shape[1:]) else (2, 3))
        if output.ndim == 3:
            # Tokens are usually (n, positions, D).
            last = output.shape[2] in self.channels or output.shape[1] not in self.channels
            return output.mean(1 if last else 2)
        return output.flatten(1)

    def _failed(self, images: Tensor, error: Exception) -> ModelError:
        return ModelError(
            f"{self.name} cannot read {len(images)} images of {images.shape[-1]} px ({type(error).__name__}: {error}; "
            f"{user_line(error)}). Its forward must take float (n, 3, S, S) of any n."
        )

    def _channels_last(self, first: int, middle: int, last: int) -> bool:
        """Whether a map (n, first, middle, last) has its channels last; an average over channels would be meaningless.

        Images are square, and so are the maps of almost all networks. Otherwise the network's channel counts decide.
        """
        square_last, square_first = first == middle, middle == last
        if square_first != square_last:
            return square_last
        named_last, named_first = last in self.channels, first in self.channels
        if first == middle == last == 1:
            return False  # both readings give the same features
        if first != last and named_first != named_last:
            return named_last
        raise ModelError(
            f"{self.name} gives a map of shape (n, {first}, {middle}, {last}) for images, and the channel "
            "axis is ambiguous. Give another --size, or let the network average over positions itself."
        )


def is_factory(model: str) -> bool:
    """Whether the name of a model is a factory and not a timm tag."""
    return ":" in model and not model.startswith(("hf-hub:", "hf_hub:", "local-dir:"))


def own_preparation(pooled: PooledFeatures) -> dict[str, Any] | None:
    """Size, crop, mean, std and interpolation that the user's network names in timm's way; None if it names none.

    timm puts them into the attribute `pretrained_cfg` of every network that it creates; a factory may set the same
    attribute on any network, as a dictionary with mean, std, input_size, crop_pct and interpolation.
    """
    from timm.data import resolve_data_config

    network = pooled.get_submodule(pooled.own_prefix.rstrip("."))
    if not getattr(network, "pretrained_cfg", None):
        return None
    return dict(resolve_data_config({}, model=network))


def load_own(
    model: str, *, weights: Path | None, from_scratch: bool, size: int | None, seed: int
) -> tuple[PooledFeatures, bool, str | None, list[str]]:
    """Load the network that a factory makes.

    Args:
        model: "package.module:factory".
        weights: file with the weights.
        from_scratch: leave it untrained.
        size: side of its input images, pixels; None: what its `pretrained_cfg` says, or 224.
        seed: seed of untrained weights.

    Returns:
        a module that gives pooled features, whether its weights are trained, the name of the linear classifier that
        reads exactly these features (None if there is none), and notes to print.

    Raises:
        InputError: there is no such factory, or it does not return a network.
        ModelError: the weights do not fit, or they are untrained and `from_scratch` is False.
    """
    network = _make(model, seed)
    notes = []
    if isinstance(network, torch.jit.ScriptModule):
        raise ModelError(
            f"{model} must return a network of Python, got TorchScript, whose layers cannot be replaced. Return the "
            "network that it was made of."
        )
    if any(value.is_floating_point() and value.dtype != torch.float32 for value in network.parameters()):
        # Features and gradients are those of single precision, as for all other models.
        network.float()
        notes.append("Its weights were not in single precision, and were converted.")
    place = find_classifier(network)
    if weights is not None:
        notes.append(load_weights(network, weights, name=model, classifiers=[place] if place else []))
    elif not from_scratch and _is_random(network, _make(model, seed + 1), place):
        raise ModelError(
            f"{model} must make a network with trained weights, but two calls gave different weights. Give "
            "its weights with --weights FILE, or train a baseline here with --from-scratch."
        )
    layer = None if place is None else network.get_submodule(place)
    side = size or _named_size(network) or OWN_SIZE
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    scores = _output(network, images) if isinstance(layer, nn.Linear) and layer.bias is not None else None
    channels = _named_channels(network, layer)
    module, how = take_features(network, place)
    pooled = PooledFeatures(module, name=model, channels=channels)
    head = place if _reads_features(pooled, layer, images, scores) else None
    if head is not None and isinstance(module, _ForwardFeatures):
        # forward_features does not run the head, so training would save it with untrained weights.
        _replace(network, head, nn.Identity())
    return pooled, not from_scratch, head, [*notes, how]


def _named_size(network: nn.Module) -> int | None:
    named = getattr(network, "pretrained_cfg", None)
    size = named.get("input_size") if isinstance(named, dict) else getattr(named, "input_size", None)
    return int(size[-1]) if size else None


def _named_channels(network: nn.Module, layer: nn.Module | None) -> list[int]:
    named = [getattr(network, name, None) for name in ("num_features", "feature_count", "head_hidden_size")]
    named += [getattr(layer, name, None) for name in ("in_features", "in_channels")]
    return [number for number in named if isinstance(number, int)]


def _output(network: nn.Module, images: Tensor) -> Any:
    network.eval()
    with torch.inference_mode():
        try:
            return network(images)
        except Exception:  # load_backbone runs the network again and reports the error, with the size.
            return None


def _reads_features(pooled: PooledFeatures, layer: nn.Module | None, images: Tensor, scores: Any) -> bool:
    """Whether the network's scores are exactly its last linear layer applied to the pooled features."""
    features = _output(pooled, images) if isinstance(layer, nn.Linear) and isinstance(scores, Tensor) else None
    if not isinstance(features, Tensor) or layer is None or features.shape[-1] != layer.in_features:
        return False
    with torch.inference_mode():
        again = layer(features)
    return bool(again.shape == scores.shape and torch.allclose(again, scores, rtol=1e-3, atol=1e-4))


def _replace(network: nn.Module, place: str, layer: nn.Module) -> None:
    parent, _, leaf = place.rpartition(".")
    setattr(network.get_submodule(parent), leaf, layer)


def feature_parts() -> tuple[Callable[..., Any], ...]:
    """What turns a network of one's own into pooled features, for a script that does it without eyeshot."""
    return find_classifier, _named_channels, take_features, PooledFeatures, _replace


def unused_head(backbone: Backbone) -> str | None:
    """Name of the classifier that was taken out because nothing runs it; None where the features are its input."""
    inner = getattr(backbone.module, "module", None)
    return backbone.head if isinstance(inner, _ForwardFeatures) else None


def find_classifier(network: nn.Module) -> str | None:
    """Dotted name of the last linear layer or 1 x 1 convolution of the network's classifier."""
    for name in CLASSIFIERS:
        part = getattr(network, name, None)
        if isinstance(part, nn.Module):
            names = [
                ".".join(filter(None, (name, inner))) for inner, layer in part.named_modules() if _classifies(layer)
            ]
            if names:
                return names[-1]
    if isinstance(network, nn.Sequential) and len(network) and isinstance(network[-1], nn.Linear):
        return str(len(network) - 1)
    return None


def take_features(network: nn.Module, place: str | None) -> tuple[nn.Module, str]:
    """The network up to the input of its classifier, and a sentence on how that input was found."""
    if callable(getattr(network, "reset_classifier", None)):
        network.reset_classifier(0)  # type: ignore[operator]
        return network, "Features are what its classifier reads (reset_classifier)."
    if callable(getattr(network, "forward_features", None)):
        return _ForwardFeatures(network), "Features are those of forward_features, averaged."
    if place is None:
        return network, "Features are its output: no classifier was found."
    layer = network.get_submodule(place)
    # A 1 x 1 convolution as classifier is followed by the average over positions; the two commute.
    _replace(network, place, nn.AdaptiveAvgPool2d(1) if isinstance(layer, nn.Conv2d) else nn.Identity())
    return network, f"Features are what its classifier {place!r} reads."


class _ForwardFeatures(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.network.forward_features(images)  # type: ignore[operator]
        return features


def _classifies(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1))


def _make(model: str, seed: int) -> nn.Module:
    code = load_user_code(model, label=f"--model {model}")
    factory, name = code.value, model.rpartition(":")[2]
    if not callable(factory):
        raise InputError(f"--model {model} must be a function that returns a network, got {type(factory).__name__}.")
    with importable(code.folder), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = factory()
        except (Exception, SystemExit) as error:
            raise ModelError(
                f"--model {model}: calling it without arguments failed "
                f"({type(error).__name__}: {error}; {user_line(error)}). It must be callable as {name}()."
            ) from error
    if not isinstance(network, nn.Module):
        raise InputError(f"--model {model} must return a torch.nn.Module, got {type(network).__name__}.")
    return network


def _is_random(first: nn.Module, second: nn.Module, place: str | None) -> bool:
    # Vectors are ignored, because norms and biases start as ones and zeros in every network. More than half of the
    # matrices must differ, because a trained network may have a new head with random weights.
    head = f"{place}." if place else "\0"
    other_weights = dict(second.named_parameters())
    differs = [
        not _equal(value, other_weights[name])
        for name, value in first.named_parameters()
        if name in other_weights and value.ndim > 1 and not name.startswith(head)
    ]
    return sum(differs) > len(differs) / 2


def _equal(first: Tensor, second: Tensor) -> bool:
    """Whether weights are the same. NaN is equal to NaN: weights that are not finite are told as such elsewhere."""
    return first.shape == second.shape and torch.allclose(
        first.float(), second.float(), rtol=0.0, atol=0.0, equal_nan=True
    )
