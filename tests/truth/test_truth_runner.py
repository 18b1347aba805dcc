"""The runner on two small folders of a user: resumes, never doubles a row, and says what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from benchmarks.augmentation_truth.__main__ import main
from benchmarks.augmentation_truth.table import Row, read_table

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("mirror", "invert")


@pytest.fixture(autouse=True)
def no_lower_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process of the tests cannot have its priority back, and would be slow in all that follows."""
    monkeypatch.setattr("benchmarks.augmentation_truth.__main__._be_nice", lambda: None)


def command(source: Path, target: Path, work: Path, *more: str, epochs: int = 2) -> list[str]:
    return [
        *("run", "--source", str(source), "--target", str(target), "--model", "test_resnet.r160_in1k"),
        *("--from-scratch", "--size", "32", "--epochs", str(epochs), "--seeds", "1", "--work", str(work)),
        *("--candidates", *NAMES, *more),
    ]


def rows_in(work: Path) -> list[Row]:
    (file,) = (work / "tables").glob("*.csv")
    table = read_table(file)
    assert table.problems == ()
    return list(table.rows)


def count_trainings(work: Path) -> int:
    files = list((work / "tables").glob("*.csv"))
    return len({row.key for file in files for row in read_table(file).rows})


def told(rows: list[Row]) -> list[dict[str, object]]:
    """What must not depend on the machine's mood."""
    kept = [{name: value for name, value in asdict(row).items() if name not in ("seconds", "commit")} for row in rows]
    return sorted(kept, key=lambda row: (str(row["candidate"]), str(row["target"])))


def test_one_command_trains_a_users_own_folders(two_folders: tuple[Path, Path], tmp_path: Path) -> None:
    assert main(command(*two_folders, tmp_path / "work")) == 0
    rows = rows_in(tmp_path / "work")
    assert {row.candidate for row in rows} == {"clean", "no-op", "shuffled-pixels", *NAMES}
    assert {row.target for row in rows} == {"own", "theirs"}
    assert len(rows) == 10
    # 16 images a class: 5 held out, of which 2 or 3 tell the truth; 8 of the target, of which 4 do.
    assert {row.n_target for row in rows if row.target == "theirs"} == {8}
    before = (tmp_path / "work" / "tables").glob("*.csv").__next__().read_bytes()
    assert main(command(*two_folders, tmp_path / "work")) == 0
    assert (tmp_path / "work" / "tables").glob("*.csv").__next__().read_bytes() == before


def test_the_half_that_the_scores_see_is_not_the_one_that_tells_the_truth(
    two_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    main(command(*two_folders, tmp_path / "work"))
    (data,) = (path for path in (tmp_path / "work" / "data").iterdir() if path.is_dir())
    for target in ("own", "theirs"):
        truth = {file.name for file in (data / "targets" / target / "truth").rglob("*.png")}
        score = {file.name for file in (data / "targets" / target / "score").glob("*.png")}
        assert truth
        assert score
        assert not truth & score
        assert not list((data / "targets" / target / "score").glob("*/"))
    trained = {file.name for part in ("train", "val") for file in (data / part).rglob("*.png")}
    assert not trained & {file.name for file in (data / "targets" / "own").rglob("*.png")}


@pytest.mark.slow
def test_a_runner_killed_at_random_ends_with_the_rows_of_one_that_was_not(
    two_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    arguments = command(*two_folders, tmp_path / "killed", epochs=40)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for trainings, more_s in ((1, 0.1), (2, 0.3)):
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.augmentation_truth", *arguments],
            cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        give_up = time.monotonic() + 120
        while count_trainings(tmp_path / "killed") < trainings and time.monotonic() < give_up:
            time.sleep(0.02)
        time.sleep(more_s)
        assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        process.wait()
    assert count_trainings(tmp_path / "killed") < 5
    assert main(arguments) == 0
    assert main(command(*two_folders, tmp_path / "whole", epochs=40)) == 0
    assert told(rows_in(tmp_path / "killed")) == told(rows_in(tmp_path / "whole"))


@pytest.mark.slow
def test_two_processes_share_one_table(two_folders: tuple[Path, Path], tmp_path: Path) -> None:
    arguments = [*command(*two_folders, tmp_path / "work"), "--processes", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.augmentation_truth", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = rows_in(tmp_path / "work")
    assert len(rows) == len({(row.key, row.target) for row in rows}) == 10
    # Each training was done by one of the two, never by both.
    assert done.stdout.count(" seed 0: val ") == 5


def test_rows_of_another_version_are_named_and_trained_again_only_if_asked(
    two_folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.augmentation_truth import runner

    work = tmp_path / "work"
    main(command(*two_folders, work))
    before = rows_in(work)
    real = runner.candidate_fingerprint
    monkeypatch.setattr(runner, "candidate_fingerprint", lambda one: "new" if one.name == "invert" else real(one))
    capsys.readouterr()
    main(command(*two_folders, work))
    assert "1 trainings are of another version or edited by hand; not trained again" in capsys.readouterr().out
    assert rows_in(work) == before
    main([*command(*two_folders, work), "--again"])
    after = rows_in(work)
    assert {row.catalogue for row in after if row.candidate == "invert"} == {"new"}
    assert len(after) == len(before)


def test_clean_and_the_first_seed_follow_from_the_seed_alone(two_folders: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("first", "second"):
        main(command(*two_folders, tmp_path / name))
    assert told(rows_in(tmp_path / "first")) == told(rows_in(tmp_path / "second"))


def without_class_folders(target: Path) -> None:
    for label in ("left", "right"):
        for file in (target / label).iterdir():
            file.rename(target / f"{label}{file.name}")
        (target / label).rmdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_class_folders, "one folder per class"),
        (lambda target: shutil.rmtree(target / "left"), "without left"),
        (lambda target: (target / "left").rename(target / "middle"), "without left"),
        (lambda target: (shutil.rmtree(target), target.mkdir()), "must hold images"),
        (lambda target: shutil.rmtree(target), "theirs"),
    ],
    ids=["no class folders", "a class missing", "another class", "an empty folder", "no folder"],
)
def test_a_target_that_cannot_be_used_is_refused(
    two_folders: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    message: str,
) -> None:
    spoil(two_folders[1])
    assert main(command(*two_folders, tmp_path / "work")) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_candidate_is_refused_with_the_nearest_names(
    two_folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(*two_folders, tmp_path / "work", "miror")) == 2
    assert "mirror" in capsys.readouterr().err


def test_an_unknown_source_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--source", "digitz", "--work", str(tmp_path)]) == 2
    assert "digitz" in capsys.readouterr().err


def test_the_command_that_the_evidence_shows_can_be_given() -> None:
    import re
    import shlex

    from benchmarks.augmentation_truth.__main__ import _parser

    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    shown = re.findall(r"^python -m benchmarks\.augmentation_truth (.+)$", text, flags=re.MULTILINE)
    assert any(line.startswith("run --source") for line in shown)
    for line in shown:
        assert _parser().parse_args(shlex.split(line)).act
    section = text.partition("## Against real training")[2].partition("\n## ")[0]
    known = (ROOT / "benchmarks" / "augmentation_truth" / "__main__.py").read_text(encoding="utf-8")
    named = set(re.findall(r"--[a-z][a-z-]*", section))
    assert len(named) > 8
    assert {name for name in named if f'"{name}"' not in known} == set()
