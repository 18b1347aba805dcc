"""Evaluates a trained state on validation images (also half-masked) and on the target without its labels, and measures
what a step of training and an evaluation cost on this machine."""

from __future__ import annotations

import io
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool, make_samples
from eyeshot.core import SILENT, HalfSamples, ModelError, Progress, describe_hardware, key_of
from eyeshot.models import Backbone, smaller_batches
from eyeshot.predictions import fit_temperature, temperature_by_image, with_temperature
from eyeshot.rankings.augmentations.coverage import fit_reference_space, make_target, measure_coverage
from eyeshot.sweep import Costs, DecisionFile
from eyeshot.training import State, TrainConfig, TrainingRun, read_images_with, start_state, warm_up_cosine

SHORT_RUNS = "short-runs"
"""Folder of the cache that holds all short runs and the measured costs of their steps."""
GREY = 128
PROBED_ON_CPU = 16
QUICK_S = 1.0
"""Seconds; a step that takes less is timed with the whole batch."""
SPACE_S = 0.3
"""Seconds of an evaluation: a reference space and the coverage in it, for 600 images of each kind."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The evaluation of a trained state.

    Attributes:
        log_loss: float64 (n_val,), of each validation image, in nats, after temperature scaling.
        right: bool (n_val,), whether the prediction is right.
        hidden_right: bool (n_val,), the same for images with one half grey; empty if not evaluated.
        coverage: label-consistent coverage of the target by clean training images in the feature space of this state.
        half_coverage: float64 (B,), the coverage on half-samples of both.
        balance: entropy of the mean prediction on the target divided by its maximum, 0-1.
        confidence: mean of the largest probability on the target.
        target_probabilities: float16 (M, C), probabilities on the target after division by `temperature`.
        temperature: what the logarithms of probabilities are divided by for the lowest log loss of validation images.
        temperature_parts: float64 (n_val,), how far each validation image moves its logarithm.
    """

    log_loss: NDArray[np.float64]
    right: NDArray[np.bool_]
    hidden_right: NDArray[np.bool_]
    coverage: float
    half_coverage: NDArray[np.float64]
    balance: float
    confidence: float
    target_probabilities: NDArray[np.float16]
    temperature: float
    temperature_parts: NDArray[np.float64]


class EvaluationFormat:
    """Stores evaluations as npz bytes, as the store of a sweep expects."""

    def dumps(self, evaluation: Evaluation) -> bytes:
        """An evaluation as bytes."""
        stream = io.BytesIO()
        np.savez(stream, **{field.name: getattr(evaluation, field.name) for field in fields(evaluation)})
        return stream.getvalue()

    def loads(self, content: bytes) -> Evaluation:
        """The evaluation in bytes that `dumps` returned."""
        with np.load(io.BytesIO(content)) as stored:
            return Evaluation(
                stored["log_loss"],
                stored["right"],
                stored["hidden_right"],
                float(stored["coverage"]),
                stored["half_coverage"],
                float(stored["balance"]),
                float(stored["confidence"]),
                stored["target_probabilities"],
                float(stored["temperature"]),
                stored["temperature_parts"],
            )


@dataclass(frozen=True, eq=False)
class Evaluator:
    """What every state is evaluated with; the images are the same for all states.

    Attributes:
        backbone: the architecture.
        sources, source_labels: clean training images, and int64 (n,) their classes.
        target: the images to be covered.
        val, val_labels: validation images, and int64 (n_val,) their classes.
        halves: half-samples of target and sources.
        class_count: C.
        device, batch_size: device and batch size of the forward pass.
        seed: seed of the reference spaces.
    """

    backbone: Backbone
    sources: Pool
    source_labels: NDArray[np.int64]
    target: Pool
    val: Pool
    val_labels: NDArray[np.int64]
    halves: HalfSamples
    class_count: int
    device: str
    batch_size: int
    seed: int


