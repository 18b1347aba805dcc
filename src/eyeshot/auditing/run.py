"""`audit()`: look at the data first. A single pass over the files, then findings with evidence."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from eyeshot.auditing.copies.groups import Copies, find_copies
from eyeshot.auditing.findings import (
    KINDS,
    AuditReport,
    ClassCount,
    Distribution,
    Finding,
    count_duplicates,
    first_things_to_do,
    with_unique_ids,
)
from eyeshot.auditing.image_quality import check_classes, check_files
from eyeshot.auditing.image_stats import ImageStats, ImageStatsCache
from eyeshot.auditing.images import AuditImages, read_audit_images
from eyeshot.auditing.train_vs_test import TOO_FEW, classify_by_properties, compare_properties, measured_properties
from eyeshot.core import (
    InputError,
    Progress,
    check_file,
    find_project,
    find_workspace,
    make_folder,
    replacing,
    shown_progress,
)

if TYPE_CHECKING:
    from eyeshot.auditing.model_checks import ModelChecks
    from eyeshot.models import Backbone

SMALL_CLASS = 20


@dataclass(frozen=True, eq=False)
class Audit:
    """The result of `audit()`.

    Attributes:
        report: the contents of `audit.json`.
        images: the images, for pages that show them.
    """

    report: AuditReport
    images: AuditImages

    def save(self, folder: Path | str) -> None:
        """Write `audit.json` and `findings.csv`; each is written completely or not at all.

        Raises:
            StorageError: the folder cannot be written.
        """
        folder = make_folder(Path(folder))
        with replacing(folder / "audit.json") as temporary:
            temporary.write_text(self.report.model_dump_json(indent=2) + "\n", encoding="utf-8")
        with replacing(folder / "findings.csv") as temporary:
            temporary.write_bytes(_csv(self.report.findings).encode("utf-8", "replace"))


def audit(
    train: str | Path | None = None,
    test: str | Path | None = None,
    *,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    small_class: int = SMALL_CLASS,
    thorough: bool | None = None,
    model: str | None = None,
    weights: str | Path | None = None,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    backbone: Backbone | None = None,
    probabilities: str | Path | None = None,
    device: str | None = None,
    workers: int | None = None,
    cache: str | Path | None = None,
    progress: Progress | bool | None = None,
    command: str = "",
) -> Audit:
    """Look at training images, and at test images if given. Files are only read, never changed.

    Args:
        train: folder with a folder per class, or the root of `labels`, or images; None: the folder in eyeshot.toml.
        test: folder of unlabelled test images.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        small_class: classes with fewer images are reported.
        thorough: search for crops and small turns too; None: up to 2,000 pictures.
        model: timm tag or "package.module:factory", whose features are used for label issues, outliers, and train
            against test; None: none of these.
        weights: local file with its weights.
        size, mean, std, interpolation, fit: how its images are prepared; None: the model's own.
        backbone: a loaded model, instead of `model`.
        probabilities: CSV with the user's own out-of-fold probabilities, for label issues.
        device: where the model runs: cuda, mps or cpu; None: chosen automatically.
        workers: threads that read; None: one per processor.
        cache: folder of all caches; None: the project's cache. Images whose content it knows are not decoded again.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.
        command: what was typed, for the report.

    Returns:
        the report, and the images for pages; `save` writes audit.json and findings.csv.

    Raises:
        InputError: a folder, an option, the CSV or the probabilities cannot be used.
        ModelError: the model is not available, or its features are not finite.
        StorageError: the cache cannot be written.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers must be at least 1, got {workers}. Leave it out for one per core.")
    if small_class < 0:
        raise InputError(f"--small-class must be 0 or more, got {small_class}. 0 reports no class.")
    project = find_project()
    sources = project.sources(
        train, test, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root
    )
    if sources["test"] is not None:
        project.check_use("features", "eyeshot audit with test images")
    for option, file in (("--labels", sources["labels"]), ("--probabilities", probabilities)):
        if file is not None:
            check_file(file, option)
    place = "cpu"
    if backbone is None and (model, weights, size, mean, std, interpolation) != (None,) * 6:
        from eyeshot.models import named_backbone

        backbone = named_backbone(
            model, weights=weights, size=size, mean=mean, std=std, interpolation=interpolation, fit=fit
        )
    if backbone is not None:
        from eyeshot.models import choose_device

        place = str(choose_device(device)[0])
    with shown_progress(progress) as report_progress:
        return _audit(
            **sources, small_class=small_class, thorough=thorough, backbone=backbone,
            probabilities=None if probabilities is None else Path(probabilities), device=place,
            cache=find_workspace().cache if cache is None else Path(cache), workers=workers, progress=report_progress,
            command=command,
        )  # fmt: skip


