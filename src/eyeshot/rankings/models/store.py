"""Results of each model and rung, kept in the cache, so that a run continues and a new model computes only itself."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from eyeshot.core import key_of, make_folder, replacing

Result = TypeVar("Result", bound=BaseModel)


class RungStore:
    """Stored results, one JSON file each.

    Args:
        cache: folder of all caches.
    """

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "models-ranked"

    def load(self, kind: type[Result], *key: object) -> Result | None:
        """The result under a key; None if there is none, or if another version wrote it."""
        try:
            return kind.model_validate_json(self._file(kind, key).read_bytes())
        except (OSError, ValidationError):
            return None

    def save(self, result: BaseModel, *key: object) -> None:
        """Store a result under the values that decide it, as of `key_of`.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        make_folder(self.folder)
        with replacing(self._file(type(result), key)) as temporary:
            temporary.write_text(result.model_dump_json(), encoding="utf-8")

    def _file(self, kind: type[BaseModel], key: tuple[object, ...]) -> Path:
        return self.folder / f"{kind.__name__}-{key_of(*key)}.json"
