"""Where two people decided otherwise about the same images: found before their decisions are merged, and settled.

What one person decided knowing the other's decision is no contradiction: it is newer, and counts.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from eyeshot.data.decisions import Decision, Decisions, ordered, undo_of
from eyeshot.data.manifest import DecisionState, Standing

Winner = Literal["mine", "theirs", "newer"]
WINNERS: tuple[Winner, ...] = get_args(Winner)
# One decision about many images is given again for those that nobody disagrees about.
BY_IMAGE = frozenset({"drop", "drop-both", "keep", "relabel"})
# What these say about a pair of images.
PAIRS = {"group": "copies", "keep-one": "copies", "not-copy": "no copies"}


@dataclass(frozen=True)
class Contradiction:
    """Two decisions, of which only one can count.

    Attributes:
        mine: the decision that is there.
        theirs: the one that would be merged.
        images: content keys of the images that both are about; of merge-classes none.
    """

    mine: Decision
    theirs: Decision
    images: tuple[str, ...]

    def words(self) -> str:
        """Which images, what each side says, and who said it when."""
        names = [_name(content, (self.mine, self.theirs)) for content in self.images[:3]]
        if not self.images:
            names = [f"class {name}" for name in self.mine.classes if name in self.theirs.classes]
        more = len(self.images) - 3
        what = ", ".join(names) + (f" and {more} more" if more > 0 else "")
        return f"{what}: mine {_verdict(self.mine)}; theirs {_verdict(self.theirs)}"


def find_contradictions(mine: Decisions, theirs: Decisions) -> list[Contradiction]:
    """Pairs of decisions about the same images that cannot both count, in an order that follows from `mine`.

    An image is left out by one side and stays by the other, it gets two labels, one side keeps its label and the
    other gives it a new one, images are copies and no copies, or a class is merged into two.

    Args:
        mine: decisions that are there.
        theirs: decisions that would be merged.
    """
    images: dict[tuple[str, str], list[str]] = defaultdict(list)
    for content, mine_id, theirs_id in [*_about_images(mine, theirs), *_about_pairs(mine, theirs)]:
        if content not in images[mine_id, theirs_id]:
            images[mine_id, theirs_id].append(content)
    for first in _own(mine, theirs, {"merge-classes"}):
        for second in _own(theirs, mine, {"merge-classes"}):
            if first.label != second.label and set(first.classes) & set(second.classes):
                images[first.id, second.id] = []
    found = [
        Contradiction(mine.by_id[mine_id], theirs.by_id[theirs_id], tuple(contents))
        for (mine_id, theirs_id), contents in images.items()
    ]
    return sorted(found, key=lambda contradiction: (contradiction.mine.order, contradiction.theirs.order))


def settle(
    mine: Decisions, theirs: Decisions, choose: Callable[[Contradiction], Winner], *, author: str | None = None
) -> tuple[list[Decision], Counter[Winner]]:
    """The decisions that make one side of each contradiction count; nothing is stored.

    The other side is undone. Where it is about further images one by one, it is given again for those, in the name of
    its author and with its time.

    Args:
        mine: decisions that are there.
        theirs: decisions that would be merged.
        choose: which side counts; "newer" is the decision with the later time.
        author: who settles.

    Returns:
        undos and decisions given again, and how often "mine" and "theirs" count.
    """
    settled: list[Decision] = []
    counts: Counter[Winner] = Counter()
    # An image may have several decisions of one side: where the last is undone, the one before it is looked at.
    while contradictions := find_contradictions(mine, theirs):
        lost: dict[str, tuple[Decision, Decision, set[str]]] = {}
        for contradiction in contradictions:
            winner = choose(contradiction)
            if winner == "newer":
                winner = "mine" if contradiction.mine.order > contradiction.theirs.order else "theirs"
            counts[winner] += 1
            sides = (contradiction.theirs, contradiction.mine)
            loser, kept = sides if winner == "mine" else sides[::-1]
            lost.setdefault(loser.id, (loser, kept, set()))[2].update(contradiction.images)
        made = []
        for loser, kept, contents in lost.values():
            reason = f"merge: {kept.id[:8]} of {kept.author} counts instead"
            made.append(undo_of(loser, author=author, reason=reason))
            rest = tuple(content for content in dict.fromkeys(loser.images) if content not in contents)
            if loser.kind in BY_IMAGE and rest:
                names = tuple(_name(content, (loser,)) for content in rest) if _named_one_by_one(loser) else ()
                made.append(loser.model_copy(update={"id": uuid.uuid4().hex, "images": rest, "names": names}))
        settled += made
        mine, theirs = ordered([*mine.stored, *made]), ordered([*theirs.stored, *made])
    return settled, counts


def _own(decisions: Decisions, other: Decisions, kinds: Iterable[str]) -> list[Decision]:
    """Decisions that count and that the other side does not know."""
    return [decision for decision in decisions.active if decision.kind in kinds and decision.id not in other.by_id]


def _about_images(mine: Decisions, theirs: Decisions) -> Iterable[tuple[str, str, str]]:
    """Content and the ids of both decisions, where an image stands otherwise for each side."""
    scopes: defaultdict[str, set[str]] = defaultdict(set)
    for decision in (*mine.active, *theirs.active):
        label = decision.given or (decision.label if decision.kind == "keep-one" else None)
        for content in decision.images:
            scopes[content].update([] if label is None else [label])
    # Nobody reads the images here: they stand for the labels that decisions name, or for any label.
    no_label: list[str | None] = [None]
    rows = [(content, label) for content, named in scopes.items() for label in [*sorted(named)] or no_label]
    contents, labels = [content for content, _ in rows], [label for _, label in rows]
    states = []
    for decisions in (mine, theirs):
        state = DecisionState(contents, labels)
        state.take(decision for decision in decisions.stored if decision.kind != "merge-classes")
        states.append(state)
    for row, (content, label) in enumerate(rows):
        standings = [state.standing(row) for state in states]
        if not _disagree(standings[0], standings[1], label):
            continue
        said = [[decision for decision in state.about(content) if decision.given in (None, label)] for state in states]
        first, second = (_saying(standing, decisions) for standing, decisions in zip(standings, said, strict=True))
        if first is None or second is None or first.id in theirs.by_id or second.id in mine.by_id:
            continue
        # Of copies one was kept, whatever its label is.
        kept_alone = "keep-one" in (first.kind, second.kind)
        if not (kept_alone and all(standing.left_out is None for standing in standings)):
            yield content, first.id, second.id


def _disagree(mine: Standing, theirs: Standing, label: str | None) -> bool:
    decided = [standing.left_out or standing.kept or standing.label != label for standing in (mine, theirs)]
    if not all(decided):
        return False
    if (mine.left_out is None) != (theirs.left_out is None):
        return True
    return mine.left_out is None and mine.label != theirs.label


def _saying(standing: Standing, decisions: Sequence[Decision]) -> Decision | None:
    """The decision that an image stands as it does by: the last one about whether it stays, or about its label."""
    if standing.left_out is not None:
        return next((decision for decision in decisions if decision.id == standing.left_out), None)
    kinds = ("keep", "relabel") if any(d.kind in ("keep", "relabel") for d in decisions) else ("keep-one",)
    return next((decision for decision in reversed(decisions) if decision.kind in kinds), None)


def _about_pairs(mine: Decisions, theirs: Decisions) -> Iterable[tuple[str, str, str]]:
    """Content and the ids of both decisions, where images are copies for one side and none for the other."""
    others: defaultdict[str, list[Decision]] = defaultdict(list)
    for decision in _own(theirs, mine, PAIRS):
        for content in dict.fromkeys(decision.images):
            others[content].append(decision)
    for decision in _own(mine, theirs, PAIRS):
        shared: defaultdict[str, list[str]] = defaultdict(list)
        for content in dict.fromkeys(decision.images):
            for other in others.get(content, ()):
                if PAIRS[other.kind] != PAIRS[decision.kind]:
                    shared[other.id].append(content)
        for name, contents in shared.items():
            if len(contents) > 1:
                yield from ((content, decision.id, name) for content in contents)


def _named_one_by_one(decision: Decision) -> bool:
    return len(decision.names) == len(decision.images)


def _name(content: str, decisions: Iterable[Decision]) -> str:
    """What a file was called when somebody decided about it; the beginning of its content key where that is unknown."""
    for decision in decisions:
        if content in decision.images and _named_one_by_one(decision):
            return decision.names[decision.images.index(content)]
    return content[:8]


def _verdict(decision: Decision) -> str:
    label = f" -> {decision.label}" if decision.label and decision.kind != "keep-one" else ""
    if decision.kind == "keep-one" and decision.keep:
        label = f" {_name(decision.keep, (decision,))}"
    return f"{decision.kind}{label} ({decision.author}, {decision.time:%Y-%m-%d %H:%M})"
