"""Threads and processes give the same; a process that dies costs nothing but time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from eyeshot.errors import InputError
from eyeshot.images import PixelStore, in_parallel, read_images
from eyeshot.images.geometry import Geometry

pytestmark = pytest.mark.usefixtures("many_are_few")


@pytest.fixture
def many_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything goes to processes."""
    monkeypatch.setattr("eyeshot.images.parallel.MANY", 1)
    here = str(Path(__file__).parent)
    monkeypatch.setattr(sys, "path", [here, *sys.path])


def place_of(power: int, number: int) -> tuple[int, int]:
    return os.getpid(), number**power


def refuse(number: int) -> int:
    raise InputError(f"never {number}")


def print_and_double(number: int) -> int:
    print("a library talks")
    return 2 * number


def die_at_three(parent: int, number: int) -> int:
    if number == 3 and os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    return number


def is_strict(_: int) -> bool:
    return not ImageFile.LOAD_TRUNCATED_IMAGES


def test_results_come_in_order_from_other_processes() -> None:
    found = list(in_parallel(partial(place_of, 2), range(100), 3))
    assert [square for _, square in found] == [number**2 for number in range(100)]
    places = {place for place, _ in found}
    assert os.getpid() not in places
    assert 1 <= len(places) <= 3


def test_one_worker_or_few_files_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {place for place, _ in in_parallel(partial(place_of, 1), range(9), 1)} == {os.getpid()}
    monkeypatch.setattr("eyeshot.images.parallel.MANY", 10)
    assert {place for place, _ in in_parallel(partial(place_of, 1), range(9), 2)} == {os.getpid()}
    assert os.getpid() not in {place for place, _ in in_parallel(partial(place_of, 1), range(9), 2, files=10)}


def test_an_error_is_raised_here() -> None:
    with pytest.raises(InputError, match="never 0"):
        list(in_parallel(refuse, range(5), 2))


def test_what_is_printed_there_does_not_come_between(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(in_parallel(print_and_double, range(20), 2)) == [2 * number for number in range(20)]
    assert capfd.readouterr().out == ""


def test_work_of_a_process_that_was_killed_is_done_here() -> None:
    assert list(in_parallel(partial(die_at_three, os.getpid()), range(20), 2)) == list(range(20))


def length_and(known: bytes, number: int) -> tuple[int, int]:
    return len(known), number


def test_work_is_done_here_where_processes_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyeshot.images.parallel.START", "raise SystemExit")
    much = bytes(1 << 22)  # more than a pipe holds: sending it fails, too
    assert list(in_parallel(partial(length_and, much), range(5), 2)) == [(len(much), number) for number in range(5)]


def test_processes_are_strict_with_truncated_files() -> None:
    assert all(in_parallel(is_strict, range(4), 2))


def test_no_process_is_left_where_the_rest_is_not_wanted() -> None:
    results = in_parallel(partial(place_of, 1), range(100), 2)
    place, _ = next(results)
    results.close()  # type: ignore[attr-defined]
    assert_gone(place)


@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")
def test_no_process_outlives_a_parent_that_was_killed_and_its_script_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, time\n"
        f"sys.path[:] = {sys.path!r}\n"
        "from functools import partial\n"
        "import eyeshot.images.parallel as parallel\n"
        "from test_parallel import place_of\n"
        "parallel.MANY = 1\n"
        "results = parallel.in_parallel(partial(place_of, 1), range(1000), 2)\n"
        "print(next(results)[0], flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    place = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert_gone(place)


def assert_gone(place: int) -> None:
    for _ in range(200):
        try:
            os.kill(place, 0)
            state = Path(f"/proc/{place}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {place} is still there")


def test_a_folder_reads_and_decodes_alike_in_processes(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pets / "cat" / "torn.png").write_bytes((pets / "cat" / "1.png").read_bytes()[:300])
    (pets / "cat" / "none.png").write_bytes(b"none")
    Image.new("RGB", (3, 3)).save(pets / "cat" / "small.png")
    geometry = Geometry(size=16)
    there = read_images(pets, workers=2)
    decoded = PixelStore(tmp_path / "there", geometry).load(there, range(len(there)), workers=2)
    monkeypatch.setattr("eyeshot.images.parallel.MANY", 10**6)
    here = read_images(pets, workers=2)
    expected = PixelStore(tmp_path / "here", geometry).load(here, range(len(here)), workers=2)
    assert there.frame.equals(here.frame)
    assert there.skipped == here.skipped
    assert decoded.keys == expected.keys
    assert (decoded.images[:] == expected.images[:]).all()
    assert decoded.skipped == expected.skipped
    assert len(decoded.skipped) == 1
