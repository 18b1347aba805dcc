from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_cover import make_cover

from eyeshot.rankings.augmentations.result import Cover
from eyeshot.reports import write_cover_page


@pytest.fixture(scope="session")
def cover() -> Cover:
    return make_cover()


@pytest.fixture(scope="session")
def page_path(cover: Cover, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cover_page(cover, tmp_path_factory.mktemp("page") / "cover.html")


@pytest.fixture(scope="session")
def page_text(page_path: Path) -> str:
    return page_path.read_text(encoding="utf-8")
