"""The learning-rate range test: what it chooses from made curves, and that it leaves the run alone."""

import numpy as np
import pytest
import torch

from eyeshot.core import InputError
from eyeshot.training import TrainingRun, choose_rate, range_test, warm_up_cosine

from .helpers import SETTINGS, make_pool, tiny_backbone

RATES = np.geomspace(1e-6, 0.1, 48)


def make_run():
    pool, labels = make_pool()
    return TrainingRun(tiny_backbone(), pool, labels, class_count=3, config=SETTINGS)


def curve(fall_at, rise_at, *, start=1.1, floor=0.4, noise=0.0, seed=0):
    """A loss that falls around one rate and grows in proportion to the rate from another on."""
    logs = np.log10(RATES)
    losses = floor + (start - floor) / (1 + np.exp(6 * (logs - np.log10(fall_at))))
    losses = losses + np.maximum(0, RATES / rise_at - 1)
    return losses + np.random.default_rng(seed).normal(0, noise, len(RATES))


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.15])
def test_the_rate_is_a_tenth_of_the_one_from_which_the_loss_rises(noise):
    for seed in range(10):
        test = choose_rate(RATES, curve(1e-4, 5e-3, noise=noise, seed=seed), class_count=3)
        assert 5e-3 < test.divergence < 3e-2
        assert test.rate == pytest.approx(test.divergence / 10)


def test_a_loss_that_starts_at_its_smallest_gives_a_rate_too():
    for seed in range(10):
        losses = np.abs(curve(1e-9, 1e-3, floor=0.1, noise=0.1, seed=seed))
        test = choose_rate(RATES, losses, class_count=7)
        assert 8e-4 < test.divergence < 6e-3


def test_one_bad_batch_is_no_divergence():
    losses = curve(1e-4, 1e3)
    losses[20] += 2.0
    assert choose_rate(RATES, losses, class_count=3).divergence is None


def test_a_loss_that_never_rises_gives_the_rate_of_the_steepest_fall():
    test = choose_rate(RATES, curve(1e-3, 1e3), class_count=3)
    assert test.divergence is None
    assert 5e-4 < test.rate < 6e-3  # the moving average lags by a few steps
    assert "falls up to the highest rate" in test.reason


def test_a_flat_loss_chooses_no_rate():
    losses = np.random.default_rng(0).normal(1.1, 0.1, len(RATES))
    test = choose_rate(RATES, losses, class_count=3)
    assert (test.rate, test.divergence) == (None, None)
    assert "neither falls nor rises" in test.reason


@pytest.mark.parametrize("losses", [[1.0, np.inf], [1.0, 4.0], [np.nan], [1.0, 3.0, np.nan]])
def test_a_loss_that_diverges_at_once_chooses_no_rate(losses):
    test = choose_rate(RATES[: len(losses)], np.array(losses), class_count=3)
    assert test.rate is None
    assert "no rate" in test.reason or "nothing trains" in test.reason


def test_a_run_goes_on_as_if_nothing_had_been_tested():
    schedule = warm_up_cosine(0.01, 20, warm_up_share=0.1)
    tested, plain = make_run(), make_run()
    tested.advance(3, schedule=schedule)
    before = tested.state_dict()["model"]
    test = range_test(tested, lowest=1e-4, highest=10.0)
    assert tested.step == 3
    assert all(torch.equal(value, before[name]) for name, value in tested.state_dict()["model"].items())
    tested.advance(12, schedule=schedule)
    plain.advance(12, schedule=schedule)
    assert all(torch.equal(value, plain.weights()[name]) for name, value in tested.weights().items())
    assert test.losses.max() > 1.5 * test.losses[0]  # it did train, up to rates that break it
    assert test.divergence is not None


def test_the_same_run_gives_the_same_curve():
    first, second = (range_test(make_run(), steps=20) for _ in range(2))
    assert np.array_equal(first.losses, second.losses)
    assert (first.rate, first.reason) == (second.rate, second.reason)


def test_a_state_is_restored_after_weights_that_are_not_finite():
    run = make_run()
    before = run.weights()
    test = range_test(run, lowest=1e10, highest=1e30, steps=12)
    assert test.rate is None
    assert all(torch.equal(value, before[name]) for name, value in run.weights().items())


@pytest.mark.parametrize("options", [{"steps": 3}, {"lowest": 0.1, "highest": 0.1}, {"lowest": 0.0}])
def test_rates_that_cannot_be_swept_are_refused(options):
    with pytest.raises(InputError):
        range_test(make_run(), **options)
