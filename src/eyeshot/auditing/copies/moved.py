"""Pictures that are the same but for their place: moved, scaled, cropped, brightened, sharpened, at any size.

Pairs meet by what a picture looks like from afar (`coarse_descriptors`), which a shift hardly changes. They are then
aligned: the second picture is moved and scaled along both axes until it fits the first best. Alignment is inverse
compositional (Baker and Matthews 2004, section 3.2) on 16 pixels, then on 32. What is compared afterwards is detail:
the high-pass of both pictures, correlated in a small window around every pixel (local normalised cross-correlation),
and averaged over the part that both show, by how much detail there is. Two photographs of one thing agree in their
outlines; one photograph that was moved agrees in its detail too.

The score of a pair depends on its two pictures alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from eyeshot.auditing.copies.descriptors import Descriptors, oriented
from eyeshot.auditing.copies.search import Pairs, concatenate, nearest, search
from eyeshot.auditing.copies.threshold import BASE, SIMILAR
from eyeshot.auditing.copies.verify import blur_matrix
from eyeshot.core import SILENT, Progress

UPRIGHT = (0, 4)  # as it is and mirrored
# Of near duplicates that people judged (ciFAIR, 83 pairs of the five classes that thresholds were chosen on) 0.95 have
# this cosine, and 2 in 10,000 of all pairs; a thorough search asks for less.
LEAST_COSINE = 0.65
LEAST_COSINE_THOROUGH = 0.5
MET_OF_EACH = 50
ALIGNED_OF_EACH = 9  # pairs of a picture that are aligned at most, those that fit best as far as slopes tell
LEAST_TANGENT = 0.78
LEAST_COARSE = 0.5
STEPS = (5, 4, 2)  # of alignment on 16, on 32 and, of large pictures, on 64 pixels
LARGEST_STEP = 0.08
LARGEST_ZOOM = 0.35
LEAST_COMMON = 0.5  # of the area
DAMPING = 0.01
# Chosen on judged pairs of five classes of CIFAR-10; two pictures of different classes stay under 0.65.
NEAR_SMALL = 0.75
# Pictures of 64 pixels and more are compared at 64 as well: different drawings and sitters of PACS (5,599) reach 0.84,
# moved and cropped copies 0.86 (20th of 20).
NEAR_LARGE = 0.85
LARGE = 64  # pixels of the shorter side
# Detail that lies in a few places agrees by chance once these are aligned. Less spread than this takes from the score.
ENOUGH_SPREAD = 0.5
MUCH_DETAIL = 36.0  # squared levels
NOISE = 4.0  # squared levels of detail that encoding leaves
PAIRS_AT_ONCE = 256

Maps = NDArray[np.float32]
"""float32 (m, 4): zoom across and down, shift across and down, in coordinates from -1 to 1, of the second picture."""
UNMOVED = np.array([1, 1, 0, 0], np.float32)
Planes = NDArray[np.float32]


def find_moved(
    grey: NDArray[np.uint8],
    pictures: Descriptors,
    sides: NDArray[np.int64],
    *,
    thorough: bool = False,
    progress: Progress = SILENT,
) -> tuple[Pairs, Maps]:
    """Pairs that may be one picture moved or scaled, and how the second lies in the first.

    Args:
        grey: uint8 (n, 64, 64), thumbnails.
        pictures: their `coarse_descriptors`.
        sides: int64 (n,), pixels of the shorter side of each file.
        thorough: in all 8 orientations, and pairs that are less alike from afar.
        progress: called with the progress.

    Returns:
        Pairs with the score of `score_moved`, at least `SIMILAR`; and their maps (m, 4).
    """
    orientations = tuple(range(8)) if thorough else UPRIGHT
    met = search(
        pictures,
        least=LEAST_COSINE_THOROUGH if thorough else LEAST_COSINE,
        most=MET_OF_EACH,
        orientations=orientations,
        progress=progress.sub("comparing from afar"),
    )
    small = _reduced(grey, 16)
    tangents = _tangents(small)
    fitting = []
    for orientation in orientations:
        pairs = met[met.orientation == orientation]
        seen = tangents if orientation == 0 else _tangents(np.asarray(oriented(small, orientation)))
        fits = _tangent_fit(tangents, seen, pairs)
        fitting.append(Pairs(pairs.first, pairs.second, pairs.orientation, fits)[fits >= LEAST_TANGENT])
    candidates = nearest(concatenate(fitting), len(grey), ALIGNED_OF_EACH)
    scored, maps = align_and_score(grey, candidates, sides, progress=progress)
    kept = np.flatnonzero(scored.score >= SIMILAR)
    return scored[kept], maps[kept]


def align_and_score(
    grey: NDArray[np.uint8], pairs: Pairs, sides: NDArray[np.int64], *, progress: Progress = SILENT
) -> tuple[Pairs, Maps]:
    """The pairs with their scores, from 0 to 1, and their maps (m, 4).

    From `BASE` on the two are near duplicates, from `SIMILAR` on very similar; 0 where outlines already differ.
    """
    maps = np.tile(UNMOVED, (len(pairs), 1))
    scores = np.zeros(len(pairs), np.float32)
    small = _reduced(grey, 16)
    with threadpool_limits(1, user_api="blas"):
        for orientation in np.unique(pairs.orientation):
            same = np.flatnonzero(pairs.orientation == orientation)
            seen = np.asarray(oriented(small, int(orientation)))
            for start in range(0, len(same), PAIRS_AT_ONCE):
                rows = same[start : start + PAIRS_AT_ONCE]
                block = pairs[rows]
                afar = (small[block.first], np.ascontiguousarray(seen[block.second]))
                maps[rows] = _align(_blurred(afar[0], 0.7), _blurred(afar[1], 0.7), maps[rows], STEPS[0])
                coarse = _detail_correlation(*afar, maps[rows], blur=1.5)
                hopeful = rows[(coarse >= LEAST_COARSE) & _within_limits(maps[rows])]
                maps[hopeful], scores[hopeful] = _align_closer(grey, pairs[hopeful], maps[hopeful], sides)
                progress(start + len(rows), len(same), "aligning pairs")
    return Pairs(pairs.first, pairs.second, pairs.orientation, scores), maps


def _align_closer(
    grey: NDArray[np.uint8], pairs: Pairs, maps: Maps, sides: NDArray[np.int64]
) -> tuple[Maps, NDArray[np.float32]]:
    """Maps and scores of pairs in the same orientation, from maps that fit at 16 pixels."""
    if not len(pairs):
        return maps, np.empty(0, np.float32)
    first, second = grey[pairs.first], np.asarray(oriented(grey[pairs.second], int(pairs.orientation[0])), np.uint8)
    middle = (_reduced(first, 32), _reduced(second, 32))
    maps = _align(_blurred(middle[0], 0.8), _blurred(middle[1], 0.8), maps, STEPS[1])
    agreement, spread = local_agreement(*middle, maps, blur=1.5, window=2.5)
    worth = agreement * np.minimum(1, spread / ENOUGH_SPREAD)
    scores = _scaled(worth, NEAR_SMALL)
    is_large = np.minimum(sides[pairs.first], sides[pairs.second]) >= LARGE
    fine = np.flatnonzero(is_large & (agreement >= NEAR_SMALL * SIMILAR / BASE))
    if len(fine):
        whole = (first[fine].astype(np.float32), second[fine].astype(np.float32))
        maps[fine] = _align(_blurred(whole[0], 0.8), _blurred(whole[1], 0.8), maps[fine], STEPS[2])
        finest, _ = local_agreement(*whole, maps[fine], blur=1.5, window=3.0)
        scores[fine] = np.minimum(scores[fine], _scaled(finest, NEAR_LARGE))
    return maps, np.where(_within_limits(maps), scores, np.float32(0))


def _scaled(agreement: NDArray[np.float32], near: float) -> NDArray[np.float32]:
    """From 0 to 1, so that `near` lies at `BASE`."""
    return np.interp(agreement, [0, near, 1], [0, BASE, 1]).astype(np.float32)


def local_agreement(
    first: Planes, second: Planes, maps: Maps, *, blur: float, window: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How well the detail of pairs agrees, from -1 to 1, and how evenly it is spread over their common area, 0 to 1.

    The spread is the participation ratio (Bell and Dean 1970) of the detail: 1 where all places have as much, and the
    share of the places that have any where these have as much as each other.

    Args:
        first, second: float32 (m, S, S), levels.
        maps: (m, 4)
        blur: pixels; what varies more slowly is no detail.
        window: pixels, the standard deviation of the window in which detail is correlated.
    """
    side = first.shape[1]
    seen, mask = warp(second, maps)
    eroded = _outer(*(_eroded(line) for line in _inside(maps, side)))
    # Beyond the edge nothing is compared; the first picture stands in, so that its blur meets no step there.
    seen = np.where(mask > 0, seen, first)
    first_detail, second_detail = (values - _blurred(values, blur) for values in (first, seen))

    def around(values: Planes) -> Planes:
        return _blurred(values * eroded, window)

    powers = around(np.square(first_detail)), around(np.square(second_detail))
    correlation = around(first_detail * second_detail) / np.sqrt((powers[0] + NOISE) * (powers[1] + NOISE))
    amount = np.sqrt(np.maximum(powers[0] * powers[1], 0))
    weights = amount / (amount + 4 * NOISE) * eroded
    total = weights.sum(axis=(1, 2))
    agreement = (correlation * weights).sum(axis=(1, 2)) / np.maximum(total, 0.02 * side**2)
    amount *= eroded
    places = np.maximum(eroded.sum(axis=(1, 2)), 1)
    spread = np.square(amount.sum(axis=(1, 2))) / np.maximum(places * np.square(amount).sum(axis=(1, 2)), 1e-6)
    return agreement, spread


