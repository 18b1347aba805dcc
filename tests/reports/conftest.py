from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_ranking import make_ranking

from eyeshot.rankings.augmentations.result import AugmentationRanking
from eyeshot.reports import write_ranking_page


@pytest.fixture(scope="session")
def cover() -> AugmentationRanking:
    return make_ranking()


@pytest.fixture(scope="session")
def page_path(cover: AugmentationRanking, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ranking_page(cover, tmp_path_factory.mktemp("page") / "augmentations.html")


@pytest.fixture(scope="session")
def page_text(page_path: Path) -> str:
    return page_path.read_text(encoding="utf-8")
