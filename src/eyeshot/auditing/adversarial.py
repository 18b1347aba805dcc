"""Adversarial validation: can a classifier tell train from test by the measured properties, and what gives it away?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.properties import Property
from eyeshot.auditing.report import Adversarial

FOLDS = 5
MOST = 4000  # images of a side; more would only make the interval narrower than anyone needs
FEWEST = 20
MOST_VALUES = 8  # of a category get a column of their own
REPEATS = 200
SHUFFLES = 3


def tell_apart(
    found: list[Property], in_test: NDArray[np.bool_], groups: NDArray[np.int64], *, seed: int = 0
) -> Adversarial | None:
    """Cross-fitted area under the curve, copy groups whole; None with under 20 images on a side.

    Boosted trees, as properties matter by thresholds and together. What gives it away is told by permutation
    (Breiman 2001): how much of the area is lost when all columns of one property are shuffled among held-out images.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    random = np.random.default_rng([seed, 13])
    chosen = [random.permutation(np.flatnonzero(side))[:MOST] for side in (~in_test, in_test)]
    if min(map(len, chosen)) < FEWEST:
        return None
    rows = np.sort(np.concatenate(chosen))
    columns, owner = _columns(found, rows)
    truth = in_test[rows]
    scores = np.zeros(len(rows))
    shuffled = np.zeros((len(found), SHUFFLES, len(rows)))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fitted, held in folds.split(columns, truth, groups[rows]):
        model = HistGradientBoostingClassifier(
            max_iter=60, max_depth=3, class_weight="balanced", early_stopping=False, random_state=seed
        )
        model.fit(columns[fitted], truth[fitted])
        scores[held] = model.decision_function(columns[held])
        for number in range(len(found)):
            for repeat in range(SHUFFLES):
                changed = columns[held].copy()
                own = np.flatnonzero(owner == number)
                changed[:, own] = changed[random.permutation(len(held))][:, own]
                shuffled[number, repeat, held] = model.decision_function(changed)
    auc = float(roc_auc_score(truth, scores))
    lost = [
        auc - float(np.mean([roc_auc_score(truth, shuffled[number, repeat]) for repeat in range(SHUFFLES)]))
        for number in range(len(found))
    ]
    interval = interval_of(truth, scores, groups[rows], random)
    order = sorted(range(len(found)), key=lambda number: -lost[number])
    gives = [(found[number].name, round(lost[number], 4)) for number in order if lost[number] > 0.001]
    counts = (int((~truth).sum()), int(truth.sum()))
    names = [name for name, _ in gives[:2]]
    why = f"; {' and '.join(names)} {'gives' if len(names) == 1 else 'give'} it away" if names else ""
    return Adversarial(
        auc=auc, interval=interval, n_train=counts[0], n_test=counts[1], gives_away=gives,
        words=in_words(auc, interval, by="By these properties a classifier", why=why),
    )  # fmt: skip


def in_words(auc: float, interval: tuple[float, float], *, by: str, why: str) -> str:
    """Whether training and test can be told apart, as a sentence that begins with `by`; `why` ends it if they can."""
    numbers = f"area under the curve {auc:.2f}, 95 % interval {interval[0]:.2f} to {interval[1]:.2f}, cross-fitted"
    if interval[0] <= 0.5:
        return f"{by} cannot tell test from training ({numbers})."
    how = "easily" if auc > 0.9 else "often" if auc > 0.7 else "a little better than by chance"
    return f"{by} tells test from training {how} ({numbers}){why}."


def _columns(found: list[Property], rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    columns, owner = [], []
    for number, one in enumerate(found):
        if one.numbers is not None:
            values = one.numbers[rows]
            columns.append(np.log1p(values) if one.logarithmic else values)
            owner.append(number)
        elif one.values is not None:
            names, counts = np.unique(one.values[rows], return_counts=True)
            for name in names[np.argsort(-counts, kind="stable")][:MOST_VALUES]:
                columns.append((one.values[rows] == name).astype(np.float64))
                owner.append(number)
    return np.column_stack(columns), np.array(owner)


def interval_of(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], groups: NDArray[np.int64], random: np.random.Generator
) -> tuple[float, float]:
    """95 %, by bootstrap over copy groups."""
    from sklearn.metrics import roc_auc_score

    names, place = np.unique(groups, return_inverse=True)
    found = []
    for _ in range(REPEATS):
        weights = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))[place]
        if weights[truth].any() and weights[~truth].any():
            found.append(float(roc_auc_score(truth, scores, sample_weight=weights)))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)
