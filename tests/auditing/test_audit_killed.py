from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bad_input import as_jpeg, photograph

from eyeshot.auditing import AuditReport, audit, image_stats

KILLS = int(os.environ.get("EYESHOT_KILLS", "2"))
IN_A_ROW = 5  # then it may end, and another begins
CODE = """
import sys
from pathlib import Path
from eyeshot.auditing import audit
import eyeshot.auditing.run, eyeshot.auditing.image_stats
eyeshot.auditing.image_stats.CHUNK = 5
print("ready", flush=True)
train, cache, out = map(Path, sys.argv[1:])
audit(train, cache=cache, workers=1).save(out)
print("done", flush=True)
"""


def start(*arguments: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed") / "train"
    for number in range(60):
        path = folder / str(number % 2) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_jpeg(photograph(number % 45, (500, 400)), 95))
    return folder


@pytest.mark.slow
def test_an_audit_killed_at_random_and_continued_ends_in_the_same_report(train: Path, tmp_path: Path) -> None:
    left_out = {"read", "seconds", "cpu_seconds"}
    begun = time.perf_counter()
    whole = audit(train, cache=tmp_path / "other", workers=1).report
    took = time.perf_counter() - begun
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    print(f"seed {seed}")  # shown where the test fails
    for series in range(-(-KILLS // IN_A_ROW)):
        folders = (train, tmp_path / f"cache-{series}", tmp_path / f"out-{series}")
        for _ in range(min(IN_A_ROW, KILLS - series * IN_A_ROW)):
            process = start(*folders)
            time.sleep(chance.uniform(0, 0.5 * took))
            process.kill()
            process.wait()
        process = start(*folders)
        rest, _ = process.communicate(timeout=200)
        assert (process.returncode, rest) == (0, "done\n")
        report = AuditReport.model_validate_json((folders[2] / "audit.json").read_text("utf-8"))
        assert report.model_dump(exclude=left_out) == whole.model_dump(exclude=left_out)


def test_what_was_read_before_a_break_is_not_read_again(train: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(image_stats, "CHUNK", 10)
    usual = image_stats.measure
    seen = []

    def breaking(image):
        seen.append(1)
        if len(seen) == 35:
            raise KeyboardInterrupt
        return usual(image)

    monkeypatch.setattr(image_stats, "measure", breaking)
    with pytest.raises(KeyboardInterrupt):
        audit(train, cache=tmp_path / "cache", workers=1)
    monkeypatch.setattr(image_stats, "measure", usual)
    # 45 different contents; of those that were measured at most one chunk and what waited in threads is lost.
    assert audit(train, cache=tmp_path / "cache", workers=1).report.read <= 45 - 20
