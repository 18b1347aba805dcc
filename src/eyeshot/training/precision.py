"""The number format of a training, its memory layout and compilation, each with the reason for it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from eyeshot.core import InputError, duration
from eyeshot.models import NATIVE_BF16, TENSOR_CORES, Precision, autocast, out_of_memory

TIMED_STEPS = 5
WARM_UP_STEPS = 3
LEAST_STEPS = 400
"""Both layouts take 32 steps to time, so that in a run of 400 a gain of a tenth pays for it."""
LEAST_COMPILED_S = 1200.0
"""Compiling takes a minute or two, and usually gains a tenth to a third: it pays in a run of 20 minutes."""
LEAST_GAIN = 0.03
"""A smaller share of the time is noise in medians of five steps."""

Execution = tuple[torch.memory_format, bool, str]
_measured: dict[tuple[object, ...], tuple[torch.memory_format, dict[str, float]]] = {}
_compiled: dict[tuple[object, ...], tuple[float, float] | str] = {}


def choose_precision(
    device: torch.device, wanted: Literal["auto", "fp32", "bf16", "fp16"] = "auto", *, scalable: bool = True
) -> tuple[Precision, str]:
    """Choose the number format of a training, and say why.

    Weights, the loss and the optimizer stay in float32; the format is that of the network's products and convolutions.

    Args:
        device: where the training runs.
        wanted: "auto" takes the fastest format in which the device trains as well as in float32.
        scalable: whether the optimizer's gradients can be scaled, which float16 needs.

    Raises:
        InputError: the device does not compute in the wanted format, or only by emulating it.
    """
    if device.type != "cuda":
        return _without_cuda(device, wanted)
    capability = torch.cuda.get_device_capability(device)
    words = f"{torch.cuda.get_device_name(device)}, compute capability {capability[0]}.{capability[1]}"
    if wanted == "bf16" and capability < NATIVE_BF16:
        raise InputError(
            f"`precision` bf16 needs a GPU of compute capability 8.0 or later, got {words}. Give precision auto, "
            "fp16 or fp32."
        )
    if wanted == "fp16" and not scalable:
        raise InputError(
            "`precision` fp16 needs gradients that can be scaled, got an optimizer that computes them twice a step. "
            "Give precision auto or fp32, or another optimizer."
        )
    if wanted != "auto":
        return wanted, "asked for"
    if capability >= NATIVE_BF16:
        return "bf16", f"bfloat16 is native here ({words})"
    if capability >= TENSOR_CORES and not scalable:
        return "fp32", f"float16 cannot scale the gradients of an optimizer that computes them twice a step ({words})"
    if capability >= TENSOR_CORES:
        return "fp16", f"float16 with scaled gradients, since bfloat16 is native from 8.0 on ({words})"
    return "fp32", f"16-bit formats are no faster here ({words})"


def _without_cuda(device: torch.device, wanted: str) -> tuple[Precision, str]:
    if wanted == "fp16":
        raise InputError(
            f"`precision` fp16 needs a CUDA GPU, got device {device.type}. Give precision auto, fp32"
            f"{' or bf16' if device.type == 'cpu' else ''}."
        )
    if wanted == "bf16":
        if device.type != "cpu":
            raise InputError(f"`precision` bf16 needs a CUDA GPU or a CPU, got device {device.type}. Give fp32.")
        return "bf16", "asked for"
    if wanted == "fp32":
        return "fp32", "asked for"
    why = "a CPU is exact in it and seldom faster in another" if device.type == "cpu" else "the only one tested on MPS"
    return "fp32", f"float32, {why}"


def make_scaler(device: torch.device, precision: Precision) -> torch.amp.GradScaler:
    """Scales the loss so that float16 gradients do not vanish; for other formats it hands everything through.

    Its `state_dict` belongs into the checkpoint: it is empty for other formats. A step whose gradients overflow is
    left out, and the next ones are scaled by half.
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


