from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from command_line import Digits, Eyeshot

from eyeshot.auditing import AuditReport


def test_an_audit_prints_what_to_do_first_and_one_next_step(eyeshot: Eyeshot, digits: Digits) -> None:
    done = eyeshot("audit", digits.train, "--test", digits.test)
    assert done.code == 0
    assert "images, 180 read now" in done.out
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
    assert "130 training and 50 test images, 0 read now" in eyeshot("audit", digits.train, "--test", digits.test).out


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


def test_json_is_the_report_and_nothing_else(eyeshot: Eyeshot, digits: Digits) -> None:
    done = eyeshot("audit", digits.test, "--json")
    report = json.loads(done.out)
    assert report["n_train"] == 50
    assert report["classes"] == []


def test_a_folder_that_is_not_there_is_refused(eyeshot: Eyeshot) -> None:
    done = eyeshot("audit", "nowhere")
    assert done.code == 2
    assert "nothing is there" in done.err


def test_values_out_of_range_are_refused(eyeshot: Eyeshot, digits: Digits) -> None:
    assert eyeshot("audit", digits.train, "--workers", "0").code == 2
    assert eyeshot("audit", digits.train, "--small-class", "-1").code == 2


def test_without_a_folder_the_project_file_is_named(eyeshot: Eyeshot) -> None:
    done = eyeshot("audit")
    assert done.code == 2
    assert "eyeshot.toml" in done.err
