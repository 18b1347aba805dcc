from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up import CLASSES, LABELS, TARGETS, bench, cloud_cover, first, judged, kept_labels, measured

from eyeshot.rankings.augmentations.candidates import Judged


def names_of(found: Judged, role: str) -> list[str]:
    return [one.name for one in found.candidates if one.role == role]


def candidate(found: Judged, name: str):
    return next(one for one in found.candidates if one.name == name)


def with_kept(candidates, name, kept):
    return [replace(one, kept=kept) if one.name == name else one for one in candidates]


def test_a_candidate_that_reaches_more_is_ranked_first_and_told_with_its_gain():
    found = judged(*bench(invert=cloud_cover(first(120)), mirror=cloud_cover(first(42))))
    assert names_of(found, "ranked") == ["invert", "mirror"]
    invert = candidate(found, "invert")
    assert (invert.rank, invert.tie_group) == (1, 1)
    assert invert.score == invert.scores.reach == pytest.approx(80 / TARGETS)
    assert invert.scores.label_consistent_coverage == pytest.approx(120 / TARGETS)
    assert invert.interval[0] < invert.score < invert.interval[1]
    assert found.clear
    assert found.ranked_by == "reach"
    assert found.clean_group == 2
    assert invert.recipe
    assert invert.description


def test_ranked_come_first_then_harder_destroyers_and_controls():
    candidates = bench(mixup=cloud_cover(first(90)), mirror=cloud_cover(first(50)), cutout=cloud_cover(first(150)))
    candidates = with_kept(candidates, "shuffled-pixels", kept_labels(relearned=0 * LABELS))
    found = judged(*candidates)
    assert [one.role for one in found.candidates] == ["ranked", "harder", "harder", "destroyer", "control", "control"]
    assert names_of(found, "harder") == ["mixup", "cutout"]
    assert names_of(found, "destroyer") == ["shuffled-pixels"]
    assert names_of(found, "control") == ["clean", "no-op"]


def test_only_ranked_candidates_have_a_rank_and_clean_and_no_op_the_group_of_clean():
    found = judged(*bench(invert=cloud_cover(first(120)), cutout=cloud_cover(first(150))))
    assert [(one.name, one.rank) for one in found.candidates if one.rank] == [("invert", 1)]
    groups = {one.name: one.tie_group for one in found.candidates}
    assert groups == {"invert": 1, "cutout": None, "clean": 2, "no-op": 2, "shuffled-pixels": None}


def test_a_control_is_never_a_destroyer_where_it_is_clean_itself():
    candidates = with_kept(bench(), "no-op", kept_labels(relearned=0 * LABELS))
    assert candidate(judged(*candidates), "no-op").role == "control"


def test_what_reaches_no_more_than_the_no_op_is_not_clear():
    found = judged(*bench(mirror=cloud_cover(first(41)), grey=cloud_cover(first(39))))
    assert not found.clear
    assert found.clean_group == 1
    assert candidate(found, "mirror").reasons[0] == "does not beat the no-op: a tie with clean"


def test_mixtures_have_no_score_that_needs_one_class_and_say_why():
    found = candidate(judged(*bench(mixup=cloud_cover(first(90)))), "mixup")
    assert found.role == "harder"
    assert (found.score, found.interval) == (None, None)
    for name in ("label_consistent_coverage", "reach"):
        assert getattr(found.scores, name) is None
        assert "labels are mixed" in found.missing[name]
    assert found.scores.coverage == pytest.approx(90 / TARGETS)


def test_every_score_that_is_null_has_a_reason():
    candidates = bench(
        invert=cloud_cover(first(120)),
        mixup=cloud_cover(first(90)),
        cutout=cloud_cover(first(60)),
        grey=cloud_cover(first(0)),
    )
    unseen = replace(kept_labels(), affinity=None, relearnability=None, relearned=0)
    unseen = replace(unseen, affinity_by_class=np.full(3, np.nan), relearnability_by_class=np.full(3, np.nan))
    candidates = with_kept(candidates, "grey", unseen)
    for one in judged(*candidates).candidates:
        null = {name for name, value in one.scores.model_dump().items() if value is None}
        assert null == set(one.missing), one.name
        assert all(one.missing.values())


