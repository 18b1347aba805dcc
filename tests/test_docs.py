"""What the documents say must be so."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from pydantic import BaseModel

from eyeshot.rankings.augmentations import report

ROOT = Path(__file__).resolve().parents[1]


def test_every_key_of_cover_json_is_documented() -> None:
    text = (ROOT / "docs" / "augmentations-json.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`([a-z_0-9]+)`", text))
    records = [one for one in vars(report).values() if isinstance(one, type) and issubclass(one, report.Record)]
    fields = {name for record in records for name in record.model_fields}
    assert len(records) > 5
    assert fields - words == set()


def test_every_key_and_kind_of_audit_json_is_documented() -> None:
    from typing import get_args

    from eyeshot.auditing import findings as audit_report

    text = (ROOT / "docs" / "audit-json.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`([a-z_0-9-]+)`", text))
    records = [
        one
        for one in vars(audit_report).values()
        if isinstance(one, type) and issubclass(one, audit_report.Record) and one is not audit_report.Record
    ]
    fields = {name for record in records for name in record.model_fields}
    assert len(records) > 10
    assert fields - words == set()
    assert {*get_args(audit_report.Kind), *get_args(audit_report.Suggestion)} - words == set()


def test_every_option_that_the_readme_names_exists() -> None:
    from typer.main import get_command

    from eyeshot.cli import app

    commands = get_command(app).commands
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("eyeshot ")]
    assert len(lines) > 5
    for line in lines:
        _, name, *words = shlex.split(line, comments=True)
        command = commands[name]
        if words and hasattr(command, "commands"):
            command = command.commands[words[0]]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks" / "results").glob("*.json")), ids=lambda file: file.name)
def test_the_command_of_a_result_can_be_typed_again(file: Path) -> None:
    command = json.loads(file.read_text(encoding="utf-8")).get("command")
    if command is not None:
        module = ROOT / command.removeprefix("python -m ").split()[0].replace(".", "/")
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), command


def test_files_that_the_contributing_page_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "eyeshot"
    for name in re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:\.py|/))`", text):
        assert (source / name).exists() or (ROOT / name).exists(), name


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files_of_the_project(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def test_records_of_the_report_forbid_unknown_keys() -> None:
    assert issubclass(report.RankingReport, BaseModel)
    with pytest.raises(ValueError, match="extra"):
        report.Scores.model_validate({"reachh": 1.0})
