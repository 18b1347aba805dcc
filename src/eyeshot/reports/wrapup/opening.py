"""The first sections: goal, overview, data, team, timeline."""

from __future__ import annotations

from collections import Counter, defaultdict

from eyeshot.auditing import NAMES
from eyeshot.core import USES, plural, shortened, wilson
from eyeshot.data import KINDS
from eyeshot.ledger import Experiment
from eyeshot.reports.document import Block, figure, heading, paragraph, table
from eyeshot.reports.submissions_picture import score_interval
from eyeshot.reports.wrapup.experiments import experiments_about
from eyeshot.reports.wrapup.facts import Facts
from eyeshot.reports.wrapup.figures import draw_timeline, pictures_of
from eyeshot.reports.wrapup.results import public_words
from eyeshot.reports.wrapup.words import day, difference, known, number, share

MOST_CLASSES = 12


def best_of(experiments: list[Experiment]) -> Experiment | None:
    """The experiment with the highest accuracy; the earlier of equals."""
    judged = [each for each in experiments if each.got is not None and each.got.metric == "accuracy"]
    return max(judged, key=lambda each: each.got.value if each.got else 0.0, default=None)


def overview(facts: Facts) -> list[Block]:
    """What was to be reached, how much was done, and the best that came."""
    say = facts.say
    blocks: list[Block] = [heading(1, say("Overview and goal", "프로젝트 개요와 목표"), "overview")]
    blocks += facts.written("goal")
    experiments = facts.experiments
    finished = sum(each.got is not None for each in experiments)
    if experiments:
        first, last = experiments[0].created, experiments[-1].created
        blocks.append(
            paragraph(
                say(
                    f"{len(experiments):,} {plural(len(experiments), 'experiment')} between {day(first)} and "
                    f"{day(last)} (UTC), {finished:,} of them "
                    f"with a result; {len(facts.runs):,} {plural(len(facts.runs), 'run')}.",
                    f"실험 {len(experiments):,}건({day(first)} ~ {day(last)}, UTC), 그중 결과가 있는 실험 "
                    f"{finished:,}건, "
                    f"실행 {len(facts.runs):,}회.",
                )
            )
        )
    elif facts.runs:
        blocks.append(
            paragraph(
                say(
                    f"{len(facts.runs):,} {plural(len(facts.runs), 'run')}; no experiment was stated.",
                    f"실행 {len(facts.runs):,}회. 등록된 실험 없음.",
                )
            )
        )
    best = best_of(experiments)
    if best is not None and best.got is not None:
        got = best.got
        text = share(got.value, got.low, got.high, got.n)
        others = sum(each.got is not None and each.got.metric == got.metric for each in experiments)
        chosen = say(
            f" It was chosen as the highest of {others:,}, so it is likely to be a little too high.",
            f" {others:,}건 중 가장 높은 값을 고른 것이므로 실제보다 다소 높을 수 있음.",
        )
        blocks.append(
            paragraph(
                say(
                    f"Highest validation accuracy of an experiment: {text}.",
                    f"실험 중 최고 검증 정확도: {text}.",
                )
                + (chosen if others > 1 else ""),
                "claim",
                links=facts.links([best.id]),
            )
        )
    report = facts.submissions
    sent = [] if report is None else [each for each in report.submissions if each.score is not None]
    if report is not None and sent:
        top = max(sent, key=lambda each: each.score or 0.0)
        text = share(top.score, *score_interval(report, top)) + public_words(facts)
        blocks.append(
            paragraph(
                say(
                    f"Highest leaderboard score: {text} ({top.name}).",
                    f"리더보드 최고 점수: {text} ({top.name}).",
                ),
                "claim",
                links=[*facts.sent_links([top]), *facts.run_links([top.run])],
            )
        )
    return blocks


