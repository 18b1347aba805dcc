"""The optimizers that a run can be trained with, as data: what each fixes, when to take it, and what speaks against it.

This file loads nothing heavy, so that a typing error is reported before torch is loaded.
"""

from __future__ import annotations

import difflib
import fnmatch
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from eyeshot.core import InputError


@dataclass(frozen=True, kw_only=True)
class OptimizerRecord:
    """An optimizer of the catalogue.

    Attributes:
        name: as `TrainConfig.optimizer` takes it.
        fixes: which trouble it cures.
        situation: when to take it.
        cost: memory beyond weights and gradients, and time a step, against AdamW's two averages of each weight.
        evidence: measured by whom, with the source.
        against: what speaks against it.
        rate_factor: its usual learning rate as a multiple of AdamW's; None: it takes `learning_rate` whatever AdamW's.
        rate_source: where that comes from.
        package: that it comes from; "own" is this package.
        maker: its name in that package.
        base: the optimizer that it wraps, or an empty text.
        learning_rate: see `rate_factor`.
        highest_rate: the customary rate from scratch, above which no factor leads.
        schedule: that it is used with.
        takes_momentum: whether `TrainConfig.momentum` means something.
    """

    name: str
    fixes: str
    situation: str
    cost: str
    evidence: str
    against: str
    rate_factor: float | None
    rate_source: str
    package: Literal["timm", "own", "schedulefree", "pytorch_optimizer"] = "timm"
    maker: str = ""
    base: str = ""
    learning_rate: float | None = None
    highest_rate: float = math.inf
    schedule: str = "cosine"
    takes_momentum: bool = False

    @property
    def extra(self) -> str:
        """The extra of eyeshot that installs its package; empty where none is needed."""
        return self.package.replace("_", "-") if self.package in ("schedulefree", "pytorch_optimizer") else ""


_CROWDED = "Schmidt et al. 2021 (arXiv 2007.01547)"
_FANTASTIC = "Wen et al. 2025 (arXiv 2509.02046)"
_SGD_RATE = "0.1 at batch 256 for ResNets (He et al. 2016, arXiv 1512.03385) against AdamW's customary 1e-3"
_SAM = (
    "Accuracy that is lost because training ends in a sharp minimum: each step looks at the worst point near by "
    "(rho = 0.05)."
)
_SAM_EVIDENCE = (
    "Chen, Hsieh and Gong 2022 (arXiv 2106.01548), ImageNet from scratch with simple augmentation: ViT-B/16 +5.3 "
    "points, Mixer-B/16 +11.0. Method: Foret et al. 2021 (arXiv 2010.01412)."
)
_SAM_COST = "Two forward and two backward passes a step: about twice the time. One copy of the weights more."
_SAM_AGAINST = "Twice the time buys twice the epochs of plain training. The gain shrinks with strong augmentation."
_CAUTIOUS = (
    "Liang et al. 2024 (arXiv 2411.16085): up to 1.47 times as fast in pretraining Llama and MAE. "
    "timm's author, small ViT on 100 classes for 200 epochs: LaProp 71.7 % to 73.9 % (huggingface.co/rwightman/"
    "timm-optim-caution)."
)
_CAUTIOUS_FIX = "Steps of the momentum against the present gradient: entries whose signs differ are left out."

