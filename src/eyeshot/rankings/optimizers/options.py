"""Options of `eyeshot rank optimizers`, checked before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eyeshot.core import InputError
from eyeshot.training import check_optimizer, check_schedule

BASELINE = "adamw"
BUDGET_S = 1200.0
SEEDS, RATES = 3, 3


def check_options(
    optimizer: str | Sequence[str],
    *,
    schedule: str | None = None,
    settings: Mapping[str, object] | None = None,
    budget_s: float = BUDGET_S,
    seeds: int = SEEDS,
    rates: int = RATES,
) -> tuple[str, ...]:
    """The named optimizers without AdamW, each once.

    Raises:
        InputError: a name is unknown, or a number out of range.
    """
    given = [check_optimizer(name).name for name in ([optimizer] if isinstance(optimizer, str) else optimizer)]
    if schedule is not None:
        check_schedule(schedule)
    if "optimizer" in (settings or {}):
        raise InputError("training.optimizer is what is ranked here. Name what to try against AdamW with --optimizer.")
    if budget_s < 0:
        raise InputError(f"--budget must be a time such as 20m, or 0 to advise without trials, got {budget_s:g} s.")
    for name, value, least, most in (("--seeds", seeds, 1, 20), ("--rates", rates, 1, 9)):
        if not least <= value <= most:
            raise InputError(f"{name} must be {least} to {most}, got {value}.")
    chosen = tuple(name for name in dict.fromkeys(given) if name != BASELINE)
    if given and not chosen:
        raise InputError(
            "--optimizer names what is tried against AdamW, got adamw alone. Name others, or none to be advised."
        )
    return chosen
