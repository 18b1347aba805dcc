"""What the tests of this room share."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_run import World, run, write_world

from eyeshot.rankings import AugmentationRanking

# Without the package `coverage` this very folder would be found under its name, and numba (of UMAP) would use it.
found = importlib.util.find_spec("coverage") if "coverage" not in sys.modules else None
if found is not None and found.origin is None:
    sys.modules["coverage"] = None  # type: ignore[assignment]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def first_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def first(world: World, first_cache: Path) -> AugmentationRanking:
    """The small run, done once for all tests; they must not write to its cache."""
    return run(world, first_cache)


@pytest.fixture
def rerun(
    world: World, first: AugmentationRanking, first_cache: Path, tmp_path: Path
) -> Callable[..., AugmentationRanking]:
    """The small run again, with changes, on a copy of the first one's cache."""
    shutil.copytree(first_cache, tmp_path / "cache")
    return lambda **changes: run(world, tmp_path / "cache", **changes)
