"""Train against test: by each property, and by a classifier that tries to separate them.

Numbers are compared by the Kolmogorov-Smirnov distance, categories by total variation: both run from 0 (alike) to 1
(no overlap) and have no unit. Intervals are by bootstrap over duplicate groups, because duplicates are not independent.
Adversarial validation then asks whether a classifier can separate train from test by the measured properties, and which
properties it uses. A classifier on a model's features may also see what the properties do not measure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.findings import Adversarial, AdversarialFeatures, Distribution, ImageRef, ValueShare
from eyeshot.auditing.image_stats import ImageStats
from eyeshot.auditing.images import AuditImages

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
REPEATS = 200
MOST_SHARES = 12
MOST_ENDS = 5
PLAIN_BORDER = 12.0  # levels; a border with at most this spread is plain
GREY = 1.0  # mean distance of the channels from grey, levels
FOLDS = 5
MOST = 4000  # images per side; more would only make the interval narrower than needed
FAR_BELOW = 0.4  # of sets that are alike the area lies around 0.5, and a little below by cross-fitting
FEWEST = 20
TOO_FEW = (
    f"Whether a classifier tells test from training was not measured: that needs at least {FEWEST} images, and {FOLDS} "
    "that are not duplicates of each other, on either side."
)
MOST_VALUES = 8  # of a category get a column of their own
SHUFFLES = 3
SUREST = 8  # images at each end
PENALTY = 100.0  # with hundreds of features and a few hundred images, a penalty of 1 only memorises the images

Weights = NDArray[np.float64]


def compare_properties(
    properties: list[Property],
    in_test: NDArray[np.bool_],
    groups: NDArray[np.int64],
    refs: Callable[[NDArray[np.int64]], list[ImageRef]],
    *,
    seed: int = 0,
) -> list[Distribution]:
    """Compare train and test by every property; the property that differs most comes first.

    Args:
        properties: properties of n images.
        in_test: bool (n,), whether an image is a test image.
        groups: int64 (n,), the duplicate group of each image.
        refs: makes references of positions among the n images.
        seed: seed of the bootstrap.
    """
    random = np.random.default_rng([seed, 12])
    draws = [_resampled(in_test, groups, random) for _ in range(REPEATS)]
    halves = [_halves(in_test, groups, random) for _ in range(REPEATS)]
    distributions = [_compare(prop, in_test, draws, halves, refs) for prop in properties]
    return sorted(distributions, key=lambda result: (-(result.effect or 0.0) if result.apart else 1.0, result.name))


def effect_of(codes: NDArray[np.int64], train: Weights, test: Weights, *, ordered: bool) -> float:
    """Distance of two weighted samples of codes 0..m-1: Kolmogorov-Smirnov if ordered, otherwise total variation."""
    most = int(codes.max()) + 1
    train_share = np.bincount(codes, train, most) / train.sum()
    test_share = np.bincount(codes, test, most) / test.sum()
    if ordered:
        return float(np.abs(np.cumsum(train_share - test_share)).max())
    return float(np.abs(train_share - test_share).sum() / 2)


def _compare(
    prop: Property,
    in_test: NDArray[np.bool_],
    draws: list[tuple[Weights, Weights]],
    halves: list[tuple[Weights, Weights]],
    refs: Callable[[NDArray[np.int64]], list[ImageRef]],
) -> Distribution:
    ordered = prop.numbers is not None
    values = prop.numbers if prop.numbers is not None else prop.values
    names, codes = np.unique(np.asarray(values), return_inverse=True)
    train, test = (~in_test).astype(np.float64), in_test.astype(np.float64)
    effect = effect_of(codes, train, test, ordered=ordered)
    resampled = [effect_of(codes, a, b, ordered=ordered) for a, b in draws]
    chance = [effect_of(codes, a, b, ordered=ordered) for a, b in halves]
    # Resampling adds noise to a distance, which cannot be negative, so the bootstrap is centred on the estimate.
    low, high = (2 * effect - np.quantile(resampled, q) for q in (0.975, 0.025))
    interval = (float(np.clip(low, 0, 1)), float(np.clip(high, effect, 1)))
    interval = (min(interval[0], effect), interval[1])
    noise = float(np.quantile(chance, 0.95))
    lows, highs = _ends(prop, codes, in_test)
    distribution = Distribution(
        name=prop.name,
        unit=prop.unit,
        kind="number" if ordered else "category",
        n_train=int((~in_test).sum()),
        n_test=int(in_test.sum()),
        train=[] if prop.numbers is None else np.quantile(prop.numbers[~in_test], QUANTILES).tolist(),
        test=[] if prop.numbers is None else np.quantile(prop.numbers[in_test], QUANTILES).tolist(),
        shares=[] if ordered else _shares(names, codes, in_test),
        effect=effect,
        interval=interval,
        noise=noise,
        apart=effect > noise,
        words="",
        low=refs(lows),
        high=refs(highs),
    )
    return distribution.model_copy(update={"words": _words(distribution, prop)})


def _shares(names: NDArray[np.generic], codes: NDArray[np.int64], in_test: NDArray[np.bool_]) -> list[ValueShare]:
    train = np.bincount(codes[~in_test], minlength=len(names)) / (~in_test).sum()
    test = np.bincount(codes[in_test], minlength=len(names)) / in_test.sum()
    order = np.argsort(-(train + test), kind="stable")[:MOST_SHARES]
    return [ValueShare(value=str(names[n]), train=float(train[n]), test=float(test[n])) for n in order]


def _ends(
    prop: Property, codes: NDArray[np.int64], in_test: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training images that resemble test images least in this property, and the other way round."""
    most = int(codes.max()) + 1
    share = [np.bincount(codes[side], minlength=most) / side.sum() for side in (~in_test, in_test)]
    if prop.numbers is None:
        lean = (share[1] - share[0])[codes]
    else:
        # Towards the side on which test has more: beyond the value with the largest distance of the distributions.
        gap = np.cumsum(share[0] - share[1])
        sign = 1.0 if gap[np.abs(gap).argmax()] > 0 else -1.0
        lean = sign * codes
    order = np.argsort(lean, kind="stable")
    return order[~in_test[order]][:MOST_ENDS], order[::-1][in_test[order[::-1]]][:MOST_ENDS]


