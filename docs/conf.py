"""The site of the documents: Sphinx with MyST reads the Markdown as it is, Furo shows it; no network is needed."""

from __future__ import annotations

import re
from typing import Any

project = "eyeshot"
author = "the authors of eyeshot"
project_copyright = "the authors of eyeshot, Apache-2.0"
language = "en"

extensions = ["myst_parser"]
myst_heading_anchors = 4  # links to headings, as GitHub makes them, are checked
exclude_patterns: list[str] = []
nitpicky = True
smartquotes = False  # two hyphens begin an option, and are no dash
highlight_language = "none"  # command lines are most blocks without a language, and Python says so

html_theme = "furo"
html_title = "eyeshot"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False

LIST_PAGES = ("index", "commands/index")
"""Pages whose lists of links are the navigation, so that it stands in one place and is plain Markdown."""


def add_navigation(app: Any, page: str, source: list[str]) -> None:
    """Append the lists of links of a page, heading by heading, as the tree of pages that Sphinx asks for."""
    if page not in LIST_PAGES:
        return
    for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        pages = re.findall(r"^- \[[^]]+\]\(([^):#]+\.md)\)", section, flags=re.MULTILINE)
        if pages:
            caption = f":caption: {heading}\n" if page == "index" else ""
            source[0] += f"\n\n```{{toctree}}\n:hidden:\n{caption}\n" + "\n".join(pages) + "\n```\n"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_navigation)
