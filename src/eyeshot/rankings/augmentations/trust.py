"""How far to trust the ranking: what tables of real training said of it in situations like this one.

`trust.json` beside this file is written by `python -m benchmarks.augmentation_truth judge --trust FILE`.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from eyeshot.rankings.augmentations.report import Shift
from eyeshot.rankings.augmentations.words import TRUST

FILE = "trust.json"
HARDLY_ANY = 0.9
"""From this ratio on `shift` says "hardly any shift"."""


CLEARLY = 1.0
"""Points of accuracy that clean images must have lost less than the advice, to be said to be better."""


def trust_words(shift: Shift, *, pretrained: bool, budget: bool, measured: dict[str, Any] | None = None) -> str:
    """The measured reliability for the situation at hand in sentences, or that it was not measured.

    Args:
        shift: of the target, for this model; one that is unknown counts as a shift.
        pretrained: whether the model's weights come from a training elsewhere.
        budget: whether short runs went into the ranking; the tables judged the ranking by cover alone.
        measured: what the file holds; None reads it.
    """
    known = _read() if measured is None else measured
    shifted = shift.ratio is None or shift.ratio < HARDLY_ANY
    situation = f"{'pretrained' if pretrained else 'from scratch'}, {'shifted' if shifted else 'not shifted'}"
    found = known.get("situations", {}).get(situation)
    if not known.get("situations"):
        return TRUST
    if found is None:
        return f"How far to trust this: not measured for a model {situation}; only for {_others(known)}."
    spearman = found["spearman"]
    first, trivial, clean = (found[f"regret_of_{name}"] for name in ("advice", "trivial_augment", "clean"))
    on = f"{found['tasks']} tasks of {found['sources']} sources"
    by = f"{known['trainings']:,} trainings to the end; {', '.join(found['models'])}"
    sentences = [
        f"How far to trust this: for a model {situation}, on {on} ({by}): the order agrees with that of real training "
        f"by a Spearman correlation of {_number(spearman)}; the advice lost {_points(first)} against the best "
        f"candidate, always TrivialAugment {_points(trivial)}, clean images {_points(clean)}."
    ]
    if None not in (first["value"], clean["value"]) and first["value"] - clean["value"] > CLEARLY:
        sentences.append("So clean images were the better advice there: train with both.")
    by_pretrained = found.get("by_pretrained_model")
    if by_pretrained is not None:
        sentences.append(_by_pretrained(by_pretrained, found.get("without_cure")))
    if budget:
        sentences.append("That was the ranking by cover; with short runs it was not measured.")
    return " ".join(sentences)


def _by_pretrained(lost: dict[str, Any], without_cure: dict[str, Any] | None) -> str:
    """Another model may rank better for one from scratch, and then worse where nothing in the catalogue is the cure."""
    words = (
        f"By a pretrained model's features the first candidate lost {_points(lost['regret'])}, by their own "
        f"{_points(lost['regret_of_own'])}"
    )
    if without_cure is not None:
        words += (
            f"; with the cure left out of the catalogue {_points(without_cure['regret'])} and "
            f"{_points(without_cure['regret_of_own'])}"
        )
    return f"{words}. Where you have weights, look at their ranking too: --model TAG --weights FILE."


def _read() -> dict[str, Any]:
    file = files("eyeshot.rankings.augmentations") / FILE
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def _others(known: dict[str, Any]) -> str:
    return "; ".join(known["situations"])


def _number(estimate: dict[str, float | None]) -> str:
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None:
        return "unknown size"
    interval = "" if low is None or high is None else f" ({max(low, -1):.2f} to {min(high, 1):.2f})"
    return f"{value:.2f}{interval}".replace("-", "−")


def _points(estimate: dict[str, float | None]) -> str:
    # Below 0 where the best candidate was the best by luck: it was chosen on other seeds.
    return "an unknown number of points" if estimate["value"] is None else f"{max(0.0, estimate['value']):.1f} points"
