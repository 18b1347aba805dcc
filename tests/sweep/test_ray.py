"""A real Ray cluster of several node processes on this machine: a worker and a node are killed while it computes."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import eyeshot
from eyeshot.core import InputError
from eyeshot.ledger import open_ledger
from eyeshot.sweep import RayExecutor, WorkerLost
from eyeshot.training import read_result
from labelled_pictures import write_bright_and_dark

ray = pytest.importorskip("ray", reason="ray is not installed: the executor for many machines was not tested")
pytestmark = pytest.mark.slow

TRIES = 3
SPACE = [
    "training.learning_rate=1e-3,1e-2", "augmentation=none,mirror", "probe.penalty=10", "training.optimizer=adamw",
    "training.weight_decay=0.05", "training.label_smoothing=0", "training.schedule=cosine",
]  # fmt: skip
os.environ.setdefault("RAY_raylet_start_wait_time_s", "240")


class Item(NamedTuple):
    number: int
    seconds: float = 0.0
    device: str = "cpu"


class Recording:
    """A task that leaves a file named after each process that does it."""

    def __init__(self, task: Callable[[Any], Any], folder: Path) -> None:
        self.task, self.folder = task, folder

    def __call__(self, item: Any) -> Any:
        (self.folder / str(os.getpid())).touch()
        return self.task(item)


class Recorded(RayExecutor):
    """Two workers of the cluster whose processes are recorded."""

    def __init__(self, address: str, folder: Path) -> None:
        super().__init__(address, workers=2)
        self.folder = folder

    def stream(self, task: Any, next_item: Any, *, over: Any = lambda: False) -> Any:
        """As of the executor."""
        yield from super().stream(Recording(task, self.folder), next_item, over=over)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def add_node(cluster: Any, **more: Any) -> Any:
    """A node process; its agents' ports are fixed, since the raylet gives up where they are slow to choose some.

    The raylet also gives up where an agent has not written its port into a file within 15 s, which a busy machine takes
    to import it. As the port is known, this writes the file first.
    """
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    node_id = ray.NodeID.from_random().hex()
    os.environ["RAY_OVERRIDE_NODE_ID_FOR_TESTING"] = node_id
    ready = threading.Event()
    begin = time.time()

    def write_ports() -> None:
        while not ready.wait(0.2):
            sessions = [place for place in Path("/tmp/ray").glob("session_2*") if cluster.list_all_nodes() or
                        place.stat().st_ctime >= begin]  # fmt: skip
            for session in sorted(sessions)[-1:]:
                for name, port in ports.items():
                    file = session / f"{name}_{node_id}"
                    if not file.exists():
                        file.write_text(str(port))

    writer = threading.Thread(target=write_ports, daemon=True)
    writer.start()
    try:
        return cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20, **ports, **more)
    finally:
        ready.set()
        writer.join()
        del os.environ["RAY_OVERRIDE_NODE_ID_FOR_TESTING"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    os.environ["PYTHONPATH"] = path  # workers are started by the nodes, which inherit it
    for _ in range(TRIES):
        cluster = Cluster()
        try:
            add_node(cluster, include_dashboard=False)
            break
        except Exception as error:  # ray raises no other
            last = error
            cluster.shutdown()
    else:
        pytest.skip(f"no Ray node started within its own 30 s, {TRIES} times: {last}")
    cluster.second = add_node(cluster)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


class Task:
    """Says where it ran and how many items this worker has done before."""

    def __init__(self) -> None:
        self.before = 0

    def __call__(self, item: Item) -> tuple[int, int, str, int]:
        if item.number == 3:
            raise InputError("never 3")
        time.sleep(item.seconds)
        self.before += 1
        return item.number, os.getpid(), ray.get_runtime_context().get_node_id(), self.before


def once(items: list[Item]) -> Callable[[], Item | None]:
    return lambda: items.pop(0) if items else None


def test_items_come_back_with_results_or_errors_and_workers_stay_warm(cluster: Any) -> None:
    executor = RayExecutor(cluster.address, workers=2)
    outcomes = dict(executor.stream(Task(), once([Item(number) for number in range(8)])))
    assert isinstance(outcomes.pop(Item(3)), InputError)
    results: list[Any] = list(outcomes.values())
    assert sorted(result[0] for result in results) == [0, 1, 2, 4, 5, 6, 7]
    assert len({pid for _, pid, _, _ in results}) <= 2
    assert max(before for *_, before in results) >= 3  # the same worker did several


def test_a_killed_worker_loses_its_item_alone_and_is_begun_anew(cluster: Any) -> None:
    executor = RayExecutor(cluster.address, workers=2)
    waiting = [Item(0), Item(1), Item(4, 600.0), Item(5), Item(6)]
    again: list[Item] = []
    results: dict[int, Any] = {}
    for item, result in executor.stream(Task(), lambda: once(again)() or once(waiting)()):
        if isinstance(result, WorkerLost):
            assert item.number == 4
            again.append(Item(4))
            continue
        results[item.number] = result
        if item.number == 6:  # the other worker sleeps over item 4
            pids = {pid for _, pid, *_ in results.values()}
            assert len(pids) == 2
            os.kill(next(pid for pid in pids if pid != result[1]), signal.SIGKILL)
    assert sorted(results) == [0, 1, 4, 5, 6]


def test_a_lost_node_loses_no_item_for_good_and_another_takes_its_work(cluster: Any) -> None:
    executor = RayExecutor(cluster.address, workers=2)
    waiting = [Item(0), Item(1), Item(7, 30.0), Item(8, 30.0), Item(9)]
    again: list[Item] = []
    results: dict[int, Any] = {}
    lost = 0
    removed = False
    for item, result in executor.stream(Task(), lambda: once(again)() or once(waiting)()):
        if isinstance(result, WorkerLost):
            lost += 1
            again.append(item._replace(seconds=0.0))
            continue
        results[item.number] = result
        if len(results) == 2 and not removed:
            assert len({node for _, _, node, _ in results.values()}) == 2
            cluster.remove_node(cluster.second, allow_graceful=False)
            cluster.second = add_node(cluster)
            removed = True
    assert lost >= 1
    assert sorted(results) == [0, 1, 7, 8, 9]


def test_the_end_of_the_time_ends_workers_at_once(cluster: Any) -> None:
    executor = RayExecutor(cluster.address, workers=2)
    ended: list[int] = []
    begin = time.monotonic()
    for item, _ in executor.stream(Task(), once([Item(0), Item(1, 600.0)]), over=lambda: bool(ended)):
        ended.append(item.number)
    assert ended == [0]
    assert time.monotonic() - begin < 120


def test_a_sweep_trains_on_the_cluster_though_a_worker_is_killed_and_its_ledger_holds_every_rung_once(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bright_and_dark(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    pids = tmp_path / "pids"
    killed: list[str] = []
    pids.mkdir()

    def kill_one() -> None:
        deadline = time.monotonic() + 500
        while time.monotonic() < deadline and not killed:
            time.sleep(0.05)
            if any((tmp_path / "eyeshot-out" / "runs").glob("*/metrics.jsonl")):  # a training is under way
                killed.append(max(pids.iterdir(), key=lambda file: file.stat().st_mtime).name)
                os.kill(int(killed[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    report = eyeshot.start_sweep(
        "bright or dark, on a cluster", tmp_path / "images", budget_s=600.0, models=["test_resnet.r160_in1k"],
        from_scratch=True, size=32, epochs=2, val_share=0.3, settings={"batch_size": 8}, device="cpu", progress=False,
        space=SPACE, executor=Recorded(cluster.address, pids),
    )  # fmt: skip
    assert report.state == "finished"
    killer.join()
    # Actors on both nodes and one that was begun anew trained, and none of it was done by this process.
    workers = {file.name for file in pids.iterdir()}
    assert len(workers) == 3
    assert {*killed} < workers
    assert str(os.getpid()) not in workers
    with open_ledger(tmp_path / "eyeshot-out") as ledger:
        trials = ledger.experiments()
    assert len(trials) == 5
    assert {trial.state for trial in trials} <= {"done", "stopped"}
    assert all(set(Counter(rung["rung"] for rung in trial.rungs).values()) == {1} for trial in trials)
    result = read_result(tmp_path / "eyeshot-out" / "runs" / trials[0].id)
    assert result is not None
    assert result.epochs == 1 + 2
