"""The user's own network by "package.module:factory", turned into one that gives pooled features."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from eyeshot.core import InputError, ModelError, importable, load_user_code, user_line
from eyeshot.models.weights import load_weights

CLASSIFIERS = ("fc", "classifier", "head", "heads", "last_linear")


class PooledFeatures(nn.Module):
    """Whatever a network gives, averaged over places: float (n, D)."""

    def __init__(self, module: nn.Module, *, name: str) -> None:
        super().__init__()
        self.module = module
        self.name = name

    def forward(self, images: Tensor) -> Tensor:
        """Features of a batch (n, 3, S, S)."""
        found = self.module(images)
        if not isinstance(found, Tensor) or found.ndim < 2:
            shape = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise ModelError(f"{self.name} must give one tensor (n, ...) for n images, got {shape}.")
        if found.ndim == 4:
            return found.mean((2, 3))
        return found.mean(1) if found.ndim == 3 else found.flatten(1)


def is_factory(model: str) -> bool:
    """Whether a model's name is that of a factory and not a timm tag."""
    return ":" in model and not model.startswith(("hf-hub:", "hf_hub:", "local-dir:"))


def load_own(model: str, *, weights: Path | None, from_scratch: bool, seed: int) -> tuple[nn.Module, bool, list[str]]:
    """The network behind a factory's name.

    Returns:
        a module that gives pooled features, whether its weights come from a training, and notes to print.

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
    module, how = take_features(network, place)
    return PooledFeatures(module, name=model), not from_scratch, [*notes, how]


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
    parent, _, leaf = place.rpartition(".")
    # A 1 x 1 convolution as classifier is averaged after it; the average commutes with it.
    new = nn.AdaptiveAvgPool2d(1) if isinstance(layer, nn.Conv2d) else nn.Identity()
    setattr(network.get_submodule(parent), leaf, new)
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
