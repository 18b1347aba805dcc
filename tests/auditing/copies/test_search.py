from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyeshot.auditing.copies import search as module
from eyeshot.auditing.copies.descriptors import Descriptors, fit_whitening, oriented, standardised
from eyeshot.auditing.copies.search import (
    Pairs,
    best_of,
    neighbours,
    rescore_other_orientations,
    search,
    search_cells,
    search_exact,
)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.cumsum(np.cumsum(random.normal(size=(count, 16, 16)), axis=1), axis=2).astype(np.float32)


def described(images: np.ndarray) -> Descriptors:
    waves = standardised(images)
    return fit_whitening(waves)(waves)


def with_copies(count: int, copies: int, seed: int = 0) -> Descriptors:
    """The last `copies` pictures are noisy copies of the first ones, in all orientations."""
    images = pictures(count, seed)
    random = np.random.default_rng(seed + 1)
    for number in range(copies):
        own = images[number] + random.normal(size=(16, 16)) * images[number].std() * 0.04
        images[count - copies + number] = oriented(own[None], number % 8)[0]
    return described(images)


def as_dict(found: Pairs) -> dict[tuple[int, int], tuple[int, float]]:
    rows = zip(
        found.first.tolist(),
        found.second.tolist(),
        found.orientation.tolist(),
        found.score.tolist(),
        strict=True,
    )
    return {(one, two): (turn, cosine) for one, two, turn, cosine in rows}