@contextmanager
def fast_convolutions(device: torch.device) -> Iterator[None]:
    """Let cuDNN time its algorithms for each shape, which pays since all batches of a training have one shape."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def choose_execution(
    model: nn.Module,
    shape: tuple[int, int, int, int],
    *,
    layout: torch.memory_format,
    device: torch.device,
    precision: Precision,
    planned_steps: int,
    key: str,
) -> Execution:
    """Choose the memory layout of a model and whether to compile it, by timing a few steps where that can pay.

    Only on CUDA: on a CPU the layout follows from the module (see `place`), so that a run is repeatable.

    Args:
        model: on `device`, float (n, 3, S, S) -> scores (n, C); not changed.
        shape: (n, 3, S, S) of a batch.
        layout: in which the model is placed.
        device, precision: of the training.
        planned_steps: how many steps will follow.
        key: of the network; timings are kept by key, shape, device and precision until the process ends.

    Returns:
        the layout, whether to compile, and the reason.
    """
    if device.type != "cuda":
        return layout, False, "layout by the kind of the network, not compiled: timings would not be repeatable"
    if planned_steps < LEAST_STEPS:
        return layout, False, f"layout and compiling not timed: {planned_steps} steps, it pays from {LEAST_STEPS} on"
    place = key, shape, torch.cuda.get_device_name(device), precision
    try:
        if place not in _measured:
            _measured[place] = time_layouts(model, shape, layout=layout, device=device, precision=precision)
        fastest, seconds = _measured[place]
        step_s = min(seconds.values())
        reason = f"{_words(fastest)}, since a step takes " + ", ".join(
            f"{value * 1e3:.1f} ms {name}" for name, value in seconds.items()
        )
        if planned_steps * step_s < LEAST_COMPILED_S:
            return fastest, False, (
                f"{reason}; not compiled: that pays in runs of {duration(LEAST_COMPILED_S)}, this one takes about "
                f"{duration(planned_steps * step_s)}"
            )  # fmt: skip
        if place not in _compiled:
            _compiled[place] = _time_compiled(model, shape, layout=fastest, device=device, precision=precision)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        torch.cuda.empty_cache()
        return layout, False, "layout and compiling not timed: the GPU has no memory for a second copy of the network"
    return _judge(fastest, reason, step_s, _compiled[place], planned_steps)


def _judge(
    layout: torch.memory_format, reason: str, step_s: float, compiled: tuple[float, float] | str, planned_steps: int
) -> Execution:
    """Whether to compile, from seconds of a step without it, and (of a step, to compile) or why that failed."""
    if isinstance(compiled, str):
        return layout, False, f"{reason}; not compiled: {compiled}"
    compiled_s, once_s = compiled
    gain_s = planned_steps * (step_s - compiled_s)
    pays = gain_s > once_s and compiled_s < (1 - LEAST_GAIN) * step_s
    return layout, pays, (
        f"{reason}; {'compiled' if pays else 'not compiled'}: a step takes {compiled_s * 1e3:.1f} ms compiled, which "
        f"takes {duration(once_s)} once"
    )  # fmt: skip


def time_layouts(
    model: nn.Module,
    shape: tuple[int, int, int, int],
    *,
    layout: torch.memory_format,
    device: torch.device,
    precision: Precision,
) -> tuple[torch.memory_format, dict[str, float]]:
    """The faster memory layout (`layout` unless another gains 3 %), and the median seconds of a step in each.

    The steps are of a copy on random images, in two turns for each layout.
    """
    trial = copy.deepcopy(model)
    times: dict[torch.memory_format, list[float]] = {torch.contiguous_format: [], torch.channels_last: []}
    with _random_state_kept(device):
        for _ in range(2):
            for form in times:
                trial.to(memory_format=form)
                times[form] += _step_times(trial, shape, form, device, precision)
    medians = {form: sorted(values)[len(values) // 2] for form, values in times.items()}
    best = min(medians, key=lambda form: medians[form])
    fastest = best if medians[best] < (1 - LEAST_GAIN) * medians[layout] else layout
    return fastest, {_words(form): value for form, value in medians.items()}


def _time_compiled(
    model: nn.Module,
    shape: tuple[int, int, int, int],
    *,
    layout: torch.memory_format,
    device: torch.device,
    precision: Precision,
) -> tuple[float, float] | str:
    """Median seconds of a compiled step, and seconds to compile; or why the network cannot be compiled."""
    trial = copy.deepcopy(model)
    trial.to(memory_format=layout)
    begin = time.perf_counter()
    try:
        with _random_state_kept(device):
            times = _step_times(torch.compile(trial, dynamic=False), shape, layout, device, precision)
    except Exception as error:  # of the compiler, of any class
        if out_of_memory(error):
            raise
        return f"it fails ({type(error).__name__})"
    return sorted(times)[len(times) // 2], time.perf_counter() - begin - sum(times)


def _step_times(
    model: Callable[[torch.Tensor], torch.Tensor],
    shape: tuple[int, int, int, int],
    layout: torch.memory_format,
    device: torch.device,
    precision: Precision,
) -> list[float]:
    """Seconds of forward and backward passes, after some that are not timed."""
    images = torch.randn(shape, device=device).to(memory_format=layout)
    scaler = make_scaler(device, precision)
    times = []
    for number in range(WARM_UP_STEPS + TIMED_STEPS):
        _synchronise(device)
        begin = time.perf_counter()
        with autocast(device, precision):
            loss = model(images).float().square().mean()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        _synchronise(device)
        if number >= WARM_UP_STEPS:
            times.append(time.perf_counter() - begin)
    return times


@contextmanager
def _random_state_kept(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _words(layout: torch.memory_format) -> str:
    return "channels last" if layout == torch.channels_last else "channels first"
