from __future__ import annotations

from pathlib import Path

import pytest

from eyeshot.core.errors import StorageError
from eyeshot.core.files import clear_folder, find_workspace, folder_bytes, make_folder, replacing


def test_the_nearest_parent_with_settings_is_the_project(tmp_path: Path) -> None:
    (tmp_path / "eyeshot.toml").touch()
    inner = make_folder(tmp_path / "a" / "b")
    assert find_workspace(inner).root == tmp_path / "eyeshot-out"


def test_without_settings_the_project_is_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EYESHOT_CACHE", raising=False)
    assert find_workspace().cache == tmp_path / "eyeshot-out" / "cache"


def test_a_variable_moves_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYESHOT_CACHE", str(tmp_path / "fast"))
    assert find_workspace(tmp_path).cache == tmp_path / "fast"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError), replacing(file) as temporary:
        temporary.write_text("half \u00e9", encoding="ascii")
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]
    with replacing(file) as temporary:
        temporary.write_text("new", encoding="utf-8")
    assert file.read_text(encoding="utf-8") == "new"


def test_a_folder_that_is_a_file_is_refused_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(StorageError, match="--out"):
        make_folder(tmp_path / "out")


def test_clearing_frees_what_the_folder_held(tmp_path: Path) -> None:
    cache = make_folder(tmp_path / "cache")
    (cache / "rows.bin").write_bytes(b"12345")
    assert folder_bytes(cache) == 5
    assert clear_folder(cache) == 5
    assert not cache.exists()
    assert clear_folder(cache) == 0
