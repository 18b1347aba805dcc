"""What a step cost when a command was first accepted, so that the same command is accepted again on a busy machine."""

from __future__ import annotations

import json
from pathlib import Path

from eyeshot.core import key_of, make_folder, replacing
from eyeshot.rankings.augmentations.halving import Costs


class KeptCosts:
    """Costs and batch size of one command, in one small file of the cache."""

    def __init__(self, cache: Path, *what: object) -> None:
        """`what`: all that decides the costs, and the budget; as `key_of` takes it."""
        self._file = cache / "step-costs" / f"{key_of(*what)}.json"

    def load(self) -> tuple[Costs, int] | None:
        """None where nothing is kept, or where it cannot be read: then it is timed again."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return Costs(*map(float, found["costs"])), int(found["batch_size"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, costs: Costs, batch_size: int) -> None:
        """Write them whole or not at all.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        make_folder(self._file.parent)
        kept = {"costs": [costs.step_s, costs.read_s, costs.views_s], "batch_size": batch_size}
        with replacing(self._file) as temporary:
            temporary.write_text(json.dumps(kept), encoding="utf-8")
