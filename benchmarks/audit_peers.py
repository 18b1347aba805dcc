"""CPU seconds of looking for copies and of all checks: eyeshot, CleanVision, imagededup, and a pass over the files.

`python -m benchmarks.audit_peers`: all in the same run, in turn, `--repeat` times, on PACS photographs and drawings
(5,599 images). The whole command is measured from its start, including child processes. Peers are installed into their
own environments, in a temporary folder or in the folder that `--environments` names and keeps.

The pass is the least that an audit of pixels must do: read, hash, decode, make a small grey thumbnail; one process, one
thread. `eyeshot audit` has no mode for copies only: the same run is compared with both kinds of peers' runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, keep, shared
from benchmarks.copies_planted import linked

CLEANVISION = """
import sys
from cleanvision import Imagelab
if __name__ == "__main__":
    lab = Imagelab(data_path=sys.argv[1])
    lab.find_issues(*([{"exact_duplicates": {}, "near_duplicates": {}}] if sys.argv[2] == "copies" else []))
    print("found:", lab.issue_summary.set_index("issue_type")["num_images"].to_dict())
"""
IMAGEDEDUP = """
import sys
from imagededup.methods import CNN, PHash
if __name__ == "__main__":
    method = PHash() if sys.argv[2] == "phash" else CNN()
    found = method.find_duplicates(image_dir=sys.argv[1], recursive=True)
    print("found:", sum(map(bool, found.values())), "images with duplicates")
"""
PASS = """
import io, sys
from pathlib import Path
import numpy as np, xxhash
from PIL import Image
for file in sorted(Path(sys.argv[1]).rglob("*.*")):
    data = file.read_bytes()
    xxhash.xxh3_128(data).digest()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    np.asarray(image.convert("L").resize((64, 64), Image.Resampling.BILINEAR))
"""
PEERS = {"cleanvision": CLEANVISION, "imagededup": IMAGEDEDUP}
RUNS = {
    "CleanVision, copies only": ("cleanvision", "copies"),
    "CleanVision, all checks": ("cleanvision", "all"),
    "imagededup PHash, copies only": ("imagededup", "phash"),
    "imagededup CNN, copies only": ("imagededup", "cnn"),
}
LONGEST = 600  # seconds


def environment(folder: Path, peer: str) -> str | None:
    """An environment with the peer, made if it does not exist; None if it cannot be installed."""
    place = folder / peer
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", peer], capture_output=True, text=True)
        if done.returncode:
            print(f"{peer} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
            return None
    return str(python)


def version(python: str, peer: str) -> str:
    code = f"from importlib import metadata; print(metadata.version({peer!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def measured(command: list[str], log: Path) -> dict[str, Any]:
    """CPU seconds of a command and all its child processes, and its last line of output."""
    with open(log, "w+") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(["timeout", str(LONGEST), *command], stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begun
    said = [line.strip() for line in log.read_text(errors="replace").replace("\r", "\n").splitlines() if line.strip()]
    found = [line.removeprefix("found: ") for line in said if line.startswith("found: ")]
    result = {"cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2), "seconds": round(wall, 2)}
    if process.returncode:
        return {"failed": said[-1][:300] if said else f"exit code {process.returncode}"}
    return result | ({"found": found[-1]} if found else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--environments", type=Path, help="folder for the peers' environments; it is kept")
    options = parser.parse_args()
    root = shared() / "data" / "pacs"
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        files = [file for domain in ("photo", "sketch") for file in sorted((root / domain).rglob("*.*"))]
        linked(work / "set", files, root)
        pythons = {peer: environment(options.environments or work, peer) for peer in PEERS}
        for peer, code in PEERS.items():
            (work / f"run_{peer}.py").write_text(code)
        (work / "one_pass.py").write_text(PASS)
        os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # installed programs, including the peers, are compiled once
        runs: dict[str, list[dict[str, Any]]] = {}
        for turn in range(options.repeat):
            folder = work / f"turn{turn}"
            os.environ["EYESHOT_CACHE"] = str(folder / "cache")
            audit = [sys.executable, "-m", "eyeshot", "audit", str(work / "set"), "--out", str(folder / "out")]
            commands = {
                "one pass": [sys.executable, str(work / "one_pass.py"), str(work / "set")],
                "eyeshot audit, all checks": [*audit, "--no-images"],
                "the same again, nothing changed": [*audit, "--no-images"],
            }
            for name, (peer, how) in RUNS.items():
                python = pythons[peer]
                if python is not None and "failed" not in runs.get(name, [{}])[-1]:
                    commands[name] = [python, str(work / f"run_{peer}.py"), str(work / "set"), how]
            for name, command in commands.items():
                result = measured(command, work / "log")
                if name == "eyeshot audit, all checks" and "failed" not in result:
                    report = json.loads((folder / "out" / "audit.json").read_text())
                    result |= {"found": report["counts"], "by part": report["cpu_seconds"]}
                runs.setdefault(name, []).append(result)
                print(name, result, flush=True)
        load.append(os.getloadavg()[0])
        versions = {peer: version(python, peer) for peer, python in pythons.items() if python is not None}
    medians = {
        name: statistics.median(run["cpu_seconds"] for run in each)
        for name, each in runs.items()
        if all("failed" not in run for run in each)
    }
    own, limit = medians["eyeshot audit, all checks"], medians["one pass"]
    keep(
        "audit_peers",
        {
            "images": len(files),
            "load": [round(value, 1) for value in load],
            "versions": versions | {"not installed": [peer for peer, python in pythons.items() if python is None]},
            "cpu_seconds": medians,
            "of_one_pass": {name: round(value / limit, 2) for name, value in medians.items()},
            "over_eyeshot": {name: round(value / own, 2) for name, value in medians.items()},
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
