"""Applies policies, and compares accuracy before and after decisions in the same folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from eyeshot.auditing.findings import AuditReport, Finding, read_groups, read_report
from eyeshot.auditing.split_quality import Comparison, compare_on_features
from eyeshot.core import Progress, audit_file, find_project, find_workspace, shown_progress
from eyeshot.data import (
    Decision,
    Decisions,
    Stopped,
    compute_manifest,
    count_open,
    decide_by_policy,
    find_decision,
    find_duplicate_groups,
    find_log,
    find_policy,
    read_labelled,
)
from eyeshot.models import choose_device, image_features, name_reader, named_backbone


class PolicyResult(NamedTuple):
    """What a policy decided, the groups that `min_per_class` stopped, and what is still open.

    `open_groups` counts duplicate groups by the policy that settles them, including near-duplicates of the audit;
    `open_findings` counts the other findings of the audit by kind: a person has to look at these.
    """

    decisions: list[Decision]
    stopped: list[Stopped]
    open_groups: dict[str, int]
    open_findings: dict[str, int]


COPIES = ("conflict", "leak", "near-copy", "identical")
SETTLED_BY_POLICY = ("conflict", "near-copy", "identical")
WHOLE = frozenset({"drop", "drop-both", "keep-one", "group", "not-copy"})


def open_findings(report: AuditReport, decisions: Decisions) -> list[Finding]:
    """The findings of an audit without a decision, in its order.

    Findings that are only good to know are left out. A duplicate group is settled by a decision about all its training
    images, another finding by a decision about its image, and every finding by a decision made for it in the review.
    """
    for_finding = {decision.finding for decision in decisions.active if decision.finding}
    whole = [frozenset(decision.images) for decision in decisions.active if decision.kind in WHOLE]
    about = {content for decision in decisions.active for content in decision.images}
    still_open = []
    for finding in report.findings:
        images = {image.content for image in finding.images if image.split == "train" and image.content}
        if finding.suggestion == "none" or finding.id in for_finding:
            continue
        if images and (any(images <= group for group in whole) if finding.kind in COPIES else images <= about):
            continue
        still_open.append(finding)
    return still_open


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
        policy: "keep-one": of duplicates under one label the largest stays; "drop-both": duplicates under several
            labels are dropped; "group": duplicates stay, and stay together in every split.
        train: folder of labelled images; None: the folder in eyeshot.toml.
        min_per_class: every class keeps at least this many images; the groups that this stops are listed.
        audit: folder of an audit, or its audit.json, whose near-duplicates are included; None: only exact, turned
            and resized duplicates.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        author: who decides; None: EYESHOT_AUTHOR, or the login name.
        decisions_file: None: decisions.jsonl of the project.
        dry_run: store nothing.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Raises:
        InputError: there is no such policy, or a folder or file cannot be used.
        StorageError: the decisions cannot be stored.
    """
    rule = find_policy(policy)
    sources = find_project().sources(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root
    )
    log, near = find_log(decisions_file), None if audit is None else audit_file(audit)
    stored_decisions, more = log.read(), [] if near is None else read_groups(near)
    cache = find_workspace().cache
    with shown_progress(progress) as report_progress:
        table = read_labelled(sources, cache=cache, progress=report_progress)
        manifest = compute_manifest(table, stored_decisions)
        groups, _ = find_duplicate_groups(
            manifest.table, stored_decisions, cache=cache, more=more, progress=report_progress.sub("decoding")
        )
    decisions, stopped = decide_by_policy(
        rule, manifest, groups, min_per_class=min_per_class, known=stored_decisions, author=author
    )
    if not dry_run:
        log.append(decisions)
    after = Decisions((*stored_decisions.stored, *decisions))
    report_file = audit_file(audit)
    more = [] if report_file is None else read_groups(report_file)
    manifest = compute_manifest(table, after)
    groups, _ = find_duplicate_groups(manifest.table, after, cache=cache, more=more)
    still_open = [] if report_file is None else open_findings(read_report(report_file), after)
    kinds = Counter(finding.kind for finding in still_open)
    return PolicyResult(
        decisions, stopped, count_open(manifest, groups, after),
        {kind: count for kind, count in kinds.items() if kind not in SETTLED_BY_POLICY},
    )  # fmt: skip


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
