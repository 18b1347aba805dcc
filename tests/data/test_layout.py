"""`eyeshot init ROOT` on the layouts of competitions, and what it must not guess."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from competition_layouts import LAYOUTS, write_layout

import eyeshot
from eyeshot.core import InputError, find_project


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the project beside that of the competition."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout_of_a_competition_is_read_right_or_the_way_on_is_named(
    name: str, work: Path, tmp_path: Path
) -> None:
    layout, root = LAYOUTS[name], tmp_path / "input"
    write_layout(layout, root)
    options = {option.removeprefix("--").replace("-", "_"): True for option in layout.options}
    if layout.error:
        with pytest.raises(InputError) as error:
            eyeshot.init(root, progress=False, **options)  # type: ignore[arg-type]
        assert re.search(layout.error, str(error.value)), str(error.value)
        assert not (work / "eyeshot.toml").exists()
        return
    table = eyeshot.init(root, progress=False, **options)  # type: ignore[arg-type]
    project = find_project()
    stored = {**project.data, **project.submission, "images": len(table), "classes": len(table.classes)}
    for entry, value in layout.found.items():
        got = stored.get(entry, "/")
        if isinstance(got, Path):
            got = got.relative_to(root).as_posix() if got.is_relative_to(root) else str(got)
        assert got == value, (entry, table.notes)
    notes = "\n".join(table.notes)
    for words in layout.says:
        assert words in notes, notes
    wrong = [
        (path, label)
        for path, label in zip(table.paths, table.frame["label"], strict=True)
        if "test" in path.lower().removeprefix(str(root).lower())
    ]
    assert not wrong


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.found])
def test_what_init_stored_reads_the_same_images_and_labels(name: str, work: Path, tmp_path: Path) -> None:
    write_layout(LAYOUTS[name], tmp_path / "input")
    options = {option.removeprefix("--").replace("-", "_"): True for option in LAYOUTS[name].options}
    table = eyeshot.init(tmp_path / "input", progress=False, **options)  # type: ignore[arg-type]
    sources = find_project().sources(None)
    again = eyeshot.read_images(
        sources["train"],
        labels=sources["labels"],
        path_column=sources["path_column"],
        label_column=sources["label_column"],
        image_root=sources["image_root"],
    )
    assert again.frame.equals(table.frame)