def data(facts: Facts) -> list[Block]:
    """Findings, decisions, split, and what the cleaning did."""
    say = facts.say
    blocks: list[Block] = [heading(1, say("Data", "데이터"), "data")]
    audit = facts.audit
    if audit is None:
        blocks.append(
            paragraph(say("The data was not audited.", "데이터 점검 기록 없음."), "note", command="eyeshot audit")
        )
    else:
        classes = len(audit.classes)
        blocks.append(
            paragraph(
                say(
                    f"{audit.n_train:,} training images in {classes:,} {plural(classes, 'class', 'classes')} "
                    f"and {audit.n_test:,} test images could be "
                    f"decoded, of {audit.n_files:,} files.",
                    f"전체 파일 {audit.n_files:,}개 중 디코딩된 이미지: 학습 {audit.n_train:,}장(클래스 "
                    f"{classes:,}개), "
                    f"테스트 {audit.n_test:,}장.",
                ),
                "claim",
                links=facts.result_links("audit"),
            )
        )
        if audit.counts:
            rows = [
                [known(say, NAMES.get(kind, kind)), f"{count:,}", f"{audit.images_by_kind.get(kind, 0):,}"]
                for kind, count in audit.counts.items()
                if count
            ]
            blocks.append(
                table(
                    say("Findings of the audit, the most harmful first", "점검에서 발견한 문제(심각한 순)"),
                    [say("finding", "문제"), say("findings", "건수"), say("images", "이미지 수")],
                    rows,
                    numbers=[1, 2],
                )
            )
        if audit.classes:
            sizes = sorted((each.images for each in audit.classes), reverse=True)
            smallest = sorted(audit.classes, key=lambda each: (each.images, each.label))[:MOST_CLASSES]
            blocks.append(
                paragraph(
                    say(
                        f"Images of a class: {sizes[-1]:,} to {sizes[0]:,}.",
                        f"클래스당 이미지 수: {sizes[-1]:,} ~ {sizes[0]:,}장.",
                    ),
                    "claim",
                    links=facts.result_links("audit"),
                )
            )
            if sizes[0] > sizes[-1]:
                blocks.append(
                    table(
                        say(
                            f"The {len(smallest)} smallest of {classes:,} classes",
                            f"전체 {classes:,}개 클래스 중 이미지가 가장 적은 {len(smallest)}개",
                        ),
                        [say("class", "클래스"), say("images", "이미지 수"), say("without duplicates", "중복 제외")],
                        [[shortened(each.label, 80), f"{each.images:,}", f"{each.different:,}"] for each in smallest],
                        numbers=[1, 2],
                    )
                )
        for word, found in (
            (say("measured properties", "측정한 속성"), audit.adversarial),
            (say("features of a model", "모델 특징"), audit.adversarial_features),
        ):
            if found is not None:
                low, high = found.interval
                blocks.append(
                    paragraph(
                        say(
                            f"A classifier tells training from test images by {word} with an area under the curve of "
                            f"{found.auc:.2f} [{low:.2f}, {high:.2f}], n = {found.n_train:,} and "
                            f"{found.n_test:,}; 0.5 is "
                            "not at all.",
                            f"학습·테스트 구분 분류기의 AUC({word}): {found.auc:.2f} [{low:.2f}, {high:.2f}], "
                            f"n = {found.n_train:,} / {found.n_test:,}. 0.5는 구분 불가를 뜻함.",
                        ),
                        "claim",
                        links=facts.result_links("audit"),
                    )
                )
        blocks += pictures_of(facts, audit)
    blocks += _decisions(facts)
    blocks += _cleaning(facts)
    blocks += experiments_about(facts, "data")
    blocks += _split(facts)
    if facts.project.file is not None:
        use = facts.project.test_images
        blocks.append(
            paragraph(
                say(
                    f'Rule on test images in eyeshot.toml: "{use}": {USES[use]}.',
                    f"테스트 이미지 사용 규칙(eyeshot.toml): “{use}”.",
                )
            )
        )
    blocks += facts.written("data")
    return blocks


