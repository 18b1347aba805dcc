from __future__ import annotations

import os
from pathlib import Path

import pytest

from eyeshot.core.errors import InputError
from eyeshot.data import check_apart, read_images
from eyeshot.data.listing import count_reasons


def link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except OSError as error:
        pytest.skip(f"links cannot be made here: {error}")


def test_a_link_back_up_is_skipped_and_images_are_read_once(pets: Path) -> None:
    link(pets / "cat" / "loop", pets)
    link(pets / "cat" / "deeper", pets.parent)
    table = read_images(pets)
    assert len(table) == 5
    assert count_reasons(table.skipped) == {"link to a folder that is read anyway": 2}


def test_two_folders_that_link_to_each_other_end(tmp_path: Path, save) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        save(tmp_path / "outside" / name / f"{name}.png", len(name))
        link(tmp_path / "outside" / name / other, tmp_path / "outside" / other)
    (tmp_path / "root").mkdir()
    link(tmp_path / "root" / "start", tmp_path / "outside" / "one")
    table = read_images(tmp_path / "root", labelled=False)
    assert table.ids == ["start/one.png", "start/two/two.png"]
    assert count_reasons(table.skipped) == {"link to a folder that is read anyway": 1}


def test_class_folders_may_be_links_to_elsewhere(tmp_path: Path, pets: Path) -> None:
    (tmp_path / "train").mkdir()
    link(tmp_path / "train" / "kitten", pets / "cat")
    link(tmp_path / "train" / "puppy", pets / "dog")
    assert read_images(tmp_path / "train").classes == ("kitten", "puppy")


def test_broken_and_circular_links_are_skipped(pets: Path) -> None:
    link(pets / "cat" / "gone.png", pets / "nowhere.png")
    link(pets / "cat" / "self.png", pets / "cat" / "self.png")
    table = read_images(pets)
    assert len(table) == 5
    assert count_reasons(table.skipped) == {"broken link": 2}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_does_not_hang_the_run(pets: Path) -> None:
    os.mkfifo(pets / "cat" / "pipe.png")
    assert count_reasons(read_images(pets).skipped) == {"not a regular file": 1}


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname != "Linux", reason="names are Unicode here")
def test_a_name_that_is_no_unicode_is_skipped(pets: Path) -> None:
    raw = os.fsencode(pets / "cat") + b"/caf\xe9.png"
    with open(raw, "wb") as file:
        file.write((pets / "cat" / "0.png").read_bytes())
    table = read_images(pets)
    assert count_reasons(table.skipped) == {"name is not valid Unicode": 1}
    assert table.skipped[0].path.encode("utf-8")


def test_a_folder_that_cannot_be_listed_is_skipped(pets: Path, monkeypatch) -> None:
    real = os.scandir

    def refuse(folder):
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(folder)

    (pets / "cat" / "closed").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    assert count_reasons(read_images(pets).skipped) == {"folder unreadable (no permission)": 1}


def test_endings_of_images_that_pillow_may_not_open_are_not_passed_over(pets: Path) -> None:
    (pets / "cat" / "phone.heic").write_bytes(b"\x00\x00\x00\x18ftypheic")
    assert [Path(one.path).name for one in read_images(pets).skipped] == ["phone.heic"]


def test_folders_beside_each_other_are_apart(tmp_path: Path) -> None:
    for name in ("train", "train2", "test"):
        (tmp_path / name).mkdir()
    check_apart(tmp_path / "train", tmp_path / "test")
    check_apart(tmp_path / "train", tmp_path / "train2")


def test_neither_folder_may_hold_the_other(tmp_path: Path) -> None:
    (tmp_path / "train" / "test").mkdir(parents=True)
    outer, inner = tmp_path / "train", tmp_path / "train" / "test"
    with pytest.raises(InputError, match="the target lies inside the training folder"):
        check_apart(outer, inner)
    with pytest.raises(InputError, match="the training folder lies inside the target"):
        check_apart(inner, outer)
    with pytest.raises(InputError, match="must be different folders"):
        check_apart(outer, inner / "..")


def test_a_link_into_the_training_folder_is_seen(tmp_path: Path) -> None:
    (tmp_path / "train" / "test").mkdir(parents=True)
    link(tmp_path / "elsewhere", tmp_path / "train" / "test")
    with pytest.raises(InputError, match="must lie apart"):
        check_apart(tmp_path / "train", tmp_path / "elsewhere")
