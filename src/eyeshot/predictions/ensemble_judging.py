"""What ensembles are worth against the best single run, judged on images that nothing was fitted or chosen on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eyeshot.core import SILENT, InputError, Progress, paired_difference
from eyeshot.predictions.comparison import mcnemar_p
from eyeshot.predictions.ensembles import (
    FEWEST_IMAGES,
    FITTED,
    FOLDS,
    MOST_COEFFICIENTS,
    Combination,
    Members,
    combine,
    fit_per_class,
    fit_stacking,
)
from eyeshot.predictions.greedy_selection import GreedySelection

SIGNIFICANT = 0.05
Soup = Callable[[NDArray[np.bool_]], tuple[tuple[float, ...], NDArray[np.float16]]]
"""From the images that may be looked at, bool (n,): weights of the members, and probabilities (n, C) on all images."""


class Gain(BaseModel):
    """Accuracy of one set of answers less that of another on the same images, with its interval and exact McNemar."""

    model_config = ConfigDict(frozen=True)

    difference: float
    low: float
    high: float
    p: float

    @property
    def real(self) -> bool:
        """Whether the first is better by more than noise."""
        return self.low > 0 and self.p < SIGNIFICANT


class EnsembleJudge:
    """Fits each method on parts of the validation images and keeps what it answers on the others.

    There are K = 5 stratified folds. For each, a method is fitted on the other four and answers on this one. Which
    method is best is decided on those four alone, each of them answered by a fit on the other three; so is which run is
    best. So neither choice has seen the images that judge it.

    Args:
        members: M arrays float16 (n, C), not negative; may be mapped from the disk.
        labels: int64 (n,), a class number each.
        methods: names of `METHODS` and of `soups`.
        soups: methods that average weights, by name.
        seed: of the folds.
        progress: told how many fits are done.

    Raises:
        InputError: there are too few images.
    """

    def __init__(
        self,
        members: Members,
        labels: NDArray[np.int64],
        methods: Sequence[str],
        *,
        soups: Mapping[str, Soup] | None = None,
        seed: int = 0,
        progress: Progress = SILENT,
    ) -> None:
        if len(labels) < FEWEST_IMAGES:
            raise InputError(
                f"Ensembles are judged on at least {FEWEST_IMAGES} labelled validation images, got {len(labels)}. "
                "Hold out more with --val-share, or validate on folds."
            )
        self.members, self.labels, self.soups = members, labels, dict(soups or {})
        self.methods = list(methods)
        self.folds = stratified_folds(labels, FOLDS, seed=seed)
        self.predicted = np.stack([most_probable(each) for each in members])
        """int64 (M, n)."""
        self.right = self.predicted == labels
        self._greedy = GreedySelection(members, labels) if "greedy" in methods else None
        self._answers: dict[tuple[str, frozenset[int]], NDArray[np.int64]] = {}
        pairs = [frozenset({first, second}) for first in range(FOLDS) for second in range(first)]
        left_out = [*pairs, *(frozenset({fold}) for fold in range(FOLDS))]
        for number, held_out in enumerate(left_out):
            progress(number, len(left_out), "nested folds")
            for method in self.methods:
                self._answers[method, held_out] = self._answer(method, held_out)
        progress(len(left_out), len(left_out), "nested folds")

    def fit(self, method: str, rows: NDArray[np.bool_] | None = None) -> Combination:
        """The combination fitted on the images `rows`, bool (n,); None: on all."""
        chosen = np.ones(len(self.labels), np.bool_) if rows is None else rows
        numbers = np.flatnonzero(chosen)
        if method in self.soups:
            return Combination(method=method, weights=self.soups[method](chosen)[0])
        if method == "per-class":
            return fit_per_class(self.members, self.labels[numbers], self.predicted[:, numbers])
        if method == "stacking":
            return fit_stacking(self.members, self.labels, numbers)
        if method == "greedy":
            assert self._greedy is not None
            order = np.argsort(-self.right[:, numbers].sum(1), kind="stable")
            counts, _ = self._greedy.select(chosen, order)
            return Combination(method=method, weights=tuple((counts / counts.sum()).tolist()))
        return Combination(method=method, weights=(1 / len(self.members),) * len(self.members))

    def out_of_fold(self, method: str) -> NDArray[np.bool_]:
        """bool (n,): whether the method is right on each image, fitted on the other folds."""
        right = np.empty(len(self.labels), np.bool_)
        for fold in range(FOLDS):
            own = self.folds == fold
            right[own] = self._answers[method, frozenset({fold})][own] == self.labels[own]
        return right

    def out_of_fold_probabilities(self, method: str) -> NDArray[np.float32]:
        """float32 (n, C), each image by the fit on the other folds."""
        probabilities = np.empty(self.members[0].shape, np.float32)
        for fold in range(FOLDS):
            own = self.folds == fold
            probabilities[own] = self._probabilities(method, frozenset({fold}), np.flatnonzero(own))
        return probabilities

    def best_run(self) -> NDArray[np.bool_]:
        """bool (n,): whether the run that is best on the other folds is right on each image."""
        right = np.empty(len(self.labels), np.bool_)
        for fold in range(FOLDS):
            own = self.folds == fold
            right[own] = self.right[self.right[:, ~own].sum(1).argmax()][own]
        return right

    def best_method(self) -> NDArray[np.bool_]:
        """bool (n,): whether the method that is best on the other folds is right on each image."""
        right = np.empty(len(self.labels), np.bool_)
        for fold in range(FOLDS):
            own = self.folds == fold
            inner = [
                sum(
                    int((self._answers[method, frozenset({fold, other})] == self.labels)[self.folds == other].sum())
                    for other in range(FOLDS)
                    if other != fold
                )
                for method in self.methods
            ]
            method = self.methods[int(np.argmax(inner))]
            right[own] = self._answers[method, frozenset({fold})][own] == self.labels[own]
        return right

    def _answer(self, method: str, held_out: frozenset[int]) -> NDArray[np.int64]:
        """int64 (n,): classes of the images of `held_out`, fitted on all others; -1 elsewhere."""
        key = (method, frozenset[int]())
        if method not in FITTED and method not in self.soups:
            if key not in self._answers:  # it has nothing to fit
                numbers = np.arange(len(self.labels))
                self._answers[key] = np.asarray(self._probabilities(method, key[1], numbers).argmax(1), np.int64)
            return self._answers[key]
        numbers = np.flatnonzero(np.isin(self.folds, list(held_out)))
        answers = np.full(len(self.labels), -1)
        answers[numbers] = self._probabilities(method, held_out, numbers).argmax(1)
        return answers

    def _probabilities(self, method: str, held_out: frozenset[int], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        rows = ~np.isin(self.folds, list(held_out))
        if method in self.soups:
            return np.asarray(self.soups[method](rows)[1][numbers], np.float32)
        return combine(self.fit(method, rows), self.members, numbers)


def stratified_folds(labels: NDArray[np.int64], count: int, *, seed: int) -> NDArray[np.int64]:
    """int64 (n,): a fold for each image, random, with the images of each class spread evenly."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), np.int64)
    folds[order] = np.arange(len(labels)) % count
    return folds


def most_probable(probabilities: NDArray[np.float16]) -> NDArray[np.int64]:
    """int64 (n,): the first most probable class; float16 numbers that are not negative sort like their bits."""
    return np.asarray(np.ascontiguousarray(probabilities).view(np.uint16).argmax(1), np.int64)


def gain(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Gain:
    """How much more often `first` is right than `second`, bool (n,) each, with exact McNemar."""
    difference, (low, high) = paired_difference(first, second)
    return Gain(difference=difference, low=low, high=high, p=mcnemar_p(first, second))


def error_correlation(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64 (M, M): correlation of the errors of members, from bool (M, n); 0 for a member that is always right."""
    wrong = (~right).astype(np.float32)
    wrong -= wrong.mean(1, keepdims=True)
    spread = np.sqrt((wrong**2).sum(1))
    wrong = np.divide(wrong, spread[:, None], out=np.zeros_like(wrong), where=spread[:, None] > 0)
    correlation = np.asarray(wrong @ wrong.T, np.float64)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def can_stack(member_count: int, class_count: int) -> bool:
    """Whether logistic regression on all probabilities is small enough to be fitted many times."""
    return member_count * class_count * class_count <= MOST_COEFFICIENTS
