"""Look at the data first: findings, decisions, the manifest after them, and splits that copies do not flatter.

Names are loaded when first used: listing decisions needs no network library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyeshot.lazy import names_from

if TYPE_CHECKING:
    from eyeshot.auditing.copies.crops import align
    from eyeshot.auditing.decision import KINDS, BadLine, Decision, Decisions, decide
    from eyeshot.auditing.export import write_csv, write_decisions, write_links
    from eyeshot.auditing.findings import (
        NAMES,
        AuditReport,
        CopyGroup,
        Distribution,
        Finding,
        ImageRef,
        LabelPair,
        read_report,
    )
    from eyeshot.auditing.following import Follower
    from eyeshot.auditing.images import (
        AuditImages,
        Sources,
        has_no_class_folders,
        is_flat,
        read_audit_images,
        read_sources,
    )
    from eyeshot.auditing.journal import DECISIONS_FILE, Journal
    from eyeshot.auditing.known_copies import decided_groups, find_groups, read_groups
    from eyeshot.auditing.manifest import Manifest, compute_manifest
    from eyeshot.auditing.policies import POLICIES, apply_policy, find_policy
    from eyeshot.auditing.run import Audit, audit
    from eyeshot.auditing.split import SPLIT_FILE, Split, count_parts, read_split
    from eyeshot.auditing.split_quality import Comparison, compare_decisions
    from eyeshot.auditing.splitting import SplitRequest, make_split
    from eyeshot.auditing.using import use_decisions, use_split

__all__ = [
    "DECISIONS_FILE",
    "KINDS",
    "NAMES",
    "POLICIES",
    "SPLIT_FILE",
    "Audit",
    "AuditImages",
    "AuditReport",
    "BadLine",
    "Comparison",
    "CopyGroup",
    "Decision",
    "Decisions",
    "Distribution",
    "Finding",
    "Follower",
    "ImageRef",
    "Journal",
    "LabelPair",
    "Manifest",
    "Sources",
    "Split",
    "SplitRequest",
    "align",
    "apply_policy",
    "audit",
    "compare_decisions",
    "compute_manifest",
    "count_parts",
    "decide",
    "decided_groups",
    "find_groups",
    "find_policy",
    "has_no_class_folders",
    "is_flat",
    "make_split",
    "read_audit_images",
    "read_groups",
    "read_report",
    "read_sources",
    "read_split",
    "use_decisions",
    "use_split",
    "write_csv",
    "write_decisions",
    "write_links",
]

# No module may have the name of what it exports: once it is loaded, the package's attribute is the module.
_HOME = {
    "align": "copies.crops",
    "audit": "run",
    "Follower": "following",
    "AuditImages": "images",
    "has_no_class_folders": "images",
    "read_audit_images": "images",
    "Sources": "images",
    "read_report": "findings",
    "read_sources": "images",
    "is_flat": "images",
    "ImageRef": "findings",
    "Finding": "findings",
    "LabelPair": "findings",
    "Distribution": "findings",
    "CopyGroup": "findings",
    "AuditReport": "findings",
    "Audit": "run",
    "NAMES": "findings",
    "DECISIONS_FILE": "journal",
    "KINDS": "decision",
    "POLICIES": "policies",
    "SPLIT_FILE": "split",
    "BadLine": "decision",
    "Comparison": "split_quality",
    "compare_decisions": "split_quality",
    "Decision": "decision",
    "Decisions": "decision",
    "Journal": "journal",
    "Manifest": "manifest",
    "Split": "split",
    "SplitRequest": "splitting",
    "apply_policy": "policies",
    "compute_manifest": "manifest",
    "count_parts": "split",
    "decide": "decision",
    "decided_groups": "known_copies",
    "find_groups": "known_copies",
    "find_policy": "policies",
    "make_split": "splitting",
    "read_groups": "known_copies",
    "read_split": "split",
    "use_decisions": "using",
    "use_split": "using",
    "write_csv": "export",
    "write_decisions": "export",
    "write_links": "export",
}

__getattr__ = names_from(__name__, _HOME)
