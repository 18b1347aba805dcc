"""Alarms of a training: what looks wrong, the likely cause, and what to do next.

`AlarmWatch` only looks on: it is told facts about the data, each step and each epoch, and changes nothing. Each kind of
alarm fires once a run. Losses are judged in blocks of steps, because those of single steps are noisy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eyeshot.core import listing, plural, wilson
from eyeshot.training.loop import StepRecord

Kind = Literal[
    "chance", "divergence", "learning-rate-high", "learning-rate-low", "dead-classes", "labels", "normalisation",
    "small-batches", "gap", "start",
]  # fmt: skip

FEWEST_PER_BATCH = 8
"""Images of a batch below which batch normalisation fails: on ImageNet a ResNet-50 has 23.6 % errors with batches of
32, 24.8 % with 8, 27.3 % with 4 and 34.7 % with 2 (Wu and He 2018, "Group Normalization", table 2)."""
WIDEST_MEAN, STD_RANGE = 3.0, (0.1, 4.0)
"""Bounds of a channel's mean and standard deviation after normalisation. Images in 0-1 have a mean m of 0.05 (digits on
black) to 0.95 (drawings on white) and a deviation s of 0.05 to 0.5; the usual constants are 0.4 to 0.5 and 0.2 to 0.5.
So |m - 0.48| / 0.225 stays below 2.3 and s / 0.225 within 0.2 and 2.3. Values of 0-255 give 60 and more, images that
were divided by 255 twice a deviation of 0.01."""
CAFFE_STD, CAFFE_MEAN = 1 / 128, 0.3
"""Some published weights want 0-255 less a mean of about 0.45, which is a std of 1/255. Only with a mean near 0 are
such constants a mistake."""
OTHER_STD, OTHER_MEAN = 1.25, 0.25
"""How far constants may be from those of the weights: ratio of the deviations, and difference of the means in
deviations. CLIP's differ from ImageNet's by 1.17, which costs nothing that could be measured; 0.5 against ImageNet's is
2.2 and cost pretrained networks 3 and 8 points on photographs."""
BLOCKS, BLOCK_STEPS = 20, (5, 50)
"""A run is cut into so many blocks, of at least and at most so many steps. With fewer than five, the spread of a
block's losses is not known; with more than 50, an alarm comes late."""
SIGNIFICANT = 4.0
"""Standard errors between two blocks' losses. There are tens of comparisons in a run and losses have long tails, so two
would fire by chance in every other run."""
LEAST_LOSS = 1e-6
"""Of a step, for its logarithm: float32 gives 0 for less."""
RISE = 0.5
"""Share of the way from the lowest loss back to that of guessing. Steps at a high learning rate or a harder batch undo
less; a run that diverges loses all of it."""
WORSE_THAN_GUESSING = 1.1
"""Loss after the warm-up relative to that of equal probabilities. A network that knows nothing is at 1; more means that
it is sure and wrong, since steps overshoot. Losses of the first steps may be there, so the warm-up does not count."""
LOST_START = 1.5
"""Loss of the first step of a fitted head, relative to that of guessing, from which the head is lost. A head that fits
has a small part of it, with mixed images up to about all; EfficientNet-lite0 on sketches of 64 px had 30 times."""
LEAST_MOVE, MOST_MOVE = 0.01, 0.1
"""Relative change of all weights: over the whole run at least (that of one step at the peak times the number of steps),
and in one step at most. Trainings from scratch of small networks that learned moved by 0.5 and more in all, and by at
most 0.05 a step; those that stayed at chance by less than 0.004 in all, or by 0.12 and more a step."""
BARELY = 0.02
"""Fall of the loss, as a share of that of guessing, below which it barely moved."""
JUDGED_FROM = 0.25
"""Share of the steps from which a run can be at chance or barely moving: warm-up and the plateau of an untrained
network are then over. The share is that of the planned steps, so the alarm leaves most of the time to be saved."""
FEWEST_JUDGED = 300
"""Images of a verdict of chance before the end of the run: with fewer, the interval reaches from chance to a network
that learns slowly."""
LEARNED_LOSS = 0.9
"""A loss below this share of that of guessing is no chance, whatever the accuracy: with 99 % of the images in one class
no network is more accurate than naming it always."""
FITS, NOTHING = 0.5, 0.25
"""Shares of the way from chance to all right. Labels that belong to other images can be memorised, but not generalise:
training is surely above FITS, and validation surely below NOTHING. A network that merely overfits is above chance on
validation; if it is not surely below, this alarm stays silent."""
GAP = 0.1
"""Least gap between training and validation, beyond its interval. Networks that serve well in practice are some points
better on their training images; ten points say that more of the same training will not help."""
LATE = 0.75
"""Share of the epochs from which a gap or a class that is never predicted counts: before, validation lags behind (its
batch norm averages are old) and easy classes are learned first. Digits of 32 px were at 92 % in training and 41 % on
validation after a quarter of the epochs, and at 92 % on validation in the end."""
RARELY = 0.05
"""Probability, over all classes, that a class which is as easy as the mean has no right answer by bad luck."""