_RECORDS = (
    OptimizerRecord(
        name="adamw",
        fixes="Weights whose gradients differ in size by orders of magnitude; weight decay that Adam weakens.",
        situation="The first choice, and the one to beat: any network, pretrained or not.",
        cost="Two averages of each weight.",
        evidence=f"{_CROWDED}: in over 50,000 runs of 15 optimizers none is better than Adam on all tasks, and trying "
        "several at their defaults does about as well as tuning one. Method: Loshchilov and Hutter 2019 "
        "(arXiv 1711.05101).",
        against="Convolutional networks from scratch often end as well or better with tuned SGD.",
        rate_factor=1.0,
        rate_source="the reference",
    ),
    OptimizerRecord(
        name="sgd",
        fixes="Adaptive steps that fit the training images and generalise worse, on some convolutional networks.",
        situation="ResNets and other convolutional networks with BatchNorm, from scratch, with long schedules; little "
        "memory. Here with Nesterov momentum 0.9.",
        cost="One average of each weight: half of AdamW's memory.",
        evidence="Wilson et al. 2017 (arXiv 1705.08292): adaptive methods generalised worse on four tasks.",
        against="Needs its learning rate tuned. Choi et al. 2019 (arXiv 1910.05446): adaptive methods are no worse "
        "when all of their settings are tuned. Kumar et al. 2022 (arXiv 2211.09359): AdamW fine-tunes ViT and ConvNeXt "
        "better under shift.",
        rate_factor=100.0,
        rate_source=_SGD_RATE,
        highest_rate=0.1,
        takes_momentum=True,
    ),
    OptimizerRecord(
        name="nadamw",
        fixes="Momentum that answers a step late: it looks ahead as Nesterov's does.",
        situation="Where AdamW works and a tuned training is wanted.",
        cost="As AdamW.",
        evidence="Dahl et al. 2023 (arXiv 2306.07179): a tuned NAdamW set most targets of AlgoPerf's eight workloads, "
        "ImageNet's ResNet-50 and ViT among them. Method: Dozat 2016.",
        against=f"{_CROWDED}: NAdam is not better than Adam on all tasks.",
        rate_factor=1.0,
        rate_source="Adam's with another momentum; Dozat 2016",
    ),
    OptimizerRecord(
        name="radamw",
        fixes="First steps on an unsure average: the variance of Adam's step is corrected until enough batches are "
        "seen.",
        situation="Random batches differ much in the first steps (odd images, small batches, many classes), and there "
        "is no warm-up or only a short one.",
        cost="As AdamW.",
        evidence="Liu et al. 2020 (arXiv 1908.03265): trains without warm-up where Adam fails.",
        against="Ma and Yarats 2021 (arXiv 1910.04209): an untuned linear warm-up does as well, so it is a "
        "convenience.",
        rate_factor=1.0,
        rate_source="Liu et al. 2020 keep Adam's",
    ),
    OptimizerRecord(
        name="lamb",
        fixes="Very large batches: each layer's step is scaled to the size of its weights.",
        situation="Batches of thousands of images.",
        cost="Two averages of each weight, and a norm of each layer.",
        evidence="You et al. 2020 (arXiv 1904.00962): BERT with batches of 32,000. Wightman et al. 2021 "
        "(arXiv 2110.00476): ResNet-50 with batches of 2,048, 80.4 % in 600 epochs.",
        against="Nado et al. 2021 (arXiv 2102.06356): tuned Nesterov and Adam do as well at the same batch sizes.",
        rate_factor=2.5,
        rate_source="5e-3 at batch 2,048 (Wightman et al. 2021) against DeiT's AdamW, 2e-3 at that batch",
    ),
    OptimizerRecord(
        name="lion",
        fixes="Memory of the second average; it steps by the sign of the momentum.",
        situation="Large transformers with batches of hundreds of images.",
        cost="One average of each weight: half of AdamW's memory.",
        evidence="Chen et al. 2023 (arXiv 2302.06675): ViT up to +2 points on ImageNet, up to 5 times less compute for "
        "pretraining on JFT.",
        against="The authors found no gain with batches below 64. All steps have one size, so the rate is delicate.",
        rate_factor=0.2,
        rate_source="3 to 10 times smaller than AdamW's, and as much more weight decay (Chen et al. 2023)",
    ),
    OptimizerRecord(
        name="adafactorbv",
        fixes="Memory: the second average is kept as a row and a column.",
        situation="The network hardly fits the device.",
        cost="The first average in half precision; the second next to nothing.",
        evidence="Zhai et al. 2022 (arXiv 2106.04560): ViTs train as well as with Adam. Method: Shazeer and Stern 2018 "
        "(arXiv 1804.04235).",
        against="No gain but memory.",
        rate_factor=1.0,
        rate_source="Zhai et al. 2022 keep Adam's",
        maker="adafactorbv",
        takes_momentum=True,
    ),
    OptimizerRecord(
        name="adanw",
        fixes="Slow convergence: the difference of successive gradients enters the step.",
        situation="Long trainings of transformers where epochs are the cost.",
        cost="Three averages and the last gradient of each weight: twice AdamW's memory.",
        evidence="Xie et al. 2022 (arXiv 2208.06677): as good as the best optimizers with half of the epochs on ViT, "
        "MAE and others.",
        against="Twice the memory; the evidence is mostly its authors'.",
        rate_factor=5.0,
        rate_source="5 to 10 times AdamW's (github.com/sail-sg/Adan)",
    ),
    OptimizerRecord(
        name="muon",
        fixes="Updates that a few directions rule: the momentum of each matrix is made orthogonal.",
        situation="Fast training from scratch; hidden matrices and convolutions use it, the head, the first layer, "
        "biases and norms use AdamW.",
        cost="One average of each matrix; a few products of matrices a step.",
        evidence="Jordan et al. 2024 (kellerjordan.github.io/posts/muon; github.com/KellerJordan/cifar10-airbench): "
        "94 % on CIFAR-10 in 2.6 s on an A100, 3.3 s before.",
        against=f"{_FANTASTIC}, language models: 1.4 times as fast as tuned AdamW at 0.1 billion weights, 1.1 times at "
        "1.2 billion. Liu et al. 2025 (arXiv 2502.16982): hardly a gain for fine-tuning weights that AdamW pretrained.",
        rate_factor=1.0,
        rate_source="steps are scaled to the size of AdamW's (Liu et al. 2025)",
        takes_momentum=True,
    ),
    OptimizerRecord(
        name="cadamw",
        fixes=_CAUTIOUS_FIX,
        situation="Where AdamW works, as a free try.",
        cost="As AdamW.",
        evidence=_CAUTIOUS,
        against="A young method; most of the evidence is its authors'.",
        rate_factor=1.0,
        rate_source="Liang et al. 2024 keep AdamW's",
    ),
    OptimizerRecord(
        name="clion",
        fixes=_CAUTIOUS_FIX,
        situation="Where Lion works.",
        cost="As Lion.",
        evidence=_CAUTIOUS,
        against="As for Lion.",
        rate_factor=0.2,
        rate_source="Lion's",
    ),
    OptimizerRecord(
        name="claprop",
        fixes=_CAUTIOUS_FIX + " The gradient is scaled before it enters the momentum, not after.",
        situation="Small ViTs from scratch.",
        cost="As AdamW.",
        evidence=_CAUTIOUS + " LaProp: Ziyin et al. 2020 (arXiv 2002.04839).",
        against="One setup only, one author.",
        rate_factor=1.0,
        rate_source="Ziyin et al. 2020 keep Adam's",
    ),
    OptimizerRecord(
        name="sam-adamw",
        fixes=_SAM,
        situation="ViTs and MLPs from scratch on few images with weak augmentation.",
        cost=_SAM_COST,
        evidence=_SAM_EVIDENCE,
        against=_SAM_AGAINST,
        rate_factor=1.0,
        rate_source="AdamW's, which it wraps",
        package="own",
        base="adamw",
    ),
    OptimizerRecord(
        name="sam-sgd",
        fixes=_SAM,
        situation="Convolutional networks from scratch, where SGD works.",
        cost=_SAM_COST,
        evidence="Foret et al. 2021 (arXiv 2010.01412): better than SGD on CIFAR, ImageNet and fine-tuning.",
        against=_SAM_AGAINST,
        rate_factor=100.0,
        rate_source="that of sgd, which it wraps",
        highest_rate=0.1,
        package="own",
        base="sgd",
        takes_momentum=True,
    ),
    OptimizerRecord(
        name="schedulefree-adamw",
        fixes="A schedule that must know when training ends: an average of the weights replaces its decay.",
        situation="How long to train is unknown, or training is to be stopped when it is good.",
        cost="As AdamW. With BatchNorm a pass over some training images before each validation.",
        evidence="Won the self-tuning track of AlgoPerf 2024 (Kasimbeg et al. 2025, arXiv 2502.15015). Method: Defazio "
        "et al. 2024 (arXiv 2405.15682).",
        against="The learning rate needs tuning; BatchNorm's averages must be estimated anew.",
        rate_factor=3.0,
        rate_source="1 to 10 times AdamW's (github.com/facebookresearch/schedule_free)",
        package="schedulefree",
        maker="AdamWScheduleFree",
        schedule="constant",
    ),
    OptimizerRecord(
        name="schedulefree-radam",
        fixes="A schedule that must know when training ends, and the warm-up.",
        situation="As schedulefree-adamw, with no warm-up.",
        cost="As schedulefree-adamw.",
        evidence="The evidence of schedulefree-adamw and of radamw.",
        against="As for schedulefree-adamw.",
        rate_factor=3.0,
        rate_source="that of schedulefree-adamw",
        package="schedulefree",
        maker="RAdamScheduleFree",
        schedule="constant",
    ),
    OptimizerRecord(
        name="soap",
        fixes="Gradients that are correlated across rows and columns: Adam in the eigenbasis of Shampoo.",
        situation="Large batches, training from scratch, time a step is dominated by the network.",
        cost="Two averages of each weight and square matrices of both sides of each layer; an eigenbasis every few "
        "steps.",
        evidence="Vyas et al. 2024 (arXiv 2409.11321), language models at large batches: 40 % fewer steps and 35 % "
        "less time than AdamW.",
        against=f"{_FANTASTIC}: 1.4 times as fast as tuned AdamW for small language models, 1.1 times for larger ones. "
        "Memory and time for wide layers.",
        rate_factor=1.0,
        rate_source="Adam's in another basis; Vyas et al. 2024 search the same rates for both",
        package="pytorch_optimizer",
        maker="SOAP",
    ),
    OptimizerRecord(
        name="prodigy",
        fixes="An unknown learning rate: it estimates the distance to the solution and scales itself.",
        situation="No budget for a search over learning rates.",
        cost="Four values for each weight: twice AdamW's memory.",
        evidence="Mishchenko and Defazio 2023 (arXiv 2306.06101): close to hand-tuned Adam on most of their tasks.",
        against="Its estimate can be wrong early on: Schedule-Free Prodigy scored 0 in AlgoPerf's first competition.",
        rate_factor=None,
        rate_source="a multiple of its own estimate, 1 (Mishchenko and Defazio 2023)",
        learning_rate=1.0,
        package="pytorch_optimizer",
        maker="Prodigy",
    ),
)
OPTIMIZERS = {record.name: record for record in _RECORDS}
"""All optimizers by name; of optional packages only what stands here, since some of theirs forbid commercial use."""
OTHER_NAMES = {"radam": "radamw"}
"""RAdam's own code takes weight decay off the weights (Liu et al. 2020, github.com/LiyuanLucasLiu/RAdam). timm calls
that radamw; its radam adds the decay to the gradients."""


