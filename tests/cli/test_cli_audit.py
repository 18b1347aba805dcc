from __future__ import annotations

import csv
import html
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Digits, Eyeshot

from eyeshot.auditing import AuditReport


def test_an_audit_prints_what_to_do_first_and_one_next_step(eyeshot: Eyeshot, digits: Digits) -> None:
    done = eyeshot("audit", digits.train, "--test", digits.test)
    assert done.code == 0
    assert "180 were decoded now" in done.out
    assert "\n1. " in done.out
    assert done.out.count("Next: ") == 1
    folder = Path("eyeshot-out/audit")
    report = AuditReport.model_validate_json((folder / "audit.json").read_text("utf-8"))
    assert (report.n_train, report.n_test) == (130, 50)
    assert (folder / "audit.html").exists()
    with open(folder / "findings.csv", encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == sum(report.images_by_kind.values())
    # Digits were inverted: the background gives test images away.
    assert report.adversarial is not None
    assert report.adversarial.auc > 0.95
    assert "brightness" in " ".join(one.name for one in report.distributions[:3]) + str(report.distributions[:3])
    assert (
        "130 training and 50 test images; 0 were decoded now"
        in eyeshot("audit", digits.train, "--test", digits.test).out
    )


def test_the_table_fits_80_columns_with_whole_headings_and_one_line_for_each_kind(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = tmp_path / "train"
    shutil.copytree(digits.train, train)
    for number in range(420):
        (train / "0" / f"torn{number}.png").write_bytes(b"no picture")
    shutil.copy(next((train / "1").iterdir()), train / "7" / "twice.png")
    for columns in ("80", "100", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        lines = eyeshot("audit", train, "--test", digits.test).out.splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith("finding "))
        assert lines[start].split() == ["finding", "found", "images", "what", "to", "do"]
        (broken,) = [line for line in lines[start:] if line.startswith("broken files")]
        assert broken.split()[2:] == ["420", "420", "drop"]
        assert all(len(line) <= 80 for line in lines[start : lines.index(broken) + 1])
    assert not any("torn" in line for line in lines)


def test_terminal_page_and_json_give_the_same_answer_first(eyeshot: Eyeshot, digits: Digits, tmp_path: Path) -> None:
    train, test = tmp_path / "train", tmp_path / "test"
    shutil.copytree(digits.train, train)
    shutil.copytree(digits.test, test)
    first, second, third = sorted((train / "1").iterdir())[:3]
    shutil.copy(first, train / "7" / "twice.png")
    shutil.copy(second, train / "1" / "again.png")
    shutil.copy(third, test / "leak.png")
    (train / "1" / "empty.png").write_bytes(b"")
    out = eyeshot("audit", train, "--test", test).out
    report = AuditReport.model_validate_json(Path("eyeshot-out/audit/audit.json").read_text("utf-8"))
    page = Path("eyeshot-out/audit/audit.html").read_text("utf-8")
    assert out.splitlines()[0] == report.answer[0]
    places = [page.index(f">{html.escape(sentence)}<") for sentence in report.answer]
    assert places == sorted(places)
    for number, sentence in enumerate(report.answer[1:], 1):
        assert f"{number}. {sentence}\n" in out
        assert out.count(sentence) == 1
    for part in ("1 picture with two labels", "1 test image that is also in training", "1 broken file"):
        assert part in report.answer[0]
    sure = [one for one in report.findings if one.kind in ("identical", "near-copy") and one.suggestion != "look"]
    counted = sum(len(one.images) for one in sure if all(image.split == "train" for image in one.images))
    assert f"{counted} duplicate training images" in report.answer[0]


def test_no_network_library_is_loaded(digits: Digits, tmp_path: Path) -> None:
    code = (
        "import sys; from eyeshot.cli import main\n"
        "try: main()\n"
        "finally: print([name for name in ('torch', 'torchvision', 'timm', 'bokeh') if name in sys.modules])"
    )
    environment = {**os.environ, "EYESHOT_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", code, "audit", str(digits.train), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_next_steps_that_are_printed_run(eyeshot: Eyeshot, digits: Digits) -> None:
    out = eyeshot("audit", digits.train).out
    for word, name, option in (("Next: ", "review", "--help"), ("Then: ", "split", "--no-leakage")):
        (line,) = [line for line in out.splitlines() if line.startswith(word)]
        command = shlex.split(line.removeprefix(word))
        assert command[:2] == ["eyeshot", name]
        assert eyeshot(*command[1:], option).code == 0


def test_policies_are_named_where_they_settle_findings_and_are_ready_to_run(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path
) -> None:
    train = tmp_path / "train"
    shutil.copytree(digits.train, train)
    assert policies_named(eyeshot("audit", train).out) == []  # some digits look alike, which settles nothing
    shutil.copy(min((train / "1").iterdir()), train / "7" / "twice.png")
    out = eyeshot("audit", train).out
    assert policies_named(out) == ["drop-both"]
    for line in out.splitlines():
        if line.startswith("Or all at once: "):
            assert eyeshot(*shlex.split(line.removeprefix("Or all at once: "))[1:]).code == 0


def policies_named(out: str) -> list[str]:
    return [line.split()[-1] for line in out.splitlines() if line.startswith("Or all at once: ")]


def test_in_the_table_of_findings_a_leak_asks_to_drop_the_training_image_only(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path
) -> None:
    train, test = tmp_path / "train", tmp_path / "test"
    shutil.copytree(digits.train, train)
    shutil.copytree(digits.test, test)
    shutil.copy(sorted((train / "1").iterdir())[0], test / "leak.png")
    eyeshot("audit", train, "--test", test)
    with open("eyeshot-out/audit/findings.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "leak"]
    assert {(row["split"], row["suggestion"]) for row in rows} == {("train", "drop"), ("test", "none")}


def test_json_is_the_report_and_nothing_else(eyeshot: Eyeshot, digits: Digits) -> None:
    done = eyeshot("audit", digits.test, "--json")
    report = json.loads(done.out)
    assert report["n_train"] == 50
    assert report["classes"] == []


def test_a_folder_that_is_not_there_is_refused(eyeshot: Eyeshot) -> None:
    done = eyeshot("audit", "nowhere")
    assert done.code == 2
    assert "which does not exist" in done.err
    error = json.loads(eyeshot("audit", "nowhere", "--json").out)
    assert (error["kind"], error["exit_code"]) == ("InputError", 2)
    assert "which does not exist" in error["error"]


def test_values_out_of_range_are_refused(eyeshot: Eyeshot, digits: Digits) -> None:
    assert eyeshot("audit", digits.train, "--workers", "0").code == 2
    assert eyeshot("audit", digits.train, "--small-class", "-1").code == 2


def test_without_a_folder_the_project_file_is_named(eyeshot: Eyeshot) -> None:
    done = eyeshot("audit")
    assert done.code == 2
    assert "eyeshot.toml" in done.err
