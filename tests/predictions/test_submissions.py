"""Submissions in the form of a sample: accepted by the competition's own checker, or refused before it is written."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from eyeshot.core.errors import InputError
from eyeshot.predictions import Predictions, check_submission_output, plan_submission, write_submission

CLASSES = ("ant", "bee", "cat")
IMAGES = ("00007.jpg", "00012.jpg", "00100.jpg", "01000.jpg")
WINNERS = (2, 0, 1, 1)


def predictions(images=IMAGES, classes=CLASSES, winners=WINNERS):
    probabilities = np.full((len(images), len(classes)), 0.1, np.float16)
    probabilities[np.arange(len(images)), winners] = 1 - 0.1 * (len(classes) - 1)
    return Predictions(tuple(images), probabilities, tuple(classes), split="test")


def submitted(folder, sample, table=None, **options):
    """The text of the submission, and the notes."""
    table = table or predictions()
    file, out = folder / "sample.csv", folder / "submission.csv"
    file.write_bytes(sample if isinstance(sample, bytes) else sample.encode())
    plan = plan_submission(file, table.ids, table.classes, **options)
    write_submission(plan, table, out)
    return out.read_bytes().decode(), " ".join(plan.notes)


def competition(sample, submission, truth, *, delimiter=",", answers=1):
    """A competition's own checker: the accuracy, after the header, every id and every value have been looked at.

    `truth` maps ids as the sample spells them to labels as the competition spells them; `answers` is the number of
    columns at the end that are to be filled.
    """
    expected, got = (list(csv.reader(io.StringIO(text.decode("utf-8-sig")), delimiter=delimiter))
                     for text in (sample, submission))  # fmt: skip
    assert submission[:3].startswith(b"\xef\xbb\xbf") == sample[:3].startswith(b"\xef\xbb\xbf")
    assert submission.count(b"\r\n") == sample.count(b"\r\n")
    assert got[0] == expected[0], "wrong header"
    assert [row[:-answers] for row in got] == [row[:-answers] for row in expected], (
        "wrong ids, order or further columns"
    )
    right = 0
    for row in got[1:]:
        (name,) = set(row) & set(truth)
        if answers == 1:
            assert row[-1] in set(truth.values()), f"{row[-1]!r} is no label"
            right += row[-1] == truth[name]
        else:
            values = [float(cell) for cell in row[-answers:]]
            assert all(0 <= value <= 1 for value in values)
            assert abs(sum(values) - 1) < 1e-5
            right += got[0][-answers:][values.index(max(values))] == truth[name]
    return right / len(got[1:])


ID_FORMS = {
    "as they are": lambda image: image,
    "without ending": lambda image: image[:-4],
    "in a folder": lambda image: f"test/{image}",
    "numbers without leading zeros": lambda image: str(int(image[:-4])),
    "another ending": lambda image: f"{image[:-4]}.png",
}
LABEL_FORMS = {"names": CLASSES, "positions": ("0", "1", "2"), "codes": ("n03", "n01", "n02")}


@settings(max_examples=150, deadline=None)
@given(
    delimiter=some.sampled_from(",;\t|"), newline=some.sampled_from(("\n", "\r\n")), bom=some.booleans(),
    quoted=some.booleans(), id_form=some.sampled_from(sorted(ID_FORMS)),
    label_form=some.sampled_from(sorted(LABEL_FORMS)),
    per_class=some.booleans(),
    index=some.booleans(), ends=some.booleans(), order=some.permutations(range(4)),
    columns=some.permutations(range(3)),
    prefix=some.sampled_from(("", "prob_", "class ")), placeholder=some.integers(0, 2),
)  # fmt: skip
def test_any_form_of_sample_is_filled_so_that_the_competition_accepts_it(
    tmp_path_factory, delimiter, newline, bom, quoted, id_form, label_form, per_class, index, ends, order, columns,
    prefix, placeholder,
):  # fmt: skip
    folder = tmp_path_factory.mktemp("competition")
    spell, values = ID_FORMS[id_form], LABEL_FORMS[label_form]
    answers = [f"{prefix}{values[place]}" for place in columns] if per_class else ["label"]
    fill = ["0.3", "0.3", "0.4"] if per_class else [values[placeholder]]
    header = [*(["Unnamed: 0"] if index else []), "image_id", *answers]
    body = [[*([str(row)] if index else []), spell(IMAGES[place]), *fill] for row, place in enumerate(order)]
    text = io.StringIO()
    style = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=style).writerows([header, *body])
    sample = ("\ufeff" if bom else "") + (text.getvalue() if ends else text.getvalue().rstrip("\r\n"))
    labels = None
    if label_form == "codes" or (per_class and label_form == "positions"):
        labels = folder / "train.csv"
        rows = "".join(
            f"{number}.jpg,{name},{value}\n" for number, (name, value) in enumerate(zip(CLASSES, values, strict=True))
        )
        labels.write_text(f"img_path,class_name,target\n{rows}")
    submission, _ = submitted(folder, sample.encode(), labels=labels)
    truth = {
        spell(image): (prefix if per_class else "") + values[winner]
        for image, winner in zip(IMAGES, WINNERS, strict=True)
    }
    sent = (folder / "submission.csv").read_bytes()
    assert competition(sample.encode(), sent, truth, delimiter=delimiter, answers=len(fill)) == 1
    assert sent.endswith(newline.encode()) == ends
    assert submission.count('"') == sample.count('"')


def test_further_columns_and_the_order_of_rows_are_kept(tmp_path):
    text, notes = submitted(
        tmp_path, "usage,id,label\nPublic,01000,ant\nPrivate,00007,ant\nPublic,00012,ant\nPublic,00100,ant\n"
    )
    assert text == "usage,id,label\nPublic,01000,bee\nPrivate,00007,cat\nPublic,00012,ant\nPublic,00100,bee\n"
    assert "compared without their endings" in notes
    assert "class names" in notes


def test_a_row_number_that_could_be_a_file_name_is_not_taken_for_the_id(tmp_path):
    table = predictions([f"{number}.JPEG" for number in (2, 0, 1, 3)])
    text, _ = submitted(tmp_path, "ID,image_path,target\n0,3.JPEG,0\n1,1.JPEG,0\n2,0.JPEG,0\n3,2.JPEG,0\n", table)
    assert text == "ID,image_path,target\n0,3.JPEG,1\n1,1.JPEG,1\n2,0.JPEG,0\n3,2.JPEG,2\n"


def test_positions_in_the_sorted_names_are_said_loudly(tmp_path):
    table = predictions(classes=("cat", "ant", "bee"))
    text, notes = submitted(tmp_path, "id,label\n7,0\n12,0\n100,0\n1000,0\n", table)
    assert text == "id,label\n7,1\n12,2\n100,0\n1000,0\n"
    assert "ATTENTION: labels in column 'label' are positions in the sorted class names, from 0: 0 is 'ant'" in notes


def test_class_names_that_are_numbers_with_leading_zeros_are_no_positions(tmp_path):
    table = predictions(classes=("001", "002", "003"))
    text, notes = submitted(tmp_path, "id,label\n7,1\n12,1\n100,1\n1000,1\n", table)
    assert text == "id,label\n7,3\n12,1\n100,2\n1000,2\n"
    assert "ATTENTION" not in notes
    text, notes = submitted(tmp_path, "id,label\n7,0\n12,0\n100,0\n1000,0\n", table)
    assert text == "id,label\n7,2\n12,0\n100,1\n1000,1\n"
    assert "ATTENTION" in notes


@pytest.mark.parametrize(("column", "said", "expected"), [
    ("bee", "class 'bee'", [0.1, 0.9]), ("ant", "class 'ant'", [0.9, 0.1]),
    ("score", "ATTENTION: column 'score' is filled with the probability of class 'bee'", [0.1, 0.9]),
])  # fmt: skip
def test_one_column_of_fractions_takes_the_probability_of_a_class_that_is_named(tmp_path, column, said, expected):
    table = predictions(IMAGES[:2], ("ant", "bee"), (0, 1))
    text, notes = submitted(tmp_path, f"id,{column}\n7,0.5\n12,0.5\n", table)
    assert [round(float(row.split(",")[1]), 2) for row in text.split()[1:]] == expected
    assert said in notes


def test_which_class_is_1_may_follow_from_a_csv(tmp_path):
    (tmp_path / "train.csv").write_text("path,name,target\na.jpg,ant,1\nb.jpg,bee,0\n")
    table = predictions(IMAGES[:2], ("ant", "bee"), (0, 1))
    text, notes = submitted(tmp_path, "id;score\n7;0,5\n12;0,5\n", table, labels=tmp_path / "train.csv")
    assert "class 'ant', which is 1 in 'target'" in notes
    assert [round(float(row.split(";")[1].replace(",", ".")), 2) for row in text.split()[1:]] == [0.9, 0.1]
    assert "." not in text  # the decimal comma is kept


def test_a_sample_without_a_header_stays_without(tmp_path):
    text, notes = submitted(tmp_path, "01000.jpg,ant\n00007.jpg,ant\n00012.jpg,ant\n00100.jpg,ant")
    assert text == "01000.jpg,bee\n00007.jpg,cat\n00012.jpg,ant\n00100.jpg,bee"
    assert "no header" in notes


@pytest.mark.parametrize(("ids", "expected"), [
    (("test/00012.png", "test/00007.png"), "test/00007.png test/00012.png test/00100.png test/01000.png"),
    (("12", "7"), "7 12 100 1000"), (("img-00012", "img-00007"), "img-00007 img-00012 img-00100 img-01000"),
])  # fmt: skip
def test_a_sample_that_shows_the_form_only_is_refused_unless_one_of_two_ways_is_chosen(tmp_path, ids, expected):
    prefix = "img-" if ids[0].startswith("img") else ""
    table = predictions([f"{prefix}{name}" for name in IMAGES])
    sample = f"n,id,usage,label\n0,{ids[0]},Public,ant\n1,{ids[1]},Public,ant\n"
    with pytest.raises(InputError, match=r"names 2\..*--form-only.*--sample-rows"):
        submitted(tmp_path, sample, table)
    assert not (tmp_path / "submission.csv").exists()
    text, _ = submitted(tmp_path, sample, table, form_only=False)
    assert text == f"n,id,usage,label\n0,{ids[0]},Public,ant\n1,{ids[1]},Public,cat\n"
    text, notes = submitted(tmp_path, sample, table, form_only=True)
    rows = [row.split(",") for row in text.split("\n")[1:-1]]
    assert [row[1] for row in rows] == expected.split()
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    assert [row[3] for row in rows] == ["cat", "ant", "bee", "bee"]
    assert "all 4 test images" in notes


def test_with_form_only_a_further_column_that_differs_is_refused(tmp_path):
    with pytest.raises(InputError, match="column 'usage' holds 'Public' and 'Private'"):
        submitted(tmp_path, "id,usage,label\n7,Public,ant\n12,Private,ant\n", form_only=True)


@pytest.mark.parametrize(("sample", "said"), [
    ("id,label\n7,ant\n12,ant\n100,ant\n7,ant\n", "occur several times: 7"),
    ("id,label\n7,ant\n12,ant\n100,ant\n9,ant\n", "1 of 4 do not: 9"),
    ("id,label\na,x\nb,x\nc,x\nd,x\n", "none of its columns"),
    ("id,label\n7,Ant\n12,Ant\n100,Ant\n1000,Ant\n", "holds Ant. The classes are ant, bee and cat"),
    ("id,label\n7,3\n12,3\n100,3\n1000,3\n", "0 to 2 for 3 classes, got 3"),
    ("id,ant,bee,dog\n7,0,0,0\n12,0,0,0\n100,0,0,0\n1000,0,0,0\n", "none for cat, and dog names no class"),
    ("id,ant,bee\n7,0,0\n12,0,0\n100,0,0\n1000,0,0\n", "none for cat"),
    ("id,label\n7,0.5\n12,0.5\n100,0.5\n1000,0.5\n", "2 classes only, but there are 3"),
    ("id,one,two\n7,a,a\n12,a,a\n100,a,a\n1000,a,a\n", "one column for the labels"),
    ("id,label\n", "got 1 row"),
    ("", "which is empty"),
    ("id\n7\n", "got one column"),
    ("id,label\n7,ant,extra\n12,ant\n", "got 2 cells in row 1 and 3 in row 2"),
    (b"id,label\n7,\xff\n", "byte 11 is not UTF-8"),
])  # fmt: skip
def test_a_sample_that_cannot_be_filled_is_refused_with_the_reason(tmp_path, sample, said):
    with pytest.raises(InputError, match=said):
        submitted(tmp_path, sample)
    assert not (tmp_path / "submission.csv").exists()


def test_a_csv_that_does_not_say_how_labels_go_together_is_refused_where_it_was_named(tmp_path):
    (tmp_path / "train.csv").write_text(
        "path,label\n" + "".join(f"{name}{n}.jpg,{name}\n" for name in CLASSES for n in (1, 2))
    )
    sample = "id,label\n7,0\n12,0\n100,0\n1000,0\n"
    with pytest.raises(InputError, match="--labels must have a column"):
        submitted(tmp_path, sample, labels=tmp_path / "train.csv", needs_labels=True)
    assert "ATTENTION" in submitted(tmp_path, sample, labels=tmp_path / "train.csv")[1]
    (tmp_path / "train.csv").write_text("path,label,code\na.jpg,ant,7\nb.jpg,bee,8\nc.jpg,cat,9\n")
    with pytest.raises(InputError, match="also the 0 that the sample shows"):
        submitted(tmp_path, sample, labels=tmp_path / "train.csv", needs_labels=True)


def test_an_image_without_a_prediction_is_told_and_nothing_is_written(tmp_path):
    sample = tmp_path / "sample.csv"
    sample.write_text("id,label\n7,ant\n12,ant\n100,ant\n1000,ant\n")
    plan = plan_submission(sample, IMAGES, CLASSES)
    with pytest.raises(InputError, match=r"1 of 4 images have none: 01000\.jpg"):
        write_submission(plan, predictions(IMAGES[:3], winners=WINNERS[:3]), tmp_path / "submission.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["sample.csv"]


def test_no_file_is_written_over_unasked_and_the_sample_never(tmp_path):
    sample, out = tmp_path / "sample.csv", tmp_path / "out.csv"
    for file in (sample, out):
        file.write_text("mine")
    with pytest.raises(InputError, match="--force"):
        check_submission_output(out, sample, force=False)
    assert check_submission_output(out, sample, force=True)
    assert not check_submission_output(tmp_path / "new.csv", sample, force=False)
    with pytest.raises(InputError, match="must not be the sample"):
        check_submission_output(sample, sample, force=True)
    with pytest.raises(InputError, match="must end in"):
        check_submission_output(tmp_path / "out.xlsx", sample, force=False)


def test_500_classes_and_10000_rows_take_seconds(tmp_path):
    import time

    classes = tuple(f"class {number:03}" for number in range(500))
    images = tuple(f"{number:05}.jpg" for number in range(10_000))
    random = np.random.default_rng(0)
    table = Predictions(images, random.dirichlet(np.ones(500), 10_000).astype(np.float16), classes)
    sample = "id,label\n" + "".join(f"{image},{classes[0]}\n" for image in images)
    started = time.process_time()
    text, _ = submitted(tmp_path, sample, table)
    assert time.process_time() - started < 10
    assert [row.partition(",")[2] for row in text.split("\n")[1:-1]] == [
        classes[row.argmax()] for row in table.probabilities
    ]
