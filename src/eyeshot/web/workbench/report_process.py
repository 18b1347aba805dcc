"""The process that makes the wrap-up report for the workbench: `python -m eyeshot.web.workbench.report_process`.

The report takes seconds of the processor and loads torch, so it is made beside the server, which goes on answering. A
line of JSON on standard input asks (`lang`, and `formats` to write); answers on standard output are pickles: progress,
and at last what was made. The process ends when its input does, that is with the server.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from typing import Any, BinaryIO


class _Told:
    """Progress that is sent to the server."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def __call__(self, done: int, total: int, text: str = "") -> None:
        send(self._out, ("progress", (done, total, text)))

    def sub(self, text: str) -> _Told:
        return self

    def say(self, text: str) -> None:
        """The report's notes say what stays."""


def send(out: BinaryIO, message: tuple[str, Any]) -> None:
    """Write one answer."""
    pickle.dump(message, out)
    out.flush()


def main() -> None:
    """Answer until the input ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    if hasattr(os, "nice"):
        os.nice(5)  # the page that waits for it must not wait for the processor
    from eyeshot.core import EyeshotError
    from eyeshot.reports import check_language, make_document, report

    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if asked["formats"]:
                send(out, ("made", report(lang=asked["lang"], format=asked["formats"], progress=_Told(out))))
            else:
                document, facts = make_document(check_language(asked["lang"]), progress=_Told(out))
                send(out, ("made", {"document": document, "people": facts.authors, "notes": facts.notes}))
        except EyeshotError as error:
            send(out, ("wrong", str(error)))


if __name__ == "__main__":
    main()