def changed_share(first: Planes, second: Planes, maps: Maps) -> NDArray[np.float32]:
    """Share of the common area where the detail of one differs from that of the other, float32 (m,).

    There at least one of the two has much, and their difference has half of its power or more. The contrast of the
    second is brought to that of the first beforehand.

    Args:
        first, second: float32 (m, 64, 64), levels.
        maps: (m, 4)
    """
    seen, mask = warp(second, maps)
    common = _outer(*(_eroded(_eroded(line)) for line in _inside(maps, first.shape[1])))
    seen = np.where(mask > 0, seen, first)
    spreads = [_masked_moments(_flat(values), _flat(common))[2] for values in (first, seen)]
    first_detail = first - _blurred(first, 1.5)
    second_detail = (seen - _blurred(seen, 1.5)) * (spreads[0] / spreads[1])[:, :, None]

    def around(values: Planes) -> Planes:
        return _blurred(values * common, 2.0)

    power = np.maximum(around(np.square(first_detail)), around(np.square(second_detail)))
    differs = (power >= MUCH_DETAIL) & (around(np.square(first_detail - second_detail)) >= power / 2) & (common > 0)
    return np.asarray(differs.sum(axis=(1, 2)) / np.maximum(common.sum(axis=(1, 2)), 1), np.float32)


