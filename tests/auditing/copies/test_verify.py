from __future__ import annotations

import numpy as np
import pytest

from eyeshot.auditing.copies.descriptors import inverse, oriented
from eyeshot.auditing.copies.search import Pairs
from eyeshot.auditing.copies.threshold import BASE
from eyeshot.auditing.copies.verify import (
    BAND_BLUR,
    BAND_GRID,
    BAND_WORTH,
    BLUR,
    NEARLY,
    agreement,
    blocks_of,
    compare_blocks,
    detail_of,
    keep_blocks,
    most_alike,
    score_pairs,
    without_band,
)
from eyeshot.core import CallbackProgress


def pairs_of(first: object, second: object, orientation: object) -> Pairs:
    rows = [np.array(values, np.int64) for values in (first, second, orientation)]
    return Pairs(*rows, np.zeros(len(rows[0]), np.float32))


@pytest.mark.parametrize("orientation", range(8))
def test_an_equal_picture_has_the_score_one_in_its_orientation(orientation: int) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    grey[1] = oriented(grey[:1], inverse(orientation))[0]
    assert score_pairs(grey, pairs_of([0], [1], [orientation]))[0] == pytest.approx(1.0)
    other = (orientation + 1) % 8
    assert score_pairs(grey, pairs_of([0], [1], [other]))[0] < 0.1


def test_the_score_is_the_share_of_the_detail_that_agrees() -> None:
    random = np.random.default_rng(1)
    one = random.integers(0, 256, (1, 64, 64), dtype=np.uint8)
    half = one.copy()
    half[:, :, 32:] = random.integers(0, 256, (1, 64, 32))
    assert agreement(detail_of(one), detail_of(half))[0] == pytest.approx(0.5, abs=0.07)


def test_pairs_that_thumbnails_leave_open_are_decided_by_finer_ones() -> None:
    random = np.random.default_rng(2)
    grey = random.integers(0, 256, (2, 64, 64), dtype=np.uint8)
    grey[1, :, :28] = grey[0, :, :28]
    asked = []

    def fine(positions: np.ndarray, side: int) -> np.ndarray:
        asked.append((positions.tolist(), side))
        return random.integers(0, 256, (len(positions), side, side), dtype=np.uint8)

    pair = pairs_of([0], [1], [0])
    assert score_pairs(grey, pair)[0] > 0.3
    assert score_pairs(grey, pair, read=fine)[0] < 0.1
    assert asked == [([0, 1], 96)]


@pytest.mark.parametrize("orientation", range(8))
def test_half_the_resolution_never_promises_less_than_the_whole_keeps(orientation: int) -> None:
    random = np.random.default_rng(3)
    one = random.integers(0, 256, (40, 64, 64), dtype=np.uint8)
    other = oriented(one, inverse(orientation)).copy()
    for row in range(40):  # more and more of it is another picture
        other[row, : row + 10] = random.integers(0, 256, (row + 10, 64))
    whole, others = (keep_blocks(each, np.arange(40)) for each in (one, other))
    scores = compare_blocks(whole, others.turned(orientation)).scores()
    most = most_alike(whole.halved(), others.halved().turned(orientation))
    assert scores.max() > 0.7
    assert scores.min() < 0.4
    assert (most >= scores - 1e-5).all()


def test_pairs_compared_in_tiles_have_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    grey = random.integers(0, 256, (30, 64, 64), dtype=np.uint8)
    grey[15:] = grey[:15]
    first, second = np.triu_indices(30, k=1)
    turn = random.integers(0, 8, len(first))
    turn[second == first + 15] = 0
    together = score_pairs(grey, pairs_of(first, second, turn))
    monkeypatch.setattr("eyeshot.auditing.copies.verify.MOST_KEPT", 8)
    assert score_pairs(grey, pairs_of(first, second, turn)) == pytest.approx(together, abs=1e-5)
    assert (together[second == first + 15] > 0.99).all()


def test_open_pairs_looked_at_closely_in_tiles_have_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    shades = np.asarray(random.integers(0, 256, (30, 96, 96)), np.float32)
    shades[15:] = 0.9 * shades[:15] + 0.1 * shades[15:]
    fine = shades.round().astype(np.uint8)
    grey = fine[:, 16:80, 16:80]
    first, second = np.triu_indices(30, k=1)
    turn = random.integers(0, 8, len(first))
    turn[second == first + 15] = 0
    monkeypatch.setattr("eyeshot.auditing.copies.verify.OPEN", (-1, 2))  # all of them
    said: list[tuple[int, int, str]] = []
    progress = CallbackProgress(lambda *news: said.append(news))
    together = score_pairs(
        grey,
        pairs_of(first, second, turn),
        lambda wanted, side: fine[wanted],
        progress,
    )
    assert said[-1] == (len(first), len(first), "looking closer at pairs")
    monkeypatch.setattr("eyeshot.auditing.copies.verify.MOST_KEPT_FINE", 8)
    in_tiles = score_pairs(grey, pairs_of(first, second, turn), lambda wanted, side: fine[wanted])
    assert in_tiles == pytest.approx(together, abs=1e-5)
    assert (together[second == first + 15] > 0.9).all()


