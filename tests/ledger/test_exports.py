"""Exports: a CSV file, a real local MLflow server, and W&B's offline mode."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import eyeshot
from eyeshot.core import EyeshotError, InputError, StorageError
from eyeshot.ledger import open_ledger
from ledger.store.ledger_states import UP


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A project with two experiments; their ids."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    with open_ledger(write=True) as ledger:
        first = ledger.add("baseline", author="Ana", config={"training": {"epochs": 3}, "augmentations": []})
        second = ledger.add(
            "RAdam 왜, since the rate is high", author="Ben", parent=first.id, expected=UP, tags=["optimizer"],
            difference={"training.optimizer": ["adamw", "radam"]}, config={"training": {"epochs": 3}},
        )  # fmt: skip
        ledger.append(second.id, "run", run="r1", seed=0)
        ledger.append(second.id, "rung", rung="probe", value=0.7, n=40, seconds=2.0)
        ledger.append(second.id, "got", got={"value": 0.75, "low": 0.6, "high": 0.86, "n": 40, "difference": 0.05})
        ledger.append(second.id, "verdict", verdict="as expected", gain="better", words="It came so.")
        ledger.append(second.id, "learned", text="A lower rate\nhelps, too")
        ledger.append(second.id, "state", state="done")
    run = tmp_path / "eyeshot-out" / "runs" / "r1"
    run.mkdir(parents=True)
    records = [
        {"epoch": epoch, "train_loss": 1 / epoch, "train_accuracy": 0.5, "val_accuracy": epoch / 4}
        for epoch in (1, 2, 3)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return [first.id, second.id]


def test_a_csv_file_holds_every_experiment_and_is_written_again_but_over_no_other_file(project: list[str]) -> None:
    for _ in range(2):
        assert eyeshot.export_experiments("csv") == {name: name for name in project}
    with Path("eyeshot-out/experiments.csv").open(encoding="utf-8", newline="") as opened:
        first, second = csv.DictReader(opened)
    assert [first["id"], second["id"]] == project
    assert second["why"] == "RAdam 왜, since the rate is high"
    assert second["difference"] == "training.optimizer: adamw → radam"
    assert second["expected"] == "accuracy +1.0 points"
    assert second["learned"] == "A lower rate\nhelps, too"
    assert (float(second["value"]), second["verdict"], second["tags"]) == (0.75, "as expected", "optimizer")
    assert eyeshot.export_experiments("csv", out="some.csv", where="verdict IS NOT NULL").keys() == {project[1]}
    Path("mine.csv").write_text("my own notes", encoding="utf-8")
    with pytest.raises(InputError, match="not written by this command"):
        eyeshot.export_experiments("csv", out="mine.csv")


def test_what_cannot_be_exported_is_told(project: list[str]) -> None:
    with pytest.raises(InputError, match="got 'excel'"):
        eyeshot.export_experiments("excel")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="address of a server"):
        eyeshot.export_experiments("mlflow")
    with pytest.raises(InputError, match="no such column"):
        eyeshot.export_experiments("csv", where="vlue > 1")


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_a_missing_part_is_told_with_the_command_that_installs_it(
    project: list[str], tracker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, tracker, None)
    with pytest.raises(EyeshotError, match=rf'pip install "eyeshot\[{tracker}\]"'):
        eyeshot.export_experiments(tracker, server="http://127.0.0.1:1")


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[str]:
    """The address of a real MLflow server with a store of its own."""
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip("mlflow is not installed: the export to it was not tried")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}",
        "--default-artifact-root", str(tmp_path / "artifacts"), "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, start_new_session=True)
        try:
            until = time.monotonic() + 240
            while True:
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=5)
                    break
                except OSError:
                    assert server.poll() is None, (tmp_path / "server.log").read_text()
                    assert time.monotonic() < until, "the server did not start within 240 s"
                    time.sleep(0.5)
            yield address
        finally:
            if hasattr(os, "killpg"):  # its workers too
                os.killpg(server.pid, signal.SIGKILL)
            server.kill()
            server.wait(30)


@pytest.mark.slow
def test_a_real_mlflow_server_holds_what_the_ledger_says(project: list[str], mlflow_server: str) -> None:
    import mlflow

    there = eyeshot.export_experiments("mlflow", server=mlflow_server, name="pets")
    client = mlflow.MlflowClient(tracking_uri=mlflow_server)
    home = client.get_experiment_by_name("pets").experiment_id
    assert list(there) == project

    def check(run: Any) -> None:
        assert run.info.run_name == project[1]
        assert run.info.status == "FINISHED"
        assert run.data.params == {"training.epochs": "3", "difference.training.optimizer": "adamw → radam"}
        assert run.data.metrics["accuracy"] == 0.75
        assert run.data.metrics["difference"] == 0.05
        assert run.data.metrics["rung probe"] == 0.7
        assert run.data.tags["eyeshot.verdict"] == "as expected"
        assert run.data.tags["eyeshot.why"] == "RAdam 왜, since the rate is high"
        history = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert [(point.step, point.value) for point in history] == [(1, 0.25), (2, 0.5), (3, 0.75)]

    check(client.get_run(there[project[1]]))
    with open_ledger(write=True) as ledger:
        ledger.append(project[0], "learned", text="later")
    assert eyeshot.export_experiments("mlflow", server=mlflow_server, name="pets") == there
    assert len(client.search_runs([home])) == 2
    check(client.get_run(there[project[1]]))
    assert client.get_run(there[project[0]]).data.tags["eyeshot.learned"] == "later"
    assert client.get_run(there[project[0]]).info.status == "RUNNING"


@pytest.mark.slow
def test_a_server_that_is_not_there_is_told(project: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip("mlflow is not installed: the export to it was not tried")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with pytest.raises(StorageError, match=r"http://127\.0\.0\.1:9.*refused"):
        eyeshot.export_experiments("mlflow", server="http://127.0.0.1:9")


@pytest.mark.slow
def test_wandb_offline_keeps_what_the_ledger_says(project: list[str]) -> None:
    if importlib.util.find_spec("wandb") is None:
        pytest.skip("wandb is not installed: the export to it was not tried")
    there = eyeshot.export_experiments("wandb", name="pets")
    assert list(there) == project
    folders = sorted(Path("eyeshot-out/wandb/wandb").glob("offline-run-*"))
    assert [folder.name.rpartition("-")[2] for folder in folders] == [
        there[name].rpartition("-")[2] for name in project
    ]
    (file,) = folders[1].glob("*.wandb")
    config, summary, history, notes = read_wandb(file)
    assert config["training.epochs"] == "3"
    assert config["difference.training.optimizer"] == "adamw → radam"
    assert (summary["accuracy"], summary["verdict"]) == (0.75, "as expected")
    assert [row["val_accuracy"] for row in history] == [0.25, 0.5, 0.75]
    assert "RAdam 왜" in notes


def records_of(file: Path) -> Iterator[bytes]:
    """Records of an offline run: a log of LevelDB (blocks of 32 KB; crc, length and type before each part)."""
    content, place, record = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def read_wandb(file: Path) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]], str]:
    """Config, summary, history and notes in the file of an offline run."""
    from wandb.proto import wandb_internal_pb2

    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    history: list[dict[str, Any]] = []
    notes = ""

    def items(entries: Any) -> dict[str, Any]:
        return {entry.key or ".".join(entry.nested_key): json.loads(entry.value_json) for entry in entries}

    for data in records_of(file):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("run"):
            config |= items(record.run.config.update)
            notes = record.run.notes
        if record.HasField("config"):
            config |= items(record.config.update)
        if record.HasField("summary"):
            summary |= items(record.summary.update)
        if record.HasField("history"):
            history.append(items(record.history.item))
    return config, summary, history, notes