def _words(compared: Distribution, prop: Property) -> str:
    effect, (low, high) = compared.effect or 0.0, compared.interval or (0.0, 0.0)
    name = compared.name
    measure = "Kolmogorov–Smirnov" if compared.kind == "number" else "total variation"
    numbers = f"{measure} distance {effect:.2f}, 95 % interval {low:.2f} to {high:.2f}"
    if not compared.apart:
        return f"{name}: no farther apart than two random halves would be ({numbers})."
    if compared.kind == "number":
        before, after = compared.train[3], compared.test[3]
        # A unit that is a single word follows its number; a scale ("0 to 255") comes at the end.
        unit, scale = (f" {compared.unit}", "") if compared.unit.isalpha() else ("", f" ({compared.unit})")
        if _short(before) == _short(after):
            spread = (
                "more widely spread"
                if compared.test[5] - compared.test[1] > compared.train[5] - compared.train[1]
                else "less spread"
            )
            return f"{name}: test images are {spread} around the same median, {_short(after)}{unit}{scale}; {numbers}."
        how = prop.more if after > before else prop.less
        return (
            f"{name}: test images are {how}, median {_short(after)} against {_short(before)}{unit} in training{scale}; "
            f"{numbers}."
        )
    most = max(compared.shares, key=lambda share: abs(share.test - share.train))
    return (
        f"{name}: {most.value} in {100 * most.test:.0f} % of test and {100 * most.train:.0f} % of training images; "
        f"{numbers}."
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _resampled(
    in_test: NDArray[np.bool_], groups: NDArray[np.int64], random: np.random.Generator
) -> tuple[Weights, Weights]:
    """How often each image is drawn when duplicate groups are drawn on each side."""
    side_weights = []
    for side in (~in_test, in_test):
        names, place = np.unique(groups[side], return_inverse=True)
        counts = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))
        weights = np.zeros(len(in_test))
        weights[side] = counts[place]
        side_weights.append(weights)
    return side_weights[0], side_weights[1]


def _halves(
    in_test: NDArray[np.bool_], groups: NDArray[np.int64], random: np.random.Generator
) -> tuple[Weights, Weights]:
    """A random division of all duplicate groups in the same proportion: the effect of chance alone."""
    names, place = np.unique(groups, return_inverse=True)
    in_second_half = random.random(len(names)) < in_test.mean()
    if in_second_half.all() or not in_second_half.any():
        in_second_half[random.integers(len(names))] ^= True
    as_test = in_second_half[place].astype(np.float64)
    return 1 - as_test, as_test


@dataclass(frozen=True, eq=False)
class Property:
    """A property of every image.

    Attributes:
        name: name in the report.
        unit: unit of the numbers, or their scale ("0 to 255"); empty for categories.
        numbers: float64 (n,), or None.
        values: n texts, or None.
        logarithmic: whether a classifier should use the logarithm.
        more, less: what a larger and a smaller number means in words.
    """

    name: str
    unit: str = ""
    numbers: NDArray[np.float64] | None = None
    values: NDArray[np.str_] | None = None
    logarithmic: bool = False
    more: str = "higher"
    less: str = "lower"


