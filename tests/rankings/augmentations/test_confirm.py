from __future__ import annotations

from types import SimpleNamespace

import pytest

from eyeshot.augment import augmentation
from eyeshot.rankings.augmentations.confirm import chosen_names


def judged(*names: str, role: str = "ranked"):
    return SimpleNamespace(candidates=[SimpleNamespace(name=name, role=role) for name in names])


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
    assert chosen_names(judged(*ranked), known(*ranked), count) == chosen


def test_generated_images_and_those_that_are_not_ranked_are_left_out():
    assert chosen_names(judged("generated", "invert"), known("invert"), 1) == ["clean", "invert"]
    assert chosen_names(judged("half-turns", role="destroyer"), known("half-turns"), 1) == ["clean"]
