"""What came of the ranking: the first candidates, clean and TrivialAugment trained to the end, paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, augmentation
from eyeshot.coverage.candidates import Judged
from eyeshot.coverage.data import Progress
from eyeshot.coverage.half_samples import NORMAL_95
from eyeshot.coverage.plan import Plan
from eyeshot.coverage.report import Confirmed
from eyeshot.coverage.words import CONTROL_ADVICE
from eyeshot.settings import TRAIN_OPTIONS
from eyeshot.training import TrainPlan, TrainResult, discard_damaged, plan_training, read_validation, train_folder
from eyeshot.workspace import Workspace

CLEAN = "clean"


def confirm(
    train: str | Path, plan: Plan, judged: Judged, *, progress: Progress | None, command: str
) -> list[Confirmed]:
    """Train on all training images, each with the same seed, order of images and validation images.

    The same call continues a training that was cut off, and trains nothing twice.

    Raises:
        ModelError: a loss is not finite.
        StorageError: the cache cannot be written.
    """
    settings = plan.settings
    first = plan_training(
        Path(train),
        model=plan.backbone.name,
        **{name: getattr(settings, name) for name in TRAIN_OPTIONS},
        workspace=Workspace(root=plan.cache, cache=plan.cache),
    )
    by_name = {CONTROL_ADVICE: augmentation(CONTROL_ADVICE)} | {one.name: one for one in plan.candidates}
    found: list[Confirmed] = []
    clean_right: NDArray[np.bool_] | None = None
    names = chosen_names(judged, by_name, settings.confirm)
    for number, name in enumerate(names):
        steps = (*plan.base, *(() if name == CLEAN else (by_name[name],)))
        one = replace(first, augmentations=steps, folder=_folder(first, steps))
        what = f"confirming {name} ({number + 1} of {len(names)})"
        report = (
            None
            if progress is None
            else (lambda text, done, total, what=what: progress(f"{what}: {text}", done, total))
        )
        discard_damaged(one.folder)
        result, _ = train_folder(one, command=command, report=report)
        validation = read_validation(one.folder)
        right = validation.probabilities.argmax(1) == validation.labels
        if clean_right is None:
            clean_right = right
        found.append(_confirmed(name, result, right, None if name == CLEAN else clean_right))
    return found


def chosen_names(judged: Judged, known: dict[str, Augmentation], count: int) -> list[str]:
    """Clean first, then the first `count` ranked candidates, and TrivialAugment unless it is among them."""
    ranked = [one.name for one in judged.candidates if one.role == "ranked" and one.name in known][:count]
    control = [CONTROL_ADVICE] if CONTROL_ADVICE in known else []
    return list(dict.fromkeys([CLEAN, *ranked, *control]))


def paired_gain(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, tuple[float, float]]:
    """Accuracy of `one` less that of `other` on the same n images, with its 95 % interval.

    The variance is that of the paired differences: McNemar, Psychometrika 12 (1947), p. 153.
    """
    difference = one.astype(np.float64) - other
    reach = NORMAL_95 * float(difference.std(ddof=1)) / np.sqrt(len(difference))
    gain = float(difference.mean())
    return gain, (gain - reach, gain + reach)


def _confirmed(name: str, result: TrainResult, right: NDArray[np.bool_], clean: NDArray[np.bool_] | None) -> Confirmed:
    gain, ends = (None, None) if clean is None else paired_gain(right, clean)
    return Confirmed(
        name=name,
        epochs=result.epochs,
        n_train=result.n_train,
        n_val=result.n_val,
        accuracy=float(right.mean()),
        interval=result.accuracy.interval,
        gain=gain,
        gain_interval=ends,
        seconds=result.seconds,
    )


def _folder(plan: TrainPlan, steps: Sequence[Augmentation]) -> Path:
    """One folder for each training, named by all that decides it."""
    digest = xxhash.xxh3_128(plan.backbone.fingerprint.encode())
    digest.update(plan.settings.model_dump_json().encode())
    digest.update(repr([(one.fingerprint, one.probability) for one in steps]).encode())
    tables = [table for table in (plan.train, plan.val) if table is not None]
    for table in tables:
        digest.update(
            "".join(f"{key}{label};" for key, label in zip(table.contents, table.labels, strict=True)).encode()
        )
    digest.update(repr((plan.val_share, plan.device)).encode())
    return plan.cache / "confirmed" / digest.hexdigest()
