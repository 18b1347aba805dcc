"""Rung 1: a linear probe on frozen features, and what the model costs and says about the test images."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Pool
from eyeshot.core import InputError, Progress
from eyeshot.data import ImageTable, PixelStore
from eyeshot.models import Backbone, FeatureBank, Precision, cross_fit, extract, fit_many_classes
from eyeshot.predictions import Accuracy, Predictions, estimate_target_accuracy, judge_model, log_loss
from eyeshot.rankings.augmentations.coverage import NEIGHBOURS, fit_reference_space, make_target, measure_coverage
from eyeshot.rankings.models.data import RankingData
from eyeshot.rankings.models.memory import forward_memory
from eyeshot.rankings.models.report import ClassAccuracy, ModelCost, Probe, Record, TestImages

WORST = 5
TIMED_IMAGES = 64
TIMED_S = 3.0
MEMORY_BATCH = 16


Measured = tuple[float, list[float]]
"""A share of images, and the same on half-samples of them; see `eyeshot.predictions.choose_model`."""


class ProbeRecord(Record):
    """What is stored of rung 1: the probe, the cost, the predicted class of each judged image, and what chooses."""

    probe: Probe
    cost: ModelCost
    predicted: list[int]
    judged: tuple[Measured, Measured | None]


def run_probe(
    data: RankingData,
    backbone: Backbone,
    *,
    cache: Path,
    device: str,
    batch_size: int,
    workers: int | None,
    seed: int,
    progress: Progress,
) -> ProbeRecord:
    """Rung 1 of one model; features come from the bank where they are there.

    Costs one forward pass per image, and the fits.

    Raises:
        InputError: an image cannot be decoded at the model's size.
        ModelError: the features are not finite or all the same.
    """
    begin = time.perf_counter()
    bank = FeatureBank(cache, backbone, device=device, batch_size=batch_size)
    rows = data.used
    features = np.zeros((len(data.images), backbone.feature_count), np.float32)
    known, read = clean_features(bank, data.images.take(rows), cache=cache, workers=workers, progress=progress)
    if len(known) < len(rows):
        lost = data.images.paths[rows[np.setdiff1d(np.arange(len(rows)), known)[0]]]
        raise InputError(f"All images must be decoded at the model's size, but {lost} cannot. See eyeshot audit.")
    features[rows] = read
    labels, classes = data.images.labels, data.dataset.classes
    probabilities, penalty = cross_fit(
        features, labels, data.folds, class_count=len(classes), seed=seed, progress=progress.sub("probe")
    )
    judged = data.judged
    answers, truth = probabilities[judged], labels[judged]
    predicted = answers.argmax(axis=1)
    test = chosen_by = None
    if data.test is not None:
        test_rows, test_features = clean_features(bank, data.test, cache=cache, workers=workers, progress=progress)
        head = fit_many_classes(features[rows], labels[rows], class_count=len(classes), penalty=penalty)
        of_test = head.predict_proba(test_features)
        test = _judge_test(
            features[rows], labels[rows], test_features.astype(np.float32), of_test, (answers, truth), seed=seed
        )
        chosen_by = None if test is None else of_test[np.isin(test_rows, data.choosing)]
    cost = measure_cost(backbone, bank, data, cache=cache)
    probe = Probe(
        accuracy=Accuracy.of_counts(int((predicted == truth).sum()), len(truth)),
        log_loss=log_loss(answers, truth),
        worst_classes=_worst_classes(predicted == truth, truth, classes),
        penalty=penalty,
        test=test,
        seconds=time.perf_counter() - begin,
    )
    return ProbeRecord(
        probe=probe, cost=cost, predicted=predicted.tolist(), judged=judged_by(answers, truth, chosen_by)
    )


def judged_by(
    answers: NDArray[np.floating], truth: NDArray[np.int64], of_test: NDArray[np.floating] | None
) -> tuple[Measured, Measured | None]:
    """What chooses between models, as it is stored.

    Args:
        answers, truth: probabilities (n, C) and labels (n,) of validation images.
        of_test: probabilities (m, C) on the test images that choose; None: they cannot be used.
    """
    classes = tuple(map(str, range(answers.shape[1])))

    def table(values: NDArray[np.floating], labels: NDArray[np.int64] | None = None) -> Predictions:
        return Predictions(tuple(map(str, range(len(values)))), values, classes, labels)

    target = None if of_test is None or len(of_test) <= NEIGHBOURS else table(of_test)
    accuracy, estimate = judge_model([(table(answers, truth), target)])
    return (accuracy[0], accuracy[1].tolist()), None if estimate is None else (estimate[0], estimate[1].tolist())


def clean_features(
    bank: FeatureBank, table: ImageTable, *, cache: Path, workers: int | None, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """The rows of a table that can be decoded at the model's size, and their features (m, D), from the bank."""
    pixels = PixelStore(cache, bank.backbone.geometry).load(
        table, np.arange(len(table)), workers=workers, progress=progress.sub("decoding")
    )
    pool = Pool(pixels.images, pixels.keys)
    return pixels.rows, bank.clean(pool, np.arange(len(pixels)), progress=progress.sub("features"))


