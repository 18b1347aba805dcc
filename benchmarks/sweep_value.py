"""What a sweep is worth against training everything to the end, on a real pool of full runs.

    python -m benchmarks.sweep_value pool [--configs 48] [--images 210] [--size 32] [--epochs 9]
    python -m benchmarks.sweep_value [--draws 500] [--part 27]

`pool` trains configurations of real pretrained networks on PACS photographs through all rungs, to the end, and keeps
what each came to at every rung, on validation and on other held-out images. It goes on where it was stopped. The rest
replays ways to search on parts of that pool, drawn again and again:

- the promotion of `eyeshot sweep` (best third of each strength, the base and random trials carried along);
- "best k after the first rung" at the same cost;
- random search and Optuna's Hyperband at the same cost. Hyperband prunes on validation after each rung.

Cost is measured seconds, as a share of those of training the part to the end. Regret is the accuracy of the best of the
part less that of the chosen run, both on validation; and on the held-out images, where neither was picked.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna

from benchmarks.common import RESULTS, keep, option, shared
from eyeshot.augment import Pool, augmentation
from eyeshot.core.files import append_lines
from eyeshot.data import PixelStore, read_images
from eyeshot.models import FeatureBank, fit_many_classes, load_backbone
from eyeshot.sweep.search.planning import levels_for, stages_of
from eyeshot.sweep.search.promotion import promoted, random_trials
from eyeshot.sweep.search.space import rate_for, strength_of
from eyeshot.training import check_config, keep_head, train_stages

POOL = RESULTS / "sweep_value_pool.jsonl"
MODELS = {
    "tf_efficientnet_lite0": "tf_efficientnet_lite0-imagenet.safetensors",
    "tf_efficientnet_lite2": "tf_efficientnet_lite2-imagenet.safetensors",
    "mobilenetv2_100": "tf2_mobilenetv2_100-imagenet.safetensors",
}
BASE = {"model": "tf_efficientnet_lite0", "augmentation": "none", "training.optimizer": "adamw",
        "training.learning_rate": 1e-4, "training.weight_decay": 0.05, "training.label_smoothing": 0.0}  # fmt: skip


class Run(NamedTuple):
    """A full run: its configuration, and by rung (validation, held out, seconds)."""

    config: dict[str, Any]
    rungs: list[tuple[float, float, float]]


def configurations(count: int) -> list[dict[str, Any]]:
    """The base, and random configurations."""
    random = np.random.default_rng(27)
    configs = [dict(BASE)]
    while len(configs) < count:
        own = {
            "model": str(random.choice(list(MODELS))),
            "augmentation": str(random.choice(["none", "mirror", "trivial-augment", "mixup"])),
            "training.optimizer": str(random.choice(["adamw", "sgd", "lion"])),
            "training.learning_rate": float(f"{10 ** random.uniform(-5.3, -2.7):.3g}"),
            "training.weight_decay": float(random.choice([0.0, 0.05])),
            "training.label_smoothing": float(random.choice([0.0, 0.1])),
        }
        configs.append(rate_for(own, base_optimizer="adamw"))
    return configs


def make_pool() -> None:
    """Train what is not in the pool yet."""
    count, images, size = (int(option(*pair)) for pair in (("--configs", "48"), ("--images", "210"), ("--size", "32")))
    epochs = int(option("--epochs", "9"))
    done = [json.loads(line) for line in POOL.read_text("utf-8").splitlines()] if POOL.is_file() else []
    folder, weights = shared() / "data" / "pacs" / "photo", shared() / "weights"
    table = read_images(folder)
    order = np.random.default_rng(0).permutation(len(table))
    train, val, held = order[:images], order[images : 3 * images], order[3 * images : 6 * images]
    levels = levels_for(epochs)
    for number, config in enumerate(configurations(count)):
        if number < len(done):
            continue
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as temporary:
            cache = Path(tempfile.gettempdir()) / "eyeshot-sweep-value"
            backbone = load_backbone(str(config["model"]), weights=weights / MODELS[str(config["model"])], size=size)
            rows = np.concatenate([train, val, held])
            pixels = PixelStore(cache, backbone.geometry).load(table, np.sort(rows))
            pool, labels = Pool(pixels.images, pixels.keys), table.labels[pixels.rows]
            where = {row: place for place, row in enumerate(pixels.rows.tolist())}
            own_train, judged = (np.array([where[r] for r in part.tolist()]) for part in (train, rows[images:]))
            features = np.asarray(FeatureBank(cache, backbone).clean(pool, np.arange(len(pool))), np.float32)
            head_begin = time.perf_counter()
            head = fit_many_classes(
                features[own_train], labels[own_train], class_count=len(table.classes), penalty=30.0
            )
            keep_head(Path(temporary), head, features[own_train])
            right = head.predict_proba(features[judged]).argmax(1) == labels[judged]
            rungs = [(right[: len(val)].mean(), right[len(val) :].mean(), time.perf_counter() - head_begin)]
            settings = check_config(
                batch_size=16, norm_statistics="frozen",
                **{name.removeprefix("training."): value for name, value in config.items() if "." in name},
            )  # fmt: skip
            for last in range(1, len(levels)):
                end = train_stages(
                    backbone, pool, labels, own_train, judged, classes=table.classes, settings=settings,
                    stages=stages_of(levels[: last + 1]), folder=Path(temporary),
                    augmentations=[augmentation(n) for n in str(config["augmentation"]).split("+") if n != "none"],
                )  # fmt: skip
                assert end is not None
                right = end.predictions.right
                rungs.append((right[: len(val)].mean(), right[len(val) :].mean(), end.seconds))
        record = {"config": config, "rungs": [[float(value) for value in rung] for rung in rungs],
                  "levels": [level.name for level in levels], "images": images, "size": size}  # fmt: skip
        append_lines(POOL, [json.dumps(record)])
        print(number, f"{time.perf_counter() - begin:.0f} s", record["rungs"], file=sys.stderr, flush=True)


def sweep(runs: list[Run], seed: int) -> tuple[int, float, int]:
    """The number of the chosen run, the seconds spent, and how many came to the end; the first is the base."""
    carried = [0, *random_trials(range(len(runs)), seed=seed, left_out=[0])]
    alive, seconds = list(range(len(runs))), 0.0
    last = len(runs[0].rungs) - 1
    for rung in range(last + 1):
        seconds += sum(runs[number].rungs[rung][2] for number in alive)
        values = {number: (runs[number].rungs[rung][0],) for number in alive}
        if rung < last:
            best = promoted({number: strength_of(runs[number].config) for number in alive}, values)
            alive = sorted({*best, *carried})
    return max(alive, key=lambda number: (values[number], -number)), seconds, len(alive)


def simple(runs: list[Run], budget_s: float) -> int:
    """The best after the first rung right to the end, as many as the budget holds."""
    spent = sum(run.rungs[0][2] for run in runs)
    chosen: list[int] = []
    for number in sorted(range(len(runs)), key=lambda number: (-runs[number].rungs[0][0], number)):
        cost = sum(rung[2] for rung in runs[number].rungs[1:])
        if chosen and spent + cost > budget_s:
            break
        spent += cost
        chosen.append(number)
    return max(chosen, key=lambda number: runs[number].rungs[-1][0])


def at_random(runs: list[Run], budget_s: float, random: np.random.Generator) -> int:
    """Full runs in random order, as many as the budget holds, at least one."""
    spent = 0.0
    chosen: list[int] = []
    for number in random.permutation(len(runs)).tolist():
        cost = sum(rung[2] for rung in runs[number].rungs)
        if chosen and spent + cost > budget_s:
            break
        spent += cost
        chosen.append(number)
    return int(max(chosen, key=lambda number: runs[number].rungs[-1][0]))


def hyperband(runs: list[Run], budget_s: float, seed: int) -> int:
    """Optuna's Hyperband pruner over the same rungs, runs in random order, until the budget is spent."""
    rungs = len(runs[0].rungs)
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=3 ** (rungs - 1), reduction_factor=3)
    study = optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=seed))
    spent = 0.0
    best: dict[int, tuple[int, float]] = {}
    for number in np.random.default_rng([seed, 1]).permutation(len(runs)).tolist():
        trial = study.ask()
        for rung, (value, _, cost) in enumerate(runs[number].rungs):
            if spent + cost > budget_s and best:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return int(max(best, key=lambda own: best[own]))
            spent += cost
            best[number] = rung, value  # a run that came further is believed over one that did not
            trial.report(value, 3**rung)
            if rung < rungs - 1 and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, runs[number].rungs[-1][0])
    return int(max(best, key=lambda own: best[own]))


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if "pool" in sys.argv:
        make_pool()
        return
    if not POOL.is_file():
        raise SystemExit(f"no pool yet: python -m benchmarks.sweep_value pool (it writes {POOL})")
    records = [json.loads(line) for line in POOL.read_text("utf-8").splitlines()]
    pool = [Run(record["config"], [tuple(rung) for rung in record["rungs"]]) for record in records]
    draws, part = int(option("--draws", "500")), min(int(option("--part", "27")), len(pool))
    random = np.random.default_rng(0)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("sweep", "simple", "random", "hyperband")}
    shares = []
    for draw in range(draws):
        runs = [pool[0], *(pool[n] for n in 1 + random.choice(len(pool) - 1, part - 1, replace=False))]
        chosen, seconds, _ = sweep(runs, draw)
        shares.append(seconds / sum(rung[2] for run in runs for rung in run.rungs))
        ways = {
            "sweep": chosen, "simple": simple(runs, seconds), "random": at_random(runs, seconds, random),
            "hyperband": hyperband(runs, seconds, draw),
        }  # fmt: skip
        best = max(runs, key=lambda run: run.rungs[-1][0])
        best_held = max(run.rungs[-1][1] for run in runs)
        for name, number in ways.items():
            end = runs[number].rungs[-1]
            found[name].append((best.rungs[-1][0] - end[0], best_held - end[1]))
    result: dict[str, Any] = {
        "pool": len(pool), "images": records[0]["images"], "size": records[0]["size"], "levels": records[0]["levels"],
        "draws": draws, "part": part, "cost_share": float(np.mean(shares)),
        "cost_share_90": [float(value) for value in np.quantile(shares, [0.05, 0.95])],
        "spread_of_full_runs": float(np.std([run.rungs[-1][0] for run in pool])),
    }  # fmt: skip
    for name, regrets in found.items():
        values = np.array(regrets) * 100
        # Draws overlap in one pool: their spread says how much the part matters, not another pool.
        result[name] = {
            "regret_points": float(values[:, 0].mean()),
            "regret_90": [float(value) for value in np.quantile(values[:, 0], [0.05, 0.95])],
            "held_out_regret_points": float(values[:, 1].mean()),
        }
    keep("sweep_value", result)


if __name__ == "__main__":
    main()
