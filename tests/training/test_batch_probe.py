"""Random batches at weights that do not move: their losses, gradients and the noise of the gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from eyeshot.augment import Pool
from eyeshot.training import TrainConfig, TrainingRun, make_schedule, noise_scale, probe_batches

from .helpers import CLASSES, make_pool, tiny_backbone

CONFIG = TrainConfig(epochs=4, batch_size=8, learning_rate=0.01)


class Plain(nn.Module):
    """The mean colour of an image, weighted: no layer that hides how bright an image is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) * self.weight


def make_run(pool: Pool, labels: np.ndarray, config: TrainConfig = CONFIG, **options: object) -> TrainingRun:
    return TrainingRun(tiny_backbone(**options), pool, labels, class_count=len(CLASSES), config=config)  # type: ignore[arg-type]


def test_a_probe_changes_nothing_of_the_run() -> None:
    pool, labels = make_pool()
    touched, plain = make_run(pool, labels), make_run(pool, labels)
    schedule = make_schedule(CONFIG, 28)
    for run in (touched, plain):
        run.advance(3, schedule=schedule)
        if run is touched:
            probe_batches(run, 5, seed=1)
        run.advance(9, schedule=schedule)
    for one, other in zip(touched.weights().values(), plain.weights().values(), strict=True):
        assert torch.equal(one, other)


def test_batches_depend_on_the_seed_alone_and_come_again_at_other_weights() -> None:
    pool, labels = make_pool()
    run = make_run(pool, labels)
    first, _ = probe_batches(run, 10, seed=4)
    again, _ = probe_batches(make_run(pool, labels), 10, seed=4)
    run.advance(5, schedule=make_schedule(CONFIG, 28))
    later, _ = probe_batches(run, 10, seed=4)
    other, _ = probe_batches(run, 10, seed=5)
    assert [probe.loss for probe in first] == [probe.loss for probe in again]
    assert [probe.grad_norm for probe in first] == [probe.grad_norm for probe in again]
    assert all((a.rows == b.rows).all() for a, b in zip(first, later, strict=True))
    assert not all((a.rows == b.rows).all() for a, b in zip(first, other, strict=True))
    assert [probe.loss for probe in first] != [probe.loss for probe in later]


def test_the_loss_of_a_batch_is_the_mean_of_its_images_and_the_norm_is_torchs() -> None:
    pool, labels = make_pool()
    run = make_run(pool, labels, module=Plain(), features=3)
    probes, _ = probe_batches(run, 3, seed=0)
    for probe in probes:
        images = torch.tensor(np.asarray(pool.images[probe.rows])).permute(0, 3, 1, 2).float() / 255
        run.model.zero_grad()
        scores = run.model((images - 0.5) / 0.5)
        loss = torch.nn.functional.cross_entropy(scores, torch.tensor(labels[probe.rows]))
        loss.backward()
        norm = torch.cat([w.grad.ravel() for w in run.model.parameters() if w.grad is not None]).norm()
        assert probe.loss == pytest.approx(loss.item(), rel=1e-5)
        assert probe.image_losses.mean() == pytest.approx(probe.loss, rel=1e-5)
        assert probe.grad_norm == pytest.approx(float(norm), rel=1e-4)


def test_parts_of_a_batch_give_the_same_gradient() -> None:
    pool, labels = make_pool()
    whole, _ = probe_batches(make_run(pool, labels, module=Plain(), features=3), 4, seed=0)
    config = CONFIG.model_copy(update={"accumulate": 4})
    parts, _ = probe_batches(make_run(pool, labels, config, module=Plain(), features=3), 4, seed=0)
    for one, other in zip(whole, parts, strict=True):
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)


def test_the_noise_scale_of_known_noise_is_found() -> None:
    """Gradients of images are G + noise of covariance s² I in d dimensions: tr(S) / |G|² = d s² / |G|²."""
    random = np.random.default_rng(0)
    d, s, batch, count = 200, 3.0, 16, 400
    gradient = np.full(d, 0.5)
    means = gradient + s / np.sqrt(batch) * random.normal(size=(count, d))
    found = noise_scale(list(np.linalg.norm(means, axis=1)), float(np.linalg.norm(means.mean(0))), batch_size=batch)
    assert found == pytest.approx(d * s**2 / (d * 0.25), rel=0.1)


def test_noise_that_hides_the_gradient_gives_no_scale() -> None:
    assert noise_scale([1.0, 1.0, 1.0, 1.0], 0.5, batch_size=8) is None


def test_too_few_different_batches_give_no_scale() -> None:
    pool, labels = make_pool(24)
    assert probe_batches(make_run(pool, labels), 8, seed=0)[1] is None
