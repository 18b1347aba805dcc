"""Every command has a public function, whose parameters are the command's options, with the same defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Eyeshot
from typer.main import get_command

import eyeshot as package
from eyeshot.cli import app
from eyeshot.core import seconds_of

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "act": package.act_on_insight,
    "audit": package.audit,
    "cache clear": package.clear_cache,
    "cache show": package.cache_size,
    "compare": package.compare,
    "decisions add": package.add_decision,
    "decisions apply": package.apply_policy,
    "decisions compare": package.compare_decisions,
    "decisions export": package.export_decisions,
    "decisions list": package.list_decisions,
    "decisions merge": package.merge_decisions,
    "decisions undo": package.undo_decisions,
    "demo": package.demo,
    "diff": package.diff_experiments,
    "ensemble": package.ensemble,
    "errors": package.find_errors,
    "init": package.init,
    "insight": package.add_insight,
    "insights": package.insights,
    "learned": package.write_learned,
    "ledger export": package.export_experiments,
    "ledger merge": package.merge_ledgers,
    "ledger rebuild": package.rebuild_ledger,
    "list augmentations": package.augmentations,
    "list models": package.list_models,
    "list optimizers": package.optimizers,
    "list schedules": package.schedules,
    "log": package.log_run,
    "manifest export": package.export_manifest,
    "models fetch": package.fetch_models,
    "open": package.open_workbench,
    "pace": package.pace,
    "predict": package.predict,
    "preview": package.preview,
    "queue add": package.change_queue,
    "queue drop": package.change_queue,
    "queue first": package.change_queue,
    "queue pause": package.change_queue,
    "queue resume": package.change_queue,
    "rank augmentations": package.rank_augmentations,
    "rank models": package.rank_models,
    "rank optimizers": package.rank_optimizers,
    "report": package.report,
    "review": package.review,
    "runs": package.experiments,
    "script": package.script,
    "show": package.experiment,
    "split": package.split,
    "submit": package.submit,
    "sweep": package.start_sweep,
    "tag": package.tag_experiment,
    "note": package.add_note,
    "train": package.train,
    "try": package.try_experiment,
    "write": package.write_report_text,
}
PRINTED_ONLY = {"json", "open_", "help", "dry_run", "yes"}
"""Options that say what is printed, opened or asked; `apply_policy` has `dry_run` all the same."""
WRITTEN_BY_COMMANDS = {
    ("audit", "out"),
    ("audit", "images"),
    ("errors", "images"),
    ("rank augmentations", "out"),
    ("rank models", "out"),
    ("rank optimizers", "images"),
    ("rank optimizers", "out"),
    ("runs", "csv"),
    ("split", "out"),
}
"""Functions give a result that has `save` or `write`."""
SHOWN_BY_COMMANDS = {
    ("demo", "serve"),  # a function of its own
    ("decisions list", "all_"),
    ("decisions list", "last"),
    ("list models", "weights"),
    ("open", "export"),  # a function of its own
    ("runs", "calibration"),  # a function of its own
    ("train", "overfit_one_batch"),  # a function of its own
}
OTHER_NAMES = {
    "budget": "budget_s", "scratch_time": "scratch_time_s", "plot_": "plot", "more": "settings",
    "until_clear": "until_clear_s", "ray": "executor",
}  # fmt: skip
FOLDERS_OF_WEIGHTS = {"rank models"}
"""There `weights` is the folder `weights_dir`."""
DECISIONS = {("split", "decisions_file"), ("manifest export", "decisions_file")}
"""There `decisions` takes the file itself."""
NO_OPTIONS = {
    "progress",
    "command",
    "cache",
    "planned",
    "answered",
    "served",
    "backbone",
    "images",
    "aspect_ratios",
    "root",
    "begun",
    "now",
    "action",
}
"""`root` names another project than that of the current folder, and `action` is the command's own name."""
OF_ONE_COMMAND = {"queue add": {"trial"}, "queue drop": {"settings", "why"}, "queue first": {"settings", "why"}}
OF_ONE_COMMAND |= {name: {"trial", "settings", "why"} for name in ("queue pause", "queue resume")}
"""Parameters that belong to another command of the same function."""


def commands() -> Iterator[tuple[str, Any]]:
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())
        else:
            yield name, command


