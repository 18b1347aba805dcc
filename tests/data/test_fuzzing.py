"""Damaged files, mutated with a fixed seed: each is read, or refused with a reason, in bounded time and memory.

`python -m benchmarks.fuzzing` makes the files, and reads many more of them when it is started by hand.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import eyeshot
from eyeshot.data import Geometry, UnreadableImageError, decode

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # the benchmarks are no package that is installed
    sys.path.insert(0, str(ROOT))

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the peak of memory is read by a module of POSIX"),
    pytest.mark.filterwarnings("ignore:IM image format:DeprecationWarning"),
]


def test_no_damaged_image_or_csv_crashes_hangs_or_fills_the_memory() -> None:
    command = [sys.executable, "-m", "benchmarks.fuzzing", "--rounds", "2", "--csv-files", "300"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert result["failed"] == []
    assert result["formats"] >= 30
    assert result["images"] >= 800
    assert result["slowest_s"] < 2
    assert result["peak_mib"] < 1000  # a header may claim 81 megapixels, which Pillow holds in 4 bytes each
    for kind in ("image_outcomes", "csv_outcomes"):
        # Neither is everything refused before it is looked at, nor is the damage too small to matter.
        assert min(result[kind]["used"], result[kind]["refused"]) > 0.2 * sum(result[kind].values())


def test_a_reader_that_crashes_or_disagrees_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import fuzzing

    def crash(source: Path | bytes, geometry: Geometry) -> None:
        raise KeyError("a crash")

    def refuse(source: Path | bytes, geometry: Geometry) -> object:
        if isinstance(source, bytes):
            raise UnreadableImageError("refused")
        return decode(source, geometry)

    for broken, words in ((crash, "KeyError: 'a crash'"), (refuse, "the readers disagree")):
        monkeypatch.setattr(fuzzing, "decode", broken)
        failed = fuzzing.run(rounds=0, csv_files=0, seed=24, failures=None)["failed"]
        assert len(failed) >= 30
        assert all(words in failure for failure in failed)


def test_a_picture_of_16_million_pixels_in_a_row_is_read_in_time() -> None:
    width, height = 1 << 24, 5
    small = io.BytesIO()
    pages = [Image.new("RGB", (32, 5), colour) for colour in ("red", "blue")]
    pages[0].save(small, "WEBP", save_all=True, append_images=pages[1:], lossless=True)
    data = bytearray(small.getvalue())
    place = data.index(b"VP8X") + 12  # the size of the canvas, less 1, in 3 bytes each
    data[place : place + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    begin = time.process_time()
    assert decode(bytes(data), Geometry(size=8)).shape == (8, 8, 3)
    assert time.process_time() - begin < 8  # minutes without larger blocks


def test_a_folder_of_damaged_files_is_audited_and_its_cleaned_set_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import fuzzing

    from eyeshot.data import read_images

    monkeypatch.chdir(tmp_path)
    for number, (kind, mutation, data) in enumerate(fuzzing.mutated_images(1, seed=5)):
        if mutation == "claim_size":  # big pictures, which the other test reads
            continue
        file = tmp_path / "set" / f"class {number % 3}" / f"{number}.{kind.split()[0].lower()}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    report = eyeshot.audit("set", workers=2, progress=False).report
    exported = eyeshot.export_manifest("set", links="clean", progress=False)
    assert report.n_train == len(exported.manifest.table) > 100
    tiny = sum("smaller than" in file.reason for file in exported.unusable)  # a finding of another kind
    assert report.counts["unreadable"] == len(exported.unusable) - tiny > 50
    cleaned = read_images(tmp_path / "clean")
    assert len(cleaned) == report.n_train
    assert cleaned.skipped == ()
    for path in cleaned.paths:
        decode(Path(path), Geometry(size=16))
