"""All checks of recipes in a table, from the results that `check-recipe` kept: `docs/recipes.md`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.augmentation_truth.check_recipe import FIRST_SEED, MEAN, stands_still
from benchmarks.augmentation_truth.sources import OWN

BEGIN, END = "<!-- recipes: begin -->", "<!-- recipes: end -->"
HEADER = "| network | source | seeds | epochs, doubled | mean of all targets | own images | targets that stand still |"


def read_checks(results: Path) -> list[dict[str, Any]]:
    """Every check in a folder, by network, source, first seed and epochs."""
    checks = [json.loads(file.read_text(encoding="utf-8")) for file in results.glob("truth_recipe_*.json")]
    checks = [{"first_seed": FIRST_SEED} | check for check in checks]
    return sorted(checks, key=lambda check: (check["model"], check["source"], check["first_seed"], check["epochs"]))


def recipes_table(results: Path) -> str:
    """Markdown, a line for each check; accuracy with the recipe, then the change with its standard error over seeds."""
    lines = [HEADER, "|" + "---|" * (HEADER.count("|") - 1)]
    for check in read_checks(results):
        first, targets = check["first_seed"], check["targets"]
        single = [compared for name, compared in targets.items() if name != MEAN]
        cells = (
            check["model"],
            check["source"],
            f"{first} to {first + check['seeds'] - 1}",
            f"{check['epochs']}, {2 * check['epochs']}",
            _change(targets[MEAN]),
            _change(targets[OWN]),
            f"{sum(stands_still(compared) for compared in single)} of {len(single)}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _change(compared: Mapping[str, float]) -> str:
    change = f"{compared['change']:+.3f}".replace("-", "−")
    shown = f"{compared['accuracy']:.3f}, {change} ± {compared['standard_error']:.3f}"
    return f"**{shown}**" if stands_still(compared) else shown
