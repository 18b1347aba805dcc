"""Reading, normalising, comparing and writing what a command gave."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xxhash

RELATIVE, ABSOLUTE = 1e-4, 1e-6
IMPORTANCE = 0.01
"""Boosted trees add in the order of the threads: the importance of a property differs by 0.001 with their number."""
LINE = 160  # columns of a golden file
DIGITS = 7  # significant ones that are kept; more would be noise of the machine
VARIES = "<varies>"
VARYING_KEYS = {
    "command", "cpu_seconds", "fingerprint", "hardware", "key", "pages", "seconds", "time", "used_s", "versions",
    "wait_s",
}  # fmt: skip
VARYING_TEXT = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?"), "<date>"),
    (re.compile(r"\b\d{8}-\d{4}(?=-)"), "<minute>"),  # a run's id begins with it
    (re.compile(r"http://127\.0\.0\.1:\d+/\S+"), "<address>"),
    (re.compile(r"\b[\d.,]+ ?(kB|MB|GB)\b"), "<bytes>"),
    (re.compile(r"\b[\d.,]+ (s|min|minutes?|seconds?|hours?)\b"), "<time>"),
)


class Normaliser:
    """Replaces what differs between machines and runs: the folder, dates, times, sizes, contents and random ids."""

    def __init__(self, folder: Path) -> None:
        self._words = {str(folder.resolve()): "<here>", str(folder): "<here>"}
        for file in sorted(folder.rglob("*.bmp"), reverse=True):
            # Of identical files the first in the alphabet names the content.
            name = f"<content of {file.relative_to(folder).as_posix()}>"
            self._words[xxhash.xxh3_128_hexdigest(file.read_bytes())] = name
        self._decisions = 0

    def learn_decisions(self, file: Path) -> None:
        """Number the random ids of decisions in the order in which they were stored."""
        for line in file.read_text(encoding="utf-8").splitlines():
            drawn = json.loads(line)["id"]
            if drawn not in self._words:
                self._decisions += 1
                self._words[drawn] = self._words[drawn[:8]] = f"<decision {self._decisions}>"

    def text(self, text: str) -> str:
        for word, shown in self._words.items():
            text = text.replace(word, shown)
        for pattern, shown in VARYING_TEXT:
            text = pattern.sub(shown, text)
        return text

    def value(self, text: str, kind: str) -> Any:
        """What a text holds; keys that vary keep their place and lose their value."""
        return _without_varying(parse(self.text(text), kind))


def parse(text: str, kind: str) -> Any:
    """JSON, lines of JSON, rows of a CSV file, or lines of text without blanks at their ends."""
    if kind == "json":
        return json.loads(text)
    if kind == "jsonl":
        return [json.loads(line) for line in text.splitlines()]
    if kind == "csv":
        return [[_number(cell) for cell in row] for row in csv.reader(io.StringIO(text))]
    return [line.rstrip() for line in text.splitlines()]


def serialise(value: Any, kind: str) -> str:
    """The opposite of `parse`."""
    if kind == "json":
        return _indented(value) + "\n"
    if kind == "jsonl":
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in value)
    if kind == "csv":
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows(value)
        return table.getvalue()
    return "".join(f"{line}\n" for line in value)


def differences(expected: Any, actual: Any, place: str = "") -> Iterator[str]:
    """Where two values differ, in words: keys and strings exactly, whole numbers exactly, others within tolerance."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        if list(expected) != list(actual):
            lost, new = sorted(expected.keys() - actual.keys()), sorted(actual.keys() - expected.keys())
            yield f"{place}: keys differ; lost {lost}, new {new}" if lost or new else f"{place}: keys in another order"
        for key in expected.keys() & actual.keys():
            yield from differences(expected[key], actual[key], f"{place}.{key}")
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{place}: {len(expected)} entries expected, {len(actual)} given"
        for number, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from differences(one, other, f"{place}[{number}]")
    elif isinstance(expected, float) and isinstance(actual, float):
        absolute = IMPORTANCE if ".gives_away" in place else ABSOLUTE
        if not math.isclose(expected, actual, rel_tol=RELATIVE, abs_tol=absolute):
            yield f"{place}: {expected!r} expected, {actual!r} given"
    elif type(expected) is not type(actual) or expected != actual:
        yield f"{place}: {expected!r} expected, {actual!r} given"


def _without_varying(value: Any) -> Any:
    match value:
        case dict():
            return {
                key: VARIES if key in VARYING_KEYS and each is not None else _without_varying(each)
                for key, each in value.items()
            }
        case list():
            return [_without_varying(each) for each in value]
        case float():
            return float(f"{value:.{DIGITS}g}")
    return value


def _indented(value: Any, depth: int = 0) -> str:
    """JSON in which only what is too long for a line is broken over several."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + depth <= LINE or not isinstance(value, dict | list):
        return line
    if isinstance(value, dict):
        entries = [
            f"{json.dumps(key, ensure_ascii=False)}: {_indented(each, depth + 1)}" for key, each in value.items()
        ]
    else:
        entries = [_indented(each, depth + 1) for each in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    blank = "\n" + " " * depth
    return opening + ",".join(f"{blank} {entry}" for entry in entries) + blank + closing


def _number(cell: str) -> str | float:
    """A cell with a point or an exponent is a number with a tolerance; ids such as 0012 stay what they are."""
    return float(cell) if re.fullmatch(r"-?\d+(\.\d+(e-?\d+)?|e-?\d+)", cell) else cell
