from __future__ import annotations

from made_up import bench, cloud_cover, first, judged

from eyeshot.rankings.augmentations import words
from eyeshot.rankings.augmentations.advice import choose_advice
from eyeshot.rankings.augmentations.report import Part, Round, ShortRun
from eyeshot.rankings.augmentations.run_words import budget_words, head_counts, run_reasons, two_orders


def answer_of(*candidates, target: str = "test") -> list[str]:
    found = judged(*candidates)
    ranked = [one for one in found.candidates if one.role == "ranked"]
    by_distance = found.ranked_by == "nearest_distance"
    _, why = choose_advice(found)
    return words.finding(ranked, clear=found.clear, by_distance=by_distance, advice=why, target=target)


def test_a_clear_winner_is_named_with_what_it_reaches():
    answer = answer_of(*bench(40, invert=cloud_cover(first(120)), mirror=cloud_cover(first(42))))
    assert answer == [
        "Train with invert: with it, 60 % of the test images lie within reach of training images that agree on one "
        "class, 40.0 points more than without.",
    ]


def test_what_cannot_be_told_from_the_winner_is_named_beside_it():
    answer = answer_of(*bench(40, invert=cloud_cover(first(120)), grey=cloud_cover(first(120))))
    assert answer[1] == "It cannot be told from grey."


def test_where_no_gain_is_clear_the_advice_is_the_control():
    answer = answer_of(*bench(40, mirror=cloud_cover(first(41))))
    assert answer[0].startswith("No candidate beats clean by more than noise. The advice is trivial-augment")


def test_a_ranking_by_distance_says_so():
    answer = answer_of(*bench(0, invert=cloud_cover(first(4), distance=0.2)), target="validation")
    assert answer[0].startswith("No candidate reaches the validation images: with the best, 2 % of them are covered. ")
    assert "The advice is trivial-augment" in answer[0]
    assert answer[1] == "The ranking is by distance instead; invert comes nearest."


def test_a_run_without_ranked_candidates_says_what_to_do():
    assert "--candidates" in answer_of(*bench())[0]


def test_what_the_budget_bought_is_told_by_round():
    rounds = [Round(stage="head", candidates=50, steps=0, seconds=None)]
    rounds += [Round(stage="network", candidates=40, steps=12, seconds=1.0)]
    rounds += [Round(stage="network", candidates=20, steps=30, seconds=1.0)]
    told = budget_words(rounds, budget_s=600, used_s=571.6, steps=2412, starts=2, share=0.0816)
    assert told == (
        "Short runs took 572 of 600 s, from 2 starts: 12 steps for each of 40 candidates, then 30 more steps for "
        "each of 20 candidates. 2,412 steps in all, 8 % of training all candidates for 30 epochs."
    )
    assert "no candidate had a turn" in budget_words([], budget_s=5, used_s=5, steps=9, starts=1, share=0.0001)


def test_a_run_says_what_is_beyond_noise_and_nothing_more():
    run = ShortRun(
        stage="network", starts=2, steps=40, rounds=1, log_loss_gain=0.05, log_loss_interval=(0.01, 0.09),
        cover_after_run_gain=0.08, cover_after_run_interval=(-0.01, 0.17),
    )  # fmt: skip
    assert run_reasons(run) == ["after 40 steps with it validation log loss is 0.050 better than clean's"]
    run = run.model_copy(update={"log_loss_interval": (-0.01, 0.1), "cover_after_run_interval": (0.01, 0.15)})
    assert run_reasons(run) == [
        "after 40 steps with it validation log loss is no different from clean's beyond noise",
        "after its run clean training covers 8.0 points more of the target",
    ]
    assert run_reasons(None) == []


def test_where_the_orders_disagree_it_is_said_which_to_trust():
    far = two_orders(["invert", "grey"], ["grey", "invert"], agreement=-0.3, weight=0.9)
    assert "by cover invert is first, by validation grey" in far
    assert "trust cover" in far
    assert "trust validation" in two_orders(["invert"], ["grey"], agreement=0.1, weight=0.2)
    assert "agree" in two_orders(["invert"], ["invert"], agreement=0.8, weight=0.2)
    assert "cannot be compared" in two_orders([], [], agreement=None, weight=0.2)


def test_why_a_candidate_stands_well_though_its_network_fell_behind():
    def parts(head: float | None, network: float | None) -> dict[str, Part]:
        return {
            "head": Part(value=head, standardised=0, rank=None),
            "validation": Part(value=network, standardised=0, rank=None),
        }

    (words,) = head_counts(parts(0.019, -0.199))
    assert "1.9 points of probability more than clean" in words
    assert "19.9 points of probability less than clean" in words
    assert head_counts(parts(0.01, 0.02)) == head_counts(parts(0.01, None)) == head_counts({}) == []
