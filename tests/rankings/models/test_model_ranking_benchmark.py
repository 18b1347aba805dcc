"""The logic of the benchmark of `rank models`: how it divides images, and what it says of orders and regrets."""

import numpy as np
import pytest
from benchmarks.model_ranking import agreement, complete, divide, regret
from made_models import made_model

LABELS = np.repeat(np.arange(3), [300, 50, 9])


def test_the_truth_is_put_aside_and_never_ranked_on():
    ranked, truth = divide(LABELS, 60)
    assert not set(ranked) & set(truth)
    assert np.bincount(LABELS[truth]).tolist() == [90, 25, 4]
    assert np.bincount(LABELS[ranked]).tolist() == [60, 25, 5]


def test_an_order_that_holds_and_one_that_is_turned_round():
    truth = {name: value for value, name in enumerate("abcde")}
    assert agreement(truth, truth)["spearman"] == pytest.approx(1.0)
    turned = agreement({name: -value for name, value in truth.items()}, truth)
    assert turned["spearman"] == pytest.approx(-1.0)
    assert turned["interval"][1] < 1
    assert agreement({"a": 1.0}, truth) == {"networks": 1, "spearman": None, "interval": None}


def test_the_regret_is_the_best_less_the_taken_with_its_interval():
    images = np.arange(1000)
    truth = {
        "best": np.stack([images >= 50 + seed for seed in range(3)]),
        "near": np.stack([images >= 60 + seed for seed in range(3)]),
        "far": np.stack([images >= 200 + seed for seed in range(3)]),
    }
    assert regret("best", truth)["points"] == 0.0
    near, far = regret("near", truth), regret("far", truth)
    assert near["points"] == pytest.approx(1.0)
    assert far["points"] == pytest.approx(15.0)
    low, high = far["interval"]
    assert 0 < low < 15 < high
    assert far["best"] == "best"


def test_seeds_that_some_network_lacks_do_not_count():
    row = np.ones(4, bool)
    truth = complete({"a": [row, row, row], "b": [row, row]})
    assert {name: right.shape for name, right in truth.items()} == {"a": (2, 4), "b": (2, 4)}
    assert complete({"a": [row], "b": []}) == {}


def test_a_summary_names_the_regret_of_each_rule():
    from benchmarks.model_ranking import summarise

    from eyeshot.rankings.models.report import Advice, ModelsReport

    models = [made_model(name, right=right, parameters=size) for name, right, size in
              (("a", 95, 1), ("b", 90, 3), ("c", 80, 2))]  # fmt: skip
    report = ModelsReport.model_construct(
        models=models, advised=Advice(name="b", reason="r"), cheap=Advice(name="c", reason="r"), used_s=1.0,
        n_images=100,
    )  # fmt: skip
    images = np.arange(200)
    truth = {name: np.stack([images >= bad, images >= bad]) for name, bad in (("a", 20), ("b", 10), ("c", 40))}
    found = summarise(report, truth)
    assert found["regret"]["advised"] == {"network": "b", "best": "b", "points": 0.0, "interval": (0.0, 0.0)}
    assert found["regret"]["best probe"]["network"] == "a"
    assert found["regret"]["best probe"]["points"] == pytest.approx(5.0)
    assert found["regret"]["most parameters"]["network"] == "b"
    assert found["regret_by_chance_points"] == pytest.approx(100 * (0.95 - np.mean([0.9, 0.95, 0.8])))
    assert found["order_by_short_fine_tuning"]["networks"] == 0
    assert (found["seeds"], found["n_truth"]) == (2, 200)
