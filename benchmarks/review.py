"""The review page with 100,000 findings and 100,000 stored decisions, with its server in a separate process.

`python -m benchmarks.review`: storing a decision by HTTP, a step, a part of the list far down, and the time that
Chromium takes from the address to the first paint and to the first finding with its pictures. `--folder` names the
folder of the decisions file; otherwise it is temporary.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.common import keep, shared
from benchmarks.decisions import key, milliseconds
from benchmarks.first_paint import paints
from eyeshot.auditing import AuditImages, AuditReport, Finding, ImageRef
from eyeshot.data import Decision, DecisionLog, ImageTable, decide
from eyeshot.web import Review, make_app, open_socket, serve

TOKEN = "made-for-the-benchmark"
PICTURES_SHOWN = """(all => all.length && all.every((one) => one.complete && one.naturalWidth))(
    [...document.querySelectorAll('#images img')])"""
TIMES = 200
OPENED = 10


def images_of(count: int, folder: Path) -> AuditImages:
    """A table of `count` images of 500 classes; their pictures are those of a folder, repeated."""
    files = sorted(map(str, (folder / "data" / "pacs" / "photo").rglob("*.jpg")))
    labels = [f"class {row % 500:03d}" for row in range(count)]
    frame = pl.DataFrame({
        "id": [f"{label}/{row}.jpg" for row, label in enumerate(labels)],
        "path": [files[row % len(files)] for row in range(count)],
        "label": labels,
        "content": [key(row) for row in range(count)],
    })  # fmt: skip
    return AuditImages(ImageTable(frame, tuple(sorted(set(labels)))), None, (folder, None), (), ())


def findings_of(images: AuditImages) -> list[Finding]:
    """As many findings as images: each image and the next of its class are copies."""
    count = len(images)
    refs = [
        ImageRef(split="train", id=name, label=name.partition("/")[0], content=content)
        for name, content in zip(images.ids, images.contents, strict=True)
    ]
    return [
        Finding(
            id=f"near-copy-{row}",
            kind="near-copy",
            images=[refs[row], refs[(row + 500) % count]],
            confidence=0.9,
            confidence_basis="estimated",
            words=f"2 near copies in class {row % 500:03d}.",
            evidence={},
            suggestion="group",
        )
        for row in range(count)
    ]


def answer(folder: Path, file: Path, count: int, told: Any) -> None:
    """The server; reports its port, and how long it took to be ready."""
    images = images_of(count, folder)
    findings = findings_of(images)
    begin = time.perf_counter()
    review = Review(AuditReport.model_construct(findings=findings), images, file, author="benchmark")
    own = open_socket()
    port = own.getsockname()[1]
    told.put((port, time.perf_counter() - begin))
    serve(make_app(review, token=TOKEN, port=port), own)


@contextmanager
def answered(*arguments: Any) -> Iterator[tuple[int, float]]:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=answer, args=(*arguments, told), daemon=True)
    process.start()
    yield told.get(timeout=600)
    process.terminate()
    process.join()


def timed(port: int, asked: list[tuple[str, dict[str, Any] | None]]) -> dict[str, float]:
    """Each request over the same connection, as a browser does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    took = []
    for path, sent in asked:
        body = None if sent is None else json.dumps({"press": uuid.uuid4().hex, **sent})
        headers = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/json"} if body else {}
        begin = time.perf_counter()
        connection.request("GET" if body is None else "POST", f"/{TOKEN}/api/{path}", body, headers)
        response = connection.getresponse()
        text = response.read()
        took.append(time.perf_counter() - begin)
        if response.status != 200:
            raise RuntimeError(text)
    return {"n": len(took), **milliseconds(took)}


def made(number: int) -> Decision:
    """Every second decision is about a finding on the page; the others are elsewhere."""
    if number % 2:
        return decide("relabel", [key(number)], label="class 001", author="benchmark")
    return decide("keep", [key(number)], author="benchmark", reason=f"review of near-copy-{number}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    arguments = parser.parse_args()
    count = arguments.count
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        file = Path(folder) / "decisions.jsonl"
        DecisionLog(file).append([made(number) for number in range(count)])
        with answered(shared(), file, count) as (port, ready):
            opened = paints(
                f"http://127.0.0.1:{port}/{TOKEN}/",
                whole=PICTURES_SHOWN,
                name="first_finding_with_pictures",
                times=OPENED,
            )
            far = [{"from": count // 2 + 100 * number, "by": 1} for number in range(TIMES)]
            result = {
                "findings": count,
                "decisions": len(DecisionLog(file).read()),
                "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
                "ready_s": ready,
                "page": opened,
                "store_one": timed(port, [("decide", {"action": "drop", "images": [7 * row]}) for row in range(TIMES)]),
                "step": timed(port, [(f"step?from={step['from']}&by=1", None) for step in far]),
                "list_far_down": timed(
                    port, [(f"queue?offset={count // 3 + row}&limit=30&class=&state=all", None) for row in range(TIMES)]
                ),
                "sheet": timed(port, [(f"sheet?class=class%20{row:03d}&limit=60", None) for row in range(TIMES)]),
            }
    keep("review", result)
