"""What successive rejection of candidates saves in the ranking by coverage, and what it changes.

Each target of the truth tables' sources is ranked twice on one cache: with rejection, as the product does, and with all
samples of all candidates. Reads no label of a target. Rejection must not change the first candidate or its group; what
it saves is the share of augmented source samples that never go through the model.

    python -m benchmarks.rejection --work FOLDER [--sources digits,photo,sketch]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.augmentation_truth.recipes import MODELS
from benchmarks.augmentation_truth.sources import BUILT_IN
from benchmarks.augmentation_truth.tasks import open_task
from benchmarks.common import keep, option, said, shared
from eyeshot.core import spearman
from eyeshot.rankings import RankingReport, rank_augmentations
from eyeshot.rankings.augmentations import rejection

MODEL_OF = {"digits": "small-cnn", "photo": "squeezenet-tuned", "sketch": "squeezenet-tuned"}


def options_of(source: str) -> dict[str, Any]:
    """The options of `rank_augmentations` for the model of a source."""
    model = MODELS[MODEL_OF[source]]
    options = dict(model.options)
    if "weights" in options:
        options["weights"] = shared() / "weights" / str(options["weights"])
    return options | {"size": model.size_for(source)}


def compare(with_rejection: RankingReport, in_full: RankingReport) -> dict[str, Any]:
    """Both rankings of one target."""
    first, second = with_rejection.of("ranked"), in_full.of("ranked")
    scores = {candidate.name: candidate.score or 0.0 for candidate in first}
    common = [candidate for candidate in second if candidate.name in scores]
    samples = [sum(candidate.samples for candidate in report.candidates) for report in (with_rejection, in_full)]
    groups = [
        sorted(candidate.name for candidate in report.candidates if candidate.group == 1)
        for report in (with_rejection, in_full)
    ]
    whole = {candidate.name: candidate.samples for candidate in in_full.candidates}
    return {
        "advice": [with_rejection.advice, in_full.advice],
        "first": [first[0].name if first else None, second[0].name if second else None],
        "same_first_group": groups[0] == groups[1],
        "first_group": groups[1],
        "left_the_first_group": sorted(set(groups[1]) - set(groups[0])),
        "entered_the_first_group": sorted(set(groups[0]) - set(groups[1])),
        "same_roles": all(
            in_full.candidate(candidate.name).role == candidate.role for candidate in with_rejection.candidates
        ),
        "rejected": sum(one.samples < whole[one.name] for one in with_rejection.candidates),
        "candidates": len(with_rejection.candidates),
        "samples_spared": 1 - samples[0] / samples[1],
        "order": spearman(
            np.array([scores[one.name] for one in common]), np.array([one.score or 0.0 for one in common])
        ),
    }


if __name__ == "__main__":
    work = Path(option("--work") or tempfile.mkdtemp())
    answers: dict[str, dict[str, Any]] = {}
    for source in option("--sources", ",".join(BUILT_IN)).split(","):
        task = open_task(source, (), work)
        for target in task.targets:
            print(f"== {source}, {target}", file=sys.stderr)
            given: dict[str, Any] = {
                "test": task.folder / "targets" / target / "score",
                "val": task.folder / "val",
                "cache": work / "cache",
                "budget_s": 0,
                "projections": (),
                "images": False,
                "progress": said(),
                **options_of(source),
            }
            rejecting = rank_augmentations(task.folder / "train", **given).report
            with patch.object(rejection, "run_race", lambda *_, **__: (None, {}, {})):
                in_full = rank_augmentations(task.folder / "train", **given).report
            answers[f"{source}, {target}"] = compare(rejecting, in_full)
            print(answers[f"{source}, {target}"], file=sys.stderr)
    found = {
        "targets": len(answers),
        "same_advice": sum(one["advice"][0] == one["advice"][1] for one in answers.values()),
        "same_first": sum(one["first"][0] == one["first"][1] for one in answers.values()),
        "same_first_group": sum(one["same_first_group"] for one in answers.values()),
        "same_roles": sum(one["same_roles"] for one in answers.values()),
        "samples_spared": mean(one["samples_spared"] for one in answers.values()),
        "most_spared": max(one["samples_spared"] for one in answers.values()),
        "answers": answers,
    }
    keep("rejection", found)