def list_optimizers(*patterns: str) -> list[OptimizerRecord]:
    """The catalogue of optimizers, AdamW first.

    Args:
        patterns: names or wildcards such as "*adam*"; none: all.

    Raises:
        InputError: a pattern fits none; the message holds the nearest names.
    """
    own = [OTHER_NAMES.get(pattern.lower(), pattern) for pattern in patterns]
    return [OPTIMIZERS[name] for name in fitting_names("optimizer", own, OPTIMIZERS)]


optimizers = list_optimizers
"""The name at the top: `eyeshot.optimizers()`, beside `eyeshot.augmentations()`."""


def usual_rate(record: OptimizerRecord, adamw_rate: float) -> float:
    """The learning rate to begin with, from one that suits AdamW on the same network and images."""
    if record.rate_factor is None:
        return record.learning_rate or adamw_rate
    return min(adamw_rate * record.rate_factor, max(record.highest_rate, adamw_rate))


def usual_decay(decay: float, rate: float, new_rate: float) -> float:
    """The weight decay that pulls as strongly at another learning rate: each step shrinks the weights by their product.

    From AdamW's 0.05 at 1e-3 come the customary values: 5e-4 for SGD at 0.1, 0.02 for LAMB, 0.25 for Lion (Loshchilov
    and Hutter 2019, "Decoupled weight decay regularization"; Chen et al. 2023, "Symbolic discovery of optimization
    algorithms", section 5).
    """
    return float(f"{decay * rate / new_rate:.3g}")


