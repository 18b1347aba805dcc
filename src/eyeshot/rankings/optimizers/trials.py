"""Paired trainings of optimizers against AdamW: each at its best of a few learning rates, on the same images and seeds.

Learning rates are chosen on images held out of the training images (the inner validation), which then train too. The
validation images judge: each optimizer trains with the same seeds, so from the same weights and on the same batches.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Pool
from eyeshot.core import (
    SILENT,
    InputError,
    ModelError,
    Progress,
    StorageError,
    duration,
    make_folder,
    plural,
    replacing,
)
from eyeshot.predictions import Predictions, load_predictions, log_loss
from eyeshot.rankings.optimizers.options import BASELINE
from eyeshot.rankings.optimizers.report import RateTrial
from eyeshot.training import (
    EPOCH_VAL_IMAGES,
    HEAD_IMAGES,
    OPTIMIZERS,
    VALIDATION_FILE,
    TrainConfig,
    TrainingRun,
    TrainPlan,
    discard_damaged,
    train,
    usual_decay,
    usual_rate,
    warm_up_cosine,
)

FEWEST_SEEDS = 2
"""One seed says nothing of the spread between seeds."""
FEWEST_EPOCHS = 3
RATE_STEP = 3.0
"""Between neighbouring learning rates; half a decade is the usual grid."""
MOST_BEYOND = 2
"""Rates that are tried beyond the end of the grid at which the best one is."""
INNER_SHARE = 0.2
TIMED_STEPS = 3
DONE_FILE = "done.json"


class _Unsaid:
    """Progress of a trial without its alarms, which are in its log.

    Short trials at several rates overfit or diverge by design, and a dozen of the same sentence hides the answer.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, done: int, total: int, text: str = "") -> None:
        self._progress(done, total, text)

    def sub(self, text: str) -> _Unsaid:
        return _Unsaid(self._progress.sub(text))

    def say(self, text: str) -> None:
        pass


@dataclass(frozen=True, eq=False)
class TrialImages:
    """The images of all trials.

    Attributes:
        pool, labels, ids: N images, int64 (N,) class numbers, names.
        train_rows, val_rows: int64, positions in the pool.
        inner_rows, inner_val_rows: int64, the training rows in two parts, for the choice of the learning rate.
    """

    pool: Pool
    labels: NDArray[np.int64]
    ids: Sequence[str]
    train_rows: NDArray[np.int64]
    val_rows: NDArray[np.int64]
    inner_rows: NDArray[np.int64]
    inner_val_rows: NDArray[np.int64]


class TrialPlan(NamedTuple):
    """How long and how often each optimizer is trained; `words` say why."""

    epochs: int
    seeds: int
    rates: int
    step_s: dict[str, float]
    """Seconds of a step of each optimizer."""
    seconds: float
    words: str


class Trial(NamedTuple):
    """One training: its predictions, None where it diverged, and its seconds in all sittings."""

    predictions: Predictions | None
    seconds: float


@dataclass(eq=False)
class Trained:
    """An optimizer's trials."""

    optimizer: str
    rates: list[RateTrial] = field(default_factory=list)
    learning_rate: float | None = None
    """The best of `rates`; None where no rate kept the loss finite."""
    judged: list[Trial] = field(default_factory=list)
    """One a seed."""


def rate_grid(optimizer: str, base: float, count: int) -> list[float]:
    """Learning rates to try, the smallest first: around AdamW's rate times what the optimizer's record says.

    Args:
        optimizer: its name.
        base: AdamW's rate.
        count: how many.
    """
    middle = usual_rate(OPTIMIZERS[optimizer], base)
    return [float(f"{middle * RATE_STEP ** (place - (count - 1) / 2):.3g}") for place in range(count)]


def trial_settings(base: TrainConfig, optimizer: str, learning_rate: float, *, epochs: int, seed: int) -> TrainConfig:
    """The recipe of a trial: that of AdamW with another optimizer, learning rate, length and seed.

    The weight decay is that of the usual rate, so that it is the same for all rates that are tried.
    """
    record = OPTIMIZERS[optimizer]
    usual = base.learning_rate if record.rate_factor is None else usual_rate(record, base.learning_rate)
    return base.model_copy(
        update={
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "weight_decay": usual_decay(base.weight_decay, base.learning_rate, usual),
            "schedule": record.schedule if record.schedule != "cosine" else base.schedule,
            "momentum": base.momentum if record.takes_momentum else None,
            "epochs": epochs,
            "head_epochs": min(base.head_epochs, max(1, epochs - 1)) if base.head_epochs else 0,
            "seed": seed,
            "time_cap_s": None,
        }
    )


