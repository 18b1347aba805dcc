"""Golden outputs: what every command gives on a few digits with planted faults, kept word by word.

Golden files change on purpose only: a change of the house leaves them alone, a change of what is said or computed
writes them anew with `python -m pytest tests/golden --update-golden`, and the difference is read before the commit.

Each command runs once, in the order of `golden_steps.STEPS`, through `eyeshot.cli.main`. What differs between machines
and runs (folders, dates, times, sizes, versions, random ids) is normalised. `demo` and rankings with a budget are not
run: how far they get is a question of time.

Pixels and features are rounded otherwise by the kernels of another processor or another torch, and a few neighbours and
answers change with them. Steps with a model are therefore compared where `expected/kernels.txt` says the same as the
machine, and skip elsewhere: before a move, write the files on the machine at hand and see that nothing else changed.
"""

from __future__ import annotations

import contextlib
import io
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import uvicorn
from golden_data import make_project
from golden_files import Normaliser, differences, parse, serialise
from golden_steps import HELP, STEPS, Step
from typer.main import get_command

from eyeshot.cli import app, main

# The first test runs all commands, in about two minutes on an idle machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def _processor() -> str:
    """The processor's model, since libraries choose kernels by the maker too."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


KERNELS = f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__.partition('+')[0]}\n"
EXPECTED = Path(__file__).parent / "expected"
DECISIONS = Path("decisions.jsonl")


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `eyeshot ARGUMENTS`."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["eyeshot", *arguments])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def terminal() -> Iterator[pytest.MonkeyPatch]:
    """A terminal of 100 columns without colour, and no server that waits for Ctrl+C."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "100")
        patch.setenv("NO_COLOR", "1")
        patch.setenv("TERM", "dumb")
        patch.setenv("EYESHOT_AUTHOR", "golden")
        for name in ("EYESHOT_CACHE", "FORCE_COLOR"):
            patch.delenv(name, raising=False)
        # The name of the program in usage lines; `python -m pytest` would give its own.
        patch.setattr(sys.modules["__main__"], "__package__", None, raising=False)
        patch.setattr(uvicorn.Server, "run", lambda server, sockets=None: None)
        # As on a machine without them: both take long, and are the same on no two machines.
        for module in ("umap", "openTSNE"):
            patch.setitem(sys.modules, module, None)
        # No page or picture is compared here, and they would take half of the time of a ranking.
        for page in ("eyeshot.write_audit_page", "eyeshot.write_ranking_page", "eyeshot.reports.write_ranking_picture"):
            patch.setattr(page, lambda _, file, **__: file)
        yield patch


@pytest.fixture(scope="module")
def given(terminal: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each step gave, normalised: exit code, errors of those that fail, output and files by name."""
    here = tmp_path_factory.mktemp("golden")
    make_project(here)
    terminal.chdir(here)
    terminal.syspath_prepend(here)
    normaliser = Normaliser(here)
    results: dict[str, Any] = {}
    for step in STEPS:
        code, out, err = run(*step.arguments)
        if DECISIONS.is_file():
            normaliser.learn_decisions(DECISIONS)
        results[step.name] = {"code": code, "err": normaliser.text(err)}
        texts = {output_name(step): out} | {Path(name).name: read(here / name) for name in step.files}
        for name, text in texts.items():
            kind = kind_of(name)
            with contextlib.suppress(ValueError):  # a step that failed is told by its exit code
                results[step.name][name] = normaliser.value(text, kind)
    return results


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def output_name(step: Step) -> str:
    return "output." + {"text": "txt"}.get(step.prints, step.prints)


def kind_of(name: str) -> str:
    return name.rpartition(".")[2]


def check(file: Path, actual: Any, *, update: bool) -> None:
    """Compare with a golden file, or write it."""
    kind = kind_of(file.name)
    if update:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(serialise(actual, kind), encoding="utf-8", newline="\n")
    assert file.is_file(), f"no golden file {file.name}; see the head of test_golden.py"
    found = list(differences(parse(file.read_text(encoding="utf-8"), kind), actual))
    assert not found, f"{file.relative_to(EXPECTED)}, {len(found)} differences:\n" + "\n".join(found[:20])


@pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])
def test_a_command_gives_what_it_gave(step: Step, given: dict[str, Any], update_golden: bool) -> None:
    kernels = EXPECTED / "kernels.txt"
    if update_golden:
        kernels.write_text(KERNELS, encoding="utf-8", newline="\n")
    result = given[step.name]
    assert result["code"] == step.code, result["err"]
    made_with = kernels.read_text(encoding="utf-8")
    if "--model" in step.arguments and made_with != KERNELS:
        pytest.skip(f"numbers of models were written with {made_with.strip()}; here is {KERNELS.strip()}")
    folder = EXPECTED / step.name
    if update_golden:
        shutil.rmtree(folder, ignore_errors=True)
    for name in (output_name(step), *(Path(file).name for file in step.files)):
        assert name in result, f"{name} was not written, or cannot be read"
        check(folder / name, result[name], update=update_golden)
    if step.code:
        check(folder / "errors.txt", parse(result["err"], "txt"), update=update_golden)


@pytest.mark.parametrize("command", HELP, ids=[" ".join(command) or "eyeshot" for command in HELP])
def test_a_help_text_is_what_it_was(
    command: tuple[str, ...], terminal: pytest.MonkeyPatch, update_golden: bool
) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    name = "-".join(("eyeshot", *command))
    check(EXPECTED / "help" / f"{name}.txt", parse(out, "txt"), update=update_golden)


def test_every_command_has_a_golden_help_text() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    inner = {(name, other) for name, command in commands.items() for other in getattr(command, "commands", ())}
    assert {(), *((name,) for name in commands), *inner} == set(HELP)


def test_no_golden_file_is_left_of_what_is_not_run_any_more() -> None:
    folders = {"help", *(step.name for step in STEPS)}
    texts = {f"{'-'.join(('eyeshot', *command))}.txt" for command in HELP}
    assert {folder.name for folder in EXPECTED.iterdir() if folder.is_dir()} == folders
    assert {file.name for file in (EXPECTED / "help").iterdir()} == texts
