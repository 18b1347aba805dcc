"""init, decisions, manifest and split, as a user types them."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import Digits, Eyeshot, tree
from PIL import Image, ImageOps

from eyeshot.core import wilson


def picture(seed: int) -> Image.Image:
    blobs = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize((48, 40), Image.Resampling.BICUBIC)


def save(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Ten cats and ten dogs; one cat mirrored, one dog under cats too, byte for byte."""
    folder = tmp_path / "pets"
    for number in range(10):
        save(folder / "cat" / f"{number}.png", number)
        save(folder / "dog" / f"{number}.png", 100 + number)
    ImageOps.mirror(picture(0)).save(folder / "cat" / "mirrored.png")
    shutil.copy(folder / "dog" / "3.png", folder / "cat" / "wrong.png")
    return folder


def decided(eyeshot: Eyeshot) -> list[dict]:
    return json.loads(eyeshot("decisions", "list", "--json").out)


def test_after_init_commands_need_no_arguments(eyeshot: Eyeshot, pets: Path):
    before = tree(pets)
    done = eyeshot("init", pets, "--test-images", "nothing")
    assert (done.code, "22 images in 2 classes" in done.out) == (0, True)
    assert "22 images" in eyeshot("split", "--folds", "2").out
    assert eyeshot("manifest", "export", "--csv", "clean.csv").code == 0
    assert eyeshot("decisions", "apply", "--policy", "keep-one", "--dry-run").code == 0
    assert tree(pets) == before
    again = eyeshot("init", pets)
    assert (again.code, "--force" in again.err) == (2, True)
    assert eyeshot("init", pets, "--force").code == 0


def test_without_init_every_command_takes_the_folder(eyeshot: Eyeshot, pets: Path):
    for command in (
        ("rank", "augmentations"),
        ("train",),
        ("split",),
        ("manifest", "export", "--csv", "x.csv"),
        ("decisions", "apply", "--policy", "group"),
    ):
        done = eyeshot(*command)
        assert done.code == 2
        assert "eyeshot init ROOT" in done.err
    assert eyeshot("split", pets, "--folds", "2").code == 0


def test_init_refuses_what_is_no_project(eyeshot: Eyeshot, pets: Path, tmp_path: Path):
    for arguments in ((tmp_path / "none",), (pets, "--test", tmp_path / "none"), (pets, "--test", pets / "cat"),
                      (pets, "--test-images", "some")):  # fmt: skip
        assert eyeshot("init", *arguments).code == 2
        assert not Path("eyeshot.toml").exists()


def test_decisions_are_added_listed_and_taken_back(eyeshot: Eyeshot, pets: Path):
    eyeshot("init", pets)
    eyeshot("decisions", "add", "drop", pets / "cat" / "wrong.png", "--given", "cat", "--author", "ann")
    eyeshot("decisions", "add", "relabel", pets / "dog" / "5.png", "--label", "wolf", "--reason", "ears",
            "--author", "ann")  # fmt: skip
    eyeshot("decisions", "add", "merge-classes", "--class", "dog", "--class", "wolf", "--label", "canine",
            "--author", "ann")  # fmt: skip
    done = eyeshot("manifest", "export", "--csv", "clean.csv")
    assert "21 of 22 images stay, 10 under another label, in 2 classes (3 decisions)" in done.out
    listed = eyeshot("decisions", "list").out
    for words in ("ann", "under cat", "-> wolf (ears)", "dog, wolf -> canine"):
        assert words in listed
    first = decided(eyeshot)[0]["id"]
    assert eyeshot("decisions", "undo", first[:6]).code == 0
    assert eyeshot("decisions", "undo", "--last", "2").code == 0
    assert decided(eyeshot) == []
    assert "22 of 22 images stay, 0 under another label" in eyeshot("manifest", "export", "--csv", "clean.csv").out
    undo = json.loads(eyeshot("decisions", "list", "--all", "--json", "--last", "3").out)[0]
    refused = eyeshot("decisions", "undo", undo["id"])
    assert (refused.code, "An undo cannot be undone" in refused.err) == (2, True)
    assert decided(eyeshot) == []
    eyeshot("decisions", "add", "drop", pets / "cat" / "wrong.png", "--given", "cat")
    assert len(decided(eyeshot)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "burn", "x.png"),
        ("add", "undo"),
        ("add", "drop"),
        ("add", "drop", "no such file.png"),
        ("add", "relabel", "a.png"),
        ("add", "group", "a.png"),
        ("add", "merge-classes", "--label", "x"),
        ("undo",),
        ("undo", "abc"),
        ("undo", "abcdef"),
        ("merge", "none.jsonl"),
        ("apply", "pets", "--policy", "keep-two"),
    ],
)
def test_what_cannot_be_decided_is_refused_and_nothing_stored(eyeshot: Eyeshot, arguments: tuple[str, ...]):
    save(Path("a.png"), 1)
    done = eyeshot("decisions", *arguments)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert not Path("decisions.jsonl").exists()