def assumed_steps(step_s: float, optimizers: Sequence[str]) -> dict[str, float]:
    """Seconds of a step of each optimizer, before they are measured: AdamW's, and twice as much with SAM."""
    return {name: step_s * (2.0 if OPTIMIZERS[name].base else 1.0) for name in (BASELINE, *optimizers)}


def measure_steps(
    plan: TrainPlan, pool: Pool, labels: NDArray[np.int64], optimizers: Sequence[str]
) -> dict[str, float]:
    """Seconds of a step of each optimizer, the mean of a few; some cost several times what AdamW's do.

    Args:
        plan: AdamW's recipe, network, augmentations, device.
        pool, labels: the training images alone, and their class numbers int64 (N,).
        optimizers: names.
    """
    seconds = {}
    gentle = warm_up_cosine(1e-6, TIMED_STEPS + 1, warm_up_share=0)
    for name in optimizers:
        config = trial_settings(plan.settings, name, 1e-6, epochs=1, seed=plan.settings.seed)
        run = TrainingRun(
            plan.backbone, pool, labels,
            class_count=len(plan.dataset.classes), config=config, augmentations=plan.augmentations, device=plan.device,
        )  # fmt: skip
        run.advance(1, schedule=gentle)
        begin = time.perf_counter()
        run.advance(TIMED_STEPS + 1, schedule=gentle)
        seconds[name] = (time.perf_counter() - begin) / TIMED_STEPS
    return seconds


