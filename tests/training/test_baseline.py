import numpy as np
import pytest
import torch

from eyeshot.core import CallbackProgress
from eyeshot.models import extract, load_backbone
from eyeshot.training import baseline as room
from eyeshot.training import train_baseline

from .helpers import CLASSES, SETTINGS, make_pool, tiny_backbone

ROWS = np.arange(60)


def make_baseline(cache, **options):
    pool, labels = make_pool()
    arguments = {"val_rows": ROWS[42:], "classes": CLASSES, "cache": cache, "settings": SETTINGS} | options
    backbone = arguments.pop("backbone", None) or tiny_backbone()
    return train_baseline(backbone, pool, labels, ROWS[:42], **arguments)


def test_the_backbone_and_head_of_a_baseline_give_the_probabilities_that_were_kept(tmp_path):
    pool, _ = make_pool()
    backbone, head, _ = make_baseline(tmp_path)
    kept = next(tmp_path.rglob("validation.npz"))
    with np.load(kept) as validation:
        expected = validation["probabilities"]
    features = extract(backbone, pool.images[42:])
    assert np.allclose(head.predict_proba(features), expected, atol=1e-3)


def test_a_baseline_has_another_fingerprint_than_the_untrained_network(tmp_path):
    before = tiny_backbone()
    after, _, _ = make_baseline(tmp_path, backbone=before)
    assert after.fingerprint != before.fingerprint
    assert not after.pretrained
    assert "Trained here for 6 epochs on 42 images (clean images)" in after.reason


def test_a_baseline_that_is_in_the_cache_is_taken_from_there(tmp_path):
    steps = []
    first, _, first_result = make_baseline(tmp_path, progress=CallbackProgress(lambda *_: steps.append(1)))
    again, _, second_result = make_baseline(
        tmp_path, progress=CallbackProgress(lambda *_: pytest.fail("trained again"))
    )
    assert len(steps) == 30
    assert again.fingerprint == first.fingerprint
    assert second_result == first_result


def test_another_seed_is_another_baseline_beside_the_first(tmp_path):
    make_baseline(tmp_path)
    make_baseline(tmp_path, settings=SETTINGS.model_copy(update={"seed": 1}))
    assert len(list((tmp_path / "baselines").iterdir())) == 2


def test_a_time_cap_is_told_in_the_result(tmp_path):
    assert "time cap" in make_baseline(tmp_path, time_cap_s=1e-6)[2].ended_early


def test_without_settings_the_defaults_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "default_settings", lambda *_, seed: (SETTINGS.model_copy(update={"seed": seed}), ""))
    assert make_baseline(tmp_path, settings=None, seed=7)[2].settings.seed == 7


@pytest.mark.slow
def test_a_small_timm_network_learns_the_digits_of_scikit_learn(tmp_path):
    from sklearn.datasets import load_digits

    from eyeshot.augment import Pool

    digits = load_digits()
    grey = (digits.images[:700] * 15.9).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    pool = Pool(np.stack([grey] * 3, axis=-1), [f"{number:032x}" for number in range(700)])
    backbone = load_backbone("test_resnet.r160_in1k", from_scratch=True, size=32)
    settings = SETTINGS.model_copy(update={"epochs": 8, "batch_size": 50, "learning_rate": 4e-3})
    torch.manual_seed(0)
    _, _, result = train_baseline(
        backbone, pool, digits.target[:700].astype(np.int64), np.arange(500), val_rows=np.arange(500, 700),
        classes=[str(digit) for digit in range(10)], cache=tmp_path, settings=settings,
    )  # fmt: skip
    assert result.accuracy.value > 0.85


def test_the_weights_that_a_run_leaves_are_taken_by_the_option_for_weights(tmp_path):
    pool, labels = make_pool()
    tag = "test_resnet.r160_in1k"
    backbone = load_backbone(tag, from_scratch=True, size=16)
    settings = SETTINGS.model_copy(update={"epochs": 1})
    arguments = {"val_rows": ROWS[42:], "classes": CLASSES, "cache": tmp_path, "settings": settings}
    trained, _, _ = train_baseline(backbone, pool, labels, ROWS[:42], **arguments)
    loaded = load_backbone(tag, weights=next(tmp_path.rglob("weights.safetensors")), size=16)
    assert "classifier left out: fc.bias, fc.weight" in loaded.reason
    assert loaded.fingerprint == trained.fingerprint