def test_a_policy_decides_its_guard_is_listed_and_all_of_it_is_taken_back(eyeshot: Eyeshot, pets: Path):
    eyeshot("init", pets)
    stopped = eyeshot("decisions", "apply", "--policy", "keep-one", "--min-per-class", "12")
    assert "stopped: 'cat' would keep 11 images" in stopped.out
    assert "0 decisions stored" in stopped.out
    assert (
        "would: keep cat/0.png, drop cat/mirrored.png"
        in eyeshot("decisions", "apply", "--policy", "keep-one", "--dry-run").out
    )
    assert decided(eyeshot) == []
    eyeshot("decisions", "add", "drop", pets / "cat" / "9.png")
    assert "1 decision stored" in eyeshot("decisions", "apply", "--policy", "keep-one").out
    assert "1 decision stored" in eyeshot("decisions", "apply", "--policy", "drop-both").out
    assert "0 decisions stored" in eyeshot("decisions", "apply", "--policy", "drop-both").out
    assert sorted(one["kind"] for one in decided(eyeshot)) == ["drop", "drop-both", "keep-one"]
    eyeshot("decisions", "undo", "--policy")
    eyeshot("decisions", "undo", "--policy")
    assert [one["kind"] for one in decided(eyeshot)] == ["drop"]


def test_a_policy_says_what_it_decided_what_is_open_and_what_comes_next(eyeshot: Eyeshot, pets: Path):
    eyeshot("init", pets)
    kept = eyeshot("decisions", "apply", "--policy", "keep-one").out
    assert "keep cat/0.png, drop cat/mirrored.png: as many pixels, and " in kept
    assert "\n1 group: 1 file left out, 1 kept.\n1 decision stored" in kept
    assert "- 1 picture under several labels: eyeshot decisions apply --policy drop-both\n" in kept
    assert "Next: eyeshot decisions apply --policy drop-both\n" in kept
    dropped = eyeshot("decisions", "apply", "--policy", "drop-both")
    assert "drop cat/wrong.png, dog/3.png: one picture under 2 labels, and which is right is unknown\n" in dropped.out
    assert "1 group: 2 files left out, 0 kept." in dropped.out
    assert "Nothing is open.\nNext: eyeshot split\n" in dropped.out
    eyeshot("decisions", "undo", "--policy")
    eyeshot("decisions", "undo", "--policy")
    stopped = eyeshot("decisions", "apply", "--policy", "keep-one", "--min-per-class", "12")
    assert "1 group of duplicates, stopped by --min-per-class" in stopped.out
    facts = json.loads(eyeshot("decisions", "apply", "--policy", "group", "--json").out)
    assert facts["open_groups"] == {"drop-both": 1}  # the mirrored cat stays with its original on purpose


@pytest.mark.parametrize("audited", [False, True])
def test_keep_one_leaves_pictures_that_are_only_kept_together(eyeshot: Eyeshot, pets: Path, audited: bool):
    eyeshot("init", pets)
    if audited:
        eyeshot("audit", "--no-images")
    eyeshot("decisions", "add", "group", pets / "cat" / "1.png", pets / "cat" / "2.png")
    out = eyeshot("decisions", "apply", "--policy", "keep-one").out
    assert "keep cat/0.png, drop cat/mirrored.png" in out
    listed = " ".join(eyeshot("decisions", "list").out.split())
    assert "keep cat/0.png, drop" in listed
    assert "1 group: 1 file left out, 1 kept." in out


def test_many_groups_are_counted_and_not_all_listed(eyeshot: Eyeshot, pets: Path):
    for number in range(12):
        save(pets / "dog" / f"{200 + number}.png", 200 + number)
        save(pets / "dog" / f"again-{number}.png", 200 + number)
    out = eyeshot("decisions", "apply", pets, "--policy", "keep-one").out
    assert out.count("\nkeep ") + out.startswith("keep ") == 10
    assert "and 3 more: eyeshot decisions list" in out


