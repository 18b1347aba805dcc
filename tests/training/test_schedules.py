import pytest

from eyeshot.training import warm_up_cosine


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nearly_zero():
    schedule = warm_up_cosine(1.0, 100, warm_up_share=0.1)
    rates = [schedule(step) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[0] > 0
    assert rates[10] == max(rates) == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


@pytest.mark.parametrize("total", [1, 2, 3, 7])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_the_learning_rate_stays_within_its_peak_for_very_short_runs(total, share):
    schedule = warm_up_cosine(1.0, total, warm_up_share=share)
    assert all(0 < schedule(step) <= 1 for step in range(total))


def test_a_curve_that_begins_later_is_the_same_curve_moved_and_stays_at_zero_after_its_end():
    whole, later = (warm_up_cosine(0.5, 20, warm_up_share=0.2, first=first) for first in (0, 7))
    assert [later(step + 7) for step in range(20)] == [whole(step) for step in range(20)]
    assert whole(20) == whole(50) == pytest.approx(0, abs=1e-12)
