"""What a sweep is worth against training everything to the end, on a real pool of full runs.

    python -m benchmarks.sweep_value pool [--configs 64] [--images 180] [--size 48] [--epochs 9]
    python -m benchmarks.sweep_value [--draws 500] [--part 27]

`pool` trains configurations of real pretrained networks on PACS photographs through all rungs, to the end. It keeps
what each came to at every rung on 360 validation images, and at the end on 540 others, whose predictions are not part
of its cost. It goes on where it was stopped. The rest replays ways to search on parts of that pool, drawn again and
again:

- the promotion of `eyeshot sweep` (best third of each strength, the base and random trials carried along);
- "best k after the first rung" at the same cost;
- random search and Optuna's Hyperband at the same cost. Hyperband prunes on validation after each rung. Both begin with
  the base, which the sweep trains to the end too.

Trials that come to the same are in the order of their numbers here; in a sweep the smaller log loss comes first.

Cost is measured seconds of one CPU thread, which other processes lengthen little, as a share of those of training the
part to the end. Regret is the accuracy of the run that is best on validation, where all of the part are trained to the
end, less that of the chosen run: on validation, and on the held-out images, on which neither was picked. Its interval
is that of a jackknife over ten groups of the pool's runs, since draws from one pool overlap.

Two other ways to promote were written down before the pool was there. Both should cost less and lose little:

- "thirds of all": a third of the trials of a rung in all, whose places go to the strengths by largest remainder. The
  sweep rounds the third of each strength up, which in a rung of eight trials promotes four or five.
- "strength early": trials compete within their strength at the probe and the last stage alone. That is where what
  learns slowly is behind; after a third of the full training all compete together.

They are compared on parts of one half of the pool, and the better one is judged on the other half, beside the sweep.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray

from benchmarks.common import RESULTS, keep, option, shared
from eyeshot.augment import Pool, augmentation
from eyeshot.core.files import append_lines
from eyeshot.data import ImageTable, PixelStore, read_images
from eyeshot.models import FeatureBank, fit_many_classes, load_backbone
from eyeshot.sweep.search.planning import Level, levels_for, stages_of
from eyeshot.sweep.search.promotion import promoted, promoted_count, random_trials
from eyeshot.sweep.search.space import augmentations_of, rate_for, strength_of
from eyeshot.training import FinishedRun, check_config, keep_head, train_stages

POOL = RESULTS / "sweep_value_pool.jsonl"
MODELS = {
    "benchmarks.shared_models:tf2_mobilenetv2_100": "tf2_mobilenetv2_100-imagenet.safetensors",
    "benchmarks.shared_models:tf_mobilenetv2_100": "tf_mobilenetv2_100-inat_bird.safetensors",
    "benchmarks.shared_models:squeezenet1_0": "squeezenet1_0-imagenet.safetensors",
}
GROUPS = 10
STUDENT = 2.262
"""Of 9 degrees of freedom, 95 %."""
VAL_IMAGES, HELD_OUT_IMAGES = 360, 540
BASE = {"model": "benchmarks.shared_models:tf2_mobilenetv2_100", "augmentation": "none", "training.optimizer": "adamw",
        "training.learning_rate": 1e-4, "training.weight_decay": 0.05, "training.label_smoothing": 0.0}  # fmt: skip


class Run(NamedTuple):
    """A full run: its configuration, by rung (validation, seconds), and what it came to on the held-out images."""

    config: dict[str, Any]
    strength: str
    rungs: list[tuple[float, float]]
    held_out: float


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
    count, images, size = (int(option(*pair)) for pair in (("--configs", "64"), ("--images", "180"), ("--size", "48")))
    levels = levels_for(int(option("--epochs", "9")))
    done = len(POOL.read_text("utf-8").splitlines()) if POOL.is_file() else 0
    table = read_images(shared() / "data" / "pacs" / "photo")
    order = np.random.default_rng(0).permutation(len(table))
    train, val, held = np.split(order[: images + VAL_IMAGES + HELD_OUT_IMAGES], [images, images + VAL_IMAGES])
    for number, config in enumerate(configurations(count)):
        if number < done:
            continue
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as temporary:
            rungs, held_out = full_run(
                config, table, (train, val, held), levels=levels, size=size, folder=Path(temporary)
            )
        record = {"config": config, "rungs": rungs, "held_out": held_out, "levels": [level.name for level in levels],
                  "images": [len(train), len(val), len(held)], "size": size}  # fmt: skip
        append_lines(POOL, [json.dumps(record)])
        print(number, f"{time.perf_counter() - begin:.0f} s", rungs, held_out, file=sys.stderr, flush=True)


def full_run(
    config: dict[str, Any],
    table: ImageTable,
    parts: tuple[np.ndarray[Any, Any], ...],
    *,
    levels: Sequence[Level],
    size: int,
    folder: Path,
) -> tuple[list[tuple[float, float]], float]:
    """Train a configuration through all rungs: by rung (validation, seconds), and the accuracy on held-out images."""
    train, val, held = parts
    cache, model = Path(tempfile.gettempdir()) / "eyeshot-sweep-value", str(config["model"])
    backbone = load_backbone(model, weights=shared() / "weights" / MODELS[model], size=size)
    pixels = PixelStore(cache, backbone.geometry).load(table, np.sort(np.concatenate([train, val])))
    pool, labels = Pool(pixels.images, pixels.keys), table.labels[pixels.rows]
    own_train, own_val = (np.searchsorted(pixels.rows, part) for part in (train, val))
    features = np.asarray(FeatureBank(cache, backbone).clean(pool, np.arange(len(pool))), np.float32)
    begin = time.process_time()
    head = fit_many_classes(features[own_train], labels[own_train], class_count=len(table.classes), penalty=30.0)
    keep_head(folder, head, features[own_train])
    right = head.predict_proba(features[own_val]).argmax(1) == labels[own_val]
    rungs = [(float(right.mean()), time.process_time() - begin)]
    settings = check_config(
        batch_size=32, norm_statistics="frozen",
        **{name.removeprefix("training."): value for name, value in config.items() if name.startswith("training.")},
    )  # fmt: skip
    for last in range(1, len(levels)):
        begin = time.process_time()
        end = train_stages(
            backbone, pool, labels, own_train, own_val, classes=table.classes, settings=settings,
            stages=stages_of(levels[: last + 1]), folder=folder, complete=last == len(levels) - 1,
            augmentations=[augmentation(name) for name in augmentations_of(config)],
        )  # fmt: skip
        assert end is not None
        rungs.append((float(end.predictions.right.mean()), time.process_time() - begin))
    (predictions,), _ = FinishedRun(folder).predict(table.take(held), split="held-out", cache=cache)
    return rungs, float(predictions.right.mean())


def thirds_of_each(groups: dict[int, str], values: dict[int, tuple[float, ...]], rung: int) -> list[int]:
    """The best third of each strength, rounded up: as `eyeshot sweep` promotes."""
    return promoted(groups, values)


def thirds_of_all(groups: dict[int, str], values: dict[int, tuple[float, ...]], rung: int) -> list[int]:
    """The best of each strength, a third of all together: places by largest remainder."""
    counts = Counter(groups.values())
    places = promoted_count(len(groups))
    shares = {group: count * places / len(groups) for group, count in counts.items()}
    given = {group: int(share) for group, share in shares.items()}
    by_remainder = sorted(counts, key=lambda group: (given[group] - shares[group], group))
    for group in by_remainder[: places - sum(given.values())]:
        given[group] += 1
    best = []
    for group, most in given.items():
        own = {number: of for number, of in groups.items() if of == group}
        best += promoted(own, {number: values[number] for number in own}, most=most)
    return best


def strength_early(groups: dict[int, str], values: dict[int, tuple[float, ...]], rung: int) -> list[int]:
    """The best third of each strength up to the last stage, of all after it."""
    return promoted(groups if rung < 2 else dict.fromkeys(groups, ""), values)


Promotion = Callable[[dict[int, str], dict[int, tuple[float, ...]], int], list[int]]
WAYS: dict[str, Promotion] = {
    "thirds of each": thirds_of_each, "thirds of all": thirds_of_all, "strength early": strength_early,
}  # fmt: skip


def sweep(runs: list[Run], seed: int, promotion: Promotion = thirds_of_each) -> tuple[int, float]:
    """The number of the chosen run and the seconds spent; the first is the base."""
    carried = [0, *random_trials(range(len(runs)), seed=seed, left_out=[0])]
    alive, seconds = list(range(len(runs))), 0.0
    last = len(runs[0].rungs) - 1
    for rung in range(last + 1):
        seconds += sum(runs[number].rungs[rung][1] for number in alive)
        values: dict[int, tuple[float, ...]] = {number: (runs[number].rungs[rung][0],) for number in alive}
        if rung < last:
            best = promotion({number: runs[number].strength for number in alive}, values, rung)
            alive = sorted({*best, *carried})
    return max(alive, key=lambda number: (values[number], -number)), seconds


def simple(runs: list[Run], budget_s: float) -> int:
    """The best after the first rung right to the end, as many as the budget holds."""
    spent = sum(run.rungs[0][1] for run in runs)
    chosen: list[int] = []
    for number in sorted(range(len(runs)), key=lambda number: (-runs[number].rungs[0][0], number)):
        cost = sum(rung[1] for rung in runs[number].rungs[1:])
        if chosen and spent + cost > budget_s:
            break
        spent += cost
        chosen.append(number)
    return max(chosen, key=lambda number: runs[number].rungs[-1][0])


def at_random(runs: list[Run], budget_s: float, random: np.random.Generator) -> int:
    """Full runs in random order after the base, as many as the budget holds."""
    spent = 0.0
    chosen: list[int] = []
    for number in base_first(len(runs), random):
        cost = sum(rung[1] for rung in runs[number].rungs)
        if chosen and spent + cost > budget_s:
            break
        spent += cost
        chosen.append(number)
    return int(max(chosen, key=lambda number: runs[number].rungs[-1][0]))


def base_first(count: int, random: np.random.Generator) -> list[int]:
    """Numbers of runs in random order after that of the base."""
    return [0, *(1 + random.permutation(count - 1)).tolist()]


def hyperband(runs: list[Run], budget_s: float, seed: int) -> int:
    """Optuna's Hyperband pruner over the same rungs, runs in random order after the base, until the budget is spent."""
    rungs = len(runs[0].rungs)
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=3 ** (rungs - 1), reduction_factor=3)
    study = optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=seed))
    spent = 0.0
    best: dict[int, tuple[int, float]] = {}
    for number in base_first(len(runs), np.random.default_rng([seed, 1])):
        trial = study.ask()
        for rung, (value, cost) in enumerate(runs[number].rungs):
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


