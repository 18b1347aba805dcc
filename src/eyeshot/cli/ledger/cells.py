"""Cells of tables of experiments."""

from __future__ import annotations

from typing import Any


def printable(text: str | None) -> str:
    """Text without signs that would steer the terminal, or turn the direction of what follows; lines stay."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text or "")


def got_cell(row: dict[str, Any]) -> str:
    """The value with its 95 % interval: "83.2 % (82.2 to 84.2)"; empty for none."""
    from eyeshot.core import percent

    if row["value"] is None:
        return ""
    interval = "" if row["low"] is None else f" ({percent(row['low'], 1)[:-2]} to {percent(row['high'], 1)[:-2]})"
    return percent(row["value"], 1) + interval


def gain_cell(row: dict[str, Any]) -> str:
    """The difference to the parent: "+2.2 points (+1.0 to +3.4)"; empty for none."""
    if row["change"] is None:
        return ""
    ends = [row["change_low"], row["change_high"]]
    interval = "" if None in ends else f" ({' to '.join(signed(end) for end in ends)})"
    return f"{signed(row['change'])} points{interval}"


def signed(difference: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0").replace("-", "−")


def share_of(row: dict[str, Any]) -> str:
    """A share with its interval: "3 of 4, 75 % (30 to 95)"."""
    from eyeshot.core import percent

    if row["share"] is None:
        return ""
    interval = f"{percent(row['low'])[:-2]} to {percent(row['high'])[:-2]}"
    return f"{row['came']} of {row['stated']}, {percent(row['share'])} ({interval})"
