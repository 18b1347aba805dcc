"""`eyeshot.toml`: where a project's images lie and what its rules allow, so that commands need no arguments."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from eyeshot.core.errors import InputError
from eyeshot.core.files import SETTINGS_FILE, full_path, replacing

TestUse = Literal["nothing", "features", "pseudo-labels", "hand-labels"]
USES: dict[TestUse, str] = {
    "nothing": "test images are not read at all",
    "features": "test images are read, without labels: cover, comparison with training images",
    "pseudo-labels": "a model's own answers on test images may be trained on too",
    "hand-labels": "people may label test images too",
}
DATA_KEYS = ("train", "test", "labels", "path_column", "label_column", "image_root")
PATHS = ("train", "test", "labels", "image_root")
SUBMISSION_KEYS = ("file", "id_column", "label_columns")


@dataclass(frozen=True)
class Project:
    """The content of `eyeshot.toml`; without one everything is allowed and no data is known.

    Attributes:
        file: the file, or None.
        data: the entries of `DATA_KEYS` that it has; paths are absolute.
        test_images: what the rules allow on test images; each use allows the ones before it in `USES`.
        submission: the sample submission: `file` (absolute path), `id_column` and `label_columns` (a list); empty if
            there is none.
        training: the group [training] as it stands; `eyeshot train` knows its entries.
    """

    file: Path | None = None
    data: dict[str, Any] = field(default_factory=dict)
    test_images: TestUse = "hand-labels"
    submission: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def value(self, name: str, given: Any, *, needed: str = "") -> Any:
        """The typed value or, without one, the file's.

        Raises:
            InputError: there is neither, and `needed` says that there must be.
        """
        value = self.data.get(name) if given is None else given
        if value is None and needed:
            place = "there is no eyeshot.toml" if self.file is None else f"{str(self.file)!r} has no `{name}`"
            raise InputError(f"{needed}, got none, and {place}. Give it, or write it down once: eyeshot init ROOT.")
        return value

    def sources(
        self,
        train: str | Path | None,
        test: str | Path | None = None,
        *,
        labels: str | Path | None = None,
        path_column: str | None = None,
        label_column: str | None = None,
        image_root: str | Path | None = None,
    ) -> dict[str, Any]:
        """Where the images of a command lie: the typed arguments or, without a typed training folder, the file's.

        A typed training folder is not combined with the project's CSV or test images.

        Returns:
            the entries of `DATA_KEYS`; places are paths, and None stands for what is not named.

        Raises:
            InputError: the training images are not named.
        """
        folder = self.value("train", train, needed="TRAIN must be a folder of images")
        own = self if train is None else Project()
        given = {
            "test": test,
            "labels": labels,
            "path_column": path_column,
            "label_column": label_column,
            "image_root": image_root,
        }
        values = {"train": folder} | {name: own.value(name, value) for name, value in given.items()}
        return {name: Path(value) if name in PATHS and value is not None else value for name, value in values.items()}

    def check_use(self, use: TestUse, what: str) -> None:
        """Raise an error for a use that the rules do not allow.

        Args:
            use: what is about to be done with test images.
            what: the command or option that does it.

        Raises:
            InputError: with the line to change.
        """
        order = list(USES)
        if self.file is None or order.index(use) <= order.index(self.test_images):
            return
        raise InputError(
            f'{what} needs test_images = "{use}" ({USES[use]}), but line {_line(self.file)} of {str(self.file)!r} '
            f'says test_images = "{self.test_images}". If the rules of your task allow it, change that line to '
            f'test_images = "{use}".'
        )

    def rules(self) -> str:
        """The rule on the use of test images, as a sentence for reports."""
        if self.file is None:
            return "Rules for test images: none stated (no eyeshot.toml)."
        return f'Rules for test images: "{self.test_images}" ({USES[self.test_images]}).'


def find_project(start: Path | None = None) -> Project:
    """The project that `start` (default: the current folder) lies in; an empty one if there is none.

    Raises:
        InputError: its file is broken.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            return read_project(folder / SETTINGS_FILE)
    return Project()


