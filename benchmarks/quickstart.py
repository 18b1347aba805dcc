"""Whether each step of `eyeshot demo` finds what is known, and how long the whole takes: seconds and CPU seconds.

`--seeds N` takes N seeds, `--out DIR` keeps the projects.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import eyeshot
from benchmarks.common import keep, option, said
from eyeshot.data import write_digits
from eyeshot.data.digits import SHIFTS, large_digits
from eyeshot.predictions import load_predictions

UNDOES = {"turned": ("rotate-15", "rotate-30"), "inverted": ("invert",), "thicker": ("dilation",)}
"""Planted shifts, and the augmentations that do the same."""
UNTRAINED = "test_vit.r160_in1k"
"""The network that two epochs on letters have taught nothing."""


OFTEN = ("the most doubtful label is a wrong one", "what undoes the shifts is better")
"""Not found with all seeds (benchmarks/results/quickstart.json): of one label, and of a verdict's power."""


def check_answers(folder: Path, planted: dict[str, list[str]]) -> dict[str, bool]:
    """What the steps of a demo should have found, and whether they did.

    Args:
        folder: of the project.
        planted: of `write_digits`.
    """
    results = folder / "eyeshot-out"
    return (
        _audited(_read(results / "audit" / "audit.json"), planted)
        | _left_out(folder, planted)
        | _ranked(_read(results / "models" / "models.json"), _read(results / "augmentations" / "augmentations.json"))
        | _tried(results)
    )


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
        checks = check_answers(folder, planted)
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
