"""`eyeshot sweep --dry-run`, and the queue of a sweep, as they are typed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import filelock
import numpy as np
import pytest
from command_line import MODEL, Done, Eyeshot
from PIL import Image

from eyeshot.ledger import open_ledger
from eyeshot.sweep import DecisionFile

SWEEP = "which-rate-123456"
COMMAND = "eyeshot sweep 'which rate?' images --budget 1h"
SPACE = ("--space", "training.learning_rate=1e-3,1e-2", "--space", "augmentation=none,mirror")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for number in range(24):
        file = tmp_path / "images" / ("bright", "dark")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 100 + 120 * (number % 2), (32, 32, 3), dtype=np.uint8)).save(file)
    return tmp_path / "images"


@pytest.fixture
def trials(eyeshot: Eyeshot) -> dict[str, str]:
    """A sweep that was interrupted: ids of its experiments, by their state."""
    root = Path("eyeshot-out").resolve()
    folder = root / "sweeps" / SWEEP
    folder.mkdir(parents=True)
    for name, value in (("why", "which rate?"), ("command", COMMAND)):
        DecisionFile(folder / "sweep.json").keep(name, value)
    ids = {}
    with open_ledger(root, write=True) as ledger:
        for number, state in enumerate(("done", "running", "waiting")):
            rate = 10.0**-number
            ids[state] = ledger.add(
                why=f"trial {number}", sweep=SWEEP, author_kind="sweep", config={"trial": number},
                difference={"training.learning_rate": [5e-5, rate]},
            ).id  # fmt: skip
            ledger.append(ids[state], "state", state=state, words="")
        ids["alien"] = ledger.add(why="tried by hand").id
    return ids


def asked() -> list[dict[str, object]]:
    """What the running sweep would read."""
    lines = Path("eyeshot-out", "sweeps", SWEEP, "queue.jsonl").read_text(encoding="utf-8").splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "id"} for line in lines]


def sweep(eyeshot: Eyeshot, images: Path, budget: str, *more: str) -> Done:
    return eyeshot(
        "sweep", "does a larger rate help?", images, *MODEL, "--device", "cpu", "--epochs", "9", "--budget", budget,
        *SPACE, *more, "--dry-run",
    )  # fmt: skip


def test_a_dry_run_shows_the_plan_writes_no_experiment_and_leads_to_the_sweep(eyeshot: Eyeshot, images: Path) -> None:
    done = sweep(eyeshot, images, "1d", "--most-trials", "30")
    assert (done.code, "Traceback" in done.err) == (0, False)
    lines = done.out.splitlines()
    assert lines[0] == "Nothing was trained: this is what the budget would hold."
    plan = re.search(
        r"- Planned: 30 × probe; (\d+) × last stage, 1 epoch; (\d+) × full, 3 epochs; (\d+) × full, 9 epochs\. "
        r"About .+ of 24 h 0 min\.",
        done.out,
    )
    assert plan is not None, done.out
    counts = [30, *map(int, plan.groups())]
    assert counts == sorted(counts, reverse=True)
    for name, count in zip(("probe", "last stage, 1 epoch", "full, 3 epochs", "full, 9 epochs"), counts, strict=True):
        (row,) = [line for line in lines if line.strip().startswith(name)]
        assert row.removeprefix(" ").removeprefix(name).split()[:2] == [str(count), "0"]
    assert not Path("eyeshot-out", "experiments").exists()
    assert not Path("eyeshot-out", "sweeps").exists()
    words = shlex.split(lines[-1].removeprefix("Next: "))
    assert words[:3] == ["eyeshot", "sweep", "does a larger rate help?"]
    assert words[-4:] == ["--space", "augmentation=none,mirror", "--most-trials", "30"]


def test_a_dry_run_as_json_is_the_report(eyeshot: Eyeshot, images: Path) -> None:
    report = json.loads(sweep(eyeshot, images, "1d", "--most-trials", "30", "--json").out)
    assert (report["state"], report["budget_s"], report["best"], report["trials"]) == ("planned", 86400.0, None, {})
    assert report["levels"][0]["planned"] == 30
    assert 0 < report["used_s"] < 300
    assert all(level["seconds_each"] > 0 for level in report["levels"])


def test_the_queue_shows_what_has_not_ended_and_takes_wishes(eyeshot: Eyeshot, trials: dict[str, str]) -> None:
    shown = eyeshot("queue")
    assert shown.code == 0
    assert (trials["running"] in shown.out, trials["waiting"] in shown.out) == (True, True)
    assert (trials["done"] in shown.out, trials["alien"] in shown.out) == (False, False)
    assert f"2 of {SWEEP} are under way or wait." in shown.out
    assert "training.learning_rate 0.01" in shown.out
    assert shown.out.endswith(f"No sweep is running now: the command that began it goes on.\nNext: {COMMAND}\n")
    with filelock.FileLock(Path("eyeshot-out", "sweeps", "sweep.lock")):
        assert eyeshot("queue").out.endswith("are under way or wait.\nNext: eyeshot runs\n")

    added = eyeshot(
        "queue", "add", "--set", "training.learning_rate=3e-4", "--set", "augmentation=mirror", "--why", "x"
    )
    assert (added.code, "joins the sweep" in added.out) == (0, True)
    assert eyeshot("queue", "first", trials["waiting"]).out == f"{trials['waiting']} comes next.\n"
    assert eyeshot("queue", "drop", trials["waiting"], "--sweep", "which").out == f"{trials['waiting']} is dropped.\n"
    assert json.loads(eyeshot("queue", "pause", "--json").out)["words"]
    assert "paused: eyeshot queue resume" in eyeshot("queue").out
    assert json.loads(eyeshot("queue", "--json").out)["paused"] is True
    eyeshot("queue", "resume")
    told = json.loads(eyeshot("queue", "--json").out)
    assert (told["paused"], [trial["id"] for trial in told["trials"]]) == (
        False,
        [trials["running"], trials["waiting"]],
    )
    assert asked() == [
        {"action": "add", "config": {"training.learning_rate": 3e-4, "augmentation": "mirror"}, "why": "x"},
        {"action": "first", "trial": trials["waiting"]}, {"action": "drop", "trial": trials["waiting"]},
        {"action": "pause"}, {"action": "resume"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("drop", "DONE"), "has ended (done)"),
        (("drop", "ALIEN"), "is no trial of the sweep"),
        (("first", "nothing-like-it"), "nothing-like-it"),
        (("add", "--set", "training.learning_rate"), "--set takes NAME=VALUE"),
        (("add", "--set", "training.learnin_rate=1"), "there is no setting"),
        (("pause", "--sweep", "other"), "No single sweep is called 'other'. Known: which-rate-123456."),
    ],
)
def test_a_wish_that_cannot_be_is_refused_and_not_kept(
    eyeshot: Eyeshot, trials: dict[str, str], words: tuple[str, ...], message: str
) -> None:
    done = eyeshot("queue", *({"DONE": trials["done"], "ALIEN": trials["alien"]}.get(word, word) for word in words))
    assert (done.code, message in " ".join(done.err.split()), "Traceback" in done.err) == (2, True, False), done.err
    assert not Path("eyeshot-out", "sweeps", SWEEP, "queue.jsonl").exists()


def test_a_queue_without_a_sweep_says_how_to_begin_one(eyeshot: Eyeshot) -> None:
    done = eyeshot("queue")
    assert (done.code, "There is no sweep yet. See: eyeshot sweep." in done.err) == (2, True)


def test_a_sweep_that_is_named_before_the_command_is_not_passed_over(eyeshot: Eyeshot, trials: dict[str, str]) -> None:
    done = eyeshot("queue", "--sweep", "nope", "pause")
    assert done.code == 2
    assert "eyeshot queue pause --sweep nope" in done.err
