"""Estimated accuracy without labels: equal to the linear program, closed forms, and no praise for a run at chance."""

import numpy as np
import pytest
from scipy import optimize, special

from eyeshot.core import InputError
from eyeshot.predictions import Predictions, estimate_target_accuracy

EXACT = 5e-4


def by_linear_program(probabilities, shares):
    """Mean probability of the cheapest assignment, as the transport problem is written down."""
    count, classes = probabilities.shape
    rows = np.kron(np.eye(count), np.ones((1, classes)))
    columns = np.kron(np.ones((1, count)), np.eye(classes))
    found = optimize.linprog(
        (1 - probabilities).ravel(), A_eq=np.vstack([rows, columns]),
        b_eq=np.concatenate([np.full(count, 1 / count), shares]), method="highs",
    )  # fmt: skip
    return 1 - found.fun


def by_assignment(probabilities, counts):
    """The same where each class takes a whole number of images."""
    copies = np.repeat(probabilities, counts, axis=1)
    return copies[optimize.linear_sum_assignment(copies, maximize=True)].mean()


def noisy(count, classes, *, skill=3.0, bias=1.0, seed=0, sharp=1.0):
    """Probabilities and labels: scores of the label are higher by `skill`, and some classes are preferred."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    scores = random.normal(0, 1.5, (count, classes)) + bias * random.normal(0, 1, classes)
    scores[np.arange(count), labels] += skill
    return special.softmax(sharp * scores, axis=1), labels


def one_hot(answers, classes):
    return np.eye(classes)[answers]


def sentences(estimate):
    return " ".join(estimate.warnings)


@pytest.mark.parametrize(("count", "classes", "bias"), [(20, 7, 1.0), (60, 3, 3.0), (40, 10, 0.0), (6, 12, 1.0)])
@pytest.mark.parametrize("seed", range(3))
def test_the_estimate_is_that_of_the_linear_program(count, classes, bias, seed):
    probabilities, _ = noisy(count, classes, bias=bias, seed=seed)
    shares = np.random.default_rng(seed).dirichlet(np.full(classes, 3.0))
    estimate = estimate_target_accuracy(probabilities, class_shares=shares)
    assert estimate.value == pytest.approx(by_linear_program(probabilities, shares), abs=EXACT)
    assert estimate.gap <= EXACT


@pytest.mark.parametrize("bias", [0.0, 2.0, 6.0])
def test_the_estimate_is_that_of_the_assignment_of_single_images(bias):
    counts = np.array([30, 100, 20, 250, 100])
    probabilities, _ = noisy(500, 5, bias=bias)
    estimate = estimate_target_accuracy(probabilities, class_shares=counts / 500)
    assert estimate.value == pytest.approx(by_assignment(probabilities, counts), abs=EXACT)


def test_many_classes_stay_near_the_assignment():
    probabilities, _ = noisy(600, 200, skill=6)
    estimate = estimate_target_accuracy(probabilities.astype(np.float16), class_shares="even")
    assert estimate.value == pytest.approx(by_assignment(probabilities, np.full(200, 3)), abs=2 * EXACT)


def test_perfect_predictions_are_right_where_the_shares_hold():
    estimate = estimate_target_accuracy(one_hot(np.arange(700) % 7, 7), class_shares="even")
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((1, 1, 1), abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_constant_predictions_are_right_as_often_as_their_class_occurs(share):
    shares = np.array([share, *[(1 - share) / 4] * 4])
    estimate = estimate_target_accuracy(one_hot(np.zeros(400, int), 5), class_shares=shares)
    assert estimate.value == pytest.approx(share, abs=EXACT)


def test_equal_rows_give_their_mean_probability():
    row, shares = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])
    assert estimate_target_accuracy(np.tile(row, (50, 1)), class_shares=shares).value == pytest.approx(
        row @ shares, abs=EXACT
    )


@pytest.mark.parametrize("confidence", [0.8, 1.0])
def test_sure_answers_of_other_shares_than_assumed_give_what_is_left(confidence):
    """No image is in doubt, so that the smoothed dual has no curvature."""
    rest = (1 - confidence) / 2
    probabilities = (one_hot(np.arange(60) % 3, 3) * (confidence - rest) + rest).astype(np.float16)
    estimate = estimate_target_accuracy(probabilities, class_shares=[0.5, 0.3, 0.2])
    assert estimate.value == pytest.approx(confidence - (confidence - rest) / 6, abs=2 * EXACT)


def test_a_calibrated_run_is_estimated_rightly():
    random = np.random.default_rng(3)
    probabilities, _ = noisy(6000, 6, bias=0)
    labels = (probabilities.cumsum(1) > random.random((6000, 1))).argmax(1)
    target, known = slice(0, 4000), slice(4000, None)
    estimate = estimate_target_accuracy(probabilities[target], validation=(probabilities[known], labels[known]))
    true = (probabilities[target].argmax(1) == labels[target]).mean()
    assert estimate.value == pytest.approx(true, abs=0.02)
    assert estimate.temperature == pytest.approx(1, abs=0.08)
    assert estimate.warnings == ()


def test_a_run_at_chance_does_not_look_good_however_sure_it_is():
    random = np.random.default_rng(4)
    sure = one_hot(random.integers(0, 5, 3000), 5) * 0.98 + 0.004
    labels = random.integers(0, 5, 1000)
    estimate = estimate_target_accuracy(sure[1000:], validation=(sure[:1000], labels))
    assert estimate.value < 0.3
    assert "not clearly better than always answering the most frequent class" in sentences(estimate)
    assert estimate_target_accuracy(sure[1000:]).value > 0.9  # nothing else could tell: hence this warning
    assert "a run that is sure and wrong looks right" in sentences(estimate_target_accuracy(sure[1000:]))


def test_shuffled_predictions_show_no_skill():
    probabilities, labels = noisy(3000, 5, skill=6, bias=0)
    good = estimate_target_accuracy(probabilities[1000:], validation=(probabilities[:1000], labels[:1000]))
    shuffled = np.random.default_rng(5).permutation(probabilities)
    bad = estimate_target_accuracy(shuffled[1000:], validation=(shuffled[:1000], labels[:1000]))
    assert good.value > 0.9
    assert bad.value < 0.3


def test_a_run_that_prefers_one_class_looks_worse_though_it_is_as_sure():
    even, labels = noisy(3000, 5, skill=6, bias=0)
    logits = np.log(even)
    logits[:, 0] += 6
    estimates = [
        estimate_target_accuracy(special.softmax(each, axis=1), validation=(even, labels))
        for each in (logits, np.log(even))
    ]
    assert estimates[0].value < estimates[1].value - 0.2
    assert "either the shares are others, or the run is much worse here" in sentences(estimates[0])
    assert "either the shares" not in sentences(estimates[1])


@pytest.mark.parametrize("skill", [1.0, 3.0, 6.0])
def test_a_run_on_images_of_the_assumed_shares_is_not_warned_of(skill):
    warned = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        probabilities, _ = noisy(600, 5, skill=skill, bias=0, seed=seed)
        labels = (probabilities.cumsum(1) > random.random((600, 1))).argmax(1)
        estimate = estimate_target_accuracy(
            probabilities[300:], validation=(probabilities[:300], labels[:300]), class_shares="even"
        )
        warned.append("either the shares" in sentences(estimate))
    assert sum(warned) <= 1


def test_the_interval_holds_what_the_estimate_of_all_images_is():
    probabilities, _ = noisy(20_000, 4, bias=0.3)
    whole = estimate_target_accuracy(probabilities).value
    held = []
    for seed in range(60):
        rows = np.random.default_rng(seed).choice(20_000, 400, replace=False)
        estimate = estimate_target_accuracy(probabilities[rows], class_shares="even")
        held.append(estimate.low <= whole <= estimate.high)
    assert np.mean(held) >= 0.9


def test_the_interval_of_perfect_predictions_holds_1_when_the_sample_is_uneven_by_chance():
    held = []
    for seed in range(40):
        answers = np.random.default_rng(seed).integers(0, 20, 200)
        estimate = estimate_target_accuracy(one_hot(answers, 20), class_shares="even")
        held.append(estimate.high >= 0.999)
        assert "the estimate may be too low by up to" in sentences(estimate)
    assert np.mean(held) >= 0.9


def test_twenty_images_and_fewer_images_than_classes_get_an_estimate():
    probabilities, labels = noisy(40, 4)
    small = estimate_target_accuracy(probabilities[:20], validation=(probabilities[20:], labels[20:]))
    assert small.low <= small.value <= small.high
    assert small.high - small.low > 0.1
    few = estimate_target_accuracy(one_hot(np.arange(5), 50), class_shares="even")
    assert few.value == pytest.approx(5 / 50, abs=EXACT)  # each class takes a fiftieth of the images
    assert "fewer target images (5) than classes (50)" in sentences(few)
    assert few.high > 0.5


def table(probabilities, classes, labels=None):
    return Predictions(tuple(map(str, range(len(probabilities)))), probabilities, classes, labels, run="r")


def test_classes_are_brought_together_by_name():
    probabilities, labels = noisy(400, 3)
    names, order = ("a", "b", "c"), [2, 0, 1]
    turned = tuple(names[place] for place in order)
    target = table(probabilities[:200], names)
    plain = estimate_target_accuracy(target, validation=table(probabilities[200:], names, labels[200:]))
    other = estimate_target_accuracy(
        target, validation=table(probabilities[200:][:, order], turned, np.argsort(order)[labels[200:]])
    )
    assert plain == other
    by_name = estimate_target_accuracy(target, class_shares={"c": 0.5, "a": 0.2, "b": 0.3})
    assert by_name == estimate_target_accuracy(target, class_shares=[0.2, 0.3, 0.5])
    assert by_name != estimate_target_accuracy(target)


def test_labels_of_the_target_images_change_nothing():
    probabilities, labels = noisy(100, 3)
    assert estimate_target_accuracy(table(probabilities, tuple("abc"), labels)) == estimate_target_accuracy(
        table(probabilities, tuple("abc"))
    )


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"a": 0.5, "b": 0.5}, "must name each class once, a, b and c, but c is missing or unknown"),
        ({"a": 0.5, "b": 0.2, "c": 0.3, "d": 0}, "d is missing or unknown"),
        ([0.5, 0.5], r"must be 3 numbers, one per class, got shape \(2,\)"),
        ([0.5, 0.5, 0.5], r"must sum to 1, got 1\.5\. Divide each by the sum"),
        ([1.5, -0.5, 0], "must be 0 or more, got -0.5"),
        ([np.nan, 0.5, 0.5], "must be 0 or more, got nan"),
        ("uneven", 'must be "even", a share for each class, or None'),
    ],
)
def test_shares_that_cannot_be_are_refused(shares, message):
    with pytest.raises(InputError, match=message):
        estimate_target_accuracy(table(noisy(30, 3)[0], tuple("abc")), class_shares=shares)


def test_probabilities_that_are_none_are_refused():
    good, labels = noisy(30, 3)
    broken = good.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InputError, match="must be finite"):
        estimate_target_accuracy(broken)
    with pytest.raises(InputError, match="must be finite"):
        estimate_target_accuracy(good, validation=(broken, labels))
    with pytest.raises(InputError, match="scores before softmax"):
        estimate_target_accuracy(good * 10)
    with pytest.raises(InputError, match=r"at least one image and two classes, .* got \(0, 3\)"):
        estimate_target_accuracy(good[:0])
    with pytest.raises(InputError, match=r"probabilities \(m, 3\) and labels"):
        estimate_target_accuracy(good, validation=(good[:, :2] / good[:, :2].sum(1, keepdims=True), labels))
    with pytest.raises(InputError, match="labels from 0 to 2, got 0 images"):
        estimate_target_accuracy(table(good, tuple("abc")), validation=table(good, tuple("abc")))
    with pytest.raises(InputError, match="need predictions with class names"):
        estimate_target_accuracy(good, class_shares={"a": 1.0})
