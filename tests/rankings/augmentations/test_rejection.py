"""Which candidates the first samples reject, with clouds written by hand and in a real run."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import LABELS, TARGETS, clean_probe, cloud, first, measured, preserved
from small_run import World, run

from eyeshot.augment import augmentation
from eyeshot.core import SILENT, half_sample_interval, wilson
from eyeshot.rankings import AugmentationRanking
from eyeshot.rankings.augmentations import rejection
from eyeshot.rankings.augmentations.scores import AugmentationScores

CLEAN = 40


class Raced(NamedTuple):
    """What a race gave, and the lower end of the best one's gain."""

    best: str | None
    floor: float
    measured: Mapping[str, AugmentationScores]
    rejected: Mapping[str, int]


def race(
    monkeypatch: pytest.MonkeyPatch,
    covers: Mapping[str, list[int]],
    *,
    samples: int = 3,
    breaking: tuple[str, ...] = (),
) -> Raced:
    """The race of candidates that cover the first so many target images with 1, 2, … samples per image."""

    def of_name(name: str, count: int) -> Any:
        return cloud(first(covers[name][min(count, len(covers[name])) - 1]))

    context: Any = SimpleNamespace(
        before=(),
        samples_per_image=samples,
        probe=clean_probe(),
        identity_coverage=lambda count: cloud(first(CLEAN)),
        source_samples=lambda candidate, count: ((candidate.name, count), None, None),
        coverage_of=lambda points, present: of_name(*points),
    )

    def measure(_: object, candidate: Any) -> Any:
        relearned = np.roll(LABELS, 1) if candidate.name in breaking else None
        return measured(
            candidate.name,
            of_name(candidate.name, samples),
            identity=cloud(first(CLEAN)),
            labels=preserved(relearned=relearned),
        )

    monkeypatch.setattr(rejection, "measure", measure)
    best, done, rejected = rejection.run_race(context, [augmentation(name) for name in covers], progress=SILENT)
    floor = half_sample_interval(*done[best].gain(by_distance=False))[0] if best else 0.0
    return Raced(best, floor, done, rejected)


def test_whoever_cannot_reach_the_best_is_rejected_after_the_first_sample(monkeypatch: pytest.MonkeyPatch):
    found = race(monkeypatch, {"rotate-30": [120, 140, 150], "jitter": [CLEAN, CLEAN, CLEAN]})
    assert (found.best, found.rejected) == ("rotate-30", {"jitter": 1})
    assert set(found.measured) == {"rotate-30"}
    assert found.floor > 0


def test_a_candidate_that_may_still_reach_the_best_stays_and_is_judged_again_after_the_second(
    monkeypatch: pytest.MonkeyPatch,
):
    newly, floor = 25, race(monkeypatch, {"rotate-30": [120, 140, 150]}).floor
    assert 3 / 2 * wilson(newly, TARGETS)[1] < floor < 3 * wilson(newly, TARGETS)[1]
    found = race(
        monkeypatch, {"rotate-30": [120, 140, 150], "jitter": [CLEAN + newly] * 3, "grey": [CLEAN + newly, 100, 110]}
    )
    assert found.rejected == {"jitter": 2}


def test_a_candidate_without_randomness_has_one_sample_and_is_never_rejected(monkeypatch: pytest.MonkeyPatch):
    assert race(monkeypatch, {"rotate-30": [120, 140, 150], "invert": [CLEAN]}).rejected == {}


@pytest.mark.parametrize("name", ["trivial-augment", "erasing", "mixup", "shuffled-pixels"])
def test_the_default_and_what_coverage_does_not_rank_are_never_rejected(monkeypatch: pytest.MonkeyPatch, name: str):
    assert race(monkeypatch, {"rotate-30": [120, 140, 150], name: [CLEAN] * 3}).rejected == {}


def test_a_label_breaking_candidate_rejects_nobody(monkeypatch: pytest.MonkeyPatch):
    covers = {"rotate-30": [150, 160, 170], "jitter": [120, 130, 140], "grey": [CLEAN] * 3, "affine": [80, 120, 135]}
    found = race(monkeypatch, covers, breaking=("rotate-30",))
    assert found.best == "jitter"
    assert found.floor < 0.5
    assert "affine" not in found.rejected
    assert race(monkeypatch, {"rotate-30": [150] * 3, "jitter": [CLEAN] * 3}, breaking=("rotate-30",)).rejected == {}


def test_nothing_is_rejected_where_nothing_gains_or_hardly_anything_is_covered(monkeypatch: pytest.MonkeyPatch):
    assert race(monkeypatch, {"rotate-30": [CLEAN] * 3, "jitter": [CLEAN - 5] * 3}).best is None
    monkeypatch.setattr(rejection, "LEAST_COVERAGE", 0.9)
    assert race(monkeypatch, {"rotate-30": [120] * 3, "jitter": [CLEAN] * 3}).rejected == {}