def evaluate_state(evaluator: Evaluator, state: State, *, hidden: bool) -> Evaluation:
    """Evaluate a state: three or four forward passes, a new reference space, and coverage in it.

    Args:
        evaluator: images and settings.
        state: weights of a classifier.
        hidden: whether to evaluate half-masked validation images too.

    Raises:
        ModelError: features or probabilities are not finite.
    """
    val = np.asarray(evaluator.val.images)
    groups = [np.asarray(evaluator.sources.images), np.asarray(evaluator.target.images), val]
    if hidden:
        groups.append(hide_half(val))
    outputs = read_images_with(
        evaluator.backbone, state, groups,
        class_count=evaluator.class_count, device=torch.device(evaluator.device), batch_size=evaluator.batch_size,
    )  # fmt: skip
    if not all(np.isfinite(output.features).all() and np.isfinite(output.probabilities).all() for output in outputs):
        raise ModelError("Features or probabilities are not finite after the run.")
    sources, target, clean = outputs[:3]
    space = fit_reference_space(sources.features, target.features, seed=evaluator.seed)
    coverage = measure_coverage(
        make_target(space.transform(target.features), halves=evaluator.halves),
        space.transform(sources.features)[:, None],
        evaluator.source_labels,
    )
    labels = evaluator.val_labels
    temperature = fit_temperature(clean.probabilities, labels)
    return Evaluation(
        scaled_log_loss(clean.probabilities, labels),
        clean.probabilities.argmax(1) == labels,
        outputs[3].probabilities.argmax(1) == labels if hidden else np.empty(0, bool),
        coverage.consistent_coverage,
        coverage.half_consistent,
        balance_of(target.probabilities),
        float(target.probabilities.max(axis=1).mean()),
        with_temperature(target.probabilities, temperature).astype(np.float16),
        temperature,
        temperature_by_image(with_temperature(clean.probabilities, temperature), labels),
    )


