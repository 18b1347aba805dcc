"""A small project with findings of several kinds, a review of it, and a server that answers on this machine."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from PIL import Image, ImageDraw

from eyeshot.auditing import Finding, ImageRef, audit, read_audit_images, read_report
from eyeshot.core import SILENT
from eyeshot.core.config import Project
from eyeshot.web import Review, make_app, open_socket
from eyeshot.web.serving import make_server

TOKEN = "made-for-tests_0123456789"


def drawing(seed: int, size: tuple[int, int] = (240, 180)) -> Image.Image:
    """Another seed, another picture, with edges enough for the search for near copies."""
    random = np.random.default_rng(seed)
    ground = random.integers(40, 216, (4, 5, 3), dtype=np.uint8)
    image = Image.fromarray(ground).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(24):
        x, y = int(random.integers(0, size[0])), int(random.integers(0, size[1]))
        width, height = random.integers(8, 70, 2).tolist()
        pen.rectangle((x, y, x + width, y + height), fill=tuple(random.integers(0, 256, 3).tolist()))
    return image


def jpeg(image: Image.Image, quality: int = 92) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def make_images(folder: Path) -> tuple[Path, Path]:
    """Two classes and a test folder: a conflict, a leak, a turned copy, identical files, one blank, one broken."""
    train, test = folder / "train", folder / "test"
    files = {
        **{f"train/cat/{number}.jpg": jpeg(drawing(number)) for number in range(6)},
        **{f"train/dog/{number}.jpg": jpeg(drawing(100 + number)) for number in range(6)},
        **{f"test/{number}.jpg": jpeg(drawing(200 + number)) for number in range(4)},
    }
    files["train/dog/same.jpg"] = files["train/cat/0.jpg"]
    files["test/leaked.jpg"] = jpeg(drawing(1), 70)
    files["train/cat/turned.jpg"] = jpeg(drawing(2).transpose(Image.Transpose.ROTATE_90), 85)
    files["train/dog/again.jpg"] = files["train/dog/3.jpg"]
    files["train/dog/blank.jpg"] = jpeg(Image.new("RGB", (100, 80), (90, 90, 90)))
    files["train/cat/broken.jpg"] = b"no picture"
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return train, test


def make_project(folder: Path) -> tuple[Path, Path]:
    """Images, and their audit in `audit/` beside them."""
    train, test = make_images(folder)
    audit(train, test, cache=folder / "cache", workers=1, small_class=2).save(folder / "audit")
    return train, test


def make_review(
    folder: Path,
    *,
    decisions: Path | None = None,
    project: Project | None = None,
    author: str = "ann",
    more: Sequence[Finding] = (),
) -> Review:
    """A review of `make_project`."""
    images = read_audit_images(
        folder / "train", folder / "test", labels=None, path_column=None, label_column=None, image_root=None,
        cache=folder / "cache", workers=1, progress=SILENT,
    )  # fmt: skip
    report = read_report(folder / "audit" / "audit.json")
    report.findings.extend(more)
    return Review(report, images, decisions or folder / "decisions.jsonl", project=project, author=author)


@dataclass
class Site:
    """A review that is served.

    Attributes:
        port: its port.
        review: what it works on.
        token: the first part of its paths.
    """

    port: int
    review: Review | None = None
    token: str = TOKEN
    host: str = field(init=False)

    def __post_init__(self) -> None:
        self.host = f"127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"http://{self.host}/{self.token}/"

    def ask(self, method: str, path: str, *, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a request exactly as it is written here."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in (
            {"Host": self.host} | {name.replace("_", "-"): text for name, text in headers.items()}
        ).items():
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def get(self, what: str) -> Any:
        status, _, body = self.ask("GET", f"/{self.token}/api/{what}")
        assert status == 200, (what, status, body)
        return json.loads(body)

    def post(self, what: str, press: str = "", **sent: Any) -> tuple[int, Any]:
        body = json.dumps({"press": press or uuid.uuid4().hex, **sent}).encode()
        headers = {"Origin": f"http://{self.host}", "Content_Type": "application/json"}
        status, _, answer = self.ask("POST", f"/{self.token}/api/{what}", body=body, **headers)
        return status, json.loads(answer)


@contextmanager
def served(review: Review) -> Iterator[Site]:
    """Serve a review from a thread."""
    own = open_socket()
    port = own.getsockname()[1]
    server = make_server(make_app(review, token=TOKEN, port=port))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [own]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Site(port, review)
    server.should_exit = True
    thread.join(timeout=20)
    own.close()


def number_of(review: Review, kind: str) -> int:
    """The first item of a kind."""
    return next(number for number, item in enumerate(review.queue.items) if item.kind == kind)


def position_of(review: Review, name: str) -> int:
    """The image of a name."""
    return review.index.ids.index(name)


def doubted(folder: Path) -> Finding:
    """A label that a model speaks against, with the nearest images of both classes."""
    content = xxhash.xxh3_128_hexdigest((folder / "train" / "cat" / "3.jpg").read_bytes())
    return Finding(
        id="label-issue-0123456789abcdef",
        kind="label-issue",
        images=[ImageRef(split="train", id="cat/3.jpg", label="cat", content=content)],
        confidence=0.9,
        confidence_basis="estimated",
        words="cat/3.jpg is labelled cat; a model that has not seen it gives 90 % to dog and 5 % to cat.",
        evidence={
            "given": "cat",
            "proposed": "dog",
            "nearest_given": ["cat/4.jpg", "cat/gone.jpg"],
            "nearest_proposed": ["dog/4.jpg", "dog/5.jpg"],
        },
        suggestion="look",
    )
