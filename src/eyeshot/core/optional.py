"""Imports of optional dependencies."""

from __future__ import annotations

import importlib
from types import ModuleType

from eyeshot.core.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or raise an error with the command that installs it.

    Raises:
        MissingExtraError: `module` is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f'{module} is needed here and is not installed. Install it with: pip install "eyeshot[{extra}]"'
        ) from error
