"""Sections of what was chosen: model, augmentation, optimizer."""

from __future__ import annotations

from eyeshot.core import NOTHING, duration, plural
from eyeshot.models import list_models
from eyeshot.rankings import Candidate, RankingReport
from eyeshot.reports.document import Block, anchor_of, figure, heading, paragraph, table
from eyeshot.reports.page import sentence
from eyeshot.reports.wrapup.experiments import experiments_about
from eyeshot.reports.wrapup.facts import Facts
from eyeshot.reports.wrapup.words import accuracy, difference, number, scored, share

MOST_MODELS = 15
MOST_CANDIDATES = 15
PICTURE = "augmentations.svg"


def models(facts: Facts) -> list[Block]:
    """The ranking of raw models, and why one was chosen."""
    say, report = facts.say, facts.models
    blocks: list[Block] = [heading(1, say("Choice of the model", "모델 선택"), "models")]
    if report is None:
        blocks.append(
            paragraph(say("No ranking of models.", "모델 순위 기록 없음."), "note", command="eyeshot rank models")
        )
    else:
        blocks.append(
            paragraph(
                say(
                    f"{len(report.models):,} pretrained "
                    f"{plural(len(report.models), 'model was', 'models were')} compared without augmentation, "
                    "by a linear probe on "
                    f"frozen features: {report.n_judged:,} images judged in {report.folds} folds. Advised: "
                    f"{report.advised.name}. {sentence([report.advised.reason])}",
                    f"사전학습 모델 {len(report.models):,}개를 증강 없이 고정 특징의 선형 프로브로 비교함: 이미지 "
                    f"{report.n_judged:,}장, {report.folds}폴드. 권장 모델: {report.advised.name}.",
                ),
                "claim",
                links=facts.result_links("models"),
            )
        )
        licences = {record.tag: record.licence for record in list_models()}
        rows = []
        for model in report.models[:MOST_MODELS]:
            low, high = model.probe.difference_interval or (None, None)
            rows.append(
                [
                    str(model.rank), model.name, f"{model.size}", accuracy(model.probe.accuracy),
                    difference(say, model.probe.difference, low, high),
                    NOTHING if model.fine_tuning is None else accuracy(model.fine_tuning.accuracy),
                    f"{model.cost.seconds_per_1000:.1f}", licences.get(model.name) or NOTHING,
                ]
            )  # fmt: skip
        more = len(report.models) - len(rows)
        rest = say(f"; {more:,} more are in models.json", f", 나머지 {more:,}개는 models.json 참조") if more > 0 else ""
        blocks.append(
            table(
                say(f"Raw models, best first{rest}", f"원본 모델 비교(좋은 순){rest}"),
                [
                    say("rank", "순위"), say("model", "모델"), say("pixels", "픽셀"),
                    say("probe, 95 %", "프로브 정확도, 95 %"), say("to the best", "1위와의 차이"),
                    say("fine-tuned", "미세 조정"), say("s per 1,000", "초/1,000장"),
                    say("licence of the weights", "가중치 라이선스"),
                ],
                rows,
                numbers=[0, 2, 6],
            )
        )  # fmt: skip
        for left in report.left_out[:MOST_MODELS]:
            words = say(f"Left out: {left.name}. {left.why}", f"제외: {left.name}.")
            blocks.append(paragraph(words, "item", links=facts.result_links("models")))
    blocks += experiments_about(facts, "model")
    if report is not None or len({record.model for record in facts.runs.values()}) > 0:
        blocks += facts.written("model")
    return blocks


def augmentations(facts: Facts) -> list[Block]:
    """Which augmentation fits: coverage before and after, the map, and trained experiments."""
    say, report = facts.say, facts.augmentations
    blocks: list[Block] = [heading(1, say("Augmentation", "데이터 증강"), "augmentation")]
    if report is not None:
        blocks += _ranking(facts, "augmentations", report)
    elif not facts.further_augmentations:
        words = say("No ranking of augmentations.", "증강 순위 기록 없음.")
        blocks.append(paragraph(words, "note", command="eyeshot rank augmentations"))
    blocks += experiments_about(facts, "augmentation")
    if report is not None or facts.further_augmentations:
        blocks += facts.written("augmentation")
    for name, further in facts.further_augmentations.items():
        model = further.models[0].name
        blocks.append(heading(2, say(f"For {model}", f"{model} 기준"), anchor_of(name)))
        blocks += _ranking(facts, name, further)
    return blocks


