"""The plan of a ranking of models: all that can be checked before the long work, and what each model would cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from eyeshot.core import InputError, ModelError, Progress, duration
from eyeshot.data import DataConfig, PixelStore
from eyeshot.models import Backbone, FeatureBank, choose_device, line_of, list_models, load_backbone
from eyeshot.rankings.models.choice import ChosenModel, choose_models
from eyeshot.rankings.models.data import RankingData, load_ranking_data
from eyeshot.rankings.models.memory import forward_memory
from eyeshot.rankings.models.probe import MEMORY_BATCH, ProbeRecord, time_forward
from eyeshot.rankings.models.report import LeftOut
from eyeshot.rankings.models.settings import ModelSettings
from eyeshot.rankings.models.store import RungStore
from eyeshot.rankings.models.tuning_order import ALWAYS

DECODE_PER_S = 300.0  # JPEG images of 500 x 375 pixels, with a single thread
FIT_PER_S = 1e10
"""Multiplications of a fit in a second on one core, with all its passes over the features."""
FIT_PASSES = 150
"""Passes over the features for all folds and penalties together."""
TIMED_IMAGES = 8
CHEAPEST = 3
A_RANKING = 3
"""Models that are offered for download where there are none."""


class ModelEstimate(NamedTuple):
    """What rung 1 of a model would take: `images` still to pass through it, time, memory and weights in bytes."""

    name: str
    line: str
    images: int
    seconds: float
    memory_bytes: int
    weights_bytes: int


@dataclass(frozen=True, eq=False)
class ModelPlan:
    """A ranking that is ready to start: images read, models found, nothing computed.

    Attributes:
        chosen: the models to rank, those with the smallest weights first.
        left_out: models that cannot be ranked.
    """

    config: DataConfig
    settings: ModelSettings
    data: RankingData
    chosen: list[ChosenModel]
    not_at_hand: list[LeftOut]
    left_out: list[LeftOut]
    device: str
    cache: Path
    store: RungStore
    notes: list[str]


def plan_model_ranking(config: DataConfig, settings: ModelSettings, *, cache: Path, progress: Progress) -> ModelPlan:
    """Check everything that can be checked before the long work.

    Args:
        config, settings: from `model_ranking_settings`.
        cache: folder of all caches.
        progress: called with the progress.

    Raises:
        InputError: the images cannot be used, no model is at hand, or the budget is too small for any model.
        ModelError: no model can be loaded.
    """
    device, reason = choose_device(settings.device)
    chosen, not_at_hand = choose_models(settings.models, settings.weights_dir)
    if not chosen:
        raise InputError(_nothing_at_hand(not_at_hand, settings))
    # Under a budget the cheap models come first, so that it reaches for as many as possible.
    chosen = sorted(chosen, key=lambda model: (model.weights_bytes, model.name))
    _check_loads(chosen, settings, progress)
    data = load_ranking_data(
        config, max_test=settings.max_test, cache=cache, workers=settings.workers, progress=progress
    )
    plan = ModelPlan(
        config=config,
        settings=settings,
        data=data,
        chosen=chosen,
        not_at_hand=not_at_hand,
        left_out=[],
        device=str(device),
        cache=cache,
        store=RungStore(cache),
        notes=[*data.notes, f"device: {device} ({reason})"],
    )
    if settings.budget_s:
        _check_budget(plan, progress)
    return plan


def load_model(model: ChosenModel, settings: ModelSettings) -> Backbone:
    """The backbone of a chosen model.

    Raises:
        ModelError: the weights are unavailable or do not fit.
        InputError: the model does not allow the size.
    """
    try:
        return load_backbone(
            model.name, weights=model.weights, size=settings.size, fit=settings.fit, seed=settings.seed
        )
    except (InputError, ModelError) as error:
        raise type(error)(_by_own_options(str(error))) from error


def _by_own_options(message: str) -> str:
    """A message of loading one model, with the options of this command, which takes many."""
    for option, own in (
        ("--weights FILE", "--models TAG=FILE"), ("Choose another --model.", "Name others with --models."),
        ("Give a weights file with --weights, and its architecture with --model.", "Give --models TAG=FILE."),
        ("--from-scratch", "eyeshot train --from-scratch"),
    ):  # fmt: skip
        message = message.replace(option, own)
    return message


def probe_key(plan: ModelPlan, backbone: Backbone) -> tuple[object, ...]:
    """What decides the result of rung 1."""
    return ("probe", backbone.fingerprint, plan.data.key, plan.settings.seed)


def estimate_probe(plan: ModelPlan, backbone: Backbone) -> ModelEstimate:
    """What rung 1 of a model would still take, from a forward pass of a few images."""
    data, settings, side = plan.data, plan.settings, backbone.geometry.size
    images = np.random.default_rng(0).integers(0, 256, (MEMORY_BATCH, side, side, 3), dtype=np.uint8)
    weights = sum(value.numel() * value.element_size() for value in backbone.module.state_dict().values())
    memory = forward_memory(backbone, images, device=choose_device(plan.device)[0])
    if plan.store.load(ProbeRecord, *probe_key(plan, backbone)) is not None:
        return ModelEstimate(backbone.name, "", 0, 0.0, memory, weights)
    bank = FeatureBank(plan.cache, backbone, device=plan.device)
    store = PixelStore(plan.cache, backbone.geometry)
    missing = undecoded = 0
    for table, rows in ((data.images, data.used), (data.test, None)):
        if table is not None:
            chosen = np.arange(len(table)) if rows is None else rows
            keys = table.pixel_keys
            missing += bank.missing([keys[row] for row in chosen])
            undecoded += store.missing(table, chosen)
    _, mean_s, _ = time_forward(
        backbone, images[:TIMED_IMAGES],
        device=plan.device, batch_size=settings.batch_size, images=TIMED_IMAGES, precision=bank.precision,
    )  # fmt: skip
    decode_s = undecoded / DECODE_PER_S
    products = FIT_PASSES * len(data.used) * backbone.feature_count * len(data.dataset.classes)
    return ModelEstimate(
        backbone.name, "", missing, missing * mean_s + decode_s + products / FIT_PER_S, memory, weights
    )


def estimate_models(plan: ModelPlan, *, progress: Progress) -> tuple[list[ModelEstimate], list[LeftOut]]:
    """Estimates of all models, and the models that cannot be loaded; it takes a few seconds a model."""
    estimates: list[ModelEstimate] = []
    left_out: list[LeftOut] = []
    for number, model in enumerate(plan.chosen):
        progress(number, len(plan.chosen), f"measuring {model.name}")
        try:
            estimates.append(estimate_probe(plan, load_model(model, plan.settings))._replace(line=model.line))
        except (InputError, ModelError) as error:
            left_out.append(LeftOut(name=model.name, why=str(error)))
    return estimates, left_out


def _check_loads(chosen: Sequence[ChosenModel], settings: ModelSettings, progress: Progress) -> None:
    """Refuse models of which none can be loaded, before the images are read."""
    failed: list[str] = []
    for model in chosen:
        progress(0, 0, f"loading {model.name}")
        try:
            load_model(model, settings)
            return
        except (InputError, ModelError) as error:
            failed.append(f"{model.name}: {error}")
    raise ModelError(no_model_ranked(failed))


def no_model_ranked(failed: Sequence[str]) -> str:
    """Why no model could be ranked, from the reasons, each with its model."""
    more = len(failed) - 1
    return f"No model could be ranked. {failed[0]}" + (f" {more} more could not be either." if more else "")


def _check_budget(plan: ModelPlan, progress: Progress) -> None:
    """Refuse a budget that is too small for each of the first few models, those with the smallest weights."""
    needed: list[ModelEstimate] = []
    for model in plan.chosen[:CHEAPEST]:
        progress(0, 0, f"measuring {model.name}")
        try:
            estimate = estimate_probe(plan, load_model(model, plan.settings))
        except (InputError, ModelError):
            continue  # said when it is its turn
        if estimate.seconds <= plan.settings.budget_s:
            return
        needed.append(estimate)
    if needed:
        least = min(needed, key=lambda estimate: estimate.seconds)
        raise InputError(
            f"--budget must reach for one model at least: {least.name}, one of the smallest, needs about "
            f"{duration(least.seconds, 0)} for {least.images:,} images, got {duration(plan.settings.budget_s, 0)}. Use "
            f"--budget {math.ceil(least.seconds / 30)}m or more, a smaller --size, or --budget 0 for no limit."
        )


def _nothing_at_hand(missing: Sequence[LeftOut], settings: ModelSettings) -> str:
    """What to do without any weights."""
    asked = ", ".join(settings.models) or "the catalogue"
    tags = " ".join(_worth_fetching([left.name for left in missing])) or "TAG TAG TAG"
    folder = "" if settings.weights_dir is None else f" and not in {str(settings.weights_dir)!r}"
    return (
        f"--models needs weights on this machine, but those of {asked} are not here{folder}. Ways on: download some "
        f"(eyeshot models fetch {tags}); give a folder of files named by tag (--weights DIR); or train a baseline "
        "without pretrained weights (eyeshot train --from-scratch)."
    )


def _worth_fetching(names: Sequence[str]) -> list[str]:
    """A few models that make a ranking: the smallest of each of the lines that are always tried, then of others."""
    size = {record.tag: record.parameters or math.inf for record in list_models()}
    smallest: dict[str | None, str] = {}
    for name in sorted(names, key=lambda name: size.get(name, math.inf)):
        smallest.setdefault(line_of(name), name)
    lines = sorted(smallest, key=lambda line: ALWAYS.index(line) if line in ALWAYS else len(ALWAYS))
    chosen = [smallest[line] for line in lines]
    return [*chosen, *(name for name in names if name not in chosen)][:A_RANKING]
