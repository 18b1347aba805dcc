"""Copies of every kind, as groups and findings: identical files and pixels, near copies, conflicts, leaks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import PIL
import xxhash
from numpy.typing import NDArray

from eyeshot.auditing.copies.crops import find_parts, name_part
from eyeshot.auditing.copies.descriptors import (
    LEAST_CONTRAST,
    combined,
    fit_whitening,
    inverse,
    standardised,
    thumbnails,
)
from eyeshot.auditing.copies.explain import name_transform
from eyeshot.auditing.copies.search import EXACT_UP_TO, best_of_each, joined, search, turned_otherwise
from eyeshot.auditing.copies.threshold import BASE, choose_cut_off
from eyeshot.auditing.copies.verify import read_grey, score_pairs
from eyeshot.auditing.findings import ClassPair, CopyGroup, CutOff, Evidence, Finding, Suggestion, finding
from eyeshot.auditing.image_stats import Inspected
from eyeshot.auditing.images import Sources
from eyeshot.images import (
    Failure,
    UnreadableImageError,
    UprightImage,
    decode_upright,
    default_workers,
    in_parallel,
    read_content,
    strict_pillow,
)
from eyeshot.rowstore import RowStore

UNTOLD_QUALITY = 90.0
MOST_NAMED = 200  # transforms written out for one group
Progress = Callable[[str, int, int], None]


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


MOST_FOR_DIAMETER = 40


@dataclass(frozen=True)
class Group:
    """Pictures that are copies.

    Attributes:
        members: positions, the medoid first.
        orientations: what turns each member into the medoid.
        scores: of each member against the medoid; 1 of the medoid itself.
    """

    members: list[int]
    orientations: list[int]
    scores: list[float]


def make_groups(
    first: NDArray[np.int64], second: NDArray[np.int64], orientation: NDArray[np.int64], scores: NDArray[np.float32]
) -> list[Group]:
    """Groups of pictures, by position; every member has a pair with its medoid.

    The best pairs go first, and a pair joins two groups only where one picture is a copy of all others: so two
    drawings that share a watermark are not drawn together by it when their originals are there.

    Args:
        first, second: int64 (m,), pairs of copies.
        orientation: int64 (m,), what turns the second one into the first.
        scores: float32 (m,)
    """
    near: defaultdict[int, dict[int, tuple[float, int]]] = defaultdict(dict)
    pairs = list(zip(first.tolist(), second.tolist(), orientation.tolist(), scores.tolist(), strict=True))
    for one, two, turn, score in pairs:
        near[one][two] = (score, turn)
        near[two][one] = (score, inverse(turn))
    members: dict[int, set[int]] = {node: {node} for node in near}  # by medoid
    medoid_of = {node: node for node in near}
    for one, two, _, _ in sorted(pairs, key=lambda pair: (-pair[3], pair[0], pair[1])):
        this, other = medoid_of[one], medoid_of[two]
        if this == other:
            continue
        joined = members[this] | members[other]
        # The medoids so far first: a thousand copies of one picture are then no million questions.
        for medoid in dict.fromkeys((this, other, *sorted(joined))):
            if all(member == medoid or member in near[medoid] for member in joined):
                del members[this], members[other]
                members[medoid] = joined
                medoid_of.update(dict.fromkeys(joined, medoid))
                break
    return [_group(joined, near) for joined in sorted(members.values(), key=min) if len(joined) > 1]


def _group(members: set[int], near: dict[int, dict[int, tuple[float, int]]]) -> Group:
    """The group with the member as medoid that is most like all others."""
    able = [node for node in sorted(members) if members <= near[node].keys() | {node}]
    medoid = max(able, key=lambda node: sum(near[node][other][0] for other in members if other != node))
    others = sorted(members - {medoid})
    return Group(
        [medoid, *others],
        [0, *(near[medoid][other][1] for other in others)],
        [1.0, *(near[medoid][other][0] for other in others)],
    )


def pairs_within(group: Group) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of members but those with the medoid, and what turns the second into the first; for the diameter."""
    some = range(1, min(len(group.members), MOST_FOR_DIAMETER))
    pairs = [(a, b) for a in some for b in some if a < b]
    turns = [combined(group.orientations[b], inverse(group.orientations[a])) for a, b in pairs]
    first = [group.members[a] for a, _ in pairs]
    second = [group.members[b] for _, b in pairs]
    return tuple(np.array(values, np.int64) for values in (first, second, turns))  # type: ignore[return-value]


