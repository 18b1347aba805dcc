"""Look at the data first: findings, decisions, the manifest after them, and splits that copies do not flatter.

Names are loaded when first used: listing decisions needs no network library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyeshot.lazy import names_from

if TYPE_CHECKING:
    from eyeshot.auditing.aligning import align
    from eyeshot.auditing.comparing import Comparison, compare_decisions
    from eyeshot.auditing.contradictions import WINNERS, Contradiction, Winner, find_contradictions, settle
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
    from eyeshot.auditing.head_features import image_features, name_reader
    from eyeshot.auditing.manifest import DecisionState, Manifest, Standing, compute_manifest
    from eyeshot.auditing.policies import POLICIES, apply_policy, find_policy
    from eyeshot.auditing.report import (
        AuditReport,
        CopyGroup,
        Distribution,
        Finding,
        ImageRef,
        LabelPair,
        read_groups,
        read_report,
    )
    from eyeshot.auditing.run import Audit, audit
    from eyeshot.auditing.sources import Sources, is_flat, read_sources
    from eyeshot.auditing.split import SPLIT_FILE, count_parts, read_split
    from eyeshot.auditing.splitting import SplitRequest, make_split
    from eyeshot.auditing.using import use_decisions, use_split
    from eyeshot.auditing.words import NAMES

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
    "Comparison",
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
    "SplitRequest",
    "Standing",
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
    "image_features",
    "is_flat",
    "make_split",
    "merge_copy_groups",
    "name_reader",
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

# No module may have the name of what it exports: once it is loaded, the package's attribute is the module.
_HOME = {
    "align": "aligning",
    "audit": "run",
    "Sources": "sources",
    "read_report": "report",
    "read_sources": "sources",
    "is_flat": "sources",
    "ImageRef": "report",
    "Finding": "report",
    "LabelPair": "report",
    "Distribution": "report",
    "AuditReport": "report",
    "Audit": "run",
    "NAMES": "words",
    "DECISIONS_FILE": "decisions",
    "KINDS": "decisions",
    "POLICIES": "policies",
    "SPLIT_FILE": "split",
    "Contradiction": "contradictions",
    "DecisionLog": "decisions",
    "DecisionState": "manifest",
    "REVIEW_OF": "decisions",
    "Standing": "manifest",
    "WINNERS": "contradictions",
    "Winner": "contradictions",
    "default_author": "decisions",
    "ordered": "decisions",
    "find_contradictions": "contradictions",
    "merge_copy_groups": "copy_groups",
    "read_groups": "report",
    "settle": "contradictions",
    "undo_of": "decisions",
    "Comparison": "comparing",
    "compare_decisions": "comparing",
    "image_features": "head_features",
    "name_reader": "head_features",
    "Decision": "decisions",
    "Decisions": "decisions",
    "Manifest": "manifest",
    "SplitRequest": "splitting",
    "apply_policy": "policies",
    "compute_manifest": "manifest",
    "count_parts": "split",
    "decide": "decisions",
    "find_groups": "copy_groups",
    "find_policy": "policies",
    "make_split": "splitting",
    "read_split": "split",
    "use_decisions": "using",
    "use_split": "using",
    "write_csv": "export",
    "write_decisions": "export",
    "write_links": "export",
}

__getattr__ = names_from(__name__, _HOME)
