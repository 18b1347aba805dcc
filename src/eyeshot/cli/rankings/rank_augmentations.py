"""`eyeshot rank augmentations`: rank augmentations for a model on the user's own folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from eyeshot.cli.options import (
    DATA,
    MODEL,
    OUTPUT,
    RANKING,
    Device,
    DryRun,
    Fit,
    Fold,
    FromScratch,
    ImageRoot,
    Images,
    Interpolation,
    Json,
    LabelColumn,
    Labels,
    Mean,
    Open,
    PathColumn,
    Seed,
    Size,
    Std,
    Test,
    Train,
    UseDecisions,
    UseSplit,
    Val,
    ValShare,
    Weights,
    Workers,
    known_names,
    option,
    preparation,
)
from eyeshot.cli.output import left_out, open_page, progress_shown, say, typed_command

if TYPE_CHECKING:
    from eyeshot.rankings import AugmentationRanking, Plan, RankingReport, RankingSettings


def run(
    train: Train = None,
    test: Test = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    val: Val = None,
    val_share: ValShare = 0.2,
    decisions: UseDecisions = True,
    split: UseSplit = True,
    fold: Fold = None,
    generated: Annotated[
        Path | None, option(panel=DATA, text="Class folders of generated images, a further candidate.")
    ] = None,
    model: Annotated[
        list[str] | None,
        option(
            panel=MODEL,
            text="timm tag (architecture.weights), or package.module:factory; repeat to compare models.",
        ),
    ] = None,
    weights: Weights = None,
    from_scratch: FromScratch = False,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    interpolation: Interpolation = None,
    fit: Fit = "crop",
    device: Device = None,
    batch_size: Annotated[int, option(panel=MODEL, text="Batch size of forward passes.")] = 64,
    candidates: Annotated[
        list[str] | None,
        option(panel=RANKING, text="Names, wildcards or families; repeat. Default: all.", callback=known_names),
    ] = None,
    baseline_aug: Annotated[
        str | None,
        option(
            panel=RANKING,
            text="What you train with already, a name or module:compose: gains are on top of it.",
            callback=known_names,
        ),
    ] = None,
    budget: Annotated[
        str,
        option(panel=RANKING, text="Time for short trainings after the ranking by coverage: 90s, 10m, 1h; 0."),
    ] = "10m",
    full_train: Annotated[
        int,
        option(panel=RANKING, text="Train this many of the first to the end, and clean and trivial-augment."),
    ] = 0,
    target_shares: Annotated[
        str | None,
        option(
            panel=RANKING,
            metavar="even|FILE",
            text="How often classes occur in the target: even, or a CSV file (class, share). Default: as in training.",
        ),
    ] = None,
    policy: Annotated[
        bool,
        option(
            "--policy",
            panel=RANKING,
            text="Compose up to three operations, what each adds: policy.toml for eyeshot train --augment, policy.py.",
        ),
    ] = False,
    max_images: Annotated[
        int, option(panel=RANKING, text="Largest number of images of each kind (source, held-out, target).")
    ] = 600,
    samples_per_image: Annotated[int, option(panel=RANKING, text="Augmented samples per image and candidate.")] = 3,
    scratch_time: Annotated[
        str, option(panel=RANKING, text="With --from-scratch: no epoch of the baseline begins after this time.")
    ] = "2m",
    plot: Annotated[
        list[str] | None,
        option(panel=OUTPUT, text="Candidates on the joint map besides the winner; repeat.", callback=known_names),
    ] = None,
    projections: Annotated[
        list[str] | None,
        option(panel=OUTPUT, text="Maps to draw: PCA, t-SNE, UMAP; repeat. Default: all three, where installed."),
    ] = None,
    seed: Seed = 0,
    workers: Workers = None,
    out: Annotated[
        Path | None, option(panel=OUTPUT, text="Folder for the results. Default: eyeshot-out/augmentations.")
    ] = None,
    images: Images = True,
    open_: Open = False,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Which augmentation lets the training images cover the test images, for this model?

    Without --test the validation images are the target. Writes augmentations.html, .svg, .json and uncovered.csv. With
    several models there is a page for each, and --json prints an array. The same command continues an interrupted run.
    """
    from eyeshot.core import InputError, find_workspace, seconds_of
    from eyeshot.rankings import check_settings

    models = tuple(model or ())
    if weights is not None and len(models) > 1:
        raise InputError(f"--weights belongs to a single --model, got {len(models)} models. Run them separately.")
    budget_s, scratch_time_s = seconds_of(budget, "--budget"), seconds_of(scratch_time, "--scratch-time")
    prepared = preparation(size, mean, std, interpolation, fit)
    check_settings(
        batch_size=batch_size, workers=workers, full_train=full_train, max_images=max_images, fold=fold, seed=seed,
        samples_per_image=samples_per_image, scratch_time_s=scratch_time_s,
    )  # fmt: skip
    with progress_shown():  # these libraries load slowly on a busy machine
        from eyeshot.cli.rankings.rank_output import print_ranking_json, print_result
        from eyeshot.rankings import ranking_settings

        folder_of_train, settings = ranking_settings(
            train, test=test, labels=labels, path_column=path_column, label_column=label_column,
            image_root=image_root, val=val, val_share=val_share, decisions=decisions, split=split, fold=fold,
            generated=generated, model=models[0] if models else None, weights=weights, from_scratch=from_scratch,
            **prepared, device=device, batch_size=batch_size, candidates=candidates or (), baseline_aug=baseline_aug,
            budget_s=budget_s / max(1, len(models)), full_train=full_train, target_shares=target_shares,
            max_images=max_images, samples_per_image=samples_per_image, scratch_time_s=scratch_time_s,
            plot=plot or (), projections=projections, images=images, seed=seed,
            workers=workers, policy=policy,
        )  # fmt: skip
    several = [settings.model_copy(update={"model": name}) for name in models] or [settings]
    workspace = find_workspace()
    plans = _plans(folder_of_train, several, out or workspace.results("augmentations"), dry_run=dry_run, json=json)
    if dry_run:
        return
    results = [
        _rank(plan, place, later=[other for other, _ in plans[number + 1 :]], json=json)
        for number, (plan, place) in enumerate(plans)
    ]
    if len(results) > 1:
        _compare(results, images=images)
    switches = left_out(decisions=decisions, split=split)
    if json:
        print_ranking_json([result for _, result in results])
    else:
        for (place, result), settings, (plan, _) in zip(results, several, plans, strict=True):
            print_result(
                result, place, workspace.cache, train=folder_of_train, settings=settings, switches=switches,
                said=plan.notes,
            )  # fmt: skip
    if open_:
        open_page(results[0][0] / "augmentations.html", quiet=json)


