"""From a situation to three optimizers that are worth a try beside AdamW, and a schedule; pure rules.

Each rule says what in the situation speaks for its optimizer; the evidence is that of the optimizer's record. Rules
stand in the order of how strongly the situation decides: a batch of thousands or odd batches come before what only
the kind of network suggests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

from eyeshot.core import plural
from eyeshot.rankings.optimizers.options import BASELINE
from eyeshot.rankings.optimizers.report import Advised, Situation
from eyeshot.training import OPTIMIZERS, SCHEDULES, OptimizerRecord

ADVISED = 3
LARGE_BATCH = 2048
"""Wightman et al. 2021 (arXiv 2110.00476) train ResNet-50 with LAMB at this batch size."""
LONG_WARM_UP = 2000
"""2 / (1 - 0.999) steps, after which RAdam and Adam are alike (Ma and Yarats 2021, arXiv 1910.04209)."""
MANY_PARAMETERS = 300_000_000
"""The size of ViT-L, where AdamW's two averages are 2.4 GB."""
LARGE_TRANSFORMER = 80_000_000
"""The size of ViT-B."""
LION_BATCH = 256
SOAP_BATCH = 1024
LONG_EPOCHS = 100
SHORT_EPOCHS = 30
SMALL_TRANSFORMER = 30_000_000
IMAGENET = 1_281_167
WEAK = frozenset({"mirror"})
"""Augmentations that do not take SAM's gain away; Chen, Hsieh and Gong 2022 train with crops and flips alone."""


class _Rule(NamedTuple):
    optimizer: str
    speaks: Callable[[Situation], str]
    """What speaks for it, as the beginning of a sentence; empty where nothing does."""


def _huge_batch(here: Situation) -> str:
    return f"batches have {here.batch_size:,} images" if here.batch_size >= LARGE_BATCH else ""


def _odd_batches(here: Situation) -> str:
    if not here.odd or here.warm_up_steps >= LONG_WARM_UP:
        return ""
    return (
        f"random batches differ much ({here.spread_words[0].lower()}{here.spread_words[1:].rstrip('.')}), and the "
        f"warm-up has {here.warm_up_steps:,} {plural(here.warm_up_steps, 'step')}, fewer than the {LONG_WARM_UP:,} "
        "that Adam's average of squares takes to settle"
    )


def _open_end(here: Situation) -> str:
    if here.schedule not in ("constant", "plateau"):
        return ""
    return f"the {here.schedule} schedule is for trainings whose end is not known"


def _hardly_fits(here: Situation) -> str:
    if here.parameters < MANY_PARAMETERS:
        return ""
    return f"the network has {here.parameters / 1e6:,.0f} million weights, and AdamW keeps two averages of each"


def _convolutional_from_scratch(here: Situation) -> str:
    if here.pretrained or here.kind != "convolutional with BatchNorm":
        return ""
    return "a convolutional network with BatchNorm starts from untrained weights"


def _few_images_no_convolution(here: Situation) -> str:
    if here.pretrained or here.kind not in ("transformer", "other") or here.n_train > IMAGENET:
        return ""
    if not set(here.augmentations) <= WEAK:
        return ""
    return f"a {_network(here)} starts from untrained weights on {here.n_train:,} images with weak augmentation"


def _from_scratch(here: Situation) -> str:
    return "" if here.pretrained else "the weights are untrained, so speed counts"


def _large_batch_from_scratch(here: Situation) -> str:
    if here.pretrained or here.batch_size < SOAP_BATCH:
        return ""
    return f"the weights are untrained and batches have {here.batch_size:,} images"


def _large_transformer(here: Situation) -> str:
    if here.kind != "transformer" or here.parameters < LARGE_TRANSFORMER or here.batch_size < LION_BATCH:
        return ""
    return f"a transformer of {here.parameters / 1e6:,.0f} million weights learns from batches of {here.batch_size:,}"