LEAST_COSINE = 0.38  # watermarked drawings (3,200) reach 0.40, all other planted copies 0.9; look-alikes are verified
THOROUGH_UP_TO = 2000  # pictures


@dataclass(frozen=True, eq=False)
class NearCopies:
    """What the search found.

    Attributes:
        groups: of positions of pictures; the diameter of each by its place in `diameters`.
        diameters: largest distance between two members, 1 less their score.
        cut_off: from which score on pairs are copies.
        parts: by (first, second), the map through which the second one, turned, looks like the first.
    """

    groups: list[Group]
    diameters: list[float]
    cut_off: CutOff
    parts: dict[tuple[int, int], NDArray[np.float64]]


def find_near_copies(
    grey: NDArray[np.uint8],
    paths: list[str],
    labels: NDArray[np.int64],
    *,
    identical: tuple[int, int],
    thorough: bool | None,
    workers: int | None,
    progress: Progress,
) -> NearCopies:
    """Groups of near copies among different pictures.

    Args:
        grey: uint8 (n, 64, 64), thumbnails of pictures no two of which have identical pixels.
        paths: a file of each.
        labels: int64 (n,), -1 without a label.
        thorough: search for crops and small turns too; None: up to 2,000 pictures, where that takes no time.
        identical: pairs of files with identical pixels, and how many of them stand under two labels.
        workers: threads that decode pairs again that thumbnails leave open.
        progress: called with (what, done, total).
    """
    small = thumbnails(grey)
    seen = np.flatnonzero(small.std(axis=(1, 2)) >= LEAST_CONTRAST)
    empty = np.empty(0, np.int64)
    first = second = turn = empty
    scores = np.empty(0, np.float32)
    parts: dict[tuple[int, int], NDArray[np.float64]] = {}
    thorough = len(seen) <= THOROUGH_UP_TO if thorough is None else thorough
    if len(seen) > 1:
        waves = standardised(small[seen])
        whiten = fit_whitening(waves)
        described = whiten(waves)
        found = search(
            described,
            least=LEAST_COSINE,
            progress=lambda done, total: progress("comparing pictures", done, total),
        )
        found = joined([found, turned_otherwise(described, found)])
        first, second, turn = seen[found.first], seen[found.second], found.orientation
        scores = score_pairs(
            grey,
            first,
            second,
            turn,
            read=lambda wanted, side: read_grey([paths[position] for position in wanted], side, workers),
            progress=progress,
        )
        best = best_of_each(_keys(first, second, len(grey)), scores)
        first, second, turn, scores = first[best], second[best], turn[best], scores[best]
        if thorough:
            sure = scores >= BASE
            known = set(
                zip(np.minimum(first, second)[sure].tolist(), np.maximum(first, second)[sure].tolist(), strict=True)
            )
            met = find_parts(grey, paths, whiten, known, workers=workers, progress=progress)
            parts = {
                (one, two): matrix
                for one, two, matrix in zip(met.first.tolist(), met.second.tolist(), met.maps, strict=True)
            }
            # A pair that was seen as a whole, in vain, is judged by what was seen in part.
            kept = ~np.isin(_keys(first, second, len(grey)), _keys(met.first, met.second, len(grey)))
            first, second, turn, scores = (
                np.concatenate([old[kept], new])
                for old, new in (
                    (first, met.first), (second, met.second), (turn, met.orientation), (scores, met.scores)
                )
            )  # fmt: skip
    labelled = (labels[first] >= 0) & (labels[second] >= 0)
    crosses = (labels[first] != labels[second])[labelled] if labelled.any() else None
    cut_off = choose_cut_off(
        scores if crosses is None else scores[labelled],
        crosses,
        identical=identical,
        thorough=thorough,
        exact=len(seen) <= EXACT_UP_TO,
    )
    kept = scores >= cut_off.score
    cut_off = cut_off.model_copy(update={"pairs": int(kept.sum()), "pairs_below": int((~kept).sum())})
    groups = make_groups(first[kept], second[kept], turn[kept], scores[kept])
    return NearCopies(groups, [_diameter(grey, group) for group in groups], cut_off, parts)


