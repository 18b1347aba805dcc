"""Which finished model to take: by the estimate under a shift, by validation without one."""

import numpy as np
import pytest
from scipy import special

from eyeshot.core import InputError
from eyeshot.predictions import Predictions, choose_model, judge_model

CLASSES = ("a", "b", "c", "d", "e")


def predicted(skill, *, count, seed, favours=0.0, split="test"):
    """Predictions of `count` images, the same for a seed but for the skill; labels are even."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 5
    scores = random.normal(0, 1.5, (count, 5))
    scores[np.arange(count), labels] += skill
    scores[:, 0] += favours
    ids = tuple(map(str, range(count)))
    return Predictions(ids, special.softmax(scores, axis=1), CLASSES, labels, run="r", split=split)


def model(name, *, validates, target=None, favours=0.0, images=(300, 400), seed=0):
    """A model with these skills; without one on the target it has not predicted it."""
    validation = predicted(validates, count=images[0], seed=seed, split="validation")
    of_target = None if target is None else predicted(target, count=images[1], seed=seed + 1, favours=favours)
    return name, judge_model([(validation, of_target)])


def choice_of(*models):
    return choose_model(dict(models))


def test_without_a_shift_validation_chooses_though_the_estimate_would_choose_another():
    choice = choice_of(model("best", validates=5, target=4.4), model("other", validates=4.6, target=4.8))
    assert (choice.by, choice.chosen, choice.tied) == ("validation", "best", ("best", "other"))
    assert "which shows no shift" in choice.reason
    assert abs(choice.drop) < 0.06


def test_under_a_shift_the_estimate_chooses_though_validation_would_choose_another():
    choice = choice_of(model("brittle", validates=5, target=1, favours=2), model("robust", validates=4, target=3))
    assert (choice.by, choice.chosen, choice.tied) == ("estimate", "robust", ("robust",))
    assert choice.drop > 0.2
    assert "robust is chosen by the estimate on the test images" in choice.reason
    assert "shows a shift" in choice.reason


def test_what_the_estimate_cannot_tell_apart_is_said_and_validation_does_not_decide():
    alike = [model("first", validates=4, target=3.2), model("second", validates=5, target=2, seed=7)]
    bad = model("bad", validates=6, target=0.5, favours=3)
    choice = choice_of(*alike, bad)
    assert (choice.by, choice.chosen, choice.tied) == ("estimate", "first", ("first", "second"))
    assert choice.reason.endswith("second cannot be told apart from it by the estimate.")


def test_equal_models_tie_and_the_first_is_taken():
    clean = model("clean", validates=4, target=1)
    choice = choice_of(clean, ("no-op", clean[1]), model("worse", validates=4, target=0, favours=3))
    assert (choice.chosen, choice.tied) == ("clean", ("clean", "no-op"))


def test_a_model_without_predictions_of_the_target_leaves_the_choice_to_validation():
    some = choice_of(model("best", validates=5), model("other", validates=4, target=2))
    assert (some.by, some.chosen, some.drop) == ("validation", "best", None)
    assert some.shift == "best has no estimate on the test images."
    none = choice_of(model("best", validates=5), model("other", validates=4))
    assert none.reason.endswith("No model has an estimate on the test images.")


def test_random_predictions_however_even_and_sure_never_win_under_a_shift():
    """Evenness of noise is no skill: its temperature takes its confidence away."""
    for seed in range(5):
        random = np.random.default_rng(seed)

        def noise(count, random=random):
            sure = np.eye(5)[random.integers(0, 5, count)] * 0.98 + 0.004
            return Predictions(tuple(map(str, range(count))), sure, CLASSES, np.arange(count) % 5)

        chance = judge_model([(noise(300), noise(400))])
        assert chance[1][0] == pytest.approx(0.2, abs=0.08)
        assert choice_of(("chance", chance), model("weak", validates=3, target=1, seed=seed)).chosen == "weak"


def test_shuffled_predictions_lose_against_their_own_model():
    validation, target = predicted(4, count=300, seed=1), predicted(2, count=400, seed=2)
    random = np.random.default_rng(0)
    mixed = [
        Predictions(table.ids, random.permutation(table.probabilities), CLASSES, table.labels)
        for table in (validation, target)
    ]
    choice = choice_of(("shuffled", judge_model([tuple(mixed)])), ("own", judge_model([(validation, target)])))
    assert (choice.by, choice.chosen, choice.tied) == ("estimate", "own", ("own",))


@pytest.mark.parametrize("images", [(20, 20), (300, 20)])
def test_of_few_images_differences_are_not_believed(images):
    """Of two models of one skill the estimate must seldom be sure."""
    sure = 0
    for seed in range(20):
        pair = [
            model("one", validates=3, target=1, images=images, seed=seed),
            model("two", validates=3, target=1, images=images, seed=seed + 100),
        ]
        choice = choice_of(*pair)
        sure += choice.by == "estimate" and len(choice.tied) == 1
    assert sure <= 5  # these two see different noise, which pairing by image does not take off


def test_no_shift_is_seldom_seen_where_there_is_none():
    seen = sum(
        choice_of(*(model(str(skill), validates=skill, target=skill, seed=seed) for skill in (3, 4))).by == "estimate"
        for seed in range(20)
    )
    assert seen <= 6  # a drop above its standard error comes by chance in one of six


def test_runs_of_a_model_are_averaged():
    runs = [(predicted(4, count=300, seed=seed), predicted(2, count=400, seed=seed + 9)) for seed in (0, 1)]
    each, both = [judge_model([run]) for run in runs], judge_model(runs)
    for part in (0, 1):
        assert both[part][0] == pytest.approx(np.mean([one[part][0] for one in each]))
        assert both[part][1] == pytest.approx(np.mean([one[part][1] for one in each], axis=0))
    assert judge_model([runs[0], (runs[1][0], None)])[1] is None


def test_classes_in_another_order_and_given_shares_are_understood():
    validation, target = predicted(4, count=300, seed=0), predicted(2, count=400, seed=1)
    order = [3, 1, 0, 2, 4]
    turned = Predictions(
        target.ids, target.probabilities[:, order], tuple(CLASSES[place] for place in order), None, split="test"
    )
    plain = judge_model([(validation, target)])[1][0]
    assert judge_model([(validation, turned)])[1][0] == pytest.approx(plain, abs=1e-3)
    shares = {"a": 0.6, "b": 0.1, "c": 0.1, "d": 0.1, "e": 0.1}
    assert judge_model([(validation, target)], class_shares=shares)[1][0] < plain - 0.1


def test_nothing_to_choose_from_and_nothing_to_judge_by_are_refused():
    with pytest.raises(InputError, match="At least one finished model"):
        choose_model({})
    blank = Predictions(("0",), np.full((1, 5), 0.2), CLASSES, run="blank")
    with pytest.raises(InputError, match="validation images with labels, but 'blank' has none"):
        judge_model([(blank, None)])
