"""What the documents say must be so."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from eyeshot.rankings.augmentations import report

ROOT = Path(__file__).resolve().parents[1]
HISTORY = "docs/ranking-log.md"
"""It keeps the names of its time."""
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted({file.relative_to(ROOT).as_posix() for file in ROOT.glob("docs/**/*.md")} - {HISTORY}),
]
BEGINNINGS = ("eyeshot ", "python -m ", "bash ")


def test_every_key_of_cover_json_is_documented() -> None:
    text = (ROOT / "docs" / "augmentations-json.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`([a-z_0-9]+)`", text))
    records = [one for one in vars(report).values() if isinstance(one, type) and issubclass(one, report.Record)]
    fields = {name for record in records for name in record.model_fields}
    assert len(records) > 5
    assert fields - words == set()


def test_every_key_of_models_json_is_documented() -> None:
    from eyeshot.rankings.models import report as models_report

    text = (ROOT / "docs" / "models-json.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`([a-z_0-9]+)`", text))
    records = [one for one in vars(models_report).values() if isinstance(one, type)]
    records = [one for one in records if issubclass(one, models_report.Record)]
    fields = {name for record in records for name in record.model_fields}
    assert len(records) > 8
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


def test_every_key_of_errors_json_is_documented() -> None:
    from eyeshot.auditing import error_report
    from eyeshot.predictions import Accuracy, Calibration

    words = set(re.findall(r"`([a-z_0-9]+)`", (ROOT / "docs" / "errors-json.md").read_text(encoding="utf-8")))
    records = [
        getattr(error_report, name)
        for name in ("ErrorReport", "RunErrors", "ClassErrors", "PairErrors", "SliceErrors", "WrongImage", "ToDo")
    ]
    fields = {name for record in [*records, Accuracy, Calibration] for name in record.model_fields}
    assert fields - words == set()


def test_every_key_of_optimizers_json_is_documented() -> None:
    from eyeshot.predictions import Accuracy, Difference
    from eyeshot.rankings.optimizers import report as optimizers_report

    words = set(re.findall(r"`([a-z_0-9]+)`", (ROOT / "docs" / "optimizers-json.md").read_text(encoding="utf-8")))
    records = [
        one
        for one in vars(optimizers_report).values()
        if isinstance(one, type) and issubclass(one, optimizers_report.Record) and one is not optimizers_report.Record
    ]
    assert len(records) == 8
    fields = {name for record in [*records, Accuracy, Difference] for name in record.model_fields}
    assert fields - words == set()


def test_every_key_of_a_run_is_documented() -> None:
    from eyeshot.ledger import RunRecord
    from eyeshot.training import TrainResult

    words = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")))
    assert {*RunRecord.model_fields, *TrainResult.model_fields} - words == set()


def test_every_key_of_a_comparison_and_an_estimate_is_documented() -> None:
    from eyeshot.ledger.run_comparison import ComparedMember, Comparison
    from eyeshot.predictions import Difference, TargetEstimate

    words = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "results.md").read_text(encoding="utf-8")))
    records = (Comparison, ComparedMember, Difference, TargetEstimate)
    assert {name for record in records for name in record.model_fields} - words == set()


def test_every_key_and_method_of_an_ensemble_is_documented() -> None:
    from eyeshot.ledger import EnsembleMember, EnsembleMethod, EnsembleReport
    from eyeshot.predictions import METHODS, SOUPS, Combination, Gain

    words = set(re.findall(r"`([a-z_-]+)`", (ROOT / "docs" / "results.md").read_text(encoding="utf-8")))
    records = (EnsembleReport, EnsembleMember, EnsembleMethod, Combination, Gain)
    assert {name for record in records for name in record.model_fields} | {*METHODS, *SOUPS} <= words


def shown_lines(name: str) -> list[str]:
    """Command lines in the fenced blocks of a document that are not Python."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for language, block in blocks if language in ("", "sh", "bash") for line in block.splitlines()]
    return [line for line in lines if line.startswith(BEGINNINGS)]


def named_commands(name: str) -> list[str]:
    """Commands in the running text of a document: `eyeshot train`, `python -m benchmarks.store`."""
    text = re.sub(r"^```.*?^```", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]
    spans = [f"python -m {span}" if span.startswith("benchmarks.") else span for span in spans]
    return [span for span in spans if span.startswith(BEGINNINGS) and "…" not in span and "..." not in span]


