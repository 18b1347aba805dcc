"""Whether each step of `eyeshot demo` finds what is known, and how long the whole takes: seconds and CPU seconds.

`--seeds N` takes N seeds, `--out DIR` keeps the projects.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

import eyeshot
from benchmarks.common import keep, option, said
from eyeshot.core import percent
from eyeshot.data import read_split, write_digits
from eyeshot.data.digits import SHIFTS, large_digits
from eyeshot.predictions import load_predictions

UNDOES = {"turned": ("rotate-15", "rotate-30"), "inverted": ("invert",), "thicker": ("dilation",)}
"""Planted shifts, and the augmentations that do the same."""
UNTRAINED = "test_vit.r160_in1k"
"""The network that two epochs on letters have taught nothing."""


OFTEN = ("the most doubtful label is a wrong one", "what undoes the shifts is better")
"""Not found with all seeds (benchmarks/results/quickstart.json): of one label, and of a verdict's power."""


def check_answers(folder: Path, planted: dict[str, list[str]], answers: dict[str, str]) -> dict[str, bool]:
    """What the steps of a demo should have found, and whether they did.

    Args:
        folder: of the project.
        planted: of `write_digits`.
        answers: the line of each step, by its name.
    """
    results = folder / "eyeshot-out"
    checks = (
        _audited(_read(results / "audit" / "audit.json"), planted)
        | _left_out(folder, planted)
        | _divided(folder, planted)
        | _ranked(_read(results / "models" / "models.json"), _read(results / "augmentations" / "augmentations.json"))
        | _tried(results)
        | _swept(results, answers["sweep"])
        | _counted_errors(results)
        | _combined(folder)
        | _reported(folder)
    )
    return {name: bool(found) for name, found in checks.items()}  # NumPy's have no JSON


def _read(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))


def _audited(audit: Any, planted: dict[str, list[str]]) -> dict[str, bool]:
    found: dict[str, list[set[str]]] = {}
    for finding in audit["findings"]:
        names = {f"{image['split']}/{image['id']}" for image in finding["images"]}
        found.setdefault(finding["kind"], []).append(names)
    copies = [*found.get("identical", []), *found.get("near-copy", [])]
    pairs = [set(planted["copies"][start : start + 2]) for start in range(0, len(planted["copies"]), 2)]
    doubtful = [name for names in found.get("label-issue", []) for name in names]
    wrong = set(planted["wrong labels"])
    return {
        "all planted copies are found, also flipped and turned": all(
            any(pair <= names for names in copies) for pair in pairs
        ),
        "the picture under two labels is found, and no other": found.get("conflict") == [set(planted["two labels"])],
        "the leak is found, and no other": found.get("leak") == [set(planted["leaks"])],
        "the broken file is found, and no other": found.get("unreadable") == [set(planted["broken"])],
        "four of five wrong labels are among the doubtful ones": len(wrong & set(doubtful)) >= 0.8 * len(wrong),
        "the most doubtful label is a wrong one": bool(doubtful) and doubtful[0] in wrong,
    }


def _left_out(folder: Path, planted: dict[str, list[str]]) -> dict[str, bool]:
    decided = [json.loads(line) for line in (folder / "decisions.jsonl").read_text("utf-8").splitlines()]
    names = {name for decision in decided for name in decision["names"]}
    must = {*planted["two labels"], *planted["copies"], *planted["broken"], planted["leaks"][1]}
    return {"every planted fault is decided about": {name.removeprefix("train/") for name in must} <= _short(names)}


def _short(names: set[str]) -> set[str]:
    """Names as they are below the training folder, however a decision wrote them."""
    return {"/".join(Path(name).parts[-2:]) for name in names}


def _divided(folder: Path, planted: dict[str, list[str]]) -> dict[str, bool]:
    split = read_split(folder / "split.json")

    def parts(names: list[str]) -> list[Any]:
        """The parts of images that are in the split."""
        contents = [xxhash.xxh3_128_hexdigest((folder / "data" / name).read_bytes()) for name in names]
        return [split.parts[content] for content in dict.fromkeys(contents) if content in split.parts]

    audit = _read(folder / "eyeshot-out" / "audit" / "audit.json")
    copies = [
        parts([f"train/{image['id']}" for image in finding["images"] if image["split"] == "train"])
        for finding in audit["findings"]
        if finding["kind"] in ("identical", "near-copy")
    ]
    pairs = [parts(planted["copies"][start : start + 2]) for start in range(0, len(planted["copies"]), 2)]
    return {
        "one of each planted pair of copies is in the split": [len(pair) for pair in pairs] == [1] * len(pairs),
        "copies lie on one side of the split": all(len(set(group)) <= 1 for group in copies),
        "no planted fault is in the split": not parts(
            [*planted["two labels"], planted["leaks"][1], *planted["broken"]]
        ),
        "the split counts its images": split.counts == dict(Counter(str(part) for part in split.parts.values())),
    }


