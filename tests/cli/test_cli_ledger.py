"""The commands that read the ledger and write in it."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from command_line import Eyeshot
from rich.cells import cell_len

from eyeshot.ledger import Experiment, open_ledger
from made_ledger import make_ledger


@pytest.fixture
def ids(eyeshot: Eyeshot) -> dict[str, str]:
    return make_ledger(Path("eyeshot-out").resolve())


def next_command(out: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if line.startswith("Next: ")]
    return shlex.split(line.removeprefix("Next: "))[1:]


def test_runs_shows_the_table_and_leads_to_the_last(
    eyeshot: Eyeshot, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    done = eyeshot("runs")
    assert done.code == 0
    words = " ".join(done.out.split())
    for text in ("accuracy up", "83.2 %", "+2.2 points", "as expected", "running", "failed"):
        assert text in words
    assert "\u202e" not in done.out, "what turns the direction of text would garble the table"
    command = next_command(done.out)
    assert command == ["show", ids["hostile"]]
    assert eyeshot(*command).code == 0


KOREAN = "스케치 이미지는 밝은 배경에 어두운 선이므로 반전 증강이 도움이 될 것이다"


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("korean", [False, True])
def test_ids_can_be_copied_from_a_terminal_of_any_width(
    eyeshot: Eyeshot, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch, width: int, *, korean: bool
) -> None:
    with open_ledger("eyeshot-out", write=True) as ledger:
        if korean:
            ids["korean"] = ledger.add(KOREAN, difference={"model": ["resnet18.a1_in1k", "a_" * 60]}).id
            ledger.append(ids["korean"], "insight", text="Invert the training images " + "x" * 50)
        ids["sign"] = ledger.add("a :warning: sign").id
    monkeypatch.setenv("COLUMNS", str(width))
    lines = eyeshot("runs").out.splitlines()
    for name in ids.values():
        assert [line.split()[0] for line in lines].count(name) == 1, name
    table = [line for line in lines if not line.startswith(("Next: ", "No room")) and line.strip() not in ids.values()]
    assert max(map(cell_len, table)) <= width
    assert width in (80, 120) or ":warning:" in "".join(lines), "no emoji, which has another width"
    assert "(82.2 to 84.2)" in " ".join(line.strip() for line in lines)
    missing = any(line.startswith("No room for the columns") for line in lines)
    assert missing == (width in ((120,) if korean else (80, 120))), "paragraphs and wide tables leave nothing out"
    lines = eyeshot("insights").out.splitlines()
    assert any(ids["better"] in line.split() for line in lines)
    assert not korean or any(ids["korean"] in line.split() for line in lines)


def test_runs_filters_and_sorts(eyeshot: Eyeshot, ids: dict[str, str]) -> None:
    out = eyeshot("runs", "--where", "value > 0.8", "--sort", "-value", "--limit", "2").out
    assert out.index("Sketches") < out.index("RAdam")
    assert "baseline" not in out.splitlines()[1]
    assert "No experiment fits." in eyeshot("runs", "--tag", "none").out
    done = eyeshot("runs", "--where", "nope = 1")
    assert (done.code, "no such column: nope" in done.err, "Traceback" in done.err) == (2, True, False)


def test_runs_without_experiments_says_how_to_begin(eyeshot: Eyeshot) -> None:
    done = eyeshot("runs")
    assert (done.code, "no experiments yet" in done.out, "Next: eyeshot try" in done.out) == (0, True, True)
    assert json.loads(eyeshot("runs", "--json").out) == {"version": 1, "experiments": []}


def test_runs_as_json_has_the_keys_of_an_experiment(eyeshot: Eyeshot, ids: dict[str, str]) -> None:
    told = json.loads(eyeshot("runs", "--json").out)["experiments"]
    assert [one["id"] for one in told] == [*ids.values()]
    assert told[1].keys() == Experiment.model_fields.keys()
    assert told[1] == json.loads(eyeshot("show", ids["better"], "--json").out)
    assert told[1]["difference"] == {"training.optimizer": ["adamw", "radam"]}
    assert (told[1]["expected"]["direction"], told[1]["got"]["difference"], told[1]["verdict"]) == (
        "up", 0.022, "as expected",
    )  # fmt: skip


def test_runs_as_csv_is_a_table_and_replaces_only_its_own(eyeshot: Eyeshot, ids: dict[str, str]) -> None:
    for _ in range(2):
        assert eyeshot("runs", "--csv", "table.csv").code == 0
    with Path("table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [*ids.values()]
    assert (rows[1]["tags"], rows[1]["value"], rows[1]["expected"]) == ("optimizer", "0.832", "accuracy +2.0 points")
    Path("own.csv").write_text("mine\n", encoding="utf-8")
    assert eyeshot("runs", "--csv", "own.csv").code == 2
    assert Path("own.csv").read_text(encoding="utf-8") == "mine\n"


def test_calibration_counts_what_came(eyeshot: Eyeshot, ids: dict[str, str]) -> None:
    out = eyeshot("runs", "--calibration").out
    assert "1 of 3, 33 % (6 to 79)" in out
    told = json.loads(eyeshot("runs", "--calibration", "--json").out)
    assert [row["group"] for row in told["by_author"]] == ["all", "ann", "bob", "night agent"]


def test_show_tells_the_whole_story(eyeshot: Eyeshot, ids: dict[str, str]) -> None:
    out = eyeshot("show", ids["better"]).out
    for text in ("accuracy +2.0 points (stated", "83.2 % (82.2 to 84.2)", "+2.2 points (+1.0 to +3.4), p 0.01",
                 "as expected", "seeds of one recipe differ by 0.4 points", "Short runs profit.", "abc123 (open)",
                 "0123456789abcdef with changes", "13 min 32 s of 15 min planned"):  # fmt: skip
        assert text in out, text
    assert eyeshot(*next_command(out)).code == 0
    done = eyeshot("show", "nothing")
    assert (done.code, "The latest:" in done.err) == (2, True)


def test_diff_names_settings_of_both(eyeshot: Eyeshot, ids: dict[str, str]) -> None:
    out = eyeshot("diff", ids["baseline"], ids["better"]).out
    assert "training.optimizer" in out
    assert next_command(out) == ["compare", ids["baseline"], ids["better"]]
    told = json.loads(eyeshot("diff", ids["baseline"], ids["better"], "--json").out)
    assert told["settings"]["training.optimizer"] == ["adamw", "radam"]
    assert (told["first"], told["second"]) == (ids["baseline"], ids["better"])


def test_what_was_learned_insight_action_and_tags(eyeshot: Eyeshot, ids: dict[str, str]) -> None:
    out = eyeshot("learned", ids["better"], "Now more", "--why-different", "Luck", "--author", "bob").out
    assert "It replaces what was learned: Short runs profit." in out
    command = next_command(out)
    assert command[:2] == ["insight", ids["better"]]
    command = next_command(eyeshot(*command[:2], "Try it").out)
    assert eyeshot("insights", "--open").out.count("open") >= 2
    eyeshot(*command[:2], "Tried it")
    told = json.loads(eyeshot("insights", "--json").out)["insights"]
    assert [one["actions"] for one in told] == [[], ["Tried it"]]
    assert "has the tags x, y" in eyeshot("tag", ids["better"], "y", "x", "--remove", "optimizer").out
    assert eyeshot("tag", ids["better"]).code == 2
    told = json.loads(eyeshot("show", ids["better"], "--json").out)
    assert (told["learned"], told["why_different"], told["tags"]) == ("Now more", "Luck", ["x", "y"])


def test_notes_of_several_people_stand_beside_each_other(eyeshot: Eyeshot, ids: dict[str, str]) -> None:
    assert (
        "has 1 note."
        in eyeshot("note", ids["worse"], "  The lamp was changed that day.\nTwice. ", "--author", "ann").out
    )
    done = eyeshot("note", ids["worse"], "조명을 다시 확인함", "--author", "민수")
    assert "has 2 notes." in done.out
    assert next_command(done.out) == ["show", ids["worse"]]
    out = eyeshot("show", ids["worse"]).out
    assert out.index("Twice. (ann, 20") < out.index("조명을 다시 확인함 (민수, 20")
    told = json.loads(eyeshot("note", ids["worse"], "third", "--json").out)
    assert [note["text"] for note in told["notes"]][::2] == ["The lamp was changed that day.\nTwice.", "third"]
    assert json.loads(eyeshot("show", ids["worse"], "--json").out) == told
    for words in ((ids["worse"], "  "), ("nothing", "text"), (ids["worse"],)):
        done = eyeshot("note", *words)
        assert (done.code, "Traceback" in done.err) == (2, False)
    assert 'got nothing: eyeshot note ID "words"' in eyeshot("note", ids["worse"], "").err


def test_open_serves_the_page_of_the_project(
    eyeshot: Eyeshot, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from eyeshot.web.workbench import session

    servers: list[Any] = []

    def run(server: Any, listener: Any) -> None:
        servers.append(server)
        listener.close()

    monkeypatch.setattr(session, "run_server", run)
    done = eyeshot("open", "--no-open")
    assert (done.code, len(servers)) == (0, 1)
    assert "7 experiments in " in done.out
    assert "Page: http://127.0.0.1:" in done.out
    pages = [json.loads(eyeshot("open", ids["worse"][:-1], "--no-open", "--json").out)["page"] for _ in range(2)]
    begins, asks = zip(*(page.split("?") for page in pages), strict=True)
    assert set(asks) == {f"tab=experiments&open={ids['worse']}"}
    tokens = {re.fullmatch(r"http://127\.0\.0\.1:\d+/([A-Za-z0-9_-]{32})/", page)[1] for page in begins}
    assert len(tokens) == 2, "each start has an address of its own"
    assert eyeshot("open", "nothing", "--no-open").code == 2
    assert eyeshot("open", ids["worse"], "--export", "pages").code == 2
    assert len(servers) == 3
    assert eyeshot("open", "--no-open", "--port", "99999").code == 2


def test_open_exports_pages_to_hand_in(
    eyeshot: Eyeshot, ids: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eyeshot.web.workbench import export as exporting

    monkeypatch.setattr(exporting, "report", lambda *, out, progress: Path(out, "report.html").parent.mkdir())
    done = eyeshot("open", "--export", "pages")
    assert (done.code, "with 7 experiments." in done.out) == (0, True)
    assert done.out.rstrip().splitlines()[-1].startswith("Next: Open pages")
    told = json.loads(eyeshot("open", "--export", "pages", "--json").out)
    assert Path(told["index"]).is_file()
    assert (told["experiments"], told["left_out"]) == (7, [])
    Path("pages/mine.txt").write_text("mine", encoding="utf-8")
    done = eyeshot("open", "--export", "pages")
    assert (done.code, "holds 'mine.txt'" in done.err) == (2, True)
