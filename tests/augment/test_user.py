"""The user's own pipelines, functions and operations."""

import pickle
import random
import subprocess
import sys
import types

import numpy as np
import PIL.Image
import pytest
import torch
from torchvision.transforms import v2

import eyeshot
from eyeshot.augment import (
    augmentation,
    augmentations,
    check_augmentation,
    compose_lines,
    custom_augmentation,
    make_samples,
)
from eyeshot.augment.user import choose_kind
from eyeshot.augment.user_result import as_levels
from eyeshot.core.errors import InputError
from eyeshot.testing import AugmentationContract

from .helpers import largest_difference, pool_of, textured
from .user_pipelines import GOOD, PIPELINES


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_pipelines.py").write_text(PIPELINES, encoding="utf-8")
    yield tmp_path
    sys.modules.pop("my_pipelines", None)


class TestUserAugmentation(AugmentationContract):
    """Every way to bring an augmentation keeps the contract."""

    @pytest.fixture(autouse=True, params=GOOD)
    def _chosen(self, request, here):
        self.augmentation = augmentation(f"my_pipelines:{request.param}")


class TestUserFile(AugmentationContract):
    """By the path of a file, too."""

    @pytest.fixture(autouse=True, params=["modern", "drop", "numpy_noise"])
    def _chosen(self, request, here):
        self.augmentation = augmentation(f"{here / 'my_pipelines.py'}:{request.param}")


@custom_augmentation(may_destroy="colour names")
def swapped(image, random):
    """Two channels change places."""
    return image[torch.from_numpy(random.permutation(3))]


class TestDecorated(AugmentationContract):
    """The decorated function itself is an augmentation."""

    augmentation = swapped


@pytest.mark.parametrize("name", GOOD)
def test_good_ones_pass_the_check_at_any_size(here, name):
    for size in (1, 17, 64):
        check_augmentation(augmentation(f"my_pipelines:{name}"), size)


def test_samples_are_those_of_the_pipeline_under_the_same_seed(here):
    images = textured(5)
    chosen = augmentation("my_pipelines:modern")
    samples = make_samples(chosen, pool_of(images), range(5), seed=3, draw=1).images
    from my_pipelines import modern

    for number, image in enumerate(images):
        stream = eyeshot.augment.random.stream(3, "my_pipelines:modern", 1, f"{number:032x}")
        torch.manual_seed(chosen.operation.draw(stream, (32, 32))["seed"])
        assert torch.equal(samples[number], modern(image))


def test_floats_are_rounded_to_the_level_that_they_stand_for(here):
    images = textured(8)
    plain = v2.RandomHorizontalFlip(p=1.0)(images)
    samples = make_samples(augmentation("my_pipelines:to_float"), pool_of(images), range(8), seed=0, draw=0).images
    same = [torch.equal(sample, image) for sample, image in zip(samples, images, strict=True)]
    mirrored = [torch.equal(sample, image) for sample, image in zip(samples, plain, strict=True)]
    assert all(one != other for one, other in zip(same, mirrored, strict=True))
    assert 0 < sum(mirrored) < 8


def test_the_global_generators_are_left_as_they_were(here):
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    wanted = (torch.rand(3).tolist(), np.random.rand(3).tolist(), [random.random() for _ in range(3)])
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    for name in ("modern", "numpy_noise", "python_coin"):
        make_samples(augmentation(f"my_pipelines:{name}"), pool_of(textured(2)), [0, 1], seed=0, draw=0)
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist(), [random.random() for _ in range(3)]) == wanted


def test_images_and_draws_are_seeded_apart(here):
    same = torch.full((6, 3, 32, 32), 128, dtype=torch.uint8)
    samples = make_samples(augmentation("my_pipelines:numpy_noise"), pool_of(same), range(6), seed=0, draw=0).images
    assert len({sample.numpy().tobytes() for sample in samples}) == 6


