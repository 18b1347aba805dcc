"""Sections of what came out: errors, ensembles, submissions, own work, insights, lessons, and the list of runs."""

from __future__ import annotations

from collections import defaultdict
from importlib.metadata import PackageNotFoundError, metadata

from eyeshot.augment import augmentations
from eyeshot.core import NOTHING, duration, plural, shortened, shown_path
from eyeshot.models import list_models
from eyeshot.reports.document import Block, Cell, anchor_of, figure, heading, paragraph, quoted, table
from eyeshot.reports.submissions_picture import score_interval
from eyeshot.reports.wrapup.facts import Facts
from eyeshot.reports.wrapup.figures import draw_scores, scored
from eyeshot.reports.wrapup.texts import OwnField
from eyeshot.reports.wrapup.words import accuracy, changed_text, day, difference, got_text, known, p_text, share

MOST_CLASSES = 15
MOST_PAIRS = 15
MOST_RUNS = 2000
LONGEST_COMMAND = 400
LONGEST_NAME = 80


def errors(facts: Facts) -> list[Block]:
    """Where the best run is wrong."""
    say, report = facts.say, facts.errors
    blocks: list[Block] = [heading(1, say("Where the model is wrong", "오류 분석"), "errors")]
    if report is None:
        return [
            *blocks,
            paragraph(say("Errors were not looked at.", "오류 분석 기록 없음."), "note", command="eyeshot errors"),
        ]
    blocks.append(
        paragraph(
            say(
                f"{report.errors:,} of {report.n:,} validation images are wrong; accuracy {accuracy(report.accuracy)}.",
                f"검증 이미지 {report.n:,}장 중 오답 {report.errors:,}장, 정확도 {accuracy(report.accuracy)}.",
            ),
            "claim",
            links=[*facts.run_links([report.run]), *facts.result_links("errors")],
        )
    )
    worst = [each for each in report.classes if each.taken_for][:MOST_CLASSES]
    if worst:
        blocks.append(
            table(
                say(
                    f"The {len(worst)} classes of lowest recall, of {len(report.classes):,}",
                    f"재현율이 가장 낮은 클래스 {len(worst)}개(전체 {len(report.classes):,}개)",
                ),
                [
                    say("class", "클래스"),
                    say("recall, 95 %", "재현율, 95 %"),
                    say("most often taken for", "가장 많이 혼동한 클래스"),
                ],
                [
                    [
                        shortened(each.label, LONGEST_NAME),
                        accuracy(each.recall),
                        f"{shortened(each.taken_for, LONGEST_NAME)} ({each.taken_for_count:,})",
                    ]
                    for each in worst
                ],
            )
        )
    for entry in report.to_do:
        state = {"open": say("open", "미조치"), "acted": say("acted on", "조치함"), "gone": say("gone", "해소됨")}[
            entry.state
        ]
        blocks.append(paragraph(f"{entry.words} [{state}]", "item", links=facts.result_links("errors")))
    return blocks


def ensembles(facts: Facts) -> list[Block]:
    """Each ensemble: its members, and what it is worth against the best run."""
    say = facts.say
    blocks: list[Block] = [heading(1, say("Ensembles", "앙상블"), "ensembles")]
    if not facts.ensembles:
        return [
            *blocks,
            paragraph(say("No ensemble was made.", "앙상블 없음."), "note", command="eyeshot ensemble RUN RUN"),
        ]
    for run, report in facts.ensembles.items():
        gain = report.gain
        blocks.append(heading(2, run, f"ensemble-{anchor_of(run)}"))
        what = say(
            "the ensemble" if report.advised == "ensemble" else "the best run",
            "앙상블" if report.advised == "ensemble" else "최고 단일 실행",
        )
        blocks.append(
            paragraph(
                say(
                    f"Method {report.method}: accuracy out of fold {accuracy(report.accuracy)}; against the best run "
                    f"{difference(say, gain.difference, gain.low, gain.high)}, {p_text(gain.p)}, n = {report.n:,}. "
                    f"Advised: {what}.",
                    f"방법: {report.method}. 폴드 외 정확도 {accuracy(report.accuracy)}. 최고 단일 실행과의 차이 "
                    f"{difference(say, gain.difference, gain.low, gain.high)}, {p_text(gain.p)}, n = {report.n:,}. "
                    f"권장: {what}.",
                ),
                "claim",
                links=facts.run_links([run]),
            )
        )
        rows: list[list[str | Cell]] = [
            [
                {"text": "" if member.name in facts.runs else member.name, "links": facts.run_links(member.parts)},
                accuracy(member.accuracy),
                f"{member.weight:.2f}" if member.weight else say("not used", "미사용"),
            ]
            for member in sorted(report.members, key=lambda member: -member.weight)
        ]  # fmt: skip
        blocks.append(
            table(
                say("Members", "구성 모델"),
                [say("member", "모델"), say("accuracy, 95 %", "정확도, 95 %"), say("weight", "가중치")],
                rows,
                numbers=[2],
            )
        )
        blocks.append(
            table(
                say("Methods that were compared", "비교한 결합 방법"),
                [
                    say("method", "방법"), say("members", "모델 수"), say("accuracy, 95 %", "정확도, 95 %"),
                    say("to the best run, 95 %", "최고 단일 실행과의 차이, 95 %"),
                ],
                [
                    [
                        method.method, str(method.members), accuracy(method.accuracy),
                        difference(say, method.gain.difference, method.gain.low, method.gain.high),
                    ]
                    for method in report.methods
                ],
                numbers=[1],
            )
        )  # fmt: skip
    return [*blocks, *facts.written("ensemble")]


