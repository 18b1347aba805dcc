"""Predictions of finished runs: made once, made again when something changes, refused where they would be wrong."""

import shutil

import numpy as np
import pytest
from PIL import Image

import eyeshot
from eyeshot.core.errors import InputError
from eyeshot.ledger import find_predictions
from eyeshot.predictions import load_predictions
from eyeshot.training import FinishedRun

SIDE = 32


def picture(file, side_lit, seed):
    """Noise that is brighter on the left or on the right, so that mirrored images change their class."""
    random = np.random.default_rng(seed)
    values = random.integers(0, 120, (SIDE, SIDE, 3))
    half = slice(0, SIDE // 2) if side_lit == "left" else slice(SIDE // 2, SIDE)
    values[:, half] += 130
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(file)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project with a finished run that tells left from right."""
    folder = tmp_path_factory.mktemp("project")
    for number in range(60):
        side = ("left", "right")[number % 2]
        picture(folder / "train" / side / f"{number}.png", side, number)
    for number in range(20):
        picture(folder / "test" / f"{number}.png", ("left", "right")[number % 2], 1000 + number)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        eyeshot.init("train", "test", progress=False)
        eyeshot.train(model="test_resnet.r160_in1k", from_scratch=True, size=SIDE, epochs=8, progress=False)
    return folder


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    (run,) = (folder / "eyeshot-out" / "runs").iterdir()
    return run


def test_the_test_images_are_predicted_once(project):
    (first,) = eyeshot.predict(project.name, progress=False)
    (again,) = eyeshot.predict(project, progress=False)
    stored = load_predictions(first.file)
    assert (first.made, again.made, first.n) == (True, False, 20)
    right = [("left", "right")[int(name[:-4]) % 2] == stored.classes[row.argmax()]
             for name, row in zip(stored.ids, stored.probabilities, strict=True)]  # fmt: skip
    assert np.mean(right) > 0.9
    assert stored.labels is None
    assert find_predictions(project.name, "test").ids == stored.ids


def test_the_accuracy_on_them_is_estimated_unless_the_rules_forbid_it(project):
    (first,) = eyeshot.predict(project, progress=False)
    expected = eyeshot.estimate_target_accuracy(
        load_predictions(first.file), validation=load_predictions(project / "validation.npz")
    )
    assert first.estimate == expected
    assert expected.value > 0.8
    rules = project.parents[2] / "eyeshot.toml"
    rules.write_text(rules.read_text().replace('test_images = "features"', 'test_images = "nothing"'))
    (again,) = eyeshot.predict(project, progress=False)
    assert again.estimate is None
    assert 'Rules for test images: "nothing"' in again.notes[0]


def test_they_are_made_again_when_an_image_appears_and_this_is_said(project):
    eyeshot.predict(project, progress=False)
    picture(project.parents[2] / "test" / "new.png", "left", 7)
    (again,) = eyeshot.predict(project, progress=False)
    assert (again.made, again.n) == (True, 21)
    assert "20 images then, 21 now" in again.notes[0]


def test_a_view_that_changes_the_class_is_left_out(project):
    (predicted,) = eyeshot.predict(project, tta=["hflip", "vflip"], progress=False)
    effects = {effect.view: effect for effect in predicted.views}
    assert not effects["hflip"].used
    assert effects["hflip"].high < 0
    assert effects["vflip"].used
    assert (predicted.cost, predicted.file.name) == (2, "test+vflip.npz")
    assert "hflip lowers accuracy" in predicted.notes[0]


def test_a_view_predicts_what_the_mirrored_files_would_give(project):
    run = FinishedRun(project)
    test = project.parents[2] / "test"

    def probabilities(views=()):
        images = eyeshot.read_images(test, labelled=False)
        tables, _ = run.predict(images, views=views, split="test", cache=test.parent / "cache")
        return [np.array(table.probabilities, float) for table in tables]

    plain, view = probabilities(["hflip"])
    for file in test.iterdir():
        Image.open(file).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file)
    (mirrored,) = probabilities()
    assert np.abs(plain - mirrored).max() > 0.1
    # Images are cropped before they are mirrored, by whole pixels: a little differs.
    assert np.allclose(view, mirrored, atol=0.01)


def test_probabilities_with_a_view_are_the_mean(project):
    (both,) = eyeshot.predict(project, tta=["vflip"], progress=False)
    images = eyeshot.read_images(project.parents[2] / "test", labelled=False)
    tables, _ = FinishedRun(project).predict(images, views=["vflip"], split="test", cache=project / "cache")
    expected = np.mean([table.probabilities.astype(float) for table in tables], axis=0)
    assert np.allclose(load_predictions(both.file).probabilities, expected, atol=1e-3)


def test_a_test_image_that_cannot_be_read_is_told(project):
    root = project.parents[2]
    (root / "test" / "broken.png").write_bytes(b"no image")
    (predicted,) = eyeshot.predict(project, progress=False)
    assert predicted.notes[0].startswith("1 file cannot be read and has no prediction: broken.png (")
    (root / "sample.csv").write_text("id,label\nbroken.png,left\n")
    with pytest.raises(
        InputError, match=r"'id' begins with 'broken.png'.* Files that cannot be read are no images: broken.png \("
    ):
        eyeshot.predict(project, submission="sample.csv", out="sent.csv", form_only=False, progress=False)


def test_folders_whose_names_are_alike_are_kept_apart(project):
    root = project.parents[2]
    (test,) = eyeshot.predict(project, progress=False)
    for place, name in (("test-old", "test-old"), ("other/test", "other-test"), ("[a-b]", "[a-b]"),
                        ("other/validation", "other-validation")):  # fmt: skip
        (root / place).mkdir(parents=True)
        shutil.copy(root / "test" / "0.png", root / place)
        (made,) = eyeshot.predict(project, data=root / place, progress=False)
        assert (made.split, made.n, len(find_predictions(project, name))) == (name, 1, 1)
        assert len(find_predictions(project, "test")) == 20
    (named,) = eyeshot.predict(project, data=root / "test", progress=False)
    assert (named.split, named.file, named.made) == ("test", test.file, False)


def test_a_run_without_predictions_says_how_to_make_them(project):
    with pytest.raises(InputError, match=f"eyeshot predict {project.name}"):
        find_predictions(project.name, "test")


def test_a_run_fills_a_sample_submission_and_the_project_may_name_it(project):
    folder = project.parents[2]
    sample = "id,label\n" + "".join(f"{number},left\n" for number in reversed(range(20)))
    (folder / "sample.csv").write_text(sample)
    (record,) = eyeshot.predict(project.name, submission="sample.csv", out="sent.csv", progress=False)
    rows = [row.split(",") for row in (folder / "sent.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == [row.split(",")[0] for row in sample.splitlines()]
    assert np.mean([label == ("left", "right")[int(image) % 2] for image, label in rows[1:]]) > 0.9
    assert str(record.submission) == "sent.csv"
    with pytest.raises(InputError, match=r"'sent.csv' exists.*--force"):
        eyeshot.predict(project.name, submission="sample.csv", out="sent.csv", progress=False)
    settings = folder / "eyeshot.toml"
    settings.write_text(settings.read_text() + '\n[submission]\nfile = "sample.csv"\n')
    (again,) = eyeshot.predict(project.name, out="sent.csv", force=True, progress=False)
    assert "has been written over" in " ".join(again.notes)
    assert eyeshot.predict(project.name, progress=False)[0].submission is None
    (own,) = eyeshot.predict([str(record.file)], out="own.csv", progress=False)
    assert (folder / "own.csv").read_bytes() == (folder / "sent.csv").read_bytes()
    assert (own.made, own.n) == (False, 20)


def test_a_submission_that_cannot_be_made_is_refused_before_anything_is_predicted(project):
    folder = project.parents[2]
    (folder / "sample.csv").write_text("id,label\n1,left\n99,left\n")
    with pytest.raises(InputError, match="1 of 2 do not: 99"):
        eyeshot.predict(project, submission="sample.csv", out="sent.csv", progress=False)
    with pytest.raises(InputError, match=r"--submission needs a file to write.*--out submission.csv"):
        eyeshot.predict(project, submission="sample.csv", progress=False)
    with pytest.raises(InputError, match=r"eyeshot.toml names none"):
        eyeshot.predict(project, out="sent.csv", progress=False)
    with pytest.raises(InputError, match="eyeshot ensemble a b"):
        eyeshot.predict(["a", "b"], submission="sample.csv", out="sent.csv", progress=False)
    with pytest.raises(InputError, match="each view once, got hflip,hflip"):
        eyeshot.predict(project, tta=["hflip", "hflip"], progress=False)
    with pytest.raises(InputError, match=r"used as it is, got 'own.csv' with --tta"):
        eyeshot.predict("own.csv", tta=["hflip"], submission="sample.csv", out="sent.csv", progress=False)
    assert not (project / "predictions").exists()


def test_bad_input_is_refused_before_the_work(project):
    with pytest.raises(InputError, match=r"--tta must name views among hflip, .*, got 'flip'"):
        eyeshot.predict(project, tta=["flip"])
    with pytest.raises(InputError, match="At least one run"):
        eyeshot.predict([])
    (project / "result.json").unlink()
    with pytest.raises(InputError, match="Only a finished training can predict"):
        eyeshot.predict(project)


def test_runs_with_other_seeds_validate_on_the_same_images(project):
    eyeshot.train(model="test_resnet.r160_in1k", from_scratch=True, size=SIDE, epochs=1, seed=1, progress=False)
    assert find_predictions("latest").ids == find_predictions(project.name).ids