def _plans(
    train: Path, several: Sequence[RankingSettings], folder: Path, *, dry_run: bool, json: bool
) -> list[tuple[Plan, Path]]:
    """The plan of each model, and where its results go: the first model in `folder`, others in folders inside it.

    A dry run prints the plans, and writes nothing permanent.
    """
    from tempfile import TemporaryDirectory

    from eyeshot.cli.rankings.rank_output import print_plans
    from eyeshot.core import InputError, find_workspace
    from eyeshot.rankings import estimate, prepare

    cache = find_workspace().cache
    with TemporaryDirectory(prefix="eyeshot-") as passing, progress_shown() as progress:
        plans = [
            prepare(train, settings, cache=Path(passing) if dry_run else cache, progress=progress)
            for settings in several
        ]
        costs = [estimate(plan, earlier=plans[:number]) for number, plan in enumerate(plans)] if dry_run else []
    names = [plan.backbone.name for plan in plans]
    if len(set(names)) < len(names):
        raise InputError(f"--model must name each model once, got {', '.join(names)}.")
    places = [folder if not number else folder / _as_folder(name) for number, name in enumerate(names)]
    if dry_run:
        lasting = [replace(plan, cache=cache) for plan in plans]
        print_plans(list(zip(lasting, costs, places, strict=True)), json=json)
    return list(zip(plans, places, strict=True))


def _rank(plan: Plan, place: Path, *, later: Sequence[Plan], json: bool) -> tuple[Path, AugmentationRanking]:
    """Run a plan and write its results."""
    from eyeshot.cli.rankings.rank_output import print_by_coverage
    from eyeshot.core import make_folder
    from eyeshot.rankings import run_ranking

    make_folder(place)
    if not json:
        say(plan.notes)
    with progress_shown() as progress:

        def show(report: RankingReport) -> None:
            with progress.paused():
                print_by_coverage(report)

        result = run_ranking(
            plan, later=later, progress=progress,
            ranked_by_coverage=None if json else show, command=typed_command(),
        )  # fmt: skip
        progress(0, 0, "writing the page")
        _write(result, place, images=plan.settings.images)
    return place, result


def _as_folder(name: str) -> str:
    """A model's name as a folder name."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def _compare(results: Sequence[tuple[Path, AugmentationRanking]], *, images: bool) -> None:
    """Write the pages again, each with all models and links to their pages."""
    from eyeshot.rankings import compare_models

    first = results[0][0]
    reports = {result.report.models[0].name: result.report for _, result in results}
    for place, result in results:
        up = "" if place == first else "../"
        pages = {
            name: f"{up}{'' if other == first else f'{other.name}/'}augmentations.html"
            for name, (other, _) in zip(reports, results, strict=True)
        }
        result.report.model_table = compare_models(reports, pages)
        _write(result, place, images=images)


def _write(result: AugmentationRanking, folder: Path, *, images: bool) -> None:
    import eyeshot
    from eyeshot.reports import write_ranking_picture

    result.save(folder)
    eyeshot.write_ranking_page(result, folder / "augmentations.html", images=images)
    write_ranking_picture(result, folder / "augmentations.svg")
