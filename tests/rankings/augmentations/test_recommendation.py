"""The answer is what was measured, and what real trainings said in the situation at hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_up import LABELS, TARGETS, candidates, cloud, first, preserved, ranked

from eyeshot.rankings.augmentations.ranking import least_gain, rank_gains
from eyeshot.rankings.augmentations.recommendation import (
    Target,
    budget_words,
    choose_advice,
    probe_reasons,
    reasons,
    recommend,
    run_reasons,
    trust_words,
    two_orders,
)
from eyeshot.rankings.augmentations.report import BaselineAugmentation, Order, Part, Rung, Shift, ShortRun
from eyeshot.rankings.augmentations.scores import AugmentationScores

ORDER = Order(weight=0.8, weight_words="", units={}, agreement=None, by_target=[], by_validation=[], words="")


def shift(ratio: float | None) -> Shift:
    return Shift(
        target_coverage=0.5,
        held_out_coverage=0.5,
        ratio=ratio,
        target_consistent=0.5,
        held_out_consistent=0.5,
        weight=None,
        domain_auc=None,
        count=10,
        words="",
    )


def answer_of(*scores, target: Target = "test", at_chance: bool = False, **changes: Any) -> dict[str, Any]:
    candidates, ranked_by = ranked(*scores, at_chance=at_chance)
    settings: dict[str, Any] = {
        "ranked_by": ranked_by, "order": None, "shift": shift(0.2), "baseline": None, "pretrained": True,
        "at_chance": at_chance, "target": target, "n_target": 200, "n_val": 90,
    }  # fmt: skip
    return recommend(candidates, **settings | changes)


def winner() -> list[AugmentationScores]:
    return candidates(40, invert=cloud(first(120)), mirror=cloud(first(42)))


def nothing_clear() -> list[AugmentationScores]:
    return candidates(40, mirror=cloud(first(41)))


def test_a_clear_winner_is_named_with_what_it_covers():
    answer = answer_of(*winner())
    assert answer["headline"] == (
        "Train with invert: it covers 60 % of the test images with consistent labels, 40 points more than clean."
    )
    assert answer["advice"] == "invert"
    assert answer["next_step"] == "Compare it with clean images on the same validation images."
    assert answer["trust"] == (
        "On 35 comparable tasks the first suggestion lost 0.6 points against the best; always TrivialAugment lost 7.7."
    )


def test_what_cannot_be_told_from_the_winner_is_named():
    answer = answer_of(*candidates(40, invert=cloud(first(120)), grey=cloud(first(120))))
    assert answer["answer"][0] == "It is indistinguishable from grey."


def test_after_short_runs_the_default_is_the_answer_where_the_first_cannot_be_told_from_it():
    scores = candidates(40, invert=cloud(first(120)), trivial_augment=cloud(first(118)))
    assert answer_of(*scores)["advice"] == "invert"
    answer = answer_of(*scores, order=ORDER)
    assert answer["advice"] == "trivial-augment"
    assert answer["headline"] == (
        "Train with trivial-augment, the usual default: invert is first, but not clearly better."
    )
    assert answer["next_step"] == "A larger --budget may tell it from invert."
    assert "invert is first and beats clean images, but cannot be told from trivial-augment" in answer["answer"][0]
    behind = candidates(40, invert=cloud(first(120)), trivial_augment=cloud(first(60)))
    assert answer_of(*behind, order=ORDER)["advice"] == "invert"


def test_where_no_gain_is_clear_there_is_no_winner_and_the_advice_is_the_control():
    answer = answer_of(*nothing_clear())
    assert answer["headline"] == (
        "No clear winner: nothing beats clean images by more than noise; train with trivial-augment."
    )
    assert answer["advice"] == "trivial-augment"
    assert answer["next_step"].startswith("Train once with trivial-augment and once on clean images")


def test_from_scratch_without_a_shift_the_control_is_the_advice_where_nothing_is_clear():
    answer = answer_of(*nothing_clear(), pretrained=False, shift=shift(1.0))
    assert answer["advice"] == "trivial-augment"
    assert answer["headline"].startswith("No clear winner")


@pytest.mark.parametrize("clear", [True, False])
def test_without_a_shift_and_with_pretrained_weights_the_advice_is_clean_images(clear: bool):
    answer = answer_of(*(winner() if clear else nothing_clear()), shift=shift(0.95))
    assert answer["advice"] == "clean"
    assert answer["headline"].startswith("Train on clean images" if clear else "No clear winner")
    assert "clean images" in answer["headline"]
    assert answer["trust"] == (
        "On 6 comparable tasks clean images lost 0.1 points against the best; always TrivialAugment lost 3.0."
    )
    assert any("invert is first" in sentence for sentence in answer["answer"]) == clear


@pytest.mark.parametrize("seed", range(40))
def test_headline_and_candidates_agree_in_any_ranking(seed: int):
    """Once "nothing beats clean images" was said above candidates that beat them, by one image."""
    random = np.random.default_rng(seed)
    clean = int(random.integers(0, 60))
    names = ["invert", "mirror", "grey", "trivial_augment"]
    clouds = {
        name: cloud(
            (first(clean) & (random.random(TARGETS) > random.choice([0.0, 0.1])))
            | (random.random(TARGETS) < random.choice([0.0, 0.005, 0.02, 0.1])),
            distance=float(random.choice([0.6, 1.0])),
        )
        for name in names
    }
    scores = candidates(clean, **clouds)
    ranking, ranked_by = ranked(*scores)
    clear = [candidate for candidate in ranking if candidate.beats_clean]
    answer = answer_of(*scores)
    nothing = "nothing beats clean images" in answer["headline"]
    assert nothing == (not clear)
    (group_of_clean,) = [candidate.group for candidate in ranking if candidate.name == "clean"]
    assert (group_of_clean == 1) == (not clear)
    if ranked_by == "coverage_gain":
        assert answer["advice"] == (clear[0].name if clear else "trivial-augment")
        assert answer["headline"].startswith("Train with" if clear else "No clear winner")
        assert all(round(candidate.score * TARGETS) >= 2 for candidate in clear)
    for candidate in ranking:
        if candidate.role == "ranked" and ranked_by == "coverage_gain":
            assert candidate.beats_clean == ("with consistent labels" in candidate.reasons[0])
    without_shift = answer_of(*scores, shift=shift(1.0))["headline"]
    assert "nothing beats" not in without_shift
    assert "without a shift" in without_shift


@pytest.mark.parametrize(("won", "better"), [(1, False), (2, True)])
def test_one_target_image_more_is_no_gain_however_sure_it_is(won: int, better: bool):
    (record,) = [candidate for candidate in ranked(*candidates(40, mirror=cloud(first(41))))[0] if candidate.rank]
    halves = np.full((100, 1), won / 60)
    order, groups, beats, clean_group = rank_gains(np.array([won / 60]), halves, least=least_gain(60))
    assert order.tolist() == [0]
    assert groups.tolist() == [1]
    assert beats.tolist() == [better]
    assert clean_group == (2 if better else 1)
    sure = record.model_copy(update={"interval": (0.0167, 0.0167), "score": 1 / 60, "beats_clean": False})
    settings = {"by_distance": False, "harmed": [], "helped": []}
    assert reasons(sure, **settings)[0] == "covers 1.7 points more of the target: too little to call it better"
    told = recommend(
        [sure], ranked_by="coverage_gain", order=None, shift=shift(0.2), baseline=None, pretrained=True,
        at_chance=False, target="test", n_target=60, n_val=90,
    )  # fmt: skip
    assert "nothing beats clean images" in told["headline"]
    assert any("a gain counts from 2 of 60 images on, 3.3 points" in words for words in told["answer"])


def test_the_winner_is_the_first_that_beats_clean_images():
    ranking, ranked_by = ranked(*candidates(40, invert=cloud(first(120)), mirror=cloud(first(119))))
    ranking = [
        candidate.model_copy(update={"beats_clean": False}) if candidate.rank == 1 else candidate
        for candidate in ranking
    ]
    told = recommend(
        ranking, ranked_by=ranked_by, order=None, shift=shift(0.2), baseline=None, pretrained=True, at_chance=False,
        target="test", n_target=200, n_val=90,
    )  # fmt: skip
    assert told["headline"].startswith("Train with mirror")
    assert told["answer"][0] == "It is indistinguishable from invert."


def test_after_short_runs_a_candidate_behind_a_first_that_may_be_noise_is_not_the_answer():
    """On hazed digits jitter-strong was first and best, augmix behind it beat clean surely and lost 58 points."""
    scores = candidates(40, invert=cloud(first(120)), mirror=cloud(first(119)), trivial_augment=cloud(first(60)))
    ranking, ranked_by = ranked(*scores)
    ranking = [
        candidate.model_copy(update={"beats_clean": False}) if candidate.rank == 1 else candidate
        for candidate in ranking
    ]
    told = recommend(
        ranking, ranked_by=ranked_by, order=ORDER, shift=shift(0.2), baseline=None, pretrained=True, at_chance=False,
        target="test", n_target=200, n_val=90,
    )  # fmt: skip
    assert told["advice"] == "trivial-augment"
    assert told["headline"] == "Train with trivial-augment, the usual default: invert is first, but not clearly better."
    assert told["answer"][0].startswith("invert is first, but cannot be told from clean images")


def test_a_ranking_by_distance_names_no_winner():
    answer = answer_of(*candidates(0, invert=cloud(first(4), distance=0.2)), target="validation")
    assert answer["headline"].startswith("No clear winner")
    assert answer["advice"] == "trivial-augment"
    assert "with all candidates hardly any validation image is covered" in answer["headline"]
    assert any("2 % of the validation images are covered: hardly any" in words for words in answer["answer"])
    assert "So distances rank instead of coverage: invert comes nearest." in answer["answer"]


@pytest.mark.parametrize(("steps", "advice"), [(7, "trivial-augment"), (8, "invert")])
def test_where_nothing_is_covered_a_run_of_too_few_steps_names_no_winner(steps: int, advice: str):
    ranking, ranked_by = ranked(*candidates(0, invert=cloud(first(4), distance=0.2)))
    run = ShortRun(
        stage="network", seeds=2, steps=steps, rungs=1, target_accuracy_gain=0.2,
        target_accuracy_gain_interval=(0.1, 0.3),
    )  # fmt: skip
    ranking = [
        candidate.model_copy(update={"run": run, "beats_clean": True}) if candidate.name == "invert" else candidate
        for candidate in ranking
    ]
    assert choose_advice(ranking, ranked_by=ranked_by, order=ORDER)[0] == advice


def test_a_control_that_breaks_labels_is_not_the_advice():
    scores = candidates(40, trivial_augment=cloud(first(41)), mirror=cloud(first(41)))
    broken = preserved(relearned=0 * LABELS)
    scores = [replace(one, labels=broken) if one.name == "trivial-augment" else one for one in scores]
    answer = answer_of(*scores)
    assert answer["advice"] == "clean"
    assert answer["headline"].endswith("train on clean images.")
    assert "trivial-augment, the usual default in that case, breaks labels here." in answer["answer"]


@pytest.mark.parametrize(("n_target", "n_val", "few"), [(39, 90, "39 test"), (200, 19, "19 validation")])
def test_of_too_few_images_no_winner_is_named(n_target: int, n_val: int, few: str):
    answer = answer_of(*winner(), n_target=n_target, n_val=n_val)
    assert answer["headline"].startswith(f"Too few images to say: {few} images")
    assert answer["advice"] == "clean"
    assert "at least 40 target and 20 validation images" in answer["next_step"]
    assert answer_of(*winner(), n_target=40, n_val=20)["advice"] == "invert"


def test_a_probe_at_chance_is_the_headline():
    answer = answer_of(*winner(), at_chance=True)
    assert answer["headline"].startswith("This model's features cannot tell the classes apart here")
    assert answer["advice"] == "clean"
    assert "--model" in answer["next_step"]
    assert "lost" not in answer["trust"]


def test_where_nothing_can_be_told_apart_it_is_said_how_many_images_that_rests_on_and_what_to_give():
    answer = answer_of(*winner(), at_chance=True, n_val=13, n_sources=40, max_images=40)
    assert "of 40 source images classifies 13 held-out images" in answer["answer"][0]
    assert "--max-images" in answer["answer"][0]
    assert "more than 40 images of each kind with --max-images" in answer["next_step"]
    assert "--max-images" not in " ".join(answer_of(*winner(), at_chance=True)["answer"])


def test_a_baseline_that_its_time_cap_ended_is_given_more_time():
    notes = ["Baseline: The time cap of 30 s ended it after 3 of 90 epochs."]
    answer = answer_of(*winner(), at_chance=True, longer_baseline_s=120, explained=notes)
    assert answer["next_step"].startswith("Give --scratch-time 2m")
    assert answer["longer_baseline_s"] == 120
    assert answer_of(*winner(), longer_baseline_s=120)["longer_baseline_s"] is None, "the features tell classes apart"
    assert notes[0] in answer["answer"]
    assert sum(words.startswith("Both may be true: the baseline's accuracy") for words in answer["answer"]) == 1
    assert "Both may be true" not in " ".join(answer_of(*winner(), at_chance=True)["answer"])


def test_target_images_that_are_in_training_are_named_in_the_answer():
    words = "1 of 60 target images is a duplicate of a training image."
    assert all(words in answer_of(*scores, repeated=words)["answer"] for scores in (winner(), nothing_clear()))


def test_where_nothing_matched_the_trust_is_that_of_trainings_without_a_match():
    assert answer_of(*nothing_clear())["trust"] == (
        "On 30 comparable tasks where nothing in the catalogue matched the shift, the first candidate lost 5.8 points "
        "against the best, always TrivialAugment 3.5 and clean images 8.5."
    )
    assert "nothing in the catalogue" not in answer_of(*winner())["trust"]


def test_a_run_without_ranked_candidates_says_what_to_do():
    answer = answer_of(*candidates())
    assert "no winner" in answer["headline"]
    assert "--candidates" in answer["next_step"]


def test_every_headline_is_a_sentence_of_at_most_twenty_words():
    by_distance = candidates(0, invert=cloud(first(4), distance=0.2))
    answers = [
        answer_of(
            *scores, pretrained=pretrained, shift=shift(ratio), at_chance=at_chance, n_target=n_target, order=order
        )
        for scores in (winner(), nothing_clear(), by_distance, candidates())
        for pretrained in (True, False)
        for ratio in (0.2, 1.0, None)
        for at_chance in (True, False)
        for n_target in (10, 200)
        for order in (None, ORDER)
    ]
    for answer in answers:
        for name in ("headline", "next_step", "trust"):
            assert answer[name].endswith(".")
            assert answer[name][0].isupper()
        assert len(answer["headline"].split()) <= 20, answer["headline"]
        assert answer["answer"]
    assert len({answer["headline"] for answer in answers}) >= 8


def test_a_baseline_that_breaks_labels_is_said_first():
    baseline = BaselineAugmentation(name="half-turns", label_breaking=["6 and 9 are one"])
    answer = answer_of(*winner(), baseline=baseline)["answer"][0]
    assert "half-turns breaks labels itself: 6 and 9 are one" in answer
    assert answer_of(*winner(), baseline=BaselineAugmentation(name="mirror"))["answer"][0] == (
        "All gains are on top of mirror."
    )


def test_what_the_budget_bought_is_said_by_rung():
    rungs = [Rung(stage="probe", candidates=50, steps=0, seconds=None)]
    rungs += [Rung(stage="network", candidates=40, steps=12, seconds=1.0)]
    rungs += [Rung(stage="network", candidates=20, steps=30, seconds=1.0)]
    sentence = budget_words(rungs, budget_s=600, used_s=571.6, steps=2412, seeds=2, share=0.0816, epochs=40)
    assert sentence == (
        "Short runs took 572 of 600 s, with 2 seeds: 12 steps for each of 40 candidates, then 30 more steps for "
        "each of 20 candidates. 2,412 steps in all, 8 % of training all candidates for 40 epochs."
    )
    assert "no candidate was trained" in budget_words(
        [], budget_s=5, used_s=5, steps=9, seeds=1, share=0.0001, epochs=40
    )


def test_a_run_says_what_is_beyond_noise_and_nothing_more():
    run = ShortRun(
        stage="network", seeds=2, steps=40, rungs=1, log_loss_gain=0.05, log_loss_interval=(0.01, 0.09),
        post_training_coverage_gain=0.08, post_training_coverage_interval=(-0.01, 0.17),
    )  # fmt: skip
    assert run_reasons(run) == ["after 40 steps with it validation log loss is 0.050 better than that of clean images"]
    run = run.model_copy(update={"log_loss_interval": (-0.01, 0.1), "post_training_coverage_interval": (0.01, 0.15)})
    assert run_reasons(run) == [
        "after 40 steps with it validation log loss is no different from that of clean images beyond noise",
        "after its run clean training covers 8.0 points more of the target",
    ]
    assert run_reasons(None) == []


def test_a_run_of_a_few_steps_says_that_it_says_nothing():
    run = ShortRun(stage="network", seeds=1, steps=3, rungs=1, log_loss_gain=0.5, log_loss_interval=(0.1, 0.9))
    assert run_reasons(run) == ["its short run had 3 steps: too few to say"]


def test_where_the_orders_disagree_it_is_said_which_to_trust():
    differing = two_orders(["invert", "grey"], ["grey", "invert"], agreement=-0.3, target_is_validation=False)
    assert "by the target invert is first, by validation grey" in differing
    assert "trust the target" in differing
    assert "trust validation" in two_orders(["invert"], ["grey"], agreement=0.1, target_is_validation=True)
    assert "agree" in two_orders(["invert"], ["invert"], agreement=0.8, target_is_validation=False)
    assert "cannot be compared" in two_orders([], [], agreement=None, target_is_validation=False)


def test_why_a_candidate_stands_well_though_its_network_fell_behind():
    def parts(head: float | None, network: float | None) -> dict[str, Part]:
        return {
            "probe_validation": Part(value=head, standardised=0, rank=None),
            "validation": Part(value=network, standardised=0, rank=None),
        }

    (words,) = probe_reasons(parts(0.019, -0.199))
    assert "1.9 points of probability more than clean" in words
    assert "19.9 points of probability less than clean" in words
    assert probe_reasons(parts(0.01, 0.02)) == probe_reasons(parts(0.01, None)) == probe_reasons({}) == []


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


MEASURED: dict[str, Any] = {
    "version": 2,
    "trainings": 1234,
    "short_runs": [],
    "situations": {
        "from scratch, shifted": {
            "models": ["small-cnn", "small-vit"],
            "tasks": 11,
            "sources": 3,
            "spearman": estimate(-0.123, -1.4, 0.9),
            "regret_of_advice": estimate(3.21),
            "regret_of_trivial_augment": estimate(6.54),
            "regret_of_clean": estimate(9.87),
        }
    },
}


def sentences(ratio: float | None, *, pretrained: bool = False, share: float | None = None, **measured: Any) -> str:
    trust, details = trust_words(shift(ratio), pretrained=pretrained, share=share, **measured)
    return " ".join([trust, *details])


@pytest.mark.parametrize("ratio", [0.2, None])
def test_the_figures_of_the_situation_are_said(ratio: float | None) -> None:
    trust, details = trust_words(shift(ratio), pretrained=False, share=None, measured=MEASURED)
    assert trust == (
        "On 11 comparable tasks the first suggestion lost 3.2 points against the best; always TrivialAugment lost 6.5."
    )
    for figure in (
        "from scratch, shifted",
        "3 sources",
        "1,234",
        "small-cnn and small-vit",
        "−0.12 (−1.00 to 0.90)",
        "clean images lost 9.9 points",
    ):
        assert figure in details[0]
    assert "short runs" not in sentences(ratio, measured=MEASURED)


@pytest.mark.parametrize(("ratio", "pretrained"), [(0.95, False), (0.2, True)])
def test_another_situation_is_said_not_to_be_compared(ratio: float, pretrained: bool) -> None:
    trust, details = trust_words(shift(ratio), pretrained=pretrained, share=None, measured=MEASURED)
    assert "not compared with real trainings for a model" in trust
    assert details == []


def test_what_a_pretrained_model_ranks_better_and_worse_is_said() -> None:
    situation = MEASURED["situations"]["from scratch, shifted"] | {
        "by_pretrained_model": {"regret": estimate(1.26), "regret_of_own": estimate(4.32)}
    }
    measured = MEASURED | {"situations": {"from scratch, shifted": situation}}
    words = sentences(0.2, measured=measured)
    assert (
        "Ranked by a pretrained model's features the first candidate lost 1.3 points, by its own 4.3 points." in words
    )
    assert "--weights" in words
    situation["without_cure"] = {"regret": estimate(31.9), "regret_of_own": estimate(17.9)}
    words = sentences(0.2, measured=measured)
    assert "with the matching augmentation left out of the catalogue 31.9 points and 17.9 points." in words


def test_short_runs_were_not_compared() -> None:
    assert "with short runs it was not compared" in sentences(0.2, share=0.08, measured=MEASURED)


def test_short_runs_are_told_the_figures_of_the_longest_compared_ones_that_are_no_longer() -> None:
    of_coverage = MEASURED["situations"]["from scratch, shifted"]
    short_runs = [
        {"share": share, "situations": {"from scratch, shifted": of_coverage | {"regret_of_advice": estimate(lost)}}}
        for share, lost in ((0.02, 2.22), (0.05, 1.11), (0.1, 0.77))
    ]
    measured = MEASURED | {"short_runs": short_runs}
    words = sentences(0.2, share=0.08, measured=measured)
    assert "the first suggestion lost 1.1 points" in words
    assert "short runs of 5 % of the steps of all trainings, which began untrained" in words
    assert "here they were 8 %" in words
    too_short = sentences(0.2, share=0.004, measured=measured)
    assert "the first suggestion lost 3.2 points" in too_short
    assert (
        "short runs of at least 2 % of the steps of all trainings were compared, and here they were 0.4 %" in too_short
    )
    assert "short runs" not in sentences(0.2, measured=measured)


def test_advice_that_beat_the_best_by_luck_lost_nothing() -> None:
    situation = MEASURED["situations"]["from scratch, shifted"] | {"regret_of_advice": estimate(-0.4)}
    measured = MEASURED | {"situations": {"from scratch, shifted": situation}}
    assert "the first suggestion lost 0.0 points" in sentences(0.2, measured=measured)


def test_the_file_that_ships_holds_every_situation() -> None:
    for pretrained in (False, True):
        for ratio in (0.2, 1.0):
            assert sentences(ratio, pretrained=pretrained).startswith("On ")
