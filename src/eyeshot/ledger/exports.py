"""`eyeshot ledger export`: experiments for other trackers: a CSV file, an MLflow server, or Weights & Biases.

An export can be repeated: what an experiment became there is found by its id and brought up to date. Nothing is read
back: the ledger is where experiments are changed.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from eyeshot.core import (
    InputError,
    Progress,
    StorageError,
    check_output,
    find_workspace,
    key_of,
    listing,
    make_folder,
    replacing,
    require,
    shortened,
    shown_progress,
)
from eyeshot.ledger.store.database import Ledger, open_ledger
from eyeshot.ledger.store.records import Experiment
from eyeshot.ledger.store.schema import COLUMNS
from eyeshot.ledger.views.curves import experiment_curves
from eyeshot.ledger.views.tables import table_rows
from eyeshot.ledger.views.words import difference_words, expected_words

Tracker = Literal["csv", "mlflow", "wandb"]
CURVES: tuple[Literal["val_accuracy", "train_accuracy", "train_loss"], ...] = (
    "val_accuracy", "train_accuracy", "train_loss",
)  # fmt: skip
SERVER_VARIABLE = "MLFLOW_TRACKING_URI"
MODE_VARIABLE = "WANDB_MODE"
ID_TAG = "eyeshot.id"
LONGEST_TAG = 5000
"""Characters of a tag and of a parameter that every MLflow store takes."""
MOST_AT_ONCE = 900
"""Values in one request to MLflow; its limit is 1,000."""
ENDED = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "dropped": "KILLED"}
"""What MLflow calls the states in which an experiment has ended; in others its run goes on."""
CSV_MARK = "id,created,state,why"


def export_experiments(
    to: Tracker,
    *,
    out: str | Path | None = None,
    server: str | None = None,
    name: str | None = None,
    where: str | None = None,
    tag: Sequence[str] = (),
    progress: Progress | bool | None = None,
) -> dict[str, str]:
    """Give the experiments of the project to another tracker; the same call again brings them up to date there.

    MLflow and W&B get the settings and the difference as parameters, what came with its interval and the curves of all
    runs as metrics, and why, expected, verdict and learned as tags (MLflow) or notes (W&B).

    Args:
        to: "csv", "mlflow" or "wandb".
        out: the CSV file, or the folder for W&B's files; eyeshot-out/experiments.csv and eyeshot-out/wandb where not
            given.
        server: address of an MLflow server or store; the variable MLFLOW_TRACKING_URI where not given.
        name: of the experiment in MLflow, or of the project in W&B; the project folder's where not given.
        where: a condition on columns, as for `experiments`.
        tag: only experiments with all of these tags.
        progress: told how far it is; None: shown in a terminal and a notebook; False: nobody.

    Returns:
        by experiment: the id that it has there; in a CSV file its own.

    Raises:
        InputError: the tracker is unknown, there is no address, or the condition cannot be used.
        MissingExtraError: MLflow or W&B is not installed.
        StorageError: the file cannot be written, or the server does not answer.
    """
    if to not in get_args(Tracker):
        raise InputError(f"Experiments can be exported to {listing(get_args(Tracker))}, got {to!r}.")
    workspace = find_workspace()
    if to == "csv":
        file = Path(out or workspace.results("experiments.csv"))
        return _to_csv(file, where=where, tag=tag)
    title = name or workspace.project.name or "eyeshot"
    with open_ledger() as ledger, shown_progress(progress) as shown:
        if to == "mlflow":
            address = server or os.environ.get(SERVER_VARIABLE, "")
            if not address:
                raise InputError(
                    f"An export to MLflow needs the address of a server: --server http://127.0.0.1:5000, or "
                    f"{SERVER_VARIABLE}. Start one with: mlflow server --backend-store-uri sqlite:///mlflow.db"
                )
            mlflow = require("mlflow", extra="mlflow")
            return _to_mlflow(mlflow, address, title, ledger, _chosen(ledger, where, tag), shown)
        wandb = require("wandb", extra="wandb")
        folder = make_folder(Path(out or workspace.results("wandb")))
        return _to_wandb(wandb, folder, title, ledger, _chosen(ledger, where, tag), shown)


def _chosen(ledger: Ledger, where: str | None, tag: Sequence[str]) -> list[Experiment]:
    ids = [row["id"] for row in table_rows(ledger, where=where, tag=tag)]
    return [ledger.experiment(experiment_id) for experiment_id in ids]


def _to_csv(file: Path, *, where: str | None, tag: Sequence[str]) -> dict[str, str]:
    check_output(file, suffixes=(".csv",), mark=CSV_MARK.encode())
    with open_ledger() as ledger:
        rows = table_rows(ledger, where=where, tag=tag)
        more = [name for name in COLUMNS if name not in (*rows[0], "record", "got")] if rows else []
        further = {row["id"]: row for row in ledger.rows("id", *more)} if rows else {}
    text = io.StringIO()
    columns = [*rows[0], *more] if rows else CSV_MARK.split(",")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        full = further[row["id"]] | row
        writer.writerow({key: ";".join(value) if isinstance(value, list) else value for key, value in full.items()})
    make_folder(file.parent)
    with replacing(file) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
    return {row["id"]: row["id"] for row in rows}


def _to_mlflow(
    mlflow: Any, address: str, title: str, ledger: Ledger, experiments: Sequence[Experiment], progress: Progress
) -> dict[str, str]:
    # A server that is not there is told at once, rather than after seven tries of a minute each.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    client = mlflow.MlflowClient(tracking_uri=address)
    there: dict[str, str] = {}
    try:
        experiment = client.get_experiment_by_name(title)
        home = experiment.experiment_id if experiment else client.create_experiment(title)
        for number, record in enumerate(experiments):
            progress(number, len(experiments), record.id)
            known = client.search_runs([home], f"tags.`{ID_TAG}` = '{record.id}'", max_results=1)
            begun_ms = round(record.created.timestamp() * 1000)
            run = known[0] if known else client.create_run(home, begun_ms, {ID_TAG: record.id}, record.id)
            there[record.id] = run.info.run_id
            _log_to_mlflow(mlflow, client, run, ledger, record, begun_ms)
    except mlflow.exceptions.MlflowException as error:
        done = f" {len(there)} of {len(experiments)} were exported; the same command goes on." if there else ""
        raise StorageError(f"MLflow at {address!r} refused: {shortened(str(error), 300)}.{done}") from error
    return there


def _log_to_mlflow(mlflow: Any, client: Any, run: Any, ledger: Ledger, record: Experiment, begun_ms: int) -> None:
    entities = mlflow.entities
    # Parameters cannot be changed there; those of an earlier export stay.
    parameters = [
        entities.Param(name, shortened(value, LONGEST_TAG))
        for name, value in _parameters(record).items()
        if name not in run.data.params
    ]
    tags = [entities.RunTag(key, shortened(value, LONGEST_TAG)) for key, value in _tags(record).items()]
    # The time follows from experiment and step, so that a repeated export writes the same points and not new ones.
    metrics = [
        entities.Metric(_mlflow_name(name), value, begun_ms + step, step)
        for name, step, value in [*_metrics(record), *_curves(ledger, record)]
    ]
    for begin in range(0, max(len(metrics), 1), MOST_AT_ONCE):
        client.log_batch(run.info.run_id, metrics=metrics[begin : begin + MOST_AT_ONCE])
    for begin in range(0, max(len(parameters), len(tags)), 90):
        client.log_batch(run.info.run_id, params=parameters[begin : begin + 90], tags=tags[begin : begin + 90])
    if record.state in ENDED:
        client.set_terminated(run.info.run_id, ENDED[record.state], begun_ms + round(1000 * record.cost_s))


def _to_wandb(
    wandb: Any, folder: Path, title: str, ledger: Ledger, experiments: Sequence[Experiment], progress: Progress
) -> dict[str, str]:
    mode = os.environ.get(MODE_VARIABLE, "offline")  # nothing leaves the machine unless the user says so
    there: dict[str, str] = {}
    for number, record in enumerate(experiments):
        progress(number, len(experiments), record.id)
        name = re.sub(r"[^A-Za-z0-9_-]", "-", record.id)
        run_id = name if name == record.id else f"{name[:50]}-{key_of(record.id)[:6]}"
        tags = _tags(record)
        try:
            run = wandb.init(
                project=re.sub(r"[/\\#?%:]", "-", title), id=run_id, name=record.id, dir=str(folder), mode=mode,
                resume="allow", config=_parameters(record), tags=[tag[:64] for tag in record.tags] or None,
                notes=tags["mlflow.note.content"],
                settings=wandb.Settings(silent=True, console="off", x_disable_stats=True, x_save_requirements=False),
            )  # fmt: skip
            steps: dict[int, dict[str, float]] = {}
            for metric, step, value in _curves(ledger, record):
                steps.setdefault(step, {})[metric] = value
            for step, values in sorted(steps.items()):
                run.log(values, step=step)
            run.summary.update({name: value for name, _, value in _metrics(record)} | {
                key.removeprefix("eyeshot."): value for key, value in tags.items() if key.startswith("eyeshot.")
            })  # fmt: skip
            run.finish(exit_code=1 if record.state == "failed" else 0)
        except (wandb.errors.Error, OSError) as error:
            raise StorageError(
                f"W&B refused {record.id!r}: {shortened(str(error), 300)}. {len(there)} of {len(experiments)} were "
                "exported; the same command goes on."
            ) from error
        there[record.id] = run_id
    return there


def _parameters(record: Experiment) -> dict[str, str]:
    """Settings, and what differs from the parent: names that both trackers take, and texts."""
    flat = dict(_flat(record.config))
    flat |= {f"difference.{name}": f"{before} → {after}" for name, (before, after) in record.difference.items()}
    return {_mlflow_name(name): str(value) for name, value in flat.items()}


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _tags(record: Experiment) -> dict[str, str]:
    """What was said about an experiment; "mlflow.note.content" is what MLflow shows as its description."""
    expected = record.expected.model_dump() if record.expected else None
    late = " (stated after a run had begun)" if record.expected and record.expected.late else ""
    said = {
        "id": record.id, "why": record.why, "state": record.state, "parent": record.parent or "",
        "difference": difference_words(record.difference, most=50), "expected": expected_words(expected) + late,
        "gain": record.gain or "", "verdict": record.verdict or "", "verdict_words": record.verdict_words,
        "learned": record.learned, "why_different": record.why_different, "tags": ", ".join(record.tags),
        "author": record.author, "author_kind": record.author_kind, "sweep": record.sweep or "",
        "hypothesis": record.hypothesis, "rung": record.rung or "", "own_work": record.own_work,
        "off_the_shelf": record.off_the_shelf, "runs": ", ".join(record.runs),
    }  # fmt: skip
    said = {name: text for name, text in said.items() if text}
    shown = ("why", "difference", "expected", "verdict", "verdict_words", "why_different", "learned")
    note = "\n\n".join(f"**{name.replace('_', ' ')}**: {said[name]}" for name in shown if name in said)
    return {f"eyeshot.{name}": text for name, text in said.items()} | {"mlflow.note.content": note}


def _metrics(record: Experiment) -> list[tuple[str, int, float]]:
    """Name, step and value of what came; a rung's step is its place."""
    values: dict[str, float | None] = {"cost_s": record.cost_s}
    if record.got:
        numbers = record.got.model_dump()
        values[record.got.metric] = record.got.value
        values |= {
            name: numbers[name]
            for name in (
                "low",
                "high",
                "n",
                "difference",
                "difference_low",
                "difference_high",
                "p",
                "estimate",
                "noise",
            )
        }
    rungs = [
        (f"rung {rung['rung']}", place, float(rung["value"]))
        for place, rung in enumerate(record.rungs)
        if rung.get("value") is not None
    ]
    return [(name, 0, float(value)) for name, value in values.items() if value is not None] + rungs


def _curves(ledger: Ledger, record: Experiment) -> list[tuple[str, int, float]]:
    """Name, epoch and value of what the runs measured; of the second run and later ones the name has a number."""
    return [
        (curve if not place else f"{curve} {place + 1}", round(epoch), value)
        for curve in CURVES
        for place, series in enumerate(experiment_curves(ledger, [record.id], curve)["series"])
        for epoch, value in zip(series["x"], series["y"], strict=True)
        if value is not None
    ]


def _mlflow_name(name: str) -> str:
    """A name with the characters that MLflow takes."""
    return re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)[:250]
