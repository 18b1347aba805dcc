"""The wrap-up report on its tab: made from the project when it is asked for, with the fields that people write."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from eyeshot.core import EyeshotError, Progress
from eyeshot.data import COMPARISON_FILE, DECISIONS_FILE, SPLIT_FILE
from eyeshot.ledger import Ledger
from eyeshot.predictions import SUBMISSIONS_FILE
from eyeshot.reports import QUESTIONS, file_name, read_report_texts
from eyeshot.web.workbench.background import Background
from eyeshot.web.workbench.results import RESULTS, JsonObject, time_of

FORMATS = ("html", "docx", "pdf")
LANGUAGES = ("en", "ko")
SOURCES = (
    "eyeshot.toml", DECISIONS_FILE, SPLIT_FILE, SUBMISSIONS_FILE,
    *(f"eyeshot-out/{name}/{name}.json" for name in RESULTS), f"eyeshot-out/{COMPARISON_FILE}",
    "eyeshot-out/runs",
)  # fmt: skip
"""Files and folders that a report is made from, beside the ledger and the texts, which the page shows by itself."""


class LiveReport:
    """The report of a project in both languages, each made at most once for a state of the project.

    Args:
        root: the folder of the results.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._background = Background()
        self._process: subprocess.Popen[bytes] | None = None
        self._made: dict[str, JsonObject] = {}
        self._version = 0
        self._not_written: dict[str, str] = {}
        self._lock = threading.Lock()

    def answer(self, ledger: Ledger, lang: str, *, since: int) -> JsonObject:
        """What the tab shows.

        Args:
            ledger: of the project.
            lang: "en" or "ko".
            since: the version of the document that the page has; that one is not sent again.

        Returns:
            `progress`, see `Background`; `wrong`; `version`, 0 before the first; `made` (UTC) and `seconds` it took;
            `old`: the project has changed since; `document`: title, subtitle and blocks, null where the page has it
            (figures have a `source` to ask for instead of bytes); `people`, `notes`; `texts`: `field`, `person`,
            `text` and `author` of what people wrote by now; `questions` by field; `files` that were written:
            `format`, `name`, `made`; `not_written`: the reason by format.
        """
        texts, bad = read_report_texts(self.root.parent)
        made = self._made.get(lang)
        place = LANGUAGES.index(lang)
        told: JsonObject = {
            "progress": self._background.answer(), "wrong": self._background.wrong, "version": 0, "made": None,
            "seconds": None, "old": False, "document": None, "people": [], "notes": bad,
            "texts": [{key: text[key] for key in ("field", "person", "text", "author")} for text in texts.values()],
            "questions": {field: words[place] for field, words in QUESTIONS.items()},
            "files": self.files(lang), "not_written": self._not_written,
        }  # fmt: skip
        if made is None:
            return told
        shown = {key: made[key] for key in ("version", "made", "seconds", "people", "notes")}
        document = None if made["version"] == since else _without_bytes(made["document"], lang, made["version"])
        return told | shown | {"old": made["state"] != self._state(ledger), "document": document}

    def begin(self, ledger: Ledger, lang: str) -> None:
        """Make the report, unless it is made for this state of the project or is being made."""
        made, state = self._made.get(lang), self._state(ledger)
        if made is None or made["state"] != state:
            self._background.begin(lambda progress: self._make(lang, state, progress))

    def write(self, lang: str, formats: Sequence[str]) -> bool:
        """Write files; False if other work is going on."""
        return self._background.begin(lambda progress: self._write(lang, formats, progress))

    def figure(self, lang: str, version: int, place: int) -> tuple[bytes, str] | None:
        """A figure's bytes and type; None where this version has none there."""
        made = self._made.get(lang)
        if made is None or made["version"] != version or not 0 <= place < len(made["document"]["blocks"]):
            return None
        block = made["document"]["blocks"][place]
        if block["kind"] != "figure":
            return None
        return (block["svg"].encode("utf-8"), "image/svg+xml") if block["svg"] else (block["png"], "image/png")

    def files(self, lang: str) -> list[JsonObject]:
        """The files of the report that were written, in the order of formats."""
        found = [(kind, self.root / "report" / file_name(lang, kind)) for kind in FORMATS]
        return [
            {"format": kind, "name": file.name, "made": time_of(file)}
            for kind, file in found
            if file.is_file() and not file.is_symlink()
        ]

    def file(self, name: str) -> Path | None:
        """A file of the report by its name; None where there is none."""
        names = [file["name"] for lang in LANGUAGES for file in self.files(lang)]
        return self.root / "report" / name if name in names else None

    def _make(self, lang: str, state: object, progress: Progress) -> None:
        began = time.monotonic()
        told = self._ask(lang, (), progress)
        self._version += 1
        self._made[lang] = told | {
            "version": self._version, "state": state, "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - began, 1),
        }  # fmt: skip

    def _write(self, lang: str, formats: Sequence[str], progress: Progress) -> None:
        self._not_written = {}
        self._not_written = self._ask(lang, formats, progress)["not_written"]

    def _ask(self, lang: str, formats: Sequence[str], progress: Progress) -> JsonObject:
        """Have the other process make something.

        Raises:
            EyeshotError: it cannot be made, or the process has ended.
        """
        with self._lock:
            process = self._started()
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps({"lang": lang, "formats": list(formats)}).encode() + b"\n")
                process.stdin.flush()
                while True:
                    kind, told = pickle.load(process.stdout)  # written by our own process, nobody else's
                    if kind == "progress":
                        progress(*told)
                    elif kind == "wrong":
                        raise EyeshotError(told)
                    else:
                        made: JsonObject = told
                        return made
            except (EOFError, OSError, pickle.UnpicklingError) as error:
                process.kill()
                self._process = None
                raise EyeshotError("The process that makes the report has ended. Run: eyeshot report") from error

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            # Ctrl+C in the terminal is for the server alone; this process ends when its input does.
            own_group = {"process_group": 0} if os.name == "posix" else {
                "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
            }  # fmt: skip
            self._process = subprocess.Popen(
                [sys.executable, "-m", "eyeshot.web.workbench.report_process"], cwd=self.root.parent,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, **own_group,
            )  # fmt: skip
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _state(self, ledger: Ledger) -> object:
        files = [self.root.parent / name for name in SOURCES]
        files += sorted(self.root.glob("augmentations/*/augmentations.json"))
        return ledger.last_seq(), tuple((str(file), _changed(file)) for file in files)


def _changed(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _without_bytes(document: JsonObject, lang: str, version: int) -> JsonObject:
    """A document for the page: a figure has an address instead of its bytes; empty where its picture is not there."""
    blocks = []
    for place, block in enumerate(document["blocks"]):
        if block["kind"] == "figure":
            source = f"figure?lang={lang}&version={version}&place={place}" if block["svg"] or block["png"] else ""
            block = {key: block[key] for key in ("kind", "caption", "alt")} | {"source": source}
        blocks.append(block)
    return {**document, "blocks": blocks}