def public_words(facts: Facts) -> str:
    """What n of a leaderboard's score rests on, where nobody said its share of the images."""
    if facts.submissions is None or facts.submissions.public_share is not None:
        return ""
    return facts.say(
        " (n of the leaderboard: all images, as its share of them is not known)",
        "(리더보드 n: 채점 비율을 알 수 없어 전체 이미지로 계산)",
    )


def submissions(facts: Facts) -> list[Block]:
    """What was sent, what came back, and validation against the leaderboard."""
    say, report = facts.say, facts.submissions
    blocks: list[Block] = [heading(1, say("Submissions", "제출"), "submissions")]
    if report is None:
        return [
            *blocks,
            paragraph(say("No submission was recorded.", "제출 기록 없음."), "note", command="eyeshot submit FILE"),
        ]
    both = scored(facts)
    rows: list[list[str | Cell]] = []
    for each in report.submissions:
        mark = f"S{both.index(each) + 1}" if each in both else ""
        back = NOTHING if each.score is None else share(each.score, *score_interval(report, each))
        rows.append(
            [
                mark, day(each.time), {"text": each.name, "anchor": anchor_of("submission", each.content)},
                {"text": "" if facts.has_run(each.run) else each.run or NOTHING, "links": facts.run_links([each.run])},
                accuracy(each.validation), back, each.note or NOTHING,
            ]
        )  # fmt: skip
    blocks.append(
        table(
            say(f"{len(rows):,} {plural(len(rows), 'submission')}", f"전체 제출 {len(rows):,}건")
            + public_words(facts),
            [
                say("point", "점"), say("day (UTC)", "날짜(UTC)"), say("submission", "제출 파일"), say("run", "실행"),
                say("validation, 95 %", "검증, 95 %"), say("leaderboard, 95 %", "리더보드, 95 %"), say("note", "메모"),
            ],
            rows,
        )
    )  # fmt: skip
    if report.gap is None:
        return blocks
    clear = report.gap_low is not None and report.gap_high is not None and (report.gap_low > 0 or report.gap_high < 0)
    blocks.append(
        paragraph(
            say(
                f"Leaderboard less validation: {difference(say, report.gap, report.gap_low, report.gap_high)} over "
                f"{report.gap_runs:,} {plural(report.gap_runs, 'submission')}: "
                f"{'more than noise' if clear else 'within noise'}.",
                f"리더보드와 검증의 차이: {difference(say, report.gap, report.gap_low, report.gap_high)}"
                f"(제출 {report.gap_runs:,}건). {'오차 범위를 벗어남' if clear else '오차 범위 이내'}.",
            ),
            "claim",
            links=[*facts.sent_links(both), *facts.run_links(each.run for each in both)],
        )
    )
    svg, png = draw_scores(facts)
    caption = say(
        f"Leaderboard against validation of {len(both):,} {plural(len(both), 'submission')}, with 95 % "
        "intervals of both.",
        f"제출 {len(both):,}건의 리더보드 점수와 검증 정확도(각 95 % 신뢰구간).",
    )
    blocks.append(figure(caption, caption, svg=svg, png=png))
    return [*blocks, *facts.written("leaderboard")]


