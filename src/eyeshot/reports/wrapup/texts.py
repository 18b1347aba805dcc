"""What only people can write: `report.jsonl` of the project, a line for each time that somebody wrote a field.

Lines are only appended, so nothing is overwritten: the last words for a field count, and those before stay in the file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import filelock
from pydantic import AwareDatetime, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from eyeshot.core import InputError, StorageError, append_lines, find_workspace, listing, make_folder
from eyeshot.data import default_author
from eyeshot.ledger import ChangedMeanwhile

REPORT_FILE = "report.jsonl"
LOCK_TIMEOUT_S = 60.0
Field = Literal[
    "title", "goal", "data", "model", "augmentation", "optimizer", "ensemble", "leaderboard", "own_work",
    "off_the_shelf", "lessons", "next", "role", "contribution", "reflection",
]  # fmt: skip
OwnField = Literal["own_work", "off_the_shelf"]
"""Of these, what experiments can name as well."""
OF_PEOPLE = ("role", "contribution", "reflection")
QUESTIONS: dict[Field, tuple[str, str]] = {
    "title": ("The title of the report", "보고서 제목"),
    "goal": ("What is the project to reach, and for whom?", "프로젝트의 목표와 대상은 무엇인가?"),
    "data": ("What did looking at the data teach?", "데이터를 직접 보고 알게 된 점은 무엇인가?"),
    "model": ("Why this model?", "이 모델을 선택한 이유는 무엇인가?"),
    "augmentation": ("Why this augmentation?", "이 증강을 선택한 이유는 무엇인가?"),
    "optimizer": ("Why this optimizer and schedule?", "이 옵티마이저와 스케줄을 선택한 이유는 무엇인가?"),
    "ensemble": ("Why these members?", "이 모델들로 앙상블한 이유는 무엇인가?"),
    "leaderboard": ("Why do validation and leaderboard differ, or agree?",
     "검증 점수와 리더보드 점수가 다르거나 일치하는 이유는 무엇인가?"),
    "own_work": ("What did the team build itself?", "직접 구현한 것은 무엇인가?"),
    "off_the_shelf": ("What did the team take, from where, under which licence?",
     "가져온 것과 그 출처, 라이선스는 무엇인가?"),
    "lessons": ("What did the team learn?", "팀이 배운 점은 무엇인가?"),
    "next": ("What would be done next?", "다음에 할 일은 무엇인가?"),
    "role": ("What was this person responsible for?", "담당한 역할은 무엇인가?"),
    "contribution": ("What did this person do, and what did it change?", "무엇을 했고 무엇이 달라졌는가?"),
    "reflection": ("What did this person learn, miss, and want to try?",
     "배운 점, 아쉬운 점, 시도하고 싶은 점은 무엇인가?"),
}  # fmt: skip
"""What each field answers, in English and in Korean."""


class ReportText(TypedDict):
    """A line of `report.jsonl`: what somebody wrote in a field; `person` is whom a field of people is about."""

    time: AwareDatetime
    author: str
    field: Field
    person: str
    text: str


LINE = TypeAdapter(ReportText)


def read_report_texts(project: Path) -> tuple[dict[tuple[str, str], ReportText], list[str]]:
    """What stands in each field, by field and person, and a sentence for each line that cannot be read.

    Args:
        project: `find_workspace().project`.

    Raises:
        InputError: the file cannot be read.
    """
    file = project / REPORT_FILE
    texts: dict[tuple[str, str], ReportText] = {}
    bad: list[str] = []
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        raise InputError(f"The texts of the report must be readable, got {str(file)!r}: {error.strerror}.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            written = LINE.validate_json(line)
        except ValidationError:
            bad.append(f"{file}, line {number}: cannot be read; left out.")
            continue
        texts[written["field"], written["person"]] = written
    return texts, bad


def write_report_text(field: str, text: str, *, person: str | None = None, author: str | None = None) -> ReportText:
    """Write a field of the report that only a person can write; what stood there before stays in `report.jsonl`.

    Args:
        field: "title", "goal", "data", "model", "augmentation", "optimizer", "ensemble", "leaderboard", "own_work",
            "off_the_shelf", "lessons" or "next"; of a person "role", "contribution" or "reflection".
        text: the words; line breaks make paragraphs.
        person: whom "role", "contribution" and "reflection" are about; None: the author.
        author: who writes; None: EYESHOT_AUTHOR, git's user.name or the login name.

    Returns:
        what was stored.

    Raises:
        InputError: the field does not exist, is not about a person, or there is no text.
        StorageError: the file cannot be written.
    """
    return store_report_text(find_workspace().project, field, text, person=person, author=author)


def store_report_text(
    project: Path,
    field: str,
    text: str,
    *,
    person: str | None = None,
    author: str | None = None,
    before: str | None = None,
) -> ReportText:
    """`write_report_text` in the project of a folder, for several writers at once.

    Args:
        project: `find_workspace().project`.
        field, text, person, author: as there.
        before: what the writer saw in the field; None: whatever stands there is replaced.

    Raises:
        ChangedMeanwhile: the field says something else than `before` by now; nothing was stored.
        InputError: as there.
        StorageError: the file cannot be written.
    """
    if field not in get_args(Field):
        raise InputError(f"FIELD must be one of {listing(get_args(Field), most=20)}, got {field!r}.")
    if not text.strip():
        raise InputError(f'The text must say something, got nothing: eyeshot write {field} "words".')
    if person is not None and field not in OF_PEOPLE:
        raise InputError(f"--person belongs to {listing(OF_PEOPLE)}, got it with {field!r}. Leave it out.")
    name = author or default_author()
    about = (person or name) if field in OF_PEOPLE else ""
    file = make_folder(project) / REPORT_FILE
    try:
        with filelock.FileLock(f"{file}.lock", timeout=LOCK_TIMEOUT_S):
            now = read_report_texts(project)[0].get((field, about))
            said, by = ("", "") if now is None else (now["text"], now["author"])
            if before is not None and said.strip() not in (before.strip(), text.strip()):
                raise ChangedMeanwhile(field, said, by)
            written = LINE.validate_python(
                {"time": datetime.now(UTC), "author": name, "field": field, "person": about, "text": text.strip()}
            )
            append_lines(file, [LINE.dump_json(written).decode()])
    except filelock.Timeout as error:
        raise StorageError(f"Another program has held {str(file)!r} for {LOCK_TIMEOUT_S:.0f} s. Close it.") from error
    except OSError as error:
        raise StorageError(f"Cannot store the text in {str(file)!r}: {error.strerror or error}.") from error
    return written