def _long_transformer(here: Situation) -> str:
    if here.kind != "transformer" or here.epochs < LONG_EPOCHS:
        return ""
    return f"a transformer is trained for {here.epochs} epochs"


def _small_transformer_from_scratch(here: Situation) -> str:
    if here.pretrained or here.kind != "transformer" or here.parameters > SMALL_TRANSFORMER:
        return ""
    return f"a small transformer ({here.parameters / 1e6:,.1f} million weights) starts from untrained weights"


def _convolutional_pretrained(here: Situation) -> str:
    if not here.pretrained or here.kind != "convolutional with BatchNorm":
        return ""
    return (
        "the network is convolutional with BatchNorm, and what speaks against SGD in fine-tuning was seen on ViT and "
        "ConvNeXt"
    )


def _always(here: Situation) -> str:
    if here.pretrained:
        return "pretrained weights are fine-tuned, where changes to Adam that keep its learning rate are safe tries"
    return "it keeps AdamW's learning rate, so that a try costs no search"


RULES = (
    _Rule("lamb", _huge_batch),
    _Rule("radamw", _odd_batches),
    _Rule("schedulefree-adamw", _open_end),
    _Rule("adafactorbv", _hardly_fits),
    _Rule("sgd", _convolutional_from_scratch),
    _Rule("sam-adamw", _few_images_no_convolution),
    _Rule("soap", _large_batch_from_scratch),
    _Rule("lion", _large_transformer),
    _Rule("adanw", _long_transformer),
    _Rule("muon", _from_scratch),
    _Rule("claprop", _small_transformer_from_scratch),
    _Rule("sam-sgd", _convolutional_from_scratch),
    _Rule("nadamw", _always),
    _Rule("sgd", _convolutional_pretrained),
    _Rule("cadamw", _always),
    _Rule("radamw", _always),
)


def advise_optimizers(
    here: Situation, *, installed: Callable[[str], bool] | None = None
) -> tuple[list[Advised], list[str]]:
    """The three optimizers that most speaks for, AdamW apart, the first first.

    Args:
        here: the situation.
        installed: whether a package is there; None: asks Python.

    Returns:
        the three, and what would be among them if it were installed, with the way to get it.
    """
    there = installed or (lambda package: find_spec(package) is not None)
    chosen: dict[str, Advised] = {}
    left_out: dict[str, str] = {}
    for rule in RULES:
        reason = rule.speaks(here)
        if not reason or len(chosen) == ADVISED or rule.optimizer in chosen:
            continue
        record = OPTIMIZERS[rule.optimizer]
        if record.extra and not there(record.package):
            left_out[rule.optimizer] = f'{rule.optimizer} ({reason}): pip install "eyeshot[{record.extra}]"'
            continue
        chosen[rule.optimizer] = advised(record, f"{reason[0].upper()}{reason[1:]}.")
    return list(chosen.values()), list(left_out.values())


def advised(record: OptimizerRecord, reason: str) -> Advised:
    """An optimizer with what its record says."""
    return Advised(optimizer=record.name, reason=reason, evidence=record.evidence, against=record.against)


def advise_schedule(here: Situation, optimizers: Sequence[str] = ()) -> tuple[str, str]:
    """The schedule to take, and the reason with its source.

    Args:
        here: the situation.
        optimizers: those advised; the schedule is for the first.
    """
    first = OPTIMIZERS[optimizers[0]] if optimizers else OPTIMIZERS[BASELINE]
    if first.schedule == "constant":
        return first.schedule, f"{first.name} brings an average of the weights in the place of a decay."
    if first.name in ("sgd", "sam-sgd") and not here.pretrained and here.epochs <= SHORT_EPOCHS:
        short = SCHEDULES["one-cycle"]
        return short.name, f"{here.epochs} epochs are few for SGD. {short.fixes} {short.evidence}"
    usual = SCHEDULES["cosine"]
    return usual.name, f"The number of epochs is known. {usual.evidence}"


def _network(here: Situation) -> str:
    return "transformer" if here.kind == "transformer" else "network with neither attention nor convolutions"
