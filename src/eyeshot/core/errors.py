"""Every error that eyeshot raises on purpose, and the exit code that the command line gives it.

A message states the rule, the value received and the next step.
"""

from __future__ import annotations


class EyeshotError(Exception):
    """Base class of all errors that are written for the user. Exit code 1."""

    exit_code = 1


class InputError(EyeshotError):
    """The user's input cannot be used: an option, a folder, a CSV file, an image. Exit code 2."""

    exit_code = 2


class ModelError(EyeshotError):
    """The model or its weights cannot be loaded, or give unusable features. Exit code 3."""

    exit_code = 3


class StorageError(EyeshotError):
    """A file cannot be written or read back: full disk, read-only folder, broken cache. Exit code 4."""

    exit_code = 4


class MissingExtraError(EyeshotError):
    """An optional part is not installed. Exit code 5."""

    exit_code = 5