def test_findings_of_the_audit_that_no_policy_settles_are_counted_until_somebody_decides(eyeshot: Eyeshot, pets: Path):
    eyeshot("init", pets)
    Image.new("RGB", (48, 40), "grey").save(pets / "dog" / "grey.png")
    eyeshot("audit", "--no-images")
    out = eyeshot("decisions", "apply", "--policy", "keep-one").out
    assert "for a person, one colour (1): eyeshot review" in out
    eyeshot("decisions", "apply", "--policy", "drop-both")
    eyeshot("decisions", "add", "drop", pets / "dog" / "grey.png")
    assert "Nothing is open." in eyeshot("decisions", "apply", "--policy", "drop-both").out


def test_leaks_leave_out_the_training_copy_and_the_audit_names_the_command(
    eyeshot: Eyeshot, pets: Path, tmp_path: Path
):
    refused = eyeshot("decisions", "apply", pets, "--policy", "drop-leaks")
    assert (refused.code, "eyeshot audit TRAIN --test TEST" in refused.err) == (2, True)
    test = tmp_path / "test"
    test.mkdir()
    shutil.copy(pets / "dog" / "5.png", test / "same.png")
    ImageOps.mirror(picture(0)).save(test / "turned.png")  # a cat that has a duplicate in training too
    save(test / "other.png", 500)
    eyeshot("init", pets, "--test", test)
    assert "--policy drop-leaks\n" in eyeshot("audit", "--no-images").out
    eyeshot("decisions", "apply", "--policy", "drop-both")
    kept = eyeshot("decisions", "apply", "--policy", "keep-one").out
    assert "- 2 duplicates across training and test: eyeshot decisions apply" in kept
    before = tree(test)
    done = eyeshot("decisions", "apply", "--policy", "drop-leaks").out
    assert "drop dog/5.png: duplicate of test image same.png, which stays\n" in done
    assert "2 training files left out; test images stay.\n" in done
    assert "Nothing is open." in done
    assert tree(test) == before
    assert "0 decisions stored" in eyeshot("decisions", "apply", "--policy", "drop-leaks").out
    eyeshot("manifest", "export", "--csv", "clean.csv", "--links", "clean")
    again = eyeshot("audit", "clean", "--test", test, "--no-images")
    assert "no duplicates, no broken files" in again.out


def test_pictures_of_one_scene_are_left_out_by_no_policy(eyeshot: Eyeshot, tmp_path: Path):
    scene = picture(3).resize((192, 160), Image.Resampling.BICUBIC)
    for number in range(16):
        part, label = scene.copy(), ("good", "defect")[number % 2]
        x, y = (int(value) for value in np.random.default_rng(number).integers(20, 130, 2))
        part.paste((20, 20, 20), (x, y, x + 14, y + 3))
        (tmp_path / "scene" / label).mkdir(parents=True, exist_ok=True)
        part.save(tmp_path / "scene" / label / f"{number}.png")
    scene_folder = tmp_path / "scene"
    for audited in (False, True):
        if audited:
            eyeshot("audit", scene_folder, "--no-images")
        for policy in ("drop-both", "keep-one"):
            done = eyeshot("decisions", "apply", scene_folder, "--policy", policy, "--min-per-class", "1")
            assert "0 decisions stored" in done.out, (audited, policy)
            assert "stopped" not in done.out


def test_two_people_merge_and_export(eyeshot: Eyeshot, pets: Path):
    eyeshot("decisions", "add", "drop", pets / "cat" / "1.png", "--author", "ann", "--decisions-file", "ann.jsonl")
    eyeshot("decisions", "add", "drop", pets / "cat" / "2.png", "--author", "ben", "--decisions-file", "ben.jsonl")
    assert "2 new decisions; 2 count now" in eyeshot("decisions", "merge", "ann.jsonl", "ben.jsonl").out
    assert "0 new decisions" in eyeshot("decisions", "merge", "ben.jsonl", "ann.jsonl").out
    eyeshot("decisions", "merge", "ben.jsonl", "ann.jsonl", "--decisions-file", "other.jsonl")
    eyeshot("decisions", "export", "one.jsonl")
    eyeshot("decisions", "export", "two.jsonl", "--decisions-file", "other.jsonl")
    assert Path("one.jsonl").read_bytes() == Path("two.jsonl").read_bytes()
    eyeshot("decisions", "export", "table.csv")
    assert len(Path("table.csv").read_text("utf-8").splitlines()) == 3


