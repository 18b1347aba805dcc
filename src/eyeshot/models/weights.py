"""Loads weights from safetensors or torch files, with the nesting and prefixes that training scripts leave."""

from __future__ import annotations

import argparse
import pickle
import re
import types
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from eyeshot.core import InputError, ModelError, plural

State = dict[str, Tensor]
Convert = Callable[[State, nn.Module], State]

# Averaged weights come first, as in timm: if a file holds both, the averaged weights were validated.
CONTAINERS = (
    "state_dict_ema", "model_ema", "ema_state_dict", "ema",
    "state_dict", "model_state_dict", "model_state", "model", "module", "net", "shadow_params",
)  # fmt: skip
AVERAGED = re.compile(r"(^|[._])(ema|averaged?)([._]|$)")
HEADS = re.compile(r"^(heads?|head_dist|classifier|fc|logits|last_linear|aux\w*)\d*\.")
NO_WEIGHTS = re.compile(r"(^|\.)(num_batches_tracked|n_averaged)$")
SHOWN = 4
RGB = 3


def read_state(file: Path) -> tuple[State, str]:
    """All tensors of the model in `file`, and a note on the part of the file that holds them.

    Torch files are read with `weights_only=True`, so no code in them runs.

    Raises:
        InputError: the file does not exist.
        ModelError: the file holds no weights, or reading it would run code.
    """
    if not file.is_file():
        raise InputError(f"`weights` must be a safetensors or torch file, got {str(file)!r}, which is not a file.")
    with open(file, "rb") as opened:
        start = opened.read(512)
    if told := _other_kind(file, start):
        raise ModelError(f"{str(file)!r} must hold weights, got {told}")
    try:
        # A safetensors file begins with 8 bytes of length and a JSON header; its suffix may be anything.
        content: Any = load_file(file) if start[8:9] == b"{" else _read_torch(file)
    except (safetensors.SafetensorError, RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise ModelError(
            f"{str(file)!r} is neither a readable safetensors file nor a torch file ({_first_line(error)}). "
            "Is it complete? Compare its size with where it came from."
        ) from error
    path: list[str] = []
    while isinstance(content, Mapping):
        inner = _container(content)
        if inner is None:
            break
        path.append(str(inner))
        content = content[inner]
    state = _tensors(content)
    if not state:
        kind = type(content).__name__
        raise ModelError(
            f"{str(file)!r} holds no weights by name, but {kind}{_names(content)}. Save them with "
            "torch.save(model.state_dict(), 'weights.pt')."
        )
    return state, f"part {'.'.join(path)!r} of the file" if path else ""


def load_weights(
    module: nn.Module,
    file: Path,
    *,
    name: str,
    classifiers: Sequence[str] = (),
    convert: Convert | None = None,
) -> str:
    """Load a file into `module`; returns a sentence on what was loaded.

    Every tensor of the module except its classifier must be in the file with the same shape. Besides these, the
    file may hold only a classifier. A classifier of another size is left out.

    Args:
        module: the network, with or without its classifier; changed in place.
        file: safetensors or torch file.
        name: the model's name, for messages.
        classifiers: dotted names of the classifier layers, as in timm's configurations.
        convert: converts other layouts of the same architecture into the module's (timm's checkpoint filter).

    Raises:
        ModelError: the file is of another architecture; the message has counts and the first keys.
    """
    state, part = read_state(file)
    match = match_state(module, state, classifiers)
    if convert is not None and not match.complete:
        match = _converted(module, state, classifiers, convert) or match
    if not match.complete:
        raise ModelError(match.complaint(name, file))
    broken = [key for key, value in match.state.items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelError(f"{str(file)!r} has NaN or infinite weights, for instance in {_few(broken)}.")
    module.load_state_dict(match.state, strict=False)
    notes = [note for note in (part, *match.notes) if note]
    details = f" ({'; '.join(notes)})" if notes else ""
    return f"Weights from {file.name}: {match.fitting_count} of {match.needed_count} tensors{details}."


class Match:
    """How a state fits a module; `complete` if no tensor is missing, unexpected or of another shape."""

    def __init__(self, module: nn.Module, state: State, notes: Sequence[str], classifiers: Sequence[str]) -> None:
        own = module.state_dict()
        heads = tuple(f"{classifier}." for classifier in classifiers)

        def is_head(key: str) -> bool:
            return bool(heads) and key.startswith(heads)

        shaped = {key: value for key, value in state.items() if key in own and value.shape == own[key].shape}
        self.state = shaped
        self.missing = [key for key in own if key not in state and not is_head(key) and not _optional(key)]
        self.misshaped = [
            f"{key} {tuple(state[key].shape)} against the model's {tuple(own[key].shape)}"
            for key in own
            if key in state and key not in shaped and not is_head(key)
        ]
        self.channels = next((
            state[key].shape[1]
            for key, value in own.items()
            if value.ndim == 4 and value.shape[1] == RGB and key in state and state[key].ndim == 4
            and state[key].shape[1] != RGB and state[key].shape[2:] == value.shape[2:]
        ), None)  # fmt: skip
        foreign = [key for key in state if key not in own and not _optional(key)]
        dropped = [key for key in foreign if is_head(key) or HEADS.match(key)]
        self.unexpected = [key for key in foreign if key not in dropped]
        other_size = [key for key in own if is_head(key) and key in state and key not in shaped]
        self.needed_count = sum(not is_head(key) and not _optional(key) for key in own)
        self.fitting_count = self.needed_count - len(self.missing) - len(self.misshaped)
        left_out = [*dropped, *other_size]
        self.notes = [*notes, *([f"classifier left out: {_few(left_out)}"] if left_out else [])]

    @property
    def complete(self) -> bool:
        """Whether the file is of this architecture: every tensor fits."""
        return not (self.missing or self.misshaped or self.unexpected)

    def complaint(self, name: str, file: Path) -> str:
        """The error message: which tensors do not fit, with counts and the first keys."""
        problems = [
            f"{len(keys)} {word}: {_few(keys)}"
            for keys, word in (
                (self.missing, "missing"),
                (self.misshaped, "of another shape"),
                (self.unexpected, "unknown to the model"),
            )
            if keys
        ]
        hint = "Give --model the architecture of this file."
        if self.channels is not None and len(self.misshaped) == 1 and not (self.missing or self.unexpected):
            hint = (
                f"This network reads images of {self.channels} {plural(self.channels, 'channel')}, and images are RGB "
                "here. Average or repeat the weight of its first layer over 3 channels, and save it again."
            )
        return (
            f"Weights must be of the architecture {name!r}: in {str(file)!r} {self.fitting_count} of its "
            f"{self.needed_count} tensors fit; {'; '.join(problems)}. {hint}"
        )


def match_state(module: nn.Module, state: State, classifiers: Sequence[str] = ()) -> Match:
    """The best match of `state` to `module` over all prefixes that its names may have; averaged weights of equals."""
    matches = [(prefix, Match(module, *_without(state, prefix), classifiers)) for prefix in _prefixes(module, state)]
    return max(matches, key=lambda each: (each[1].complete, each[1].fitting_count, bool(AVERAGED.search(each[0]))))[1]


def _prefixes(module: nn.Module, state: State) -> list[str]:
    # A wrapper adds a prefix to all names ("module.", "_orig_mod.", "model.", "backbone.", or two of them), so a
    # candidate is whatever precedes the name of one of the module's own tensors.
    own = [key for key in module.state_dict() if not _optional(key)]
    prefixes = [""]
    for probe in (own[0], own[len(own) // 2], own[-1]) if own else ():
        for key in state:
            if key.endswith(f".{probe}") and (prefix := key[: -len(probe)]) not in prefixes:
                prefixes.append(prefix)
    return sorted(prefixes, key=len)


def _without(state: State, prefix: str) -> tuple[State, list[str]]:
    if not prefix:
        return state, []
    inside = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    outside = [key for key in state if not key.startswith(prefix) and not _optional(key)]
    notes = [f"prefix {prefix!r} taken off"]
    return inside, notes + ([f"outside of it, left out: {_few(outside)}"] if outside else [])


def _converted(module: nn.Module, state: State, classifiers: Sequence[str], convert: Convert) -> Match | None:
    for prefix in _prefixes(module, state) + [name for name in ("module.", "model.", "backbone.") if name]:
        inside, notes = _without(state, prefix)
        if not inside:
            continue
        try:
            changed = convert(dict(inside), module)
        except Exception:  # the filter was written for other names, so the file is of another kind
            continue
        match = Match(module, changed, [*notes, "names or sizes converted by timm"], classifiers)
        if match.complete:
            return match
    return None


def _other_kind(file: Path, start: bytes) -> str:
    """What a file is that bears the name of a weights file and is none, and what to do; empty if it may be one."""
    text = start.lstrip().lower()
    if not start:
        return "an empty file. Fetch it again."
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself. Fetch it where the repository lies: git lfs pull."
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page, probably an error or a login in the place of the download. Fetch the file itself."
    if start.startswith(b"\x89HDF"):
        return "an HDF5 file, as of Keras. Load it there, and save the weights as safetensors or by torch.save."
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            return (
                "TorchScript, a program with its weights. Save its weights alone: "
                f"torch.save(torch.jit.load({file.name!r}).state_dict(), 'weights.pt')."
            )
        if not any(name.endswith("data.pkl") for name in names):
            return "a zip archive that torch.save did not write. Unpack it, and give the weights inside."
    return ""


def _harmless() -> list[Any]:
    """What checkpoints hold beside tensors that is plain values without code.

    timm saves its command line as a Namespace; accuracies are often scalars of NumPy, whose functions lay in
    `numpy.core` before NumPy 2.
    """
    from numpy._core import multiarray

    kinds = {type(np.dtype(code)) for code in np.typecodes["All"] if code != "O"}
    functions = [multiarray.scalar, multiarray._reconstruct]
    old = [(function, f"numpy.core.multiarray.{function.__name__}") for function in functions]
    new = [(function, f"numpy._core.multiarray.{function.__name__}") for function in functions]
    plain = [argparse.Namespace, types.SimpleNamespace, np.dtype, np.ndarray]
    return [*plain, *kinds, *old, *new]


def _read_torch(file: Path) -> Any:
    allow = getattr(torch.serialization, "safe_globals", lambda _: nullcontext())
    try:
        with allow(_harmless()):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{str(file)!r} must hold plain weights, but reading it would run code{_unsafe(file)}. Save it "
            "again where it was made: torch.save(model.state_dict(), 'weights.pt')."
        ) from error


def _unsafe(file: Path) -> str:
    try:
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(str(file))
    except Exception:  # older torch has no such function; the names only improve the message
        return ""
    names = sorted(unsafe, key=lambda name: (name.startswith("torch."), name))  # the user's own classes first
    return f" ({_few(names)})" if names else ""


def _container(content: Mapping[Any, Any]) -> Any:
    """The key, of any type, under which the weights lie; None if they lie here or nowhere."""
    for name in CONTAINERS:
        if isinstance(content.get(name), Mapping):
            return name
    if _tensors(content):
        return None
    tensor_counts = {name: len(_tensors(value)) for name, value in content.items() if isinstance(value, Mapping)}
    best = max(tensor_counts, key=lambda name: tensor_counts[name], default=None)
    return best if best is not None and (tensor_counts[best] or len(tensor_counts) == 1) else None


def _tensors(content: Any) -> State:
    if not isinstance(content, Mapping):
        return {}
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _optional(key: str) -> bool:
    return bool(NO_WEIGHTS.search(key))


def _few(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(keys[:SHOWN]) + more


def _names(content: Any) -> str:
    return f" with {_few([str(name) for name in content])}" if isinstance(content, Mapping) and content else ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
