from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from eyeshot.rankings import compare_models
from eyeshot.rankings.augmentations.report import Candidate, ModelInfo, RankingReport, Role, Shift, ValidationCheck

NAMES = ["invert", "mirror", "grey", "jitter", "rotate-15", "solarize", "jpeg", "edges"]


def report(model: str, values: dict[str, float], *, size: int = 32, **roles: Role) -> RankingReport:
    """Candidates by their combined gain; `roles` of those that are not ranked, `_` for `-`."""
    told = {name.replace("_", "-"): role for name, role in roles.items()}
    order = sorted((name for name in values if name not in told), key=lambda name: -values[name])
    candidates = [
        Candidate(
            name=name,
            family="colour",
            model=model,
            role=told.get(name, "ranked"),
            rank=order.index(name) + 1 if name in order else 1 if told[name] == "regulariser" else None,
            score=-value,  # the ranking of all goes before it
            combined=None if told.get(name) == "label-breaking" else value,
        )
        for name, value in values.items()
    ]
    return RankingReport(
        headline="", next_step="", answer=[],
        advice=order[0] if order else "clean", recipe=[], trust="", n_train=9, n_val=9, n_target=9,
        n_sources=9, n_target_used=9, n_val_used=9, target="test", classes=["a", "b"],
        models=[ModelInfo(name=model, pretrained=True, size=size, feature_count=2, fingerprint="", reason="")],
        size=size, fit="crop", neighbours=5, samples_per_image=1, max_images=20, seed=0, ranked_by="coverage_gain",
        shift=Shift(
            target_coverage=0.5, held_out_coverage=1, ratio=0.5, target_consistent=0.4,
            held_out_consistent=0.8, weight=0.5, domain_auc=None, count=9, words="",
        ),
        validation_check=ValidationCheck(
            inside=0, outside=0, accuracy_inside=None, accuracy_outside=None, interval_inside=None,
            interval_outside=None,
        ),
        candidates=candidates, uncovered=[],
    )  # fmt: skip


def gains(seed: int, names=NAMES) -> dict[str, float]:
    return dict(zip(names, np.random.default_rng(seed).normal(0, 1, len(names)).tolist(), strict=True))


def compare(*reports: RankingReport):
    names = {one.models[0].name: one for one in reports}
    return compare_models(names, {name: f"{name}/augmentations.html" for name in names})


def test_the_same_ranking_twice_correlates_fully_and_the_advice_is_one():
    table = compare(report("one", gains(0)), report("two", gains(0)))
    (pair,) = table.pairs
    assert (pair.first, pair.second, pair.n) == ("one", "two", len(NAMES))
    assert pair.spearman == pytest.approx(1)
    low, high = pair.interval
    assert 0.5 < low < 1
    assert high == 1
    assert "The advice is the same for all 2 models" in table.words
    assert "does not predict" not in table.words
    assert table.models == ["one", "two"]
    assert table.pages == {"one": "one/augmentations.html", "two": "two/augmentations.html"}


def test_shuffled_gains_say_nothing_and_the_words_say_so():
    values = gains(0)
    shuffled = dict(zip(values, [values[name] for name in reversed(NAMES)], strict=True))
    table = compare(report("one", values), report("two", shuffled))
    (pair,) = table.pairs
    wanted = spearmanr([values[name] for name in NAMES], [shuffled[name] for name in NAMES]).statistic
    assert pair.spearman == pytest.approx(wanted)
    assert pair.interval[0] < 0 < pair.interval[1]
    assert "The order for one does not predict the order for two" in table.words
    assert "The advice differs: " in table.words


def test_rows_stand_by_their_mean_place_and_regularisers_behind():
    one = report("one", {"invert": 3, "mirror": 2, "grey": 1, "mixup": 9, "half-turns": 8}, mixup="regulariser",
                 half_turns="label-breaking")  # fmt: skip
    two = report("two", {"invert": 2, "mirror": 4, "grey": 3, "mixup": 9, "jpeg": 1}, mixup="regulariser")
    table = compare(one, two)
    assert [row.name for row in table.rows] == ["mirror", "invert", "grey", "jpeg", "mixup", "half-turns"]
    rows = {row.name: row for row in table.rows}
    assert rows["grey"].ranks == {"one": 3, "two": 2}
    assert rows["grey"].scores == {"one": 1, "two": 3}
    assert rows["jpeg"].ranks == {"one": None, "two": 4}
    assert rows["jpeg"].roles == {"two": "ranked"}
    assert rows["half-turns"].roles == {"one": "label-breaking"}
    # Only what both rank is compared: three are too few.
    assert (table.pairs[0].n, table.pairs[0].spearman) == (3, None)


def test_three_models_make_three_pairs():
    table = compare(*(report(name, gains(seed)) for seed, name in enumerate("abc")))
    assert [(pair.first, pair.second) for pair in table.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_gains_that_do_not_vary_have_no_correlation():
    table = compare(report("one", dict.fromkeys(NAMES, 0.0)), report("two", gains(0)))
    assert (table.pairs[0].spearman, table.pairs[0].interval) == (None, None)


def test_sizes_that_differ_are_reported():
    same = compare(report("one", gains(0)), report("two", gains(1)))
    other = compare(report("one", gains(0), size=160), report("two", gains(1), size=224))
    assert "Image sizes" not in same.words
    assert "Image sizes differ (one 160 px and two 224 px)" in other.words


def test_without_short_runs_the_scores_are_compared():
    reports = [report(name, gains(0)) for name in ("one", "two")]
    for number, one in enumerate(reports):
        for place, candidate in enumerate(one.candidates):
            candidate.combined, candidate.score = None, float(place if number else -place)
    assert compare(*reports).pairs[0].spearman == pytest.approx(-1)


def test_a_model_that_ranks_the_other_way_round_is_said_to():
    first = {name: float(number) for number, name in enumerate(NAMES)}
    table = compare(report("one", first), report("two", {name: -value for name, value in first.items()}))
    assert "The order for one contradicts the order for two" in table.words
