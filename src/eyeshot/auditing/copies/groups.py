"""Duplicates of every kind, as groups and findings: identical files and pixels, near-duplicates, conflicts, leaks.

Two numbers name an image here: its position among all images, and the number of its picture, which files with identical
pixels share. Only different pictures are compared with each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import PIL
import xxhash
from numpy.typing import NDArray

from eyeshot.auditing.copies.crops import describe_crop
from eyeshot.auditing.copies.descriptors import combined, inverse
from eyeshot.auditing.copies.explain import describe_transform
from eyeshot.auditing.copies.near import Crops, Group, find_near_copies
from eyeshot.auditing.findings import (
    FEWEST_OF_A_SCENE,
    Basis,
    ClassPair,
    CopyGroup,
    CutOff,
    Evidence,
    Finding,
    Kind,
    Suggestion,
    make_finding,
)
from eyeshot.auditing.image_stats import ImageStats
from eyeshot.auditing.images import AuditImages
from eyeshot.core import ArrayCache, Failure, Progress, default_workers, in_parallel
from eyeshot.data import UnreadableImageError, UprightImage, decode_upright, read_content, strict_pillow, undecodable

UNKNOWN_QUALITY = 90.0  # of files without a JPEG quality: lossless ones may have been made from a JPEG
MOST_NAMED = 200  # transforms written out for one group
VERSION = 1  # part of the folder's name: raise it when hash_pixels() gives other values for the same file
HASH_BYTES = 16


@dataclass(frozen=True)
class Copies:
    """The duplicates among all images.

    Attributes:
        findings: one for each group, or several where it is a conflict and a leak.
        groups: the groups themselves.
        similar: groups of pictures that are very similar and no duplicates.
        conflicts: pictures under two labels, by pair of classes.
        cut_off: from which score on two pictures counted as near-duplicates.
        group_of: int64 (N,), the first position of each image's group.
    """

    findings: list[Finding]
    groups: list[CopyGroup]
    similar: list[CopyGroup]
    conflicts: list[ClassPair]
    cut_off: CutOff
    group_of: NDArray[np.int64]


def find_copies(
    images: AuditImages,
    stats: ImageStats,
    *,
    thorough: bool | None,
    cache: Path,
    workers: int | None,
    progress: Progress,
) -> Copies:
    """Find duplicates among all images of training and test; arguments as of `audit`.

    Raises:
        StorageError: the cache cannot be written.
    """
    good = np.array([position for position in range(len(images)) if position not in stats.failed], np.int64)
    all_keys = pixel_keys(stats, images.contents, images.paths, cache=cache, workers=workers, progress=progress)
    _, first, picture_of = np.unique(np.array(all_keys)[good], return_index=True, return_inverse=True)
    pictures = good[first]
    files: defaultdict[int, list[int]] = defaultdict(list)  # positions, by number of the picture
    for position, picture in zip(good.tolist(), picture_of.tolist(), strict=True):
        files[picture].append(position)
    found = find_near_copies(
        stats.records["grey"][pictures],
        stats.records["colour"][pictures],
        [images.paths[position] for position in pictures],
        np.array([_single_label(images, files[picture]) for picture in range(len(pictures))], np.int64),
        np.minimum(stats.number("width"), stats.number("height"))[pictures].astype(np.int64),
        np.array([len(files[picture]) for picture in range(len(pictures))], np.int64),
        identical=_identical_pairs(images, files),
        thorough=thorough,
        workers=workers,
        progress=progress,
    )
    in_near = {member for group in found.near for member in group.members}
    identical = [
        Group([picture], [0], [1.0]) for picture, same in files.items() if len(same) > 1 and picture not in in_near
    ]
    groups: list[CopyGroup] = []
    findings: list[Finding] = []
    group_of = np.arange(len(images), dtype=np.int64)
    for group in (*found.near, *identical):
        positions = [position for member in group.members for position in files[member]]
        group_of[positions] = min(positions)
        transforms = _transforms(images, stats, group, files, pictures, found.crops) if len(group.members) > 1 else None
        about_group = _findings(images, group, positions, transforms, found.cut_off)
        findings += about_group
        groups.append(
            CopyGroup(
                images=images.refs(positions),
                medoid=0,
                diameter=group.diameter,
                identical=len(group.members) == 1,
                labels=_labels(images, positions),
                findings=[finding.id for finding in about_group],
            )
        )
    similar = []
    for group in found.similar:
        positions = [position for member in group.members for position in files[member]]
        finding = _similar_finding(images, group, positions)
        findings.append(finding)
        similar.append(
            CopyGroup(
                images=images.refs(positions),
                medoid=0,
                diameter=round(1 - min(group.scores), 4),
                identical=False,
                labels=_labels(images, positions),
                findings=[finding.id],
            )
        )
    conflicts = _class_pairs(images, [*found.near, *identical], files)
    return Copies(findings, groups, similar, conflicts, found.cut_off, group_of)


def _single_label(images: AuditImages, positions: list[int]) -> int:
    """The label of a picture; -1 where its files have none or several."""
    labels = {int(images.labels[position]) for position in positions} - {-1}
    return labels.pop() if len(labels) == 1 else -1


def _identical_pairs(images: AuditImages, files: dict[int, list[int]]) -> tuple[int, int]:
    """Pairs of labelled files with identical pixels, and how many of them stand under two labels."""
    pairs = crossing = 0
    for same in files.values():
        counts = Counter(int(images.labels[position]) for position in same if images.labels[position] >= 0)
        total = counts.total()
        pairs += total * (total - 1) // 2
        crossing += (total * total - sum(count * count for count in counts.values())) // 2
    return pairs, crossing


def _labels(images: AuditImages, positions: list[int]) -> list[str]:
    return sorted({images.train.classes[label] for label in images.labels[positions].tolist() if label >= 0})


def _transforms(
    images: AuditImages,
    stats: ImageStats,
    group: Group,
    files: dict[int, list[int]],
    pictures: NDArray[np.int64],
    crops: Crops,
) -> tuple[str, list[str]]:
    """The id of the image that a near group is described from, and what makes each other picture of it."""
    reference_place = _reference(stats, group, files, pictures)
    reference = int(pictures[group.members[reference_place]])
    back = inverse(group.orientations[reference_place])
    transforms = []
    for member, orientation in zip(group.members, group.orientations, strict=True):
        position = files[member][0]
        if position != reference:
            part = _describe_part(crops, group.members[reference_place], member)
            words = describe_transform(stats, reference, position, combined(orientation, back), part)
            transforms.append(f"{images.ids[position]}: {words}")
    return images.ids[reference], transforms[:MOST_NAMED]


def _findings(
    images: AuditImages,
    group: Group,
    positions: list[int],
    transforms: tuple[str, list[str]] | None,
    cut_off: CutOff,
) -> list[Finding]:
    """What a group is: a conflict, a leak, both or, where it is neither, duplicates.

    `transforms` are those of a near group; None of identical pixels.
    """
    refs = images.refs(positions)
    labels = _labels(images, positions)
    tests = int(images.in_test[positions].sum())
    contents = len({images.contents[position] for position in positions})
    evidence: Evidence = {
        "same": "near" if transforms is not None else "bytes" if contents == 1 else "pixels",
        "pictures": float(len(group.members)),
        "diameter": group.diameter,
    }
    basis: Basis = "exact"
    confidence = 1.0
    if transforms is not None:
        evidence["score"] = round(min(group.scores), 4)
        evidence["reference"], evidence["transforms"] = transforms
        # Where the precision cannot be estimated, a near-duplicate is only as sure as its score.
        basis = "estimated"
        confidence = round(min(group.scores) if cut_off.precision is None else cut_off.precision, 3)
    how = {"near": "near-duplicates", "pixels": "files with identical pixels", "bytes": "byte-identical files"}
    what = f"{len(positions)} {how[str(evidence['same'])]}"

    def about(kind: Kind, words: str, suggestion: Suggestion, more: Evidence) -> Finding:
        return make_finding(
            kind, refs, words, suggestion=suggestion, basis=basis, confidence=confidence, evidence=evidence | more
        )

    # What differs in some places may be another picture of the same scene, and two drawings with a few lines agree
    # without being copies: a person has to look.
    too_little = ", but they show too little to be sure" if group.plain else ""
    unsure = ", but they differ in some places" if group.differs else too_little
    findings = []
    if len(labels) > 1:
        words = f"{what} carry {len(labels)} labels: {', '.join(labels)}{unsure}."
        findings.append(about("conflict", words, "look" if unsure else "drop-both", {"labels": labels}))
    if 0 < tests < len(positions):
        words = f"{what}: {len(positions) - tests} in training, {tests} in test{unsure}."
        findings.append(about("leak", words, "look" if unsure else "drop", {}))
    if not findings:
        words = f"{what}{f' in class {labels[0]}' if labels else ''}{too_little}."
        about_plain: Suggestion = "look" if too_little else "group"
        findings.append(
            about("identical", words, "keep-one", {})
            if transforms is None
            else about("near-copy", words, about_plain, {})
        )
    return findings


def _similar_finding(images: AuditImages, group: Group, positions: list[int]) -> Finding:
    """Very similar pictures: nothing to drop, but a split between them would leak."""
    labels = _labels(images, positions)
    where = f" in class {labels[0]}" if len(labels) == 1 else f" under {len(labels)} labels" if labels else ""
    score = round(min(group.scores), 4)
    own = images.labels[positions]
    shares = [(own == label).sum() / (images.labels == label).sum() for label in np.unique(own[own >= 0])]
    is_scene = len(group.members) >= FEWEST_OF_A_SCENE and bool(shares) and max(shares) >= 0.5
    what = (
        "they look like one scene or form, where near duplicates cannot be told from other pictures"
        if is_scene
        else "no duplicates, but perhaps photographs of one thing or scene"
    )
    return make_finding(
        "very-similar",
        images.refs(positions),
        f"{len(positions)} very similar pictures{where}: {what}.",
        suggestion="look" if is_scene else "group",
        basis="rule",
        evidence={"pictures": float(len(group.members)), "score": score, "labels": labels},
    )


def _describe_part(crops: Crops, reference: int, member: int) -> str:
    """What was cut off, if this pair was met as a part."""
    if (member, reference) in crops:
        return describe_crop(crops[member, reference], of_second=True)
    if (reference, member) in crops:
        return describe_crop(crops[reference, member], of_second=False)
    return ""


def _reference(stats: ImageStats, group: Group, files: dict[int, list[int]], pictures: NDArray[np.int64]) -> int:
    """Which member the others are described from: the largest, that most files hold, in colour, of good quality."""
    positions = pictures[group.members]
    width, height, colour, quality = (
        stats.number(name)[positions] for name in ("width", "height", "colour", "quality")
    )
    plain = stats.records["layers"][positions] == b"RGB"

    def worth(place: int) -> tuple[float, int, bool, bool, float, float, int]:
        return (
            float(width[place] * height[place]),
            len(files[group.members[place]]),
            bool(colour[place] >= 1),
            bool(plain[place]),
            float(quality[place]) or UNKNOWN_QUALITY,
            group.scores[place],
            -place,
        )

    return max(range(len(group.members)), key=worth)


def _class_pairs(images: AuditImages, groups: list[Group], files: dict[int, list[int]]) -> list[ClassPair]:
    pictures: Counter[tuple[str, str]] = Counter()
    image_counts: Counter[tuple[str, str]] = Counter()
    for group in groups:
        positions = [position for member in group.members for position in files[member]]
        for pair in combinations(_labels(images, positions), 2):
            pictures[pair] += 1
            image_counts[pair] += sum(
                images.labels[position] >= 0 and images.train.classes[images.labels[position]] in pair
                for position in positions
            )
    return [
        ClassPair(first=pair[0], second=pair[1], pictures=count, images=int(image_counts[pair]))
        for pair, count in sorted(pictures.items(), key=lambda item: (-item[1], item[0]))
    ]


def pixel_keys(
    stats: ImageStats,
    contents: Sequence[str],
    paths: Sequence[str],
    *,
    cache: Path,
    workers: int | None,
    progress: Progress,
) -> list[str]:
    """A key of each image; two are equal when mode, size and pixels are.

    Identical pixels make identical thumbnails: only images of different bytes and the same thumbnails are decoded
    once more and hashed, and what `cache` knows is not decoded again.

    Args:
        stats: records of the images; those that failed have no pixels, and their key is of no use.
        contents: content keys.
        paths: a file with that content each.
        cache: folder of all caches.
        workers: threads that decode.
        progress: called with the progress.

    Raises:
        StorageError: the cache cannot be written.
    """
    path_of = dict(zip(contents, paths, strict=True))
    alike: defaultdict[bytes, set[str]] = defaultdict(set)
    records = stats.records
    sizes = np.stack([stats.number("width"), stats.number("height")], axis=1)
    for position, content in enumerate(contents):
        if position not in stats.failed:
            parts = (records["grey"][position], records["colour"][position], sizes[position])
            alike[b"".join(part.tobytes() for part in parts) + records["layers"][position]].add(content)
    unsure = sorted(content for same in alike.values() if len(same) > 1 for content in same)
    hashes = _pixel_hashes(unsure, path_of, cache=cache, workers=workers, progress=progress)
    return [hashes.get(content, content) for content in contents]


def _pixel_hashes(
    contents: list[str], path_of: dict[str, str], *, cache: Path, workers: int | None, progress: Progress
) -> dict[str, str]:
    if not contents:
        return {}
    store = ArrayCache(
        cache / "audit" / f"pixels-pillow{PIL.__version__}-v{VERSION}", shape=(HASH_BYTES,), dtype="uint8"
    )

    def hash_missing(positions: list[int]) -> Iterator[NDArray[np.generic] | Failure]:
        todo = [(contents[position], path_of[contents[position]]) for position in positions]
        with strict_pillow():
            yield from in_parallel(_read_pixel_hash, todo, workers or default_workers())

    failed = store.get_or_compute(contents, hash_missing, progress=progress.sub("comparing pixels"))
    hashed = [content for content in contents if content not in failed]
    return {content: bytes(row).hex() for content, row in zip(hashed, store.read(hashed), strict=True)}


def _read_pixel_hash(item: tuple[str, str]) -> NDArray[np.uint8] | Failure:
    """A failure when the file is gone or was changed since it was measured: it is like no other then."""
    content, path = item
    data = read_content(path, content)
    if isinstance(data, Failure):
        return data
    try:
        return np.frombuffer(hash_pixels(decode_upright(data)), np.uint8)
    except UnreadableImageError as error:
        return undecodable(error)


def hash_pixels(image: UprightImage) -> bytes:
    """xxh3_128 of mode, size and pixels as they are stored, turned upright."""
    layers = image.layers
    digest = xxhash.xxh3_128(f"{layers.mode} {layers.width} {layers.height} ".encode())
    digest.update(np.ascontiguousarray(layers).data)
    return digest.digest()
