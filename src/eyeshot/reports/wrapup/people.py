"""A page for each author: what this person did, by the project's own record and in their own words."""

from __future__ import annotations

from collections import Counter

from eyeshot.reports.document import Block, Cell, heading, paragraph, quoted, table
from eyeshot.reports.wrapup.experiments import experiment_table
from eyeshot.reports.wrapup.facts import Facts
from eyeshot.reports.wrapup.words import known


def people(facts: Facts) -> list[Block]:
    """The pages of all authors."""
    say = facts.say
    if not facts.authors:
        return []
    blocks: list[Block] = [heading(1, say("Each person", "개인별 정리"), "people")]
    for place, name in enumerate(facts.authors):
        blocks += page_of(facts, name, f"person-{place}", level=2)
    return blocks


def page_of(facts: Facts, name: str, anchor: str, *, level: int) -> list[Block]:
    """One author: role, contribution, experiments, insights and actions, decisions, reflection."""
    say = facts.say
    blocks: list[Block] = [heading(level, name, anchor)]
    if level == 1:  # without the rest of the report the role is not said elsewhere
        blocks += facts.written("role", name)
    blocks += facts.written("contribution", name)
    own = [each for each in facts.experiments if each.author == name and each.author_kind != "sweep"]
    if own:
        better = sum(each.gain == "better" for each in own)
        caption = say(
            f"Experiments of {name}: {len(own):,}, of which {better:,} better than their parent",
            f"{name}의 실험 {len(own):,}건, 기준보다 좋음 {better:,}건",
        )
        blocks.append(experiment_table(facts, caption, own))
    for each in facts.experiments:
        if each.learned and facts.writer(each, "learned") == name:
            blocks.append(paragraph(say("Learned:", "배운 점:"), "claim", links=facts.links([each.id])))
            blocks += quoted(each.learned)
    rows: list[list[str | Cell]] = []
    for each in facts.experiments:
        for insight in each.insights:
            done = [action for action in insight.actions if name in (insight.author, action.get("author"))]
            if insight.author == name or done:
                rows.append(
                    [
                        {"text": insight.text, "links": facts.links([each.id])}, insight.author,
                        "; ".join(f"{action.get('text', '')} ({action.get('author', '')})" for action in done)
                        or say("nothing yet", "아직 없음"),
                    ]
                )  # fmt: skip
    if rows:
        blocks.append(
            table(
                say("Insights and what was done", "인사이트와 조치"),
                [say("insight", "인사이트"), say("by", "작성자"), say("done", "조치")],
                rows,
            )
        )
    kinds = Counter(decision.kind for decision in facts.decisions if decision.author == name)
    if kinds:
        text = ", ".join(f"{known(say, kind)} {count:,}" for kind, count in kinds.most_common())
        blocks.append(paragraph(say(f"Decisions about images: {text}.", f"이미지 결정: {text}.")))
    return [*blocks, *facts.written("reflection", name)]
