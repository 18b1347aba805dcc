"""Sections of the experiments: the table by question, what came as expected, what did not and why, what failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from eyeshot.core import NOTHING, plural, wilson
from eyeshot.ledger import Experiment
from eyeshot.reports.document import Block, Cell, heading, paragraph, quoted, table
from eyeshot.reports.wrapup.facts import Facts
from eyeshot.reports.wrapup.words import (
    changed_text,
    difference,
    expected_text,
    got_text,
    known,
    number,
    of_n,
    p_text,
    share,
)

MOST_ROWS = 500
"""Of one table; more are counted, and `eyeshot runs --csv` has all."""
MOST_ALARMS = 100
QUESTIONS: dict[str, tuple[str, str]] = {
    "model": ("Which model?", "어떤 모델인가?"),
    "augmentation": ("Which augmentation?", "어떤 증강인가?"),
    "optimizer": ("Which optimizer?", "어떤 옵티마이저인가?"),
    "rate": ("Which learning rate and schedule?", "학습률과 스케줄은?"),
    "length": ("How long, and in which batches?", "학습 길이와 배치 크기는?"),
    "data": ("Which images and labels?", "어떤 이미지와 라벨인가?"),
    "size": ("Which image size?", "이미지 크기는?"),
    "loss": ("Which loss and regularisation?", "손실 함수와 정규화는?"),
    "other": ("Which other setting?", "그 밖의 설정은?"),
    "several": (
        "Several changes at once (the cause cannot be told)",
        "여러 요인을 동시에 바꾼 실험(원인을 특정할 수 없음)",
    ),
    "seed": ("Nothing but the seed: how large is chance?", "시드만 바꾼 실험: 우연의 크기는?"),
    "beginning": ("Beginnings, compared with nothing", "기준 실험(비교 대상 없음)"),
}
WORDS = {
    "model": ("model", "weights", "pretrained", "training.freeze"),
    "augmentation": ("augment", "mixup", "cutmix"),
    "optimizer": ("optimizer", "momentum"),
    "rate": ("learning_rate", "schedule", "warm_up", "decay", "lr"),
    "length": ("epochs", "steps", "batch"),
    "data": ("data.", "fold", "split", "decisions"),
    "size": ("size", "interpolation", "fit"),
    "loss": ("loss", "smoothing", "dropout", "drop_path", "label", "objective", "average", "ema"),
}
"""A setting belongs to the first question one of whose words its name holds."""


def question_of(experiment: Experiment) -> str:
    """The key of `QUESTIONS` that an experiment answers."""
    changed = [name for name in experiment.difference if name.rpartition(".")[2] != "seed"]
    if experiment.parent is None and not experiment.difference:
        return "beginning"
    if experiment.difference and not changed:
        return "seed"
    if len(changed) != 1:
        return "several" if changed else "beginning"
    name = changed[0].lower()
    return next((key for key, words in WORDS.items() if any(word in name for word in words)), "other")


def experiment_rows(facts: Facts, experiments: Iterable[Experiment]) -> list[list[str | Cell]]:
    """A row for each: number, why and author, what it changes, expected, got, difference to the parent, verdict."""
    say = facts.say
    rows: list[list[str | Cell]] = []
    for each in experiments:
        got = each.got
        gap = NOTHING
        if got is not None and got.difference is not None:
            gap = difference(say, got.difference, got.difference_low, got.difference_high)
            if got.p is not None:
                gap += f", {p_text(got.p)}"
        parent = facts.links([each.parent])
        verdict = known(say, each.verdict) if each.verdict else known(say, each.state)
        rows.append(
            [
                {"text": "", "links": [facts.link(each.id)]},
                each.why + (f" ({each.author})" if each.author else ""),
                {"text": changed_text(each.difference), "links": parent},
                expected_text(say, each.expected),
                got_text(got),
                gap,
                verdict,
            ]
        )
    return rows


def experiment_table(facts: Facts, caption: str, experiments: Sequence[Experiment]) -> Block:
    """The table of some experiments."""
    say = facts.say
    shown = experiments[:MOST_ROWS]
    if len(experiments) > len(shown):
        caption += say(
            f" The first {len(shown):,} of {len(experiments):,}; all: eyeshot runs --csv FILE.",
            f" 전체 {len(experiments):,}건 중 {len(shown):,}건. 전체 목록: eyeshot runs --csv FILE.",
        )
    return table(
        caption,
        [
            say("no.", "번호"), say("why", "이유"), say("changed (from)", "바꾼 요인(기준)"), say("expected", "예상"),
            say("got, 95 %", "결과, 95 %"), say("difference, 95 %", "기준과의 차이, 95 %"), say("verdict", "판정"),
        ],
        experiment_rows(facts, shown),
    )  # fmt: skip


def experiments_about(facts: Facts, question: str) -> list[Block]:
    """What the experiments of one question say in a sentence, with links to them; nothing without one."""
    say = facts.say
    own = [each for each in facts.experiments if question_of(each) == question and each.gain is not None]
    if not own:
        return []
    counts = {gain: sum(each.gain == gain for each in own) for gain in ("better", "worse", "not distinguishable")}
    better = [each for each in own if each.gain == "better"]
    return [
        paragraph(
            say(
                f"{len(own):,} {plural(len(own), 'experiment')} changed this alone: {counts['better']:,} better "
                "than the parent, "
                f"{counts['worse']:,} worse, {counts['not distinguishable']:,} not distinguishable.",
                f"이 요인만 바꾼 실험 {len(own):,}건: 기준보다 좋음 {counts['better']:,}건, 나쁨 "
                f"{counts['worse']:,}건, "
                f"구분 불가 {counts['not distinguishable']:,}건.",
            ),
            "claim",
            links=facts.links(each.id for each in (better or own)[:20]),
        )
    ]


def experiment_tables(facts: Facts) -> list[Block]:
    """All experiments, grouped by the question that they answer."""
    say = facts.say
    blocks: list[Block] = [heading(1, say("Experiments", "실험"), "experiments")]
    if not facts.experiments:
        return [
            *blocks,
            paragraph(say("No experiment was stated.", "등록된 실험 없음."), "note", command='eyeshot try "WHY"'),
        ]
    blocks.append(
        paragraph(
            say(
                "Each row changes what it names against its parent. Brackets hold 95 % intervals; a difference "
                "counts as "
                "better or worse only where its p is below what the number of comparisons allows.",
                "각 행은 기준 실험에서 표시된 요인을 바꾼 결과. 대괄호는 95 % 신뢰구간. 비교 횟수를 반영한 "
                "유의수준보다 p가 작을 "
                "때만 좋음·나쁨으로 판정함.",
            )
        )
    )
    measured = [each for each in facts.experiments if each.got is not None and each.got.noise is not None]
    if measured and (got := measured[-1].got) is not None:
        blocks.append(
            paragraph(
                say(
                    f"Seeds of one recipe differ by {number(got.noise)} points (SD), as last "
                    f"measured{of_n(got.n)}; it has no interval, as the number of its seeds is not kept.",
                    f"같은 설정의 시드 간 표준편차(최근 측정{of_n(got.n)}): {number(got.noise)}%p. "
                    "측정에 쓰인 시드 수가 저장되지 않아 신뢰구간 없음.",
                ),
                "claim",
                links=facts.links([measured[-1].id]),
            )
        )
    groups: defaultdict[str, list[Experiment]] = defaultdict(list)
    for each in facts.experiments:
        groups[question_of(each)].append(each)
    for key, words in QUESTIONS.items():
        if groups[key]:
            blocks.append(heading(2, say(*words), f"question-{key}"))
            count = len(groups[key])
            caption = say(f"{count:,} {plural(count, 'experiment')}", f"실험 {count:,}건")
            blocks.append(experiment_table(facts, caption, groups[key]))
    return blocks


def as_expected(facts: Facts) -> list[Block]:
    """What came as expected, what did not, and why; only expectations that were stated in time."""
    say = facts.say
    blocks: list[Block] = [heading(1, say("Expected and got", "예상과 결과"), "expected")]
    judged = [
        each for each in facts.experiments if each.expected and not each.expected.late and each.verdict and each.got
    ]
    if not judged:
        return [
            *blocks,
            paragraph(
                say(
                    "No expectation was stated before a run and compared with its result.",
                    "실행 전에 예상을 적고 결과와 비교한 실험 없음.",
                ),
                "note",
                command='eyeshot try "WHY" --expect "up accuracy"',
            ),
        ]
    came = [each for each in judged if each.verdict == "as expected"]
    open_ = [each for each in judged if each.verdict == "not distinguishable"]
    other = [each for each in judged if each.verdict in ("better", "worse")]
    low, high = wilson(len(came), len(judged))
    blocks.append(
        paragraph(
            say(
                f"Of {len(judged):,} {plural(len(judged), 'expectation')} stated before the first run, "
                f"{len(came):,} came: "
                f"{share(len(came) / len(judged), low, high, len(judged))}. {len(other):,} came otherwise, and "
                f"{len(open_):,} could not be told apart from the parent.",
                f"실행 전에 적은 예상 {len(judged):,}건 중 예상대로 {len(came):,}건: "
                f"{share(len(came) / len(judged), low, high, len(judged))}. 예상과 다름 {len(other):,}건, "
                f"구분 불가 {len(open_):,}건.",
            ),
            "claim",
            links=facts.links(each.id for each in judged[:20]),
        )
    )
    for title, anchor, group in (
        (say("As expected", "예상대로 나온 것"), "came", came),
        (say("Otherwise, and why", "예상과 다르게 나온 것과 그 이유"), "otherwise", other),
        (say("Not distinguishable", "구분할 수 없었던 것"), "undecided", open_),
    ):
        if not group:
            continue
        blocks.append(heading(2, title, anchor))
        for each in group:
            blocks += _outcome(facts, each, ask=anchor == "otherwise")
    return blocks


def _outcome(facts: Facts, each: Experiment, *, ask: bool) -> list[Block]:
    say = facts.say
    assert each.got is not None
    got = each.got
    text = say(
        f"{each.why}. Expected: {expected_text(say, each.expected)}. Got: "
        f"{difference(say, got.difference, got.difference_low, got.difference_high)}{of_n(got.n)}.",
        f"{each.why}. 예상: {expected_text(say, each.expected)}. 결과: "
        f"{difference(say, got.difference, got.difference_low, got.difference_high)}{of_n(got.n)}.",
    )
    blocks: list[Block] = [paragraph(text, "claim", links=facts.links([each.id]))]
    if each.why_different:
        blocks += quoted(facts.signed(each, "why_different"))
    elif ask and each.author_kind != "sweep":
        question = say(
            f"Why did {facts.number(each.id)} come otherwise?", f"{facts.number(each.id)}: 예상과 다른 이유는?"
        )
        command = f'eyeshot learned {each.id} --why-different "…"'
        blocks.append(facts.ask("why_different", question, command, each.id))
    if each.learned:
        words = facts.signed(each, "learned")
        blocks += quoted(say(f"Learned: {words}", f"배운 점: {words}"))
    return blocks


def failures(facts: Facts) -> list[Block]:
    """What failed, was stopped or dropped, and what trainings warned of."""
    say = facts.say
    blocks: list[Block] = [heading(1, say("What failed", "실패한 것"), "failed")]
    ended = [each for each in facts.experiments if each.state in ("failed", "stopped", "dropped")]
    alarms = [(run, alarm) for run, result in facts.results.items() for alarm in result.alarms]
    if not ended and not alarms:
        return [*blocks, paragraph(say("Nothing failed that the project knows of.", "기록된 실패 없음."))]
    for each in ended:
        state = known(say, each.state)
        words = f"{each.why}: {state}." + (f" {each.words}" if each.words else "")
        blocks.append(paragraph(words, "claim", links=facts.links([each.id])))
    if alarms:
        rows: list[list[str | Cell]] = [
            [{"text": "", "links": facts.run_links([run])}, alarm.seen, alarm.cause or NOTHING]
            for run, alarm in alarms[:MOST_ALARMS]
        ]
        blocks.append(
            table(
                say(f"Alarms of trainings: {len(alarms):,}", f"학습 중 경고: {len(alarms):,}건"),
                [say("run", "실행"), say("what was seen", "관찰된 현상"), say("likely cause", "추정 원인")],
                rows,
            )
        )
    return blocks
