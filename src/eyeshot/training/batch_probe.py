"""How random batches differ at one state of the weights: their losses, gradients and the noise of the gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.models import normalise
from eyeshot.training.batches import epoch_batches, make_batch
from eyeshot.training.loop import TrainingRun, gradient_norm

FEWEST_FOR_NOISE = 4
"""With fewer batches of different images the noise scale is left unknown."""


class BatchProbe(NamedTuple):
    """One batch at weights that do not move.

    Attributes:
        rows: int64 (n,), positions in the run's pool.
        loss: mean cross-entropy of the batch.
        grad_norm: of the gradients of all weights together.
        image_losses: float32 (n,), cross-entropy of each image.
    """

    rows: NDArray[np.int64]
    loss: float
    grad_norm: float
    image_losses: NDArray[np.float32]


def probe_batches(run: TrainingRun, count: int, *, seed: int) -> tuple[list[BatchProbe], float | None]:
    """Losses and gradients of random batches, augmented as in training, at the run's present weights.

    Nothing of the run changes. The batches depend on `seed` alone, so at another state of the weights they are the
    same. Costs a forward and a backward pass of each batch.

    Args:
        run: on whatever step.
        count: how many batches.
        seed: of the choice of batches, the augmentations and dropout.

    Returns:
        the batches, and the gradient noise scale in images, see `noise_scale`; None where too few batches hold
        different images, or noise hides the gradient.
    """
    size = min(run.config.batch_size, len(run.pool))
    batches: list[NDArray[np.int64]] = []
    for epoch in range(count):
        if len(batches) >= count:
            break
        batches += epoch_batches(len(run.pool), size, seed=seed, epoch=epoch)
    probes, norms = [], []
    total: list[torch.Tensor] = []
    weights = [weight for weight in run.model.parameters() if weight.requires_grad]
    different = min(count, max(1, len(run.pool) // size))  # those of the first epoch share no image
    buffers = [(buffer, buffer.clone()) for buffer in run.model.buffers()]  # BatchNorm's averages and counters
    run.model.train()
    with torch.random.fork_rng(devices=[run.device] if run.device.type == "cuda" else []):
        for number, rows in enumerate(batches[:count]):
            torch.manual_seed(int(np.random.default_rng([seed, number, 5]).integers(2**62)))
            loss, image_losses = _backward(run, rows, seed=seed, number=number)
            norm = float(gradient_norm(weights))
            probes.append(BatchProbe(rows, loss, norm, image_losses))
            if number < different:
                norms.append(norm)
                found = [torch.zeros_like(w) if w.grad is None else w.grad.detach().clone() for w in weights]
                total = found if not total else [a.add_(b) for a, b in zip(total, found, strict=True)]
        run.optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    if different < FEWEST_FOR_NOISE:
        return probes, None
    of_mean = float(torch.stack([value.norm() for value in total]).norm()) / different
    return probes, noise_scale(norms, of_mean, batch_size=size)


def _backward(
    run: TrainingRun, rows: NDArray[np.int64], *, seed: int, number: int
) -> tuple[float, NDArray[np.float32]]:
    """Set the gradients of a batch, in as many parts as the run's settings say; its loss and that of each image."""
    images, targets, _ = make_batch(
        run.pool, run.labels, rows, run.augmentations,
        class_count=run.model.head.out_features, seed=seed, epoch=number, device=run.device,
    )  # fmt: skip
    run.optimizer.zero_grad(set_to_none=True)
    losses = []
    parts = min(run.config.accumulate, len(images))
    for part, of_part in zip(images.tensor_split(parts), targets.tensor_split(parts), strict=True):
        scores = run.model(normalise(part, run.backbone, device=run.device, layout=run._layout)).float()
        each = torch.nn.functional.cross_entropy(scores, of_part, reduction="none")
        (each.sum() / len(images)).backward()  # type: ignore[no-untyped-call]
        losses.append(each.detach().cpu().numpy())
    image_losses = np.concatenate(losses)
    return float(image_losses.mean()), image_losses


def noise_scale(norms: list[float], norm_of_mean: float, *, batch_size: int) -> float | None:
    """The simple noise scale tr(S) / |G|² of gradients, in images.

    Up to a batch size of about this, twice the batch saves nearly half of the steps; far above it, hardly any.
    McCandlish et al. 2018, "An empirical model of large-batch training" (arXiv 1812.06162), appendix A.1: unbiased
    estimates of |G|² and tr(S) from gradients of batches of two sizes, here single batches and all together.

    Args:
        norms: of the gradients of k batches without common images.
        norm_of_mean: norm of the mean of these gradients.
        batch_size: images in each.

    Returns:
        None where the estimate of |G|² is not above 0.
    """
    small, large = batch_size, batch_size * len(norms)
    square_small, square_large = float(np.mean(np.square(norms))), norm_of_mean**2
    signal = (large * square_large - small * square_small) / (large - small)
    noise = (square_small - square_large) / (1 / small - 1 / large)
    return noise / signal if signal > 0 and noise >= 0 else None
