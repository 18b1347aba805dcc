from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from review_made import Site, make_project, make_review, served

from made_ledger import make_ledger


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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The results of a project that the workbench shows."""
    return tmp_path / "project" / "eyeshot-out"


@pytest.fixture
def ids(root: Path) -> dict[str, str]:
    """Experiments in its ledger, by name."""
    return make_ledger(root)