def contradict(eyeshot: Eyeshot, pets: Path) -> tuple[bytes, bytes]:
    """Ann's decisions, which are those of the project, and Ben's, which contradict one of them."""
    eyeshot("decisions", "add", "drop", pets / "cat" / "1.png", pets / "cat" / "2.png", "--author", "ann")
    for number, label in ((1, "dog"), (3, "dog")):
        eyeshot(
            "decisions", "add", "relabel", pets / "cat" / f"{number}.png", "--label", label, "--author", "ben",
            "--decisions-file", "ben.jsonl",
        )  # fmt: skip
    return Path("decisions.jsonl").read_bytes(), Path("ben.jsonl").read_bytes()


def test_contradictions_are_listed_and_nothing_is_stored_where_nobody_can_be_asked(eyeshot: Eyeshot, pets: Path):
    before = contradict(eyeshot, pets)
    done = eyeshot("decisions", "merge", "ben.jsonl")
    assert done.code == 2
    (line,) = [line for line in done.err.splitlines() if "mine drop (ann, " in line]
    assert "cat/1.png: " in line
    assert "theirs relabel -> dog (ben, " in line
    assert "--on-conflict mine, theirs or newer" in done.err
    assert (Path("decisions.jsonl").read_bytes(), Path("ben.jsonl").read_bytes()) == before
    assert eyeshot("decisions", "merge", "ben.jsonl", "--on-conflict", "both").code == 2
    assert (Path("decisions.jsonl").read_bytes(), Path("ben.jsonl").read_bytes()) == before


@pytest.mark.parametrize(("rule", "images"), [("mine", "20 of 22"), ("theirs", "21 of 22"), ("newer", "21 of 22")])
def test_a_rule_settles_contradictions_once(eyeshot: Eyeshot, pets: Path, rule: str, images: str):
    contradict(eyeshot, pets)
    done = eyeshot("decisions", "merge", "ben.jsonl", "--on-conflict", rule)
    assert (done.code, "2 new decisions" in done.out) == (0, True)
    assert f"yours count {int(rule == 'mine')} time" in done.out
    assert images in eyeshot("manifest", "export", pets, "--csv", "x.csv").out
    again = eyeshot("decisions", "merge", "ben.jsonl")
    assert (again.code, "0 new decisions" in again.out) == (0, True)


@pytest.mark.parametrize(("answers", "images"), [(["mine"], "20 of 22"), (["what", "theirs"], "21 of 22"), ([], "")])
def test_in_a_terminal_each_contradiction_is_asked(
    eyeshot: Eyeshot, pets: Path, monkeypatch: pytest.MonkeyPatch, answers: list[str], images: str
):
    before, _ = contradict(eyeshot, pets)
    typed = io.StringIO("".join(f"{answer}\n" for answer in answers))
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", typed)
    done = eyeshot("decisions", "merge", "ben.jsonl")
    assert "cat/1.png: mine drop (ann, " in done.out
    if not answers:  # the window was closed
        assert done.code == 130
        assert Path("decisions.jsonl").read_bytes() == before
        return
    assert done.code == 0
    assert images in eyeshot("manifest", "export", pets, "--csv", "x.csv").out


def test_a_line_that_cannot_be_used_is_named_and_the_rest_counts(eyeshot: Eyeshot, pets: Path):
    eyeshot("decisions", "add", "drop", pets / "cat" / "1.png")
    with open("decisions.jsonl", "a", encoding="utf-8") as file:
        file.write("<<<<<<< ours\n")
    done = eyeshot("decisions", "list")
    assert "line 2: merge conflict marker" in done.err
    assert "1 decision counts" in done.out
    exported = eyeshot("manifest", "export", pets, "--csv", "x.csv")
    assert "line 2" in exported.err
    assert "21 of 22" in exported.out


def test_a_manifest_becomes_a_folder_of_links_and_originals_stay(eyeshot: Eyeshot, pets: Path):
    before = tree(pets)
    eyeshot("decisions", "add", "drop-both", pets / "cat" / "wrong.png")
    done = eyeshot("manifest", "export", pets, "--links", "clean")
    assert "20 of 22" in done.out
    assert len(list(Path("clean").rglob("*.png"))) == 20
    assert tree(pets) == before
    assert eyeshot("manifest", "export", pets).code == 2
    assert eyeshot("manifest", "export", pets, "--links", pets / "clean").code == 2
    assert tree(pets) == before


