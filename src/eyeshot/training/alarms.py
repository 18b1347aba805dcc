"""What looks wrong in a training that ran through without an error."""

from __future__ import annotations

import torch

from eyeshot.core import wilson
from eyeshot.training.batches import steps_per_epoch
from eyeshot.training.run import Run


def alarms(run: Run) -> tuple[str, ...]:
    """Sentences for the user; none where all looks right."""
    most = float(torch.bincount(run.labels).max()) / len(run.labels)
    reached = run.history[-1].train_accuracy
    size = min(run.settings.batch_size, len(run.pool))
    seen = size * steps_per_epoch(len(run.pool), run.settings.batch_size)
    if wilson(round(reached * seen), seen)[0] > most or most == 1.0:
        return ()
    return (
        f"Training accuracy stayed at chance: {reached:.1%} in the last epoch; always naming the largest "
        f"class gives {most:.1%}. Check labels, augmentations and the learning rate "
        f"({run.settings.learning_rate:g}).",
    )