def hide_half(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images uint8 (n, S, S, 3) with one half grey: the left, right, upper and lower half in turn."""
    hidden = np.array(images)
    side = images.shape[1]
    first, second = slice(0, side // 2), slice(side // 2, side)
    hidden[0::4, :, first] = GREY
    hidden[1::4, :, second] = GREY
    hidden[2::4, first] = GREY
    hidden[3::4, second] = GREY
    return hidden


def scaled_log_loss(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log loss of each image (n,) in nats; its temperature is fitted on the other half of the images.

    A single temperature divides all class scores: Guo et al., "On calibration of modern neural networks", ICML 2017,
    section 4.2. Without it, a run that is only less confident than another would look worse or better than it is. If
    all n images of the fit are right, the data only say that 1 in n + 1 may be wrong; that share of every prediction
    is spread over all classes, because otherwise a single miss would cost without bound.

    Args:
        probabilities: (n, C), rows sum to 1.
        labels: int64 (n,)
    """
    losses = np.empty(len(labels))
    odd = np.arange(len(labels)) % 2 == 1
    for judged in (odd, ~odd):
        temperature = fit_temperature(probabilities[~judged], labels[~judged])
        unknown = 1 / (1 + int((~judged).sum()))
        own = with_temperature(probabilities[judged], temperature)[np.arange(judged.sum()), labels[judged]]
        losses[judged] = -np.log((1 - unknown) * own + unknown / probabilities.shape[1])
    return losses


def balance_of(probabilities: NDArray[np.floating]) -> float:
    """Entropy of the mean prediction (n, C) divided by log C: 1 if all classes are predicted equally often."""
    mean = probabilities.mean(axis=0, dtype=np.float64)
    mean = mean[mean > 0]
    return float(-(mean * np.log(mean)).sum() / np.log(probabilities.shape[1]))


def probe_costs(
    backbone: Backbone,
    candidates: Sequence[Augmentation],
    *,
    base: Sequence[Augmentation],
    class_count: int,
    evaluated_images: int,
    settings: TrainConfig,
    device: str,
    batch_size: int,
    cache: Path,
    progress: Progress = SILENT,
) -> tuple[Costs, int]:
    """The time of a step and of an evaluation, measured once on a machine in a few seconds.

    Args:
        backbone: the architecture.
        candidates: the candidates that will be trained with; drawing their augmented samples is timed.
        base: the augmentation before each of them.
        class_count: C.
        evaluated_images: number of images of one evaluation.
        settings: settings of the runs.
        device: device of the runs.
        batch_size: batch size of evaluations.
        cache: where costs are kept, so that the same command makes the same plan on a busy machine.
        progress: called when something is timed.

    Returns:
        the costs, and the batch size that fits.
    """
    key = key_of(
        backbone.fingerprint, [augmentation.fingerprint for augmentation in (*base, *candidates)], class_count,
        evaluated_images, settings, device, batch_size, platform.node(), describe_hardware(device),
    )  # fmt: skip
    kept = DecisionFile(cache / SHORT_RUNS / f"costs-{key}.json")
    known = kept.get("costs")
    if known is None:
        progress(0, 0, "timing a step")
        costs, fitting = _time_costs(
            backbone, candidates, base=base, class_count=class_count, evaluated_images=evaluated_images,
            settings=settings, device=device, batch_size=batch_size,
        )  # fmt: skip
        known = [costs.step_s, costs.evaluate_s, costs.extra_s, fitting]
        kept.keep("costs", known)
    return Costs(*map(float, known[:3])), int(known[3])


def _time_costs(
    backbone: Backbone,
    candidates: Sequence[Augmentation],
    *,
    base: Sequence[Augmentation],
    class_count: int,
    evaluated_images: int,
    settings: TrainConfig,
    device: str,
    batch_size: int,
) -> tuple[Costs, int]:
    """Time a step and an evaluation on random images.

    If a small batch takes a CPU long, a larger batch takes as long per image, so no larger batch is timed. A GPU gets a
    whole batch; if it has no room for it, half of it, and so on.
    """
    side = backbone.geometry.size
    random = np.random.default_rng(0)

    def pool_of(count: int) -> Pool:
        images = random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        return Pool(images, [f"{number:032x}" for number in range(count)])

    def state_for(count: int) -> State:
        features = random.standard_normal((count, backbone.feature_count))
        return start_state(backbone, features, np.arange(count) % class_count, class_count=class_count)

    def step_s(pool: Pool) -> float:
        config = settings.model_copy(update={"batch_size": max(2, len(pool))})
        labels = np.arange(len(pool)) % class_count
        run = TrainingRun(
            backbone, pool, labels, class_count=class_count, config=config, device=device, start=state_for(len(pool))
        )
        rates = warm_up_cosine(config.learning_rate, 4, warm_up_share=config.warm_up_share)
        run.advance(1, schedule=rates)  # pays the cost of the first step, which is not repeated
        begin = time.perf_counter()
        run.advance(3, schedule=rates)
        return max(1e-4, (time.perf_counter() - begin) / 2)

    def evaluation_s(count: int) -> float:
        images, state = np.asarray(pool_of(count).images), state_for(16)

        def pass_through(some: NDArray[np.uint8]) -> float:
            begin = time.perf_counter()
            read_images_with(backbone, state, [some], class_count=class_count, device=device, batch_size=batch_size)
            return time.perf_counter() - begin

        pass_through(images[:2])
        return pass_through(images) / count

    def timed(size: int) -> Costs:
        probed = min(size, PROBED_ON_CPU) if torch.device(device).type == "cpu" else size
        step = step_s(pool_of(probed)) * size / probed
        if probed < size and step < QUICK_S:
            probed, step = size, step_s(pool_of(size))
        pool = pool_of(probed)
        begin = time.perf_counter()
        for candidate in candidates:
            make_samples((*base, candidate), pool, np.arange(probed), seed=0, draw=0, device=device, always=False)
        extra_s = (time.perf_counter() - begin) / max(1, len(candidates)) * size / probed
        return Costs(step, evaluation_s(probed) * evaluated_images + SPACE_S, extra_s)

    return smaller_batches(timed, settings.batch_size, least=2)
