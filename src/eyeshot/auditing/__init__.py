"""Look at the data first: findings, decisions, the manifest after them, and splits that copies do not flatter.

Names are loaded when first used: listing decisions needs no network library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyeshot.lazy import names_from

if TYPE_CHECKING:
    from eyeshot.auditing.aligning import align
    from eyeshot.auditing.comparing import compare_decisions
    from eyeshot.auditing.decision import KINDS, Decision, Decisions, decide
    from eyeshot.auditing.export import write_csv, write_decisions, write_links
    from eyeshot.auditing.following import Follower
    from eyeshot.auditing.head_features import image_features, name_reader
    from eyeshot.auditing.journal import DECISIONS_FILE, Journal
    from eyeshot.auditing.known_copies import decided_groups, find_groups, read_groups
    from eyeshot.auditing.manifest import Manifest, compute_manifest
    from eyeshot.auditing.policies import apply_policy, find_policy
    from eyeshot.auditing.report import AuditReport, Distribution, Finding, ImageRef, LabelPair, read_report
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
    "SPLIT_FILE",
    "Audit",
    "AuditReport",
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
    "image_features",
    "is_flat",
    "make_split",
    "name_reader",
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
    "align": "aligning",
    "audit": "run",
    "Follower": "following",
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
    "DECISIONS_FILE": "journal",
    "KINDS": "decision",
    "SPLIT_FILE": "split",
    "compare_decisions": "comparing",
    "image_features": "head_features",
    "name_reader": "head_features",
    "Decision": "decision",
    "Decisions": "decision",
    "Journal": "journal",
    "Manifest": "manifest",
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
