"""Files of the user are never written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from eyeshot.core import InputError, check_output


@pytest.mark.parametrize(
    ("content", "is_refused"), [(None, False), (b"", False), (b"a mark b", False), (b"x,y\n", True)]
)
def test_only_a_file_with_the_mark_is_written_over(tmp_path: Path, content: bytes | None, is_refused: bool) -> None:
    file = tmp_path / "table.csv"
    if content is not None:
        file.write_bytes(content)
    if not is_refused:
        check_output(file, suffixes=(".csv",), mark=b"mark")
        return
    with pytest.raises(InputError, match="was not written by this command"):
        check_output(file, suffixes=(".csv",), mark=b"mark")
    assert file.read_bytes() == content


def test_another_ending_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.png, got"):
        check_output(tmp_path / "labels.csv", suffixes=(".png",), mark=b"mark")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="must be no folder"):
        check_output(tmp_path / "folder.png", suffixes=(".png",), mark=b"mark")
