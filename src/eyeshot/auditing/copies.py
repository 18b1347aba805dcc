"""Copies of every kind, as groups and findings: identical files and pixels, near copies, conflicts, leaks."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.found import Evidence, finding
from eyeshot.auditing.grouping import Group, combined, inverse
from eyeshot.auditing.identical import pixel_keys
from eyeshot.auditing.inspection import Inspected
from eyeshot.auditing.naming import name_transform
from eyeshot.auditing.near import NearCopies, find_near_copies
from eyeshot.auditing.parts import name_part
from eyeshot.auditing.report import ClassPair, CopyGroup, CutOff, Finding, Suggestion
from eyeshot.auditing.sources import Sources
from eyeshot.core import Progress

UNTOLD_QUALITY = 90.0
MOST_NAMED = 200  # transforms written out for one group


@dataclass(frozen=True)
class Copies:
    """All about copies.

    Attributes:
        findings: one for each group, or several where it is a conflict and a leak.
        groups: the groups themselves.
        conflicts: pictures under two labels, by pair of classes.
        cut_off: how near copies were told.
        group_of: int64 (N,), the first position of each image's group.
    """

    findings: list[Finding]
    groups: list[CopyGroup]
    conflicts: list[ClassPair]
    cut_off: CutOff
    group_of: NDArray[np.int64]


def find_copies(
    sources: Sources,
    inspected: Inspected,
    *,
    thorough: bool | None,
    cache: Path,
    workers: int | None,
    progress: Progress,
) -> Copies:
    """Find copies among all images of training and test; arguments as of `audit`.

    Raises:
        StorageError: the cache cannot be written.
    """
    good = np.array([position for position in range(len(sources)) if position not in inspected.failed], np.int64)
    all_keys = pixel_keys(inspected, sources.contents, sources.paths, cache=cache, workers=workers, progress=progress)
    keys = np.array(all_keys)[good]
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    pictures = good[first]
    files: defaultdict[int, list[int]] = defaultdict(list)
    for position, number in zip(good.tolist(), place.tolist(), strict=True):
        files[number].append(position)
    near = find_near_copies(
        inspected.records["grey"][pictures],
        [sources.paths[position] for position in pictures],
        np.array([_one_label(sources, files[number]) for number in range(len(pictures))], np.int64),
        identical=_identical_pairs(sources, files),
        thorough=thorough,
        workers=workers,
        progress=progress,
    )
    in_near = {member for group in near.groups for member in group.members}
    alone = [Group([number], [0], [1.0]) for number, same in files.items() if len(same) > 1 and number not in in_near]
    groups: list[CopyGroup] = []
    findings: list[Finding] = []
    group_of = np.arange(len(sources), dtype=np.int64)
    everything = [*zip(near.groups, near.diameters, strict=True), *((group, 0.0) for group in alone)]
    for group, diameter in everything:
        positions = [position for member in group.members for position in files[member]]
        group_of[positions] = min(positions)
        made = _findings(sources, inspected, group, files, pictures, positions, diameter, near)
        findings += made
        groups.append(
            CopyGroup(
                images=sources.refs(positions),
                medoid=0,
                diameter=diameter,
                identical=len(group.members) == 1,
                labels=_labels(sources, positions),
                findings=[one.id for one in made],
            )
        )
    return Copies(findings, groups, _class_pairs(sources, everything, files), near.cut_off, group_of)


def _one_label(sources: Sources, positions: list[int]) -> int:
    labels = {int(sources.labels[position]) for position in positions} - {-1}
    return labels.pop() if len(labels) == 1 else -1


def _identical_pairs(sources: Sources, files: dict[int, list[int]]) -> tuple[int, int]:
    pairs = crossing = 0
    for same in files.values():
        counts = Counter(int(sources.labels[position]) for position in same if sources.labels[position] >= 0)
        total = counts.total()
        pairs += total * (total - 1) // 2
        crossing += (total * total - sum(count * count for count in counts.values())) // 2
    return pairs, crossing


def _labels(sources: Sources, positions: list[int]) -> list[str]:
    return sorted({sources.train.classes[label] for label in sources.labels[positions].tolist() if label >= 0})


def _findings(
    sources: Sources,
    inspected: Inspected,
    group: Group,
    files: dict[int, list[int]],
    pictures: NDArray[np.int64],
    positions: list[int],
    diameter: float,
    copies: NearCopies,
) -> list[Finding]:
    precision = copies.cut_off.precision
    refs = sources.refs(positions)
    labels = _labels(sources, positions)
    tests = int(sources.in_test[positions].sum())
    near = len(group.members) > 1
    contents = len({sources.contents[position] for position in positions})
    evidence: Evidence = {
        "same": "near" if near else "bytes" if contents == 1 else "pixels",
        "pictures": float(len(group.members)),
        "diameter": diameter,
    }
    if near:
        chosen = _reference(inspected, group, files, pictures)
        reference = int(pictures[group.members[chosen]])
        evidence["score"] = round(min(group.scores), 4)
        evidence["reference"] = sources.ids[reference]
        back = inverse(group.orientations[chosen])
        evidence["transforms"] = [
            f"{sources.ids[position]}: "
            + name_transform(
                inspected, reference, position, combined(turn, back), _part(copies, group.members[chosen], member)
            )
            for member, turn in zip(group.members, group.orientations, strict=True)
            for position in files[member][:1]
            if position != reference
        ][:MOST_NAMED]
    # Where the precision cannot be estimated, a near copy is only as sure as its score.
    confidence = None if not near else round(min(group.scores), 3) if precision is None else round(precision, 3)
    how = {"near": "near copies", "pixels": "files with identical pixels", "bytes": "files with identical bytes"}
    what = f"{len(positions)} {how[str(evidence['same'])]}"
    found = []
    if len(labels) > 1:
        words = f"{what} stand under {len(labels)} labels: {', '.join(labels)}."
        evidence_labels = {**evidence, "labels": labels}
        found.append(
            finding("conflict", refs, words, suggestion="drop-both", evidence=evidence_labels, confidence=confidence)
        )
    if 0 < tests < len(positions):
        words = f"{len(positions) - tests} of training and {tests} of test: {what}."
        found.append(finding("leak", refs, words, suggestion="drop", evidence=evidence, confidence=confidence))
    if not found:
        suggestion: Suggestion = "group" if near else "keep-one"
        kind = "near-copy" if near else "identical"
        where = f" in {labels[0]}" if labels else ""
        found.append(
            finding(
                kind,  # type: ignore[arg-type]
                refs,
                f"{what}{where}.",
                suggestion=suggestion,
                evidence=evidence,
                confidence=confidence,
            )
        )
    return found


def _part(copies: NearCopies, reference: int, member: int) -> str:
    """What was cut off, if this pair was met as a part."""
    if (member, reference) in copies.parts:
        return name_part(copies.parts[member, reference], of_second=True)
    if (reference, member) in copies.parts:
        return name_part(copies.parts[reference, member], of_second=False)
    return ""


def _reference(inspected: Inspected, group: Group, files: dict[int, list[int]], pictures: NDArray[np.int64]) -> int:
    """Which member the others are described from: the largest, that most files hold, in colour, of good quality."""
    width, height, colour = (inspected.number(name)[pictures[group.members]] for name in ("width", "height", "colour"))
    plain = inspected.records["layers"][pictures[group.members]] == b"RGB"

    quality = inspected.number("quality")[pictures[group.members]]

    def better(jpeg: float) -> float:
        """Lossless files may have been made from a JPEG; the better JPEGs may not."""
        return float(jpeg) if jpeg else UNTOLD_QUALITY

    def worth(place: int) -> tuple[float, int, bool, bool, float, float, int]:
        pixels = float(width[place] * height[place])
        held = len(files[group.members[place]])
        return (
            pixels,
            held,
            bool(colour[place] >= 1),
            bool(plain[place]),
            better(quality[place]),
            group.scores[place],
            -place,
        )

    return max(range(len(group.members)), key=worth)


def _class_pairs(sources: Sources, groups: list[tuple[Group, float]], files: dict[int, list[int]]) -> list[ClassPair]:
    pictures: Counter[tuple[str, str]] = Counter()
    images: Counter[tuple[str, str]] = Counter()
    for group, _ in groups:
        positions = [position for member in group.members for position in files[member]]
        for pair in combinations(_labels(sources, positions), 2):
            pictures[pair] += 1
            images[pair] += sum(
                sources.labels[position] >= 0 and sources.train.classes[sources.labels[position]] in pair
                for position in positions
            )
    return [
        ClassPair(first=pair[0], second=pair[1], pictures=count, images=int(images[pair]))
        for pair, count in sorted(pictures.items(), key=lambda item: (-item[1], item[0]))
    ]
