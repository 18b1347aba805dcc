import numpy as np
import pytest

from eyeshot.core.errors import InputError
from eyeshot.predictions import Predictions, read_predictions, softmax

CSV = "id,cat,dog\n1.png,0.25,0.75\n2.png,0.5,0.5\n"


@pytest.mark.parametrize(
    "text",
    [
        CSV,
        "﻿" + CSV.replace(",", ";").replace("\n", "\r\n"),
        ",id,cat,dog\n0,1.png,0.25,0.75\n1,2.png,0.5,0.5\n",
        "id,dog,cat\n1.png,0.75,0.25\n2.png,0.5,0.5\n",
    ],
    ids=["plain", "bom, semicolons, crlf", "index column", "other order"],
)
def test_a_csv_of_the_users_own_is_read(tmp_path, text):
    (tmp_path / "mine.csv").write_bytes(text.encode())
    read = read_predictions(tmp_path / "mine.csv", classes=["cat", "dog"])
    assert (read.ids, read.run, read.labels) == (("1.png", "2.png"), "mine", None)
    assert dict(zip(read.classes, read.probabilities[0].tolist(), strict=True)) == {"cat": 0.25, "dog": 0.75}


def test_true_classes_in_a_csv_are_the_labels(tmp_path):
    (tmp_path / "mine.csv").write_text("id,label,cat,dog\n1,dog,0.25,0.75\n2,,0.5,0.5\n")
    assert read_predictions(tmp_path / "mine.csv").labels.tolist() == [1, -1]


def test_an_npz_of_the_users_own_and_one_of_a_run_are_read(tmp_path):
    values = np.array([[0.25, 0.75]], np.float32)
    np.savez(tmp_path / "mine.npz", ids=["1"], probabilities=values)
    mine = read_predictions(tmp_path / "mine.npz", classes=["cat", "dog"])
    Predictions(("1",), values, ("cat", "dog"), run="r").save(tmp_path / "run.npz")
    run = read_predictions(tmp_path / "run.npz")
    assert (mine.run, run.run) == ("mine", "r")
    assert (mine.probabilities == run.probabilities).all()


def test_scores_before_softmax_are_converted_on_request(tmp_path):
    (tmp_path / "mine.csv").write_text("id,cat,dog\n1,2,-1\n")
    with pytest.raises(InputError, match="--logits"):
        read_predictions(tmp_path / "mine.csv")
    expected = softmax(np.array([[2.0, -1.0]]))
    assert np.allclose(expected, np.exp([[2, -1]]) / np.exp([2, -1]).sum())
    assert (read_predictions(tmp_path / "mine.csv", logits=True).probabilities == expected).all()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", CSV, "must be a .csv, .tsv or .npz file"),
        ("a.csv", "id,cat\n1,1\n", "one column per class, got .* 2 columns"),
        ("a.csv", "id,cat,dog\n1,0.5\n", "must have 3 cells, but row 2 .* has 2"),
        ("a.csv", "id,cat,dog\n1,0.5,many\n", "must be numbers, got .*'many'"),
        ("a.csv", "id,cat,owl\n1,0.5,0.5\n", "differs in dog and owl"),
        ("a.csv", "id,label,cat,dog\n1,owl,0.5,0.5\n", "cat and dog, got owl"),
        ("a.csv", "id,cat,dog\n1,0.5,0.5\n1,0.5,0.5\n", "1 ids repeat"),
        ("a.csv", "id,cat,cat,dog\n1,0.2,0.3,0.5\n", "1 classes repeat .*: cat"),
        ("a.csv", "id,cat,dog\n" + "1" * 200_000 + ",0.5,0.5\n", "must be a CSV file"),
        ("a.npz", "no archive", "must be an npz file of plain arrays"),
        ("a.npz", "", "must be an npz file of plain arrays"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_predictions(tmp_path / name, classes=["cat", "dog"])


def test_an_npz_with_an_id_twice_or_a_part_that_is_damaged_is_refused(tmp_path):
    file = tmp_path / "mine.npz"
    np.savez(file, ids=["1", "1"], probabilities=np.full((2, 2), 0.5), classes=["cat", "dog"])
    with pytest.raises(InputError, match=r"1 ids repeat .*: 1"):
        read_predictions(file)
    np.savez_compressed(file, ids=["1"], probabilities=np.full((1, 2), 0.5), classes=["cat", "dog"])
    whole = file.read_bytes()
    for place in range(0, len(whole), 3):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_predictions(file)
        except InputError:
            continue
