from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up import CLASSES, LABELS, TARGETS, candidates, cloud, first, measured, preserved, ranked

from eyeshot.rankings.augmentations.report import Candidate
from eyeshot.rankings.augmentations.scores import covered_counts


def ranking_of(*scores) -> list[Candidate]:
    return ranked(*scores)[0]


def names_of(ranking: list[Candidate], role: str) -> list[str]:
    return [one.name for one in ranking if one.role == role]


def candidate(ranking: list[Candidate], name: str) -> Candidate:
    return next(one for one in ranking if one.name == name)


def uncovered_by(scores, ranking: list[Candidate]) -> np.ndarray:
    """bool (M,), by no ranked candidate and not by clean."""
    return covered_counts(scores, [candidate(ranking, one.name).role for one in scores]) == 0


def with_kept(scores, name, kept):
    return [replace(one, labels=kept) if one.name == name else one for one in scores]


def test_a_candidate_that_covers_more_is_ranked_first_with_its_gain():
    found = ranking_of(*candidates(invert=cloud(first(120)), mirror=cloud(first(42))))
    assert names_of(found, "ranked") == ["invert", "mirror"]
    invert = candidate(found, "invert")
    assert (invert.rank, invert.group) == (1, 1)
    assert invert.score == invert.scores.coverage_gain == pytest.approx(80 / TARGETS)
    assert invert.scores.consistent_coverage == pytest.approx(120 / TARGETS)
    assert invert.interval[0] < invert.score < invert.interval[1]
    assert invert.beats_clean
    assert candidate(found, "clean").group == 2
    assert invert.recipe
    assert invert.description


def test_ranked_come_first_then_regularisers_label_breaking_ones_and_controls():
    scores = candidates(mixup=cloud(first(90)), mirror=cloud(first(50)), cutout=cloud(first(150)))
    scores = with_kept(scores, "shuffled-pixels", preserved(relearned=0 * LABELS))
    found = ranking_of(*scores)
    assert [one.role for one in found] == [
        "ranked",
        "regulariser",
        "regulariser",
        "label-breaking",
        "control",
        "control",
    ]
    assert names_of(found, "regulariser") == ["mixup", "cutout"]
    assert names_of(found, "label-breaking") == ["shuffled-pixels"]
    assert names_of(found, "control") == ["clean", "no-op"]


def test_only_ranked_candidates_have_a_rank_and_clean_and_the_identity_control_the_group_of_clean():
    found = ranking_of(*candidates(invert=cloud(first(120)), cutout=cloud(first(150))))
    assert [(one.name, one.rank) for one in found if one.rank] == [("invert", 1)]
    groups = {one.name: one.group for one in found}
    assert groups == {"invert": 1, "cutout": None, "clean": 2, "no-op": 2, "shuffled-pixels": None}


def test_a_control_is_never_label_breaking_where_it_is_clean_itself():
    scores = with_kept(candidates(), "no-op", preserved(relearned=0 * LABELS))
    assert candidate(ranking_of(*scores), "no-op").role == "control"


def test_what_covers_no_more_than_the_identity_control_does_not_beat_clean():
    found = ranking_of(*candidates(mirror=cloud(first(41)), grey=cloud(first(39))))
    assert not any(one.beats_clean for one in found)
    assert candidate(found, "clean").group == 1
    assert candidate(found, "mirror").reasons[0] == "no clear gain of coverage"


def test_mixtures_have_no_score_that_needs_one_class_and_say_why():
    found = candidate(ranking_of(*candidates(mixup=cloud(first(90)))), "mixup")
    assert found.role == "regulariser"
    assert (found.score, found.interval) == (None, None)
    for name in ("consistent_coverage", "coverage_gain"):
        assert getattr(found.scores, name) is None
        assert "labels are mixed" in found.missing[name]
    assert found.scores.coverage == pytest.approx(90 / TARGETS)


def test_every_score_that_is_null_has_a_reason():
    scores = candidates(
        invert=cloud(first(120)),
        mixup=cloud(first(90)),
        cutout=cloud(first(60)),
        grey=cloud(first(0)),
    )
    unseen = replace(preserved(), affinity=None, relearnability=None, relearned=0)
    unseen = replace(unseen, affinity_by_class=np.full(3, np.nan), relearnability_by_class=np.full(3, np.nan))
    scores = with_kept(scores, "grey", unseen)
    for one in ranking_of(*scores):
        null = {name for name, value in one.scores.model_dump().items() if value is None}
        assert null == set(one.missing), one.name
        assert all(one.missing.values())


def test_where_the_best_covers_under_five_percent_distances_rank():
    far, near = cloud(first(4), distance=9), cloud(first(4), distance=3)
    identity = cloud(first(4), distance=6)
    scores = [measured("clean", identity, identity=identity), measured("no-op", identity, identity=identity)]
    scores += [measured("mirror", far, identity=identity), measured("invert", near, identity=identity)]
    found, ranked_by = ranked(*scores, measured("mixup", near, identity=identity))
    assert ranked_by == "nearest_distance"
    assert names_of(found, "ranked") == ["invert", "mirror"]
    assert candidate(found, "invert").score == pytest.approx(3)
    assert candidate(found, "mirror").score == pytest.approx(-3)
    assert candidate(found, "invert").reasons[0].startswith("its samples are nearer to the target than clean images")
    assert candidate(found, "mirror").reasons[0].startswith("its samples are not nearer")


