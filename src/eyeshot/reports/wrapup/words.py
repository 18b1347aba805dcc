"""Both languages of the report: a sentence is written in English and in Korean side by side, where it is used.

Korean stands in the noun style of reports, so that no particle depends on a name that is put in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from eyeshot.core import NOTHING
from eyeshot.ledger import Expected, Got, value_words
from eyeshot.predictions import Accuracy
from eyeshot.reports.document import Language
from eyeshot.reports.page import MINUS

Say = Callable[[str, str], str]
"""Takes a text in English and in Korean, and gives that of the report's language."""

KOREAN = {
    "as expected": "예상대로", "better": "더 좋음", "worse": "더 나쁨", "not distinguishable": "구분 불가",
    "stated": "계획됨", "waiting": "대기 중", "running": "실행 중", "done": "완료", "failed": "실패", "stopped": "중단",
    "dropped": "취소", "person": "사람", "sweep": "스윕", "agent": "에이전트",
    "same picture, different labels": "같은 이미지, 다른 라벨",
    "duplicates across training and test": "학습·테스트 간 중복",
    "label issues": "라벨 의심", "broken files": "손상된 파일", "exact duplicates": "완전 중복",
    "near-duplicates": "유사 중복", "very similar pictures": "매우 비슷한 이미지",
    "two labels in the CSV": "CSV에 라벨 두 개", "far from their class": "클래스에서 벗어난 이미지",
    "one colour": "단색", "almost blank": "거의 빈 이미지", "tiny": "아주 작은 이미지",
    "extreme aspect ratio": "극단적인 가로세로 비율", "wrong file extension": "잘못된 확장자",
    "several pictures in a file": "한 파일에 여러 이미지", "turned by EXIF": "EXIF 회전",
    "metadata and junk": "메타데이터·불필요 파일", "similar class names": "비슷한 클래스 이름",
    "small classes": "이미지가 적은 클래스", "drop": "제외", "drop-both": "모두 제외", "keep-one": "하나만 유지",
    "relabel": "라벨 수정", "merge-classes": "클래스 병합", "group": "묶음", "keep": "유지", "undo": "취소",
    "ignore": "무시", "ranked": "순위 대상", "regulariser": "정규화", "label-breaking": "라벨 훼손",
    "control": "대조군", "helps": "도움이 됨", "hurts": "해가 됨",
}  # fmt: skip
"""Words of a fixed list that stand in stored results."""


def sayer(language: Language) -> Say:
    """How the report speaks."""
    return (lambda english, korean: korean) if language == "ko" else (lambda english, korean: english)


def known(say: Say, word: str) -> str:
    """A word of a fixed list in the report's language; as it is where the list does not have it."""
    return say(word, KOREAN.get(word, word))


def day(moment: datetime) -> str:
    """The date in UTC."""
    return f"{moment:%Y-%m-%d}"


def number(value: float | None, digits: int = 1) -> str:
    """A share in percent without its sign: 0.8321 is "83.2"."""
    return NOTHING if value is None else f"{100 * value:.{digits}f}".replace("-", MINUS)


def signed(value: float | None) -> str:
    """A difference of shares in points without the word: "+2.2"."""
    if value is None:
        return NOTHING
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def share(value: float | None, low: float | None, high: float | None, n: int | None) -> str:
    """A share with its 95 % interval and n: "83.2 % [82.2, 84.2], n = 3,004"."""
    if value is None:
        return NOTHING
    interval = "" if low is None or high is None else f" [{number(low)}, {number(high)}]"
    return f"{number(value)}\u202f%{interval}{of_n(n)}"


def of_n(n: int | None) -> str:
    """Of how many a figure is; nothing where that is not known."""
    return "" if n is None else f", n = {n:,}"


def accuracy(value: Accuracy | None) -> str:
    """An accuracy with its interval and n."""
    return NOTHING if value is None else share(value.value, value.low, value.high, value.n)


def difference(say: Say, value: float | None, low: float | None, high: float | None) -> str:
    """A difference in points with its 95 % interval: "+2.2 points [+1.0, +3.4]"."""
    if value is None:
        return NOTHING
    interval = "" if low is None or high is None else f" [{signed(low)}, {signed(high)}]"
    return f"{signed(value)}{say(' points', '%p')}{interval}"


def scored(value: float | None, interval: tuple[float, float] | None) -> str:
    """A score without a unit, with its 95 % interval: "+4.19 [+3.02, +5.11]"."""
    if value is None:
        return NOTHING
    ends = "" if interval is None else " [{:+.2f}, {:+.2f}]".format(*interval)
    return f"{value:+.2f}{ends}".replace("-", MINUS)


def p_text(p: float) -> str:
    """A probability of chance: three digits, and never 0."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def got_text(got: Got | None) -> str:
    """What an experiment gave, with interval, n and seeds."""
    if got is None:
        return NOTHING
    seeds = f", {len(got.seeds)} seeds" if len(got.seeds) > 1 else ""
    return share(got.value, got.low, got.high, got.n) + seeds


def expected_text(say: Say, expected: Expected | None) -> str:
    """What was expected of the difference to the parent."""
    if expected is None:
        return NOTHING
    late = say(" (stated after the first run began)", " (첫 실행이 시작된 뒤에 적음)") if expected.late else ""
    if expected.size is not None:
        sign = {"up": "+", "down": MINUS, "same": "±"}[expected.direction]
        text = f"{sign}{number(abs(expected.size))}{say(' points', '%p')}"
    else:
        text = {"up": say("up", "상승"), "down": say("down", "하락"), "same": say("the same", "동일")}[
            expected.direction
        ]
    return text + late


def changed_text(difference: Mapping[str, tuple[Any, Any]], *, most: int = 6) -> str:
    """What an experiment changes: "training.optimizer: adamw → radam"."""
    parts = [f"{name}: {value_words(pair[0])} → {value_words(pair[1])}" for name, pair in difference.items()]
    return "; ".join(parts[:most]) + (f"; + {len(parts) - most}" if len(parts) > most else "") or NOTHING
