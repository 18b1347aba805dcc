"""How often expectations came, and how large the noise is, for the page."""

from __future__ import annotations

from typing import Any

from eyeshot.core import points
from eyeshot.ledger import Ledger, judged_expectations

MOST_MONTHS = 12


def expectations_answer(ledger: Ledger) -> dict[str, Any]:
    """Rows by author and by month, as `calibration` gives them, and what they mean, in sentences."""
    by_author, by_month = judged_expectations(ledger, "author"), judged_expectations(ledger, "month")
    months = by_month[1:][-MOST_MONTHS:]
    noisy = ledger.rows(
        "got", where="got LIKE '%\"noise\":%' AND got NOT LIKE '%\"noise\":null%'", sort="-last_seq", limit=1
    )
    words = []
    if noisy:
        words.append(
            f"Noise, as of the latest comparison: seeds of one recipe differ by {points(noisy[0]['got']['noise'])} "
            "(standard deviation)."
        )
    if not by_author:
        words.append("No expectation has been compared with a result yet.")
    else:
        words.append(
            "Expectations that were stated before the first run: how often the direction came, with a 95 % interval. "
            "A difference that cannot be told from noise has not come."
        )
    return {"words": words, "authors": by_author, "months": months if len(months) > 1 else []}
