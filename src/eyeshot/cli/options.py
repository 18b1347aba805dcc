"""Options that several commands share. Each is defined once, so that a word means the same everywhere.

The panels of `--help` are groups: Data, Model, Ranking, Training, Split, Decisions, Output.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

DATA, MODEL, OUTPUT = "Data", "Model", "Output"
RANKING, TRAINING, SPLIT, DECISIONS, AUDIT = "Ranking", "Training", "Split", "Decisions", "Audit"


def option(*names: str, panel: str, text: str, **more: Any) -> Any:
    """An option in a panel of the help."""
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


# Wrong values are refused before the libraries that do the work are loaded, which takes seconds ---------------------
def existing_folder(name: str) -> Callable[[Path | None], Path | None]:
    """A callback that refuses a path that is not a folder; `name` is the name of the option."""

    def checked(folder: Path | None) -> Path | None:
        from eyeshot.core import InputError

        if folder is not None and not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise InputError(f"{name} must be a folder of images, got {str(folder)!r}, which {what}. Check the path.")
        return folder

    return checked


def share_or_none(share: float) -> float:
    """Refuse a share to hold out that is above 0.9 or below 0; 0 stands for none."""
    from eyeshot.data import check_share

    if share:
        check_share(share)
    return share


def known_policy(policy: str) -> str:
    """Refuse a policy that does not exist."""
    from eyeshot.data import find_policy

    return find_policy(policy).name


# Data ---------------------------------------------------------------------------------------------------------------
Train = Annotated[
    Path | None,
    typer.Argument(
        metavar="TRAIN",
        help="Folder with one folder of images per class, or the root of --labels. Default: from eyeshot.toml.",
        show_default=False,
        callback=existing_folder("TRAIN"),
    ),
]
Test = Annotated[
    Path | None,
    option(panel=DATA, text="Folder of unlabelled test images, flat or nested.", callback=existing_folder("--test")),
]
Labels = Annotated[Path | None, option(panel=DATA, text="CSV with paths and labels, instead of class folders.")]
PathColumn = Annotated[str | None, option(panel=DATA, text="Its column with paths or ids. Default: guessed.")]
LabelColumn = Annotated[str | None, option(panel=DATA, text="Its column with labels. Default: guessed.")]
ImageRoot = Annotated[Path | None, option(panel=DATA, text="Folder that its paths start from. Default: guessed.")]
Val = Annotated[
    Path | None,
    option(panel=DATA, text="Class folders of your own held-out images.", callback=existing_folder("--val")),
]
ValShare = Annotated[
    float,
    option(panel=DATA, text="Share of the training images to hold out for validation.", callback=share_or_none),
]
UseDecisions = Annotated[
    bool,
    option("--decisions/--no-decisions", panel=DATA, text="Apply the project's decisions.jsonl if it exists."),
]
UseSplit = Annotated[
    bool,
    option("--split/--no-split", panel=DATA, text="Use the project's split.json if it exists, without --val."),
]
Fold = Annotated[int | None, option(panel=DATA, text="The fold of the split that validates.")]
AuditFile = Annotated[
    Path | None,
    option(
        panel=DATA,
        text="Folder of an audit, or its audit.json, for near-duplicates. Default: the project's audit.",
        metavar="DIR|FILE",
    ),
]
DecisionsFile = Annotated[
    Path | None, option(panel=DATA, text="File of decisions. Default: decisions.jsonl of the project.")
]
Author = Annotated[
    str | None, option(panel=DECISIONS, text="Who decides. Default: EYESHOT_AUTHOR, git's user.name or the login name.")
]

ClassShares = Annotated[
    str | None,
    option(
        panel=DATA, metavar="even",
        text="How often classes occur, for the estimate of accuracy without labels. Default: as in validation.",
    ),
]  # fmt: skip

# Augmentations ------------------------------------------------------------------------------------------------------
Name = TypeVar("Name", str, list[str])


def known_names(given: Name | None) -> Name | None:
    """Refuse names that are no augmentations at once, before torch is loaded."""
    from eyeshot.augment import check_names

    if given is not None:
        check_names(*([given] if isinstance(given, str) else given))
    return given


def known_to_train(given: list[str] | None) -> list[str] | None:
    """The same for a training, which takes policies too; of a file that is gone an earlier run may know the content."""
    from eyeshot.augment import check_names, is_policy_file

    if given is not None:
        check_names(*(name for name in given if not is_policy_file(name) or Path(name).exists()), policies=True)
    return given


# Model --------------------------------------------------------------------------------------------------------------
Model = Annotated[str | None, option(panel=MODEL, text="timm tag (architecture.weights), or package.module:factory.")]


def _exists(weights: Path | None) -> Path | None:
    """Refuse missing weights at once: the libraries that read them take seconds to load."""
    from eyeshot.core import InputError

    if weights is not None and not weights.exists():
        raise InputError(
            f"--weights must be a safetensors or torch file, or a folder of them, got {str(weights)!r}, which does not "
            "exist. Check the path."
        )
    return weights


Weights = Annotated[
    Path | None,
    option(
        panel=MODEL,
        metavar="FILE|DIR",
        callback=_exists,
        text="Local weights: safetensors or a state dict, or a folder with files named by tag.",
    ),
]
FromScratch = Annotated[bool, option("--from-scratch", panel=MODEL, text="Start from untrained weights.")]
Size = Annotated[int | None, option(panel=MODEL, text="Side of its images in pixels. Default: the model's own.")]
Mean = Annotated[
    str | None, option(panel=MODEL, text="Mean per channel, as 0.485,0.456,0.406. Default: the model's own.")
]
Std = Annotated[str | None, option(panel=MODEL, text="Standard deviation per channel. Default: the model's own.")]
Interpolation = Annotated[
    str | None,
    option(panel=MODEL, text="bilinear, bicubic, nearest or lanczos. Default: the model's own."),
]
Fit = Annotated[str, option(panel=MODEL, text="crop or pad to the square; the ratio is always kept.")]
Device = Annotated[str | None, option(panel=MODEL, text="cuda, mps or cpu. Default: the fastest available.")]


# Training -----------------------------------------------------------------------------------------------------------
def known_schedule(name: str | None) -> str | None:
    """Refuse a schedule that is not in the catalogue, naming the nearest."""
    from eyeshot.training import check_schedule

    return None if name is None else check_schedule(name).name


Augment = Annotated[
    list[str] | None,
    option(
        panel=TRAINING,
        text="An augmentation's name, a policy.toml, or your own as module:attribute; repeat: in order.",
        callback=known_to_train,
    ),
]
Epochs = Annotated[
    int | None, option(panel=TRAINING, text="Passes over the training images. Default: by model and data.")
]
BatchSize = Annotated[int | None, option(panel=TRAINING, text="Images per step. Default: 64.")]
LearningRate = Annotated[float | None, option(panel=TRAINING, text="Peak of the schedule. Default: by model.")]
Schedule = Annotated[
    str | None,
    option(panel=TRAINING, text="See `eyeshot list schedules`. Default: cosine.", callback=known_schedule),
]
Settings = Annotated[
    list[str] | None,
    option(
        "--set",
        panel=TRAINING,
        metavar="NAME=VALUE",
        text="Any setting of the recipe, as training.layer_decay=0.75; repeat. eyeshot.toml takes them too.",
    ),
]

# Output and the rest ------------------------------------------------------------------------------------------------
Seed = Annotated[int, option(panel=OUTPUT, text="Seed of every random choice.")]
Workers = Annotated[int | None, option(panel=OUTPUT, text="Threads that read images. Default: one per core.")]
Images = Annotated[bool, option("--images/--no-images", panel=OUTPUT, text="Small pictures on the page.")]
Open = Annotated[bool, option("--open", panel=OUTPUT, text="Open the page in a browser at the end.")]
Json = Annotated[bool, option("--json", panel=OUTPUT, text="Print a JSON object and nothing else; errors too.")]
DryRun = Annotated[bool, option("--dry-run", panel=OUTPUT, text="Say what would run, with time, memory and disk.")]


def triple(text: str | None, name: str) -> tuple[float, ...] | None:
    """Three numbers from "0.5,0.5,0.5".

    Raises:
        InputError: the text is not three numbers.
    """
    from eyeshot.core import InputError

    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3:
        raise InputError(f"{name} takes three numbers, got {text!r}. For instance {name} 0.485,0.456,0.406.")
    return numbers


def preparation(
    size: int | None, mean: str | None, std: str | None, interpolation: str | None, fit: str
) -> dict[str, Any]:
    """How a model's images are prepared, as the public functions take it.

    Raises:
        InputError: a value is not allowed.
    """
    from eyeshot.core import InputError

    if size is not None and size < 8:
        raise InputError(f"--size must be at least 8 pixels, got {size}.")
    for name, value, known in (
        ("--interpolation", interpolation, ("bilinear", "bicubic", "nearest", "lanczos")),
        ("--fit", fit, ("crop", "pad")),
    ):
        if value is not None and value not in known:
            raise InputError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
    return {
        "size": size,
        "mean": triple(mean, "--mean"),
        "std": triple(std, "--std"),
        "interpolation": interpolation,
        "fit": fit,
    }