def measured_properties(images: AuditImages, stats: ImageStats, rows: NDArray[np.int64]) -> list[Property]:
    """All properties of the images at `rows`; JPEG quality only if there are JPEGs."""

    def of(name: str) -> NDArray[np.float64]:
        return stats.number(name)[rows]

    width, height, colour, quality = of("width"), of("height"), of("colour"), of("quality")
    border = np.where(
        of("border_spread") > PLAIN_BORDER, "mixed", np.where(of("border_brightness") > 127, "light", "dark")
    )
    polarity = of("polarity")
    formats, modes = (np.array(stats.text(name))[rows] for name in ("format", "mode"))
    sizes = np.array([f"{int(w)} × {int(h)}" for w, h in zip(width, height, strict=True)])
    properties = [
        Property("image area", "megapixels", width * height / 1e6, logarithmic=True, more="larger", less="smaller"),
        Property("aspect ratio", "width / height", width / height, logarithmic=True, more="wider", less="taller"),
        Property("image size", values=sizes),
        Property("brightness", "0 to 255", of("brightness"), more="brighter", less="darker"),
        Property("contrast", "0 to 255", of("contrast"), more="higher in contrast", less="lower in contrast"),
        Property("colourfulness", "0 to 255", colour, logarithmic=True, more="more colourful", less="less colourful"),
        Property("colour or grey", values=np.where(colour < GREY, "grey", "colour")),
        Property("border", values=border),
        Property("border brightness", "0 to 255", of("border_brightness"), more="brighter", less="darker"),
        Property(
            "border less centre brightness", "-255 to 255", polarity,
            more="dark on a lighter background", less="light on a darker background",
        ),
        Property(
            "sharpness", "variance of the Laplacian", of("sharpness"), logarithmic=True, more="sharper", less="softer"
        ),
        Property("file format", values=formats),
        Property("colour mode", values=modes),
        Property("file size", "kB", images.bytes[rows] / 1e3, logarithmic=True, more="larger", less="smaller"),
    ]  # fmt: skip
    if (quality > 0).all():
        properties.append(Property("JPEG quality", "1 to 100", quality, more="better", less="worse"))
    elif (quality > 0).any():
        bands = np.where(
            quality <= 0,
            "no JPEG",
            np.where(quality < 75, "under 75", np.where(quality < 90, "75 to 89", "90 and more")),
        )
        properties.append(Property("JPEG quality", values=bands))
    return properties


