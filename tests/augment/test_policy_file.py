from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyeshot.augment import (
    LEVELS,
    MOST_OPERATIONS,
    SCALABLE,
    PolicyStep,
    augmentation,
    check_names,
    policy_text,
    read_policy,
    with_policies,
)
from eyeshot.augment.names import FAMILIES
from eyeshot.core import InputError

NAMES = [name for family, names in FAMILIES.items() if family != "control" for name in names]
SHARES = st.integers(1, 1000).map(lambda number: number / 1000)


@st.composite
def policies(draw):
    borders = sorted(draw(st.sets(st.integers(0, 100), min_size=2, max_size=5)))
    stages = tuple((draw(st.sampled_from(sorted(LEVELS))), start / 100, end / 100) for start, end in pairwise(borders))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=MOST_OPERATIONS))
    return tuple(PolicyStep(name, draw(SHARES) if name in SCALABLE else 1.0, draw(SHARES), stages) for name in names)


@given(policies())
def test_a_policy_is_read_from_its_file_and_from_its_names_as_it_was_written(tmp_path_factory, steps):
    file = tmp_path_factory.mktemp("policy") / "policy.toml"
    file.write_text(policy_text(steps, comments=["Why."]), encoding="utf-8")
    assert read_policy(file) == steps
    names = with_policies([str(file)])
    assert names == [step.name for step in steps]
    for name, step in zip(names, steps, strict=True):
        made = augmentation(name)
        assert made.name == name
        assert made.probability == step.probability
        assert not set(name) & set("+,:")  # a plus joins names, a comma parts values, a colon marks the user's own


RIGHT = 'version = 1\n[[operation]]\nname = "jitter"\nprobability = 0.5\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "got an empty file"),
        ("  \n", "got an empty file"),
        ("# nothing\n", "must have version = 1, got none"),
        ("version = 2\n", "must have version = 1, got 2"),
        ("version = true\n", "must have version = 1, got True"),
        ("version = ", "must be TOML"),
        ("version = 1\nepochs = 3\n", "unknown key 'epochs'"),
        ("version = 1\noperations = []\n", "Did you mean operation?"),
        ("version = 1\noperation = 3\n", "lists operations as [[operation]]"),
        ("version = 1\nstage = 3\n", "lists stages as [[stage]]"),
        (RIGHT.replace("jitter", "jiter"), "No augmentation is called 'jiter'. Nearest: jitter"),
        (RIGHT.replace("jitter", "no-op"), "No augmentation is called 'no-op'"),
        (RIGHT.replace('"jitter"', "3"), "must give each operation a name in quotes, got 3"),
        (RIGHT.replace("0.5", "1.5"), "the probability of jitter must lie between 0 and 1, got 1.5"),
        (RIGHT.replace("0.5", "-0.1"), "must lie between 0 and 1, got -0.1"),
        (RIGHT.replace("0.5", "nan"), "must be a number, got nan"),
        (RIGHT.replace("0.5", '"half"'), "must be a number, got 'half'"),
        (RIGHT.replace("probability = 0.5", ""), "the probability of jitter must be a number, got none"),
        (RIGHT + "strength = 0\n", "the strength of jitter must be above 0 and at most 1, the catalogue's own, got 0"),
        (RIGHT + "strength = 2\n", "got 2"),
        (RIGHT.replace("jitter", "grey") + "strength = 0.5\n", "grey has one strength only, 1, got 0.5"),
        (RIGHT + RIGHT.partition("\n")[2], "must name each operation once, got jitter twice"),
        (
            "version = 1\n" + "".join(f'[[operation]]\nname = "{name}"\nprobability = 1\n' for name in NAMES[:4]),
            "may have at most 3 operations, got 4",
        ),
        (
            RIGHT + '[[stage]]\nlevel = "strong"\nfrom = 0\nto = 1\n',
            "the level of a stage must be none, light and full",
        ),
        (RIGHT + '[[stage]]\nlevel = "full"\nfrom = 0.5\nto = 0.2\n', "got 0.5 to 0.2"),
        (RIGHT + '[[stage]]\nlevel = "full"\nfrom = 0\nto = 1.2\n', "got 0 to 1.2"),
        (
            RIGHT + '[[stage]]\nlevel = "full"\nfrom = 0\nto = 0.5\n[[stage]]\nlevel = "light"\nfrom = 0.4\nto = 1\n',
            "stages must not overlap, got full until 0.5 and light from 0.4",
        ),
    ],
)
def test_what_is_not_allowed_is_named_with_the_rule(tmp_path, text, words):
    file = tmp_path / "policy.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        check_names(str(file), policies=True)
    assert words in str(error.value)


def test_a_file_that_is_missing_or_no_text_says_so(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_policy(tmp_path / "gone.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_policy(tmp_path / "binary.toml")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("jitter@", "is written NAME@PROBABILITY"),
        ("jitter@2", "between 0 and 1, got 2"),
        ("jitter=3@0.5", "at most 1"),
        ("jitter@0.5~", "A stage is written"),
        ("jitter@0.5~full0.2-0.1", "got 0.2 to 0.1"),
        ("jitter@0.5.5", "must be a number"),
        ("gone@0.5", "No augmentation is called 'gone'"),
    ],
)
def test_a_name_of_an_operation_is_checked_as_its_file_is(name, words):
    with pytest.raises(InputError) as error:
        augmentation(name)
    assert words in str(error.value)


def test_a_policy_without_operations_trains_on_clean_images(tmp_path):
    file: Path = tmp_path / "policy.toml"
    file.write_text(policy_text(()), encoding="utf-8")
    assert with_policies([str(file)]) == []


def test_stages_multiply_the_probability_and_nothing_is_applied_outside_of_them():
    step = PolicyStep("grey", 1.0, 0.6, (("light", 0.1, 0.3), ("full", 0.3, 0.9)))
    made = augmentation(step.name)
    assert [made.at(share).probability for share in (0.05, 0.1, 0.29, 0.3, 0.89, 0.9)] == [0, 0.3, 0.3, 0.6, 0.6, 0]