@given(count=st.integers(30, 90), seed=st.integers(0, 10**6), whole=st.booleans())
@settings(max_examples=15, deadline=None)
def test_where_everything_resembles_everything_the_best_pairs_of_each_picture_are_the_same(
    count: int, seed: int, whole: bool
) -> None:
    waves = standardised(pictures(count, seed))
    whiten = fit_whitening(waves)
    some = whiten(waves)
    seen = None if whole else whiten(standardised(pictures(count, seed + 1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "neighbours", lambda _: 4)
        patch.setattr(module, "ROWS", 8)
        patch.setattr(module, "COLUMNS", 16)
        usual = as_dict(search_exact(some, seen, least=-1.0))
        patch.setattr(module, "MOST_WAITING", 50)  # chosen often, so that what is asked for rises
        cut = as_dict(search_exact(some, seen, least=-1.0))
    assert cut == usual
    assert len(cut) < count * (count - 1) // 2


@given(count=st.integers(2, 30), seed=st.integers(0, 10**6), least=st.floats(0.05, 0.9))
@settings(max_examples=25, deadline=None)
def test_the_search_finds_what_comparing_every_pair_in_every_orientation_finds(
    count: int, seed: int, least: float
) -> None:
    images = pictures(count, seed)
    images[count // 2] = oriented(images[:1], seed % 8)[0]
    whiten = fit_whitening(standardised(images))
    got = as_dict(search(whiten(standardised(images)), least=least))
    # Turned as pixels, described one by one: another way than that of the search.
    alone = whiten(standardised(images)).values
    turned = [whiten(standardised(np.ascontiguousarray(oriented(images, turn)))).values for turn in range(8)]
    cosines = np.stack([alone @ view.T for view in turned])
    best = cosines.max(axis=0)
    assert {(a, b) for a in range(count) for b in range(a + 1, count) if best[a, b] > least + 1e-4} <= got.keys()
    for (a, b), (turn, cosine) in got.items():
        assert a < b
        assert cosine == pytest.approx(float(best[a, b]), abs=1e-4)
        assert cosine == pytest.approx(float(cosines[turn, a, b]), abs=1e-4)
    assert (0, count // 2) in got


def test_blocks_leave_no_pair_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = with_copies(150, 40)
    whole = as_dict(search_exact(made, least=0.3))
    monkeypatch.setattr(module, "ROWS", 16)
    monkeypatch.setattr(module, "COLUMNS", 24)
    monkeypatch.setattr(module, "MOST_WAITING", 50)
    parts = as_dict(search_exact(made, least=0.3))
    assert len(whole) > 100
    assert parts.keys() == whole.keys()
    assert all(parts[pair] == pytest.approx(whole[pair], abs=1e-5) for pair in whole)


def test_a_picture_seen_in_part_is_told_as_the_second_one() -> None:
    images = pictures(60)
    whiten = fit_whitening(standardised(images))
    seen = images.copy()
    seen[7] = oriented(images[40][None], 3)[0]
    found = as_dict(search_exact(whiten(standardised(images)), whiten(standardised(seen)), least=0.95))
    assert found.keys() == {(40, 7)}
    assert found[40, 7] == (1, pytest.approx(1.0, abs=1e-4))  # what takes back a turn by three quarters


@pytest.mark.parametrize("seed", range(3))
def test_cells_find_at_least_97_of_100_copies_that_comparing_all_finds(seed: int) -> None:
    made = with_copies(3000, 400, seed)
    exact = as_dict(search_exact(made, least=0.6))
    cells = as_dict(search_cells(made, least=0.6, cells=150, seed=seed))
    assert len(exact) >= 350
    assert len(cells.keys() & exact.keys()) >= 0.97 * len(exact)
    # What is found is no guess: the same cosine in the same orientation.
    assert cells.keys() <= exact.keys()
    assert all(cells[pair] == pytest.approx(exact[pair], abs=1e-4) for pair in cells)


def test_with_all_pictures_in_all_cells_cells_find_everything() -> None:
    made = with_copies(400, 40)
    exact = as_dict(search_exact(made, least=0.3))
    assert as_dict(search_cells(made, least=0.3, cells=5, of_each=5)).keys() == exact.keys()


def test_beyond_a_size_not_all_pairs_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    made = with_copies(2000, 100)
    monkeypatch.setattr(module, "PICTURES_PER_CELL", 4)
    monkeypatch.setattr(module, "EXACT_UP_TO", 2000)
    all_pairs = as_dict(search(made, least=0.3))
    assert all_pairs == as_dict(search_exact(made, least=0.3))
    monkeypatch.setattr(module, "EXACT_UP_TO", 1999)
    some = as_dict(search(made, least=0.3))
    assert len(all_pairs.keys() - some.keys()) > 0
    assert sum((number, 1900 + number) in some for number in range(100)) >= 97


@pytest.mark.parametrize(("count", "kept"), [(1, 200), (5_000, 200), (20_000, 50), (100_000, 24), (10**6, 24)])
def test_in_small_sets_more_candidates_of_a_picture_are_kept(count: int, kept: int) -> None:
    assert neighbours(count) == kept


def test_of_many_copies_of_one_picture_each_keeps_its_best_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALL_NEIGHBOURS", 30 * 200)
    random = np.random.default_rng(0)
    one, two = np.triu_indices(200, 1)
    cosine = random.random(len(one)).astype(np.float32)
    found = best_of([Pairs(one, two, np.zeros(len(one), np.int64), cosine)], 200)
    assert len(found) <= 200 * 30
    got = as_dict(found)
    for picture in range(0, 200, 20):
        own = np.flatnonzero((one == picture) | (two == picture))
        best = own[np.argsort(-cosine[own])[:30]]
        assert {(int(one[row]), int(two[row])) for row in best} <= got.keys()


def test_a_symmetric_picture_is_met_turned_over_as_well() -> None:
    random = np.random.default_rng(5)
    images = random.normal(size=(50, 16, 16)).astype(np.float32)
    images[0] += images[0][::-1]
    images[1] = images[0] + 0.05 * random.normal(size=(16, 16))
    waves = standardised(images)
    pictures = fit_whitening(waves)(waves)
    found = search_exact(pictures, least=0.5)
    others = rescore_other_orientations(pictures, found)
    pair = (found.first == 0) & (found.second == 1)
    assert {*found.orientation[pair].tolist(), *others.orientation.tolist()} == {0, 6}  # as it is, upside down
    assert (others.first.tolist(), others.second.tolist()) == ([0], [1])
