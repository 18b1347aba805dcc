"""`eyeshot report` and `eyeshot write` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Eyeshot

from eyeshot.core import MissingExtraError
from eyeshot.reports.formats import typeset
from made_ledger import make_ledger


def test_report_names_its_files_and_what_is_missing_and_write_fills_it(eyeshot: Eyeshot) -> None:
    make_ledger(Path("eyeshot-out"))
    first = eyeshot("report", "--json")
    told = json.loads(first.out)
    assert first.code == 0
    assert Path(told["files"]["html"]).is_file()
    goal = next(missing for missing in told["missing"] if missing["field"] == "goal")
    assert goal["command"] == 'eyeshot write goal "…"'
    done = eyeshot("write", "goal", "Win <b>it</b>", "--author", "ann")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Next: eyeshot report")
    assert "It replaces" not in done.out
    later = eyeshot("write", "goal", "Win", "--author", "bob").out
    assert "It replaces the words of ann: Win <b>it</b>" in later
    eyeshot("write", "goal", "Win <b>it</b>", "--author", "ann")
    again = eyeshot("report", "--lang", "ko")
    assert again.code == 0
    assert f"{len(told['missing']) - 1} texts are still to be written" in again.out
    assert "eyeshot-out/report/report-ko.html" in again.out
    assert "Win &lt;b&gt;it&lt;/b&gt;" in Path("eyeshot-out/report/report-ko.html").read_text(encoding="utf-8")
    assert json.loads(eyeshot("write", "lessons", "Much", "--json").out)["field"] == "lessons"


def test_a_missing_optional_part_is_named_the_rest_is_written_and_the_exit_code_says_it(
    eyeshot: Eyeshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(module: str, *, extra: str) -> None:
        raise MissingExtraError(f'{module} is not installed: pip install "eyeshot[{extra}]"')

    monkeypatch.setattr(typeset, "require", absent)
    make_ledger(Path("eyeshot-out"))
    done = eyeshot("report", "--format", "pdf,html")
    assert done.code == 5
    assert 'pip install "eyeshot[pdf]"' in done.err
    assert Path("eyeshot-out/report/report.html").is_file()
    told = json.loads(eyeshot("report", "--format", "html,pdf", "--json").out)
    assert (told["files"].keys(), told["not_written"].keys()) == ({"html"}, {"pdf"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("report",), "Begin with: eyeshot audit TRAIN"),
        (("report", "--lang", "jp"), "--lang must be en or ko"),
        (("report", "--format", "html,odt"), "--format takes html, docx, pdf"),
        (("write", "aim", "x"), "FIELD must be one of title, goal"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_rule(eyeshot: Eyeshot, words: tuple[str, ...], said: str) -> None:
    done = eyeshot(*words)
    assert done.code == 2
    assert said in done.err
    assert not Path("eyeshot-out/report").exists()
