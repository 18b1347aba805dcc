"""The advised model and the cheap one, from answers of probes and of fine-tuned networks."""

import numpy as np
import pytest
from made_models import made_model

from eyeshot.rankings.models.advice import Answers, advise, counted_answers

N = 2000
FOLD = np.arange(0, N, 4)
HARD = np.random.default_rng(0).random(N)


def at(accuracy, seed=0, share=0.3):
    """Answers of about this accuracy; a `share` of the images is hard for this model alone."""
    own = np.random.default_rng([seed, 7]).random(N)
    difficulty = np.where(np.random.default_rng([seed, 8]).random(N) < share, own, HARD)
    return difficulty < np.quantile(difficulty, accuracy)


def ask(models, tuned=None):
    """`models`: name -> (probe accuracy, seconds); `tuned`: name -> accuracy."""
    ranked = [
        made_model(name, line=name, right=round(100 * accuracy), seconds=seconds)
        for name, (accuracy, seconds) in models.items()
    ]
    probe = {name: at(accuracy, seed) for seed, (name, (accuracy, _)) in enumerate(models.items())}
    of_tuned = {name: at(accuracy, 50 + seed)[FOLD] for seed, (name, accuracy) in enumerate((tuned or {}).items())}
    answers = Answers(probe, np.arange(N), of_tuned, FOLD if tuned else np.empty(0, np.int64))
    return ranked, answers, *advise(ranked, answers, seed=0)[1:]


def test_the_clearly_best_probe_is_taken_and_the_fast_one_that_loses_little_is_cheap():
    _, _, advised, cheap = ask({"large": (0.95, 100.0), "small": (0.935, 20.0), "tiny": (0.90, 2.0)})
    assert advised.name == "large"
    assert "better than every other" in advised.reason
    assert cheap.name == "small"
    assert "5.0 times as fast as large, the fastest that loses at most 2.5 points" in cheap.reason


def test_where_all_fast_models_lose_much_the_most_accurate_of_them_is_named_with_its_loss():
    _, _, advised, cheap = ask({"large": (0.95, 100.0), "small": (0.85, 20.0), "tiny": (0.80, 2.0)})
    assert (advised.name, cheap.name) == ("large", "small")
    assert "lose more than 2.5 points" in cheap.reason
    assert "-10" in cheap.reason


def test_of_models_that_tie_the_fastest_is_taken():
    _, _, advised, _ = ask({"slow": (0.93, 90.0), "fast": (0.93, 30.0)})
    assert advised.name == "fast"


def test_a_few_per_cent_of_speed_do_not_count():
    images = np.arange(100)
    ranked = [made_model("best", seconds=90.0), made_model("near", seconds=80.0)]
    answers = Answers({"best": images >= 5, "near": (images >= 5) ^ (images == 50)}, images)
    assert advise(ranked, answers, seed=0)[1].name == "best"


def test_a_faster_model_of_the_group_that_is_measured_worse_is_not_taken_for_its_speed():
    images = np.arange(100)
    slow, fast = ~np.isin(images, (0, 1)), ~np.isin(images, (2, 3, 4, 5, 6, 7))
    ranked = [made_model("slow", seconds=90.0), made_model("fast", seconds=30.0)]
    _, advised, cheap = advise(ranked, Answers({"slow": slow, "fast": fast}, images), seed=0)
    assert advised.name == "slow"
    assert "fast cannot be told apart from it" in advised.reason
    assert cheap.name == "fast"


def test_a_single_model_is_both():
    _, _, advised, cheap = ask({"only": (0.9, 10.0)})
    assert advised.name == cheap.name == "only"
    assert "the only model" in advised.reason
    assert "no ranked model is 2 times as fast" in cheap.reason


def test_fine_tuned_networks_count_where_probe_and_fine_tuning_disagree():
    models = {"supervised": (0.90, 50.0), "masked": (0.70, 50.0)}
    assert ask(models)[2].name == "supervised"
    _, _, advised, _ = ask(models, {"supervised": 0.91, "masked": 0.97})
    assert advised.name == "masked"
    assert "fine-tuned" in advised.reason


def test_a_short_training_that_failed_does_not_speak_against_the_model():
    ranked, answers, advised, _ = ask({"fine": (0.85, 50.0), "broken": (0.94, 50.0)}, {"fine": 0.87, "broken": 0.30})
    assert advised.name == "broken"
    assert "with a linear probe" in advised.reason
    assert counted_answers(ranked, answers)[1] == {"fine": True, "broken": False}


def test_a_model_whose_recipe_is_untested_is_not_called_bad():
    _, _, advised, cheap = ask({"tuned": (0.85, 50.0), "untested": (0.90, 20.0)}, {"tuned": 0.96})
    assert advised.name == "tuned"
    assert "untested has a better probe and an untested recipe" in advised.reason
    assert cheap.name == "untested"
    assert "was not fine-tuned yet and may lose less" in cheap.reason
    assert "bad" not in advised.reason + cheap.reason


def test_probes_on_all_images_count_until_a_fine_tuning_gained_or_all_models_were_trained():
    models = {"tuned": (0.90, 50.0), "untested": (0.88, 50.0)}
    ranked, answers, advised, _ = ask(models, {"tuned": 0.90})
    right, tuned, groups = counted_answers(ranked, answers)
    assert len(right["tuned"]) == len(groups) == N
    assert not any(tuned.values())
    assert f"on {N} images with a linear probe" in advised.reason
    for more in ({"tuned": 0.97}, {"tuned": 0.90, "untested": 0.88}):
        ranked, answers, advised, _ = ask(models, more)
        assert len(counted_answers(ranked, answers)[2]) == len(FOLD)
        assert f"on {len(FOLD)} images fine-tuned" in advised.reason


def test_duplicates_do_not_make_a_difference_sure():
    pictures = np.arange(40)  # each in 25 copies; the better model alone knows four of them, the other one
    better, worse = np.repeat(pictures != 0, 25), np.repeat(~np.isin(pictures, (1, 2, 3, 4)), 25)
    ranked = [made_model("better", right=95, seconds=50.0), made_model("worse", right=80, seconds=40.0)]
    alone = advise(ranked, Answers({"better": better, "worse": worse}, np.arange(1000)), seed=0)[1]
    together = advise(ranked, Answers({"better": better, "worse": worse}, np.arange(1000) // 25), seed=0)[1]
    assert "better than every other" in alone.reason
    assert "worse cannot be told apart" in together.reason


@pytest.mark.parametrize(("tuned", "words"), [(None, "with a linear probe"), ({"a": 0.95, "b": 0.7}, "fine-tuned")])
def test_the_headline_names_the_advised_model_with_what_was_measured(tuned, words):
    ranked, answers, _, _ = ask({"a": (0.9, 10.0), "b": (0.7, 10.0)}, tuned)
    said = advise(ranked, answers, seed=0)[0]
    assert said.startswith("Take a: 9")
    assert words in said
