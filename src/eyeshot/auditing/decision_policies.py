"""Applies policies, and compares accuracy before and after decisions in the same folds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.findings import (
    POLICY_KINDS,
    AuditReport,
    Finding,
    read_groups,
    read_report,
    settled_by,
    train_groups,
)
from eyeshot.auditing.split_quality import Comparison, compare_on_features
from eyeshot.core import SILENT, InputError, Progress, audit_file, find_project, find_workspace, shown_progress
from eyeshot.data import (
    Decision,
    Decisions,
    DecisionState,
    Manifest,
    Policy,
    Stopped,
    compute_manifest,
    copy_groups,
    count_open,
    decide_by_policy,
    find_decision,
    find_duplicate_groups,
    find_log,
    find_policy,
    merge_copy_groups,
    read_labelled,
)
from eyeshot.models import choose_device, image_features, name_reader, named_backbone


class PolicyResult(NamedTuple):
    """What a policy decided, the groups that `min_per_class` stopped, and what is still open.

    `open_groups` counts duplicate groups, and leaks of the audit, by the policy that settles them;
    `open_findings` counts the other findings of the audit by kind: a person has to look at these.
    """

    decisions: list[Decision]
    stopped: list[Stopped]
    open_groups: dict[str, int]
    open_findings: dict[str, int]


COPIES = ("conflict", "leak", "near-copy", "identical")
WHOLE = frozenset({"drop", "drop-both", "keep-one", "group", "not-copy"})
APART = frozenset({"group", "not-copy"})  # what a person says about a training and a test image together


def open_findings(report: AuditReport, decisions: Decisions) -> list[Finding]:
    """The findings of an audit without a decision, in its order.

    Findings that are only good to know are left out. A leak is settled when none of its training images is left in
    training, or each was kept; another duplicate group, or very similar pictures, when at most one of its training
    images is left, or by a decision about all of them; another finding by a decision about its image; and every finding
    by a decision made for it in the review.
    """
    for_finding = {decision.finding for decision in decisions.active if decision.finding}
    whole = [frozenset(decision.images) for decision in _whole(decisions)]
    about = {content for decision in decisions.active for content in decision.images}
    copies = dict.fromkeys(
        (image.content, image.label)
        for finding in report.findings
        if finding.kind in (*COPIES, "very-similar")
        for image in finding.images
        if image.split == "train"
    )
    state = DecisionState([content for content, _ in copies], [label for _, label in copies])
    state.take(decisions.stored)
    in_training = {image for row, image in enumerate(copies) if state.standing(row).left_out is None}
    kept = {image for image in in_training if any(decision.kind == "keep" for decision in state.about(image[0]))}
    apart = [group for group, decision in zip(whole, _whole(decisions), strict=True) if decision.kind in APART]
    still_open = []
    for finding in report.findings:
        training = [image for image in finding.images if image.split == "train" or finding.kind == "unreadable"]
        images = {image.content for image in training if image.content}
        if finding.suggestion == "none" or finding.id in for_finding:
            continue
        if finding.kind == "leak":
            everything = {image.content for image in finding.images}
            left = any((image.content, image.label) in in_training - kept for image in training)
            if left and not any(everything <= group for group in apart):
                still_open.append(finding)
            continue
        left_count = sum((image.content, image.label) in in_training for image in training)
        if finding.kind in (*COPIES, "very-similar") and left_count <= 1 < len(training):
            continue
        if images and (any(images <= group for group in whole) if finding.kind in COPIES else images <= about):
            continue
        still_open.append(finding)
    return still_open


def _whole(decisions: Decisions) -> list[Decision]:
    return [decision for decision in decisions.active if decision.kind in WHOLE]


def apply_policy(
    policy: str,
    train: str | Path | None = None,
    *,
    min_per_class: int = 5,
    audit: str | Path | None = None,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    author: str | None = None,
    decisions_file: str | Path | None = None,
    dry_run: bool = False,
    progress: Progress | bool | None = None,
) -> PolicyResult:
    """Decide about all duplicate groups by a policy, and store the decisions.

    Args:
        policy: "keep-one": of duplicates under one label the best stays; "drop-both": duplicates under several labels
            are dropped; "drop-leaks": training images that duplicate a test image are dropped; "group": duplicates
            stay, and stay together in every split.
        train: folder of labelled images; None: the folder in eyeshot.toml.
        min_per_class: every class keeps at least this many images; the groups that this stops are listed.
        audit: folder of an audit, or its audit.json, whose duplicates are decided about; None: that of the project if
            it is about these images, otherwise only duplicates with equal pixels, also turned, are decided about.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        author: who decides; None: EYESHOT_AUTHOR, git's user.name or the login name.
        decisions_file: None: decisions.jsonl of the project.
        dry_run: store nothing.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Raises:
        InputError: there is no such policy, a folder or file cannot be used, or "drop-leaks" has no audit with test
            images.
        StorageError: the decisions cannot be stored.
    """
    rule = find_policy(policy)
    sources = find_project().sources(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root
    )
    log, file = find_log(decisions_file), audit_file(audit)
    report = None if file is None else read_report(file)
    if report is not None and audit is None and not _is_about(report, sources["train"]):
        report = None
    if rule.groups == "with test images" and (report is None or report.test is None):
        raise InputError(
            f"--policy {policy} needs an audit of training and test images, got "
            f"{'none' if report is None else 'one without test images'}. Run first: eyeshot audit TRAIN --test TEST."
        )
    stored_decisions, cache = log.read(), find_workspace().cache
    with shown_progress(progress) as report_progress:
        table = read_labelled(sources, cache=cache, progress=report_progress)
        manifest = compute_manifest(table, stored_decisions)
        groups = _groups(rule, manifest, stored_decisions, report, cache, report_progress.sub("decoding"))
    decisions, stopped = decide_by_policy(
        rule, manifest, groups, min_per_class=min_per_class, known=stored_decisions, author=author,
        leaks=_leaks(report, stored_decisions),
    )  # fmt: skip
    if not dry_run:
        log.append(decisions)
    after = Decisions((*stored_decisions.stored, *decisions))
    manifest = compute_manifest(table, after)
    open_groups = count_open(manifest, _groups(find_policy("keep-one"), manifest, after, report, cache), after)
    still_open = [] if report is None else open_findings(report, after)
    open_groups["drop-leaks"] = sum(settled_by(finding) == "drop-leaks" for finding in still_open)
    open_groups = {name: open_groups[name] for name in POLICY_KINDS if open_groups.get(name)}
    kinds: Counter[str] = Counter(finding.kind for finding in still_open if not settled_by(finding))
    return PolicyResult(decisions, stopped, open_groups, dict(kinds))


def _is_about(report: AuditReport, train: Path) -> bool:
    return os.path.realpath(report.train) == os.path.realpath(train)


def _groups(
    rule: Policy,
    manifest: Manifest,
    decisions: Decisions,
    report: AuditReport | None,
    cache: Path,
    progress: Progress = SILENT,
) -> NDArray[np.int64]:
    """The duplicate groups that a policy decides about: int64 (N,), equal for duplicates.

    What leaves images out goes by the duplicates that the audit verified, without those that a person has to look at;
    small thumbnails alone cannot tell duplicates from pictures of one scene. What only keeps images together may be
    generous, so decisions to keep images together, as very similar pictures, do not make them duplicates.
    """
    table = manifest.table
    if rule.kind == "group":
        more = [] if report is None else train_groups([*report.groups, *report.similar])
        return find_duplicate_groups(table, decisions, cache=cache, more=more, progress=progress)[0]
    decisions = Decisions(tuple(decision for decision in decisions.active if decision.kind != "group"))
    if report is None:
        return find_duplicate_groups(table, decisions, cache=cache, exact=True, progress=progress)[0]
    unsure = {finding.id for finding in report.findings if finding.suggestion == "look"}
    verified = train_groups([group for group in report.groups if not unsure & set(group.findings)])
    return merge_copy_groups(table, copy_groups(table), decisions, more=verified)


def _leaks(report: AuditReport | None, decisions: Decisions) -> dict[str, str]:
    """Content keys of the training images of open leaks, and the id of the test image that each duplicates."""
    if report is None:
        return {}
    leaks: dict[str, str] = {}
    for finding in open_findings(report, decisions):
        if settled_by(finding) == "drop-leaks":
            test = next(image.id for image in finding.images if image.split == "test")
            leaks |= {image.content: test for image in finding.images if image.split == "train"}
    return leaks


def compare_decisions(
    train: str | Path | None = None,
    *,
    ids: Sequence[str] = (),
    policy: str = "",
    folds: int = 5,
    audit: str | Path | None = None,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    decisions_file: str | Path | None = None,
    model: str | None = None,
    weights: str | Path | None = None,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    device: str | None = None,
    seed: int = 0,
    progress: Progress | bool | None = None,
) -> Comparison:
    """Cross-validate a linear probe before and after decisions, in the same folds, and say whether they help.

    Args:
        train: folder of labelled images; None: the folder in eyeshot.toml.
        ids: beginnings of the ids of the decisions; empty: all active decisions.
        policy: only what this policy decided, for instance "keep-one".
        folds: folds of the cross-validation.
        audit: folder of an audit, or its audit.json, whose near-duplicates stay together; None: that of the project.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        decisions_file: None: decisions.jsonl of the project.
        model: timm tag or "package.module:factory" whose features are read; None: thumbnails.
        weights: local file with its weights.
        size, mean, std, interpolation, fit: how its images are prepared; None: the model's own.
        device: where the model runs: cuda, mps or cpu; None: chosen automatically.
        seed: seed of the folds.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Raises:
        InputError: there is no such decision, or a folder or file cannot be used.
        ModelError: the model is not available.
    """
    sources = find_project().sources(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root
    )
    stored_decisions = find_log(decisions_file).read()
    if not ids and not stored_decisions.stored:
        raise InputError("There are no decisions yet, so nothing can be compared. Make some with eyeshot review.")
    compared = [find_decision(stored_decisions, start) for start in ids] or list(stored_decisions.active)
    compared = [decision for decision in compared if decision.policy.split(" ")[0] == policy or not policy]
    near = audit_file(audit)
    more = [] if near is None else read_groups(near)
    backbone = named_backbone(
        model, weights=weights, size=size, mean=mean, std=std, interpolation=interpolation, fit=fit
    )
    place, cache = str(choose_device(device)[0]), find_workspace().cache
    with shown_progress(progress) as report_progress:
        table = read_labelled(sources, cache=cache, progress=report_progress)
        groups, pixels = find_duplicate_groups(
            table, stored_decisions, cache=cache, more=more, progress=report_progress.sub("decoding")
        )
        table, groups = table.take(pixels.rows), groups[pixels.rows]
        features = image_features(table, pixels, backbone, cache=cache, device=place, progress=report_progress)
        return compare_on_features(
            table, features, groups, stored_decisions, [decision.id for decision in compared], folds=folds, seed=seed,
            reader=name_reader(backbone), progress=report_progress.sub("linear probes"),
        )  # fmt: skip
