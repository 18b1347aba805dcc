"""The command line: run, check-recipe, short-runs, judge."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from benchmarks.common import RESULTS, ROOT
from eyeshot.core.errors import EyeshotError

HERE = Path(__file__).resolve().parent
TABLES = HERE / "tables"


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    _be_nice()
    try:
        return int(options.act(options))
    except EyeshotError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _run(options: argparse.Namespace) -> int:
    import torch

    from benchmarks.augmentation_truth.recipes import MODELS, users_model
    from benchmarks.augmentation_truth.runner import Runner, run
    from benchmarks.augmentation_truth.sources import BUILT_IN
    from benchmarks.augmentation_truth.work_list import work_list

    torch.set_num_threads(1)
    own = any(source not in BUILT_IN for source in options.source)
    tags = options.model or (["small-cnn"] if own else list(MODELS))
    models = {
        tag: users_model(
            tag,
            from_scratch=options.from_scratch,
            weights=options.weights,
            size=options.size,
            epochs=options.epochs,
        )
        for tag in tags
    }
    wanted = work_list(
        options.source,
        tags if options.model or own else [],
        candidates=tuple(options.candidates),
        seeds=options.seeds,
    )
    runner = Runner(
        tables=options.tables or (options.work / "tables" if own else TABLES),
        work=options.work,
        device=options.device,
        pause_while=options.pause_while,
        again=options.again,
        targets=tuple(options.target),
        processes=options.processes,
    )
    done = run(wanted, models, runner, _say)
    _say(f"{done} trainings done; tables in {runner.tables}")
    return 0


def _check_recipe(options: argparse.Namespace) -> int:
    import torch

    from benchmarks.augmentation_truth.check_recipe import FIRST_SEED, check_recipe
    from benchmarks.augmentation_truth.evidence_table import put_into
    from benchmarks.augmentation_truth.recipes_table import BEGIN, END, recipes_table

    torch.set_num_threads(1)
    first_seed = FIRST_SEED if options.first_seed is None else options.first_seed
    check_recipe(options.source, options.model, seeds=options.seeds, first_seed=first_seed, work=options.work, say=_say)
    put_into(ROOT / "docs" / "recipes.md", recipes_table(RESULTS), begin=BEGIN, end=END)
    return 0


def _short_runs(options: argparse.Namespace) -> int:
    import torch

    from benchmarks.augmentation_truth.recipes import MODELS
    from benchmarks.augmentation_truth.scores import read_scores, score_file
    from benchmarks.augmentation_truth.short_runs import short_runs
    from benchmarks.augmentation_truth.short_runs_judged import (
        by_situation,
        figures,
        log_line,
        read_rows,
        score_targets,
        write_rows,
    )
    from benchmarks.augmentation_truth.table import table_file
    from benchmarks.augmentation_truth.tasks import open_task
    from benchmarks.augmentation_truth.truth import read_truths

    torch.set_num_threads(1)
    truths, _ = read_truths(TABLES)
    for source in options.source:
        task, file = open_task(source, (), options.work), table_file(HERE / "estimates", source, options.model)
        if options.start == "clean":
            file = file.with_name(f"{file.stem}-clean-start.csv")
        scores = read_scores(score_file(HERE / "scores", source, options.model))
        truth = next(truth for truth in truths if (truth.source, truth.model) == (source, options.model))
        finished = float(truth.val_accuracy[truth.names.index("clean")].mean())
        for share in options.share:
            runs = short_runs(
                task, MODELS[options.model], work=options.work, say=_say, share=share, start=options.start
            )
            if options.only_train:
                continue
            write_rows(file, score_targets(source, options.model, runs, scores, share=share, finished=finished))
        if options.only_train:
            continue
        for (share, situation), rows in by_situation(read_rows(file)).items():
            print(log_line(file.stem, share, situation, figures(rows, truths)))
    return 0


def _judge(options: argparse.Namespace) -> int:
    import torch

    from benchmarks.augmentation_truth.judging import lines_of, publish, read_judgement, score_missing
    from benchmarks.augmentation_truth.runner import commit_now

    torch.set_num_threads(1)
    if not options.only_join:
        score_missing(
            options.tables,
            options.scores,
            work=options.work,
            commit=commit_now(),
            say=_say,
            budget_s=options.budget,
        )
    judgement = read_judgement(options.tables, options.scores, budget_s=options.budget)
    for problem in judgement.problems:
        _say(f"left out: {problem}")
    for line in lines_of(judgement.judged):
        print(line)
    table = publish(
        judgement,
        tables=options.tables,
        results=options.results,
        picture=options.picture,
        evidence=options.evidence,
        trust=options.trust,
        estimates=options.estimates,
    )
    print(table)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.augmentation_truth", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="train every candidate to the end, and write the tables")
    run.set_defaults(act=_run)
    run.add_argument("--source", nargs="+", default=[], help="digits, photo, sketch, or a folder of class folders")
    run.add_argument("--target", nargs="+", type=Path, default=[], help="class folders too, for your own source")
    run.add_argument(
        "--model", nargs="+", default=[], help="a name of recipes.py, a timm tag or package.module:factory"
    )
    run.add_argument("--from-scratch", action="store_true", help="a timm tag starts untrained")
    run.add_argument("--weights", type=Path, help="file with the weights of a timm tag or factory")
    run.add_argument("--size", type=int, help="side of the images in pixels")
    run.add_argument("--seeds", type=_seeds, default=3, help="trainings of each candidate, 1 to 8")
    run.add_argument("--epochs", type=int, help="instead of the recipe's")
    run.add_argument("--candidates", nargs="+", default=[], help="names, wildcards or families; controls always run")
    run.add_argument("--tables", type=Path, help="folder of the CSV files")
    run.add_argument("--work", type=Path, default=ROOT / "eyeshot-out" / "truth", help="caches and unfinished runs")
    run.add_argument("--processes", type=int, default=1, help="trainings at the same time, one thread each")
    run.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    run.add_argument("--pause-while", type=Path, help="compute nothing while this file exists")
    run.add_argument("--again", action="store_true", help="also train edited rows, and those of another version")
    check = commands.add_parser("check-recipe", help="does doubling the epochs of clean change the accuracy?")
    check.set_defaults(act=_check_recipe)
    check.add_argument("--source", default="digits")
    check.add_argument("--model", default="small-cnn")
    check.add_argument("--seeds", type=int, default=5)
    check.add_argument("--first-seed", type=int, help="seeds other than those that chose the recipe")
    check.add_argument("--work", type=Path, default=ROOT / "eyeshot-out" / "truth")
    short = commands.add_parser("short-runs", help="a tenth of the training of each candidate, read on the targets")
    short.set_defaults(act=_short_runs)
    short.add_argument("--source", nargs="+", required=True, help="digits, photo, sketch")
    short.add_argument("--model", required=True, help="a name of recipes.py")
    short.add_argument(
        "--share", nargs="+", type=float, default=[0.1], help="of the recipe's steps, each a run of its own"
    )
    short.add_argument("--start", choices=("own", "clean"), default="own", help="clean: go on from a clean training")
    short.add_argument("--only-train", action="store_true", help="keep the probabilities, score nothing yet")
    short.add_argument("--work", type=Path, default=ROOT / "eyeshot-out" / "truth")
    judge = commands.add_parser("judge", help="compare the ranking of eyeshot rank augmentations with the tables")
    judge.set_defaults(act=_judge)
    judge.add_argument("--tables", type=Path, default=TABLES, help="folder of the tables")
    judge.add_argument("--scores", type=Path, default=HERE / "scores", help="folder of the scores")
    judge.add_argument("--estimates", type=Path, default=HERE / "estimates", help="folder of what short runs said")
    judge.add_argument("--only-join", action="store_true", help="compute no scores that are missing")
    judge.add_argument("--budget", type=float, default=0.0, help="seconds for short runs; 0 is coverage alone")
    judge.add_argument("--results", type=Path, default=RESULTS / "truth_judge.json", help="where all figures go")
    judge.add_argument("--picture", type=Path, help="where the picture goes, an SVG file")
    judge.add_argument("--evidence", type=Path, help="a document with the marks between which the table goes")
    judge.add_argument("--trust", type=Path, help="where the file that ships in the package goes")
    judge.add_argument("--work", type=Path, default=ROOT / "eyeshot-out" / "truth")
    return parser


def _seeds(text: str) -> int:
    from benchmarks.augmentation_truth.recipes import MOST_SEEDS

    if not text.isdigit() or not 1 <= int(text) <= MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"must be 1 to {MOST_SEEDS}, got {text}")
    return int(text)


def _be_nice() -> None:
    """Set the lowest priority, for hours of work that nobody waits for. Windows has no such call."""
    if hasattr(os, "nice"):
        os.nice(max(0, 19 - os.nice(0)))


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