def _audit(
    train: Path,
    test: Path | None,
    *,
    labels: Path | None,
    path_column: str | None,
    label_column: str | None,
    image_root: Path | None,
    small_class: int,
    thorough: bool | None,
    backbone: Backbone | None,
    probabilities: Path | None,
    device: str,
    cache: Path,
    workers: int | None,
    progress: Progress,
    command: str,
) -> Audit:
    clock = _Clock()
    with clock("images"):
        stats_cache = ImageStatsCache(cache)
        images = read_audit_images(
            train, test, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root,
            cache=cache, workers=workers, progress=progress,
            # The file of probabilities is checked first, against the classes known from the headers.
            look=stats_cache.measurer() if probabilities is None else None, keep=stats_cache.keep,
        )  # fmt: skip
        user_probabilities = None
        if probabilities is not None:
            from eyeshot.auditing.label_issues import open_probabilities

            user_probabilities = open_probabilities(probabilities, images.train.classes)
        stats = stats_cache.get(
            images.contents, images.paths, keys=images.pixel_keys, levels=images.levels, workers=workers,
            progress=progress,
        )  # fmt: skip
    with clock("duplicates"):
        copies = find_copies(images, stats, thorough=thorough, cache=cache, workers=workers, progress=progress)
    usable = np.array([row for row in range(len(images)) if row not in stats.failed], np.int64)
    checks: ModelChecks | None = None
    if backbone is not None or user_probabilities is not None:
        from eyeshot.auditing.model_checks import run_model_checks

        with clock("model"):
            checks = run_model_checks(
                images, usable, copies.group_of, backbone=backbone, probabilities=user_probabilities, device=device,
                cache=cache, progress=progress,
            )  # fmt: skip
    distributions: list[Distribution] = []
    adversarial = None
    if test is not None:
        with clock("train and test"):
            progress(0, 0, "comparing training and test")
            side, groups = images.in_test[usable], copies.group_of[usable]
            if 0 < side.sum() < len(side):
                properties = measured_properties(images, stats, usable)
                distributions = compare_properties(properties, side, groups, lambda rows: images.refs(usable[rows]))
                adversarial = classify_by_properties(properties, side, groups)
    notes = [*images.notes, *(checks.notes if checks else ())]
    if test is not None and adversarial is None:
        notes.append(TOO_FEW)
    with clock("odd"):
        quality = with_unique_ids([*check_files(images, stats), *check_classes(images, small=small_class)])
    findings = sorted([*copies.findings, *quality, *(with_unique_ids(checks.findings) if checks else ())], key=_place)
    image_counts: Counter[str] = Counter()
    for finding in findings:
        image_counts[finding.kind] += len(finding.images)
    report = AuditReport(
        train=str(train),
        test=None if test is None else str(test),
        n_train=int((~images.in_test[usable]).sum()),
        n_test=int(images.in_test[usable].sum()),
        n_files=len(images) + len(images.unusable),
        findings=findings,
        groups=copies.groups,
        similar=copies.similar,
        duplicates=count_duplicates(copies.groups),
        cut_off=copies.cut_off,
        conflicts=copies.conflicts,
        classes=_classes(images, stats, copies),
        small_class=small_class,
        distributions=distributions,
        adversarial=adversarial,
        adversarial_features=checks.adversarial if checks else None,
        label_issues=checks.label_issues if checks else None,
        notes=list(dict.fromkeys(notes)),
        read=stats.read,
        seconds=clock.seconds,
        cpu_seconds=clock.cpu_seconds,
        versions=_versions(*(("torch", "timm", "scikit-learn") if checks else ())),
        command=command,
        counts=_in_order(Counter(finding.kind for finding in findings)),
        images_by_kind=_in_order(image_counts),
    )
    report.answer = first_things_to_do(report)
    return Audit(report, images)


def _place(finding: Finding) -> tuple[int, bool, float, int, float, str]:
    """Sort key: by kind, findings in training before those in test alone, the most certain first, then by size.

    A finding with a rank keeps it. Near-duplicates of an audit share an estimated precision, but their scores differ.
    """
    rank, score = finding.evidence.get("rank", 0.0), finding.evidence.get("score", 1.0)
    ranked = isinstance(rank, float) and rank > 0
    sure = score if isinstance(score, float) and not ranked else 1.0
    in_test = all(image.split == "test" for image in finding.images)
    place = rank if isinstance(rank, float) else 0.0
    return KINDS.index(finding.kind), in_test, -sure, -len(finding.images), place, finding.id


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


def _classes(images: AuditImages, stats: ImageStats, copies: Copies) -> list[ClassCount]:
    counts = []
    usable = np.array([position not in stats.failed for position in range(len(images))])
    for number, label in enumerate(images.train.classes):
        rows = np.flatnonzero((images.labels == number) & usable)
        counts.append(ClassCount(label=label, images=len(rows), different=len(np.unique(copies.group_of[rows]))))
    return counts


def _csv(findings: list[Finding]) -> str:
    """A line for each image of each finding; of a leak only the training image is to be dropped."""
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
    for finding in findings:
        for ref in finding.images:
            suggestion = "none" if finding.kind == "leak" and ref.split == "test" else finding.suggestion
            writer.writerow(
                [
                    finding.id, finding.kind, ref.split, ref.id, ref.label or "", ref.content, finding.confidence,
                    finding.confidence_basis, suggestion, finding.words, finding.evidence.get("proposed", ""),
                ]
            )  # fmt: skip
    return buffer.getvalue()


def _versions(*more: str) -> dict[str, str]:
    names = ("eyeshot", "numpy", "pillow", "polars", "scipy", *more)
    versions = {"python": sys.version.split()[0]}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a checkout
            continue
    return versions