def test_the_name_is_what_was_typed_and_the_texts_are_theirs(here):
    assert str(here) not in sys.path
    chosen = augmentations("mirror", " my_pipelines:named ", "my_pipelines:drop", "my_pipelines:drop")
    assert [one.name for one in chosen] == ["mirror", "my_pipelines:named", "my_pipelines:drop"]
    named, drop = chosen[1:]
    assert (named.family, named.description, named.probability) == ("masking", "Mine.", 0.5)
    assert (drop.family, drop.description, drop.strength) == (
        "custom",
        "A channel goes black.",
        "one of three channels",
    )
    pipeline = augmentation("my_pipelines:old")
    assert (pipeline.family, pipeline.probability) == ("custom", 1.0)
    assert pipeline.strength == "RandomRotation, ToTensor"
    assert "2 steps, given a PIL image: its step ToTensor converts one" in pipeline.description
    assert augmentation("my_pipelines:flipped").deterministic
    assert "most 0.6" in augmentation("my_pipelines:haze").strength
    assert str(here) not in sys.path


@pytest.mark.parametrize(
    ("name", "kind"),
    [("modern", "tensor"), ("old", "PIL image"), ("to_float", "PIL image"), ("erasing", "tensor"),
     ("pictures", "PIL image"), ("single", "tensor"), ("numpy_noise", "PIL image"), ("with_generator", "tensor")],
)  # fmt: skip
def test_the_kind_of_image_is_what_the_pipeline_works_on(here, name, kind):
    chosen = augmentation(f"my_pipelines:{name}")
    assert chosen.operation.takes == kind
    assert f"given a {kind}: " in chosen.description


def test_a_step_that_would_pass_a_pil_image_by_is_given_a_tensor():
    erasing = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomErasing(p=1.0)])
    assert choose_kind(erasing) == ("tensor", "its step RandomErasing needs one")
    assert choose_kind(v2.Compose([v2.ToImage(), erasing]))[0] == "PIL image"


FAULTS = {
    "normalized": r"between 0 and 1; got values from -1 to 1, after Normalize\. Leave Normalize out",
    "larger": r"that it is given, 32 x 32; got 36 x 36, after Resize \(40 x 40\) and RandomCrop \(36 x 36\).*--size 36",
    "one_channel": r"3 channels first; got a tensor \(1, 32, 32\), after Grayscale\. .*num_output_channels=3",
    "repaired": r"3 channels first; got a tensor \(2, 32, 32\), after Lambda\.",
    "whole_numbers": r"uint8 \(0-255\) or float \(0-1\) images; got int64, after ToDtype",
    "unscaled": r"between 0 and 1; got values from 0 to 25\d, after ToDtype\. Scale to 0-1 .*scale=True",
    "not_a_number": r"finite values; got NaN or infinite ones, after Lambda",
    "array": r"a PIL image or a tensor \(3, H, W\); got ndarray",
    "from_the_clock": r"the same sample for the same seed, and did not.*default_rng",
    "fails_on_white": r"failed: ValueError: no white, please \(.*my_pipelines\.py, line \d+: raise ValueError",
    "failing": r"failed in Lambda: ValueError: no white, please \(.*my_pipelines\.py, line \d+: raise ValueError",
    "too_small": r"of the size that it is given, 32 x 32; got 32 x 31",
    "wrong_type": r"failed: TypeError: WrongType\.apply must return images uint8.*AugmentationContract",
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_check_tells_what_is_wrong_which_step_does_it_and_what_to_do(here, name):
    with pytest.raises(InputError, match=f"^my_pipelines:{name} must.*{FAULTS[name]}"):
        check_augmentation(augmentation(f"my_pipelines:{name}"), 32)


def test_a_crop_to_the_size_of_the_images_is_no_fault_and_to_another_is(here):
    check_augmentation(augmentation("my_pipelines:crop"), 32)
    with pytest.raises(InputError, match=r"given, 48 x 48; got 32 x 32\. Images are .* or give --size 32"):
        check_augmentation(augmentation("my_pipelines:crop"), 48)


def test_faults_on_real_images_alone_are_told_as_well(here):
    images = textured(3)
    images[1, :, 0, 0] = 255
    with pytest.raises(InputError, match="no white, please"):
        make_samples(augmentation("my_pipelines:fails_on_white"), pool_of(images), range(3), seed=0, draw=0)


def test_the_catalogue_needs_no_check():
    check_augmentation(augmentation("mosaic"), 1)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("my_pipelines:modrn", "has nothing called 'modrn'. Nearest: modern"),
        ("my_piplines:modern", r"'my_piplines' cannot be imported \(ModuleNotFoundError.*in the current folder"),
        ("nowhere/mine.py:modern", "there is no file"),
        ("my_pipelines:number", "must be a torchvision Compose, a function .* got int"),
        ("my_pipelines:NotMade", "got the class NotMade. Name an object"),
        ("my_pipelines:", "package.module:attribute or path/to/file.py:attribute, got 'my_pipelines:'"),
        (":modern", "package.module:attribute"),
        ("my_pipelines:v2", "got module"),
    ],
)
def test_a_name_that_leads_nowhere_is_an_input_error(here, name, match):
    for find in (augmentation, augmentations):
        with pytest.raises(InputError, match=f"^The augmentation {name}.*{match}"):
            find(name)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("import no_such_package", r"No module named 'no_such_package'; .*mine\.py, line 1: import no_such_package\)"),
        ("\nx = = 1", r"SyntaxError.*mine\.py, line 2\)"),
        ("def f():\n    return 1 / 0\nf()", r"ZeroDivisionError: .*mine\.py, line 2: return 1 / 0\)"),
        ("import sys\nsys.exit(2)", r"SystemExit: 2; .*line 2.*if __name__ == '__main__'"),
    ],
)
@pytest.mark.parametrize("name", ["mine:made", "mine.py:made"])
def test_code_that_cannot_be_imported_is_an_input_error_with_its_line(here, name, text, match):
    (here / "mine.py").write_text(text, encoding="utf-8")
    before = set(sys.modules)
    with pytest.raises(InputError, match=f"cannot be imported .*{match}"):
        augmentation(name)
    assert not {module for module in set(sys.modules) - before if module.startswith("mine")}


