"""`rank_optimizers()`: which optimizers suit this situation, and whether they beat AdamW."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eyeshot.augment import Pool
from eyeshot.core import (
    InputError,
    Progress,
    describe_hardware,
    duration,
    find_workspace,
    key_of,
    make_folder,
    plural,
    replacing,
    shown_progress,
)
from eyeshot.data import PixelStore, hold_out, project_data
from eyeshot.models import gpu_errors_explained
from eyeshot.rankings.optimizers.advice import ADVISED, advise_optimizers, advise_schedule, advised
from eyeshot.rankings.optimizers.options import BASELINE, BUDGET_S, RATES, SEEDS, check_options
from eyeshot.rankings.optimizers.report import Advised, OptimizersReport, Situation, TriedOptimizer
from eyeshot.rankings.optimizers.situation import PROBE_STEPS, measure_situation
from eyeshot.rankings.optimizers.trials import (
    INNER_SHARE,
    TrialImages,
    TrialPlan,
    Trials,
    assumed_steps,
    measure_steps,
    plan_trials,
)
from eyeshot.rankings.optimizers.verdict import conclude, judge
from eyeshot.training import (
    OPTIMIZERS,
    TrainPlan,
    estimate_training,
    part_of,
    plan_training,
)


@dataclass(frozen=True, eq=False)
class OptimizerRanking:
    """The result of `rank_optimizers()`.

    Attributes:
        report: the contents of `optimizers.json`.
        paths: file of each image that the report names, by its id.
    """

    report: OptimizersReport
    paths: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class OptimizersPlan:
    """What will be done, before the long work.

    Attributes:
        training: AdamW's recipe, network and images.
        inner_rows, inner_val_rows: positions in the dataset's images, for the choice of learning rates.
        optimizers: those the user named; empty: advised after the situation is measured.
        trials: how long and how often; None without a budget.
        folder: where trials are kept.
        notes: what was chosen, and why.
    """

    training: TrainPlan
    inner_rows: np.ndarray[Any, np.dtype[np.int64]]
    inner_val_rows: np.ndarray[Any, np.dtype[np.int64]]
    optimizers: tuple[str, ...]
    trials: TrialPlan | None
    folder: Path
    notes: list[str]


def rank_optimizers(
    train: str | Path | None = None,
    *,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    val: str | Path | None = None,
    val_share: float = 0.2,
    decisions: bool | str | Path = True,
    split: bool | str | Path = True,
    fold: int | None = None,
    model: str | None = None,
    weights: str | Path | None = None,
    from_scratch: bool = False,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    device: str | None = None,
    augment: Sequence[str] = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    schedule: str | None = None,
    settings: Mapping[str, object] | None = None,
    optimizer: str | Sequence[str] = (),
    budget_s: float = BUDGET_S,
    seeds: int = SEEDS,
    rates: int = RATES,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | bool | None = None,
    planned: Callable[[OptimizersPlan], object] | None = None,
    command: str = "",
) -> OptimizerRanking:
    """Measure the situation, advise three optimizers, and try them against AdamW within a budget.

    The same call continues a ranking that was interrupted; no training is repeated.

    Args:
        train: folder with one folder of images per class, or the root of `labels`; None: the folder in eyeshot.toml.
        labels: CSV with paths and labels, instead of class folders.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        val: folder of the user's own validation images.
        val_share: share of the training images to hold out if there is neither `val` nor a split.
        decisions: whether to apply the project's decisions.jsonl, or a decisions file.
        split: whether to use the project's split.json if there is no `val`, or a split file.
        fold: the fold of the split that validates.
        model: timm tag ("architecture.weights") or "package.module:factory"; None: a small timm model.
        weights: local file with its weights: safetensors or a state dict.
        from_scratch: start from untrained weights.
        size, mean, std, interpolation, fit: how its images are prepared; None: the model's own.
        device: cuda, mps or cpu; None: found.
        augment: augmentations that all trainings use, in order.
        epochs, batch_size, learning_rate: of AdamW's recipe; None: by model and data.
        schedule: of all optimizers that bring none of their own; None: the recipe's.
        settings: more of the recipe by the names of `TrainConfig`, such as {"layer_decay": 0.75}.
        optimizer: names to try against AdamW; empty: three are advised.
        budget_s: seconds for the trials; 0: only measure and advise.
        seeds: trainings of each optimizer that are compared.
        rates: learning rates that each is tried with first.
        seed: of every random choice.
        cache: folder of decoded images and trials; None: the project's cache.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.
        planned: called with what will be done before the long work; what it raises ends the ranking.
        command: what was typed, for the report.

    Returns:
        the report, and the files of the images that it names; `report.save` writes optimizers.json.

    Raises:
        InputError: an argument cannot be used, the budget is too small, or too few images are left to choose rates.
        ModelError: the model is not available, or no learning rate keeps AdamW's loss finite.
        StorageError: the cache cannot be written.
    """
    options = dict(locals())
    names = check_options(optimizer, schedule=schedule, settings=settings, budget_s=budget_s, seeds=seeds, rates=rates)
    data = project_data(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root, val=val,
        val_share=val_share, decisions=decisions, split=split, fold=fold,
    )  # fmt: skip
    place = find_workspace().cache if cache is None else Path(cache)
    with shown_progress(progress) as shown:
        training = plan_training(
            data, model=model, weights=None if weights is None else Path(weights), from_scratch=from_scratch,
            size=size, mean=mean, std=std, interpolation=interpolation, fit=fit, augment=augment, epochs=epochs,
            batch_size=batch_size, learning_rate=learning_rate, optimizer=BASELINE, schedule=schedule,
            settings=settings, seed=seed, device=device,
            workspace=replace(find_workspace(), cache=place), progress=shown,
        )  # fmt: skip
        plan = _plan(training, names, budget_s=budget_s, seeds=seeds, rates=rates, progress=shown)
    if planned is not None:
        planned(plan)
    with shown_progress(progress) as shown:
        return _run(plan, options, budget_s=budget_s, seeds=seeds, rates=rates, progress=shown, command=command)


def _plan(
    training: TrainPlan, names: tuple[str, ...], *, budget_s: float, seeds: int, rates: int, progress: Progress
) -> OptimizersPlan:
    """Choose how long and how often to train; the choice of an interrupted ranking stands.

    Raises:
        InputError: the budget is too small, or too few images are left.
    """
    dataset = training.dataset
    if len(dataset.val_rows) < 2:
        raise InputError(
            f"Optimizers are compared on at least two validation images, got {len(dataset.val_rows)}. Use a larger "
            "--val-share or --val DIR."
        )
    notes = [*training.notes]
    inner, inner_val = dataset.train_rows, np.empty(0, np.int64)
    if budget_s:
        try:
            parts = hold_out(
                dataset.images.take(dataset.train_rows), dataset.groups[dataset.train_rows],
                share=INNER_SHARE, seed=dataset.config.seed,
            )  # fmt: skip
        except InputError as error:
            raise InputError(
                "Learning rates are chosen on images held out of the training images, and none can be: every class "
                f"has one image, or copies of one. Give more images, or --budget 0 to be advised only. ({error})"
            ) from error
        inner, inner_val = (dataset.train_rows[part] for part in parts)
        labels = dataset.images.labels
        missing = len(set(labels[inner].tolist()) - set(labels[inner_val].tolist()))
        if missing:
            notes.append(
                f"{missing} of {len(dataset.classes)} classes have too few images to take part in the choice of "
                "learning rates; they are trained and judged all the same."
            )
    plan = OptimizersPlan(
        training=training, inner_rows=inner, inner_val_rows=inner_val, optimizers=names, trials=None,
        folder=training.cache / "optimizers" / _key(training), notes=notes,
    )  # fmt: skip
    if not budget_s:
        return plan
    step_s = _kept_steps(plan).get(BASELINE) or estimate_training(training, progress=progress).step_s
    wanted = names or (BASELINE,) * ADVISED
    return replace(
        plan,
        trials=_plan_trials(
            plan, wanted, step_s=assumed_steps(step_s, wanted), budget_s=budget_s, seeds=seeds, rates=rates
        ),
    )


def _plan_trials(
    plan: OptimizersPlan,
    optimizers: Sequence[str],
    *,
    step_s: dict[str, float],
    budget_s: float,
    seeds: int,
    rates: int,
) -> TrialPlan:
    dataset = plan.training.dataset
    return plan_trials(
        plan.training, (BASELINE, *optimizers),
        counts=(len(dataset.train_rows), len(dataset.val_rows), len(plan.inner_rows), len(plan.inner_val_rows)),
        step_s=step_s, before_s=PROBE_STEPS * step_s[BASELINE], budget_s=budget_s, seeds=seeds, rates=rates,
    )  # fmt: skip


def _key(training: TrainPlan) -> str:
    """Key of all that decides the trials and is known before images are decoded."""
    dataset = training.dataset
    return key_of(
        training.backbone.fingerprint,
        training.settings.identity(),
        [(augmentation.fingerprint, augmentation.probability) for augmentation in training.augmentations],
        (dataset.images.contents, dataset.images.labels, dataset.classes),
        (dataset.train_rows, dataset.val_rows),
        training.device,
    )


STEPS_FILE = "steps.json"


def _kept_steps(plan: OptimizersPlan) -> dict[str, float]:
    """Seconds of steps as first measured: the same command then plans the same trials and continues them."""
    try:
        kept = json.loads((plan.folder / STEPS_FILE).read_text(encoding="utf-8"))
        return {name: float(seconds) for name, seconds in kept.items() if name in OPTIMIZERS}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _steps(plan: OptimizersPlan, images: TrialImages, names: Sequence[str]) -> dict[str, float]:
    """Seconds of a step of AdamW and the named optimizers, measured once."""
    kept = _kept_steps(plan)
    missing = [name for name in (BASELINE, *names) if name not in kept]
    if missing:
        rows = images.train_rows
        kept |= measure_steps(plan.training, part_of(images.pool, rows), images.labels[rows], missing)
        make_folder(plan.folder)
        with replacing(plan.folder / STEPS_FILE) as temporary:
            temporary.write_text(json.dumps(kept) + "\n", encoding="utf-8")
    return {name: kept[name] for name in (BASELINE, *names)}


@gpu_errors_explained()
def _run(
    plan: OptimizersPlan,
    options: dict[str, Any],
    *,
    budget_s: float,
    seeds: int,
    rates: int,
    progress: Progress,
    command: str,
) -> OptimizerRanking:
    training, notes = plan.training, list(plan.notes)
    dataset = training.dataset
    images = _decode(plan, notes, progress)
    rows = images.train_rows
    situation = measure_situation(
        training,
        part_of(images.pool, rows),
        images.labels[rows],
        [images.ids[row] for row in rows.tolist()],
        progress=progress.sub("measuring the situation"),
    )
    advice, left_out = _advise(situation, plan.optimizers)
    names = [each.optimizer for each in advice]
    trial_plan, tried, spent = plan.trials, list[TriedOptimizer](), 0.0
    if trial_plan is not None:
        trial_plan = _plan_trials(
            plan, names, step_s=_steps(plan, images, names), budget_s=budget_s, seeds=seeds, rates=rates
        )
        trials = Trials(training, images, trial_plan, plan.folder, budget_s=budget_s, command=command)
        trained = trials.run((BASELINE, *names), progress=progress)
        tried, more = judge(trained, training.settings, len(images.val_rows))
        notes += more
        spent = trials.spent
        done = len(tried[0].accuracies)
        if done < trial_plan.seeds:
            notes.append(
                f"{done} of {trial_plan.seeds} seeds were trained: trainings took longer than estimated, and the "
                f"budget of {duration(budget_s, 0)} is spent."
            )
    schedule, why = advise_schedule(situation, names)
    answer, choice = conclude(tried, advice)
    report = OptimizersReport(
        answer=answer,
        next_step=_next_step(options, choice, tried, budget_s=budget_s),
        choice=choice,
        situation=situation,
        advised=advice,
        left_out=left_out,
        schedule=schedule,
        schedule_reason=why,
        tried=tried,
        epochs=training.settings.epochs if trial_plan is None else trial_plan.epochs,
        seeds=len(tried[0].accuracies) if tried else 0,
        seeds_planned=0 if trial_plan is None else trial_plan.seeds,
        n_train=len(images.train_rows),
        n_val=len(images.val_rows),
        n_inner_train=len(images.inner_rows),
        n_inner_val=len(images.inner_val_rows),
        plan_words="no trials, since the budget is 0" if trial_plan is None else trial_plan.words,
        notes=notes,
        created=datetime.now(UTC),
        seconds=round(spent, 2),
        budget_s=budget_s,
        hardware=describe_hardware(training.device),
        command=command,
    )
    files = dict(zip(dataset.images.ids, dataset.images.paths, strict=True))
    shown = {image.id for batch in situation.odd_batches for image in batch.images}
    return OptimizerRanking(report, {name: str(files[name]) for name in sorted(shown)})


def _decode(plan: OptimizersPlan, notes: list[str], progress: Progress) -> TrialImages:
    """Decode all images of the trials once, for the size of the model."""
    training = plan.training
    dataset = training.dataset
    used = np.union1d(dataset.train_rows, dataset.val_rows)
    store = PixelStore(training.cache, training.backbone.geometry)
    pixels = store.load(dataset.images, used, progress=progress.sub("decoding images"))
    if pixels.skipped:
        notes.append(
            f"Skipped {len(pixels.skipped)} {plural(len(pixels.skipped), 'file')}, for instance "
            f"{pixels.skipped[0].path}: {pixels.skipped[0].reason}."
        )
    parts = [
        np.flatnonzero(np.isin(pixels.rows, rows))
        for rows in (dataset.train_rows, dataset.val_rows, plan.inner_rows, plan.inner_val_rows)
    ]
    return TrialImages(
        Pool(pixels.images, pixels.keys),
        dataset.images.labels[pixels.rows],
        [dataset.images.ids[row] for row in pixels.rows],
        *parts,
    )


def _advise(situation: Situation, names: Sequence[str]) -> tuple[list[Advised], list[str]]:
    """What is tried: the named optimizers, otherwise the three advised; and what is not installed."""
    found, left_out = advise_optimizers(situation)
    if not names:
        return found, left_out
    reasons = {each.optimizer: each for each in found}
    return [reasons.get(name) or advised(OPTIMIZERS[name], "Named by you.") for name in names], []


def _next_step(options: dict[str, Any], choice: str, tried: Sequence[TriedOptimizer], *, budget_s: float) -> str:
    """The command that comes next: a whole training with the choice, or the trials where none were made."""
    words = [] if options["train"] is None else [str(options["train"])]
    for name in ("labels", "path_column", "label_column", "image_root", "val", "fold", "model", "weights", "size",
                 "mean", "std", "interpolation", "device", "epochs", "batch_size", "schedule"):  # fmt: skip
        value = options[name]
        if value is not None:
            text = ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    words += ["--val-share", str(options["val_share"])] if options["val_share"] != 0.2 else []
    words += ["--fit", options["fit"]] if options["fit"] != "crop" else []
    words += ["--from-scratch"] if options["from_scratch"] else []
    words += [f"--no-{name}" for name in ("decisions", "split") if options[name] is False]
    words += [word for name in options["augment"] for word in ("--augment", name)]
    for name, value in (options["settings"] or {}).items():
        words += ["--set", f"training.{name}={value}"]
    if not tried:
        return shlex.join(["eyeshot", "rank", "optimizers", *words, "--budget", "20m"])
    best = next(each for each in tried if each.optimizer == choice)
    words += ["--optimizer", choice, "--learning-rate", f"{best.learning_rate:g}"]
    words += ["--set", f"training.weight_decay={best.weight_decay:g}"] if choice != BASELINE else []
    if options["schedule"] is None and best.schedule != "cosine":
        words += ["--schedule", best.schedule]
    return shlex.join(["eyeshot", "train", *words])