def alike(default: Any, name: str, value: Any) -> bool:
    """Whether a command's default is a function's: times are typed as text, and nothing is an empty list."""
    if name.endswith("_s"):
        return seconds_of(default, name) == value
    return (default or None) == (value or None) if isinstance(value, tuple) else default == value


def test_every_command_has_its_function() -> None:
    assert FUNCTIONS.keys() == {name for name, _ in commands()}
    for function in FUNCTIONS.values():
        assert any(getattr(package, name) is function for name in package.__all__), function


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_are_the_parameters_of_the_function_with_its_defaults(name: str) -> None:
    command, function = dict(commands())[name], FUNCTIONS[name]
    parameters = dict(inspect.signature(function).parameters)
    documented = inspect.getdoc(function) or ""
    for option in command.params:
        key = (name, option.name)
        if option.name in PRINTED_ONLY or key in WRITTEN_BY_COMMANDS | SHOWN_BY_COMMANDS | DECISIONS:
            parameters.pop(option.name, None)
            continue
        folder = option.name == "weights" and name in FOLDERS_OF_WEIGHTS
        parameter = parameters.pop("weights_dir" if folder else OTHER_NAMES.get(option.name, option.name))
        assert parameter.annotation is not inspect.Parameter.empty
        assert parameter.name in documented, f"{parameter.name} is not explained in the docstring"
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL or option.required:
            continue
        if key in {("decisions apply", "policy"), ("preview", "out")}:  # needed in Python; written only when asked for
            continue
        assert alike(option.default, parameter.name, parameter.default), f"{name}: {parameter.name}"
    further = {key for key, each in parameters.items() if each.kind is not inspect.Parameter.VAR_POSITIONAL}
    assert further - NO_OPTIONS == OF_ONE_COMMAND.get(name, set())


def test_an_option_means_the_same_in_every_command() -> None:
    texts: dict[str, set[str]] = {}
    for _, command in commands():
        for option in command.params:
            if option.param_type_name == "option" and option.name != "help":
                texts.setdefault(option.name, set()).add(option.help or "")
    of_several = {"model", "size", "out", "images", "audit", "policy", "dry_run", "split", "folds", "last", "given"}
    of_several |= {"author", "seeds", "more"}
    of_several |= {
        "author",
        "csv",
        "open_",
        "budget",
        "batch_size",
        "val_share",
        "labels",
        "force",
        "submission",
        "optimizer",
        "weights",
        "models",
    }
    assert {name for name, kinds in texts.items() if len(kinds) > 1} <= of_several
    with_model = [command for _, command in commands() if any(option.name == "model" for option in command.params)]
    assert len(with_model) == 6
    for command in with_model:
        names = {option.name for option in command.params}
        assert {"weights", "size", "mean", "std", "interpolation", "fit", "device"} <= names


@pytest.mark.parametrize("columns", ["80", "100"])
def test_help_shows_panels_and_no_text_is_cut(eyeshot: Eyeshot, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERMINAL_WIDTH", columns)
    for name, command in commands():
        out = eyeshot(*name.split(), "--help").out
        assert "…" not in out
        for panel in {option.rich_help_panel for option in command.params if getattr(option, "rich_help_panel", None)}:
            assert f"─ {panel} ─" in out
        words = " ".join(out.replace("│", " ").split())
        for option in command.params:
            last = (option.help or "help").split()[-1]
            assert last in words, f"{name} {option.name}"


def test_functions_take_text_for_paths_and_read_the_project_file(eyeshot: Eyeshot, tmp_path: Path, digits: Any) -> None:
    assert eyeshot("init", digits.train).code == 0
    by_project = package.split(folds=2, leakage=False, progress=False)
    by_text = package.split(str(digits.train), folds=2, leakage=False, progress=False)
    assert by_project.parts == by_text.parts
    audited = package.audit(progress=False)
    assert audited.report.n_train == 130
    audited.save("saved/audit")
    package.write_audit_page(audited, "saved/audit.html")
    by_text.write("saved/split.json")
    for name in ("audit/audit.json", "audit/findings.csv", "audit.html", "split.json"):
        assert Path("saved", name).stat().st_size > 0
    done = package.export_manifest(csv="clean.csv", progress=False)
    assert (done.n_images, done.manifest.relabelled) == (130, 0)
    assert Path("clean.csv").is_file()
