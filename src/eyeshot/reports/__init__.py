"""Pages: one look for all of them, each a single file that needs no network."""

from eyeshot.reports.cover_page import write_cover_page
from eyeshot.reports.cover_picture import write_cover_picture

__all__ = ["write_cover_page", "write_cover_picture"]
