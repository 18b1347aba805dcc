"""What people write on the page: parsed, checked and stored in the ledger or among the texts of the report."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from eyeshot.core import InputError
from eyeshot.ledger import Experiment, Ledger, open_ledger, write_action, write_field, write_insight, write_tags
from eyeshot.reports import store_report_text
from eyeshot.web.bodies import parsed
from eyeshot.web.workbench.experiment_answer import experiment_answer

_FIELDS: dict[str, Literal["learned", "why_different"]] = {"learned": "learned", "why_different": "why_different"}
MOST_REMEMBERED = 1000
"""Presses whose answers are kept: a press that was sent twice is stored once."""

Tag = Annotated[str, Field(min_length=1, max_length=60)]


class _Press(BaseModel):
    """What every press has; each kind of press uses some of the rest."""

    model_config = ConfigDict(extra="forbid")

    press: Annotated[str, Field(pattern=r"^[0-9a-f-]{32,36}$")]
    experiment: Annotated[str, Field(max_length=200)] = ""
    field: Annotated[str, Field(max_length=40)] = ""
    person: Annotated[str, Field(max_length=400)] = ""
    text: Annotated[str, Field(max_length=20_000)] = ""
    before: Annotated[str, Field(max_length=20_000)] | None = None
    insight: Annotated[str, Field(max_length=64)] = ""
    add: Annotated[list[Tag], Field(max_length=20)] = []
    remove: Annotated[list[Tag], Field(max_length=20)] = []


class Edits:
    """Stores presses of the page.

    Args:
        root: the folder of the ledger.
        author: who writes.

    Attributes:
        stored_count: presses that were stored.
    """

    def __init__(self, root: Path, author: str) -> None:
        self.root, self.author = root, author
        self.stored_count = 0
        self._answers: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def store(self, kind: str, body: bytes) -> dict[str, Any]:
        """Store a press.

        Args:
            kind: "text", "tags", "insight" or "action" of an experiment, or "report-text": a field of the report.
            body: of the request.

        Returns:
            the experiment as the page shows it; of a field of the report `field`, `person`, `text` and `author`.

        Raises:
            HTTPException: the body is malformed.
            ChangedMeanwhile: somebody else wrote the field since the page showed it.
            InputError: the experiment or the insight does not exist, or the text cannot be used.
            StorageError: the ledger cannot be written.
        """
        press = parsed(_Press, body)
        with self._lock:
            if press.press in self._answers:
                return self._answers[press.press]
            if kind == "report-text":
                answer = _report(self.root.parent, press, self.author)
            else:
                with open_ledger(self.root, write=True) as ledger:
                    answer = experiment_answer(ledger, _KINDS[kind](ledger, press, self.author))
            self.stored_count += 1
            self._answers[press.press] = answer
            if len(self._answers) > MOST_REMEMBERED:
                self._answers.popitem(last=False)
            return answer


def _report(project: Path, press: _Press, author: str) -> dict[str, Any]:
    written = store_report_text(
        project, press.field, press.text, person=press.person or None, author=author, before=press.before
    )
    return {key: value for key, value in written.items() if key != "time"}


def _text(ledger: Ledger, press: _Press, author: str) -> Experiment:
    field = _FIELDS.get(press.field)
    if field is None:
        raise InputError(f"A field of an experiment is learned or why_different, got {press.field!r}.")
    return write_field(ledger, press.experiment, field, press.text, before=press.before, author=author)


def _tags(ledger: Ledger, press: _Press, author: str) -> Experiment:
    return write_tags(ledger, press.experiment, press.add, press.remove, author=author)


def _insight(ledger: Ledger, press: _Press, author: str) -> Experiment:
    return write_insight(ledger, press.experiment, press.text, author=author)


def _action(ledger: Ledger, press: _Press, author: str) -> Experiment:
    if press.insight not in {insight.id for insight in ledger.experiment(press.experiment).insights}:
        raise InputError("This experiment has no such insight. Open it again.")
    return write_action(ledger, press.insight, press.text, author=author)


_KINDS: dict[str, Callable[[Ledger, _Press, str], Experiment]] = {
    "text": _text, "tags": _tags, "insight": _insight, "action": _action,
}  # fmt: skip
KINDS = (*_KINDS, "report-text")