def replay(
    pool: list[Run], *, draws: int, part: int, rivals: bool = True, promotion: Promotion = thirds_of_each
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Shares of the cost (draws,), and by way (draws, 2) regrets in points: on validation and held out."""
    random = np.random.default_rng(0)
    shares: list[float] = []
    names = ("sweep", "simple", "random", "hyperband") if rivals else ("sweep",)
    regrets: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for draw in range(draws):
        runs = [pool[0], *(pool[number] for number in 1 + random.choice(len(pool) - 1, part - 1, replace=False))]
        chosen, seconds = sweep(runs, draw, promotion)
        shares.append(seconds / sum(rung[1] for run in runs for rung in run.rungs))
        ends = {"sweep": chosen}
        if rivals:
            ends |= {
                "simple": simple(runs, seconds), "hyperband": hyperband(runs, seconds, draw),
                "random": at_random(runs, seconds, np.random.default_rng([draw, 2])),
            }  # fmt: skip
        best = max(runs, key=lambda run: run.rungs[-1][0])
        for name, number in ends.items():
            own = runs[number]
            regrets[name].append((100 * (best.rungs[-1][0] - own.rungs[-1][0]), 100 * (best.held_out - own.held_out)))
    return np.array(shares), {name: np.array(values) for name, values in regrets.items()}


def jackknife(pool: list[Run], *, draws: int, part: int, promotion: Promotion = thirds_of_each) -> dict[str, Any]:
    """A way to promote, in numbers: share of the cost and regrets, with 95 % intervals over the pool's runs."""

    def means(of: list[Run]) -> NDArray[np.float64]:
        shares, regrets = replay(of, draws=draws, part=part, rivals=False, promotion=promotion)
        return np.array([shares.mean(), *regrets["sweep"].mean(0)])

    whole = means(pool)
    groups = np.random.default_rng(1).permutation(np.arange(1, len(pool))) % GROUPS
    left = np.array([
        means([pool[0], *(run for run, own in zip(pool[1:], groups, strict=True) if own != group)])
        for group in range(GROUPS)
    ])  # fmt: skip
    half = STUDENT * np.sqrt((GROUPS - 1) / GROUPS * ((left - left.mean(0)) ** 2).sum(0))
    names = ("cost_share", "regret_points", "held_out_regret_points")
    return {
        name: {"value": float(value), "low": float(value - own), "high": float(value + own)}
        for name, value, own in zip(names, whole, half, strict=True)
    }


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if "pool" in sys.argv:
        make_pool()
        return
    if not POOL.is_file():
        raise SystemExit(f"no pool yet: python -m benchmarks.sweep_value pool (it writes {POOL})")
    records = [json.loads(line) for line in POOL.read_text("utf-8").splitlines()]
    pool = [
        Run(record["config"], strength_of(record["config"]), [tuple(rung) for rung in record["rungs"]],
            record["held_out"])
        for record in records
    ]  # fmt: skip
    draws, part = int(option("--draws", "500")), int(option("--part", "27"))
    shares, regrets = replay(pool, draws=draws, part=part)
    result: dict[str, Any] = {
        "pool": len(pool), "images": records[0]["images"], "size": records[0]["size"], "levels": records[0]["levels"],
        "draws": draws, "part": part, "cost_share_90": _middle(shares),
        "spread_of_full_runs": float(np.std([run.rungs[-1][0] for run in pool])),
        "interval": f"95 %, jackknife over {GROUPS} groups of the pool's runs",
        "sweep": jackknife(pool, draws=draws, part=part),
    }  # fmt: skip
    for name, values in regrets.items():
        paired = regrets[name] - regrets["sweep"]
        result[name] = result.get(name, {}) | {
            "mean_regret_points": float(values[:, 0].mean()), "regret_90": _middle(values[:, 0]),
            "mean_held_out_regret_points": float(values[:, 1].mean()),
            "worse_than_the_sweep_in": float((paired[:, 0] > 0).mean()),
            "better_than_the_sweep_in": float((paired[:, 0] < 0).mean()),
        }  # fmt: skip
    larger = [size for size in (36, 45) if size <= len(pool) - len(pool) // GROUPS]
    result["larger_parts"] = {
        size: {name: jackknife(pool, draws=draws, part=size, promotion=way) for name, way in WAYS.items()}
        for size in larger
    }
    # Ways are chosen on one half of the pool and judged on the other.
    order = 1 + np.random.default_rng(2).permutation(len(pool) - 1)
    halves = [[pool[0], *(pool[number] for number in half)] for half in np.array_split(order, 2)]
    own = min(map(len, halves)) - 4
    other: dict[str, Any] = {"part": own}
    for words, half in zip(("chosen_on", "judged_on"), halves, strict=True):
        other[words] = {name: _means(half, own, draws, way) for name, way in WAYS.items()}
    result["other_ways"] = other
    keep("sweep_value", result)


def _means(pool: list[Run], part: int, draws: int, promotion: Promotion) -> dict[str, float]:
    shares, regrets = replay(pool, draws=draws, part=part, rivals=False, promotion=promotion)
    validation, held_out = map(float, regrets["sweep"].mean(0))
    return {"cost_share": float(shares.mean()), "regret_points": validation, "held_out_regret_points": held_out}


def _middle(values: NDArray[np.float64]) -> list[float]:
    """The middle 90 % of draws."""
    return [float(value) for value in np.quantile(values, [0.05, 0.95])]


if __name__ == "__main__":
    main()
