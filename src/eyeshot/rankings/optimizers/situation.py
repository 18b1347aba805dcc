"""The situation that an optimizer must suit: the network, the recipe, the data, and how much random batches differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from eyeshot.augment import Pool
from eyeshot.core import SILENT, Progress, plural
from eyeshot.models import extract
from eyeshot.rankings.optimizers.report import BatchImage, Kind, OddBatch, Situation, Spread
from eyeshot.training import HEAD_IMAGES, BatchProbe, TrainingRun, TrainPlan, make_schedule, probe_batches, start_state

BATCHES = 24
STATES = (0, 8)
"""Steps that are done where the batches are measured: before the first, and soon after it, when Adam's averages have
seen few batches. Gradients before the first step of an untrained network hardly differ, whatever the images."""
NORMAL_FROM_MAD = 1.4826
ODD_DISTANCE = 5.0
"""Robust standard deviations of the logarithm. At 3.5, the customary limit (Iglewicz and Hoaglin 1993, "How to detect
and handle outliers"), one of 24 normal batches would stand out in several of a hundred data sets."""
ODD_RATIO = 1.5
"""And at least this much above the median: batches that hardly differ at all have no outliers."""
HEAVY_TAIL = 2.0
"""A batch in twenty pulls at least twice as far as the usual one."""
SHOWN_BATCHES, SHOWN_IMAGES = 4, 8
PROBE_STEPS = BATCHES * len(STATES) + STATES[-1]


def measure_situation(
    plan: TrainPlan,
    pool: Pool,
    labels: NDArray[np.int64],
    ids: Sequence[str],
    *,
    progress: Progress = SILENT,
) -> Situation:
    """Measure the situation with a copy of the run's first steps; it depends on the seed alone.

    Args:
        plan: network, recipe (AdamW), augmentations, device.
        pool, labels, ids: the N training images alone, their class numbers int64 (N,) and names.
        progress: called with the batches done.

    Raises:
        ModelError: the loss of the first steps is not finite.
    """
    settings, classes = plan.settings, plan.dataset.classes
    start = None
    if plan.backbone.pretrained:
        rows = np.random.default_rng(settings.seed).permutation(len(pool))[:HEAD_IMAGES]
        features = extract(
            plan.backbone, np.asarray(pool.images[rows]), device=plan.device, batch_size=settings.batch_size
        )
        start = start_state(plan.backbone, features, labels[rows], class_count=len(classes))
    run = TrainingRun(
        plan.backbone, pool, labels,
        class_count=len(classes), config=settings, augmentations=plan.augmentations, device=plan.device, start=start,
    )  # fmt: skip
    steps = settings.epochs * run.epoch_steps
    schedule = make_schedule(settings, steps, epoch_losses=run.epoch_losses)
    probes: list[list[BatchProbe]] = []
    scale = None
    for number, state in enumerate(STATES):
        progress(number, len(STATES), "measuring random batches")
        run.advance(min(state, steps), schedule=schedule)
        found, noise = probe_batches(run, BATCHES, seed=settings.seed)
        probes.append(found)
        scale = noise if state == 0 else scale
    progress(len(STATES), len(STATES), "measuring random batches")
    losses = np.array([[probe.loss for probe in of_state] for of_state in probes])
    norms = np.array([[probe.grad_norm for probe in of_state] for of_state in probes])
    kind, why = model_kind(run.model.backbone)
    describe = partial(_image, ids=ids, labels=labels, classes=classes)
    standing_out = odd_batches(losses, norms)
    odd = [
        OddBatch(
            number=batch + 1,
            step=STATES[state],
            loss_ratio=float(relative(losses)[state, batch]),
            norm_ratio=float(relative(norms)[state, batch]),
            images=[
                describe(int(probe.rows[place]), float(probe.image_losses[place]))
                for probe in [probes[state][batch]]
                for place in np.argsort(-probe.image_losses, kind="stable")[:SHOWN_IMAGES]
            ],
        )
        for state, batch in standing_out[:SHOWN_BATCHES]
    ]
    of_losses, of_norms = spread_of(losses), spread_of(norms)
    heavy, words = heavy_tailed(of_losses, of_norms, odd=len(standing_out))
    return Situation(
        model=plan.backbone.name,
        kind=kind,
        kind_reason=why,
        pretrained=plan.backbone.pretrained,
        parameters=sum(weight.numel() for weight in run.model.parameters()),
        batch_size=min(settings.batch_size, len(pool)),
        epochs=settings.epochs,
        steps=steps,
        warm_up_steps=math.floor(settings.warm_up_share * steps),
        schedule=settings.schedule,
        augmentations=[augmentation.name for augmentation in plan.augmentations],
        n_train=len(pool),
        classes=len(classes),
        smallest_class=int(np.bincount(labels, minlength=len(classes)).min()),
        losses=of_losses,
        norms=of_norms,
        batches=BATCHES,
        loss_ratios=[round(float(value), 4) for value in relative(losses).ravel()],
        norm_ratios=[round(float(value), 4) for value in relative(norms).ravel()],
        noise_scale=scale,
        odd_batches=odd,
        heavy_tailed=heavy,
        spread_words=words,
    )


def model_kind(network: nn.Module) -> tuple[Kind, str]:
    """What kind of network it is as far as optimizers care, with the reason."""
    names = [type(module).__name__ for module in network.modules()]
    attention = [name for name in names if "Attention" in name and "Pool" not in name]
    if attention:
        return "transformer", f"it has {len(attention)} {plural(len(attention), 'layer')} of attention"
    convolutions = sum(isinstance(module, nn.Conv2d) for module in network.modules())
    norms = sum(isinstance(module, _BatchNorm) for module in network.modules())
    if convolutions and norms:
        return "convolutional with BatchNorm", f"it has {convolutions} convolutions and {norms} of BatchNorm"
    if convolutions > 1:  # one alone cuts the patches of an MLP-Mixer
        return "convolutional without BatchNorm", f"it has {convolutions} convolutions and no BatchNorm"
    return "other", "it has neither attention nor several convolutions"


def relative(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Values (states, batches) over the median of their state; as they are where that is 0."""
    middle = np.median(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(middle > 0, middle, 1.0), np.float64)


def spread_of(values: NDArray[np.floating]) -> Spread:
    """How values (states, batches) differ between batches."""
    ratios = relative(values).ravel()
    middle = float(np.median(ratios))
    centred = ratios - ratios.mean()
    variance = float((centred**2).mean())
    return Spread(
        n=len(ratios),
        median=float(np.median(values)),
        spread=float(NORMAL_FROM_MAD * np.median(np.abs(ratios - middle))),
        tail=float(np.quantile(ratios, 0.95)),
        kurtosis=float((centred**4).mean() / variance**2 - 3) if variance > 1e-12 else None,
    )


def odd_batches(losses: NDArray[np.floating], norms: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Batches that stand out: (state, batch), the state where each stands out most, the most outstanding first.

    Args:
        losses, norms: (states, batches).
    """
    distance = np.maximum(_distance(losses), _distance(norms))
    of_batch = distance.max(0)
    chosen = [int(batch) for batch in np.argsort(-of_batch, kind="stable") if of_batch[batch] > ODD_DISTANCE]
    return [(int(distance[:, batch].argmax()), batch) for batch in chosen]


def _distance(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far each value (states, batches) lies above its state's median, in robust deviations of the logarithm."""
    ratios = relative(values)
    logs = np.log(np.maximum(ratios, 1e-12))
    deviation = NORMAL_FROM_MAD * np.median(np.abs(logs), axis=1, keepdims=True)
    distance = logs / np.maximum(deviation, 1e-6)
    return np.asarray(np.where(ratios >= ODD_RATIO, distance, 0.0), np.float64)


def heavy_tailed(losses: Spread, norms: Spread, *, odd: int) -> tuple[bool, str]:
    """Whether batches have a heavy tail, and how they differ, in a sentence."""
    heavy = max(losses.tail, norms.tail) >= HEAVY_TAIL
    words = (
        f"One random batch in twenty has {norms.tail:.1f} times the usual gradient and {losses.tail:.1f} times the "
        f"usual loss ({BATCHES} batches at {len(STATES)} states of the weights)"
    )
    single = f"{odd} {plural(odd, 'batch stands', 'batches stand')} out" if odd else "no single batch stands out"
    return heavy, f"{words}: {f'a heavy tail, from {HEAVY_TAIL:g} on' if heavy else 'no heavy tail'}; {single}."


def _image(
    row: int, loss: float, *, ids: Sequence[str], labels: NDArray[np.int64], classes: Sequence[str]
) -> BatchImage:
    return BatchImage(id=ids[row], label=classes[int(labels[row])], loss=loss)
