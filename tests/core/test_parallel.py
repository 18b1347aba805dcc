"""Threads and processes give the same; a process that dies ends the work with a clear error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from PIL import ImageFile

from eyeshot.core import in_parallel
from eyeshot.core.errors import InputError, StorageError
from eyeshot.data import strict_pillow

pytestmark = pytest.mark.usefixtures("many_are_few")


@pytest.fixture
def many_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything goes to processes."""
    monkeypatch.setattr("eyeshot.core.parallel.MANY", 1)
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
    monkeypatch.setattr("eyeshot.core.parallel.MANY", 10)
    assert {place for place, _ in in_parallel(partial(place_of, 1), range(9), 2)} == {os.getpid()}
    assert os.getpid() not in {place for place, _ in in_parallel(partial(place_of, 1), range(9), 2, files=10)}


def test_an_error_is_raised_here() -> None:
    with pytest.raises(InputError, match="never 0"):
        list(in_parallel(refuse, range(5), 2))


def test_what_is_printed_there_does_not_come_between(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(in_parallel(print_and_double, range(20), 2)) == [2 * number for number in range(20)]
    assert capfd.readouterr().out == ""


def test_a_process_that_was_killed_is_reported_with_what_to_do() -> None:
    with pytest.raises(StorageError, match=r"worker process was killed.*\(2 workers\).*--workers 1"):
        list(in_parallel(partial(die_at_three, os.getpid()), range(20), 2))


def length_and(known: bytes, number: int) -> tuple[int, int]:
    return len(known), number


def refuse_to_start(*_: object) -> None:
    raise RuntimeError("not here")


def test_work_is_done_here_where_processes_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyeshot.core.parallel._start_worker", refuse_to_start)
    much = bytes(1 << 22)  # more than a pipe holds
    assert list(in_parallel(partial(length_and, much), range(5), 2)) == [(len(much), number) for number in range(5)]


def test_work_is_done_here_where_the_system_has_no_semaphores(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no semaphores")

    monkeypatch.setattr("joblib.externals.loky.ProcessPoolExecutor", refuse)
    assert {place for place, _ in in_parallel(partial(place_of, 1), range(9), 2)} == {os.getpid()}


def test_processes_are_as_strict_with_truncated_files_as_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert not any(in_parallel(is_strict, range(4), 2))
    with strict_pillow():
        assert all(in_parallel(is_strict, range(4), 2))


def threads_allowed(_: int) -> tuple[str | None, str | None]:
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("OPENBLAS_NUM_THREADS")


def test_each_process_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert set(in_parallel(threads_allowed, range(4), 2)) == {("1", "1")}


def test_a_large_argument_of_the_work_is_sent_once_to_each_process() -> None:
    work = partial(length_and, CountedBytes())
    CountedBytes.times = 0
    assert list(in_parallel(work, range(50), 2)) == [(3, number) for number in range(50)]
    assert 1 <= CountedBytes.times <= 2


class CountedBytes:
    times = 0

    def __len__(self) -> int:
        return 3

    def __reduce__(self) -> tuple[type[CountedBytes], tuple[()]]:
        CountedBytes.times += 1
        return CountedBytes, ()


def test_items_are_taken_only_a_few_ahead_of_the_results() -> None:
    taken: list[int] = []

    class Items(Sequence[int]):
        def __len__(self) -> int:
            return 1000

        def __getitem__(self, place):
            if place >= 1000:
                raise IndexError
            taken.append(place)
            return place

    results = in_parallel(partial(place_of, 1), Items(), 2)
    next(results)
    time.sleep(0.3)
    assert len(taken) <= 9
    results.close()  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_no_process_is_left_where_the_rest_is_not_wanted() -> None:
    results = in_parallel(partial(place_of, 1), range(100), 2)
    place, _ = next(results)
    results.close()  # type: ignore[attr-defined]
    assert_gone(place)


SCRIPT = """
import sys, time
sys.path[:] = {path!r}
import eyeshot.core.parallel as parallel
parallel.MANY = 1
def of_this_script(number):
    from test_parallel import place_of
    return place_of(1, number)
results = parallel.in_parallel(of_this_script, range(1000), 2)
print(next(results)[0], flush=True)
for _ in results:
    time.sleep(0.2)
"""


def start_script(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A script without a guard that uses processes, in a session of its own; and one of its processes."""
    script = folder / "script.py"
    script.write_text(SCRIPT.format(path=sys.path))
    parent = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")
def test_no_process_outlives_a_parent_that_was_killed_and_its_script_needs_no_guard(tmp_path: Path) -> None:
    parent, place = start_script(tmp_path)
    parent.kill()
    assert_gone(place)
    parent.communicate()


@pytest.mark.skipif(os.name == "nt", reason="interrupts as POSIX does")
def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    parent, place = start_script(tmp_path)
    os.killpg(parent.pid, signal.SIGINT)
    errors = parent.communicate(timeout=30)[1]
    assert_gone(place)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "leaked" not in errors


def test_processes_find_a_checkout_that_only_pythonpath_names(tmp_path: Path) -> None:
    (tmp_path / "own_work.py").write_text("def treble(number):\n    return 3 * number\n")
    code = (
        "import os, own_work, eyeshot.core.parallel as parallel\n"
        "parallel.MANY = 1\n"
        "print(list(parallel.in_parallel(own_work.treble, range(4), 2)))\n"
    )
    checkout = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), checkout])},
        cwd=tmp_path.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("[0, 3, 6, 9]", "")


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
