"""The user's own network by "package.module:factory", turned into one that gives pooled features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eyeshot.core import InputError, ModelError, importable, load_user_code, user_line
from eyeshot.models.weights import load_weights

CLASSIFIERS = ("fc", "classifier", "head", "heads", "last_linear")


class PooledFeatures(nn.Module):
    """Whatever a network gives, averaged over places: float (n, D)."""

    def __init__(self, module: nn.Module, *, name: str, channels: Sequence[int] = ()) -> None:
        """Wrap a network.

        Args:
            module: float (n, 3, S, S) -> a tensor (n, ...).
            name: for messages.
            channels: numbers of channels that the network itself names, to tell channels from places.
        """
        super().__init__()
        self.module = module
        self.name = name
        self.channels = tuple(channels)

    @property
    def own_prefix(self) -> str:
        """What stands before the network's own names in this module's."""
        return "module.network." if isinstance(self.module, _ForwardFeatures) else "module."

    def forward(self, images: Tensor) -> Tensor:
        """Features of a batch (n, 3, S, S).

        Raises:
            ModelError: the network gives no tensor, or it cannot be told which axis holds channels.
        """
        found = self.module(images)
        if not isinstance(found, Tensor) or found.ndim < 2:
            shape = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise ModelError(f"{self.name} must give one tensor (n, ...) for n images, got {shape}.")
        if found.ndim == 4:
            return found.mean((1, 2) if self._channels_last(*found.shape[1:]) else (2, 3))
        if found.ndim == 3:
            # Tokens (n, places, D) are usual.
            last = found.shape[2] in self.channels or found.shape[1] not in self.channels
            return found.mean(1 if last else 2)
        return found.flatten(1)

    def _channels_last(self, first: int, middle: int, last: int) -> bool:
        """Whether a map (n, first, middle, last) has its channels last; an average over them says nothing of an image.

        Images are square, and so are the maps of almost all networks; else the network's own numbers decide.
        """
        square_last, square_first = first == middle, middle == last
        if square_first != square_last:
            return square_last
        named_last, named_first = last in self.channels, first in self.channels
        if first == middle == last == 1:
            return False  # either way
        if first != last and named_first != named_last:
            return named_last
        raise ModelError(
            f"{self.name} gives a map of shape (n, {first}, {middle}, {last}) for images, and it cannot be told which "
            "axis holds channels. Give another --size, or let the network average over places itself."
        )


def is_factory(model: str) -> bool:
    """Whether a model's name is that of a factory and not a timm tag."""
    return ":" in model and not model.startswith(("hf-hub:", "hf_hub:", "local-dir:"))


def load_own(
    model: str, *, weights: Path | None, from_scratch: bool, size: int, seed: int
) -> tuple[PooledFeatures, bool, str | None, list[str]]:
    """The network behind a factory's name.

    Args:
        model: the name.
        weights: file to take its weights from.
        from_scratch: leave it untrained.
        size: side of the images that it will read.
        seed: of untrained weights.

    Returns:
        a module that gives pooled features, whether its weights come from a training, the name of the linear
        classifier that reads just these features (None where there is none), and notes to print.

    Raises:
        InputError: there is no such factory, or it gives no network.
        ModelError: its weights do not fit, or are untrained although trained ones were asked for.
    """
    network = _make(model, seed)
    notes = []
    place = find_classifier(network)
    if weights is not None:
        notes.append(load_weights(network, weights, name=model, classifiers=[place] if place else []))
    elif not from_scratch and _is_random(network, _make(model, seed + 1), place):
        raise ModelError(
            f"{model} makes a network with untrained weights: two calls give different ones. Give its "
            "weights with --weights FILE, or train a baseline of it here with --from-scratch."
        )
    layer = None if place is None else network.get_submodule(place)
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    scores = _output(network, images) if isinstance(layer, nn.Linear) and layer.bias is not None else None
    channels = _named_channels(network, layer)
    module, how = take_features(network, place)
    pooled = PooledFeatures(module, name=model, channels=channels)
    head = place if _reads_features(pooled, layer, images, scores) else None
    if head is not None and isinstance(module, _ForwardFeatures):
        _replace(
            network, head, nn.Identity()
        )  # a head that is not run is not trained, and is kept with its new weights
    return pooled, not from_scratch, head, [*notes, how]