def own_work(facts: Facts) -> list[Block]:
    """What the team built, and what it took: models, augmentations, libraries, with licences and sources."""
    say = facts.say
    blocks: list[Block] = [heading(1, say("Own work and off the shelf", "직접 구현한 것과 가져온 것"), "own")]
    parts: tuple[tuple[str, str, OwnField], ...] = (
        (say("Own work", "직접 구현한 것"), "own-work", "own_work"),
        (say("Taken", "가져온 것"), "taken", "off_the_shelf"),
    )
    for title, anchor, field in parts:
        said: defaultdict[str, list[str]] = defaultdict(list)
        for each in facts.experiments:
            if text := str(getattr(each, field)).strip():
                said[text].append(each.id)
        blocks.append(heading(2, title, anchor))
        for text, ids in said.items():
            blocks.append(paragraph(" ".join(text.split()), "claim", links=facts.links(ids[:20])))
        if not said or facts.has_text(field):
            blocks += facts.written(field)
    trained = [record for record in facts.runs.values() if record.kind == "train"]
    records = {record.tag: record for record in list_models()}
    rows = []
    for name in sorted({record.model for record in trained}):
        record = records.get(name)
        rows.append(
            [
                name, (record.pretraining_data if record else None) or NOTHING,
                (record.licence if record else None) or say("not in the catalogue", "카탈로그에 없음"),
                "timm" if record else say("own or other code", "자체 또는 외부 코드"),
            ]
        )  # fmt: skip
    if rows:
        blocks.append(
            table(
                say("Models that were trained", "학습에 사용한 모델"),
                [
                    say("model", "모델"), say("pretrained on", "사전학습 데이터"),
                    say("licence of the weights", "가중치 라이선스"),
                    say("from", "출처"),
                ],
                rows,
            )
        )  # fmt: skip
    used = sorted({name for record in trained for name in record.augmentations})
    if used:
        known_ones = {each.name: each for each in augmentations()}
        blocks.append(
            table(
                say("Augmentations that were trained with", "학습에 사용한 증강"),
                [say("augmentation", "증강"), say("strength", "강도"), say("source", "출처")],
                [
                    [name, known_ones[name].strength, known_ones[name].source]
                    if name in known_ones
                    else [name, NOTHING, say("own", "자체 구현")]
                    for name in used
                ],
            )
        )
    versions: dict[str, str] = {}
    for result in facts.results.values():
        versions |= result.versions
    if versions:
        blocks.append(
            table(
                say("Libraries of the runs", "실행에 사용한 라이브러리"),
                [say("library", "라이브러리"), say("version", "버전"), say("licence", "라이선스")],
                [[name, version, _licence(name) or NOTHING] for name, version in sorted(versions.items())],
            )
        )
    return blocks


def _licence(package: str) -> str:
    """The licence that an installed package names; empty where it names none."""
    try:
        said = metadata(package)
    except PackageNotFoundError:
        return ""
    if "License-Expression" in said:
        return said["License-Expression"]
    lines = [line for line in said.get_all("Classifier") or [] if line.startswith("License ::")]
    text = said["License"].strip() if "License" in said else ""
    return ", ".join(line.rpartition("::")[2].strip() for line in lines) or (text if len(text) < 60 else "")


def insights(facts: Facts) -> list[Block]:
    """What was understood and what was done about it, then what nothing was done about."""
    say = facts.say
    blocks: list[Block] = [heading(1, say("Insights, and what was done", "인사이트와 후속 조치"), "insights")]
    pairs = [(each, insight) for each in facts.experiments for insight in each.insights]
    if not pairs:
        return [
            *blocks,
            paragraph(say("No insight was noted.", "기록된 인사이트 없음."), "note", command='eyeshot insight ID "…"'),
        ]
    acted = [pair for pair in pairs if not pair[1].open]
    still = [pair for pair in pairs if pair[1].open]
    if acted:
        blocks.append(heading(2, say("Acted on", "조치한 것"), "acted"))
        for each, insight in acted:
            text = f"{insight.text} ({insight.author}, {day(insight.time)})"
            blocks.append(paragraph(text, "claim", links=facts.links([each.id])))
            for action in insight.actions:
                done = f"{action.get('text', '')} ({action.get('author', '')})"
                blocks += quoted(say(f"Done: {done}", f"조치: {done}"))
    if still:
        blocks.append(heading(2, say("Nothing was done yet", "조치하지 않은 것"), "open-insights"))
        for each, insight in still:
            text = f"{insight.text} ({insight.author}, {day(insight.time)})"
            blocks.append(paragraph(text, "claim", links=facts.links([each.id])))
            command = f'eyeshot act {insight.id} "…"'
            question = say(
                f"What was done about {facts.number(each.id)}'s insight, or why nothing?",
                f"{facts.number(each.id)} 인사이트에 대한 조치, 또는 조치하지 않은 이유는?",
            )
            blocks.append(facts.ask("action", question, command, each.id, insight=insight.id))
    return blocks