def test_five_percent_of_coverage_is_enough_to_rank_by_coverage_gain():
    assert ranked(*candidates(2, mirror=cloud(first(TARGETS // 20))))[1] == "coverage_gain"
    assert ranked(*candidates(2, mirror=cloud(first(TARGETS // 20 - 1))))[1] == "nearest_distance"


def test_a_label_breaking_candidate_is_not_ranked_however_much_it_covers():
    scores = with_kept(
        candidates(half_turns=cloud(first(199)), mirror=cloud(first(60))),
        "half-turns",
        preserved(np.where(LABELS == 2, 1, LABELS)),
    )
    found = ranking_of(*scores)
    assert names_of(found, "ranked") == ["mirror"]
    breaking = candidate(found, "half-turns")
    assert (breaking.role, breaking.rank, breaking.group) == ("label-breaking", None, None)
    assert breaking.reasons == breaking.warnings
    assert any(why.endswith("in class owl") for why in breaking.warnings)
    assert [(pair.true, pair.taken_for, pair.share) for pair in breaking.mixes] == [("owl", "dog", 1.0)]


def test_images_covered_by_one_ranked_candidate_alone_are_counted():
    only = first(100) & ~first(80)
    scores = candidates(
        invert=cloud(first(80) | only),
        mirror=cloud(first(80)),
        cutout=cloud(first(TARGETS)),
    )
    found = ranking_of(*scores)
    assert candidate(found, "invert").scores.only_covered == 20
    assert candidate(found, "mirror").scores.only_covered == 0
    assert "20 target images are covered by it alone" in candidate(found, "invert").reasons
    assert (uncovered_by(scores, found) == ~first(100)).all()


def test_images_that_clean_covers_are_nobodys_alone():
    scores = candidates(40, invert=cloud(first(40)))
    found = ranking_of(*scores)
    assert candidate(found, "invert").scores.only_covered == 0
    assert uncovered_by(scores, found).sum() == TARGETS - 40


def test_covered_images_whose_neighbours_disagree_are_not_counted():
    found = ranking_of(*candidates(invert=cloud(first(120), agreed=-1)))
    invert = candidate(found, "invert")
    assert invert.scores.coverage == pytest.approx(120 / TARGETS)
    assert invert.scores.consistent_coverage == 0
    assert invert.scores.raw_coverage_gain == pytest.approx(80 / TARGETS)
    assert invert.score == pytest.approx(-40 / TARGETS)
    assert invert.reasons[0].startswith("covers 20.0 points less of the target")


def test_classes_count_the_newly_covered_images_near_them():
    found = ranking_of(*candidates(40, invert=cloud(first(100), agreed=1)))
    invert = candidate(found, "invert")
    assert {name: scores.covered for name, scores in invert.per_class.items()} == {"cat": 0, "dog": 60, "owl": 0}
    assert "covers target images near dog" in invert.reasons
    assert tuple(invert.per_class) == CLASSES


def test_a_class_that_loses_a_little_beyond_noise_is_named_as_harmed():
    after = LABELS.copy()
    after[np.flatnonzero(LABELS == 1)[:5]] = 0
    scores = with_kept(candidates(grey=cloud(first(60))), "grey", preserved(after))
    found = candidate(ranking_of(*scores), "grey")
    assert found.role == "ranked"
    assert "costs clean accuracy on dog" in found.reasons


def test_generated_images_are_ranked_like_any_other_candidate():
    identity = cloud(first(40))
    found = ranking_of(
        *candidates(40, mirror=cloud(first(60))), measured("generated", cloud(first(120)), identity=identity)
    )
    assert names_of(found, "ranked") == ["generated", "mirror"]
    assert candidate(found, "generated").recipe == []


def test_samples_that_failed_are_counted_and_reported():
    scores = [
        replace(one, present=np.arange(150).reshape(50, 3) >= 7) if one.name == "edges" else one
        for one in candidates(edges=cloud(first(60)))
    ]
    found = candidate(ranking_of(*scores), "edges")
    assert found.left_out == 7
    assert "7 samples left out, because the operation failed" in found.reasons


def test_a_run_of_controls_alone_ranks_nobody():
    found = ranking_of(*candidates())
    assert names_of(found, "ranked") == []
    assert not any(one.beats_clean for one in found)


def test_where_the_probe_is_at_chance_nothing_is_ranked_nor_compared_with_clean():
    found, _ = ranked(*candidates(40, invert=cloud(first(120)), mirror=cloud(first(60))), at_chance=True)
    for one in found:
        assert (one.rank, one.group, one.beats_clean, one.score, one.interval) == (None,) * 5
    assert names_of(found, "ranked") == ["invert", "mirror"]
    assert candidate(found, "invert").scores.coverage == pytest.approx(120 / TARGETS)
    assert candidate(found, "invert").reasons[0] == "not ranked: the features cannot tell the classes apart"


def test_no_interval_of_a_share_goes_beyond_all_images():
    wild = cloud(first(120))
    wild = replace(wild, half_consistent=np.linspace(-5, 5, len(wild.half_consistent)))
    low, high = candidate(ranking_of(*candidates(40, invert=wild)), "invert").interval
    assert (low, high) == (-1.0, 1.0)