def _named_channels(network: nn.Module, layer: nn.Module | None) -> list[int]:
    named = [getattr(network, name, None) for name in ("num_features", "feature_count", "head_hidden_size")]
    named += [getattr(layer, name, None) for name in ("in_features", "in_channels")]
    return [number for number in named if isinstance(number, int)]


def _output(network: nn.Module, images: Tensor) -> Any:
    network.eval()
    with torch.inference_mode():
        try:
            return network(images)
        except Exception:  # Whoever loads it says what is wrong, with the size that was asked for.
            return None


def _reads_features(pooled: PooledFeatures, layer: nn.Module | None, images: Tensor, scores: Any) -> bool:
    """Whether the network's scores are those of its last linear layer on the pooled features, and of nothing else."""
    features = _output(pooled, images) if isinstance(layer, nn.Linear) and isinstance(scores, Tensor) else None
    if not isinstance(features, Tensor) or layer is None or features.shape[-1] != layer.in_features:
        return False
    with torch.inference_mode():
        again = layer(features)
    return bool(again.shape == scores.shape and torch.allclose(again, scores, rtol=1e-3, atol=1e-4))


def _replace(network: nn.Module, place: str, layer: nn.Module) -> None:
    parent, _, leaf = place.rpartition(".")
    setattr(network.get_submodule(parent), leaf, layer)


def find_classifier(network: nn.Module) -> str | None:
    """Dotted name of the last linear layer or 1 x 1 convolution of the network's classifier."""
    for name in CLASSIFIERS:
        part = getattr(network, name, None)
        if isinstance(part, nn.Module):
            found = [
                ".".join(filter(None, (name, inner))) for inner, layer in part.named_modules() if _classifies(layer)
            ]
            if found:
                return found[-1]
    if isinstance(network, nn.Sequential) and len(network) and isinstance(network[-1], nn.Linear):
        return str(len(network) - 1)
    return None


def take_features(network: nn.Module, place: str | None) -> tuple[nn.Module, str]:
    """The network up to what its classifier reads, and how that was found."""
    if callable(getattr(network, "reset_classifier", None)):
        network.reset_classifier(0)  # type: ignore[operator]
        return network, "Features are what its classifier reads (reset_classifier)."
    if callable(getattr(network, "forward_features", None)):
        return _ForwardFeatures(network), "Features are those of forward_features, averaged."
    if place is None:
        return network, "Features are its output: no classifier was found."
    layer = network.get_submodule(place)
    # A 1 x 1 convolution as classifier is averaged after it; the average commutes with it.
    _replace(network, place, nn.AdaptiveAvgPool2d(1) if isinstance(layer, nn.Conv2d) else nn.Identity())
    return network, f"Features are what its classifier {place!r} reads."


class _ForwardFeatures(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.network.forward_features(images)  # type: ignore[operator]
        return found


def _classifies(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1))


def _make(model: str, seed: int) -> nn.Module:
    found = load_user_code(model, label=f"--model {model}")
    factory, name = found.value, model.rpartition(":")[2]
    if not callable(factory):
        raise InputError(f"--model {model} must be a function that makes a network, got {type(factory).__name__}.")
    with importable(found.folder), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = factory()
        except Exception as error:
            raise ModelError(
                f"--model {model}: calling it without arguments failed "
                f"({type(error).__name__}: {error}; {user_line(error)}). It must be callable as {name}()."
            ) from error
    if not isinstance(network, nn.Module):
        raise InputError(f"--model {model} must give a torch.nn.Module, got {type(network).__name__}.")
    return network


def _is_random(first: nn.Module, second: nn.Module, place: str | None) -> bool:
    # Vectors are left aside: norms and biases begin as ones and zeros in every network. Half of the matrices,
    # since a network with trained weights may carry a new head that is random.
    head = f"{place}." if place else "\0"
    other = dict(second.named_parameters())
    differs = [
        not torch.equal(value, other[name])
        for name, value in first.named_parameters()
        if name in other and value.ndim > 1 and not name.startswith(head)
    ]
    return sum(differs) > len(differs) / 2