def _decisions(facts: Facts) -> list[Block]:
    say = facts.say
    if not facts.decisions:
        return [paragraph(say("No decision was made about images.", "이미지에 대한 결정 없음."))]
    counts: Counter[str] = Counter()
    images: Counter[str] = Counter()
    authors: defaultdict[str, set[str]] = defaultdict(set)
    for decision in facts.decisions:
        counts[decision.kind] += 1
        images[decision.kind] += len(set(decision.images))
        authors[decision.kind].add(decision.author)
    rows = [
        [
            known(say, kind), say(KINDS[kind], "") or known(say, kind), f"{counts[kind]:,}", f"{images[kind]:,}",
            ", ".join(sorted(authors[kind])),
        ]
        for kind in KINDS
        if counts[kind]
    ]  # fmt: skip
    columns = [
        say("decision", "결정"), say("meaning", "의미"), say("decisions", "건수"), say("images", "이미지 수"),
        say("by", "결정한 사람"),
    ]  # fmt: skip
    numbers = [2, 3]
    if say("en", "ko") == "ko":  # the meaning would only repeat the Korean word
        rows, columns, numbers = [[row[0], *row[2:]] for row in rows], [columns[0], *columns[2:]], [1, 2]
    caption = say("Decisions in force; each is kept and can be undone", "적용 중인 결정(모두 기록되며 되돌릴 수 있음)")
    return [table(caption, columns, rows, numbers=numbers)]


def _cleaning(facts: Facts) -> list[Block]:
    """What the decisions did to accuracy."""
    say = facts.say
    if facts.cleaning is None:
        if not facts.decisions:
            return []
        words = say("What they do to accuracy was not measured.", "결정이 정확도에 미친 영향은 측정하지 않음.")
        return [paragraph(words, "note", command="eyeshot decisions compare")]
    measured, found = facts.cleaning
    n = found.judged
    before, after = (share(value, *wilson(round(value * n), n), n) for value in (found.before, found.after))
    gain = difference(say, *(points / 100 for points in (found.gain_points, found.gain_low, found.gain_high)))
    later = facts.decided_since(measured)
    since = say(
        f" {later:,} {plural(later, 'decision is', 'decisions are')} later than that.", f" 그 이후의 결정 {later:,}건."
    )
    return [
        paragraph(
            say(
                f"What the cleaning did, measured on {day(measured)} with {found.decisions:,} "
                f"{plural(found.decisions, 'decision')}, on images that they do not change, by {found.reader}: "
                f"right answers without them {before}, with them {after}, {gain}: {found.verdict}.",
                f"데이터 정리의 효과({day(measured)} 측정, 결정 {found.decisions:,}건, 결정으로 바뀌지 않은 "
                f"이미지, 선형 프로브): 정리 전 {before}, 정리 후 {after}, {gain}. {known(say, found.verdict)}.",
            )
            + (since if later else ""),
            "claim",
            links=facts.result_links("cleaning"),
        )
    ]


def _split(facts: Facts) -> list[Block]:
    say, split = facts.say, facts.split
    if split is None:
        return [
            paragraph(
                say(
                    "There is no stored split: each run held out its own share.",
                    "저장된 분할 없음: 각 실행이 자체 비율로 검증 세트를 분리함.",
                ),
                "note",
                command="eyeshot split",
            )
        ]
    blocks: list[Block] = [
        table(
            say(
                f"The split: {split.folds} folds, {number(split.val, 0)} % held out of all folds, seed {split.seed}",
                f"데이터 분할: {split.folds}폴드, 전체 폴드에서 제외한 검증 비율 {number(split.val, 0)} %, 시드 "
                f"{split.seed}",
            ),
            [say("part", "구분"), say("images", "이미지 수")],
            [[_part(facts, name), f"{count:,}"] for name, count in split.counts.items()],
            numbers=[1],
        )
    ]
    if split.leakage is not None:
        leakage, n = split.leakage, split.leakage.images
        plain, grouped = (share(value, *wilson(round(value * n), n), n) for value in (leakage.plain, leakage.grouped))
        gap = difference(say, *(points / 100 for points in (leakage.gap_points, leakage.gap_low, leakage.gap_high)))
        blocks.append(
            paragraph(
                say(
                    f"A random split that separates duplicates would have shown {plain} in place of {grouped}: {gap} "
                    "by a linear probe. Duplicates stay together here.",
                    f"중복을 고려하지 않은 무작위 분할의 정확도 {plain}, 중복을 묶은 분할의 정확도 {grouped}: {gap}"
                    "(선형 프로브). 여기서는 중복을 한쪽에 묶음.",
                ),
                "claim",
                links=facts.result_links("split"),
            )
        )
    return blocks