def lines(seed: int, count: int = 9) -> np.ndarray:
    """A thin drawing, uint8 (96, 96)."""
    from PIL import Image, ImageDraw

    random = np.random.default_rng(seed)
    image = Image.new("L", (96, 96), 255)
    for _ in range(count):
        ImageDraw.Draw(image).line([tuple(point) for point in random.integers(4, 92, (2, 2))], fill=0)
    return np.asarray(image)


def written(drawing: np.ndarray, seed: int = 0) -> np.ndarray:
    """Heavy writing across two rows of blocks."""
    made = drawing.copy()
    made[43:53] = np.where(np.random.default_rng(seed).random((5, 48)) < 0.5, 0, 255).repeat(2, 0).repeat(2, 1)
    return made


def scored(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    found, banded = (
        compare_blocks(*(blocks_of(detail_of(each[None], blur), grid) for each in (one, other)))
        for grid, blur in ((8, BLUR), (BAND_GRID, BAND_BLUR))
    )
    return float(found.scores()[0]), float(without_band(banded)[0])


@pytest.mark.parametrize("seed", range(5))
def test_writing_across_a_drawing_is_left_out_if_all_the_rest_agrees(seed: int) -> None:
    plain, rest = scored(lines(seed), written(lines(seed)))
    assert plain < 0.7
    assert rest > 0.9
    turned, rest = scored(np.rot90(lines(seed)), np.rot90(written(lines(seed))))
    assert turned == pytest.approx(plain, abs=0.02)
    assert rest > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_two_drawings_with_the_same_writing_are_no_copies(seed: int) -> None:
    plain, rest = scored(written(lines(seed)), written(lines(seed + 100)))
    assert plain > 0.1  # the writing agrees
    assert rest < 0.5
    assert scored(lines(seed), lines(seed + 100))[1] < 0.3


def test_a_drawing_that_lies_in_the_band_alone_is_not_recognised_by_the_rest() -> None:
    drawing = np.full((96, 96), 255, np.uint8)
    drawing[44:52, 20:70] = 0
    assert scored(drawing, written(drawing))[1] < 0.3


@pytest.mark.parametrize("copied", [True, False])
def test_what_is_nearly_a_copy_is_decided_at_full_size(copied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyeshot.auditing.copies.verify.OPEN", (-1, 2))
    drawing = lines(0)
    # Something more was drawn on it: of what the writing spares, 0.6 to 0.8 agrees.
    spoilt = (written(np.minimum(drawing, lines(seed, count))) for count in (1, 2, 3) for seed in range(1, 20))
    nearly = next(one for one in spoilt if NEARLY < max(scored(drawing, one) * np.array([1, BAND_WORTH])) < BASE)
    small = np.stack([drawing, nearly])
    full = np.stack([drawing, written(drawing if copied else lines(50))]).repeat(2, 1).repeat(2, 2)
    asked = []

    def read(positions: np.ndarray, side: int) -> np.ndarray:
        asked.append(side)
        return (small if side == 96 else full)[positions]

    pair = pairs_of([0], [1], [0])
    score = score_pairs(small[:, 16:80, 16:80], pair, read=read)[0]
    assert asked == [96, 224]
    assert (score >= BASE) == copied


def test_of_many_that_are_nearly_copies_the_best_are_looked_at_at_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(6)
    images = random.integers(0, 256, (20, 64, 64), dtype=np.uint8)
    images[10:, :, :20] = images[:10, :, :20]  # as open pairs that stay nearly copies
    monkeypatch.setattr(
        "eyeshot.auditing.copies.verify._score_fine", lambda images, pairs: np.linspace(0.30, 0.37, len(pairs))
    )
    monkeypatch.setattr("eyeshot.auditing.copies.verify.MOST_NEARLY", 3)
    asked = []

    def read(positions: np.ndarray, side: int) -> np.ndarray:
        asked.append((side, positions.tolist()))
        return np.zeros((len(positions), side, side), np.uint8)

    score_pairs(images, pairs_of(range(10), range(10, 20), [0] * 10), read=read)
    assert [side for side, _ in asked] == [96, 224]
    assert asked[1][1] == [7, 8, 9, 17, 18, 19]