def _ranked(models: Any, augmentations: Any) -> dict[str, bool]:
    ranks = {model["name"]: model["rank"] for model in models["models"]}
    ranked = [each for each in augmentations["candidates"] if each["role"] == "ranked"]
    first = min(ranked, key=lambda each: each["rank"])
    cures = {name for names in UNDOES.values() for name in names}
    ahead = {each["name"] for each in ranked if (each["group"] or 0) == first["group"]}
    return {
        "the network that learnt nothing is last": ranks[UNTRAINED] == max(ranks.values()),
        "another network is advised": models["advised"]["name"] != UNTRAINED,
        "the first augmentation undoes a planted shift": first["name"] in cures,
        "inverting is among the first, which cannot be told apart": "invert" in ahead,
        "the advice is an augmentation": augmentations["headline"].startswith(f"Train with {first['name']}"),
    }


def _tried(results: Path) -> dict[str, bool]:
    records = _records(results)
    own = [record for record in records if record["author_kind"] != "sweep"]
    by_change = {change: record for record in own for change in record["difference"]}
    decay = by_change.get("training.weight_decay")
    stated = [record for record in own if record["expected"]]
    cures = [record for record in stated if _cures(record)]
    return {
        "at least twenty experiments": len(records) >= 20,
        "the planted no-change is not distinguishable": decay is not None and decay["gain"] == "not distinguishable",
        "every expectation has a verdict and was stated first": bool(stated)
        and all(record["verdict"] and not record["expected"]["late"] for record in stated),
        "what undoes the shifts is better": any(record["gain"] == "better" for record in cures),
    }


def _swept(results: Path, answer: str) -> dict[str, bool]:
    records = _records(results)
    own = [record for record in records if record["author_kind"] != "sweep"]
    told = re.search(r"([\d,]+) experiments so far, ([\d,]+) with a verdict", answer)
    return {
        "each experiment that has a parent has a verdict": all(record["gain"] for record in own if record["parent"]),
        "experiments and verdicts are as many as the sweep's line says": told is not None
        and [_number(count) for count in told.groups()]
        == [len(records), sum(record["gain"] is not None for record in records)],
    }


def _counted_errors(results: Path) -> dict[str, bool]:
    report = _read(results / "errors" / "errors.json")
    wrong: dict[str, NDArray[np.bool_]] = {}
    for run in report["runs"]:
        table = load_predictions(results / "runs" / run["run"] / "validation.npz")
        wrong[run["run"]] = table.probabilities.argmax(axis=1) != table.labels
    of_best = load_predictions(results / "runs" / report["run"] / "validation.npz")
    labels = np.asarray(of_best.classes)[of_best.labels]
    answers = np.asarray(of_best.classes)[of_best.probabilities.argmax(axis=1)]
    mixed = Counter(tuple(sorted(pair)) for pair in zip(labels, answers, strict=True) if pair[0] != pair[1])
    first = report["pairs"][0]
    most = mixed[tuple(sorted((first["first"], first["second"])))]
    counted = [wrong[run["run"]] for run in report["runs"] if run["counted"]]
    return {
        "the errors are those of the best run": report["errors"] == min(each.sum() for each in wrong.values())
        and report["errors"] == wrong[report["run"]].sum(),
        "errors of each run are as many as its predictions have": all(
            (run["errors"], run["accuracy"]["n"]) == (wrong[run["run"]].sum(), len(wrong[run["run"]]))
            for run in report["runs"]
        ),
        "the pair that is named is mixed up most": first["first_as_second"] + first["second_as_first"]
        == most
        == max(mixed.values()),
        "images that all runs have wrong are counted": report["shared"] == np.logical_and.reduce(counted).sum(),
    }