def classify_by_properties(
    properties: list[Property], in_test: NDArray[np.bool_], groups: NDArray[np.int64], *, seed: int = 0
) -> Adversarial | None:
    """Cross-fitted area under the curve, duplicate groups whole; None where a side has too few, see `TOO_FEW`.

    Boosted trees, because properties matter by thresholds and in combination. The importance of a property is measured
    by permutation (Breiman 2001): the loss of the area when all its columns are shuffled among held-out images.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    random = np.random.default_rng([seed, 13])
    rows = _sample_sides(in_test, groups, random)
    if rows is None:
        return None
    columns, owner = _columns(properties, rows)
    truth = in_test[rows]
    scores = np.zeros(len(rows))
    shuffled = np.zeros((len(properties), SHUFFLES, len(rows)))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fitted, held in folds.split(columns, truth, groups[rows]):
        model = HistGradientBoostingClassifier(
            max_iter=60, max_depth=3, class_weight="balanced", early_stopping=False, random_state=seed
        )
        model.fit(columns[fitted], truth[fitted])
        scores[held] = model.decision_function(columns[held])
        for number in range(len(properties)):
            for repeat in range(SHUFFLES):
                changed = columns[held].copy()
                own = np.flatnonzero(owner == number)
                changed[:, own] = changed[random.permutation(len(held))][:, own]
                shuffled[number, repeat, held] = model.decision_function(changed)
    auc = area_under_curve(truth, scores)
    lost = [
        auc - float(np.mean([area_under_curve(truth, shuffled[number, repeat]) for repeat in range(SHUFFLES)]))
        for number in range(len(properties))
    ]
    interval = _auc_interval(truth, scores, groups[rows], random)
    order = sorted(range(len(properties)), key=lambda number: -lost[number])
    gives = [(properties[number].name, round(lost[number], 4)) for number in order if lost[number] > 0.001]
    names = [name for name, _ in gives[:2]]
    why = f", mostly by {' and '.join(names)}" if names else ""
    return Adversarial(
        auc=auc, interval=interval, n_train=int((~truth).sum()), n_test=int(truth.sum()), gives_away=gives,
        words=_auc_in_words(auc, interval, by="From these properties a classifier", why=why),
    )  # fmt: skip


def classify_by_features(
    images: AuditImages,
    rows: NDArray[np.int64],
    features: NDArray[np.generic],
    groups: NDArray[np.int64],
    *,
    model: str,
    seed: int = 0,
) -> AdversarialFeatures | None:
    """Cross-fitted area under the curve of a linear probe, duplicate groups whole; None as `TOO_FEW` says.

    Args:
        images: the images of the audit.
        rows: int64 (n,), positions in `images`, of training and test images.
        features: (n, D).
        groups: int64 (n,), equal for duplicates, also of a training and a test image.
        model: name of the model of the features.
        seed: seed of the choice of images and of the folds.
    """
    from eyeshot.models import COARSE, domain_classifier, domain_folds  # loads torch, which the rest does not need

    in_test = images.in_test[rows]
    random = np.random.default_rng([seed, 15])
    sample = _sample_sides(in_test, groups, random)
    if sample is None:
        return None
    truth = in_test[sample]
    fold = domain_folds(truth, groups[sample], folds=FOLDS, seed=seed)
    scores = domain_classifier(features[sample], truth, fold, balanced=True, penalty=PENALTY, tolerance=COARSE)
    auc = area_under_curve(truth, scores)
    interval = _auc_interval(truth, scores, groups[sample], random)
    order = np.argsort(scores, kind="stable")
    words = _auc_in_words(auc, interval, by=f"From features of {model} a linear classifier", why="")
    low, high = order[~truth[order]][:SUREST], order[::-1][truth[order[::-1]]][:SUREST]
    return AdversarialFeatures(
        model=model, auc=auc, interval=interval, n_train=int((~truth).sum()), n_test=int(truth.sum()),
        low=images.refs(rows[sample[low]]), high=images.refs(rows[sample[high]]), words=words,
    )  # fmt: skip


def _sample_sides(
    in_test: NDArray[np.bool_], groups: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.int64] | None:
    """Rows of at most 4,000 images of each side, in order; None where a side has too few, see `TOO_FEW`."""
    samples = [random.permutation(np.flatnonzero(side))[:MOST] for side in (~in_test, in_test)]
    different = min(len(np.unique(groups[rows])) for rows in samples)
    # Each fold needs different pictures of both sides.
    return None if min(map(len, samples)) < FEWEST or different < FOLDS else np.sort(np.concatenate(samples))


def _auc_in_words(auc: float, interval: tuple[float, float], *, by: str, why: str) -> str:
    """Whether training and test can be separated, as a sentence that begins with `by`; `why` ends it if they can."""
    numbers = f"AUC {auc:.2f}, 95 % interval {interval[0]:.2f} to {interval[1]:.2f}, cross-fitted"
    if interval[1] < FAR_BELOW:
        return (
            f"{by} errs more often than by chance ({numbers}): the folds differ from each other, as where a few "
            "pictures make up most of a side. Whether test and training differ is not told by this."
        )
    if interval[0] <= 0.5:
        return f"{by} cannot tell test from training ({numbers})."
    how = "easily" if auc > 0.9 else "often" if auc > 0.7 else "a little better than by chance"
    return f"{by} tells test from training {how} ({numbers}){why}."


def _columns(properties: list[Property], rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    columns, owner = [], []
    for number, prop in enumerate(properties):
        if prop.numbers is not None:
            values = prop.numbers[rows]
            columns.append(np.log1p(values) if prop.logarithmic else values)
            owner.append(number)
        elif prop.values is not None:
            names, counts = np.unique(prop.values[rows], return_counts=True)
            for name in names[np.argsort(-counts, kind="stable")][:MOST_VALUES]:
                columns.append((prop.values[rows] == name).astype(np.float64))
                owner.append(number)
    return np.column_stack(columns), np.array(owner)


def _auc_interval(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], groups: NDArray[np.int64], random: np.random.Generator
) -> tuple[float, float]:
    """95 % interval, by bootstrap over duplicate groups."""
    names, place = np.unique(groups, return_inverse=True)
    areas = []
    for _ in range(REPEATS):
        weights = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))[place]
        if weights[truth].any() and weights[~truth].any():
            areas.append(area_under_curve(truth, scores, weights))
    low, high = np.quantile(areas, (0.025, 0.975))
    return float(low), float(high)


def area_under_curve(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.int64] | None = None
) -> float:
    """Area under the ROC curve: the share of pairs in which the true one scores more, ties counted half.

    Mann and Whitney 1947. scikit-learn's `roc_auc_score` gives the same; its checks of the arguments take several times
    as long as the area, and an interval needs hundreds of them.

    Args:
        truth: bool (n,), with both values.
        scores: float (n,).
        weights: int64 (n,), how often each counts; None: once each.
    """
    _, place = np.unique(scores, return_inverse=True)
    counts = np.ones(len(truth)) if weights is None else weights
    inside, outside = np.bincount(place, counts * truth), np.bincount(place, counts * ~truth)
    below = np.cumsum(outside) - outside / 2
    return float(inside @ below / (inside.sum() * outside.sum()))