def _keys(first: NDArray[np.int64], second: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.minimum(first, second) * count + np.maximum(first, second)


def _diameter(grey: NDArray[np.uint8], group: Group) -> float:
    least = min(group.scores)
    one, two, turns = pairs_within(group)
    if len(one):
        least = min(least, float(score_pairs(grey, one, two, turns).min()))
    return round(1.0 - least, 4)


VERSION = 1  # part of the folder's name: raise it when hash_pixels() gives other values for the same file
HASH_BYTES = 16


def pixel_keys(
    inspected: Inspected,
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
        inspected: records of the images; those that failed have no pixels, and their key is of no use.
        contents: content keys.
        paths: a file with that content each.
        cache: folder of all caches.
        workers: threads that decode.
        progress: called with (what, done, total).

    Raises:
        StorageError: the cache cannot be written.
    """
    path_of = dict(zip(contents, paths, strict=True))
    alike: defaultdict[bytes, set[str]] = defaultdict(set)
    records = inspected.records
    sizes = np.stack([inspected.number("width"), inspected.number("height")], axis=1)
    for position, content in enumerate(contents):
        if position not in inspected.failed:
            parts = (records["grey"][position], records["colour"][position], sizes[position])
            alike[b"".join(part.tobytes() for part in parts) + records["layers"][position]].add(content)
    open_ = sorted(content for same in alike.values() if len(same) > 1 for content in same)
    hashes = _hashes(open_, path_of, cache=cache, workers=workers, progress=progress)
    return [hashes.get(content, content) for content in contents]


def _hashes(
    contents: list[str], path_of: dict[str, str], *, cache: Path, workers: int | None, progress: Progress
) -> dict[str, str]:
    if not contents:
        return {}
    store = RowStore(cache / "audit" / f"pixels-pillow{PIL.__version__}-v{VERSION}", shape=(HASH_BYTES,), dtype="uint8")
    todo = [contents[place] for place in store.missing(contents)]
    keys, rows = [], []
    with strict_pillow():
        made = in_parallel(_read, [(content, path_of[content]) for content in todo], workers or default_workers())
        for done, (content, row) in enumerate(zip(todo, made, strict=True), 1):
            if row is not None:
                keys.append(content)
                rows.append(row)
            progress("comparing pixels", done, len(todo))
    if keys:
        store.append(keys, np.stack(rows))
    unknown = {contents[place] for place in store.missing(contents)}
    known = [content for content in contents if content not in unknown]
    return {content: bytes(row).hex() for content, row in zip(known, store.read(known), strict=True)}


def _read(item: tuple[str, str]) -> NDArray[np.uint8] | None:
    """None when the file is gone or was changed since it was measured: it is like no other then."""
    content, path = item
    data = read_content(path, content)
    if isinstance(data, Failure):
        return None
    try:
        return np.frombuffer(hash_pixels(decode_upright(data)), np.uint8)
    except UnreadableImageError:
        return None


def hash_pixels(image: UprightImage) -> bytes:
    """xxh3_128 of mode, size and pixels as they are stored, turned upright."""
    layers = image.layers
    digest = xxhash.xxh3_128(f"{layers.mode} {layers.width} {layers.height} ".encode())
    digest.update(np.ascontiguousarray(layers).data)
    return digest.digest()
