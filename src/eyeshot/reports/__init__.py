"""Pages: one look for all of them, each a single file that needs no network."""

from eyeshot.reports.cover_page import write_cover_page

__all__ = ["write_cover_page"]
