"""`audit()`: look at the data first. One pass over the files, then findings with evidence."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eyeshot.auditing.adversarial import tell_apart
from eyeshot.auditing.copies import Copies, find_copies
from eyeshot.auditing.distributions import compare
from eyeshot.auditing.found import told_apart
from eyeshot.auditing.inspection import Inspected, Inspector
from eyeshot.auditing.odd import bad_refs, odd_classes, odd_files
from eyeshot.auditing.properties import properties
from eyeshot.auditing.report import AuditReport, ClassCount, Distribution, Finding
from eyeshot.auditing.sources import Sources, read_sources
from eyeshot.auditing.words import KINDS, answer
from eyeshot.core import SILENT, Progress
from eyeshot.workspace import make_folder, replacing

if TYPE_CHECKING:
    from eyeshot.auditing.with_model import WithModel
    from eyeshot.models import Backbone

SMALL_CLASS = 20


@dataclass(frozen=True, eq=False)
class Audit:
    """What `audit()` found.

    Attributes:
        report: the contents of `audit.json`.
        sources: the images, for pages that show them.
    """

    report: AuditReport
    sources: Sources

    def save(self, folder: Path) -> None:
        """Write `audit.json` and `findings.csv`, each whole or not at all.

        Raises:
            StorageError: the folder cannot be written.
        """
        make_folder(folder)
        with replacing(folder / "audit.json") as temporary:
            temporary.write_text(self.report.model_dump_json(indent=2) + "\n", encoding="utf-8")
        with replacing(folder / "findings.csv") as temporary:
            temporary.write_bytes(_csv(self.report.findings).encode("utf-8", "replace"))


def audit(
    train: Path,
    test: Path | None = None,
    *,
    labels: Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: Path | None = None,
    small_class: int = SMALL_CLASS,
    thorough: bool | None = None,
    backbone: Backbone | None = None,
    probabilities: Path | None = None,
    device: str = "cpu",
    cache: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> Audit:
    """Look at training images, and at test images beside them. Files are only read, never touched.

    Args:
        train: folder with one folder per class, or the root of `labels`, or just images.
        test: unlabelled folder.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read it; guessed where not given.
        small_class: classes with fewer images are named.
        thorough: search for crops and small turns too; None: up to 2,000 pictures.
        backbone: whose features are read for label issues, outliers, and train against test; None: none of these.
        probabilities: CSV with the user's own out-of-fold probabilities, for label issues.
        device: where the model runs.
        cache: folder of all caches; what it knows by content is not decoded again.
        workers: threads that read; one per processor by default.
        progress: told how far it is; None: nobody.
        command: what was typed, for the report.

    Raises:
        InputError: a folder, the CSV or the probabilities cannot be used.
        ModelError: the model's features are not finite.
        StorageError: the cache cannot be written.
    """
    progress = progress or SILENT
    clock = _Clock()
    with clock("images"):
        inspector = Inspector(cache)
        sources = read_sources(
            train, test, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root,
            cache=cache, workers=workers, progress=progress,
            # The file of probabilities is checked first, against classes that only the headers tell.
            look=inspector.look() if probabilities is None else None, keep=inspector.keep,
        )  # fmt: skip
        given = None
        if probabilities is not None:
            from eyeshot.auditing.given_probabilities import open_probabilities

            given = open_probabilities(probabilities, sources.train.classes)
        inspected = inspector.inspect(sources.contents, sources.paths, workers=workers, progress=progress)
    with clock("copies"):
        copies = find_copies(sources, inspected, thorough=thorough, cache=cache, workers=workers, progress=progress)
    usable = np.array([row for row in range(len(sources)) if row not in inspected.failed], np.int64)
    seen: WithModel | None = None
    if backbone is not None or given is not None:
        from eyeshot.auditing.with_model import look_with_model  # torch, which the rest does without

        with clock("model"):
            seen = look_with_model(
                sources, usable, copies.group_of, backbone=backbone, probabilities=given, device=device,
                cache=cache, progress=progress,
            )  # fmt: skip
    distributions: list[Distribution] = []
    adversarial = None
    if test is not None:
        with clock("train and test"):
            progress(0, 0, "comparing training and test")
            side, groups = sources.in_test[usable], copies.group_of[usable]
            if 0 < side.sum() < len(side):
                found = properties(sources, inspected, usable)
                distributions = compare(found, side, groups, lambda rows: sources.refs(usable[rows]))
                adversarial = tell_apart(found, side, groups)
    with clock("odd"):
        odd = told_apart([*odd_files(sources, inspected), *odd_classes(sources, small=small_class)])
    findings = sorted([*copies.findings, *odd, *(told_apart(seen.findings) if seen else ())], key=_place)
    images: Counter[str] = Counter()
    for one in findings:
        images[one.kind] += len(one.images)
    report = AuditReport(
        train=str(train),
        test=None if test is None else str(test),
        n_train=len(sources.train),
        n_test=0 if sources.test is None else len(sources.test),
        n_files=len(sources) + len(sources.bad),
        findings=findings,
        groups=copies.groups,
        cut_off=copies.cut_off,
        conflicts=copies.conflicts,
        classes=_classes(sources, inspected, copies),
        small_class=small_class,
        distributions=distributions,
        adversarial=adversarial,
        adversarial_features=seen.adversarial if seen else None,
        label_issues=seen.label_issues if seen else None,
        notes=[*sources.notes, *(seen.notes if seen else ())],
        read=inspected.read,
        seconds=clock.seconds,
        cpu_seconds=clock.cpu_seconds,
        versions=_versions(*(("torch", "timm", "scikit-learn") if seen else ())),
        command=command,
        counts=_in_order(Counter(one.kind for one in findings)),
        images_by_kind=_in_order(images),
    )
    report.answer = answer(report, skipped=len(bad_refs(sources, inspected)))
    return Audit(report, sources)


def _place(one: Finding) -> tuple[int, int, float, str]:
    """By kind and size; what has a rank of its own keeps it."""
    rank = one.evidence.get("rank", 0.0)
    return KINDS.index(one.kind), -len(one.images), rank if isinstance(rank, float) else 0.0, one.id


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds[part] = round(time.perf_counter() - wall, 3)
        self.cpu_seconds[part] = round(time.process_time() - cpu, 3)


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    return {kind: counts[kind] for kind in KINDS if kind in counts}


def _classes(sources: Sources, inspected: Inspected, copies: Copies) -> list[ClassCount]:
    made = []
    usable = np.array([position not in inspected.failed for position in range(len(sources))])
    for number, label in enumerate(sources.train.classes):
        rows = np.flatnonzero((sources.labels == number) & usable)
        made.append(ClassCount(label=label, images=len(rows), different=len(np.unique(copies.group_of[rows]))))
    return made


def _csv(findings: list[Finding]) -> str:
    """One line for each image of each finding."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            "finding",
            "kind",
            "split",
            "image",
            "label",
            "content",
            "confidence",
            "basis",
            "suggestion",
            "words",
            "proposed",
        ]
    )
    for one in findings:
        for ref in one.images:
            writer.writerow(
                [
                    one.id, one.kind, ref.split, ref.id, ref.label or "", ref.content, one.confidence,
                    one.confidence_basis, one.suggestion, one.words, one.evidence.get("proposed", ""),
                ]
            )  # fmt: skip
    return buffer.getvalue()


def _versions(*more: str) -> dict[str, str]:
    names = ("eyeshot", "numpy", "pillow", "polars", "scipy", *more)
    found = {"python": sys.version.split()[0]}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a checkout
            continue
    return found
