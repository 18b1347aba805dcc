import importlib.util
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eyeshot.augment import SCALABLE, PolicyStep, Pool, make_samples, policy_augmentation
from eyeshot.augment.names import FAMILIES
from eyeshot.training.batches import make_batch, of_epoch
from eyeshot.training.script.policy_script import policy_script, write_policy_script

NAMES = [name for family, names in FAMILIES.items() if family != "control" for name in names]
STAGES = (("light", 0.1, 0.3), ("full", 0.3, 0.9))
COUNT, CLASSES, EPOCHS = 6, 3, 10
HALVES = st.sampled_from([0.5, 1.0])


def pictures(seed: int) -> np.ndarray:
    """Smooth colours and a bright bar, so that edge maps are neither empty nor full; uint8 (n, 40, 40, 3)."""
    random = np.random.default_rng(seed)
    images = np.kron(random.integers(0, 200, (COUNT, 5, 5, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    images[:, 10:14, 5:35] = 255
    images[0] = 128  # an edge map of it is empty
    return images


def module_of(text: str):
    spec = importlib.util.spec_from_loader("policy_written", loader=None)
    module = importlib.util.module_from_spec(spec)
    sys.modules["policy_written"] = module  # dataclasses look their module up
    exec(compile(text, "policy.py", "exec"), module.__dict__)
    return module


def written_pixels(module, images, keys, *, seed, epoch, as_picture, mixes):
    made = [PIL.Image.fromarray(image) for image in images]
    tensors = list(torch.from_numpy(images).permute(0, 3, 1, 2))
    data = [(image, row % CLASSES) for row, image in enumerate(made if as_picture else tensors)]
    more = {"class_count": CLASSES} if mixes else {}
    wrapped = module.PolicyDataset(data, epochs=EPOCHS, seed=seed, keys=keys, **more)
    wrapped.epoch = epoch
    pixels, labels = zip(*(wrapped[row] for row in range(COUNT)), strict=True)
    if as_picture:
        pixels = [torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in pixels]
    return torch.stack(list(pixels)), labels


@st.composite
def policies(draw):
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=3))
    return tuple(PolicyStep(name, draw(HALVES) if name in SCALABLE else 1.0, draw(HALVES), STAGES) for name in names)


def assert_same(steps, seed, epoch, as_picture):
    images, keys = pictures(seed), [f"image {row}" for row in range(COUNT)]
    augmentations = [policy_augmentation(step) for step in steps]
    mixes = any(own.mixes for own in augmentations)
    now = of_epoch(augmentations, epoch, EPOCHS)
    labels = torch.arange(COUNT) % CLASSES
    wanted, targets, _ = make_batch(
        Pool(images, keys), labels, np.arange(COUNT), now,
        class_count=CLASSES, seed=seed, epoch=epoch, device=torch.device("cpu"),
    )  # fmt: skip
    module = module_of(policy_script(steps))
    pixels, given_labels = written_pixels(
        module, images, keys, seed=seed, epoch=epoch, as_picture=as_picture, mixes=mixes
    )
    assert torch.equal(pixels, wanted)
    if mixes:
        torch.testing.assert_close(torch.stack(list(given_labels)), targets)
    else:
        assert list(given_labels) == labels.tolist()


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(policies(), st.integers(0, 2**40), st.integers(0, EPOCHS - 1), st.booleans())
def test_the_written_file_gives_the_pixels_of_training(steps, seed, epoch, as_picture):
    assert_same(steps, seed, epoch, as_picture)


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_gives_the_pixels_of_training(name):
    assert_same((PolicyStep(name, 1.0, 1.0, STAGES),), 7, 5, True)


def test_nothing_is_applied_outside_of_the_stages():
    images, keys = pictures(0), [str(row) for row in range(COUNT)]
    module = module_of(policy_script((PolicyStep("invert", 1.0, 1.0, STAGES),)))
    for epoch, changed in ((0, False), (5, True), (9, False)):
        pixels, _ = written_pixels(module, images, keys, seed=0, epoch=epoch, as_picture=False, mixes=False)
        plain = torch.from_numpy(images).permute(0, 3, 1, 2)
        assert torch.equal(pixels, 255 - plain if changed else plain)


def test_light_changes_about_half_as_many_images_as_full():
    steps = [policy_augmentation(PolicyStep("invert", 1.0, 0.8, STAGES))]
    images = np.zeros((400, 2, 2, 3), np.uint8)
    pool = Pool(images, [str(row) for row in range(400)])

    def share(epoch: int) -> float:
        now = of_epoch(steps, epoch, EPOCHS)
        samples = make_samples(now, pool, range(400), seed=0, draw=epoch, always=False)
        return float((samples.images.flatten(1) > 0).any(1).float().mean())

    assert share(1) == pytest.approx(0.4, abs=0.1)
    assert share(5) == pytest.approx(0.8, abs=0.1)


def test_the_file_runs_without_eyeshot(tmp_path):
    steps = PolicyStep("edges", 1.0, 0.5, STAGES), PolicyStep("trivial-augment", 1.0, 1.0, STAGES)
    write_policy_script(steps, tmp_path / "policy.py")
    text = (tmp_path / "policy.py").read_text(encoding="utf-8")
    assert "import eyeshot" not in text
    assert "from eyeshot" not in text
    code = (
        "import sys; sys.modules['eyeshot'] = None; import policy, torch; "
        "data = policy.PolicyDataset([(torch.zeros(3, 8, 8, dtype=torch.uint8), 1)] * 2, epochs=2); "
        "data.epoch = 1; image, label = data[-1]; print(tuple(image.shape), label, len(data))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(3, 8, 8) 1 2"
