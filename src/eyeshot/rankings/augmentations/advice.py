"""Which candidate to train with."""

from __future__ import annotations

from eyeshot.rankings.augmentations.candidates import Judged
from eyeshot.rankings.augmentations.words import CONTROL_ADVICE

HALF = 0.5


def choose_advice(judged: Judged, *, weight: float = 1.0) -> tuple[str, str]:
    """The first of the ranking where it clearly beats clean; else the control, and the sentence that says so.

    Where no candidate reaches the target, coming nearer is no cure: then only cover after the run counts.

    Args:
        judged: the ranking, by cover or of all.
        weight: of cover in it.
    """
    ranked = [one for one in judged.candidates if one.role == "ranked"]
    best = ranked[0] if ranked else None
    if best is not None and judged.clear:
        after = None if best.run is None else best.run.cover_after_run_interval
        if judged.ranked_by == "reach" or weight < HALF or (after is not None and after[0] > 0):
            return best.name, ""
    control = next((one for one in judged.candidates if one.name == CONTROL_ADVICE), None)
    if control is not None and control.role == "destroyer":
        return "clean", f"The advice is clean images: {CONTROL_ADVICE}, the usual advice then, destroys labels here."
    if control is not None and control.combined_interval is not None and control.combined_interval[1] < 0:
        return "clean", f"The advice is clean images: {CONTROL_ADVICE}, the usual advice then, is worse than they here."
    return CONTROL_ADVICE, (
        f"The advice is {CONTROL_ADVICE}: the best of the measured worlds where the catalogue holds no cure."
    )
