"""From which score on is a pair a duplicate? Set from the data, with an estimate of its precision.

Copies rarely cross classes and look-alikes do: just below the cut-off, where nearly all pairs are look-alikes, a
share q of the pairs crosses classes. If a share p of the pairs above it does, about p / q of them are look-alikes.
Pairs that are identical, or agree in nearly all of their detail, tell how often true copies stand under two labels;
that share is no sign of look-alikes and is taken off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.findings import CutOff
from eyeshot.core import plural, wilson

BASE = 0.38
BASE_REASON = "measured on photographs and drawings of PACS: different pictures stay under 0.37"
STEP = 0.02
HIGHEST = 0.9
WANTED = 0.99
BELOW = 0.25  # look-alikes are looked for this far below the cut-off
LEAST_LOOKED_AT = BASE - BELOW  # scores under it are all one
FEWEST_BELOW = 50
FEWEST_ABOVE = 10
CERTAIN = 0.9
FEWEST_CERTAIN = 20


def choose_cut_off(
    scores: NDArray[np.float32],
    crosses: NDArray[np.bool_] | None,
    *,
    identical: tuple[int, int] = (0, 0),
    thorough: bool,
    exact: bool,
) -> CutOff:
    """The lowest cut-off, from the base on, above which nothing speaks against a precision of at least 0.99.

    Args:
        scores: float32 (m,), of all compared pairs, identical ones left out.
        crosses: bool (m,), whether the two labels differ; None where there are no labels. Pairs without two labels
            are left out of both by the caller where there are some.
        identical: pixel-identical pairs, and how many of them cross classes.
        thorough, exact: how the pairs were found; passed on.
    """
    facts = {"thorough": thorough, "exact": exact}
    if crosses is None:
        return _cut_off(scores, BASE, f"{BASE_REASON}; without labels it is not moved", None, None, NO_LABELS, facts)
    certain = scores >= CERTAIN
    certain_count, certain_crossing = identical[0] + int(certain.sum()), identical[1] + int(crosses[certain].sum())
    noise = certain_crossing / certain_count if certain_count >= FEWEST_CERTAIN else 0.0
    below = (scores >= LEAST_LOOKED_AT) & (scores < BASE)
    if below.sum() < FEWEST_BELOW or not crosses[below].any():
        basis = (
            f"not estimated: only {int(below.sum())} "
            f"{plural(int(below.sum()), 'pair of look-alikes lies', 'pairs of look-alikes lie')} just below the "
            f"cut-off, {int(crosses[below].sum())} of them across classes"
        )
        return _cut_off(scores, BASE, BASE_REASON, None, None, basis, facts)
    rate = float(crosses[below].mean())
    cut_off, reason = BASE, BASE_REASON
    for cut in np.arange(BASE, HIGHEST, STEP):
        above = scores >= cut
        # Raised only on evidence: a few conflicts more than expected happen by chance.
        least = wilson(int(crosses[above].sum()), int(above.sum()))[0] if above.any() else 0.0
        if least - noise <= (1 - WANTED) * rate:
            if cut > BASE:
                reason = f"raised from {BASE} until pairs above it crossed classes no more often than duplicates do"
            cut_off = float(cut)
            break
    above = scores >= cut_off
    if above.sum() < FEWEST_ABOVE:
        basis = f"not estimated: only {int(above.sum())} near pairs with labels were found"
        return _cut_off(scores, cut_off, reason, None, None, basis, facts)
    low, high = wilson(int(crosses[above].sum()), int(above.sum()))
    precision = _precision(crosses[above], rate, noise)
    interval = (max(0.0, 1 - max(0.0, high - noise) / rate), min(1.0, 1 - max(0.0, low - noise) / rate))
    basis = (
        f"{int(crosses[above].sum())} of {int(above.sum())} near pairs above it cross classes, against "
        f"{int(crosses[below].sum())} of {int(below.sum())} just below it"
    )
    if noise:
        basis += (
            f"; {certain_crossing} of {certain_count} {plural(certain_count, 'pair')} of certain duplicates "
            f"{plural(certain_crossing, 'does', 'do')}, which was subtracted"
        )
    return _cut_off(scores, cut_off, reason, precision, interval, basis, facts)


NO_LABELS = "not estimated: there are no labels, so pairs across classes cannot be counted"


def _precision(crosses: NDArray[np.bool_], rate: float, noise: float) -> float:
    return float(np.clip(1 - max(0.0, float(crosses.mean()) - noise) / rate, 0, 1))


def _cut_off(
    scores: NDArray[np.float32],
    cut: float,
    reason: str,
    precision: float | None,
    interval: tuple[float, float] | None,
    basis: str,
    facts: dict[str, bool],
) -> CutOff:
    return CutOff(
        score=round(cut, 3),
        reason=reason,
        precision=precision,
        precision_interval=interval,
        basis=basis,
        pairs=int((scores >= cut).sum()),
        pairs_below=int((scores < cut).sum()),
        **facts,
    )
