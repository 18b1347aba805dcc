"""`rank_models()`: which pretrained model fits these images, raw, and at what cost."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import (
    EyeshotError,
    ModelError,
    Progress,
    StorageError,
    describe_hardware,
    describe_versions,
    duration,
    find_workspace,
    make_folder,
    plural,
    replacing,
    shown_path,
    shown_progress,
)
from eyeshot.data import DataConfig, project_data
from eyeshot.models import Backbone, gpu_errors_explained
from eyeshot.predictions import Judged
from eyeshot.rankings.models.advice import Answers, advise, choose_by_estimate, compare_probes, trust
from eyeshot.rankings.models.allowance import Allowance
from eyeshot.rankings.models.choice import ChosenModel
from eyeshot.rankings.models.deadline import OutOfTime, until
from eyeshot.rankings.models.fine_tuning import FineTuningRecord, recipe_to_keep
from eyeshot.rankings.models.plan import (
    ModelPlan,
    estimate_probe,
    load_model,
    no_model_ranked,
    plan_model_ranking,
    probe_key,
)
from eyeshot.rankings.models.probe import ProbeRecord, run_probe
from eyeshot.rankings.models.report import LeftOut, ModelsReport, RankedModel
from eyeshot.rankings.models.rungs import scale_models, tune_models
from eyeshot.rankings.models.scaling import better_size, better_size_words
from eyeshot.rankings.models.settings import BUDGET_S, MAX_TEST, ModelSettings, check_model_settings
from eyeshot.training import keep_recipe


def rank_models(
    train: str | Path | None = None,
    *,
    test: str | Path | None = None,
    models: str | Sequence[str] = (),
    weights_dir: str | Path | None = None,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    val: str | Path | None = None,
    decisions: bool | str | Path = True,
    split: bool | str | Path = True,
    fold: int | None = None,
    size: int | None = None,
    fit: Literal["crop", "pad"] = "crop",
    device: str | None = None,
    batch_size: int = 64,
    workers: int | None = None,
    budget_s: float = BUDGET_S,
    max_test: int = MAX_TEST,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | bool | None = None,
    command: str = "",
) -> ModelsReport:
    """Rank pretrained models on labelled images, raw: no augmentation, no tuning by hand.

    Args:
        train: folder with one folder of images per class, or the root of `labels`; None: that of eyeshot.toml.
        test: folder of unlabelled test images.
        models: timm tags, wildcards, "TAG=FILE", or the user's own "module:function"; empty: the models of the
            catalogue whose weights are on this machine.
        weights_dir: folder of weights files named by tag.
        labels: CSV with paths and labels, instead of class folders.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        val: folder of the user's own validation images; it judges instead of folds.
        decisions: whether to apply the project's decisions.jsonl, or a decisions file.
        split: whether to use the folds of the project's split.json, or a split file.
        fold: the one fold of the split that judges; None: all of them, in turn.
        size: side of the images in pixels for every model; None: each model's own.
        fit: crop to a square, or pad.
        device: cuda, mps or cpu; None: chosen automatically.
        batch_size: of forward passes.
        workers: threads that decode; None: one per processor.
        budget_s: seconds for all rungs: probes of all models, then short trainings, then curves and image sizes; 0 for
            the probes alone, without a limit.
        max_test: largest number of test images that are used.
        seed: seed of every random choice.
        cache: folder of pixels, features and results; None: the project's cache.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.
        command: what was typed, for the report.

    Returns:
        the report: the advised model and the cheap one, and all results.

    Raises:
        InputError: an argument cannot be used, or no model can be ranked.
        ModelError: no model could be loaded, or the GPU is lost.
        StorageError: the cache cannot be written.

    It costs one forward pass per image and model. The same call continues a run that was interrupted, and a model added
    later computes only itself.
    """
    options = {name: value for name, value in locals().items() if name not in ("train", "cache", "progress", "command")}
    config, settings = model_ranking_settings(train, **options)
    place = find_workspace().cache if cache is None else Path(cache)
    with shown_progress(progress) as shown:
        plan = plan_model_ranking(config, settings, cache=place, progress=shown)
        return run_model_ranking(plan, progress=shown, command=command)


def model_ranking_settings(train: str | Path | None, **options: Any) -> tuple[DataConfig, ModelSettings]:
    """The images and the settings for given options of `rank_models` in this project.

    Raises:
        InputError: no training images, a value out of range, or a use of test images that the rules do not allow.
    """
    names = ("test", "labels", "path_column", "label_column", "image_root", "val", "decisions", "split", "fold")
    given = {name: options.pop(name) for name in names if name in options}
    models = options.pop("models", ())
    options["models"] = (models,) if isinstance(models, str) else tuple(models)
    settings = check_model_settings(**options)
    return project_data(train, use_test=True, val_share=None, seed=settings.seed, **given), settings


@gpu_errors_explained()
def run_model_ranking(
    plan: ModelPlan,
    *,
    progress: Progress,
    show: Callable[[RankedModel], None] | None = None,
    command: str = "",
    switches: Sequence[str] = (),
) -> ModelsReport:
    """Run all rungs of a plan.

    Args:
        plan: from `plan_model_ranking`.
        progress: called with the progress.
        show: called with each model as soon as a rung of it is done.
        command: recorded in the report.
        switches: the typed options that leave decisions or the split out, for the next command.

    Raises:
        ModelError: no model could be ranked, or the GPU is lost or full.
        StorageError: the cache cannot be written.
    """
    begin = time.perf_counter()
    data, settings = plan.data, plan.settings
    allowance = Allowance(plan.store, settings.budget_s, data.key, *_command_key(plan))
    done: list[RankedModel] = []
    right: dict[str, NDArray[np.bool_]] = {}
    judged: dict[str, Judged] = {}
    left_out = [*plan.left_out]
    truth = data.images.labels[data.judged]
    for number, model in enumerate(plan.chosen):
        step = progress.sub(f"probe {number + 1}/{len(plan.chosen)} {model.name}")
        step(0, 0, "loading")
        try:
            backbone = load_model(model, settings)
            record = _probe_of(plan, backbone, allowance, step)
        except OutOfTime as error:
            allowance.agenda.left_out[backbone.name] = str(error)
            way = "The same command with a larger --budget continues; what is done is kept."
            left_out.append(LeftOut(name=backbone.name, why=str(error), ways=[way]))
            continue
        except EyeshotError as error:
            if isinstance(error, StorageError):
                raise
            left_out.append(LeftOut(name=model.name, why=str(error)))
            continue
        right[backbone.name] = np.asarray(record.predicted) == truth
        judged[backbone.name] = _judged(record)
        ranked = _ranked(model, backbone, record)
        done.append(ranked)
        if show is not None:
            show(ranked)
    if not done:
        if allowance.agenda.left_out:
            allowance.begin_anew()  # the same command goes on from the features that were computed
        raise ModelError(no_model_ranked([f"{left.name}: {left.why}" for left in left_out]))
    if not allowance.agenda.probed:
        allowance.agenda.probed = True
        allowance.save()
    clusters = data.dataset.groups[data.judged]
    ranking = compare_probes(done, right, clusters, seed=settings.seed)
    on_fold = np.searchsorted(data.judged, data.folds[0][1])
    notes = [*plan.notes]
    tuned: dict[str, FineTuningRecord] = {}
    if settings.budget_s:
        ranking, tuned, more = tune_models(plan, ranking, right, allowance=allowance, progress=progress, show=show)
        notes += more
    answers = Answers(
        right, clusters, {name: np.asarray(record.right, bool) for name, record in tuned.items()}, on_fold
    )
    considered, choice, only = ranking, None, "the only model that was ranked"
    if data.test is not None and len(ranking) > 1:
        choice = choose_by_estimate(ranking, answers, judged, {name: _judged(own) for name, own in tuned.items()})
        considered = [model for model in ranking if model.name in choice.tied]
        only = "the only model that may be the best by the estimate on the test images"
    sentence, advised, cheap = advise(considered, answers, seed=settings.seed, only=only)
    if choice is not None:
        choice = choice.model_copy(update={"chosen": advised.name})
        notes.insert(0, choice.shift)
        if choice.by == "estimate":
            count = len(considered)
            sentence += (
                f" Under the shift to the test images, the estimate of accuracy there left {count} of {len(ranking)} "
                f"{plural(len(ranking), 'model')} to choose from."
            )
    if settings.budget_s:
        ranking, more = scale_models(
            plan, ranking, right, advised.name, allowance=allowance, progress=progress, show=show
        )
        notes += more
    better = better_size(next(model.resolution for model in ranking if model.name == advised.name))
    if better is not None:
        sentence += f" {better_size_words(better)}"
    return ModelsReport(
        headline=sentence,
        advised=advised,
        cheap=cheap,
        choice=choice,
        trust=trust(ranking),
        n_images=len(data.images),
        n_judged=len(data.judged),
        n_test=0 if data.test is None else len(data.test),
        classes=list(data.dataset.classes),
        folds=len(data.folds),
        models=ranking,
        not_at_hand=plan.not_at_hand,
        left_out=left_out,
        notes=notes,
        budget_s=settings.budget_s or None,
        used_s=round(time.perf_counter() - begin, 2),
        seed=settings.seed,
        next_command=_next_command(plan, advised.name, None if better is None else better.size, switches),
        hardware=describe_hardware(plan.device),
        versions=describe_versions(),
        command=command,
    )


def _judged(record: ProbeRecord | FineTuningRecord) -> Judged:
    (accuracy, over_halves), estimate = record.judged
    return (accuracy, np.array(over_halves)), None if estimate is None else (estimate[0], np.array(estimate[1]))


def _probe_of(plan: ModelPlan, backbone: Backbone, allowance: Allowance, progress: Progress) -> ProbeRecord:
    """Rung 1 of a model, from the store if an earlier run did it.

    Raises:
        OutOfTime: the budget does not or did not reach.
    """
    data, settings, agenda = plan.data, plan.settings, allowance.agenda
    if agenda.probed and backbone.name in agenda.left_out:
        raise OutOfTime(agenda.left_out[backbone.name])
    key = probe_key(plan, backbone)
    record = plan.store.load(ProbeRecord, *key)
    if record is not None:
        return record
    left_s = allowance.left_s()
    if left_s < math.inf:
        needed_s = estimate_probe(plan, backbone).seconds
        if needed_s > left_s:
            left = duration(max(0.0, left_s), 0)
            raise OutOfTime(f"needs about {duration(needed_s, 0)}, and the budget has {left} left.")
    record = run_probe(
        data, backbone, cache=plan.cache, device=plan.device, batch_size=settings.batch_size,
        workers=settings.workers, seed=settings.seed, progress=until(progress, allowance.deadline),
    )  # fmt: skip
    plan.store.save(record, *key)
    allowance.save()
    return record


def _command_key(plan: ModelPlan) -> tuple[object, ...]:
    """What a command is known by, beside its images and its budget."""
    settings = plan.settings
    models = [(model.name, model.weights_bytes, str(model.weights)) for model in plan.chosen]
    return models, settings.seed, settings.size, settings.fit, plan.device


def write_models(report: ModelsReport, folder: Path) -> Path:
    """Write `models.json` into a folder, and return its path.

    Raises:
        StorageError: the folder cannot be made or written.
    """
    file = make_folder(folder) / "models.json"
    with replacing(file) as temporary:
        temporary.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return file


def keep_recipes(report: ModelsReport, project_folder: Path) -> list[str]:
    """Keep the recipe of each model that was fine-tuned for its next run, and return the models' names.

    A short training that was worse than its own probe beyond doubt failed; its recipe is not kept.

    Args:
        report: of `rank_models`.
        project_folder: `find_workspace().project`.

    Raises:
        StorageError: the file cannot be written.
    """
    kept = []
    for model in report.models:
        tuned = model.fine_tuning
        if tuned is not None and tuned.difference_interval[1] >= 0:
            settings, why = recipe_to_keep(model.name, tuned)
            keep_recipe(project_folder, model.name, settings, why)
            kept.append(model.name)
    return kept


def _ranked(model: ChosenModel, backbone: Backbone, record: ProbeRecord) -> RankedModel:
    return RankedModel(
        name=backbone.name,
        line=model.line,
        weights=backbone.reason,
        weights_file=None if model.weights is None else str(model.weights.resolve()),
        fingerprint=backbone.fingerprint,
        size=backbone.geometry.size,
        feature_count=backbone.feature_count,
        rank=0,
        cost=record.cost,
        probe=record.probe,
    )


def _next_command(plan: ModelPlan, name: str, size: int | None, switches: Sequence[str]) -> str:
    """Rank augmentations for the advised model, on the same images; `size`: at which it is clearly better."""
    config = plan.config
    words = ["eyeshot", "rank", "augmentations", shown_path(config.train)]
    for option in ("test", "labels", "path_column", "label_column", "image_root", "val", "fold"):
        if (value := getattr(config, option)) is not None:
            words += [f"--{option.replace('_', '-')}", shown_path(value) if isinstance(value, Path) else str(value)]
    words += ["--model", name]
    weights = next((model.weights for model in plan.chosen if model.name == name), None)
    for option, value in (("weights", weights), ("size", size or plan.settings.size)):
        if value is not None:
            words += [f"--{option}", shown_path(value) if isinstance(value, Path) else str(value)]
    if plan.settings.fit != "crop":
        words += ["--fit", plan.settings.fit]
    return shlex.join([*words, *switches])
