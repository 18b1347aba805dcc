"""The table of recipe checks: what stands still is bold, and the published one follows from the results."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.augmentation_truth.recipes_table import BEGIN, END, read_checks, recipes_table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def test_a_change_within_its_error_is_bold_and_counted(tmp_path: Path) -> None:
    def compared(change: float) -> dict[str, float]:
        return {"accuracy": 0.5, "standard_deviation": 0.1, "doubled": 0.5 + change, "change": change,
                "standard_error": 0.02}  # fmt: skip

    targets = {"own": compared(-0.01), "turned": compared(0.03), "mean of all": compared(0.02)}
    check = {"model": "net", "source": "here", "epochs": 3, "seeds": 4, "first_seed": 7, "targets": targets}
    (tmp_path / "truth_recipe_here_net.json").write_text(json.dumps(check), encoding="utf-8")
    last = recipes_table(tmp_path).splitlines()[-1]
    assert last == "| net | here | 7 to 10 | 3, 6 | 0.500, +0.020 ± 0.020 | **0.500, −0.010 ± 0.020** | 1 of 2 |"


def test_the_published_table_is_computed_from_the_results() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == recipes_table(RESULTS)


def test_the_evidence_says_how_far_clean_images_still_move() -> None:
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    said = re.search(r"by (\S+) to (\S+) points in the mean\s+over targets, by (\S+) to (\S+) on own images", text)
    assert said is not None
    checks = read_checks(RESULTS)
    for first, target in ((1, "mean of all"), (3, "own")):
        changes = [100 * one["targets"][target]["change"] for one in checks]
        shown = [f"{end(changes):.1f}".replace("-", "−") for end in (min, max)]
        assert [said[first], said[first + 1]] == shown
