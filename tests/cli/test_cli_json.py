"""`--json` is one JSON value on standard output and nothing else, errors included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Digits, Eyeshot
from typer.main import get_command

from eyeshot.cli import app


def test_every_command_has_the_option() -> None:
    for command in get_command(app).commands.values():  # type: ignore[attr-defined]
        for inner in getattr(command, "commands", {"": command}).values():
            assert "--json" in {name for option in inner.params for name in option.opts}, inner.name


def test_small_commands_give_one_value_each(eyeshot: Eyeshot, digits: Digits) -> None:
    image = next(digits.train.rglob("*.png"))
    values: dict[str, Any] = {}
    for arguments in (
        ("init", digits.train),
        ("cache", "show"),
        ("list", "augmentations", "invert"),
        ("list", "models", "resnet18.a1_in1k"),
        ("preview", image, "invert"),
        ("decisions", "add", "drop", image),
        ("decisions", "list"),
        ("decisions", "export", "theirs.jsonl"),
        ("decisions", "merge", "theirs.jsonl"),
        ("decisions", "apply", "--policy", "group", "--dry-run"),
        ("decisions", "undo", "--last", "1"),
        ("manifest", "export", "--csv", "clean.csv"),
        ("split", "--folds", "2", "--no-leakage"),
        ("cache", "clear"),
    ):
        done = eyeshot(*arguments, "--json")
        assert done.code == 0, done.err
        values[" ".join(map(str, arguments[:2]))] = json.loads(done.out)
    assert values["list augmentations"][0]["name"] == "invert"
    assert values["list models"][0]["tag"] == "resnet18.a1_in1k"
    assert values["decisions list"][0]["kind"] == "drop"
    assert values["decisions merge"]["new"] == 0
    assert values["decisions undo"]["undone"][0]["id"] == values["decisions list"][0]["id"]
    assert (values["manifest export"]["images"], values["manifest export"]["stay"]) == (130, 130)
    assert sum(values["split --folds"]["counts"].values()) == 130
    assert values["cache clear"]["freed_bytes"] > 0


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("audit", "nowhere"), "InputError"),
        (("split", "nowhere", "--folds", "1"), "InputError"),
        (("train", "--no-such-option"), "NoSuchOption"),
        (("rank", "augmentations", "--max-images", "many"), "BadParameter"),
        (("rank", "no-such-command"), "UsageError"),
        (("preview",), "MissingParameter"),
    ],
)
def test_an_error_is_one_object_too(eyeshot: Eyeshot, arguments: tuple[str, ...], kind: str) -> None:
    done = eyeshot(*arguments, "--json")
    error = json.loads(done.out)
    assert error.keys() == {"error", "kind", "exit_code"}
    assert (error["kind"], error["exit_code"], done.code) == (kind, 2, 2)
    assert error["error"] in done.err


def test_help_and_a_dry_run_end_with_code_0_too(eyeshot: Eyeshot, digits: Digits) -> None:
    assert eyeshot("train", "--json", "--help").code == 0
    model = ("--model", "test_resnet.r160_in1k", "--from-scratch", "--size", "32")
    done = eyeshot("train", digits.train, *model, "--dry-run", "--json")
    assert done.code == 0
    assert json.loads(done.out)["n_train"] + json.loads(done.out).get("n_val", 0) in (104, 130)
    assert not Path("eyeshot-out").exists()
