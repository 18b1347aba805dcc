"""What people write about experiments: what was learned, why it came so, insights and what was done, tags, notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from eyeshot.core import InputError, listing
from eyeshot.ledger.store.database import Ledger, open_ledger
from eyeshot.ledger.store.records import Experiment

WrittenField = Literal["learned", "why_different"]
LONGEST_TAG = 60


class ChangedMeanwhile(InputError):
    """Somebody else wrote the same field since it was read.

    Attributes:
        now: what the field says.
        author: who wrote it.
    """

    def __init__(self, field: str, now: str, author: str) -> None:
        super().__init__(f"{author or 'Somebody else'} wrote {field!r} meanwhile. Read it, then store yours again.")
        self.now, self.author = now, author


def write_learned(
    id: str, text: str | None = None, *, why_different: str | None = None, author: str | None = None
) -> Experiment:
    """Say what an experiment taught, and why it came as expected or not. What stood there before stays in its events.

    Args:
        id: of the experiment, or a unique beginning of it.
        text: what was learned; None: left as it is.
        why_different: why it came as expected, or why different; None: left as it is.
        author: who writes; None: EYESHOT_AUTHOR, git's user.name or the login name.

    Raises:
        InputError: there is no such experiment, or nothing was given.
        StorageError: the ledger cannot be written.
    """
    given: list[tuple[WrittenField, str]] = []
    if text is not None:
        given.append(("learned", text))
    if why_different is not None:
        given.append(("why_different", why_different))
    if not given or any(not words.strip() for _, words in given):
        raise InputError('Say what was learned, got nothing: eyeshot learned ID "words".')
    with open_ledger(write=True) as ledger:
        for field, words in given:
            record = write_field(ledger, id, field, words, author=author)
    return record


def write_field(
    ledger: Ledger, id: str, field: WrittenField, text: str, *, before: str | None = None, author: str | None = None
) -> Experiment:
    """Write a field of an experiment.

    Args:
        ledger: opened for writing.
        id: of the experiment.
        field: "learned" or "why_different".
        text: the new words.
        before: what the writer saw there; None: whatever stands there is replaced.
        author: who writes.

    Raises:
        ChangedMeanwhile: it says something else by now; nothing was stored.
        InputError: there is no such experiment.
        StorageError: the ledger cannot be written.
    """
    text = text.strip()

    with ledger.together():  # nobody else writes between the look and the writing
        record = ledger.experiment(id)
        now = getattr(record, field)
        if before is not None and now.strip() not in (before.strip(), text):
            raise ChangedMeanwhile(field, now, last_author(ledger, record.id, field))
        return ledger.append(record.id, field, author=author, text=text)


def last_author(ledger: Ledger, id: str, field: WrittenField) -> str:
    """Who wrote a field last; empty if nobody has."""
    return next((event.author for event in reversed(ledger.events(id)) if event.kind == field), "")


def tag_experiment(
    id: str, tags: Sequence[str] = (), *, remove: Sequence[str] = (), author: str | None = None
) -> Experiment:
    """Give an experiment tags, or take some off.

    Args:
        id: of the experiment, or a unique beginning of it.
        tags: to add.
        remove: to take off; one that it does not have is left out.
        author: who does it; None: EYESHOT_AUTHOR, git's user.name or the login name.

    Raises:
        InputError: there is no such experiment, no tag was given, or a tag cannot be used.
        StorageError: the ledger cannot be written.
    """
    with open_ledger(write=True) as ledger:
        return write_tags(ledger, id, tags, remove, author=author)


def checked_tags(tags: Sequence[str]) -> list[str]:
    """Tags without the blanks around them.

    Raises:
        InputError: a tag cannot be kept.
    """
    stripped = [tag.strip() for tag in tags]
    for tag in stripped:
        # The table of experiments keeps tags in one text, between commas.
        if not tag or "," in tag or len(tag) > LONGEST_TAG or not tag.isprintable():
            raise InputError(
                f"A tag must be 1 to {LONGEST_TAG} characters without a comma, got {tag!r}. Give it without, or as "
                "several tags."
            )
    return stripped


def write_tags(
    ledger: Ledger, id: str, add: Sequence[str], remove: Sequence[str], *, author: str | None = None
) -> Experiment:
    """`tag_experiment` on a ledger that is open for writing."""
    added, removed = checked_tags(add), checked_tags(remove)
    if not added and not removed:
        raise InputError("A tag is needed, got none: eyeshot tag ID TAG")
    return ledger.append(id, "tag", author=author, add=added, remove=removed)


def add_note(id: str, text: str, *, author: str | None = None) -> Experiment:
    """Leave a free note on an experiment, beside those that are there.

    Args:
        id: of the experiment, or a unique beginning of it.
        text: what should be known about it.
        author: who writes; None: EYESHOT_AUTHOR, git's user.name or the login name.

    Returns:
        the experiment; the last of its `notes` is the new one.

    Raises:
        InputError: there is no such experiment, or no text.
        StorageError: the ledger cannot be written.
    """
    if not text.strip():
        raise InputError('Say what should be known, got nothing: eyeshot note ID "words".')
    with open_ledger(write=True) as ledger:
        return ledger.append(id, "note", author=author, text=text.strip())


def add_insight(id: str, text: str, *, author: str | None = None) -> Experiment:
    """Note something understood that asks for an action; it stays open until something was done about it.

    Args:
        id: of the experiment, or a unique beginning of it.
        text: what was understood.
        author: who understood it; None: EYESHOT_AUTHOR, git's user.name or the login name.

    Returns:
        the experiment; the last of its `insights` is the new one.

    Raises:
        InputError: there is no such experiment, or no text.
        StorageError: the ledger cannot be written.
    """
    with open_ledger(write=True) as ledger:
        return write_insight(ledger, id, text, author=author)


def write_insight(ledger: Ledger, id: str, text: str, *, author: str | None = None) -> Experiment:
    """`add_insight` on a ledger that is open for writing."""
    if not text.strip():
        raise InputError('Say what was understood, got nothing: eyeshot insight ID "words".')
    return ledger.append(id, "insight", author=author, text=text.strip())


def act_on_insight(insight: str, text: str, *, author: str | None = None) -> Experiment:
    """Say what was done about an insight, which closes it; several actions may follow.

    Args:
        insight: its id, or a unique beginning of it.
        text: what was done.
        author: who did it; None: EYESHOT_AUTHOR, git's user.name or the login name.

    Raises:
        InputError: there is no such insight, several begin so, or no text.
        StorageError: the ledger cannot be written.
    """
    with open_ledger(write=True) as ledger:
        return write_action(ledger, insight, text, author=author)


def write_action(ledger: Ledger, insight: str, text: str, *, author: str | None = None) -> Experiment:
    """`act_on_insight` on a ledger that is open for writing."""
    if not text.strip():
        raise InputError('Say what was done, got nothing: eyeshot act INSIGHT "words".')
    fitting = {
        (entry.id, record.id)
        for record in ledger.experiments("record LIKE '%\"insights\":[{%'")
        for entry in record.insights
        if insight and entry.id.startswith(insight)
    }
    exact = {pair for pair in fitting if pair[0] == insight}
    if len(exact or fitting) != 1:
        ids = sorted(name for name, _ in fitting)
        raise InputError(
            f"Several insights begin with {insight!r}: {listing(ids)}. Give more of the id."
            if ids
            else f"No insight is called {insight!r}. See them with: eyeshot insights"
        )
    ((insight_id, experiment_id),) = exact or fitting
    return ledger.append(experiment_id, "action", author=author, insight_id=insight_id, text=text.strip())
