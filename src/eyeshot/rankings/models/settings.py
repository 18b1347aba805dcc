"""The options of a ranking of models, checked before anything heavy is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eyeshot.core import InputError, refused_option

BUDGET_S = 20 * 60.0
MAX_TEST = 2_000


class ModelSettings(BaseModel):
    """What is ranked, and how long it may take.

    Attributes:
        models: tags, wildcards, "TAG=FILE" or "module:function"; empty: the catalogue.
        weights_dir: folder of weights files named by tag.
        size, fit: how images are prepared; None: each model's own size.
        device: cuda, mps or cpu; None: the fastest.
        batch_size: of forward passes.
        workers: threads that decode.
        budget_s: seconds for all rungs; 0 for the probes alone, without a limit.
        max_test: largest number of test images.
        seed: of every random choice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = ()
    weights_dir: Path | None = None
    size: int | None = Field(default=None, ge=8)
    fit: Literal["crop", "pad"] = "crop"
    device: str | None = None
    batch_size: int = Field(default=64, ge=1)
    workers: int | None = Field(default=None, ge=1)
    budget_s: float = Field(default=BUDGET_S, ge=0)
    max_test: int = Field(default=MAX_TEST, ge=12)
    seed: int = Field(default=0, ge=0, lt=2**63)


def check_model_settings(**options: Any) -> ModelSettings:
    """Settings from options.

    Raises:
        InputError: a value is out of range, or the folder of weights is not there.
    """
    try:
        settings = ModelSettings(**options)
    except ValidationError as error:
        raise InputError(refused_option(error, "rank models")) from error
    if settings.weights_dir is not None and not settings.weights_dir.is_dir():
        raise InputError(f"--weights must be a folder of files named by tag, got {str(settings.weights_dir)!r}.")
    return settings
