import re
import subprocess
import sys
from pathlib import Path

import pytest

from eyeshot.augment import augmentation, augmentations
from eyeshot.augment.names import FAMILIES, SYNONYMS
from eyeshot.core.errors import InputError

EVERYTHING = augmentations()
NAMES = [entry.name for entry in EVERYTHING]


def test_the_catalogue_holds_the_families_that_it_promises():
    counts = {entry.family: 0 for entry in EVERYTHING}
    for entry in EVERYTHING:
        counts[entry.family] += 1
    assert counts == {
        "control": 3, "geometric": 14, "colour": 13, "blur and noise": 9, "masking": 6, "mixing": 4,
        "edge and texture": 4, "policy": 3,
    }  # fmt: skip
    assert len(set(NAMES)) == len(NAMES)


def test_every_entry_says_what_it_does_what_it_may_destroy_and_where_it_comes_from():
    for entry in EVERYTHING:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.name)
        assert entry.strength
        assert entry.description.endswith(".")
        assert "\n" not in entry.description
        assert entry.may_destroy
        assert entry.source


def test_probabilities_are_a_half_but_for_crops_policies_and_clean():
    certain = {entry.name for entry in EVERYTHING if entry.probability == 1}
    assert certain == {"clean", "crop-mild", "crop-strong", "trivial-augment", "rand-augment", "augmix"}
    assert {entry.probability for entry in EVERYTHING} == {0.5, 1.0}


def test_mixing_and_nothing_else_mixes_labels():
    assert {entry.family for entry in EVERYTHING if entry.mixes} == {"mixing"}


def test_names_wildcards_and_families_choose_in_the_order_of_the_catalogue():
    assert [entry.name for entry in augmentations("rotate-*")] == ["rotate-15", "rotate-30", "rotate-180"]
    assert [entry.name for entry in augmentations("mixup", "mirror", "mirror")] == ["mirror", "mixup"]
    assert {entry.family for entry in augmentations("blur and noise")} == {"blur and noise"}
    assert [entry.name for entry in augmentations("CLEAN")] == ["clean"]


@pytest.mark.parametrize(
    ("other", "own"),
    [("hflip", "mirror"), ("horizontal-flip", "mirror"), ("RandomHorizontalFlip", "mirror"), ("flip", "mirror"),
     ("fliplr", "mirror"), ("grayscale", "grey"), ("greyscale", "grey"), ("ToGray", "grey"), ("vflip", "vertical-flip"),
     ("ColorJitter", "jitter"), ("random_resized_crop", "crop-mild")],
)  # fmt: skip
def test_names_of_other_libraries_are_told_by_the_name_of_the_catalogue(other: str, own: str):
    with pytest.raises(InputError, match=re.escape(f"called {other!r}. Did you mean {own}? List all")):
        augmentations(other)


def test_names_of_other_libraries_are_none_of_the_catalogue():
    others = [other for names in SYNONYMS.values() for other in names]
    assert set(NAMES) >= SYNONYMS.keys()
    assert not {*NAMES, *FAMILIES} & set(others)
    assert len(set(others)) == len(others)


def test_an_unknown_name_is_told_with_the_nearest_ones():
    with pytest.raises(InputError, match=r"'rotate15'.*rotate-15"):
        augmentations("mirror", "rotate15")
    with pytest.raises(InputError, match="mirror"):
        augmentation("miror")
    with pytest.raises(InputError, match="Families"):
        augmentations("zzzz")


def test_a_name_alone_takes_no_wildcard():
    assert augmentation("invert").family == "colour"
    with pytest.raises(InputError):
        augmentation("rotate-*")


def test_fingerprints_differ_between_all_entries():
    assert len({entry.fingerprint for entry in EVERYTHING}) == len(EVERYTHING)


def test_stretching_follows_the_ratios_seen_in_the_data():
    (seen,) = augmentations("affine-stretch", aspect_ratios=(0.6, 1.9))
    assert seen.operation.stretch == (0.6, 1.9)
    assert "1.90" in seen.strength
    (landscape,) = augmentations("affine-stretch", aspect_ratios=(1.3, 1.8))
    assert landscape.operation.stretch == (1.0, 1.8)
    assert seen.fingerprint != landscape.fingerprint


@pytest.mark.parametrize("ratios", [None, (1.0, 1.0), (1.5, 1.5)])
def test_without_different_ratios_stretching_says_that_it_uses_a_default(ratios):
    (entry,) = augmentations("affine-stretch", aspect_ratios=ratios)
    assert entry.operation.stretch == (3 / 4, 4 / 3)
    assert "3/4 to 4/3" in entry.description


@pytest.mark.parametrize("ratios", [(2.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (1.0, float("nan"))])
def test_impossible_ratios_are_refused(ratios):
    with pytest.raises(InputError, match="aspect_ratios"):
        augmentations(aspect_ratios=ratios)


def test_the_names_that_are_checked_before_torch_loads_are_those_of_the_catalogue() -> None:
    by_family: dict[str, list[str]] = {}
    for entry in augmentations():
        by_family.setdefault(entry.family, []).append(entry.name)
    assert {family: list(names) for family, names in FAMILIES.items()} == by_family


@pytest.mark.parametrize("command", ["train", "rank augmentations"])
def test_a_typing_error_is_reported_before_torch_is_loaded(command: str, tmp_path: Path) -> None:
    option = "--augment" if command == "train" else "--candidates"
    code = (
        "import sys; from eyeshot.cli import main; sys.argv = ['eyeshot', *sys.argv[1:]]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, sorted({'torch', 'polars', 'timm'} & set(sys.modules)))"
    )
    words = [*command.split(), str(tmp_path), option, "invertt"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 []"
    assert "Nearest: invert" in done.stderr
