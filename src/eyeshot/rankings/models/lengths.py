"""How long each model is fine-tuned: coarse lengths that fit into the budget, chosen before any training starts.

The pace of a machine differs by a few per cent each time that it is measured. Lengths are far apart, so that the same
budget leads to the same numbers of steps, and they are stored, so that the same command does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from eyeshot.core import EyeshotError, InputError, StorageError, duration
from eyeshot.rankings.models.report import Record
from eyeshot.training import EPOCH_VAL_IMAGES, HEAD_IMAGES

EPOCHS = (20, 16, 12, 8, 6, 4, 3, 2, 1)
"""At most 20, as `eyeshot train` does with pretrained weights: longer is no short training any more."""
STEPS = tuple(sorted((base << power for base in (16, 24) for power in range(20)), reverse=True))
"""Lengths below an epoch: 16, 24, 32, 48, 64, …"""
TEST_STEPS = (48, 32, 24, 16)
TEST_SHARE = 5
"""A range test takes at most a fifth of all steps, and needs a few of them a decade."""
SLACK = 0.85
"""Share of the time that steps are planned for; the rest is for a machine that others use too."""
LEAST_S = 20.0
"""No model is begun with less time."""


class Pace(NamedTuple):
    """What a training of a model takes on this machine.

    Attributes:
        step_s: seconds of a training step.
        setup_s: seconds of loading, decoding and fitting the head that the training starts from.
        batch_size: images a step.
        images, judged: of the fold; test images that choose between models are among the judged.
    """

    step_s: float
    setup_s: float
    batch_size: int
    images: int
    judged: int


class Length(Record):
    """How long a model is fine-tuned.

    Attributes:
        epochs, rows: passes over so many training images.
        test_steps: of the range test before; 0: none.
        seconds: of all of it, as estimated.
        judging_s: of these, those of judging at the end.
    """

    epochs: int
    rows: int
    test_steps: int
    seconds: float
    judging_s: float


def choose_length(pace: Pace, time_s: float, *, at_most_s: float = 0.0) -> Length:
    """The longest training of a model that fits into its time with some slack.

    Args:
        pace: of the model.
        time_s: its seconds.
        at_most_s: seconds that the shortest training may take where `time_s` is not enough for it.

    Raises:
        InputError: not even the fewest steps fit.
    """
    lengths = _lengths(pace)
    for length in lengths:
        if length.seconds <= SLACK * time_s:
            return length
    least, time_s = lengths[-1], max(time_s, at_most_s)
    if least.seconds <= SLACK * time_s:
        return least
    steps = least.epochs * (least.rows // pace.batch_size)
    raise InputError(
        f"its training needs at least {steps} steps, about {duration(least.seconds / SLACK, 0)}; "
        f"{duration(max(0.0, time_s), 0)} are left. Give a larger --budget or a smaller --size."
    )


def share_out(
    names: Sequence[str], pace_of: Callable[[str], Pace], left_s: Callable[[], float]
) -> tuple[dict[str, Length], dict[str, str], list[str]]:
    """Lengths of the trainings of models, the most important first.

    Each gets an equal share of what is left, but never so little that nobody gets enough; the shortest training may
    take all that is left.

    Args:
        names: of the models, in order.
        pace_of: measures a model; takes a few steps, and may raise an `EyeshotError`.
        left_s: seconds from now to the end of all trainings; less by what measuring took.

    Returns:
        lengths by name; why a model is not trained, by name; names that the budget does not reach.
    """
    lengths: dict[str, Length] = {}
    failed: dict[str, str] = {}
    planned_s = 0.0
    for number, name in enumerate(names):
        if left_s() - planned_s < LEAST_S:
            return lengths, failed, list(names[number:])
        try:
            pace = pace_of(name)
            rest_s = left_s() - planned_s
            share_s = max(rest_s / (len(names) - number), min(rest_s, 3 * LEAST_S))
            lengths[name] = choose_length(pace, share_s, at_most_s=rest_s)
        except StorageError:
            raise
        except EyeshotError as error:
            failed[name] = str(error)
            continue
        planned_s += lengths[name].seconds / SLACK
    return lengths, failed, []


def ends_of(lengths: Mapping[str, Length], end: float) -> dict[str, float]:
    """When each training must have ended so that those after it have their time: of the clock of `end`, in order."""
    ends: dict[str, float] = {}
    for name in reversed(list(lengths)):
        ends[name] = end
        end -= lengths[name].seconds / SLACK
    return ends


def _lengths(pace: Pace) -> list[Length]:
    """All lengths that a training can have, the longest first."""
    epoch_steps = max(1, pace.images // pace.batch_size)
    whole = [(epochs, pace.images, epochs * epoch_steps) for epochs in EPOCHS if epochs * epoch_steps >= STEPS[-1]]
    parts = [(1, steps * pace.batch_size, steps) for steps in STEPS if steps < epoch_steps]
    return [_length(pace, *each) for each in whole + parts]


def _length(pace: Pace, epochs: int, rows: int, steps: int) -> Length:
    test_steps = next((count for count in TEST_STEPS if count * TEST_SHARE <= steps + count), 0)
    # A forward pass takes a third of a step's work an image: of the judged images after each epoch and at the end, and
    # of those that the head is fitted on.
    read_s = pace.step_s / pace.batch_size / 3
    judging_s = pace.judged * read_s
    others = min(pace.judged, EPOCH_VAL_IMAGES, rows) * epochs + min(HEAD_IMAGES, rows)
    seconds = pace.setup_s + pace.step_s * (test_steps + steps) + others * read_s + judging_s
    return Length(epochs=epochs, rows=rows, test_steps=test_steps, seconds=seconds, judging_s=judging_s)
