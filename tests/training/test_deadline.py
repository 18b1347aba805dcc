"""A run with a deadline on a clock that only training steps move: on time, slow from the start, slow late, killed."""

import time

import pytest
import torch
from safetensors.torch import load_file

from eyeshot.core import CallbackProgress
from eyeshot.training import sitting
from eyeshot.training.run_log import read_metrics

from .helpers import SETTINGS, Tiny, run, tiny_backbone

STEPS = 30


class Clock:
    """Seconds that pass in training steps alone: one each, or what `slow` says of a step."""

    def __init__(self):
        self.now, self.steps = 1000.0, 0
        self.slow = lambda step: 1.0

    def __call__(self):
        return self.now

    def tick(self):
        self.steps += 1
        self.now += self.slow(self.steps)


class Timed(Tiny):
    clock: Clock

    def forward(self, images):
        if self.training:
            type(self).clock.tick()
        return super().forward(images)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", made)
    return made


def backbone_on(clock):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return tiny_backbone(type("Timed", (Timed,), {"clock": clock})())


def rates(folder):
    return [fields["learning_rate"] for fields in read_metrics(folder)[0]]


def test_a_run_that_is_on_time_is_the_run_without_a_deadline(tmp_path, clock):
    free = run(tmp_path / "free", backbone=backbone_on(clock))
    held = run(tmp_path / "held", backbone=backbone_on(clock), deadline=clock.now + STEPS + 1)
    assert (held.steps, held.notes) == (free.steps, ()) == (STEPS, ())
    weights = load_file(tmp_path / "held" / "weights.safetensors")
    for name, value in load_file(tmp_path / "free" / "weights.safetensors").items():
        assert torch.equal(value, weights[name])


@pytest.mark.parametrize(
    "slow",
    [lambda step: 2.0, lambda step: 1.0 if step < 20 else 10.0, lambda step: 1.0 + step % 3],
    ids=["twice", "late", "wavering"],
)
def test_a_slow_machine_shortens_the_run_and_the_schedule_still_ends_low(tmp_path, clock, slow):
    clock.slow = slow
    deadline = clock.now + 1.2 * STEPS
    result = run(tmp_path, backbone=backbone_on(clock), deadline=deadline)
    assert result.steps == len(rates(tmp_path)) < STEPS
    assert clock.now <= deadline + 2 * slow(STEPS)  # the step under way, and the last at the end of the schedule
    (note,) = result.notes
    assert note.startswith(f"Shortened to {result.steps} of {STEPS} steps, since a step took ")
    assert result.ended_early is None
    assert max(rates(tmp_path)) == pytest.approx(SETTINGS.learning_rate, rel=0.05)
    assert rates(tmp_path)[-1] < 0.2 * SETTINGS.learning_rate
    assert len(result.history) == -(-result.steps // 5)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_shortened_run_that_is_killed_goes_on_to_the_same_end(tmp_path, clock, monkeypatch):
    clock.slow = lambda step: 2.0
    whole = run(tmp_path / "whole", backbone=backbone_on(clock), deadline=clock.now + 1.2 * STEPS)

    class Killed(BaseException):
        pass

    def stop(done, total, text):
        if done == 12:
            raise Killed

    monkeypatch.setattr(sitting, "CHECKPOINT_EVERY_S", 0.0)
    with pytest.raises(Killed):
        run(
            tmp_path / "killed", backbone=backbone_on(clock), deadline=clock.now + 1.2 * STEPS,
            progress=CallbackProgress(stop),
        )  # fmt: skip
    again = run(tmp_path / "killed", backbone=backbone_on(clock), deadline=clock.now + 100.0)
    assert (again.steps, again.notes) == (whole.steps, whole.notes)
    assert rates(tmp_path / "killed") == rates(tmp_path / "whole")


def test_a_deadline_that_has_passed_ends_after_one_step_more_than_are_needed_to_see(tmp_path, clock):
    result = run(tmp_path, backbone=backbone_on(clock), deadline=clock.now - 1.0)
    assert result.steps == 2
