"""A sweep from begin to end, and from wherever it was cut off: on time, every trial once, the same trials promoted."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from simulated_search import RECIPE, SPACE, Clock, Learner, curve, make_campaign, spend

from eyeshot.core import InputError, ModelError, StorageError, Workspace
from eyeshot.data import DataConfig
from eyeshot.ledger import Ledger, open_ledger
from eyeshot.sweep import DecisionFile, WorkerLost
from eyeshot.sweep.search.promotion import promoted
from eyeshot.sweep.search.queue import change_queue, list_queue
from eyeshot.sweep.search.space import check_trial
from eyeshot.sweep.search.trials import stored_trials
from eyeshot.sweep.search.work import SearchWork, Work

ENDED = {"done", "stopped", "failed", "dropped"}


def rungs_of(root: Path) -> dict[int, list[str]]:
    """What the ledger says each trial has come to, by its number."""
    with open_ledger(root) as ledger:
        return {e.config["trial"]: [rung["rung"] for rung in e.rungs] for e in ledger.experiments()}


def test_the_ledger_holds_every_trial_with_its_hypothesis_its_rungs_and_how_it_ended(tmp_path: Path) -> None:
    campaign = spend(tmp_path, Learner())
    levels = [level.name for level in campaign.prices.plan.levels]
    assert levels == ["probe", "last stage, 1 epoch", "full, 3 epochs", "full, 9 epochs"]
    with open_ledger(tmp_path) as ledger:
        experiments = ledger.experiments()
    assert len(experiments) == 12
    base, *others = experiments
    assert {e.author_kind for e in experiments} == {"sweep"}
    assert {e.sweep for e in experiments} == {"simulated"}
    assert all(e.hypothesis and e.parent == base.id and e.difference for e in others if e.config["proposed"])
    assert {e.state for e in experiments} == {"done", "stopped"}
    for experiment in experiments:
        assert [rung["rung"] for rung in experiment.rungs] == levels[: len(experiment.rungs)]
        assert (len(experiment.rungs) == len(levels)) is (experiment.state == "done")
        assert experiment.got is not None
        assert experiment.got.value == curve(
            experiment.config["trial"], campaign.prices.plan.levels[: len(experiment.rungs)]
        )
        assert (tmp_path / "runs" / experiment.id / "run.json").is_file()


def test_at_each_rung_the_best_third_of_each_strength_goes_on_with_the_base_and_the_random_ones(tmp_path: Path) -> None:
    campaign = spend(tmp_path, Learner())
    random = DecisionFile(campaign.folder / "sweep.json").get("round 0: random")
    assert len(random or ()) == 1
    members = {trial.number for trial in campaign.trials}
    for index, level in enumerate(campaign.prices.plan.levels):
        assert {trial.number for trial in campaign.trials if level.name in trial.results} == members
        own = [trial for trial in campaign.trials if trial.number in members]
        values = {trial.number: trial.results[level.name] for trial in own}
        if index + 1 < len(campaign.prices.plan.levels):
            best = promoted({trial.number: trial.group for trial in own}, values)
            members = {*best, 0, *(random or ())}
    assert {trial.group for trial in campaign.trials} <= {"light", "medium"}


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seconds=st.floats(20, 5_000), slower=st.floats(0.5, 1.5), image_s=st.floats(1e-4, 1e-2),
    n_train=st.sampled_from([40, 400, 2000]), simple=st.booleans(),
)  # fmt: skip
@example(seconds=60, slower=1.5, image_s=1e-3, n_train=400, simple=False)
def test_the_budget_is_never_exceeded_on_a_clock_that_is_counted(
    tmp_path_factory: pytest.TempPathFactory, seconds: float, slower: float, image_s: float, n_train: int, simple: bool
) -> None:
    root, clock = tmp_path_factory.mktemp("sweep"), Clock()
    task = Learner(clock, slower=slower, image_s=image_s, n_train=n_train)
    with suppress(InputError):  # it holds not a single trial
        spend(root, task, seconds=seconds, rounds=2, simple=simple, most=9)
    assert 0 < clock.now <= seconds


def test_a_model_at_a_size_of_its_own_is_measured_and_trained_at_that_size(tmp_path: Path) -> None:
    space = [*SPACE, "model=small,small at 48 px,large"]
    campaign = spend(tmp_path, Learner(), space=space)
    sizes = {(trial.config["model"], trial.config.get("size")) for trial in campaign.trials}
    assert sizes == {("small", None), ("small", 48), ("large", None)}
    assert set(campaign.prices.measured) == {"small", "small at 48 px", "large"}
    # Given sizes hold for all models.
    campaign = spend(tmp_path / "given", Learner(), space=[*SPACE, "model=small,large", "size=32,48"])
    assert {trial.config.get("size") for trial in campaign.trials[1:]} == {32, 48}


def test_a_budget_for_not_even_one_trial_is_refused_before_it_starts(tmp_path: Path) -> None:
    task = Learner(n_train=100_000)
    with pytest.raises(InputError, match="The features of 125000 images alone take"):
        spend(tmp_path, task, seconds=60)
    assert task.done == []
    assert rungs_of(tmp_path) == {}


class Killed(BaseException):
    """What a kill looks like from within: nothing is tidied up."""


@pytest.mark.parametrize("first", [4, 7])
def test_killed_anywhere_it_continues_and_does_everything_exactly_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """A kill before or after any writing, again and again at changing distances."""
    whole = spend(tmp_path / "whole", Learner(), most=12)
    expected = {trial.number: (trial.config, trial.results, trial.state) for trial in whole.trials}
    left, after = [first], [False]

    def deadly(call: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and not after[0]:
                raise Killed
            result = call(*arguments, **named)
            if left[0] == 0:
                raise Killed
            return result

        return wrapped

    for owner, name in ((Ledger, "add"), (Ledger, "append"), (DecisionFile, "keep")):
        monkeypatch.setattr(owner, name, deadly(getattr(owner, name)))
    kills = 0
    while True:
        try:
            campaign = spend(tmp_path / "cut", Learner(), most=12)
            break
        except Killed:
            kills += 1
            # Far enough to get on, at other places every time, before a writing and after one in turn.
            left[0], after[0] = first + 3 * kills, kills % 2 == 1
    assert kills > 5
    assert {t.number: (t.config, t.results, t.state) for t in campaign.trials} == expected
    counts = [Counter(rungs) for rungs in rungs_of(tmp_path / "cut").values()]
    assert all(set(count.values()) == {1} for count in counts)


def test_one_failure_stops_nothing_else(tmp_path: Path) -> None:
    failing = {4: ModelError("Training diverged: the loss is nan at step 3.")}
    campaign = spend(tmp_path, Learner(fails=lambda item: failing.get(item.number)))
    assert [trial.number for trial in campaign.trials if trial.state == "failed"] == [4]
    assert campaign.trials[4].why_ended == "Training diverged: the loss is nan at step 3."
    assert {trial.state for trial in campaign.trials} == {"done", "stopped", "failed"}


def test_trials_of_other_optimizers_do_not_fail_for_the_momentum_of_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"optimizer": "sgd", "momentum": 0.9}.items():
        monkeypatch.setitem(RECIPE, name, value)
    campaign = spend(tmp_path, Learner(), space=[*SPACE, "training.optimizer=sgd,adamw,lion"])
    assert {trial.config["training.optimizer"] for trial in campaign.trials} == {"sgd", "adamw", "lion"}
    assert [trial.why_ended for trial in campaign.trials if trial.state == "failed"] == []
    with pytest.raises(InputError, match="momentum is a setting of"):
        check_trial({"training.optimizer": "lion", "training.momentum": 0.9}, RECIPE)


def test_the_first_trials_that_fail_alike_end_the_sweep_with_the_reason(tmp_path: Path) -> None:
    task = Learner(fails=lambda item: ValueError(f"no kernel of number {item.number}"))
    with pytest.raises(ModelError, match="there is nothing to compare with: no kernel of number 0"):
        spend(tmp_path / "base", task)
    # The base is trained, the first others fail with the same words but for the number.
    task = Learner(fails=lambda item: ValueError(f"no kernel {item.number}") if item.number else None)
    with pytest.raises(ModelError, match="The first 3 trials failed alike"):
        spend(tmp_path / "others", task)
    with open_ledger(tmp_path / "others") as ledger:
        assert sum(e.state == "failed" for e in ledger.experiments()) == 3


def test_a_full_disk_ends_the_sweep_and_is_no_failure_of_the_trial(tmp_path: Path) -> None:
    task = Learner(fails=lambda item: StorageError("the disk is full") if item.number == 3 else None)
    with pytest.raises(StorageError, match="the disk is full"):
        spend(tmp_path, task)
    with open_ledger(tmp_path) as ledger:
        assert all(e.state != "failed" for e in ledger.experiments())
    campaign = spend(tmp_path, Learner())
    assert {trial.state for trial in campaign.trials} == {"done", "stopped"}


class OnGpu(SearchWork):
    """The task of a sweep whose measuring and training are those of a `Learner`, on a GPU that fails."""

    def __init__(self, root: Path, learner: Learner) -> None:
        workspace = Workspace(root / "eyeshot-out", root / "cache")
        super().__init__(DataConfig(train=root), workspace, models={}, seed=0, command="", settings={})
        self.learner, self.clock = learner, learner.clock

    def _do(self, item: Work, over: Any) -> dict[str, Any]:
        return self.learner(item)

    _probe = _train = _do

    def _measure(self, item: Work, over: Any) -> dict[str, Any]:
        error = self.learner.fails(item)
        if error is not None:
            raise error
        return self.learner(item)


@pytest.mark.parametrize("where", ["measure", "train"])
def test_a_lost_gpu_ends_the_sweep_and_is_no_failure_of_a_model_or_a_trial(tmp_path: Path, where: str) -> None:
    def lost(item: Work) -> Exception | None:
        is_it = item.config["model"] == "large" if where == "measure" else item.number > 0
        return RuntimeError("CUDA error: unspecified launch failure") if item.kind == where and is_it else None

    space = [*SPACE, "model=small,large"]
    with pytest.raises(ModelError, match="The GPU stopped answering"):
        spend(tmp_path, OnGpu(tmp_path, Learner(fails=lost)), space=space)
    with open_ledger(tmp_path) as ledger:
        assert all(e.state != "failed" for e in ledger.experiments())
    campaign = spend(tmp_path, OnGpu(tmp_path, Learner()), space=space)
    assert {trial.state for trial in campaign.trials} == {"done", "stopped"}
    assert {trial.config["model"] for trial in campaign.trials} == {"small", "large"}
    assert not any("is left out" in note for note in campaign.notes)


def test_a_trial_whose_worker_is_lost_is_tried_again_and_given_up_after_the_third_time(tmp_path: Path) -> None:
    lost: Counter[int] = Counter()

    class Losing:
        workers = 1

        def stream(self, task: Any, next_item: Any, *, over: Any) -> Any:
            while not over() and (item := next_item()) is not None:
                if item.kind != "measure" and (item.number == 5 or (item.number == 6 and not lost[6])):
                    lost[item.number] += 1
                    yield item, WorkerLost("killed")
                else:
                    yield item, task(item)

    campaign = spend(tmp_path, Learner(), executor=Losing())
    assert lost == {5: 3, 6: 1}
    assert campaign.trials[5].state == "failed"
    assert campaign.trials[5].why_ended == "Its worker was lost 3 times: killed."
    assert campaign.trials[6].state in ("done", "stopped")


class Several:
    """Four workers whose items end in another order than they began."""

    workers = 4

    def __init__(self) -> None:
        self.running: list[Work] = []
        self.busy: list[Counter[str]] = []

    def stream(self, task: Any, next_item: Any, *, over: Any) -> Any:
        while True:
            while len(self.running) < self.workers and not over() and (item := next_item()) is not None:
                self.running.append(item)
            if not self.running:
                return
            self.busy.append(Counter(item.device for item in self.running))
            item = self.running.pop(len(self.busy) % len(self.running))
            yield item, task(item)


def test_workers_share_the_gpus_evenly_and_each_trial_computes_on_one(tmp_path: Path) -> None:
    executor = Several()
    spend(tmp_path, Learner(), executor=executor, devices=("cuda:0", "cuda:1"))
    assert {device for busy in executor.busy for device in busy} == {"cuda:0", "cuda:1"}
    assert max(sum(busy.values()) for busy in executor.busy) == 4
    assert max(max(busy.values()) for busy in executor.busy) == 2
    alone = Several()
    spend(tmp_path / "alone", Learner(), executor=alone, devices=[f"cuda:{number}" for number in range(4)])
    assert max(max(busy.values()) for busy in alone.busy) == 1


def test_more_budget_goes_on_with_what_waited(tmp_path: Path) -> None:
    clock = Clock()
    first = spend(tmp_path, Learner(clock, image_s=5e-3, slower=2.5), seconds=300)
    waiting = {trial.number for trial in first.trials if trial.state not in ENDED}
    assert clock.now <= 300
    assert waiting
    with open_ledger(tmp_path) as ledger:
        assert {e.config["trial"] for e in ledger.experiments("state = 'waiting'")} == waiting
    second = spend(tmp_path, Learner(Clock(), image_s=5e-3), seconds=50_000)
    assert {trial.state for trial in second.trials} <= ENDED
    assert all(set(Counter(rungs).values()) == {1} for rungs in rungs_of(tmp_path).values())


def test_what_is_left_of_a_budget_goes_into_another_round(tmp_path: Path) -> None:
    campaign = spend(tmp_path, Learner(), seconds=2_000, rounds=2, most=9)
    assert {trial.round for trial in campaign.trials} == {0, 1}
    assert any(note.startswith("Round 2:") for note in campaign.notes)
    assert {trial.state for trial in campaign.trials} <= ENDED


def test_simple_sends_the_best_of_the_probe_right_to_the_end(tmp_path: Path) -> None:
    campaign = spend(tmp_path, Learner(), seconds=400, simple=True)
    assert [level.name for level in campaign.prices.plan.levels] == ["probe", "full, 9 epochs"]
    done = {trial.number for trial in campaign.trials if trial.state == "done"}
    order = sorted(campaign.trials, key=lambda trial: (-trial.results["probe"][0], trial.number))
    random = campaign.standings.carried(0)
    best = [trial.number for trial in order][: len(done - set(random))]
    assert len(done) >= 3
    assert done <= {*random, *(trial.number for trial in order[: len(done)])}
    assert set(best[:1]) <= done


def test_the_queue_adds_drops_and_puts_first(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path, Learner(), seconds=1e6, most=12, rounds=1)
    asked: list[bool] = []
    plain = campaign.task

    def task(item: Any) -> Any:
        if len(campaign.trials) == 5 and not asked:
            asked.append(True)
            change_queue("add", settings={"training.learning_rate": 5e-4}, why="half", root=tmp_path)
            change_queue("drop", campaign.trials[2].experiment, root=tmp_path)
        return plain(item)

    campaign.task = task  # type: ignore[assignment]
    campaign.spend()
    added = [trial for trial in campaign.trials if trial.queued]
    assert [trial.config["training.learning_rate"] for trial in added] == [5e-4]
    assert added[0].results
    dropped = campaign.trials[2]
    assert dropped.state == "dropped"
    assert list(dropped.results) == ["probe"]
    with open_ledger(tmp_path) as ledger:
        own = ledger.experiment(added[0].experiment)
    assert (own.author_kind, own.hypothesis) == ("person", "half")
    with pytest.raises(InputError, match="has ended"):
        change_queue("drop", dropped.experiment, root=tmp_path)
    with pytest.raises(InputError, match="there is no setting"):
        change_queue("add", settings={"training.learnin_rate": 1}, root=tmp_path)
    with pytest.raises(ModelError, match="resnet18"):
        change_queue("add", settings={"model": "resnet81"}, root=tmp_path)


def test_a_trial_that_a_kill_left_running_is_shown_as_interrupted(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path, Learner(), seconds=1e6, most=6, rounds=1)
    states: list[str] = []
    plain = campaign.task

    def task(item: Any) -> Any:
        if len(campaign.trials) == 5 and not states:
            states.extend(trial["state"] for trial in list_queue(root=tmp_path)["trials"])
        return plain(item)

    campaign.task = task  # type: ignore[assignment]
    campaign.spend()
    assert "running" not in states  # the campaign of this test holds no lock, as after a kill
    assert "interrupted" in states


def test_a_paused_queue_begins_nothing_and_costs_no_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eyeshot.sweep.search import campaign as module

    task = Learner()
    campaign = make_campaign(tmp_path, task, seconds=1e6, most=9, rounds=1)
    plain, slept = campaign.task, []

    def pausing(item: Any) -> Any:
        if len(task.done) == 3:
            change_queue("pause", root=tmp_path)
        return plain(item)

    def sleep(seconds: float) -> None:
        slept.append(len(task.done))
        task.clock.now += 1000
        if len(slept) == 4:
            change_queue("resume", root=tmp_path)

    monkeypatch.setattr(module.time, "sleep", sleep)
    campaign.task = pausing  # type: ignore[assignment]
    campaign.spend()
    assert len(set(slept)) == 1  # nothing was done in the pause
    assert campaign.budget.used_s == pytest.approx(task.clock.now - 4000)
    assert {trial.state for trial in campaign.trials} == {"done", "stopped"}


def test_a_decision_is_kept_as_plain_json(tmp_path: Path) -> None:
    campaign = spend(tmp_path, Learner(), most=9)
    kept = json.loads((campaign.folder / "sweep.json").read_text(encoding="utf-8"))
    assert kept["plan"]["counts"][0] == 9
    assert [trial.number for trial in stored_trials(open_ledger(tmp_path), "simulated")] == list(range(9))
