"""Estimated accuracy without labels: equal to the linear program, closed forms, and no praise for a run at chance."""

import time

import numpy as np
import pytest
from scipy import optimize, special

from eyeshot.core import InputError
from eyeshot.predictions import (
    Predictions,
    accuracy_by_image,
    checked_shares,
    estimate_target_accuracy,
    read_class_shares,
    share_warnings,
)
from eyeshot.predictions.target_accuracy import class_prices, prices_by_assignment

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


def even(classes):
    return np.full(classes, 1 / classes)


@pytest.mark.parametrize(("count", "classes"), [(400, 5), (600, 200), (1500, 100)])
def test_parts_of_images_have_the_estimate_as_their_mean(count, classes):
    probabilities, _ = noisy(count, classes, skill=5, bias=1)
    shares = even(classes)
    assert accuracy_by_image(probabilities, shares)[0].mean() == pytest.approx(
        estimate_target_accuracy(probabilities, class_shares=shares).value, abs=3 * EXACT
    )


def test_prices_of_a_sample_of_images_give_at_most_half_a_point_too_much():
    probabilities, _ = noisy(3000, 250, skill=5, bias=1)
    least = by_newton(probabilities, even(250))
    assert least - EXACT <= accuracy_by_image(probabilities, even(250))[0].mean() <= least + 0.005


def test_prices_by_assignment_give_what_the_assignment_gives_and_no_image_gains_by_another_class():
    counts = np.array([30, 100, 0, 250, 120])
    probabilities, _ = noisy(500, 5, bias=2)
    prices = prices_by_assignment(probabilities, counts / 500)
    value = (probabilities + prices).max(1).mean() - prices @ counts / 500
    assert value == pytest.approx(by_assignment(probabilities, counts), abs=1e-9)
    assert not ((probabilities + prices).argmax(1) == 2).any()


@pytest.mark.parametrize("classes", [5, 300])
def test_parts_of_images_are_exact_for_perfect_and_for_constant_predictions(classes):
    perfect = accuracy_by_image(one_hot(np.arange(600) % classes, classes), even(classes))[0]
    assert perfect == pytest.approx(np.ones(600), abs=EXACT)
    constant = accuracy_by_image(one_hot(np.zeros(600, int), classes), even(classes))[0]
    assert constant == pytest.approx(np.full(600, 1 / classes), abs=EXACT)


def test_500_classes_and_fewer_images_than_classes_take_less_than_a_second():
    probabilities, _ = noisy(300, 500, skill=3)
    begin = time.process_time()
    parts = accuracy_by_image(probabilities, even(500))[0]
    assert time.process_time() - begin < 1
    assert parts.mean() == pytest.approx(by_newton(probabilities, even(500)), abs=0.02)


def by_newton(probabilities, shares):
    """The estimate by the slow method that the product uses for single estimates."""
    prices, _ = class_prices(probabilities, shares)
    return (probabilities + prices).max(1).mean() - prices @ shares


def test_of_two_runs_the_one_that_is_right_more_often_has_the_larger_parts():
    better, _ = noisy(600, 5, skill=5, bias=0)
    worse, _ = noisy(600, 5, skill=2, bias=1)
    difference = accuracy_by_image(better, even(5))[0] - accuracy_by_image(worse, even(5))[0]
    assert difference.mean() > 5 * difference.std() / np.sqrt(600)


@pytest.mark.parametrize("off", [2.0, 4.0])
def test_shares_that_are_off_by_a_factor_cost_a_good_run_what_must_then_be_wrong(off):
    """A class that is assumed `off` times too often takes that many images from the others."""
    labels = np.repeat(np.arange(5), [40, 90, 90, 90, 90])
    shares = np.bincount(labels) / 400
    wrong = shares * [off, *[(1 - off * shares[0]) / (1 - shares[0])] * 4]
    perfect = one_hot(labels, 5)
    missed = (off - 1) * shares[0]
    assert accuracy_by_image(perfect, wrong)[0].mean() == pytest.approx(1 - missed, abs=EXACT)
    assert share_warnings(perfect, wrong)
    assert not share_warnings(perfect, shares)


def test_a_class_that_the_target_lacks_costs_its_share():
    labels = np.arange(400) % 4
    estimate = accuracy_by_image(one_hot(labels, 5), even(5))[0].mean()
    assert estimate == pytest.approx(0.8, abs=EXACT)
    assert "either the shares are others" in share_warnings(one_hot(labels, 5), even(5))[0]


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


