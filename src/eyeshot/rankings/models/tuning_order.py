"""Which models are fine-tuned, and in which order, so that a budget reaches for those that matter most."""

from __future__ import annotations

from collections.abc import Sequence

from eyeshot.models import list_models
from eyeshot.rankings.models.report import RankedModel

OF_EACH_LINE = 2
ALWAYS = ("ResNet", "EfficientNet", "ViT")
"""Lines that are tried whatever their probes say."""
NO_LINE = ("own", "other")
"""Models under these have nothing in common: each is a line of its own."""
MASKED_LINES = ("MAE", "BEiT", "EVA")
"""Where the catalogue has no record of a tag."""


def probe_order(model: RankedModel) -> tuple[float, float, int, str]:
    """Sorts models by their probes, the best first.

    Of equal accuracy the surer one is first, then the smaller: a measured time would put equals in another order the
    next time.
    """
    return -(model.probe.accuracy.value or 0.0), model.probe.log_loss, model.cost.parameters, model.name


def choose_for_fine_tuning(ranked: Sequence[RankedModel]) -> list[tuple[RankedModel, str]]:
    """The models to fine-tune, the most important first, each with its reason.

    First the best probe of all; then the best ResNet, EfficientNet, ViT and masked-pretrained model, whatever their
    probes are, since a line must not be dropped for a probe that undersells it; then the best of each other line; then
    the second of each line. Within each of these steps the better probe goes first.

    Args:
        ranked: models with rung 1 done, in any order.
    """
    by_probe = sorted(ranked, key=probe_order)
    masked = _masked_tags()
    lines: dict[str, list[RankedModel]] = {}
    for model in by_probe:
        lines.setdefault(line_within(model), []).append(model)
    of_masked = [model for model in by_probe if model.name in masked or model.line in MASKED_LINES]
    steps = [(by_probe[:1], "the best probe of all")]
    steps += [(lines.get(line, [])[:1], f"the best probe of the line {line}") for line in ALWAYS]
    steps.append((of_masked[:1], "the best probe with masked pretraining, which probes undersell"))
    steps += [(models[:1], f"the best probe of the line {line}") for line, models in lines.items()]
    steps += [(models[1:OF_EACH_LINE], f"the second probe of the line {line}") for line, models in lines.items()]
    chosen: dict[str, tuple[RankedModel, str]] = {}
    for models, reason in steps:
        for model in models:
            chosen.setdefault(model.name, (model, reason))
    return list(chosen.values())


def line_within(model: RankedModel) -> str:
    """The line that a model is compared within."""
    return model.name if model.line in NO_LINE else model.line


def _masked_tags() -> set[str]:
    return {record.tag for record in list_models() if (record.objective or "").startswith("masked")}