def warp(images: Planes, maps: Maps) -> tuple[Planes, Planes]:
    """Images (m, S, S) through their maps (m, 4), and 1 where they have such a place, else 0; the edge goes on."""
    side = images.shape[1]
    weights = []
    for axis in (0, 1):
        places = ((maps[:, axis, None] * _line(side) + maps[:, axis + 2, None] + 1) / 2 * side - 0.5).clip(0, side - 1)
        weights.append(np.maximum(0, 1 - np.abs(places[:, :, None] - np.arange(side, dtype=np.float32))))
    return weights[1] @ images @ weights[0].transpose(0, 2, 1), _outer(*_inside(maps, side))


def as_matrices(maps: Maps) -> NDArray[np.float64]:
    """The maps as 2 x 3 matrices, float64 (m, 2, 3)."""
    matrices = np.zeros((len(maps), 2, 3))
    matrices[:, 0, 0], matrices[:, 1, 1] = maps[:, 0], maps[:, 1]
    matrices[:, :, 2] = maps[:, 2:]
    return matrices


def _line(side: int) -> NDArray[np.float32]:
    return ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1).astype(np.float32)


def _inside(maps: Maps, side: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which columns and which rows (m, S) lie within the second picture."""
    columns, rows = (np.abs(maps[:, axis, None] * _line(side) + maps[:, axis + 2, None]) <= 1 for axis in (0, 1))
    return columns, rows


def _eroded(line: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without the pixel next to what is outside."""
    padded = np.pad(line, ((0, 0), (1, 1)), mode="edge")
    return line & padded[:, :-2] & padded[:, 2:]


def _outer(columns: NDArray[np.bool_], rows: NDArray[np.bool_]) -> Planes:
    return (rows[:, :, None] & columns[:, None, :]).astype(np.float32)


def _within_limits(maps: Maps) -> NDArray[np.bool_]:
    columns, rows = _inside(maps, 32)
    common = columns.mean(axis=1) * rows.mean(axis=1)
    return np.asarray((np.abs(maps[:, :2] - 1).max(axis=1) <= LARGEST_ZOOM) & (common >= LEAST_COMMON))


def _reduced(images: NDArray[np.generic], side: int) -> Planes:
    """Means of blocks: (n, S, S) to float32 (n, side, side)."""
    step = images.shape[1] // side
    pooling = np.kron(np.eye(side, dtype=np.float32), np.full((1, step), 1 / step, np.float32))
    reduced = np.empty((len(images), side, side), np.float32)
    for start in range(0, len(images), PAIRS_AT_ONCE):
        block = images[start : start + PAIRS_AT_ONCE].astype(np.float32)
        reduced[start : start + PAIRS_AT_ONCE] = pooling @ block @ pooling.T
    return reduced


def _blurred(images: Planes, blur: float) -> Planes:
    matrix = blur_matrix(images.shape[1], blur)
    return np.asarray(matrix @ images @ matrix.T, np.float32)


def _flat(images: Planes) -> NDArray[np.float32]:
    return images.reshape(len(images), -1)


def _sums(*factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of products over pixels: float32 (m, p), once or twice, to (m, 1)."""
    subscripts = ",".join(["mp"] * len(factors)) + "->m"
    return np.asarray(np.einsum(subscripts, *factors)[:, None], np.float32)


def _standardised(images: Planes) -> Planes:
    """Mean 0 and variance 1."""
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    power = np.einsum("nij,nij->n", centred, centred) / images.shape[1] ** 2
    return np.asarray(centred / np.maximum(np.sqrt(power), 1e-3)[:, None, None], np.float32)


def _masked_moments(values: NDArray[np.float32], mask: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Values (m, p) within a mask: themselves or 0, their mean (m, 1) and their standard deviation (m, 1)."""
    count = np.maximum(_sums(mask), 1)
    within = values * mask
    mean = _sums(within) / count
    variance = _sums(within, values) / count - np.square(mean)
    return within, np.asarray(mean, np.float32), np.sqrt(np.maximum(variance, 1e-6), dtype=np.float32)


def _detail_correlation(first: Planes, second: Planes, maps: Maps, *, blur: float) -> NDArray[np.float32]:
    seen, mask = warp(second, maps)
    details = [_flat(values - _blurred(values, blur)) for values in (first, seen)]
    moments = [_masked_moments(detail, _flat(mask)) for detail in details]
    product = _sums(moments[0][0], details[1]) / np.maximum(_sums(_flat(mask)), 1)
    correlation = (product - moments[0][1] * moments[1][1]) / (moments[0][2] * moments[1][2])
    return np.asarray(correlation[:, 0], np.float32)


def _align(first: Planes, second: Planes, maps: Maps, steps: int) -> Maps:
    """Maps through which `second` fits `first` best, from those given; inverse compositional, 4 parameters."""
    side = first.shape[1]
    line = _line(side)
    first = _standardised(first)
    down, across = (np.gradient(first, axis=axis) * (side / 2) for axis in (1, 2))
    slopes = np.stack([across * line, down * line[:, None], across, down], axis=1).reshape(len(first), 4, -1)
    inverse = np.linalg.inv(slopes @ slopes.transpose(0, 2, 1) + DAMPING * side**2 * np.eye(4, dtype=np.float32))
    maps = maps.copy()
    for _ in range(steps):
        seen, mask = warp(second, maps)
        # The residual of both within the mask, standardised there, as it falls on the slopes.
        parts = [_masked_moments(_flat(values), _flat(mask)) for values in (seen, first)]
        on_slopes = slopes @ np.stack([parts[0][0], parts[1][0], _flat(mask)], axis=2)
        (_, *seen_moments), (_, *first_moments) = parts
        falls = (on_slopes[:, :, 0] - seen_moments[0] * on_slopes[:, :, 2]) / seen_moments[1]
        falls -= (on_slopes[:, :, 1] - first_moments[0] * on_slopes[:, :, 2]) / first_moments[1]
        step = (inverse @ falls[:, :, None])[:, :, 0].clip(-LARGEST_STEP, LARGEST_STEP)
        zoom = 1 + step[:, :2]
        maps[:, 2:] -= maps[:, :2] * step[:, 2:] / zoom
        maps[:, :2] /= zoom
    return maps


Tangents = tuple[NDArray[np.float32], NDArray[np.float32]]


def _tangent_fit(first: Tangents, second: Tangents, pairs: Pairs) -> NDArray[np.float32]:
    """How well each picture can be made of the other and its slopes, the better of both ways, float32 (m,).

    That is a correlation that a small shift or zoom does not lessen (tangent distance, Simard et al. 1993).
    """
    fits = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        block = slice(start, start + PAIRS_AT_ONCE)
        rows, columns = pairs.first[block], pairs.second[block]
        made = (first[1][rows] @ second[0][columns][:, :, None], second[1][columns] @ first[0][rows][:, :, None])
        fits[block] = np.sqrt(np.maximum(*(np.square(part).sum(axis=(1, 2)) for part in made)))
    return fits


def _tangents(images: Planes) -> Tangents:
    """Middle frequencies of images as vectors (n, S²) of length 1, and a basis (n, 5, S²) of these and their slopes."""
    side = images.shape[1]
    line = _line(side)
    planes = _standardised(_blurred(images, 1.0) - _blurred(images, 3.0))
    down, across = (np.gradient(planes, axis=axis) for axis in (1, 2))
    vectors = np.stack([planes, across, down, across * line, down * line[:, None]], axis=3)
    basis = np.linalg.qr(vectors.reshape(len(images), -1, 5))[0]
    return planes.reshape(len(images), -1) / side, np.ascontiguousarray(basis.transpose(0, 2, 1), np.float32)
