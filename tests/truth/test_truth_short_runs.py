"""Short runs against the truth: scored as the product does, on made-up predictions and on the committed estimates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.augmentation_truth.recipes import CANDIDATES
from benchmarks.augmentation_truth.short_runs_judged import figures, read_rows, score_targets, write_rows
from benchmarks.augmentation_truth.sources import OWN
from benchmarks.augmentation_truth.truth import read_truths

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "benchmarks" / "augmentation_truth"
LABELS = np.arange(200) % 4


def predictions(labels: np.ndarray, skill: float, random: np.random.Generator) -> np.ndarray:
    """Float16 probabilities of a calibrated run: it is right about `skill` of the time."""
    right = random.random(len(labels)) < skill
    answers = np.where(right, labels, (labels + random.integers(1, 4, len(labels))) % 4)
    return (np.eye(4)[answers] * (skill - (1 - skill) / 3) + (1 - skill) / 3).astype(np.float16)


def all_runs(seed: int, *, skills: dict[str, float]) -> tuple[dict, list]:
    """Runs that are right on the target at their skill, or at 0.4, and all at 0.9 on validation images; and scores."""
    random = np.random.default_rng(seed)
    runs, scores = {}, []
    for name in ("clean", *CANDIDATES):
        skill = skills.get(name, 0.4)
        runs[name] = {
            "labels": LABELS, "epochs": np.array(9), "seconds": np.array(1.0),
            "val": predictions(LABELS, 0.9, random), "far": predictions(LABELS, skill, random),
        }  # fmt: skip
        role = "regulariser" if name in ("mixup", "cutmix") else "ranked"
        scores.append({"target": "far", "candidate": name, "role": role, "shift_weight": 0.8, "coverage_gain": 0.0})
    return runs, scores


def test_the_one_that_is_right_on_the_target_is_first_and_advised(tmp_path: Path) -> None:
    runs, scores = all_runs(0, skills={"invert": 0.9})
    file = tmp_path / "digits-net.csv"
    write_rows(file, score_targets("digits", "net", runs, scores, classes=4))
    rows = read_rows(file)
    assert len(rows) == 1 + len(CANDIDATES)
    ranked = [row for row in rows if row["score"]]
    assert len(ranked) == len(CANDIDATES) - 2
    best = max(ranked, key=lambda row: float(row["score"]))
    assert best["candidate"] == "invert"
    assert [row["candidate"] for row in rows if row["advised"] == "1"] == ["invert"]
    # A network that is as sure on the target as on validation images but wrong there is believed.
    assert float(best["target_accuracy"]) == pytest.approx(0.9, abs=0.06)


@pytest.mark.slow
def test_equal_candidates_are_seldom_told_apart() -> None:
    """Without the noise of the temperature, of 200 validation images, something beat clean in 12 of 16 of these."""
    advised = []
    for seed in range(12):
        runs, scores = all_runs(seed, skills={})
        rows = score_targets("digits", "net", runs, scores, classes=4)
        advised += [row["candidate"] for row in rows if row.get("advised")]
    assert advised.count("trivial-augment") >= 10


def test_a_table_of_the_ranking_log_follows_from_the_committed_estimates_and_tables() -> None:
    truths, _ = read_truths(HERE / "tables")
    log = (ROOT / "docs" / "ranking-log.md").read_text(encoding="utf-8")
    files = sorted((HERE / "estimates").glob("*.csv"))
    assert files
    for file in files:
        rows = read_rows(file)
        for shifted in (True, False):
            found = figures([row for row in rows if (row["target"] != OWN) == shifted], truths)
            cells = [
                f"{found[name]['spearman']:.2f} ({max(0.0, found[name]['regret']):.1f})".replace("-", "−")
                for name in ("score", "target_accuracy", "coverage_gain", "validation", "evenness")
            ]
            cells += [
                f"{max(0.0, found[name]['regret']):.1f}" for name in ("advised", "always TrivialAugment", "clean")
            ]
            what = f"{rows[0]['source']}, {rows[0]['model']}, {'shifted' if shifted else 'own images'}"
            assert f"| {what} | {' | '.join(cells)} |" in log, f"| {what} | {' | '.join(cells)} |"