def click_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command of the program that the words begin with, and the words behind its name."""
    from typer.main import get_command

    from eyeshot.cli import app

    command: Any = get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{words[0]!r} is none of {', '.join(command.commands)}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def check_benchmark(module: str, words: list[str]) -> None:
    """A module of benchmarks that exists and knows each option."""
    file = ROOT / module.replace(".", "/")
    file = file / "__main__.py" if file.is_dir() else file.with_suffix(".py")
    assert file.is_file(), module
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in file.read_text(encoding="utf-8"), f"{module} does not know {option}"


@pytest.mark.parametrize(("name", "line"), [(name, line) for name in DOCUMENTS for line in shown_lines(name)])
def test_a_command_line_that_a_document_shows_can_be_typed(
    name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (
        "data",
        "train",
        "test",
        "val",
        "images",
        "fakes",
        "photos",
    ):  # those that documents name are looked for
        (tmp_path / folder).mkdir()
    for weights in ("weights.safetensors", "best.safetensors"):
        (tmp_path / weights).touch()
    program, *words = shlex.split(line, comments=True)
    if program == "bash":
        assert (ROOT / words[0]).is_file()
        return
    if program == "python" and words[1] != "eyeshot":
        check_benchmark(words[1], words[2:])
        return
    command, arguments = click_command(words if program == "eyeshot" else words[2:])
    assert not hasattr(command, "commands") or command.invoke_without_command, (
        f"{line}: which of {', '.join(command.commands)}?"
    )
    command.make_context(command.name, list(arguments))  # reads arguments and options, and runs nothing


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_that_a_document_names_exist_with_their_options(name: str) -> None:
    for span in named_commands(name):
        program, *words = shlex.split(span)
        if program == "bash":
            assert (ROOT / words[0]).is_file(), span
        elif program == "python" and words[1] != "eyeshot":
            check_benchmark(words[1], words[2:])
        else:
            command, arguments = click_command(words if program == "eyeshot" else words[2:])
            assert {word for word in arguments if word.startswith("--")} <= all_options(command), span


@pytest.mark.parametrize("name", DOCUMENTS)
def test_options_that_a_document_names_alone_are_options_of_some_command(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = {option for span in re.findall(r"`(--[^`]*)`", text) for option in re.findall(r"--[a-z][a-z-]*", span)}
    known = (ROOT / "benchmarks" / "augmentation_truth" / "__main__.py").read_text(encoding="utf-8")
    assert {option for option in named - all_options(click_command([])[0]) if f'"{option}"' not in known} == set()


def all_options(command: Any) -> set[str]:
    """Options of a command and of those below it."""
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return options.union({"--help"}, *map(all_options, getattr(command, "commands", {}).values()))


def test_the_readme_can_be_read_in_three_minutes() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 9_000
    assert (ROOT / "docs" / "augmentations.svg").stat().st_size <= 300_000


def test_the_caption_of_the_readme_says_what_the_picture_shows() -> None:
    words = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    picture = (ROOT / "docs" / "augmentations.svg").read_text(encoding="utf-8")
    gain = re.search(r"Invert covers (\S+) points more of the test images", words)
    assert gain is not None
    assert f"+{gain[1]}</text>" in picture
    assert "Train with invert" in picture


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks" / "results").glob("*.json")), ids=lambda file: file.name)
def test_the_command_of_a_result_can_be_typed_again(file: Path) -> None:
    command = json.loads(file.read_text(encoding="utf-8")).get("command")
    if command is not None:
        module = ROOT / command.removeprefix("python -m ").split()[0].replace(".", "/")
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), command


def test_each_question_of_a_contributor_has_one_file() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+\?) \| `([^`]+)` \|$", text, re.MULTILINE)
    assert len({question for question, _ in rows}) == len(rows) == text.count("? |") >= 20
    for question, name in rows:
        assert (ROOT / "src" / "eyeshot" / name).is_file() or (ROOT / name).is_file(), question


def test_the_contributing_page_gives_the_order_of_packages() -> None:
    from test_house import ORDER

    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert " < ".join(f"`{package}`" for package in ORDER) in " ".join(text.split())


@pytest.mark.parametrize("name", [*DOCUMENTS, HISTORY])
def test_links_lead_to_files_of_the_project(name: str) -> None:
    file = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_into_a_page_lead_to_one_of_its_headings(name: str) -> None:
    file = ROOT / name
    for target, heading in re.findall(r"\]\(([^)#]*)#([^)]+)\)", file.read_text(encoding="utf-8")):
        page = file.parent / target if target else file
        headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert heading in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings], target


def test_each_command_has_a_page_with_its_options_as_the_help_says_them() -> None:
    """`python -m scripts.command_pages` writes them."""
    from scripts.command_pages import INDEX, PAGES, expected_pages

    pages = expected_pages()
    assert {file.name for file in PAGES.glob("*.md")} == {file.name for file in pages}
    assert [file.name for file, text in pages.items() if file.read_text(encoding="utf-8") != text] == []
    assert len(pages) > 30
    assert INDEX in pages


def test_each_page_of_a_command_answers_the_same_questions() -> None:
    from scripts.command_pages import INDEX, PAGES

    for file in sorted({*PAGES.glob("*.md")} - {INDEX}):
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
            "The common call", "What it writes", "Next", "The same without eyeshot", "Options", "Exit codes",
        ], file.name  # fmt: skip
        assert re.match(r"# eyeshot [a-z ]+\n\n[A-Z][^\n]+\.\n\n\*\*When:\*\* ", text), file.name
        call = re.findall(r"## The common call\n\n```sh\neyeshot ", text)
        assert len(call) == 1, file.name


def test_the_site_leads_to_every_page() -> None:
    """The lists of links of two pages are the navigation of the site (docs/conf.py)."""
    linked = {
        (page.parent / target).resolve()
        for page in (ROOT / "docs" / "index.md", ROOT / "docs" / "commands" / "index.md")
        for target in re.findall(r"^- \[[^]]+\]\(([^):#]+\.md)\)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {*ROOT.glob("docs/**/*.md")} - linked == {ROOT / "docs" / "index.md"}


def test_pictures_of_the_documents_are_small_and_have_words_for_who_cannot_see_them() -> None:
    pictures = [file for file in (ROOT / "docs" / "pictures").iterdir() if file.suffix in (".webp", ".png")]
    assert len(pictures) >= 8
    assert sum(file.stat().st_size for file in pictures) < 2 * 1024**2
    shown = re.findall(r"!\[([^]]*)\]\(pictures/([^)]+)\)", (ROOT / "docs" / "tour.md").read_text(encoding="utf-8"))
    assert {name for _, name in shown} == {file.name for file in pictures}
    assert all(len(words) > 40 for words, _ in shown)


def test_records_of_the_report_forbid_unknown_keys() -> None:
    assert issubclass(report.RankingReport, BaseModel)
    with pytest.raises(ValueError, match="extra"):
        report.Scores.model_validate({"reachh": 1.0})
