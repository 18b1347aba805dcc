"""Random folders: what the audit groups as identical is what comparing every pair of decoded files finds."""

from __future__ import annotations

import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
from bad_input import photograph
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from eyeshot.auditing import audit

WAYS = {
    "same.png": lambda image: image,
    "same.bmp": lambda image: image,
    "packed.png": lambda image: image,
    "mirrored.png": ImageOps.mirror,
    "turned.png": lambda image: image.transpose(Image.Transpose.ROTATE_90),
}
entry = st.tuples(st.integers(0, 3), st.sampled_from(sorted(WAYS)), st.sampled_from(["a", "b", "c"]), st.booleans())


@given(entries=st.lists(entry, min_size=2, max_size=14))
@settings(max_examples=12, deadline=None)
def test_groups_conflicts_and_leaks_are_those_of_comparing_every_pair(
    entries: list[tuple[int, str, str, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photograph(100, (60, 50)).save((folder / "train" / "a").mkdir(parents=True) or folder / "train/a/first.png")
        (folder / "test").mkdir()
        photograph(101, (60, 50)).save(folder / "test" / "first.png")
        drawn: dict[str, int] = {}
        for number, (seed, way, label, in_test) in enumerate(entries):
            place = f"test/{number}-{way}" if in_test else f"train/{label}/{number}-{way}"
            (folder / place).parent.mkdir(exist_ok=True)
            options = {"compress_level": 1} if way == "packed.png" else {}
            WAYS[way](photograph(seed, (60, 50))).save(folder / place, **options)
            drawn[place] = seed
        report = audit(folder / "train", folder / "test", cache=folder / "cache").report

        def name(ref) -> str:
            return f"{ref.split}/{ref.id}"

        together = {
            frozenset(pair) for group in report.groups for pair in combinations(sorted(map(name, group.images)), 2)
        }
        # Every way keeps the picture, so copies are the files that were drawn from one seed.
        assert together == {frozenset(p) for p in combinations(sorted(drawn), 2) if drawn[p[0]] == drawn[p[1]]}
        same = set()
        for pair in combinations(sorted(drawn), 2):
            one, other = (np.asarray(Image.open(folder / place).convert("RGB")) for place in pair)
            if one.shape == other.shape and np.array_equal(one, other):
                same.add(frozenset(pair))
        told = {
            frozenset(pair)
            for group in report.groups
            if group.identical
            for pair in combinations(sorted(map(name, group.images)), 2)
        }
        assert told <= same
        by_seed: dict[int, set[str]] = {}
        for place, seed in drawn.items():
            by_seed.setdefault(seed, set()).add(place.split("/")[1] if place.startswith("train") else "test")
        assert report.counts.get("conflict", 0) == sum(len(labels - {"test"}) > 1 for labels in by_seed.values())
        assert report.counts.get("leak", 0) == sum("test" in labels and len(labels) > 1 for labels in by_seed.values())
        assert len({one.id for one in report.findings}) == len(report.findings)
