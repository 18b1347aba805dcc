"""`eyeshot rank models`: which pretrained model, raw, fits the user's images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from eyeshot.cli.options import (
    MODEL,
    OUTPUT,
    RANKING,
    Device,
    DryRun,
    Fit,
    Fold,
    ImageRoot,
    Json,
    LabelColumn,
    Labels,
    PathColumn,
    Seed,
    Size,
    Test,
    Train,
    UseDecisions,
    UseSplit,
    Val,
    Workers,
    option,
    preparation,
)
from eyeshot.cli.output import left_out, print_json, progress_shown, typed_command

if TYPE_CHECKING:
    from eyeshot.rankings import RankedModel


def run(
    train: Train = None,
    test: Test = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    val: Val = None,
    decisions: UseDecisions = True,
    split: UseSplit = True,
    fold: Fold = None,
    models: Annotated[
        list[str] | None,
        option(
            panel=MODEL,
            text="Tags, wildcards, TAG=FILE or package.module:factory; repeat. Default: the catalogue's at hand.",
        ),
    ] = None,
    weights: Annotated[
        Path | None, option(panel=MODEL, text="Folder of weights files named by tag.", metavar="DIR")
    ] = None,
    size: Size = None,
    fit: Fit = "crop",
    device: Device = None,
    batch_size: Annotated[int, option(panel=MODEL, text="Batch size of forward passes.")] = 64,
    budget: Annotated[
        str, option(panel=RANKING, text="Time for all rungs, as 90s, 20m; 0: probes alone, no limit.")
    ] = "20m",
    max_test: Annotated[int, option(panel=RANKING, text="Largest number of test images that are used.")] = 2000,
    seed: Seed = 0,
    workers: Workers = None,
    out: Annotated[
        Path | None, option(panel=OUTPUT, text="Folder for the results. Default: eyeshot-out/models.")
    ] = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Which pretrained model, raw, fits these images, and at what cost?

    A linear probe on frozen features, then short trainings as far as the budget goes. Writes models.html and
    models.json, and keeps the recipe of each trained model for eyeshot train. The same command continues an interrupted
    run; a model added later computes only itself.
    """
    from eyeshot.core import find_workspace, make_folder, seconds_of
    from eyeshot.data import project_data

    budget_s = seconds_of(budget, "--budget")
    preparation(size, None, None, None, fit)
    given: dict[str, Any] = {
        "test": test, "labels": labels, "path_column": path_column, "label_column": label_column,
        "image_root": image_root, "val": val, "decisions": decisions, "split": split, "fold": fold,
    }  # fmt: skip
    project_data(train, use_test=True, val_share=None, seed=seed, **given)  # refuses wrong paths at once
    with progress_shown() as progress:  # these libraries load slowly on a busy machine
        from eyeshot.cli.rankings.models_output import print_models, print_plan, print_rung
        from eyeshot.rankings import (
            estimate_models,
            keep_recipes,
            model_ranking_settings,
            plan_model_ranking,
            run_model_ranking,
            write_models,
        )
        from eyeshot.reports import write_models_page

        config, settings = model_ranking_settings(
            train, **given, models=models or (), weights_dir=weights, size=size, fit=fit, device=device,
            batch_size=batch_size, workers=workers, budget_s=budget_s, max_test=max_test, seed=seed,
        )  # fmt: skip
        workspace = find_workspace()
        folder = out or workspace.results("models")
        if not dry_run:
            make_folder(folder)  # before the long work
        plan = plan_model_ranking(config, settings, cache=workspace.cache, progress=progress)
        if dry_run:
            estimates, failed = estimate_models(plan, progress=progress)
            with progress.paused():
                print_plan(plan, estimates, failed, folder, json=json)
            return

        def show(model: RankedModel) -> None:
            with progress.paused():
                print_rung(model)

        report = run_model_ranking(
            plan, progress=progress, show=None if json else show, command=typed_command(),
            switches=left_out(decisions=decisions, split=split),
        )  # fmt: skip
        write_models(report, folder)
        write_models_page(report, folder / "models.html")
        kept = keep_recipes(report, workspace.project)
    if json:
        print_json(report)
    else:
        print_models(report, folder, workspace.cache, kept)
