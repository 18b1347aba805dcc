"""The figures of docs/evidence.md: a table, between two marks, that tests recompute from the committed CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.augmentation_truth.judge import CURE_LEFT_OUT, Judged, pool_worlds, ranked_by_situation
from benchmarks.augmentation_truth.rankings import ADVICE, CLEAN, PRETRAINED_MODEL, RANDOM, RANKING, STATIC, TRIVIAL
from eyeshot.core.files import replacing

BEGIN, END = "<!-- truth: begin -->", "<!-- truth: end -->"
HEADER = (
    "| situation | tasks | reliability | Spearman | corrected | a true best among the first three (by chance) "
    "| right signs | regret, points: first | first by a pretrained model | advice | TrivialAugment | static | clean "
    "| random |"
)


def evidence_table(judged: Sequence[Judged]) -> str:
    """Markdown of all situations that have scores."""
    lines = [HEADER, "|" + "---|" * (HEADER.count("|") - 1)]
    tasks = ranked_by_situation(judged)
    lines += [_line(situation, rankings, tasks[situation]) for situation, rankings in pool_worlds(judged).items()]
    return "\n".join(lines)


def _line(situation: str, rankings: Mapping[str, Mapping[str, Any]], tasks: Sequence[Judged]) -> str:
    product = rankings[RANKING]
    known = [task.reliability for task in tasks if task.reliability is not None]
    table = f"{np.median(known):.2f} ({min(known):.2f} to {max(known):.2f})" if known else "–"
    spearman, hit = product["spearman"], product["hit"]
    # With three sources the interval may exceed the range of a correlation.
    ends = None if spearman["low"] is None else (max(-1.0, spearman["low"]), min(1.0, spearman["high"]))
    interval = "" if ends is None else f" ({number_words(ends[0])} to {number_words(ends[1])})"

    def lost(name: str) -> str:
        return number_words(rankings.get(name, {}).get("regret", {}).get("value"), digits=1)

    cells = [
        situation,
        f"{product['tasks']} of {product['sources']} sources",
        table,
        number_words(spearman["value"]) + interval,
        number_words(product["corrected"]["value"]),
        f"{_percent(hit['value'])} ({_percent(rankings[RANDOM]['hit']['value'])})",
        _percent(product["right_signs"]["value"]),
        lost(RANKING),
        lost(PRETRAINED_MODEL),
        "–" if CURE_LEFT_OUT in situation else lost(ADVICE),
        *(lost(name) for name in (TRIVIAL, STATIC, CLEAN, RANDOM)),
    ]
    return "| " + " | ".join(cells) + " |"


def number_words(value: float | None, *, digits: int = 2) -> str:
    """A number for a table, with a real minus; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def put_into(file: Path, table: str, *, begin: str = BEGIN, end: str = END) -> bool:
    """Replace the text between the marks of a document; False if it has no marks."""
    text = file.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        return False
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    with replacing(file) as temporary:
        temporary.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8", newline="\n")
    return True
