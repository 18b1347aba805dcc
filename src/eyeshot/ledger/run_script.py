"""`eyeshot.script()`: a plain PyTorch and timm file that trains a run again without eyeshot."""

from __future__ import annotations

from pathlib import Path

from eyeshot.core import InputError, Progress, find_workspace, shown_progress
from eyeshot.ledger.runs import ENSEMBLE_FILE, find_run
from eyeshot.training import RESULT_FILE


def script(
    run: str | Path,
    *,
    out: str | Path | None = None,
    weights: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> tuple[Path, list[str]]:
    """Write one file that trains a finished run again with PyTorch, timm, NumPy and Pillow alone.

    Run on a CPU with the run's versions and number of threads it ends in the same weights, bit for bit. Whatever it
    cannot do yet is refused by name.

    Args:
        run: id, beginning of an id, folder, "latest" or "advised".
        out: the file, ending in .py; None: `script.py` in the folder of the run. More than 60 images are listed in a
            CSV file beside it, and an earlier script of this command is written over.
        weights: file that the run started from; None: the one in the command that began it.
        progress: told how far reading the images is; None: shown in a terminal; False: nobody.

    Returns:
        the script, and what is worth knowing about it, in sentences.

    Raises:
        InputError: there is no such run, it is no finished training of a timm model, its images or weights have
            changed, or it uses something that a script cannot do yet.
        ModelError: the model or its weights cannot be loaded.
        StorageError: the file cannot be written.
    """
    workspace = find_workspace()
    place = Path(run)
    folder = place if (place / RESULT_FILE).is_file() else find_run(workspace.results("runs"), run)
    if (folder / ENSEMBLE_FILE).is_file():
        raise InputError(
            f"A script trains one network, and {folder.name} is an ensemble. Write the scripts of its members."
        )
    from eyeshot.training import write_script  # loads torch, which takes seconds

    with shown_progress(progress) as shown:
        return write_script(
            folder, None if out is None else Path(out), weights=None if weights is None else Path(weights),
            cache=workspace.cache, progress=shown,
        )  # fmt: skip
