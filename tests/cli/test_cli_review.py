from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Digits, Eyeshot

from eyeshot.auditing import read_report


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Reviews that would have been served; nobody waits for Ctrl+C."""
    import eyeshot.web.session

    apps: list[Any] = []

    def serve(app: Any, own: Any) -> None:
        apps.append(app)
        own.close()

    monkeypatch.setattr(eyeshot.web.session, "serve", serve)
    return apps


def test_a_review_names_its_address_and_the_next_step(eyeshot: Eyeshot, digits: Digits, served: list[Any]) -> None:
    out = eyeshot("audit", digits.train, "--test", digits.test).out
    (line,) = [line for line in out.splitlines() if line.startswith("Next: ")]
    done = eyeshot(*shlex.split(line.removeprefix("Next: "))[1:], "--no-open")
    assert (done.code, len(served)) == (0, 1)
    report = read_report(Path("eyeshot-out/audit/audit.json"))
    assert f"{len(report.findings):,} of {len(report.findings):,} findings are open" in done.out
    assert "Page: http://127.0.0.1:" in done.out
    assert "0 decisions were stored" in done.out
    assert done.out.count(f"{len(report.findings):,} findings are open.") == 2, "at the beginning and at the end"
    assert f"Next: eyeshot split {digits.train} --audit" in done.out, "no policy settles what only looks alike"


def test_without_arguments_it_reads_what_was_audited(eyeshot: Eyeshot, digits: Digits, served: list[Any]) -> None:
    train = Path(shutil.copytree(digits.train, "twice"))
    copied = min((train / "1").iterdir())
    shutil.copy(copied, copied.with_name("again.png"))
    eyeshot("audit", train)
    out = eyeshot("review", "--no-open").out
    assert len(served) == 1
    (line,) = [line for line in out.splitlines() if line.startswith("Next: ")]
    assert eyeshot(*shlex.split(line.removeprefix("Next: "))[1:]).code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("Then: ")]
    assert eyeshot(*shlex.split(line.removeprefix("Then: "))[1:], "--no-leakage").code == 0
    again = eyeshot("review", "--no-open").out
    assert "Next: eyeshot split" in again, "the policy settled what policies settle"


def test_a_dropped_leak_and_a_dropped_broken_file_are_settled(
    eyeshot: Eyeshot, digits: Digits, served: list[Any]
) -> None:
    train, test = (Path(shutil.copytree(folder, f"own/{folder.name}")) for folder in (digits.train, digits.test))
    leaked = next(train.rglob("*.png"))
    shutil.copy(leaked, test / "leaked.png")
    broken = leaked.parent / "broken.png"
    broken.write_bytes(b"no picture")
    drop = shlex.join(["eyeshot", "decisions", "add", "drop", str(broken)])
    out = eyeshot("audit", train, "--test", test).out
    assert f"Broken files: {drop}\n" in out
    assert "--policy drop-leaks\n" in out
    assert f"Broken files: {drop}\n" in eyeshot("review", "--no-open").out
    eyeshot(*shlex.split(drop)[1:])
    eyeshot("decisions", "add", "drop", leaked)
    out = eyeshot("review", "--no-open").out
    assert "Broken files" not in out
    assert "drop-leaks" not in out
    assert "missing" not in eyeshot("split", train, "--no-leakage").out


def test_a_browser_in_the_terminal_is_not_opened(
    eyeshot: Eyeshot, digits: Digits, served: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import webbrowser

    opened: list[str] = []

    class Browser:
        name = "firefox"

        def open(self, address: str) -> bool:
            opened.append(address)
            return True

    eyeshot("audit", digits.train)
    monkeypatch.setattr(webbrowser, "get", Browser)
    assert "No browser" not in eyeshot("review").out
    assert opened[0].startswith("http://127.0.0.1:")
    monkeypatch.setattr(Browser, "name", "w3m")
    assert "No browser was found" in eyeshot("review").out
    assert len(opened) == 1


def test_images_without_labels_are_there_to_be_labelled(eyeshot: Eyeshot, digits: Digits, served: list[Any]) -> None:
    out = eyeshot("audit", digits.test).out
    assert "Or, with labels: eyeshot audit" in out
    (line,) = [line for line in out.splitlines() if line.startswith("Next: ")]
    done = eyeshot(*shlex.split(line.removeprefix("Next: "))[1:], "--no-open")
    assert "50 images have no label yet" in done.out
    (line,) = [line for line in done.out.splitlines() if line.startswith("Next: ")]
    assert eyeshot(*shlex.split(line.removeprefix("Next: "))[1:]).code == 0
    assert Path("labelled.csv").exists()


def test_a_review_needs_an_audit_and_a_port(eyeshot: Eyeshot, digits: Digits, served: list[Any]) -> None:
    done = eyeshot("review", digits.train)
    assert done.code == 2
    assert "Run first: eyeshot audit" in done.err
    eyeshot("audit", digits.train)
    assert eyeshot("review", "--port", "70000", "--no-open").code == 2
    assert served == []


def test_what_the_rules_forbid_is_refused_with_the_line(eyeshot: Eyeshot, digits: Digits, served: list[Any]) -> None:
    eyeshot("audit", digits.train, "--test", digits.test)
    eyeshot("init", digits.train, "--test", digits.test)
    file = Path("eyeshot.toml")
    text = file.read_text("utf-8")
    assert 'test_images = "features"' in text
    file.write_text(text.replace('test_images = "features"', 'test_images = "nothing"'), "utf-8")
    done = eyeshot("review", "--no-open")
    assert done.code == 2
    assert "test_images" in done.err
    assert served == []
