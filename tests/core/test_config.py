from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyeshot.core.config import USES, Project, find_project, read_project, write_project
from eyeshot.core.errors import InputError


def written(folder: Path, text: str) -> Path:
    file = folder / "eyeshot.toml"
    file.write_text(text, "utf-8")
    return file


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@settings(max_examples=150, deadline=None)
@given(texts, texts, st.sampled_from(list(USES)))
def test_what_is_written_is_read_back(tmp_path_factory, train: str, column: str, use: str) -> None:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder / "eyeshot.toml", data={"train": train, "path_column": column}, test_images=use)
    raw = tomllib.loads((folder / "eyeshot.toml").read_text("utf-8"))
    assert raw["data"] == {"train": train, "path_column": column}
    project = read_project(folder / "eyeshot.toml")
    assert project.test_images == use
    assert project.data["path_column"] == column


def test_paths_are_relative_to_the_file_and_found_from_below(tmp_path: Path) -> None:
    write_project(tmp_path / "eyeshot.toml", data={"train": "photos/train"}, test_images="features")
    below = tmp_path / "some" / "where"
    below.mkdir(parents=True)
    assert find_project(below).data["train"] == tmp_path / "photos" / "train"


def test_without_a_file_nothing_is_known_and_nothing_refused(tmp_path: Path) -> None:
    project = find_project(tmp_path)
    project.check_use("hand-labels", "Labels by hand")
    assert project.value("test", None) is None
    assert project.value("train", Path("x"), needed="TRAIN") == Path("x")
    with pytest.raises(InputError, match=r"there is no eyeshot\.toml.*eyeshot init ROOT"):
        project.value("train", None, needed="TRAIN must be a folder")
    assert "none stated" in project.rules()


@pytest.mark.parametrize("stated", USES)
@pytest.mark.parametrize("use", USES)
def test_each_use_allows_those_before_it_and_the_line_to_change_is_named(tmp_path: Path, stated: str, use: str) -> None:
    file = written(tmp_path, f'# rules\n\n[rules]\ntest_images = "{stated}"\n')
    project = read_project(file)
    order = list(USES)
    if order.index(use) <= order.index(stated):
        project.check_use(use, "This")
        return
    with pytest.raises(InputError) as error:
        project.check_use(use, "This")
    assert "line 4" in str(error.value)
    assert f'change that line to test_images = "{use}"' in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[data]\ntrain = photos", "is no TOML.*line 2"),
        ("[data\n", "is no TOML"),
        ('[data]\ntrian = "x"', r"no entry 'trian'. It takes train, test"),
        ('[rule]\ntest_images = "features"', "no entry 'rule'"),
        ("[data]\ntrain = 3", "must be a text in quotes, got 3"),
        ('[data]\ntrain = ""', "must be a text in quotes"),
        ('data = "x"', "must be a section"),
        ('[rules]\n\ntest_images = "all"', "line 3: test_images must be one of 'nothing', .*got 'all'"),
        ("[rules]\ntest_images = []", r"got \[\]"),
    ],
)
def test_a_broken_file_is_told_with_what_it_takes(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_project(written(tmp_path, text))


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "eyeshot.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no TOML"):
        read_project(tmp_path / "eyeshot.toml")


def test_an_empty_file_allows_features(tmp_path: Path) -> None:
    assert read_project(written(tmp_path, "")).test_images == "features"
    with pytest.raises(InputError, match=r"\[rules\] \(which is missing\)"):
        read_project(written(tmp_path, "")).check_use("hand-labels", "This")


def test_rules_are_said_in_words() -> None:
    project = Project(Path("eyeshot.toml"), {}, "pseudo-labels")
    assert "pseudo-labels" in project.rules()
    assert USES["pseudo-labels"] in project.rules()
