"""Submissions: a sample of a competition's own says the form, predictions fill it, and nothing is written unchecked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from eyeshot.core import InputError, StorageError, check_output, listing, make_folder, plural, replacing
from eyeshot.data import read_csv
from eyeshot.predictions.csv_form import CsvForm, read_csv_form
from eyeshot.predictions.image_ids import RULES, match_ids
from eyeshot.predictions.own_files import LABEL_COLUMNS
from eyeshot.predictions.table import Predictions

ENDINGS = (".csv", ".tsv", ".txt")
ID_COLUMNS = ("id", "ids", "image_id", "img_id", "image", "img", "file", "filename", "file_name", "name", "image_name",
              "path", "image_path", "img_path", "file_path", "filepath")  # fmt: skip
ANSWER_COLUMNS = (*LABEL_COLUMNS, "labels", "class", "class_name", "classname", "category", "category_id", "class_id",
                  "prediction", "predictions", "predicted", "pred", "answer", "y")  # fmt: skip
SAMPLE = "A sample submission"
PROBED_ROWS = 50


@dataclass(frozen=True)
class SubmissionPlan:
    """The rows of a submission before its answers are known.

    Attributes:
        sample: the file whose form it has.
        form: how that file is written.
        header: the first row; None where there is none.
        rows: n rows; the cells of `columns` are still the sample's.
        images: the image of each row, as in the image table.
        kind: "labels": one column with a text per class; "probabilities": a column per class; "probability": that of
            one of two classes.
        columns: the columns to fill.
        values: for labels, the text of each class; otherwise the class of each column.
        classes: names of the classes.
        notes: how the sample was understood, in sentences.
    """

    sample: Path
    form: CsvForm
    header: list[str] | None
    rows: list[list[str]]
    images: tuple[str, ...]
    kind: Literal["labels", "probabilities", "probability"]
    columns: tuple[int, ...]
    values: tuple[str, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def check_submission_output(out: Path, sample: Path, *, force: bool) -> bool:
    """Whether `out` is there already and may be written over.

    Raises:
        InputError: it is there and `force` is not set, is the sample itself, is a folder or has another ending.
    """
    check_output(out, suffixes=ENDINGS, mark=b"")
    if not out.exists():
        return False
    if sample.exists() and out.samefile(sample):
        raise InputError(f"--out must not be the sample submission itself, got {str(out)!r}. Name another file.")
    if not force:
        raise InputError(
            f"{str(out)!r} exists, so it is left as it is. Name another file with --out, or write over it with --force."
        )
    return True


def plan_submission(
    sample: Path,
    images: Sequence[str],
    classes: Sequence[str],
    *,
    labels: Path | None = None,
    needs_labels: bool = False,
    form_only: bool | None = None,
) -> SubmissionPlan:
    """Read a sample submission and find its columns; what is wrong with it is said before anything is predicted.

    Args:
        sample: CSV with a column of image ids, and a column of labels, a column of probabilities for each class or,
            with two classes, a column of the probability of one of them. Its answers count only as examples of how
            they are spelled; further columns are kept.
        images: ids of the test images, as in the image table.
        classes: names of the C classes, in the order of the probabilities.
        labels: CSV whose columns say how class names and the competition's labels go together.
        needs_labels: refuse a `labels` file that does not say it.
        form_only: True: the sample shows the form, and all images are written; False: only its rows are written;
            None: the sample must name every image.

    Raises:
        InputError: the sample cannot be read, its ids are doubled or unknown, it names only a part of the images, or
            its columns do not fit the classes.
    """
    form = read_csv_form(sample, what=SAMPLE)
    if len(form.rows) < 2:
        raise InputError(
            f"{SAMPLE} must have a header and at least one row, which shows how ids and labels are written, got "
            f"{len(form.rows)} {plural(len(form.rows), 'row')} in {str(sample)!r}."
        )
    column, header, rows = _id_column(form, images, classes)
    names = header or [f"column {number}" for number in range(1, len(rows[0]) + 1)]
    ids = [row[column] for row in rows]
    positions, words = match_ids(ids, images, what=f"ids in column {names[column]!r} of {sample.name!r}")
    kind, columns, values, notes = _answers(form, names, rows, column, tuple(classes), labels, needs_labels)
    notes = [f"Ids from column {names[column]!r} of {sample.name}, compared {words}.", *notes]
    if header is None:
        notes.insert(0, f"{sample.name} has no header, so none is written.")
    if len(ids) < len(images) and form_only is None:
        raise InputError(
            f"{SAMPLE} must name each of the {len(images)} test images, but {sample.name!r} names {len(ids)}. If it "
            "only shows the form, write all images in that form with --form-only. If only its rows are wanted, write "
            "them with --sample-rows."
        )
    chosen = [images[position] for position in positions]
    if form_only and len(ids) < len(images):
        rows = _rows_of_all(form, rows, column, columns, names, chosen, images)
        chosen = list(images)
        notes.append(f"{sample.name} shows the form only: all {len(images)} test images are written.")
    elif len(ids) < len(images):
        notes.append(f"Only the {len(ids)} of {len(images)} test images that {sample.name} names are written.")
    return SubmissionPlan(
        sample, form, header, rows, tuple(chosen), kind, columns, values, tuple(classes), tuple(notes)
    )  # fmt: skip


def write_submission(plan: SubmissionPlan, predictions: Predictions, out: Path) -> None:
    """Fill the rows with predictions, and write the file only if it reads back as what was meant.

    Raises:
        InputError: an image has no prediction, or the predictions are of other classes.
        StorageError: the file cannot be written.
    """
    rows = _filled(plan, predictions)
    whole = rows if plan.header is None else [plan.header, *rows]
    make_folder(out.absolute().parent)
    with replacing(out) as temporary:
        temporary.write_bytes(plan.form.encode(whole))
        read = read_csv_form(temporary, what="The submission")
        if read.rows != whole:
            wrong = next(
                (number for number, pair in enumerate(zip(read.rows, whole, strict=False), 1) if pair[0] != pair[1]), 0
            )
            raise StorageError(
                f"The submission must read back as it was written, but row {wrong} of {str(out)!r} does not. Nothing "
                "was written. Please report this with the sample submission."
            )


def _filled(plan: SubmissionPlan, predictions: Predictions) -> list[list[str]]:
    if set(predictions.classes) != set(plan.classes):
        raise InputError(
            f"The predictions must be of the classes {listing(plan.classes)}, got {listing(predictions.classes)}."
        )
    place = {image: row for row, image in enumerate(predictions.ids)}
    missing = [image for image in plan.images if image not in place]
    if missing:
        raise InputError(
            f"Every row of a submission needs a prediction, but {len(missing)} of {len(plan.images)} images have none: "
            f"{listing(missing)}. Files that cannot be decoded have none: replace them (eyeshot audit lists them)."
        )
    order = [predictions.classes.index(name) for name in plan.classes]
    rows_of = np.array([place[image] for image in plan.images], np.int64)
    probabilities = np.asarray(predictions.probabilities[rows_of], np.float64)[:, order]
    rows = [list(row) for row in plan.rows]
    if plan.kind == "labels":
        for row, number in zip(rows, probabilities.argmax(1).tolist(), strict=True):
            row[plan.columns[0]] = plan.values[number]
        return rows
    # Half-precision probabilities sum to 1 within 0.001 only, and some competitions check the sum.
    probabilities /= probabilities.sum(1, keepdims=True)
    chosen = probabilities[:, [plan.classes.index(name) for name in plan.values]]
    for row, numbers in zip(rows, chosen.tolist(), strict=True):
        for column, number in zip(plan.columns, numbers, strict=True):
            row[column] = plan.form.number_text(number, like=row[column])
    return rows


def form_differences(file: Path, sample: Path, id_column: str | None = None) -> list[str]:
    """What of a finished submission does not fit the sample, in sentences: columns, and ids as they are spelled.

    Args:
        file: the submission.
        sample: that of the competition.
        id_column: name of the column of ids in the sample; None: the first that is named like one, or the first.

    Raises:
        InputError: one of the files is no CSV.
    """
    expected, found = read_csv_form(sample, what=SAMPLE).rows, read_csv_form(file, what="A submission").rows
    if not expected or not found:
        return []
    header = expected[0]
    missing = [name for name in header if name not in found[0]]
    further = [name for name in found[0] if name not in header]
    if missing or further:
        return [
            f"The columns of {file.name} must be those of {sample.name}, {listing([repr(name) for name in header])}, "
            f"but are {listing([repr(name) for name in found[0]])}."
        ]
    named = [place for place, name in enumerate(header) if plain_name(name) in ID_COLUMNS]
    column = header.index(id_column) if id_column in header else (named or [0])[0]
    own = [row[found[0].index(header[column])] for row in found[1:]]
    wanted = {row[column] for row in expected[1:]}
    lacking, unknown = wanted - set(own), set(own) - wanted
    said = []
    if lacking:
        said.append(f"{len(lacking)} of {len(wanted)} ids of {sample.name} are missing: {listing(sorted(lacking))}.")
    if unknown:
        said.append(
            f"{len(unknown)} {plural(len(unknown), 'id is', 'ids are')} not in {sample.name}: "
            f"{listing(sorted(unknown))}."
        )
    if len(own) > len(set(own)):
        said.append(f"{len(own) - len(set(own))} rows repeat an id.")
    return said


# Ids -----------------------------------------------------------------------------------------------------------------
def _id_column(
    form: CsvForm, images: Sequence[str], classes: Sequence[str]
) -> tuple[int, list[str] | None, list[list[str]]]:
    """The column of ids, the header or None, and the rows below it."""
    header, rows = form.rows[0], form.rows[1:]
    loosest = RULES[-1][1]
    known = {loosest(image) for image in images}
    taken = set(classes)
    most, hits = 0, dict[int, int]()
    for looked_at in (rows[:PROBED_ROWS], rows):  # there may be hundreds of columns of probabilities
        for column, name in enumerate(header):
            cells = [row[column] for row in looked_at]
            # A column of labels or of numbers may look like ids; ids differ from row to row.
            if name.strip() not in taken and (len(set(cells)) > 1 or len(rows) == 1):
                hits[column] = sum(loosest(cell) in known for cell in cells)
        most = max(hits.values(), default=0)
        if most:
            break
    if not most:
        column = next((place for place, name in enumerate(header) if plain_name(name) in ID_COLUMNS), 0)
        raise InputError(
            f"{SAMPLE} must have a column with the names of test images, but none of its columns, "
            f"{listing([repr(name) for name in header])}, has; {header[column]!r} begins with "
            f"{listing([repr(row[column]) for row in rows[:3]])}. The images are called "
            f"{listing(list(images), most=3)}. Is it the sample of these images?"
        )

    def preference(column: int) -> tuple[int, int, bool, int]:
        # Of several, the strictest comparison: a number of rows may happen to be the number in a file's name.
        unknown, strictness = _strictness([row[column] for row in rows], images)
        return unknown, strictness, plain_name(header[column]) not in ID_COLUMNS, column

    column = min((place for place, count in hits.items() if count == most), key=preference)
    if loosest(header[column]) in known and plain_name(header[column]) not in ID_COLUMNS:
        return column, None, form.rows
    return column, header, rows


def _strictness(cells: Sequence[str], images: Sequence[str]) -> tuple[int, int]:
    """How many cells name no image, and the number of the strictest rule by which the fewest do not."""
    counts = []
    for number, (_, rule) in enumerate(RULES):
        known = {rule(image) for image in images}
        counts.append((sum(rule(cell) not in known for cell in cells), number))
    return min(counts)


def _rows_of_all(
    form: CsvForm, rows: list[list[str]], column: int, answers: Sequence[int], names: Sequence[str],
    chosen: Sequence[str], images: Sequence[str],
) -> list[list[str]]:  # fmt: skip
    """Rows for all images, with ids spelled as in the sample and further columns as in its rows."""
    spell = _spelling([row[column] for row in rows], chosen)
    pattern, counters = list(rows[0]), {}
    for place, name in enumerate(names):
        cells = [row[place] for row in rows]
        if place == column or place in answers or (len(set(cells)) == 1 and not is_row_number(name, cells)):
            continue
        if not is_row_number(name, cells):
            raise InputError(
                f"With --form-only, further columns must be a row number or the same in all rows, but column {name!r} "
                f"holds {listing([repr(cell) for cell in cells[:3]])}. Give a sample with a row for each test image."
            )
        counters[place] = int(cells[0])
    made = []
    for number, image in enumerate(images):
        row = list(pattern)
        row[column] = spell(image)
        for place, start in counters.items():
            row[place] = str(start + number)
        made.append(row)
    return made


def is_row_number(name: str, cells: Sequence[str]) -> bool:
    """Whether a column numbers the rows, from 0 or 1."""
    numbered = any([*cells] == [str(start + row) for row in range(len(cells))] for start in (0, 1))
    return numbered and (len(cells) > 1 or not name.strip() or name.startswith("Unnamed"))


def _spelling(ids: Sequence[str], images: Sequence[str]) -> Callable[[str], str]:
    """How the sample writes the name of an image: whole or in part, between texts that are always the same.

    Raises:
        InputError: no way gives the sample's own ids.
    """
    width = len({*map(len, ids)}) == 1 and len(ids[0])
    rules: list[Callable[[str], str]] = [rule for _, rule in RULES]
    if width:
        rules.append(lambda text: RULES[-1][1](text).zfill(width))
    for rule in rules:
        parts = [rule(image) for image in images]
        before, found, after = ids[0].partition(parts[0])
        if found and all(text == f"{before}{part}{after}" for text, part in zip(ids, parts, strict=True)):
            return lambda image, rule=rule: f"{before}{rule(image)}{after}"  # type: ignore[misc]
    raise InputError(
        f"With --form-only, the ids of the sample must follow one rule, but none gives {listing(list(ids), most=3)} "
        f"for {listing(list(images), most=3)}. Give a sample with a row for each test image."
    )


# Answers -------------------------------------------------------------------------------------------------------------
def _answers(
    form: CsvForm, names: list[str], rows: list[list[str]], ids: int, classes: tuple[str, ...], labels: Path | None,
    needs_labels: bool,
) -> tuple[Literal["labels", "probabilities", "probability"], tuple[int, ...], tuple[str, ...], list[str]]:  # fmt: skip
    """What is to be filled: the kind, the columns, their values (see `SubmissionPlan`), and notes."""
    rest = [place for place in range(len(names)) if place != ids]
    mapping = None if labels is None else _label_columns(labels, classes)
    if needs_labels and not mapping:
        raise InputError(
            f"--labels must have a column with the classes {listing(list(classes))} and one with the competition's "
            f"labels, one for each class, but no two columns of {str(labels)!r} are so."
        )
    spellings = [
        ("names", classes),
        *((f"values of {name!r} in {labels and labels.name}", values) for name, values in (mapping or {}).items()),
    ]
    for words, values in spellings:
        found = _class_columns([names[place] for place in rest], values)
        if found is not None and len(classes) > 1:
            columns = tuple(rest[position] for position in found)
            return (
                "probabilities",
                columns,
                classes,
                [f"Probabilities in {len(columns)} columns, by the {words} of classes."],
            )
    named = [place for place in rest if names[place].strip() in classes]
    answer = _answer_column(names, rows, rest, named, classes)
    cells = [row[answer] for row in rows]
    numbers = [form.number(cell) for cell in cells if cell.strip()]
    fractions = bool(numbers) and all(number is not None for number in numbers) and any(
        "." in cell or "," in cell for cell in cells
    )  # fmt: skip
    if fractions and not {cell.strip() for cell in cells} <= set(classes):
        return _one_probability(names[answer], answer, classes, mapping)
    texts, note = _label_texts(names[answer], cells, classes, mapping, labels, needs_labels)
    return "labels", (answer,), texts, [note]


def _answer_column(
    names: list[str], rows: list[list[str]], rest: list[int], named: list[int], classes: tuple[str, ...]
) -> int:
    """The single column of answers.

    Raises:
        InputError: there is none, or it cannot be told from others, or some of several class columns are missing.
    """
    answers = [place for place in rest if plain_name(names[place]) in ANSWER_COLUMNS]
    others = [place for place in rest if not is_row_number(names[place], [row[place] for row in rows])]
    for candidates in (answers, named if len(classes) == 2 else [], others, rest):
        if len(candidates) == 1:
            return candidates[0]
    if not answers and (named or len(rest) >= len(classes) > 2):
        unknown = [names[place] for place in rest if place not in named]
        missing = [name for name in classes if name not in {names[place].strip() for place in named}]
        raise InputError(
            f"Columns of probabilities must be named like the {len(classes)} classes, but there "
            f"{plural(len(missing), 'is', 'are')} none for {listing(missing)}"
            + (f", and {listing(unknown)} {plural(len(unknown), 'names', 'name')} no class. " if unknown else ". ")
            + f"The classes are {listing(list(classes))}. If the competition names them otherwise, give a CSV with "
            "both names: --labels train.csv."
        )
    raise InputError(
        f"{SAMPLE} must have one column for the labels, named for instance `label`, or one column of probabilities for "
        f"each class, but its columns besides the ids are {listing([repr(names[place]) for place in rest]) or 'none'}. "
        "Take the others out of a copy of it."
    )


def _one_probability(
    name: str, column: int, classes: tuple[str, ...], mapping: dict[str, tuple[str, ...]] | None
) -> tuple[Literal["probability"], tuple[int, ...], tuple[str, ...], list[str]]:
    if len(classes) != 2:
        raise InputError(
            f"One column of probabilities is enough for 2 classes only, but there are {len(classes)}, and column "
            f"{name!r} of the sample holds fractions. It needs labels, or a column for each class: "
            f"{listing(list(classes))}."
        )
    if positive := [each for each in classes if plain_name(each) == plain_name(name)]:
        note = f"Column {name!r} is filled with the probability of class {positive[0]!r}."
        return "probability", (column,), (positive[0],), [note]
    for origin, values in (mapping or {}).items():
        if sorted(values) == ["0", "1"]:
            chosen = classes[values.index("1")]
            note = f"Column {name!r} is filled with the probability of class {chosen!r}, which is 1 in {origin!r}."
            return "probability", (column,), (chosen,), [note]
    chosen = sorted(classes)[1]
    note = (
        f"ATTENTION: column {name!r} is filled with the probability of class {chosen!r}, because it is the second of "
        "the sorted names. If the competition asks for the other, give a CSV with both names and numbers: "
        "--labels train.csv."
    )
    return "probability", (column,), (chosen,), [note]


def _label_texts(
    name: str, cells: list[str], classes: tuple[str, ...], mapping: dict[str, tuple[str, ...]] | None,
    labels: Path | None, needs_labels: bool,
) -> tuple[tuple[str, ...], str]:  # fmt: skip
    """The text of each class in the column of labels, and how it was found."""
    shown = {cell.strip() for cell in cells} - {""}
    beginning = f"Labels in column {name!r} are"
    if not shown:
        return classes, f"{beginning} class names: the sample shows none, its cells are empty."
    if shown <= set(classes):
        return classes, f"{beginning} class names."
    fitting = {origin: values for origin, values in (mapping or {}).items() if shown <= set(values)}
    if fitting:
        origin = name if name in fitting else next(iter(fitting))
        assert labels is not None
        return fitting[origin], f"{beginning} those of column {origin!r} in {labels.name}."
    if not all(text.isascii() and text.isdigit() for text in shown):
        wrong = sorted(shown - set(classes))
        raise InputError(
            f"Labels of the sample must be names or numbers of the {len(classes)} classes, but column {name!r} holds "
            f"{listing(wrong)}. The classes are {listing(list(classes))}. If the competition names them otherwise, "
            "give a CSV with both names: --labels train.csv."
        )
    numbers = {int(text) for text in shown}
    if all(each.isascii() and each.isdigit() for each in classes):
        values = [int(each) for each in classes]
        if len(set(values)) == len(values) and numbers <= set(values):
            return tuple(map(str, values)), f"{beginning} class names as numbers, without leading zeros."
    if (
        len(classes) == 2
        and (positive := [each for each in classes if plain_name(each) == plain_name(name)])
        and numbers <= {0, 1}
    ):
        return tuple(
            str(int(each == positive[0])) for each in classes
        ), f"{beginning} 1 for class {positive[0]!r}, else 0."
    if max(numbers) >= len(classes):
        raise InputError(
            f"Label numbers must be 0 to {len(classes) - 1} for {len(classes)} classes, got {max(numbers)} in column "
            f"{name!r} of the sample. Give a CSV with names and numbers of the classes: --labels train.csv."
        )
    if needs_labels and labels is not None:
        raise InputError(
            f"--labels must say how the classes are numbered, but no column of {str(labels)!r} has one number for each "
            f"class and also the {listing(sorted(shown))} that the sample shows. Leave --labels out if they are "
            "positions in the sorted class names."
        )
    sorted_names = sorted(classes)
    start = listing([f"{number} is {each!r}" for number, each in enumerate(sorted_names)], most=3)
    return (
        tuple(str(sorted_names.index(each)) for each in classes),
        f"ATTENTION: {beginning[0].lower()}{beginning[1:]} positions in the sorted class names, from 0: {start}. If "
        "the competition numbers them otherwise, give a CSV with names and numbers: --labels train.csv.",
    )


def _class_columns(names: Sequence[str], values: Sequence[str]) -> list[int] | None:
    """For each class the position of its column, named by the class's value between texts that are the same."""
    for spelled in (str.strip, plain_name):
        place = {spelled(name): position for position, name in enumerate(names)}
        wanted = [spelled(value) for value in values]
        if len(place) < len(names) or len(set(wanted)) < len(wanted):
            continue
        longest = max(wanted, key=len)
        for name in place:
            start = name.find(longest)
            while start >= 0:  # "class_a" holds "a" twice
                columns = [f"{name[:start]}{value}{name[start + len(longest) :]}" for value in wanted]
                if all(column in place for column in columns):
                    return [place[column] for column in columns]
                start = name.find(longest, start + 1)
    return None


def _label_columns(labels: Path, classes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Columns of a CSV that have one value for each class, another for each: their names and the values by class."""
    table = read_csv(labels)
    columns = {name: table.column(name) for name in table.columns}
    values_of: dict[str, tuple[str, ...]] = {}
    for source, cells in columns.items():
        if not set(classes) <= set(cells):
            continue
        for name, others in columns.items():
            pairs = {pair for pair in zip(cells, others, strict=True) if pair[0] in set(classes)}
            value = dict(pairs)
            if name != source and len(pairs) == len(classes) == len(set(value.values())):
                values_of[name] = tuple(value[each] for each in classes)
    return values_of


def plain_name(name: str) -> str:
    """The name of a column as it is compared: small letters, underscores."""
    return name.strip().casefold().replace(" ", "_").replace("-", "_")