@pytest.mark.parametrize("name", ["changing:made", "changing.py:made", "changing:haze"])
def test_a_changed_file_is_loaded_again_under_another_fingerprint(here, name):
    text = PIPELINES + "made = v2.Compose([v2.Lambda(lambda image: image // 2)])\n"
    (here / "changing.py").write_text(text, encoding="utf-8")
    pool = pool_of(textured(2))
    first = augmentation(name)
    assert first.fingerprint == augmentation(name).fingerprint
    assert " at 0x" not in first.fingerprint
    before = make_samples(first, pool, [0, 1], seed=0, draw=0).images
    changed = text.replace("image // 2", "255 - image // 2").replace("200 * share", "(20 * share)")
    (here / "changing.py").write_text(changed, encoding="utf-8")
    second = augmentation(name)
    assert second.fingerprint != first.fingerprint
    assert not torch.equal(make_samples(second, pool, [0, 1], seed=0, draw=0).images, before)
    sys.modules.pop("changing", None)


def test_fingerprints_are_the_same_in_another_process(here):
    names = [f"my_pipelines:{name}" for name in ("modern", "haze", "drop", "numpy_noise")]
    code = "import sys, eyeshot; print('|'.join(eyeshot.augmentation(name).fingerprint for name in sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "|".join(augmentation(name).fingerprint for name in names)


def test_another_process_finds_it_from_another_folder(here, tmp_path_factory):
    names = ["my_pipelines:pictures", "my_pipelines.py:drop"]
    found = [augmentation(name) for name in names]
    found.append(sys.modules["my_pipelines"].flipped)  # as its own file made it, never looked up by name
    sent = pickle.dumps(found)
    code = "import pickle, sys; print([one.fingerprint for one in pickle.load(sys.stdin.buffer)])"
    done = subprocess.run(
        [sys.executable, "-c", code], input=sent, capture_output=True, check=True, cwd=tmp_path_factory.mktemp("else")
    )
    assert done.stdout.decode().strip() == str([one.fingerprint for one in found])


@pytest.mark.parametrize("name", GOOD)
def test_the_lines_of_its_own_can_be_pasted(here, name):
    lines = compose_lines(augmentation(f"my_pipelines:{name}"))
    imports = "\n".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
    space = {"v2": v2, "eyeshot": types.SimpleNamespace(augmentation=augmentation)}
    sys.path.append(str(here))
    try:
        exec(imports, space)
    finally:
        sys.path.remove(str(here))
    pipeline = eval("v2.Compose([\n" + "\n".join(lines) + "\n])", space)
    image = textured(1, 24, 24)[0]
    takes = getattr(augmentation(f"my_pipelines:{name}").operation, "takes", "tensor")
    picture = PIL.Image.fromarray(image.permute(1, 2, 0).numpy())
    assert v2.functional.get_size(pipeline(picture if takes == "PIL image" else image)) == [24, 24]