def read_project(file: Path) -> Project:
    """The project of one file.

    Raises:
        InputError: no TOML, or an entry that is unknown or has a wrong value.
    """
    try:
        sections = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"Cannot read {str(file)!r}: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f'{str(file)!r} is no TOML: {error}. Texts stand in quotes: train = "photos".') from error
    data, rules, answers, training = (sections.pop(name, {}) for name in ("data", "rules", "submission", "training"))
    _known(file, "", sections, ())
    _known(file, "[data] ", data, DATA_KEYS)
    _known(file, "[rules] ", rules, ("test_images",))
    _known(file, "[submission] ", answers, SUBMISSION_KEYS)
    if not isinstance(training, dict):
        raise InputError(f"{str(file)!r}: [training] must be a section, got {training!r}.")
    columns = answers.pop("label_columns", [])
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise InputError(f"{str(file)!r}: [submission] label_columns must be a list of texts, got {columns!r}.")
    for section, entries in (("data", data), ("submission", answers)):
        for name, value in entries.items():
            if not isinstance(value, str) or not value:
                raise InputError(f"{str(file)!r}: [{section}] {name} must be a text in quotes, got {value!r}.")
            if name in PATHS or name == "file":
                # Only "~/" means the home folder: "~name" may be a folder of that name next to the file.
                place = Path(value).expanduser() if value.startswith("~/") else Path(value)
                entries[name] = full_path(file.parent / place)
    if answers:
        answers["label_columns"] = columns
    use = rules.get("test_images", "features")
    if use not in get_args(TestUse):
        raise InputError(
            f"{str(file)!r}, line {_line(file)}: test_images must be one of {', '.join(map(repr, USES))}, got {use!r}."
        )
    return Project(file, data, use, answers, training)


def _known(file: Path, place: str, entries: Any, names: tuple[str, ...]) -> None:
    if not isinstance(entries, dict):
        raise InputError(f"{str(file)!r}: {place.strip()} must be a section, got {entries!r}.")
    for name in entries:
        if name not in names:
            known = ", ".join(names) or "the sections [data], [submission], [rules] and [training]"
            raise InputError(f"{str(file)!r}: {place}has no entry {name!r}. It takes {known}.")


def _line(file: Path) -> str:
    """Number of the line that holds `test_images`."""
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if line.strip().replace('"', "").startswith("test_images"):
            return str(number)
    return "[rules] (which is missing)"


def write_project(
    file: Path, *, data: dict[str, str], test_images: TestUse, submission: dict[str, Any] | None = None
) -> None:
    """Write a commented `eyeshot.toml`.

    Args:
        file: where to; paths in `data` are written as they are, and mean what they mean from its folder.
        data: entries of `DATA_KEYS`.
        test_images: what the rules allow.
        submission: entries of `SUBMISSION_KEYS`.

    Raises:
        StorageError: it cannot be written.
    """
    comments = {
        "train": "class folders, or the folder that the paths of `labels` are relative to",
        "test": "test images, flat or nested; none are needed",
        "labels": "CSV with paths and labels, in the place of class folders",
        "path_column": "its column with paths; guessed where not given",
        "label_column": "its column with labels, or columns of 0 and 1 with commas between; guessed where not given",
        "image_root": "folder that its paths start from; guessed where not given",
    }
    lines = [
        "# A project of eyeshot. Commands that are started in this folder or below it read their arguments here;",
        "# what you type goes first. Paths are relative to this file. Share it with your team.",
        "",
        "[data]",
    ]
    for name in DATA_KEYS:
        entry = f"{name} = {_text(data[name])}" if name in data else f'# {name} = "..."'
        lines.append(f"{entry}  # {comments[name]}")
    if submission:
        lines += [
            "",
            "[submission]",
            f"file = {_text(submission['file'])}  # what the answers must look like",
            f"id_column = {_text(submission['id_column'])}",
            f"label_columns = [{', '.join(map(_text, submission['label_columns']))}]",
        ]
    lines += [
        "",
        "[rules]",
        "# What the rules of your task allow on test images. Each allows what stands above it:",
        *(f'#   "{name}": {words}' for name, words in USES.items()),
        f'test_images = "{test_images}"',
        "",
    ]
    with replacing(file) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")


def _text(value: str) -> str:
    """A TOML text; a literal one where it holds backslashes, as paths of Windows do."""
    if "\\" in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    # TOML forbids control characters in texts.
    signs = (f"\\u{ord(sign):04X}" if ord(sign) < 32 or ord(sign) == 127 else sign for sign in escaped)
    return '"' + "".join(signs) + '"'
