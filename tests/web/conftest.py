from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from review_made import Site, make_project, make_review, served


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    make_project(folder)
    return folder


@pytest.fixture
def folder(audited: Path, tmp_path: Path) -> Path:
    """A copy of its own, without decisions."""
    return shutil.copytree(audited, tmp_path / "project")


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    with served(make_review(folder)) as found:
        yield found