def check_optimizer(name: str) -> OptimizerRecord:
    """The record of an optimizer, by its name or another one that it is known by.

    Raises:
        InputError: there is none of this name; the message holds the nearest names.
    """
    name = OTHER_NAMES.get(name, name)
    if name not in OPTIMIZERS:
        raise InputError(
            f"optimizer must be one of the catalogue, got {name!r}. {nearest(name, OPTIMIZERS)} "
            "List all with: eyeshot list optimizers"
        )
    return OPTIMIZERS[name]


def fitting_names(what: str, patterns: Sequence[str], known: Iterable[str]) -> list[str]:
    """The names of a catalogue that fit some pattern, in its order; all without patterns.

    Raises:
        InputError: a pattern fits none.
    """
    names = list(known)
    for pattern in patterns:
        if not fnmatch.filter(names, pattern.lower()):
            raise InputError(
                f"{what} must be one of the catalogue or a wildcard that fits some, got {pattern!r}. "
                f"{nearest(pattern, names)}"
            )
    return [name for name in names if not patterns or any(fnmatch.fnmatch(name, each.lower()) for each in patterns)]


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence with the names most like a wrong one, or with all."""
    names = list(known)
    close = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    return f"Nearest: {', '.join(close)}." if close else f"It takes {', '.join(names)}."