def _ranking(facts: Facts, name: str, report: RankingReport) -> list[Block]:
    """A ranking of augmentations for one model: before and after, its map, the candidates, trained ones."""
    say = facts.say
    blocks: list[Block] = []
    target = say("test", "테스트") if report.target == "test" else say("validation", "검증")
    ranked = [each for each in report.candidates if each.role == "ranked"]
    blocks.append(
        paragraph(
            say(
                f"{len(ranked):,} augmentations were ranked for {report.models[0].name} by how much of the "
                f"{target} "
                f"images ({report.n_target_used:,} of {report.n_target:,}) their augmented training images "
                "cover in "
                f"feature space. Advised: {report.advice}.",
                f"{report.models[0].name} 모델 기준으로 증강 {len(ranked):,}개를 비교함: 증강된 학습 "
                "이미지가 특징 공간에서 "
                f"{target} 이미지({report.n_target:,}장 중 {report.n_target_used:,}장)를 얼마나 덮는지 측정. "
                f"권장 증강: {report.advice}.",
            ),
            "claim",
            links=facts.result_links(name),
        )
    )
    advised = next((each for each in report.candidates if each.name == report.advice), None)
    if advised is not None and advised.scores.consistent_coverage is not None:
        after, gain = advised.scores.consistent_coverage, advised.scores.coverage_gain
        if gain is not None:
            low, high = advised.interval if advised.interval and report.ranked_by == "coverage_gain" else (None, None)
            blocks.append(
                paragraph(
                    say(
                        f"Before and after: label-consistent coverage of the {target} images is "
                        f"{number(after - gain)} "
                        f"% with clean copies and {number(after)} % with {advised.name}, "
                        f"{difference(say, gain, low, high)}, n = {report.n_target_used:,}; "
                        f"{'the two levels have' if low is not None else 'these have'} no interval of their own.",
                        f"적용 전후: {target} 이미지의 라벨 일치 커버리지 {number(after - gain)} %(원본) → "
                        f"{number(after)} %"
                        f"({advised.name}), {difference(say, gain, low, high)}, n = {report.n_target_used:,}. "
                        f"{'두 커버리지 값 자체의 ' if low is not None else ''}신뢰구간은 없음.",
                    ),
                    "claim",
                    links=facts.result_links(name),
                )
            )
    picture = facts.sources[name][0].parent / PICTURE
    if picture.is_file():
        blocks.append(
            figure(
                say(
                    "Joint map of training, augmented and target images (two dimensions show, they do not "
                    "measure), "
                    "and the ranking.",
                    "학습·증강·대상 이미지의 공동 지도(2차원은 참고용)와 증강 순위.",
                ),
                say(
                    f"Map of augmented images; advised: {report.advice}",
                    f"증강 이미지 지도, 권장 증강: {report.advice}",
                ),
                svg=picture.read_text(encoding="utf-8", errors="replace"),
            )
        )
    blocks.append(_candidates(facts, report, ranked))
    broken = [each.name for each in report.candidates if each.role == "label-breaking"]
    if broken:
        blocks.append(
            paragraph(
                say(
                    f"Label-breaking here, so not to be used: {', '.join(broken)}.",
                    f"이 데이터에서 라벨을 훼손하므로 사용하지 않음: {', '.join(broken)}.",
                ),
                "claim",
                links=facts.result_links(name),
            )
        )
    if report.full_training:
        rows = []
        for full in report.full_training:
            low, high = full.gain_interval or (None, None)
            bottom, top = full.interval or (None, None)
            rows.append(
                [
                    full.name,
                    share(full.accuracy, bottom, top, full.n_val),
                    difference(say, full.gain, low, high),
                    str(full.epochs),
                ]
            )
        blocks.append(
            table(
                say("Trained to the end", "끝까지 학습한 결과"),
                [say("augmentation", "증강"), say("accuracy, 95 %", "정확도, 95 %"),
                 say("to clean", "원본과의 차이"),
                 say("epochs", "에폭")],
                rows,
                numbers=[3],
            )
        )  # fmt: skip
    return blocks


