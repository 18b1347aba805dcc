"""The learning rate schedules, as data; nothing heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from eyeshot.core import InputError
from eyeshot.training.recipe.optimizer_catalogue import fitting_names, nearest


@dataclass(frozen=True, kw_only=True)
class ScheduleRecord:
    """A schedule of the catalogue; each begins with a warm-up over `TrainConfig.warm_up_share` of the steps.

    Attributes:
        name: as `TrainConfig.schedule` takes it.
        shape: the curve.
        fixes, situation, cost, evidence, against: as for optimizers.
        warm_up_share: usual share of the steps until the peak.
        package: whose curve it is compared with in the tests, or "own".
    """

    name: str
    shape: str
    fixes: str
    situation: str
    cost: str
    evidence: str
    against: str
    warm_up_share: float = 0.1
    package: str = "timm"


_RECORDS = (
    ScheduleRecord(
        name="cosine",
        shape="a linear warm-up, then half a cosine down to zero at the last step",
        fixes="Noise of the last steps: the rate goes to zero smoothly, with no further setting.",
        situation="The number of epochs is known. The first choice.",
        cost="None.",
        evidence="Loshchilov and Hutter 2017 (arXiv 1608.03983); the schedule of timm's, DeiT's and MAE's recipes.",
        against="The end must be known: a run that is stopped early, or goes on, had the wrong rates.",
    ),
    ScheduleRecord(
        name="one-cycle",
        shape="half a cosine from 1/25 of the peak up to it, and another down to 1/250,000",
        fixes="Few epochs: a long rise allows a high peak.",
        situation="Short trainings of convolutional networks, with SGD above all.",
        cost="None.",
        evidence="Smith and Topin 2018 (arXiv 1708.07120): ResNet-56 on CIFAR-10, 92.4 % in 10,000 steps against "
        "91.2 % in 80,000.",
        against="The peak must be found, by a range test for instance; the end must be known.",
        warm_up_share=0.3,
        package="torch",
    ),
    ScheduleRecord(
        name="step",
        shape="a linear warm-up, then the peak, a tenth of it after 1/3 and a hundredth after 2/3 of the steps",
        fixes="Nothing that cosine does not; old recipes are repeated exactly.",
        situation="Comparing with published ResNets of 90 epochs.",
        cost="None.",
        evidence="torchvision's recipe of ResNet-50: 90 epochs, a tenth every 30 (github.com/pytorch/vision, "
        "references/classification).",
        against="Where to step is one more setting; cosine does without.",
        warm_up_share=0.05,
        package="torch",
    ),
    ScheduleRecord(
        name="wsd",
        shape="a linear warm-up, then the peak until the last fifth of the steps, then 1 - sqrt down to zero",
        fixes="An end that is not known beforehand: one long run is ended at any time by its short decay.",
        situation="Runs that may be prolonged, and learning curves over several lengths.",
        cost="None.",
        evidence="Hägele et al. 2024 (arXiv 2405.18392), language models: as good as cosine of the right length with a "
        "decay over 20 % of the steps, 1 - sqrt better than linear. Method: Hu et al. 2024 (arXiv 2404.06395).",
        against="Accuracy before the decay says little about the end; the evidence is from language models.",
    ),
    ScheduleRecord(
        name="plateau",
        shape="a linear warm-up, then the peak, and a tenth of the rate whenever the training loss is no better for "
        "more than 5 epochs",
        fixes="An end that is not known: the loss decides.",
        situation="Long trainings with nobody to choose the number of epochs.",
        cost="None.",
        evidence="He et al. 2016 (arXiv 1512.03385) divided the rate by 10 when the error stopped falling.",
        against="Noise decides when it steps; short runs never step.",
        package="torch",
    ),
    ScheduleRecord(
        name="constant",
        shape="a linear warm-up, then the peak until the end",
        fixes="The end need not be known.",
        situation="With schedule-free optimizers, or with averaged weights (ema_decay); for range tests.",
        cost="None.",
        evidence="Defazio et al. 2024 (arXiv 2405.15682): with averaged weights as good as a decay.",
        against="Without an average the last steps stay noisy, and accuracy is lost.",
        package="own",
    ),
)
SCHEDULES = {record.name: record for record in _RECORDS}


def list_schedules(*patterns: str) -> list[ScheduleRecord]:
    """The catalogue of schedules, cosine first; `patterns` as of `list_optimizers`.

    Raises:
        InputError: a pattern fits none; the message holds the nearest names.
    """
    return [SCHEDULES[name] for name in fitting_names("schedule", patterns, SCHEDULES)]


schedules = list_schedules
"""The name at the top: `eyeshot.schedules()`."""


def check_schedule(name: str) -> ScheduleRecord:
    """The record of a schedule.

    Raises:
        InputError: there is none of this name; the message holds the nearest names.
    """
    if name not in SCHEDULES:
        raise InputError(
            f"schedule must be one of the catalogue, got {name!r}. {nearest(name, SCHEDULES)} "
            "List all with: eyeshot list schedules"
        )
    return SCHEDULES[name]