def test_copies_stay_together_unless_somebody_says_that_they_are_none(eyeshot: Eyeshot, pets: Path):
    def parts():
        eyeshot("split", pets, "--folds", "5", "--no-leakage")
        eyeshot("manifest", "export", pets, "--csv", "x.csv")
        rows = [line.split(",") for line in Path("x.csv").read_text("utf-8").splitlines()[1:]]
        return {row[2]: row[5] for row in rows}

    found = parts()
    assert found["cat/0.png"] == found["cat/mirrored.png"]
    assert found["cat/wrong.png"] == found["dog/3.png"]
    eyeshot("decisions", "add", "group", *(pets / "dog" / f"{number}.png" for number in range(5)))
    grouped = parts()
    assert len({grouped[f"dog/{number}.png"] for number in range(5)}) == 1
    eyeshot("decisions", "undo", "--last", "1")
    assert parts() == found


def test_a_split_reports_both_figures_and_refuses_what_cannot_be(eyeshot: Eyeshot, pets: Path):
    done = eyeshot("split", pets, "--folds", "3", "--val-share", "0.2")
    for words in (
        "Linear probe accuracy", "on a plain random split", "duplicate groups whole", "leakage", "points",
        "held out of all folds: 4 images", "fold 0: 6 images",
    ):  # fmt: skip
        assert words in done.out
    split = json.loads(Path("split.json").read_text("utf-8"))
    assert len(split["parts"]) == 21  # equal bytes count once
    assert eyeshot("split", pets, "--folds", "3", "--val-share", "0.2", "--out", "again.json").code == 0
    assert json.loads(Path("again.json").read_text("utf-8"))["parts"] == split["parts"]
    refused = eyeshot("split", pets, "--folds", "30")
    assert refused.code == 2
    assert "30 folds need at least 30" in refused.err
    assert eyeshot("split", pets, "--small-classes", "some").code == 2


def test_like_test_follows_the_rules_and_is_refused_where_nothing_is_alike(
    eyeshot: Eyeshot, pets: Path, tmp_path: Path
):
    for number in range(30):
        Image.effect_noise((40, 40), 60 + number).convert("RGB").save(pets / f"n{number}.png")
    (tmp_path / "test").mkdir()
    for file in pets.glob("n*.png"):
        file.rename(tmp_path / "test" / file.name)
    eyeshot("init", pets, "--test", tmp_path / "test", "--test-images", "nothing")
    done = eyeshot("split", "--val-share", "0.2", "--match-test", tmp_path / "test")
    assert done.code == 2
    assert 'change that line to test_images = "features"' in done.err
    text = Path("eyeshot.toml").read_text("utf-8").replace('test_images = "nothing"', 'test_images = "features"')
    Path("eyeshot.toml").write_text(text, "utf-8")
    done = eyeshot("split", "--val-share", "0.2", "--match-test", tmp_path / "test")
    assert done.code == 2
    assert "got an effective number of" in done.err
    assert not Path("split.json").exists()
    done = eyeshot("split", "--folds", "2", "--match-test", tmp_path / "test")
    assert "--val-share 0.2" in done.err


def test_a_validation_set_like_the_test_images_is_chosen_and_judged(eyeshot: Eyeshot, digits: Digits):
    shutil.copytree(digits.train, "train")
    Path("test").mkdir()
    for number, file in enumerate(sorted(Path("train").rglob("*.png"))):
        if number % 3 == 0:
            file.rename(Path("test") / f"{number}.png")
    done = eyeshot("split", "train", "--val-share", "0.2", "--match-test", "test", "--no-leakage")
    assert done.code == 0
    assert "Matched to the test images: effective number of" in done.out
    split = json.loads(Path("split.json").read_text("utf-8"))
    assert list(split["parts"].values()).count("val") == 18  # six of each class
    assert 50 <= split["like_test"]["effective"] <= 87


def test_labels_for_test_images_need_the_rule(eyeshot: Eyeshot, pets: Path, tmp_path: Path):
    save(tmp_path / "test" / "1.png", 7)
    eyeshot("init", pets, "--test", tmp_path / "test")
    done = eyeshot("decisions", "add", "relabel", tmp_path / "test" / "1.png", "--label", "cat")
    assert done.code == 2
    assert 'test_images = "hand-labels"' in done.err


TINY = ("--model", "test_resnet.r160_in1k", "--from-scratch", "--size", "32")


