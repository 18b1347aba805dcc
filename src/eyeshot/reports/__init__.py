"""Pages: one look for all of them, each a single file that needs no network.

Names are loaded when first used: the review page draws no figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyeshot.lazy import names_from

if TYPE_CHECKING:
    from eyeshot.reports.alike import difference, turned_like
    from eyeshot.reports.audit_page import write_audit_page
    from eyeshot.reports.cover_page import write_cover_page
    from eyeshot.reports.cover_picture import write_cover_picture
    from eyeshot.reports.page import asset, stylesheet

__all__ = [
    "asset",
    "difference",
    "stylesheet",
    "turned_like",
    "write_audit_page",
    "write_cover_page",
    "write_cover_picture",
]

_HOME = {
    "asset": "page",
    "difference": "alike",
    "stylesheet": "page",
    "turned_like": "alike",
    "write_audit_page": "audit_page",
    "write_cover_page": "cover_page",
    "write_cover_picture": "cover_picture",
}

__getattr__ = names_from(__name__, _HOME)