def test_with_one_sample_per_image_there_is_no_race(monkeypatch: pytest.MonkeyPatch):
    assert race(monkeypatch, {"rotate-30": [120], "jitter": [CLEAN]}, samples=1) == (None, 0.0, {}, {})


@given(
    st.permutations(["rotate-30", "jitter", "affine", "perspective", "gaussian-noise"]),
    st.lists(st.lists(st.integers(0, TARGETS), min_size=3, max_size=3).map(sorted), min_size=5, max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_the_order_of_candidates_changes_nothing_and_the_best_stays(order: list[str], counts: list[list[int]]):
    covers = dict(zip(sorted(order), counts, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        found = race(patch, {name: covers[name] for name in sorted(order)})
        again = race(patch, {name: covers[name] for name in order})
    assert (found.floor, found.rejected) == (again.floor, again.rejected)
    assert found.best not in found.rejected
    for name, samples in found.rejected.items():
        assert 3 / samples * wilson(max(0, covers[name][samples - 1] - CLEAN), TARGETS)[1] < found.floor


def test_whether_labels_break_is_judged_on_all_samples(monkeypatch: pytest.MonkeyPatch):
    """A probe learns worse from fewer samples: two rejected candidates break labels by these, one also by all."""
    asked: list[tuple[str, int | None]] = []

    def measure(_: object, candidate: Any, *, samples: int | None = None) -> Any:
        asked.append((candidate.name, samples))
        breaks = candidate.name == "grey" or (candidate.name == "jitter" and samples == 1)
        labels = preserved(relearned=np.roll(LABELS, 1) if breaks else None)
        return measured(candidate.name, cloud(first(60)), identity=cloud(first(CLEAN)), labels=labels)

    monkeypatch.setattr(rejection, "measure", measure)
    monkeypatch.setattr(rejection, "run_race", lambda *_, **__: ("affine", {}, {"jitter": 1, "grey": 1, "jpeg": 2}))
    context: Any = SimpleNamespace(probe=clean_probe(), samples_per_image=3)
    names = ("affine", "jitter", "grey", "jpeg")
    found, notes = rejection.measure_candidates(
        context, [augmentation(name) for name in names], may_reject=True, progress=SILENT
    )
    assert asked == [("affine", None), ("jitter", 1), ("grey", 1), ("jpeg", 2), ("jitter", None), ("grey", None)]
    assert [scores.labels.relearnability for scores in found] == [1, 1, 0, 1]
    assert notes[0].startswith("1 candidate was measured with fewer than 3 samples")
    assert "(jpeg)" in notes[0]


MORE = ("invert", "mirror", "translate", "jitter-mild", "gaussian-noise", "mixup", "erasing")


@pytest.fixture(scope="module")
def both(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[AugmentationRanking, AugmentationRanking]:
    """The same ranking with rejection and in full."""
    cache = tmp_path_factory.mktemp("race")
    found = run(world, cache, candidates=MORE, samples_per_image=3, projections=())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rejection, "run_race", lambda *_, **__: (None, {}, {}))
        return found, run(world, cache, candidates=MORE, samples_per_image=3, projections=())


def test_a_real_run_spares_samples_and_gives_the_same_answer(both: tuple[AugmentationRanking, AugmentationRanking]):
    found, in_full = (result.report for result in both)
    assert (found.headline, found.advice) == (in_full.headline, in_full.advice)
    assert [one.name for one in found.of("ranked") if one.group == 1] == [
        one.name for one in in_full.of("ranked") if one.group == 1
    ]
    fewer = {one.name for one in found.candidates if one.samples < in_full.candidate(one.name).samples}
    assert fewer
    assert fewer <= {"mirror", "translate", "jitter-mild", "gaussian-noise"}
    for name in fewer:
        assert found.candidate(name).samples_per_image < 3
    note = next(note for note in found.notes if "measured with fewer than 3 samples per image" in note)
    assert all(name in note for name in fewer)
    assert not any("fewer than 3 samples" in note for note in in_full.notes)


def test_a_policy_is_composed_of_all_samples(world: World, tmp_path_factory: pytest.TempPathFactory):
    found = run(
        world, tmp_path_factory.mktemp("policy"), candidates=MORE[:4], samples_per_image=3, projections=(), policy=True
    ).report
    assert {one.samples_per_image for one in found.of("ranked")} == {1, 3}
    assert not any("fewer than 3 samples" in note for note in found.notes)
