from __future__ import annotations

from types import SimpleNamespace

import pytest

from eyeshot.augment import augmentation
from eyeshot.rankings.augmentations.full_training import trained_names


def candidates(*names: str, role: str = "ranked"):
    return [SimpleNamespace(name=name, role=role) for name in names]


def known(*names: str):
    return {name: augmentation(name) for name in names}


@pytest.mark.parametrize(
    ("ranked", "count", "chosen"),
    [
        (["invert", "mirror", "grey"], 1, ["clean", "invert"]),
        (["invert", "mirror", "grey"], 2, ["clean", "invert", "mirror"]),
        (["invert", "mirror"], 5, ["clean", "invert", "mirror"]),
        (["invert", "trivial-augment", "mirror"], 1, ["clean", "invert", "trivial-augment"]),
        (["invert", "mirror", "trivial-augment"], 3, ["clean", "invert", "mirror", "trivial-augment"]),
        (["trivial-augment", "invert"], 1, ["clean", "trivial-augment"]),
    ],
)
def test_clean_the_first_and_the_control_are_trained_each_once(ranked, count, chosen):
    assert trained_names(candidates(*ranked), known(*ranked), count) == chosen


def test_generated_images_and_those_that_are_not_ranked_are_left_out():
    assert trained_names(candidates("generated", "invert"), known("invert"), 1) == ["clean", "invert"]
    assert trained_names(candidates("half-turns", role="label-breaking"), known("half-turns"), 1) == ["clean"]
