"""`eyeshot demo`: what it plants, how it goes on after a kill, and what its steps find against the known answers."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.quickstart import OFTEN, check_answers
from command_line import Eyeshot
from PIL import Image, ImageOps

import eyeshot as package
from eyeshot.cli import demo
from eyeshot.core import InputError, ModelError
from eyeshot.data import digits, write_digits

LISTS = ("list schedules", "list optimizers")


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two steps of commands that take no time; the list can be changed."""
    commands = list(LISTS)

    def step(number: int) -> demo.Commands:
        printed = yield commands[number]
        return printed.splitlines()[0]

    steps = tuple(demo.Step(name, 1, lambda number=number: step(number)) for number, name in enumerate(("one", "two")))
    monkeypatch.setattr(demo, "steps_of", lambda seed, budget_s: steps)
    monkeypatch.setattr(digits, "TRAINING", 60)
    monkeypatch.setattr(digits, "WRONG_LABELS", 2)
    monkeypatch.setattr(digits, "FONTS", ("cmr",))
    return commands


def run_commands(folder: Path) -> list[str]:
    """The commands that were run, of all sittings."""
    return [line.removeprefix("$ eyeshot ") for line in (folder / demo.LOG_FILE).read_text("utf-8").splitlines()
            if line.startswith("$ eyeshot ")]  # fmt: skip


def test_each_step_is_a_line_and_the_project_lists_its_commands(small_steps: list[str], eyeshot: Eyeshot) -> None:
    done = eyeshot("demo")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    folder = Path("eyeshot-out", "demo")
    assert [line.split()[:2] for line in lines[:2]] == [["1", "one"], ["2", "two"]]
    assert lines[-1] == f"Next: cd {folder.resolve()} && eyeshot open"
    assert (folder / demo.COMMANDS_FILE).read_text("utf-8").splitlines()[2:] == [f"eyeshot {line}" for line in LISTS]
    assert eyeshot(*LISTS[0].split()).out in (folder / demo.LOG_FILE).read_text("utf-8")


def test_a_second_run_repeats_the_answers_without_the_work(small_steps: list[str], eyeshot: Eyeshot) -> None:
    first, again = eyeshot("demo"), eyeshot("demo")
    assert again.out == first.out
    assert run_commands(Path("eyeshot-out", "demo")) == list(LISTS)
    told = json.loads(eyeshot("demo", "--json").out)
    assert [step["commands"] for step in told["steps"]] == [[f"eyeshot {line}"] for line in LISTS]
    assert all(step["answer"] in first.out for step in told["steps"])


def test_a_demo_that_was_stopped_goes_on_with_the_command_that_was_missing(
    small_steps: list[str], eyeshot: Eyeshot
) -> None:
    small_steps[1] = "list models nothing-is-called-so"
    broken = eyeshot("demo")
    assert broken.code == 3
    assert "eyeshot list models nothing-is-called-so (in " in broken.err
    assert broken.out.splitlines()[0].startswith(" 1 one")
    small_steps[1] = LISTS[1]
    assert eyeshot("demo").code == 0
    assert run_commands(Path("eyeshot-out", "demo")) == [LISTS[0], "list models nothing-is-called-so", LISTS[1]]


def test_what_follows_a_changed_command_is_done_anew(small_steps: list[str], eyeshot: Eyeshot) -> None:
    eyeshot("demo")
    small_steps[0] = "list augmentations"
    assert eyeshot("demo").code == 0
    assert run_commands(Path("eyeshot-out", "demo")) == [*LISTS, "list augmentations", LISTS[1]]