def training_seconds(
    step_s: float, *, read_step_s: float, epochs: int, batch_size: int, n_train: int, n_val: int, pretrained: bool
) -> float:
    """Estimated time of a training.

    Args:
        step_s: of the optimizer.
        read_step_s: AdamW's; a forward pass is counted as a third of it.
        epochs, batch_size, n_train, n_val, pretrained: of the training.
    """
    steps = max(1, n_train // batch_size)
    read = read_step_s / (3 * min(batch_size, n_train))
    epoch_s = steps * step_s + min(n_val, n_train, EPOCH_VAL_IMAGES) * read
    return epochs * epoch_s + (n_val + (min(n_train, HEAD_IMAGES) if pretrained else 0)) * read


def plan_trials(
    plan: TrainPlan,
    optimizers: Sequence[str],
    *,
    counts: tuple[int, int, int, int],
    step_s: dict[str, float],
    before_s: float,
    budget_s: float,
    seeds: int,
    rates: int,
) -> TrialPlan:
    """As many epochs, up to the recipe's, as the budget has time for; with too few of them, fewer seeds.

    Args:
        plan: AdamW's recipe.
        optimizers: all that are trained, AdamW among them.
        counts: images that train, validate, and those of the inner training and validation.
        step_s: seconds of a step of each, see `measure_steps`.
        before_s: seconds that are spent before the trials.
        budget_s: for all of it.
        seeds, rates: wanted of each optimizer.

    Raises:
        InputError: the budget holds not even the fewest epochs.
    """
    recipe = plan.settings
    n_train, n_val, n_inner, n_inner_val = counts

    def seconds(epochs: int, seeds: int) -> float:
        total = before_s
        for name in optimizers:
            for times, train_count, val_count in ((rates, n_inner, n_inner_val), (seeds, n_train, n_val)):
                total += times * training_seconds(
                    step_s[name], read_step_s=step_s[BASELINE], epochs=epochs, batch_size=recipe.batch_size,
                    n_train=train_count, n_val=val_count, pretrained=plan.backbone.pretrained,
                )  # fmt: skip
        return total

    fewest = min(FEWEST_EPOCHS, recipe.epochs)
    for tried_seeds in dict.fromkeys((seeds, min(seeds, FEWEST_SEEDS))):
        fitting = [epochs for epochs in range(fewest, recipe.epochs + 1) if seconds(epochs, tried_seeds) <= budget_s]
        if fitting:
            epochs = fitting[-1]
            cost = seconds(epochs, tried_seeds)
            of_all = "all" if epochs == recipe.epochs else f"{epochs} of {recipe.epochs}"
            words = (
                f"{len(optimizers)} optimizers, each with {rates} learning {plural(rates, 'rate')} and {tried_seeds} "
                f"{plural(tried_seeds, 'seed')}, {of_all} epochs a training: about {duration(cost, 0)} of the "
                f"{duration(budget_s, 0)}"
            )
            if epochs < recipe.epochs:
                words += "; the order may be another in longer trainings"
            return TrialPlan(epochs, tried_seeds, rates, step_s, cost, words)
    least_seeds = min(seeds, FEWEST_SEEDS)
    least = seconds(fewest, least_seeds)
    raise InputError(
        f"--budget must hold {len(optimizers)} optimizers with {rates} learning rates and {least_seeds} seeds of "
        f"{fewest} epochs each, about {duration(least, 0)} at {duration(step_s[BASELINE], 3)} a step of AdamW; got "
        f"{duration(budget_s, 0)}. Give --budget {_minutes(least)}, a smaller --size, or name fewer with --optimizer; "
        "--budget 0 advises without trials."
    )


def _minutes(seconds: float) -> str:
    return f"{int(seconds * 1.1) // 60 + 1}m"


class Trials:
    """All trials of a ranking, kept in a folder so that none runs twice."""

    def __init__(
        self, plan: TrainPlan, images: TrialImages, chosen: TrialPlan, folder: Path, *, budget_s: float, command: str
    ) -> None:
        """Prepare; nothing is trained yet.

        Args:
            plan: AdamW's recipe, network, augmentations, device.
            images: of all trials.
            chosen: epochs, seeds and rates.
            folder: of this network, images and recipe.
            budget_s: seconds; no further round of seeds, and no rate beyond the grid, begins that would end later.
            command: what was typed, for the results.
        """
        self.plan, self.images, self.chosen, self.folder = plan, images, chosen, folder
        self.budget_s, self.command = budget_s, command
        self.spent = 0.0
        """Seconds of all trials so far, those of earlier sittings included."""
        self._estimated = 0.0

    def run(self, optimizers: Sequence[str], *, progress: Progress = SILENT) -> list[Trained]:
        """Choose each optimizer's learning rate, then train all of them seed by seed.

        Raises:
            ModelError: AdamW's loss stays finite at no rate, or the device fails.
            StorageError: the cache cannot be written.
        """
        total = len(optimizers) * (self.chosen.rates + self.chosen.seeds)
        done = 0

        def step(text: str) -> Progress:
            nonlocal done
            done += 1
            return progress.sub(f"{text} (training {min(done, total)} of {total})")

        everything = [self._choose_rate(optimizers, place, step) for place in range(len(optimizers))]
        kept = [each for each in everything if each.learning_rate is not None]
        if everything[0].learning_rate is None:
            raise ModelError(
                f"AdamW's loss does not stay finite at any learning rate from {everything[0].rates[0].learning_rate:g} "
                f"to {everything[0].rates[-1].learning_rate:g}. Give a smaller --learning-rate."
            )
        for number in range(self.chosen.seeds):
            round_s = sum(self._estimate(each.optimizer, inner=False) for each in kept)
            if number and self.spent + round_s * self._slower() > self.budget_s:
                break
            for each in kept:
                rate = each.learning_rate or 0.0
                each.judged.append(
                    self._train(each.optimizer, rate, number, inner=False, step=step(f"{each.optimizer} at {rate:g}"))
                )
        return everything

    def _choose_rate(self, optimizers: Sequence[str], place: int, step: Callable[[str], Progress]) -> Trained:
        """The rate with the best accuracy on the inner validation, then the lowest log loss.

        Where the best is at an end of the grid, the next ones beyond it are tried too if there is time.
        """
        name = optimizers[place]
        own = Trained(name)
        for rate in rate_grid(name, self.plan.settings.learning_rate, self.chosen.rates):
            own.rates.append(self._try_rate(name, rate, step))
        to_come = self._estimate(name, inner=True)
        to_come += sum(self._estimate(other, inner=True) * self.chosen.rates for other in optimizers[place + 1 :])
        to_come += sum(self._estimate(other, inner=False) * self.chosen.seeds for other in optimizers)
        for _ in range(MOST_BEYOND):
            beyond = _beyond(own.rates)
            if beyond is None or self.spent + self._slower() * to_come > self.budget_s:
                break
            own.rates.append(self._try_rate(name, beyond, step))
            own.rates.sort(key=lambda rate: rate.learning_rate)
        best = best_rate(own.rates)
        own.learning_rate = None if best is None else own.rates[best].learning_rate
        return own

    def _try_rate(self, name: str, rate: float, step: Callable[[str], Progress]) -> RateTrial:
        trial = self._train(name, rate, 0, inner=True, step=step(f"{name} at {rate:g}, inner validation"))
        found = trial.predictions
        if found is None or found.labels is None:
            return RateTrial(learning_rate=rate, accuracy=None, log_loss=None)
        return RateTrial(
            learning_rate=rate, accuracy=found.accuracy(), log_loss=log_loss(found.probabilities, found.labels)
        )

    def _train(self, name: str, rate: float, seed: int, *, inner: bool, step: Progress) -> Trial:
        """A trial, from the cache if it was done before."""
        images = self.images
        config = trial_settings(
            self.plan.settings, name, rate, epochs=self.chosen.epochs, seed=self.plan.settings.seed + seed
        )
        part = "inner" if inner else "all"
        folder = make_folder(self.folder / f"{name}-{rate:g}-{config.epochs}e-s{config.seed}-{part}")
        trial = _read(folder)
        if trial is None:
            discard_damaged(folder)
            begin = time.perf_counter()
            try:
                result = train(
                    self.plan.backbone, images.pool, images.labels,
                    images.inner_rows if inner else images.train_rows,
                    images.inner_val_rows if inner else images.val_rows,
                    classes=self.plan.dataset.classes, settings=config, folder=folder,
                    augmentations=self.plan.augmentations, ids=images.ids, device=self.plan.device,
                    progress=_Unsaid(step),
                    command=self.command,
                )  # fmt: skip
                _write(folder, seconds=result.seconds, diverged=False)
            except ModelError as error:
                if "diverged" not in str(error):
                    raise
                _write(folder, seconds=time.perf_counter() - begin, diverged=True)
            for weights in folder.glob("*.safetensors"):  # dozens of trials of a large network would fill the disk
                weights.unlink()
            trial = _read(folder)
            if trial is None:
                raise ModelError(f"The trial in {str(folder)!r} left no result. Delete the folder and repeat.")
        self.spent += trial.seconds
        self._estimated += self._estimate(name, inner=inner)
        return trial

    def _estimate(self, name: str, *, inner: bool) -> float:
        images = self.images
        rows, val = (images.inner_rows, images.inner_val_rows) if inner else (images.train_rows, images.val_rows)
        return training_seconds(
            self.chosen.step_s[name], read_step_s=self.chosen.step_s[BASELINE], epochs=self.chosen.epochs,
            batch_size=self.plan.settings.batch_size, n_train=len(rows), n_val=len(val),
            pretrained=self.plan.backbone.pretrained,
        )  # fmt: skip

    def _slower(self) -> float:
        """How much slower trials are than estimated; the same after a restart, since their times are kept."""
        return self.spent / self._estimated if self._estimated else 1.0


def best_rate(rates: Sequence[RateTrial]) -> int | None:
    """Position of the best rate: the highest accuracy, then the lowest log loss; None where all diverged."""
    finite = [place for place, rate in enumerate(rates) if rate.accuracy is not None]
    if not finite:
        return None
    return max(finite, key=lambda place: (rates[place].accuracy.value or 0.0, -(rates[place].log_loss or 0.0)))  # type: ignore[union-attr]


def _beyond(rates: Sequence[RateTrial]) -> float | None:
    """The next rate below or above the grid, where the best is at that end; None where it is inside."""
    best = best_rate(rates)
    if best is not None and len(rates) == 1:
        return None
    if best is None or best == 0:
        return float(f"{rates[0].learning_rate / RATE_STEP:.3g}")
    return float(f"{rates[-1].learning_rate * RATE_STEP:.3g}") if best == len(rates) - 1 else None


def right_of(trials: Sequence[Trial], count: int) -> NDArray[np.bool_]:
    """Which answers are right, bool (seeds, n); those of a diverged training are all wrong.

    Args:
        trials: one a seed.
        count: n.
    """
    return np.stack(
        [np.zeros(count, np.bool_) if each.predictions is None else each.predictions.right for each in trials]
    )


def _write(folder: Path, *, seconds: float, diverged: bool) -> None:
    with replacing(folder / DONE_FILE) as temporary:
        temporary.write_text(json.dumps({"seconds": seconds, "diverged": diverged}) + "\n", encoding="utf-8")


def _read(folder: Path) -> Trial | None:
    """A finished trial; None where it is not finished, or its files are damaged."""
    try:
        done = json.loads((folder / DONE_FILE).read_text(encoding="utf-8"))
        found = None if done["diverged"] else load_predictions(folder / VALIDATION_FILE)
        return Trial(found, float(done["seconds"]))
    except (OSError, ValueError, KeyError, TypeError, InputError, StorageError):
        return None