@pytest.mark.parametrize("answers", ["unsure", "spread", "one class"])
def test_images_of_a_class_that_training_lacks_make_the_estimate_too_high_by_no_more_than_their_share(answers):
    """The run is sure and right on 800 images of five classes; on 200 of a sixth class every answer is wrong."""
    known = one_hot(np.arange(800) % 5, 5)
    foreign = {
        "unsure": np.full((200, 5), 0.2),
        "spread": one_hot(np.arange(200) % 5, 5),
        "one class": one_hot(np.zeros(200, int), 5),
    }[answers]
    estimate = estimate_target_accuracy(np.concatenate([known, foreign]), class_shares="even")
    # In the cheapest assignment each class has room for a fifth of the foreign images, beside its own.
    too_high = {"unsure": 0.2 * 0.2, "spread": 0.2, "one class": 0.2 * 0.2}[answers]
    assert estimate.value == pytest.approx(0.8 + too_high, abs=EXACT)
    # Only answers that pile up on a class contradict the shares; sure and spread ones look like right ones.
    assert ("If the assumed class shares hold" in sentences(estimate)) == (answers == "one class")


def test_a_run_at_chance_does_not_look_good_however_sure_it_is():
    random = np.random.default_rng(4)
    sure = one_hot(random.integers(0, 5, 3000), 5) * 0.98 + 0.004
    labels = random.integers(0, 5, 1000)
    estimate = estimate_target_accuracy(sure[1000:], validation=(sure[:1000], labels))
    assert estimate.value < 0.3
    assert "not clearly better than always answering the most frequent class" in sentences(estimate)
    assert sentences(estimate).endswith("so the estimate means nothing.")
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
        ({"a": 0.5, "b": 0.5}, r"once, a, b and c, but c is missing\. A class that does not occur has the share 0"),
        ({"a": 0.5, "b": 0.2, "c": 0.3, "d": 0}, "must name each class once, a, b and c, but 'd' is unknown"),
        ([0.5, 0.5], r"must be 3 numbers, one per class, got shape \(2,\)"),
        ([0.5, 0.5, 0.5], r"must sum to 1, got 1\.5\. Divide each by the sum"),
        ({"a": 1.0, "b": 0, "c": 0}, "above 0 for at least two classes, got all on 'a'"),
        ([1.5, -0.5, 0], "must be 0 or more, got -0.5"),
        ([np.nan, 0.5, 0.5], "must be 0 or more, got nan"),
        ("uneven", 'must be "even", a share for each class, or None'),
    ],
)
def test_shares_that_cannot_be_are_refused(shares, message):
    with pytest.raises(InputError, match=message):
        estimate_target_accuracy(table(noisy(30, 3)[0], tuple("abc")), class_shares=shares)


def shares_of(file):
    given = read_class_shares(file, name="--target-shares")
    return checked_shares(given, ("a", "b", "c"), 3, name="--target-shares")


def test_a_file_of_shares_is_read_in_the_order_of_the_classes(tmp_path):
    file = tmp_path / "shares.csv"
    file.write_text("\ufeffclass,share\nb,0.5\na,0.2\nc,0.3\n", encoding="utf-8")
    assert shares_of(file) == pytest.approx([0.2, 0.5, 0.3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "class,share\na,0.5\nb,0.5\n",
            r"once, a, b and c, but c is missing\. A class that does not occur has the share 0",
        ),
        ("class,share\na,0.5\nb,0.4\nc,0.3\n", r"must sum to 1, got 1\.2"),
        ("class,share\na,0.5\nb,0.4\na,0.3\n", "each class once, got 'a' twice"),
        ("class,share\na,half\nb,0.4\nc,0.3\n", "a number for each class, got 'half' in line 2"),
        ("class,share\na,0.5\nb,\nc,0.5\n", "a number for each class, got '' in line 3"),
        ("class,share\na,nan\nb,0.5\nc,0.5\n", "must be 0 or more, got nan"),
        ("class,share\n", "must have a row for each class, got none"),
        ("share,class\n0.5\n0.5,a\n", "once, a, b and c, but '' is unknown"),
        ("class,share\na,1\nb,0\nc,0\n", "above 0 for at least two classes, got all on 'a'"),
        ("name,part\na,1\n", "must have the columns class and share, got name and part"),
        ("", "must have the columns class and share, got none"),
    ],
)
def test_a_file_of_shares_that_cannot_be_used_is_refused_with_the_option(tmp_path, text, message):
    file = tmp_path / "shares.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"--target-shares .*{message}"):
        shares_of(file)


def test_a_file_of_shares_that_is_missing_is_refused(tmp_path):
    with pytest.raises(InputError, match="--target-shares must be even or a CSV file that can be read"):
        shares_of(tmp_path / "none.csv")


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
