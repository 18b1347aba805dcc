"""Pages: one look for all of them, each a single file that needs no network."""

from eyeshot.reports.audit_page import write_audit_page
from eyeshot.reports.cover_page import write_cover_page
from eyeshot.reports.cover_picture import write_cover_picture

__all__ = ["write_audit_page", "write_cover_page", "write_cover_picture"]