def _combined(folder: Path) -> dict[str, bool]:
    runs = folder / "eyeshot-out" / "runs"
    command, printed = _done(folder, "ensemble")
    names = [word for word in command.split()[1:] if (runs / word).is_dir()]
    accuracies = {name: load_predictions(runs / name / "validation.npz").accuracy().value for name in names}
    said_of = dict(re.findall(r"^(\S+) +(\d+\.\d %) +\d+ %$", printed, re.MULTILINE))
    checks = {
        "accuracies beside the ensemble are those of its members": len(names) > 1
        and said_of == {name: percent(value or 0.0, 1) for name, value in accuracies.items()},
    }
    for file in runs.glob("*/ensemble.json"):  # none, where no ensemble is worth it
        report, stored = _read(file), load_predictions(file.parent / "validation.npz").accuracy()
        checks["the accuracy of the ensemble is that of its predictions"] = report["accuracy"] == stored.model_dump()
    return checks


def _reported(folder: Path) -> dict[str, bool]:
    records = _records(folder / "eyeshot-out")
    runs = list((folder / "eyeshot-out" / "runs").glob("*/run.json"))
    page = (folder / "eyeshot-out" / "report" / "report.html").read_text("utf-8")
    told = re.search(r"covers ([\d,]+) experiments? and ([\d,]+) runs?", _done(folder, "report")[1])
    stated = [
        record for record in records if record["verdict"] and record["expected"] and not record["expected"]["late"]
    ]
    came = sum(record["verdict"] == "as expected" for record in stated)
    return {
        "experiments and runs of the report are as many as in the ledger": told is not None
        and [_number(count) for count in told.groups()] == [len(records), len(runs)],
        "every experiment is in the report": all(f"<bdi>{record['id']}</bdi>" in page for record in records),
        "expectations that came are counted in the report": (
            f"Of {len(stated)} expectations stated before the first run, {came} came" in page
        ),
    }


def _done(folder: Path, name: str) -> tuple[str, str]:
    """The last command line of a demo that begins with a name, and what it printed."""
    done = [step for step in _read(folder / "demo.json")["done"] if step["command"].split()[0] == name]
    return done[-1]["command"], done[-1]["printed"]


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _records(results: Path) -> list[Any]:
    """All experiments of a project, as `eyeshot runs --json` gives them."""
    import contextlib

    from eyeshot.ledger import find_experiments

    with contextlib.chdir(results.parent):
        return [record.model_dump(mode="json") for record in find_experiments()]


def _cures(record: Any) -> bool:
    after = record["difference"].get("augmentation", (None, None))[1] or []
    names = after.split("+") if isinstance(after, str) else after
    return bool(set(names) & {name for each in UNDOES.values() for name in each})


def test_accuracies(folder: Path, planted: dict[str, list[str]]) -> dict[str, float]:
    """Accuracy on the test images of each run that predicted them, by their true labels; the demo never reads these."""
    labels = large_digits()[1]
    known = {Path(name).name for shift in SHIFTS for name in planted[shift]}
    accuracies = {}
    for file in sorted(folder.glob("eyeshot-out/runs/*/predictions/test.npz")):
        table = load_predictions(file)
        rows = [row for row, name in enumerate(table.ids) if Path(name).name in known]
        truth = np.asarray([str(labels[int(Path(table.ids[row]).stem)]) for row in rows])
        said_class = np.asarray(table.classes)[table.probabilities[rows].argmax(axis=1)]
        accuracies[file.parent.parent.name] = float((said_class == truth).mean())
    return accuracies


if __name__ == "__main__":
    place = Path(option("--out") or tempfile.mkdtemp())
    seeds: dict[int, Any] = {}
    for seed in range(int(option("--seeds", "1"))):
        print(f"== seed {seed}", file=sys.stderr)
        folder, began, cpu, load = place / f"demo-{seed}", time.monotonic(), time.process_time(), os.getloadavg()[0]
        done = eyeshot.demo(out=folder, seed=seed, progress=said(), answered=lambda line: print(line, flush=True))
        planted = write_digits(folder, seed=seed)
        checks = check_answers(folder, planted, {step["name"]: step["answer"] for step in done["steps"]})
        seeds[seed] = {
            "seconds": round(time.monotonic() - began, 1),
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "load_before": round(load, 1),
            "found": all(checks.values()),
            "checks": checks,
            "test_accuracies": test_accuracies(folder, planted),
            "steps": {step["name"]: {"seconds": step["seconds"], "answer": step["answer"]} for step in done["steps"]},
        }
    keep("quickstart", {"found": sum(each["found"] for each in seeds.values()), "of": len(seeds), "seeds": seeds})
