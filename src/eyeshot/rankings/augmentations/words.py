"""What the numbers mean, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyeshot.core import listing, percent, points
from eyeshot.rankings.augmentations.report import Candidate

if TYPE_CHECKING:
    from eyeshot.rankings.augmentations.measure import Measured

CONTROL_ADVICE = "trivial-augment"
TRUST = "How far to trust this: not yet measured. The ranking is provisional; tables of real training do not exist yet."


def finding(ranked: list[Candidate], *, clear: bool, by_distance: bool, advice: str, target: str) -> list[str]:
    """The result by cover alone, the most important first; `advice` is the sentence where the first is none."""
    if not ranked:
        return ["No candidate was ranked: name some with --candidates, or leave the option out for all."]
    best, told = ranked[0], tied_with_first(ranked) if clear else []
    if by_distance:
        most = max(candidate.scores.coverage or 0.0 for candidate in ranked)
        found = [
            f"No candidate reaches the {target} images: with the best, {percent(most)} of them are covered. {advice}",
            f"The ranking is by distance instead; {best.name} comes nearest.",
        ]
        return found + told
    if not clear:
        return [f"No candidate beats clean by more than noise. {advice}"]
    return [f"Train with {best.name}: {reached_with(best, target)}.", *told]


def tied_with_first(ranked: list[Candidate]) -> list[str]:
    """The sentence that names what cannot be told from the first, if there is any."""
    tied = [candidate.name for candidate in ranked[1:] if candidate.tie_group == 1]
    return [f"It cannot be told from {listing(tied)}."] if tied else []


def reached_with(candidate: Candidate, target: str) -> str:
    """What of the target lies within reach with a candidate."""
    reached = percent(candidate.scores.label_consistent_coverage)
    return (
        f"with it, {reached} of the {target} images lie within reach of training images that agree on one class, "
        f"{points(candidate.score)} more than without"
    )


def reasons(
    measured: Measured,
    candidate: Candidate,
    *,
    beats: bool,
    by_distance: bool,
    harmed: list[str],
    helped: list[str],
) -> list[str]:
    """Why the candidate stands where it stands; the first sentence is for the table."""
    scores = candidate.scores
    found = []
    if candidate.role == "control":
        found.append("a control: shows what counts as nothing, or what a destroyed label looks like")
    elif candidate.role == "harder":
        found.append("makes the task harder where the images are, not wider: cover cannot see what that is worth")
    elif by_distance:
        nearer = "nearer to the target than" if beats else "not nearer to the target than"
        found.append(f"its views are {nearer} the no-op's; hardly any target image is covered")
    elif beats:
        found.append(f"reaches {points(scores.reach)} more of the target than the no-op")
    elif candidate.interval and candidate.interval[1] < 0:
        found.append(f"loses {points(-(candidate.score or 0))} of the target against the no-op: neighbours agree less")
    else:
        found.append("does not beat the no-op: a tie with clean")
    if helped:
        found.append(f"reaches target images near {listing(helped)}")
    if harmed:
        found.append(f"costs clean accuracy on {listing(harmed)}")
    if scores.only_reached:
        found.append(f"{scores.only_reached} target images are reached by it alone")
    if measured.left_out:
        found.append(f"left out {measured.left_out} views where it failed")
    return found


def of_base(name: str, destroys: list[str]) -> list[str]:
    """What the base does to the gains; one that destroys labels spoils all of them."""
    if destroys:
        return [f"The base {name} destroys labels itself: {'; '.join(destroys)}. Gains on top of it mean little."]
    return [f"All gains are on top of {name}."]
