"""What is in the data: findings with evidence, and what people decided about them.

Names are loaded when first used: the processes that decode need no tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyeshot.lazy import names_from

if TYPE_CHECKING:
    from eyeshot.auditing.contradictions import WINNERS, Contradiction, Winner, find_contradictions, settle
    from eyeshot.auditing.copies.crops import align
    from eyeshot.auditing.copy_groups import find_groups, merge_copy_groups
    from eyeshot.auditing.decisions import (
        DECISIONS_FILE,
        KINDS,
        REVIEW_OF,
        Decision,
        DecisionLog,
        Decisions,
        decide,
        default_author,
        ordered,
        undo_of,
    )
    from eyeshot.auditing.export import write_csv, write_decisions, write_links
    from eyeshot.auditing.findings import (
        NAMES,
        AuditReport,
        CopyGroup,
        Distribution,
        Finding,
        ImageRef,
        LabelPair,
        read_groups,
        read_report,
    )
    from eyeshot.auditing.images import Sources, is_flat, read_sources
    from eyeshot.auditing.manifest import DecisionState, Manifest, compute_manifest
    from eyeshot.auditing.policies import POLICIES, apply_policy, find_policy
    from eyeshot.auditing.run import Audit, audit
    from eyeshot.auditing.split import SPLIT_FILE, Split, count_parts, read_split
    from eyeshot.auditing.split_quality import compare_decisions
    from eyeshot.auditing.splitting import SplitRequest, make_split
    from eyeshot.auditing.using import use_decisions, use_split

__all__ = [
    "DECISIONS_FILE",
    "KINDS",
    "NAMES",
    "POLICIES",
    "REVIEW_OF",
    "SPLIT_FILE",
    "WINNERS",
    "Audit",
    "AuditReport",
    "Contradiction",
    "CopyGroup",
    "Decision",
    "DecisionLog",
    "DecisionState",
    "Decisions",
    "Distribution",
    "Finding",
    "ImageRef",
    "LabelPair",
    "Manifest",
    "Sources",
    "Split",
    "SplitRequest",
    "Winner",
    "align",
    "apply_policy",
    "audit",
    "compare_decisions",
    "compute_manifest",
    "count_parts",
    "decide",
    "default_author",
    "find_contradictions",
    "find_groups",
    "find_policy",
    "is_flat",
    "make_split",
    "merge_copy_groups",
    "ordered",
    "read_groups",
    "read_report",
    "read_sources",
    "read_split",
    "settle",
    "undo_of",
    "use_decisions",
    "use_split",
    "write_csv",
    "write_decisions",
    "write_links",
]

_HOME = {
    "Audit": "run",
    "AuditReport": "findings",
    "Contradiction": "contradictions",
    "CopyGroup": "findings",
    "DECISIONS_FILE": "decisions",
    "Decision": "decisions",
    "DecisionLog": "decisions",
    "DecisionState": "manifest",
    "Decisions": "decisions",
    "Distribution": "findings",
    "Finding": "findings",
    "ImageRef": "findings",
    "KINDS": "decisions",
    "LabelPair": "findings",
    "Manifest": "manifest",
    "NAMES": "findings",
    "POLICIES": "policies",
    "REVIEW_OF": "decisions",
    "SPLIT_FILE": "split",
    "Sources": "images",
    "Split": "split",
    "SplitRequest": "splitting",
    "WINNERS": "contradictions",
    "Winner": "contradictions",
    "align": "copies.crops",
    "apply_policy": "policies",
    "audit": "run",
    "compare_decisions": "split_quality",
    "compute_manifest": "manifest",
    "count_parts": "split",
    "decide": "decisions",
    "default_author": "decisions",
    "find_contradictions": "contradictions",
    "find_groups": "copy_groups",
    "find_policy": "policies",
    "is_flat": "images",
    "make_split": "splitting",
    "merge_copy_groups": "copy_groups",
    "ordered": "decisions",
    "read_groups": "findings",
    "read_report": "findings",
    "read_sources": "images",
    "read_split": "split",
    "settle": "contradictions",
    "undo_of": "decisions",
    "use_decisions": "using",
    "use_split": "using",
    "write_csv": "export",
    "write_decisions": "export",
    "write_links": "export",
}

__getattr__ = names_from(__name__, _HOME)
