"""What all tests share: one thread, no hub, and the team's real data where it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real images and weights, named by EYESHOT_SHARED or beside the checkout."""
    folder = Path(os.environ.get("EYESHOT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "data" / "pacs").is_dir():
        pytest.skip(f"no real images at {folder}; set EYESHOT_SHARED to their folder")
    return folder