def test_the_lines_say_what_to_import(here):
    assert compose_lines(augmentation("my_pipelines:modern")) == ["# from my_pipelines import modern", "modern,"]
    assert compose_lines(augmentation("my_pipelines:drop"))[1] == "drop.as_transform(),"
    (line,) = compose_lines(augmentation("my_pipelines.py:modern"))
    assert line == 'eyeshot.augmentation("my_pipelines.py:modern").as_transform(),'


def test_the_decorator_takes_functions_alone():
    with pytest.raises(InputError, match="decorates a function, got Compose"):
        custom_augmentation()(v2.Compose([v2.RandomInvert()]))


def test_a_decorated_function_changes_its_copy_and_not_the_image(here):
    images = textured(3)
    drop = augmentation("my_pipelines:drop")
    samples = make_samples(drop, pool_of(images.clone()), range(3), seed=0, draw=0).images
    for sample, image in zip(samples, images, strict=True):
        black = [channel for channel in range(3) if not sample[channel].any()]
        assert len(black) == 1
        assert largest_difference(sample, image.index_fill(0, torch.tensor(black), 0)) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_level_comes_back_from_a_float(dtype):
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).expand(3, -1, -1)
    result = as_levels(v2.functional.to_dtype(levels, dtype, scale=True), (16, 16))
    assert torch.equal(result, levels)


@pytest.mark.parametrize("name", ["my_pipelines.py", "my_pipelines.modern"])
def test_a_name_of_ones_own_without_a_colon_is_told_how_to_write_it(here, name):
    with pytest.raises(InputError, match=r"package\.module:attribute or path/to/file\.py:attribute"):
        augmentations(name)


def test_what_a_script_or_notebook_defines_is_found_in_main(here, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "mine", v2.Compose([v2.RandomInvert(p=1.0)]), raising=False)
    mine = augmentation("__main__:mine")
    images = textured(2)
    assert torch.equal(make_samples(mine, pool_of(images), [0, 1], seed=0, draw=0).images, 255 - images)
    assert compose_lines(mine) == ["mine,"]


def test_a_transform_that_fails_on_every_kind_says_so():
    assert choose_kind(v2.Lambda(lambda image: 1 / 0))[1] == "it failed on either kind of 224 x 224 pixels"


def test_timms_training_pipeline_works_once_normalize_is_left_out(here):
    text = (
        "import timm.data\nwhole = timm.data.create_transform(32, is_training=True, auto_augment='rand-m9-mstd0.5')\n"
    )
    text += "mine = type(whole)(whole.transforms[:-1])\n"
    (here / "of_timm.py").write_text(text, encoding="utf-8")
    check_augmentation(augmentation("of_timm:mine"), 32)
    with pytest.raises(InputError, match=r"after Normalize\. Leave Normalize out"):
        check_augmentation(augmentation("of_timm:whole"), 32)
    with pytest.raises(InputError, match=r"after RandomResizedCropAndInterpolation \(32 x 32\)"):
        check_augmentation(augmentation("of_timm:mine"), 40)
    sys.modules.pop("of_timm", None)


def test_a_step_that_is_written_in_another_file_is_followed(here):
    (here / "of_steps.py").write_text("from my_steps import Shift\nmade = Shift()\n", encoding="utf-8")
    text = "class Shift:\n    def __call__(self, image):\n        return image.rotate({})\n"
    fingerprints = []
    for turn in (90, 180):
        (here / "my_steps.py").write_text(text.format(turn), encoding="utf-8")
        fingerprints.append(augmentation("of_steps:made").fingerprint)
        for name in ("of_steps", "my_steps"):
            sys.modules.pop(name)
    assert fingerprints[0] != fingerprints[1]


def test_a_decorated_function_remembers_the_folder_of_its_module(here, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.syspath_prepend(here)
    (here / "my_package").mkdir()
    (here / "my_package" / "inner.py").write_text(PIPELINES, encoding="utf-8")
    import my_package.inner
    import my_pipelines

    assert my_pipelines.drop.operation.folder == my_package.inner.drop.operation.folder == str(here)
    for name in ("my_package", "my_package.inner"):
        sys.modules.pop(name)
