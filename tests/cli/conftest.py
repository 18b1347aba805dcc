"""The command line, run as a user does, but in this process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import HUB_MODELS, Digits, Done, Eyeshot
from PIL import Image

from eyeshot.cli import main
from eyeshot.data.digits import large_digits


@pytest.fixture
def eyeshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Eyeshot:
    """Runs `eyeshot ARGUMENTS` in an empty folder of its own."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("EYESHOT_CACHE", raising=False)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["eyeshot", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline of few epochs, and maps that take no time."""
    from eyeshot.rankings.augmentations import maps
    from eyeshot.training import baseline

    usual = baseline.default_settings

    def few(*arguments: Any, **options: Any) -> Any:
        settings, reason = usual(*arguments, **options)
        return settings.model_copy(update={"epochs": 12}), reason

    monkeypatch.setattr(baseline, "default_settings", few)
    for name in ("_tsne", "_umap"):
        monkeypatch.setattr(maps, name, lambda points, *_: maps._pca(points))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """Three digits in class folders, and others of them, inverted, in a flat folder."""
    folder = tmp_path_factory.mktemp("digits")
    images, labels = large_digits()
    rows = np.flatnonzero(np.isin(labels, (0, 1, 7)))[:180]
    for place, row in enumerate(rows):
        path = folder / "test" / f"{row}.png"
        if place < 130:
            path = folder / "train" / str(labels[row]) / path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row] if place < 130 else 255 - images[row]).save(path)
    return Digits(folder / "train", folder / "test")


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the hub with weights of the models that documents name: random ones, as nothing is downloaded here."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("hub")
    for model in HUB_MODELS:
        repository = folder / f"models--timm--{model}"
        snapshot = repository / "snapshots" / "0123abc"
        snapshot.mkdir(parents=True)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0123abc")
        torch.manual_seed(0)
        network = timm.create_model(model.partition(".")[0], pretrained=False)
        save_file(network.state_dict(), snapshot / "model.safetensors")
    return folder
