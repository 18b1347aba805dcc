from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Eyeshot

from eyeshot import __version__
from eyeshot.core import errors

COMMANDS = (
    "rank", "demo", "train", "list", "preview", "cache", "rank augmentations", "list augmentations", "list models",
    "cache show", "cache clear", "models fetch",
)  # fmt: skip


def test_help_answers_in_a_process_of_its_own():
    done = subprocess.run([sys.executable, "-m", "eyeshot", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr == ""
    for name in COMMANDS[:6]:
        assert name in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(eyeshot: Eyeshot, command: str):
    done = eyeshot(*command.split(), "--help")
    assert done.code == 0
    assert re.search(rf"Usage: .*eyeshot {command}", done.out)


def test_the_exit_codes_in_the_help_are_those_of_the_errors(eyeshot: Eyeshot):
    text = re.sub(r"\s+", " ", eyeshot("--help").out)
    for kind, words in (
        (errors.EyeshotError, "other error"),
        (errors.InputError, "unusable input or option"),
        (errors.ModelError, "the model or its weights are not available"),
        (errors.StorageError, "a file cannot be written"),
        (errors.MissingExtraError, "an optional part is not installed"),
    ):
        assert f"{kind.exit_code} {words}" in text
    assert "130 interrupted" in text


def test_the_version_is_printed(eyeshot: Eyeshot):
    assert eyeshot("--version") == (0, f"{__version__}\n", "")


def test_without_a_command_the_help_is_shown(eyeshot: Eyeshot):
    done = eyeshot()
    assert "Usage: " in done.out + done.err
    assert "rank" in done.out + done.err


@pytest.mark.parametrize(
    "arguments", [("rnk",), ("preview",), ("rank", "augmentations", "TRAIN", "--no-such-option"), ("cache", "x")]
)
def test_what_cannot_be_parsed_has_exit_code_2(eyeshot: Eyeshot, arguments: tuple[str, ...]):
    done = eyeshot(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert "Usage: " in done.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.EyeshotError("It broke."), 1),
        (errors.InputError("It broke."), 2),
        (errors.ModelError("It broke."), 3),
        (errors.StorageError("It broke."), 4),
        (errors.MissingExtraError("It broke."), 5),
    ],
)
def test_every_error_has_its_exit_code_and_one_message(eyeshot: Eyeshot, monkeypatch, error: Exception, code: int):
    def fail(*arguments, **options):
        raise error

    Path("TRAIN").mkdir()
    monkeypatch.setattr("eyeshot.rankings.ranking_settings", fail)
    assert eyeshot("rank", "augmentations", "TRAIN") == (code, "", "error: It broke.\n")
    done = eyeshot("rank", "augmentations", "TRAIN", "--json")
    assert json.loads(done.out) == {"error": "It broke.", "kind": type(error).__name__, "exit_code": code}
    assert done.code == code


def test_an_interrupted_run_says_that_it_can_be_continued(eyeshot: Eyeshot, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    Path("TRAIN").mkdir()
    monkeypatch.setattr("eyeshot.rankings.ranking_settings", interrupt)
    done = eyeshot("rank", "augmentations", "TRAIN")
    assert done.code == 130
    assert "continues where it stopped" in done.err


def test_only_the_command_that_is_called_is_built():
    from eyeshot.cli import _called, app

    assert [command.name for command in _called(["runs", "--json"]).registered_commands] == ["runs"]
    assert [group.name for group in _called(["ledger", "merge"]).registered_groups] == ["ledger"]
    for words in ([], ["rnus"], ["--version"], ["--help"]):
        assert _called(words) is app, "the whole command line helps and suggests"
