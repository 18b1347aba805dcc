import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eyeshot.training import TrainConfig, make_schedule, warm_up_cosine
from eyeshot.training.recipe.schedule_catalogue import list_schedules


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


PEAK, STEPS = 0.4, 60


def ours(name, *, share=0.1, losses=(), first=0):
    config = TrainConfig(schedule=name, learning_rate=PEAK, warm_up_share=share)
    schedule = make_schedule(config, STEPS, epoch_losses=losses, first=first)
    return [schedule(step) for step in range(first, first + STEPS)]


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)


def rates_of(scheduler, made, steps=STEPS):
    rates = []
    for _ in range(steps):
        rates.append(made.param_groups[0]["lr"])
        made.step()
        scheduler.step()
    return rates


def test_one_cycle_is_torchs():
    made = optimizer()
    torchs = torch.optim.lr_scheduler.OneCycleLR(made, PEAK, total_steps=STEPS, pct_start=0.3, cycle_momentum=False)
    assert ours("one-cycle", share=0.3) == pytest.approx(rates_of(torchs, made), rel=1e-9)


def test_steps_are_torchs():
    made = optimizer()
    torchs = torch.optim.lr_scheduler.StepLR(made, STEPS // 3, gamma=0.1)
    assert ours("step", share=0) == pytest.approx(rates_of(torchs, made))


def test_warm_up_stable_decay_is_timms():
    wsd = pytest.importorskip("timm.scheduler.wsd_lr")
    made = optimizer()
    timms = wsd.WSDLRScheduler(made, t_initial=STEPS, decay_t=STEPS // 5, decay_fn="1-sqrt", t_in_epochs=False)
    rates = []
    for step in range(STEPS):
        timms.step_update(step)
        rates.append(made.param_groups[0]["lr"])
    assert ours("wsd", share=0) == pytest.approx(rates)


def test_cosine_after_the_warm_up_is_torchs():
    made = optimizer()
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(made, STEPS - 6)
    assert ours("cosine")[6:] == pytest.approx(rates_of(torchs, made, STEPS - 6))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 5.0), max_size=40))
def test_plateau_counts_as_torchs(losses):
    made = optimizer()
    torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(made, factor=0.1, patience=5, eps=0.0)
    for loss in losses:
        torchs.step(loss)
    assert ours("plateau", losses=losses)[-1] == pytest.approx(made.param_groups[0]["lr"])


@pytest.mark.parametrize("name", [record.name for record in list_schedules()])
def test_every_schedule_warms_up_and_stays_within_its_peak(name):
    rates = ours(name, share=0.2)
    assert all(0 < rate <= PEAK for rate in rates)
    assert rates[:11] == sorted(rates[:11])
    assert rates[0] < PEAK / 10
    assert max(rates) == pytest.approx(PEAK)
    assert ours(name, share=0.2, first=7) == pytest.approx(rates)


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from([record.name for record in list_schedules()]),
    share=st.floats(0, 0.99),
    total=st.integers(1, 30),
)
def test_rates_of_very_short_runs_are_between_zero_and_the_peak(name, share, total):
    schedule = make_schedule(TrainConfig(schedule=name, learning_rate=PEAK, warm_up_share=share), total)
    assert all(0 <= schedule(step) <= PEAK * (1 + 1e-12) for step in range(total + 3))