def lessons(facts: Facts) -> list[Block]:
    """What was learned: by experiment, then by the team; and what comes next."""
    say = facts.say
    blocks: list[Block] = [heading(1, say("Lessons", "배운 점"), "lessons")]
    for each in facts.experiments:
        if each.learned:
            text = " ".join(facts.signed(each, "learned").split())
            blocks.append(paragraph(text, "claim", links=facts.links([each.id])))
        elif each.gain is not None and each.author_kind != "sweep":
            name = facts.number(each.id)
            question = say(f"What did {name} teach?", f"{name}에서 배운 점은?")
            blocks.append(facts.ask("learned", question, f'eyeshot learned {each.id} "…"', each.id))
    blocks += facts.written("lessons")
    blocks.append(heading(1, say("Next steps", "다음 단계"), "next"))
    return [*blocks, *facts.written("next")]


def listings(facts: Facts) -> list[Block]:
    """All experiments, results and runs by id: what the links of claims lead to."""
    say = facts.say
    blocks: list[Block] = []
    if facts.experiments:
        rows: list[list[str | Cell]] = []
        for each in facts.experiments:
            own = dict.fromkeys((*each.runs, *each.parent_runs))
            gone = [run for run in own if not facts.has_run(run)]
            about: Cell = {"text": each.id, "anchor": anchor_of("experiment", each.id)}
            rows.append(
                [
                    facts.number(each.id), about, known(say, each.state), changed_text(each.difference),
                    got_text(each.got),
                    {"text": ", ".join(gone), "links": facts.run_links(own)},
                ]
            )  # fmt: skip
        blocks += [
            heading(1, say("List of experiments", "실험 목록"), "list-experiments"),
            table(
                say("`eyeshot show ID` prints all of one", "`eyeshot show ID`로 전체 내용 확인"),
                [
                    say("no.", "번호"), say("id", "ID"), say("state", "상태"), say("changed", "바꾼 요인"),
                    say("got, 95 %", "결과, 95 %"), say("runs", "실행"),
                ],
                rows,
            ),
        ]  # fmt: skip
    if facts.sources:
        blocks += [
            heading(1, say("List of results", "결과 목록"), "list-results"),
            table(
                say("Files that the sections were written from", "각 섹션의 근거 파일"),
                [say("file", "파일"), say("folder", "폴더"), say("command", "명령")],
                [
                    [{"text": file.name, "anchor": anchor_of("result", name)}, shown_path(file.parent), command]
                    for name, (file, command) in facts.sources.items()
                ],
            ),
        ]
    if facts.runs or facts.unread_runs:
        runs = list(facts.runs.values())[:MOST_RUNS]
        folder = shown_path(facts.workspace.results("runs"))
        made: list[list[str | Cell]] = []
        for record in runs:
            result = facts.results.get(record.id)
            made.append(
                [
                    {"text": record.id, "anchor": anchor_of("run", record.id)}, record.kind, day(record.created),
                    NOTHING if result is None else accuracy(result.accuracy),
                    NOTHING if result is None else duration(result.seconds),
                    record.command[:LONGEST_COMMAND] or NOTHING,
                ]
            )  # fmt: skip
        unread = say("its record cannot be read", "기록을 읽을 수 없음")
        made += [[{"text": run, "anchor": anchor_of("run", run)}, unread, *[NOTHING] * 4] for run in facts.unread_runs]
        more = len(facts.runs) - len(runs)
        rest = say(f"; {more:,} more are in that folder", f", 나머지 {more:,}건은 폴더 참조") if more > 0 else ""
        blocks += [
            heading(1, say("List of runs", "실행 목록"), "list-runs"),
            table(
                say(f"Folders of {folder}{rest}", f"{folder} 안의 폴더{rest}"),
                [
                    say("run", "실행"), say("kind", "종류"), say("day (UTC)", "날짜(UTC)"),
                    say("accuracy, 95 %", "정확도, 95 %"), say("time", "시간"), say("command", "명령"),
                ],
                made,
                numbers=[4],
            ),
        ]  # fmt: skip
    if facts.notes:
        blocks.append(heading(1, say("Notes", "참고 사항"), "notes"))
        blocks += [paragraph(note, "note") for note in facts.notes]
    return blocks