class Alarm(BaseModel):
    """What looks wrong in a training.

    Attributes:
        kind: which rule fired.
        step: optimizer steps that were done.
        epoch: the epoch, counted from 1; 0 before the first step.
        seen: what was measured.
        cause: what it most likely comes from.
        next_step: what to do about it.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    step: int
    epoch: int
    seen: str
    cause: str
    next_step: str

    @property
    def words(self) -> str:
        """All of it on one line."""
        return " ".join(part for part in (self.seen, self.cause, self.next_step) if part)


class _Block(NamedTuple):
    """Loss of a block of steps, the relative standard error of it, and the block's first and last step.

    The loss is the geometric mean: losses of batches spread by factors, and a single batch that is far off is common in
    healthy runs, whereas in a run that blows up the losses of all steps are higher, and spread over decades.
    """

    loss: float
    error: float
    first: int
    last: int


class AlarmWatch:
    """Looks for what is wrong in a run.

    Attributes:
        alarms: those that fired, in order.
    """

    def __init__(
        self,
        train_counts: NDArray[np.int64],
        *,
        classes: Sequence[str],
        total_steps: int,
        warm_up_steps: int,
        epochs: int,
        learning_rate: float,
        evened: bool = False,
        started: bool = False,
    ) -> None:
        """Before the first step.

        Args:
            train_counts: int64 (C,), training images of each class.
            classes: their names.
            total_steps, warm_up_steps, epochs: as planned.
            learning_rate: the peak.
            evened: classes are sampled or weighted evenly, so guessing gives 1 / C.
            started: the head was fitted on pretrained features, so a low learning rate may be meant.
        """
        shares = train_counts[train_counts > 0] / train_counts.sum()
        if evened:
            shares = np.full(len(shares), 1 / len(shares))
        self._counts, self._classes = train_counts, tuple(classes)
        self._chance = float(shares.max())
        self._known = float(-(shares * np.log(shares)).sum())  # loss of naming the shares of the classes
        self._guess = math.log(len(train_counts))  # loss of equal probabilities, whatever the labels
        self._total, self._epochs, self._peak, self._started = total_steps, epochs, learning_rate, started
        self._settled = max(warm_up_steps, math.ceil(JUDGED_FROM * total_steps))
        # A blow-up in a warm-up that lasts most of the run is told as well.
        self._warm = min(warm_up_steps, math.ceil(JUDGED_FROM * total_steps))
        least, most = BLOCK_STEPS
        self._block_steps = min(max(total_steps // BLOCKS, least), most)
        self.alarms: list[Alarm] = []
        self._epoch = 0
        self._losses: list[float] = []
        self._first: _Block | None = None
        self._lowest: _Block | None = None
        self._high = self._risen = 0
        self._judged: tuple[int, int, float] = (
            0,
            0,
            0.0,
        )  # right, seen and sum of losses since the verdict of chance is possible
        self._strikes: dict[str, int] = {}
        self._moved: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """What later alarms depend on: numbers, strings, lists and dicts."""
        return {
            "alarms": [alarm.model_dump() for alarm in self.alarms],
            "epoch": self._epoch,
            "losses": list(self._losses),
            "first": None if self._first is None else list(self._first),
            "lowest": None if self._lowest is None else list(self._lowest),
            "high": self._high,
            "risen": self._risen,
            "judged": list(self._judged),
            "strikes": dict(self._strikes),
            "moved": self._moved,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the `state_dict` of a watch of the same run."""
        self.alarms = [Alarm.model_validate(alarm) for alarm in state["alarms"]]
        self._epoch, self._losses = state["epoch"], list(state["losses"])
        self._first = None if state["first"] is None else _Block(*state["first"])
        self._lowest = None if state["lowest"] is None else _Block(*state["lowest"])
        self._high, self._risen = state["high"], state["risen"]
        self._judged, self._strikes = tuple(state["judged"]), dict(state["strikes"])
        self._moved = state["moved"]

    def check_batches(self, size: int, *, batch_norm: bool, step: int = 0) -> None:
        """How many images go through the network at once after `step` steps, and whether it normalises over them."""
        if batch_norm and size < FEWEST_PER_BATCH:
            self._raise(
                "small-batches", step,
                f"The network normalises over batches (BatchNorm) of only {size} {plural(size, 'image')}.",
                f"Means and deviations of fewer than {FEWEST_PER_BATCH} images are mostly noise.",
                "Take batches of 16 or more at a smaller --size, or a network with layer or group normalisation.",
            )  # fmt: skip

    def check_normalisation(
        self,
        means: NDArray[np.floating],
        stds: NDArray[np.floating],
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        own: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    ) -> None:
        """Channels of normalised training images, and the constants that normalised them.

        Args:
            means, stds: float (3,), of a batch after normalisation.
            mean, std: the constants, for images in 0-1.
            own: mean and std that the weights were trained with; None where that is not known.
        """
        caffe = max(std) < CAFFE_STD and min(mean) > CAFFE_MEAN
        outside = np.abs(means).max() > WIDEST_MEAN or stds.min() < STD_RANGE[0] or stds.max() > STD_RANGE[1]
        measured = (
            f"After normalisation the channels have means of {_numbers(means)} and standard deviations of "
            f"{_numbers(stds)}"
        )
        if outside and not caffe:
            usual = min(mean) > 0.3 and max(mean) < 0.6 and min(std) > 0.15 and max(std) < 0.6
            self._raise(
                "normalisation", 0,
                f"{measured}; a network expects about 0 and 1.",
                "The images are unusual, for instance since their files hold values of 0 to 1 instead of 0 to 255."
                if usual
                else f"The constants do not belong to these images (mean {_numbers(mean)}, std {_numbers(std)}).",
                "Look at the images with `eyeshot preview`, and leave out --mean and --std to take the model's own.",
            )  # fmt: skip
        elif own is not None:
            ratios = np.array(std) / np.array(own[1])
            shift = np.abs(np.array(mean) - np.array(own[0])) / np.array(own[1])
            if max(ratios.max(), 1 / ratios.min()) > OTHER_STD or shift.max() > OTHER_MEAN:
                self._raise(
                    "normalisation", 0,
                    f"Images are normalised with mean {_numbers(mean)} and std {_numbers(std)}, but the weights were "
                    f"trained with {_numbers(own[0])} and {_numbers(own[1])}.",
                    "These are the constants of another model.",
                    "Leave out --mean and --std to take the model's own.",
                )  # fmt: skip

    def step(self, record: StepRecord) -> None:
        """One step was done."""
        self._epoch = record.epoch + 1
        if record.step > self._settled:
            right, seen, losses = self._judged
            self._judged = right + record.right, seen + record.seen, losses + record.loss * record.seen
        if record.step == 1 and self._started:
            self._check_start(record)
        self._losses.append(record.loss)
        if len(self._losses) == self._block_steps:
            logs = np.log(np.maximum(self._losses, LEAST_LOSS))
            self._losses = []
            error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
            self._block(_Block(math.exp(logs.mean()), error, record.step - len(logs) + 1, record.step))

    @property
    def knows_move(self) -> bool:
        """Whether it was told how far a step moves the weights."""
        return self._moved is not None

    def moved(self, share: float) -> None:
        """Relative change of the trained weights in one step at the peak of the learning rate."""
        self._moved = share

    def epoch(
        self,
        epoch: int,
        step: int,
        *,
        loss: float,
        right: int,
        seen: int,
        predicted: NDArray[np.int64] | None = None,
        labels: NDArray[np.int64] | None = None,
        clean: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        """An epoch is done.

        Args:
            epoch: counted from 1.
            step: steps done.
            loss, right, seen: of the training images as they were seen.
            predicted, labels: int64 (n,), of clean validation images; None where there are none.
            clean: how many of how many training images are right if they are judged as validation images are; asked
                only where validation is at chance although training is not. None: the counts of training serve.
        """
        self._epoch = epoch
        last = step >= self._total
        judged = predicted is not None and labels is not None and len(labels) > 0
        # Few steps after a fitted head, or strong augmentation: training is at chance, and validation is not.
        if not (judged and self._above_chance(predicted, labels)):
            self._check_chance(step, loss, right, seen, last=last)
        if predicted is None or labels is None or not judged:
            return
        late = epoch >= LATE * self._epochs
        self._check_validation(step, (right, seen), clean or (lambda: (right, seen)), predicted, labels, late=late)
        if late and loss < LEARNED_LOSS * self._known:
            self._check_classes(step, predicted, labels, sure=last)

    def _block(self, block: _Block) -> None:
        """Judge a block of steps by its loss."""
        first = self._first = self._first or block
        lowest = self._lowest or block
        worse = block.first > self._warm and block.loss * math.exp(-2 * block.error) > WORSE_THAN_GUESSING * self._guess
        self._high = self._high + 1 if worse else 0
        rise = block.loss - lowest.loss
        risen = rise > RISE * (self._guess - lowest.loss) and math.log(
            block.loss / lowest.loss
        ) > SIGNIFICANT * math.hypot(block.error, lowest.error)
        learned = lowest.loss < LEARNED_LOSS * self._guess
        self._risen = self._risen + 1 if risen and learned else 0
        smaller = f"Give a learning rate of {self._peak / 10:g} or a longer warm-up."
        # One of the three a run: all say that the loss is too high, and the first says where it began. Twice in a row,
        # since a single block may hold one unlucky batch.
        told = {alarm.kind for alarm in self.alarms} & {"start", "divergence", "learning-rate-high"}
        if self._risen == 2 and not told:
            self._raise(
                "divergence", block.last,
                f"The loss rose from {lowest.loss:.2f} (steps {lowest.first}-{lowest.last}) to {block.loss:.2f} (steps "
                f"{block.first}-{block.last}); guessing gives {self._guess:.2f}.",
                f"The training diverges, most likely since the learning rate ({self._peak:g}) is too high.", smaller,
            )  # fmt: skip
        elif self._high == 2 and not learned and not told:
            self._raise(
                "learning-rate-high", block.last,
                f"After the warm-up the loss is {block.loss:.2f} (steps {block.first}-{block.last}), higher than "
                f"that of guessing ({self._guess:.2f}).",
                f"The learning rate ({self._peak:g}) is too high: steps overshoot.", smaller,
            )  # fmt: skip
        if self._lowest is None or block.loss < lowest.loss:
            self._lowest = block
        self._check_low(first, block)

    def _check_start(self, record: StepRecord) -> None:
        """Judge the first step of a fitted head: its loss is that before any weight has changed."""
        if record.loss > LOST_START * self._guess and wilson(record.right, record.seen)[0] <= self._chance:
            self._raise(
                "start", record.step,
                f"The loss of the first step is {record.loss:.2f}, where guessing gives {self._guess:.2f}, although "
                "the head was fitted before it.",
                "In training the network computes other features than those that its head was fitted on, as BatchNorm "
                "does on images that are much smaller or of another kind than those of its weights.",
                "Take images of the model's own --size and larger batches, or train the head alone first.",
            )  # fmt: skip

    def _check_low(self, first: _Block, block: _Block) -> None:
        if block.first <= self._settled or self._moved is None or self._started:
            return
        path = self._moved * self._total
        fall = first.loss - block.loss
        noise = 2 * math.hypot(first.error * first.loss, block.error * block.loss)
        if path < LEAST_MOVE and fall < max(noise, BARELY * self._guess):
            self._raise(
                "learning-rate-low", block.last,
                f"The loss barely moved: {first.loss:.3f} in steps {first.first}-{first.last}, {block.loss:.3f} in "
                f"steps {block.first}-{block.last}, and all {self._total} steps change the weights by at most "
                f"{path:.2%}.",
                f"The learning rate ({self._peak:g}) is far too low.",
                f"Give about {self._peak / path:.1g}, or leave out --learning-rate.",
            )  # fmt: skip

    def _above_chance(self, predicted: Any, labels: Any) -> bool:
        """Whether validation is surely more accurate than naming the largest class."""
        n = len(labels)
        return wilson(int((predicted == labels).sum()), n)[0] > max(self._chance, float(np.bincount(labels).max()) / n)

    def _check_chance(self, step: int, loss: float, right: int, seen: int, *, last: bool) -> None:
        if not last:  # the verdict of a finished run is that of its last epoch
            right, seen, losses = self._judged
            if seen < FEWEST_JUDGED:
                return
            self._judged = (0, 0, 0.0)
            loss = losses / seen
        learned = loss < LEARNED_LOSS * self._known or self._chance == 1.0
        if not learned and wilson(right, seen)[0] <= self._chance:
            since = "in the last epoch" if last else f"since step {self._settled + 1}"
            self._raise(
                "chance", step,
                f"Training accuracy stayed at chance: {right / seen:.1%} {since}; always naming the largest class "
                f"gives {self._chance:.1%}.",
                self._why_chance(),
                "Check labels, augmentations and the learning rate "
                f"({self._peak:g}); --overfit-one-batch tells them apart.",
            )  # fmt: skip

    def _why_chance(self) -> str:
        fired = {alarm.kind for alarm in self.alarms}
        if "learning-rate-low" in fired:
            return "The learning rate is far too low."
        if fired & {"learning-rate-high", "divergence"}:
            return "The learning rate is too high."
        if self._moved is not None and self._moved > MOST_MOVE:
            return f"The learning rate is too high: one step changes the weights by {self._moved:.0%}."
        return "Either the images do not show what the labels say, or the learning rate is far off."

    def _check_validation(
        self,
        step: int,
        counts: tuple[int, int],
        clean: Callable[[], tuple[int, int]],
        predicted: NDArray[np.int64],
        labels: NDArray[np.int64],
        *,
        late: bool,
    ) -> None:
        """Labels that belong to other images, or else a gap between training and validation."""
        right, seen = counts
        n, hits = len(labels), int((predicted == labels).sum())
        train, val = right / seen, hits / n
        low, high = wilson(right, seen)[0], wilson(hits, n)[1]
        chance = max(self._chance, float(np.bincount(labels).max()) / n)
        rest = 1 - chance
        unrelated = low > chance + FITS * rest and high < chance + NOTHING * rest
        # In the first epochs of a healthy run the running averages of BatchNorm lag behind the weights, so training
        # images are at chance as well as soon as they are judged as validation images are.
        own = clean() if unrelated else counts
        fits = wilson(*own)[0] > chance + FITS * rest
        # Twice in a row, as everywhere: the worst of many epochs is not typical.
        if self._again("averages", unrelated and late and not fits):
            self._raise(
                "gap", step,
                f"Training images are fitted in training ({train:.1%} right), but judged as validation images are, "
                f"{own[0] / own[1]:.1%} of {own[1]} training images and {val:.1%} of {n} validation images are right.",
                "The averages that the network uses outside of training (BatchNorm, or averaged weights) are not those "
                "of its batches: too few steps, batches that are too small, or images of several kinds.",
                "Train longer or with larger batches; for a pretrained network, give "
                "--set training.norm_statistics=frozen.",
            )  # fmt: skip
        if self._again("labels", unrelated and fits):
            self._raise(
                "labels", step,
                f"Training images are fitted ({train:.1%} right), but validation is at chance ({val:.1%} of {n}, where "
                f"always naming the largest class gives {chance:.1%}).",
                "The labels do not belong to the images, as with a label file in another order than the images; mere "
                "overfitting stays above chance.",
                "Look at some images with their labels (`eyeshot audit`), of training and of validation.",
            )  # fmt: skip
        gap = train - val
        # Newcombe 1998, Statistics in Medicine 17, p. 873, method 10: the interval of a difference from Wilson's.
        least = gap - math.hypot(train - low, high - val)
        # Where validation is not surely above chance, labels are the more likely cause.
        above = wilson(hits, n)[0] > chance
        if self._again("gap", late and above and least > GAP):
            self._raise(
                "gap", step,
                f"Training accuracy is {train:.1%}, validation {val:.1%} of {n}: the gap of {100 * gap:.0f} points is "
                f"at least {100 * least:.0f} (95 % interval).",
                "The network overfits, or the validation images are of another kind.",
                "Try stronger augmentations (`eyeshot rank augmentations`), fewer epochs or more images.",
            )  # fmt: skip

    def _check_classes(self, step: int, predicted: NDArray[np.int64], labels: NDArray[np.int64], *, sure: bool) -> None:
        accuracy = float((predicted == labels).mean())
        count = len(self._counts)
        named = np.bincount(predicted, minlength=count)
        there = np.bincount(labels, minlength=count)
        # A class of n images without a right answer is bad luck with a probability of (1 - accuracy)^n.
        luck = (1 - accuracy) ** there
        dead = (named == 0) & (self._counts > 0) & (there > 0) & (luck < RARELY / count)
        if dead.any() and (self._again("dead-classes", True) or sure):
            numbers = np.flatnonzero(dead)
            few = int(self._counts[numbers].min())
            self._raise(
                "dead-classes", step,
                f"{len(numbers)} of {count} classes {plural(len(numbers), 'is', 'are')} never predicted on validation, "
                f"for instance {self._classes[numbers[0]]!r} with {there[numbers[0]]} validation and "
                f"{self._counts[numbers[0]]} training images.",
                f"{plural(len(numbers), 'It has', 'They have')} too few training images (from {few}), or their labels "
                "are those of other classes.",
                "Look at these classes (`eyeshot audit`), or even the classes out (class weights, balanced sampling).",
            )  # fmt: skip
        elif not dead.any():
            self._strikes.pop("dead-classes", None)

    def _again(self, kind: str, holds: bool) -> bool:
        """Whether a rule holds for the second time in a row."""
        if not holds:
            self._strikes.pop(kind, None)
            return False
        self._strikes[kind] = self._strikes.get(kind, 0) + 1
        return self._strikes[kind] >= 2

    def _raise(self, kind: Kind, step: int, seen: str, cause: str, next_step: str) -> None:
        if all(alarm.kind != kind for alarm in self.alarms):
            epoch = self._epoch if step else 0
            self.alarms.append(Alarm(kind=kind, step=step, epoch=epoch, seen=seen, cause=cause, next_step=next_step))


def _numbers(values: Any) -> str:
    return listing([f"{value:.3g}" for value in values])