def measure_cost(backbone: Backbone, bank: FeatureBank, data: RankingData, *, cache: Path) -> ModelCost:
    """Seconds of the forward pass, memory and weights.

    The time is that of the fastest batch: other programs slow a batch down, and nothing speeds one up. On a busy
    machine the mean put a network behind one of twice its cost. It is in float32 as predictions are, on a GPU too.
    """
    rows = data.judged[: TIMED_IMAGES + MEMORY_BATCH]
    pixels = np.asarray(PixelStore(cache, backbone.geometry).load(data.images, rows).images)
    images, _, fastest_s = time_forward(backbone, pixels, device=str(bank.device), batch_size=bank.batch_size)
    weights = [*backbone.module.parameters(), *backbone.module.buffers()]
    return ModelCost(
        parameters=sum(value.numel() for value in backbone.module.parameters()),
        weights_bytes=sum(value.numel() * value.element_size() for value in weights),
        seconds_per_1000=1000 * fastest_s,
        timed_images=images,
        memory_bytes=forward_memory(backbone, pixels[:MEMORY_BATCH], device=bank.device),
        memory_batch=len(pixels[:MEMORY_BATCH]),
    )


def time_forward(
    backbone: Backbone,
    pixels: NDArray[np.uint8],
    *,
    device: str,
    batch_size: int,
    images: int = TIMED_IMAGES,
    precision: Precision = "fp32",
) -> tuple[int, float, float]:
    """How many images were timed, at most `images` or 3 seconds after a warm-up, and the seconds an image took: the
    mean, and that of the fastest batch."""
    step = min(batch_size, images, 8 if device == "cpu" else batch_size)
    extract(backbone, pixels[:step], device=device, batch_size=step, precision=precision)
    done, seconds, fastest = 0, 0.0, math.inf
    while done < images and seconds < TIMED_S:
        part = pixels[np.arange(done, done + step) % len(pixels)]
        begin = time.perf_counter()
        extract(backbone, part, device=device, batch_size=step, precision=precision)
        took = time.perf_counter() - begin
        seconds, fastest, done = seconds + took, min(fastest, took / step), done + step
    return done, seconds / done, fastest


def _judge_test(
    train: NDArray[np.float32],
    labels: NDArray[np.int64],
    test: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    validation: tuple[NDArray[np.float32], NDArray[np.int64]],
    *,
    seed: int,
) -> TestImages | None:
    """Coverage of the test images and the estimate; None with too few images for neighbour balls."""
    if min(len(train), len(test)) <= NEIGHBOURS:
        return None
    space = fit_reference_space(train, test, seed=seed)
    covered = measure_coverage(make_target(space.transform(test)), space.transform(train)[:, None], labels)
    return TestImages(
        n=len(test),
        n_train=len(train),
        coverage=covered.coverage,
        consistent_coverage=covered.consistent_coverage,
        estimate=estimate_target_accuracy(probabilities, validation=validation, seed=seed),
    )


def _worst_classes(right: NDArray[np.bool_], truth: NDArray[np.int64], classes: tuple[str, ...]) -> list[ClassAccuracy]:
    hits = np.bincount(truth[right], minlength=len(classes))
    counts = np.bincount(truth, minlength=len(classes))
    recall = np.where(counts > 0, hits / np.maximum(counts, 1), np.inf)
    # Of equal recall, the class with more images is the surer finding.
    order = np.lexsort((-counts, recall))[:WORST]
    return [
        ClassAccuracy(name=classes[number], accuracy=Accuracy.of_counts(int(hits[number]), int(counts[number])))
        for number in order
        if counts[number]
    ]