def test_an_interrupted_command_interrupts_the_demo(
    small_steps: list[str], eyeshot: Eyeshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(package, "optimizers", interrupted)
        stopped = eyeshot("demo")
    assert stopped.code == 130
    assert "the same command continues" in stopped.err
    assert eyeshot("demo").code == 0


def test_a_folder_that_holds_something_else_is_left_as_it_is(small_steps: list[str], eyeshot: Eyeshot) -> None:
    Path("mine").mkdir()
    Path("mine", "notes.txt").write_text("mine", "utf-8")
    refused = eyeshot("demo", "--out", "mine")
    assert refused.code == 2
    assert "holds something else" in refused.err
    assert [file.name for file in Path("mine").iterdir()] == ["notes.txt"]
    assert eyeshot("demo", "--out", "new", "--seed", "3").code == 0
    assert "was made with --seed 3" in eyeshot("demo", "--out", "new").err
    with pytest.raises(InputError):
        package.demo(out="mine", progress=False)


def test_the_current_folder_and_the_command_line_are_the_callers_again(
    small_steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mine"])
    small_steps[1] = "script nothing"
    with pytest.raises((InputError, ModelError)):
        package.demo(progress=False)
    assert (Path.cwd(), sys.argv) == (tmp_path, ["mine"])


@pytest.mark.parametrize(("terminal", "options", "served"), [(True, (), True), (False, (), False),
                         (True, ("--no-serve",), False), (False, ("--serve",), True)])  # fmt: skip
def test_the_workbench_is_served_in_a_terminal_or_when_asked_for(
    small_steps: list[str], eyeshot: Eyeshot, monkeypatch: pytest.MonkeyPatch, terminal: bool,
    options: tuple[str, ...], served: bool,
) -> None:  # fmt: skip
    import sys

    opened: list[Path] = []

    def open_workbench(*, served: Any) -> int:
        opened.append(Path.cwd())
        served("http://127.0.0.1:1/token/", [])
        return 0

    monkeypatch.setattr(package, "open_workbench", open_workbench)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: terminal)
    monkeypatch.delenv("CI", raising=False)
    done = eyeshot("demo", "--no-open", *options)
    assert opened == ([Path("eyeshot-out", "demo").resolve()] if served else [])
    assert ("http://127.0.0.1:1/token/" in done.out) == served


def pixels(folder: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(folder / "data" / name))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    folder = tmp_path_factory.mktemp("digits")
    return folder, write_digits(folder, seed=0)


def test_faults_are_planted_as_they_are_named(written: tuple[Path, dict[str, list[str]]]) -> None:
    folder, planted = written
    copies = [pixels(folder, name) for name in planted["copies"]]
    assert (copies[0] == copies[1]).all()
    assert (np.asarray(ImageOps.mirror(Image.fromarray(copies[2]))) == copies[3]).all()
    assert (np.rot90(copies[4]) == copies[5]).all()
    first, second = planted["two labels"]
    assert first.split("/")[1] != second.split("/")[1]
    for pair in (planted["two labels"], planted["leaks"]):
        assert (pixels(folder, pair[0]) == pixels(folder, pair[1])).all()
    assert planted["leaks"][0].startswith("test/")
    with pytest.raises(OSError, match="truncated"):
        pixels(folder, planted["broken"][0])
    _, labels = digits.large_digits()
    assert len(planted["wrong labels"]) == digits.WRONG_LABELS
    faults = {name for names in planted.values() for name in names}
    for name in sorted(str(file.relative_to(folder / "data").as_posix()) for file in folder.glob("data/train/*/*.png")):
        if name not in faults:
            assert str(labels[int(Path(name).stem)]) == name.split("/")[1]


def test_a_third_of_the_test_images_each_is_turned_inverted_and_thicker(
    written: tuple[Path, dict[str, list[str]]],
) -> None:
    folder, planted = written
    counts = [len(planted[shift]) for shift in digits.SHIFTS]
    assert counts == [digits.TEST // 3] * 3
    assert len(list((folder / "data" / "test").iterdir())) == digits.TEST + 1
    assert len(list(folder.glob("data/val/*/*.png"))) == digits.VALIDATION
    mean = {shift: np.mean([pixels(folder, name).mean() for name in planted[shift]]) for shift in digits.SHIFTS}
    rim = {shift: np.mean([pixels(folder, name)[:, 0].mean() for name in planted[shift]]) for shift in digits.SHIFTS}
    assert mean["thicker"] > mean["turned"] + 20  # more ink
    assert rim["inverted"] > 128 > max(rim["thicker"], rim["turned"])
    learnt = {file.stem for file in folder.glob("data/train/*/*.png")}
    assert not learnt & {Path(name).stem for shift in digits.SHIFTS for name in planted[shift]}


def test_digits_follow_from_the_seed_and_are_written_once(
    written: tuple[Path, dict[str, list[str]]], tmp_path: Path
) -> None:
    folder, planted = written
    assert write_digits(tmp_path, seed=0) == planted
    for file in (*folder.glob("data/*/*.png"), *folder.glob("letters/A/*.png"), *folder.glob("data/train/3/*.png")):
        assert (tmp_path / file.relative_to(folder)).read_bytes() == file.read_bytes()
    file = tmp_path / "data" / planted["copies"][0]
    file.write_bytes(b"mine")
    other = write_digits(tmp_path, seed=1)
    assert other != planted
    assert file.read_bytes() == b"mine"


def test_digits_are_made_without_the_catalogue() -> None:
    tree = ast.parse(inspect.getsource(digits))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in imported if "augment" in name or "torch" in name}


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_small_project_goes_the_whole_way_and_finds_what_is_planted(
    eyeshot: Eyeshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a shorter sweep; of 400 training images not all is found. `python -m benchmarks.quickstart` has figures."""
    monkeypatch.setattr(demo, "SWEEP_S", 20)
    done = eyeshot("demo")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[:10]] == [str(number) for number in range(1, 11)]
    assert len(lines) == 12
    folder = Path("eyeshot-out", "demo")
    planted = write_digits(folder, seed=0)
    checks = check_answers(folder.resolve(), planted, {line.split()[1]: line for line in lines[:10]})
    # Another processor is like another seed: what is found with most seeds alone is for the benchmark.
    assert {name for name, found in checks.items() if not found} <= set(OFTEN)
    typed = (folder / demo.COMMANDS_FILE).read_text("utf-8").splitlines()[2:]
    assert all(line.startswith("eyeshot ") for line in typed)
    assert {line.split()[1] for line in typed} >= {
        "init", "audit", "decisions", "split", "rank", "train", "try", "sweep", "errors", "ensemble", "predict",
        "report",
    }  # fmt: skip
    assert (folder / "eyeshot-out" / "report" / "report.html").is_file()
    assert eyeshot("demo").out == done.out