def test_where_the_best_covers_under_five_percent_distances_rank():
    far, near = cloud_cover(first(4), distance=9), cloud_cover(first(4), distance=3)
    no_op = cloud_cover(first(4), distance=6)
    candidates = [measured("clean", no_op, no_op=no_op), measured("no-op", no_op, no_op=no_op)]
    candidates += [measured("mirror", far, no_op=no_op), measured("invert", near, no_op=no_op)]
    found = judged(*candidates, measured("mixup", near, no_op=no_op))
    assert found.ranked_by == "nearest_distance"
    assert names_of(found, "ranked") == ["invert", "mirror"]
    assert candidate(found, "invert").score == pytest.approx(3)
    assert candidate(found, "mirror").score == pytest.approx(-3)
    assert candidate(found, "invert").reasons[0].startswith("its views are nearer to the target than the no-op's")
    assert candidate(found, "mirror").reasons[0].startswith("its views are not nearer")


def test_five_percent_of_coverage_is_enough_to_rank_by_reach():
    assert judged(*bench(2, mirror=cloud_cover(first(TARGETS // 20)))).ranked_by == "reach"
    assert judged(*bench(2, mirror=cloud_cover(first(TARGETS // 20 - 1)))).ranked_by == "nearest_distance"


def test_a_destroyer_is_not_ranked_however_much_it_reaches():
    candidates = with_kept(
        bench(half_turns=cloud_cover(first(199)), mirror=cloud_cover(first(60))),
        "half-turns",
        kept_labels(np.where(LABELS == 2, 1, LABELS)),
    )
    found = judged(*candidates)
    assert names_of(found, "ranked") == ["mirror"]
    destroyer = candidate(found, "half-turns")
    assert (destroyer.role, destroyer.rank, destroyer.tie_group) == ("destroyer", None, None)
    assert destroyer.reasons == destroyer.warnings
    assert any(why.endswith("in class owl") for why in destroyer.warnings)
    assert [(pair.true, pair.taken_for, pair.share) for pair in destroyer.mixes] == [("owl", "dog", 1.0)]


def test_images_reached_by_one_ranked_candidate_alone_are_counted():
    only = first(100) & ~first(80)
    found = judged(
        *bench(
            invert=cloud_cover(first(80) | only),
            mirror=cloud_cover(first(80)),
            cutout=cloud_cover(first(TARGETS)),
        )
    )
    assert candidate(found, "invert").scores.only_reached == 20
    assert candidate(found, "mirror").scores.only_reached == 0
    assert "20 target images are reached by it alone" in candidate(found, "invert").reasons
    assert found.unreached.tolist() == (~first(100)).tolist()


def test_images_that_clean_reaches_are_nobodys_alone():
    found = judged(*bench(40, invert=cloud_cover(first(40))))
    assert candidate(found, "invert").scores.only_reached == 0
    assert found.unreached.sum() == TARGETS - 40


def test_covered_images_whose_neighbours_disagree_are_not_reached():
    found = judged(*bench(invert=cloud_cover(first(120), agreed=-1)))
    invert = candidate(found, "invert")
    assert invert.scores.coverage == pytest.approx(120 / TARGETS)
    assert invert.scores.label_consistent_coverage == 0
    assert invert.scores.coverage_gain == pytest.approx(80 / TARGETS)
    assert invert.score == pytest.approx(-40 / TARGETS)
    assert invert.reasons[0].startswith("loses 20.0 points of the target")


def test_classes_are_told_the_newly_reached_images_near_them():
    found = judged(*bench(40, invert=cloud_cover(first(100), agreed=1)))
    invert = candidate(found, "invert")
    assert {name: scores.reached for name, scores in invert.per_class.items()} == {"cat": 0, "dog": 60, "owl": 0}
    assert "reaches target images near dog" in invert.reasons
    assert tuple(invert.per_class) == CLASSES


def test_a_class_that_loses_a_little_beyond_noise_is_named_as_harmed():
    after = LABELS.copy()
    after[np.flatnonzero(LABELS == 1)[:5]] = 0
    candidates = with_kept(bench(grey=cloud_cover(first(60))), "grey", kept_labels(after))
    found = candidate(judged(*candidates), "grey")
    assert found.role == "ranked"
    assert "costs clean accuracy on dog" in found.reasons


def test_generated_images_are_ranked_like_any_other_candidate():
    no_op = cloud_cover(first(40))
    found = judged(
        *bench(40, mirror=cloud_cover(first(60))), measured("generated", cloud_cover(first(120)), no_op=no_op)
    )
    assert names_of(found, "ranked") == ["generated", "mirror"]
    assert candidate(found, "generated").recipe == []


def test_views_that_failed_are_counted_and_told():
    candidates = [
        replace(one, left_out=7) if one.name == "edges" else one for one in bench(edges=cloud_cover(first(60)))
    ]
    found = candidate(judged(*candidates), "edges")
    assert found.left_out == 7
    assert "left out 7 views where it failed" in found.reasons


def test_a_run_of_controls_alone_ranks_nobody():
    found = judged(*bench())
    assert names_of(found, "ranked") == []
    assert not found.clear
