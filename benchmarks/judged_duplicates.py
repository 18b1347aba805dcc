"""Near duplicates among 32-pixel photographs that people judged: how many `eyeshot audit` names, on which level.

The pairs are of ciFAIR (Barz and Denzler 2020), CIFAR-10. Thresholds were chosen on the classes `CHOSEN_ON`; the others
tell how they do elsewhere. Only pairs that hold a test image were judged, and of each test image only its nearest
neighbours, so reported pairs of test and training that nobody judged are counted apart and written out to be looked at.

`--peer PYTHON` counts the same for PHash of imagededup with its own distance of 10, in an environment that has it.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import keep, shared
from eyeshot.auditing import CopyGroup, audit

IMAGEDEDUP = """
import json, sys
from pathlib import Path
from imagededup.methods import PHash
root, method = Path(sys.argv[1]), PHash(verbose=False)
files = {file.relative_to(root).as_posix(): file for file in sorted(root.rglob("*.jpg"))}
encodings = {name: method.encode_image(image_file=str(file)) for name, file in files.items()}
found = method.find_duplicates(encoding_map=encodings, max_distance_threshold=10)
print(json.dumps(sorted({tuple(sorted((name, other))) for name, others in found.items() for other in others})))
"""
CHOSEN_ON = ("airplane", "bird", "deer", "frog", "ship")
Pair = frozenset[str]


def pairs_of(groups: Sequence[CopyGroup]) -> set[Pair]:
    pairs = set()
    for group in groups:
        names = [f"{image.split}/{image.id}" for image in group.images]
        pairs |= {frozenset(pair) for pair in itertools.combinations(names, 2)}
    return pairs


def class_of(pair: Pair) -> str:
    return min(pair).split("/")[1]


def crosses_split(pair: Pair) -> bool:
    return len({name.split("/")[0] for name in pair}) == 2


def count(near: set[Pair], similar: set[Pair], judged: dict[Pair, int]) -> dict[str, Any]:
    first, second = ({pair for pair, judgement in judged.items() if judgement == level} for level in (1, 2))
    return {
        "near duplicates": len(first),
        "named near": len(first & near),
        "named very similar": len(first & similar),
        "very similar": len(second),
        "very similar, named so": len(second & similar),
        "very similar, named near": len(second & near),
        "test and training pairs named near": sum(map(crosses_split, near)),
        "of these judged by nobody": sum(crosses_split(pair) and pair not in judged for pair in near),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--list", action="store_true", help="print the pairs that nobody judged")
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter of an environment with imagededup")
    options = parser.parse_args()
    root = shared() / "data" / "cifar-duplicates"
    with (root / "pairs.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (root / row["a"]).exists() and (root / row["b"]).exists()]
    judged = {frozenset((row["a"], row["b"])): int(row["judgement"]) for row in rows}
    if options.peer:
        _count_peer(options.peer, root, judged)
        return
    with tempfile.TemporaryDirectory() as cache:
        begun = (time.perf_counter(), time.process_time())
        report = audit(
            root / "train", test=root / "test", cache=Path(cache), workers=1, thorough=options.thorough
        ).report
        spent = (time.perf_counter() - begun[0], time.process_time() - begun[1])
    near = pairs_of(report.groups)
    similar = pairs_of(report.similar) - near
    result: dict[str, Any] = {"images": report.n_train + report.n_test, "cpu_seconds": round(spent[1], 1)}
    for name, wanted in (("all", (True, False)), ("chosen on", (True,)), ("others", (False,))):
        own = [{pair for pair in pairs if (class_of(pair) in CHOSEN_ON) in wanted} for pairs in (near, similar)]
        result[name] = count(
            own[0], own[1], {pair: value for pair, value in judged.items() if (class_of(pair) in CHOSEN_ON) in wanted}
        )
        print(name, result[name])
    print(f"{spent[1]:.1f} CPU-s ({spent[0]:.0f} s), duplicates {report.cpu_seconds['duplicates']:.1f} CPU-s")
    if options.list:
        print(
            *(sorted(pair) for pair in sorted(near, key=sorted) if crosses_split(pair) and pair not in judged), sep="\n"
        )
    how = " --thorough" if options.thorough else ""
    keep(
        "judged_duplicates" + ("_thorough" if options.thorough else ""),
        {"command": f"python -m benchmarks.judged_duplicates{how}", **result},
    )


def _count_peer(python: str, root: Path, judged: dict[Pair, int]) -> None:
    done = subprocess.run([python, "-c", IMAGEDEDUP, str(root)], capture_output=True, text=True, check=True)
    near = {frozenset(pair) for pair in json.loads(done.stdout.strip().splitlines()[-1])}
    result = count(near, set(), judged)
    crossing = [pair for pair in near if crosses_split(pair) and len({name.split("/")[1] for name in pair}) > 1]
    result["of these across classes"] = len(crossing)
    print(result)
    keep("judged_duplicates_imagededup", {"command": "python -m benchmarks.judged_duplicates --peer PYTHON", **result})


if __name__ == "__main__":
    main()