def _candidates(facts: Facts, report: RankingReport, ranked: list[Candidate]) -> Block:
    say = facts.say
    shown = sorted(ranked, key=lambda each: each.rank or len(ranked) + 1)[:MOST_CANDIDATES]
    rows = []
    for each in shown:
        low, high = each.interval or (None, None)
        score = (
            difference(say, each.score, low, high)
            if report.ranked_by == "coverage_gain"
            else scored(each.score, each.interval)
        )
        combined = scored(each.combined, each.combined_interval)
        beats = NOTHING if each.beats_clean is None else say("yes", "예") if each.beats_clean else say("no", "아니요")
        rows.append([NOTHING if each.rank is None else str(each.rank), each.name, each.family, score, combined, beats])
    more = len(ranked) - len(shown)
    rest = (
        say(f"; {more:,} more are in augmentations.json", f", 나머지 {more:,}개는 augmentations.json 참조")
        if more > 0
        else ""
    )
    return table(
        say(
            f"Augmentations, best first (n = {report.n_target_used:,} target images){rest}",
            f"증강 비교(좋은 순, 대상 이미지 n = {report.n_target_used:,}){rest}",
        ),
        [
            say("rank", "순위"), say("augmentation", "증강"), say("family", "계열"),
            say("gain in coverage, 95 %", "커버리지 증가, 95 %")
            if report.ranked_by == "coverage_gain" else say("nearer by, radii, 95 %", "근접도(반경), 95 %"),
            say("with short runs, MAD units, 95 %", "짧은 학습 포함 점수(MAD 단위), 95 %"),
            say("better than clean", "원본보다 좋음"),
        ],
        rows,
        numbers=[0],
    )  # fmt: skip


def optimizers(facts: Facts) -> list[Block]:
    """Which optimizers were tried, in which situation."""
    say, report = facts.say, facts.optimizers
    about = experiments_about(facts, "optimizer")
    blocks: list[Block] = [heading(1, say("Optimizer and schedule", "옵티마이저와 스케줄"), "optimizers")]
    if report is None:
        blocks.append(
            paragraph(
                say("No ranking of optimizers.", "옵티마이저 순위 기록 없음."),
                "note",
                command="eyeshot rank optimizers",
            )
        )
        blocks += about
        return [*blocks, *facts.written("optimizer")] if about else blocks
    situation = report.situation
    blocks.append(
        paragraph(
            say(
                f"Situation: {situation.model}, {situation.n_train:,} training images, {situation.epochs} "
                "epochs, batches "
                f"of {situation.batch_size}. Choice: {report.choice}; schedule: {report.schedule}.",
                f"조건: {situation.model}, 학습 이미지 {situation.n_train:,}장, {situation.epochs}에폭, 배치 "
                f"{situation.batch_size}. 선택: {report.choice}, 스케줄: {report.schedule}.",
            ),
            "claim",
            links=facts.result_links("optimizers"),
        )
    )
    if report.tried:
        rows = []
        for tried in report.tried:
            gap = tried.difference
            rows.append(
                [
                    tried.optimizer, f"{tried.learning_rate:g}", accuracy(tried.accuracy),
                    NOTHING if gap is None else difference(say, gap.value, gap.low, gap.high), str(tried.diverged),
                    duration(tried.seconds),
                ]
            )  # fmt: skip
        blocks.append(
            table(
                say(
                    f"Optimizers, each at its best learning rate, {report.seeds} seeds, {report.epochs} epochs",
                    f"옵티마이저 비교(각각의 최적 학습률, 시드 {report.seeds}개, {report.epochs}에폭)",
                ),
                [
                    say("optimizer", "옵티마이저"), say("learning rate", "학습률"),
                    say("accuracy, 95 %", "정확도, 95 %"),
                    say("to AdamW", "AdamW와의 차이"), say("diverged", "발산"), say("time of a training", "학습 시간"),
                ],
                rows,
                numbers=[1, 4, 5],
            )
        )  # fmt: skip
    for advised in report.advised:
        blocks.append(
            paragraph(
                say(
                    f"{advised.optimizer}: {advised.reason} Evidence: {advised.evidence}",
                    f"{advised.optimizer}: 근거 자료 {advised.evidence}",
                ),
                "item",
                links=facts.result_links("optimizers"),
            )
        )
    return [*blocks, *about, *facts.written("optimizer")]