def _part(facts: Facts, name: str) -> str:
    """A part of the split in words."""
    words = {"val": facts.say("held out", "검증(폴드 제외)"), "train": facts.say("always trains", "항상 학습")}
    return words.get(name) or facts.say(f"fold {name}", f"폴드 {name}")


def team(facts: Facts) -> list[Block]:
    """Who did what: counts from the project, and roles in their own words."""
    say = facts.say
    blocks: list[Block] = [heading(1, say("Team and roles", "팀 구성과 역할"), "team")]
    rows = []
    for name in facts.authors:
        own = [each for each in facts.experiments if each.author == name and each.author_kind != "sweep"]
        insights = sum(insight.author == name for each in facts.experiments for insight in each.insights)
        actions = sum(
            action.get("author") == name
            for each in facts.experiments
            for insight in each.insights
            for action in insight.actions
        )
        kinds = {each.author_kind for each in own}
        rows.append(
            [
                name if kinds <= {"person"} else f"{name} ({known(say, 'agent')})",
                f"{len(own):,}",
                f"{sum(each.gain == 'better' for each in own):,}",
                f"{sum(decision.author == name for decision in facts.decisions):,}",
                f"{insights:,}",
                f"{actions:,}",
                f"{facts.words_of(name):,}",
            ]
        )
    sweeps = [each for each in facts.experiments if each.author_kind == "sweep"]
    if sweeps:
        better = sum(each.gain == "better" for each in sweeps)
        rows.append([known(say, "sweep"), f"{len(sweeps):,}", f"{better:,}", "0", "0", "0", "0"])
    if rows:
        blocks.append(
            table(
                say("What each one did, counted from the project", "프로젝트 기록에서 집계한 활동"),
                [
                    say("who", "이름"), say("experiments", "실험"),
                    say("of these better than the parent", "기준보다 좋은 실험"),
                    say("decisions about images", "이미지 결정"), say("insights", "인사이트"),
                    say("actions on insights", "인사이트 후속 조치"),
                    say("words on results", "결과에 대한 글"),
                ],
                rows,
                numbers=[1, 2, 3, 4, 5, 6],
            )
        )  # fmt: skip
    for name in facts.authors:
        blocks.append(heading(2, name, f"role-{facts.authors.index(name)}"))
        blocks += facts.written("role", name)
    return blocks


def timeline(facts: Facts) -> list[Block]:
    """When what happened, as a picture."""
    say = facts.say
    if not facts.experiments and not facts.decisions and not facts.runs:
        return []
    svg, png, notes = draw_timeline(facts)
    facts.notes += [note for note in notes if note not in facts.notes]
    judged = [each for each in facts.experiments if each.got is not None]
    caption = say(
        f"Above: validation accuracy of {len(judged):,} {plural(len(judged), 'experiment')} with 95 % "
        "intervals, and the highest so far. Below: "
        "when decisions, experiments, runs and submissions were made (UTC).",
        f"위: 실험 {len(judged):,}건의 검증 정확도(95 % 신뢰구간)와 그때까지의 최고값. 아래: 결정, 실험, 실행, "
        "제출 시점(UTC).",
    )
    best = best_of(judged)
    alt = say("Timeline of the project", "프로젝트 타임라인")
    if best is not None and best.got is not None:
        least = number(min(each.got.value for each in judged if each.got))
        most = number(best.got.value)
        alt += say(f": accuracy from {least} % to {most} %", f": 정확도 {least} % ~ {most} %")
    return [
        heading(1, say("Timeline", "진행 과정"), "timeline"),
        figure(caption, alt, svg=svg, png=png),
    ]