def test_a_project_tells_cover_its_folders_and_its_rules(eyeshot: Eyeshot, digits: Digits):
    eyeshot("init", digits.train, "--test", digits.test)
    done = eyeshot("rank", "augmentations", *TINY, "--dry-run")
    assert done.code == 0
    assert "103 training, 27 held-out and 50 target images" in done.out
    assert 'Rules for test images: "features"' in done.out
    text = Path("eyeshot.toml").read_text("utf-8").replace('test_images = "features"', 'test_images = "nothing"')
    Path("eyeshot.toml").write_text(text, "utf-8")
    without = eyeshot("rank", "augmentations", *TINY, "--dry-run")
    assert "27 target images" in without.out
    assert "The target is the validation images" in without.out
    typed = eyeshot("rank", "augmentations", "--test", digits.test, *TINY, "--dry-run")
    assert typed.code == 2
    assert '--test needs test_images = "features"' in typed.err
    assert "change that line" in typed.err


def test_cover_and_train_use_decisions_and_the_split(eyeshot: Eyeshot, digits: Digits):
    eyeshot("init", digits.train, "--test", digits.test)
    dropped = sorted((digits.train / "0").iterdir())[:2]
    eyeshot("decisions", "add", "drop", *dropped)
    eyeshot("split", "--val-share", "0.3", "--folds", "2", "--no-leakage")
    done = eyeshot("rank", "augmentations", *TINY, "--dry-run")
    assert "2 of 130 images left out" in done.out
    assert "89 training, 39 held-out and 50 target images" in done.out
    for arguments, words in (
        ((), "89 images train, 39 validate (the part held out of all folds)"),
        (("--fold", "1"), "45 images train, 44 validate (fold 1)"),
    ):
        trained = eyeshot("train", *TINY, "--dry-run", *arguments)
        assert trained.code == 0
        assert words in trained.out
    plain = eyeshot("train", *TINY, "--dry-run", "--no-split", "--no-decisions")
    assert "on 103 images, 27 validate" in plain.out
    assert eyeshot("train", *TINY, "--dry-run", "--fold", "7").code == 2
    assert eyeshot("train", *TINY, "--dry-run", "--fold", "0", "--no-split").code == 2
    result = eyeshot("train", *TINY, "--epochs", "1", "--batch-size", "32", "--json")
    assert result.code == 0
    assert (json.loads(result.out)["n_train"], json.loads(result.out)["n_val"]) == (89, 39)


def test_decisions_are_tried_before_and_after(eyeshot: Eyeshot, digits: Digits):
    eyeshot("init", digits.train)
    nothing = eyeshot("decisions", "compare")
    assert (nothing.code, "nothing can be compared" in nothing.err) == (2, True)
    for file in sorted((digits.train / "7").iterdir())[:3]:
        eyeshot("decisions", "add", "drop", file)
    done = eyeshot("decisions", "compare")
    assert done.code == 0
    assert "3 decisions: not distinguishable" in done.out
    stored = json.loads(Path("eyeshot-out/decisions/compare.json").read_text(encoding="utf-8"))
    assert (stored["version"], stored["command"]) == (1, "eyeshot decisions compare")
    told = json.loads(eyeshot("decisions", "compare", "--json").out)
    assert stored["comparison"] == {name: value for name, value in told.items() if name != "words"}
    assert eyeshot("report").code == 0
    page = Path("eyeshot-out/report/report.html").read_text(encoding="utf-8")
    low, high = wilson(round(told["after"] * told["judged"]), told["judged"])
    assert f"{100 * told['after']:.1f}\u202f% [{100 * low:.1f}, {100 * high:.1f}], n = {told['judged']}, " in page
    assert "not distinguishable" in page[page.index("What the cleaning did") :].partition("</p>")[0]
    copied = shutil.copy("decisions.jsonl", "others.jsonl")
    before = Path("eyeshot-out/decisions/compare.json").read_bytes()
    assert eyeshot("decisions", "compare", "--decisions-file", copied).code == 0
    assert Path("eyeshot-out/decisions/compare.json").read_bytes() == before, "those are not the project's decisions"
    one = decided(eyeshot)[0]["id"]
    assert "1 decision: " in eyeshot("decisions", "compare", "--id", one[:8]).out
    assert eyeshot("decisions", "compare", "--id", "abc").code == 2
    assert eyeshot("decisions", "compare", "--policy", "keep-one").code == 2
