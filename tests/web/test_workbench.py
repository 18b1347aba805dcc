"""The server of the workbench: its answers, its guard, and what it stores."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from review_made import TOKEN, Site
from workbench_made import served_workbench

from eyeshot.ledger import open_ledger
from eyeshot.web.workbench.app import MODULES
from eyeshot.web.workbench.news import MOST_EVENTS, news_since
from made_ledger import got


@pytest.fixture
def site(root: Path, ids: dict[str, str]) -> Iterator[Site]:
    with served_workbench(root) as served:
        yield served


def found(site: Site, query: str) -> list[str]:
    return [row["id"] for row in site.get(f"experiments?{query}")["rows"]]


def test_every_file_of_the_page_is_served_behind_the_token(site: Site) -> None:
    for path in ("", "style.css", "page.js", "icon.svg", *(f"{name}.js" for name in MODULES)):
        status, headers, body = site.ask("GET", f"/{TOKEN}/{path}")
        assert (status, bool(body)) == (200, True), path
        assert "unsafe" not in headers["content-security-policy"]
        status, _, body = site.ask("GET", f"/wrong/{path}")
        assert status == 403
        assert b"eyeshot open printed" in body
    assert site.ask("GET", f"/{TOKEN}/workbench/workbench.html.j2")[0] == 404


def test_each_import_of_a_module_is_served(site: Site) -> None:
    import re

    for name in MODULES:
        text = site.ask("GET", f"/{TOKEN}/{name}.js")[2].decode()
        for other in re.findall(r'from "\./(\w+)\.js"', text):
            assert site.ask("GET", f"/{TOKEN}/{other}.js")[0] == 200, (name, other)


def test_filters_search_and_order_pick_the_rows(site: Site, ids: dict[str, str]) -> None:
    assert found(site, "") == [*reversed(ids.values())]
    assert found(site, "sort=created") == [*ids.values()]
    assert found(site, "verdict=worse") == [ids["worse"]]
    assert found(site, "state=running") == [ids["running"]]
    assert found(site, "rung=full&sort=-value") == [ids["noise"], ids["better"], ids["baseline"], ids["worse"]]
    assert found(site, "author=sweeps") == [ids["running"]]
    assert found(site, "author=bob") == [ids["noise"]]
    assert found(site, "tag=optimizer") == [ids["better"]]
    assert found(site, "tag=opt") == []
    assert found(site, "q=RADAM%20warms") == [ids["better"]], "each word somewhere, in any case"
    assert found(site, "q=profit%20learned-nothing") == []
    assert found(site, "q=%25") == [], "a sign of SQL is a letter like others"
    assert found(site, "sort=id;DROP%20TABLE%20events") == [*reversed(ids.values())]
    answer = site.get("experiments?limit=2&offset=4")
    assert ([row["id"] for row in answer["rows"]], answer["matching"]) == ([ids["noise"], ids["better"]], 7)
    assert dict(answer["options"]["state"]) == {"done": 4, "running": 1, "failed": 1, "stated": 1}


def test_a_row_says_what_was_expected_and_what_came(site: Site, ids: dict[str, str]) -> None:
    rows = {row["id"]: row for row in site.get("experiments")["rows"]}
    better = rows[ids["better"]]
    assert better["difference"] == [["training.optimizer", "adamw", "radam"]]
    assert (better["expected"]["words"], better["expected"]["aim"]) == ("accuracy +2.0 points", 0.02)
    assert (better["got"]["value"], better["got"]["change"], better["got"]["seeds"]) == (0.832, 0.022, 3)
    assert (better["gain"], better["verdict"], better["learned"], better["open_insights"]) == (
        "better", "as expected", True, 1,
    )  # fmt: skip
    assert rows[ids["running"]]["reached"] == {"rung": "probe", "value": 0.7}
    assert "ran out of memory" in rows[ids["failed"]]["error"]
    assert rows[ids["noise"]]["disagrees"]


def test_an_experiment_tells_noise_comparisons_and_what_was_built_on_it(site: Site, ids: dict[str, str]) -> None:
    told = site.get(f"experiment?id={ids['noise']}")
    assert any("0.4 points" in remark for remark in told["remarks"])
    assert any("0.1 differences among 2" in remark for remark in told["remarks"])
    assert "disagree" in told["disagreement"]
    assert site.get(f"experiment?id={ids['better']}")["children"] == [
        ids["noise"], ids["worse"], ids["running"], ids["failed"],
    ]  # fmt: skip
    status, _, body = site.ask("GET", f"/{TOKEN}/api/experiment?id=nothing")
    assert (status, "No experiment" in json.loads(body)["error"]) == (409, True)


def test_curves_are_those_of_the_run_folders(site: Site, ids: dict[str, str]) -> None:
    answer = site.get(f"curves?ids={ids['better']},{ids['running']},{ids['failed']}&metric=val_accuracy")
    assert [(one["id"], one["x"]) for one in answer["series"]] == [
        (ids["better"], [1, 2, 3, 4, 5, 6]), (ids["running"], [1, 2]),
    ]  # fmt: skip
    assert answer["series"][0]["y"][-1] == pytest.approx(0.832)
    assert (answer["without"], answer["running"]) == ([ids["failed"]], True)
    loss = site.get(f"curves?ids={ids['running']}&metric=loss")["series"][0]
    assert (loss["x"][:3], loss["y"][:2]) == ([0, 1, 2], [2, 1])
    status, _, body = site.ask("GET", f"/{TOKEN}/api/curves?ids={ids['better']}&metric=nope")
    assert (status, "val_accuracy" in json.loads(body)["error"]) == (409, True)
    for outside in ("..", "../..", "/etc"):
        assert site.get(f"curves?ids={outside}")["series"] == []


def test_the_timeline_holds_results_in_the_order_of_the_ledger(site: Site, ids: dict[str, str]) -> None:
    answer = site.get("timeline")
    assert answer["ids"] == [ids[name] for name in ("baseline", "better", "noise", "worse")]
    assert answer["values"] == [0.81, 0.832, 0.835, 0.79]
    assert answer["gains"] == [3, 0, 1, 2]
    assert site.get("timeline?verdict=worse")["ids"] == [ids["worse"]]


def test_expectations_are_counted_by_author(site: Site) -> None:
    rows = {row["group"]: row for row in site.get("expectations")["authors"]}
    assert {name: (row["came"], row["stated"]) for name, row in rows.items()} == {
        "all": (1, 3), "ann": (1, 1), "bob": (0, 1), "night agent": (0, 1),
    }  # fmt: skip


def test_what_is_written_is_an_event_of_its_author_and_stored_once(site: Site, root: Path, ids: dict[str, str]) -> None:
    press = uuid.uuid4().hex
    sent = {"experiment": ids["worse"], "field": "learned", "text": " Smaller rates. ", "before": ""}
    for _ in range(2):  # the browser may send a press again
        status, told = site.post("text", press, **sent)
        assert (status, told["learned"]) == (200, "Smaller rates.")
    assert site.post("tags", experiment=ids["worse"], add=["rate"], remove=[])[1]["tags"] == ["rate"]
    told = site.post("insight", experiment=ids["worse"], text="Look at the warm-up")[1]
    (insight,) = told["insights"]
    told = site.post("action", experiment=ids["worse"], insight=insight["id"], text="Longer warm-up")[1]
    assert told["insights"][0]["actions"][0]["text"] == "Longer warm-up"
    with open_ledger(root) as ledger:
        events = ledger.events(ids["worse"])[-4:]
    assert [(event.kind, event.author) for event in events] == [
        ("learned", "ann"), ("tag", "ann"), ("insight", "ann"), ("action", "ann"),
    ]  # fmt: skip


def test_the_later_of_two_writers_is_told_what_the_earlier_wrote(site: Site, root: Path, ids: dict[str, str]) -> None:
    with open_ledger(root, write=True) as ledger:
        ledger.append(ids["better"], "learned", text="Theirs", author="bob")
    sent = {"experiment": ids["better"], "field": "learned", "text": "Mine"}
    status, told = site.post("text", **sent, before="Short runs profit.")
    assert (status, told["now"], told["author"]) == (409, "Theirs", "bob")
    with open_ledger(root) as ledger:
        assert ledger.experiment(ids["better"]).learned == "Theirs"
    assert site.post("text", **sent, before="Theirs")[1]["learned"] == "Mine"


@pytest.mark.parametrize(
    ("what", "sent"),
    [
        ("text", {"field": "why", "text": "x", "before": ""}), ("text", {"text": "x" * 20_001, "before": ""}),
        ("tags", {"add": ["a,b"]}), ("tags", {"add": [""]}), ("tags", {}), ("insight", {"text": "  "}),
        ("action", {"insight": "none", "text": "x"}), ("text", {"experiment": "", "text": "x"}),
        ("text", {"path": "/"}),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused(
    site: Site, root: Path, ids: dict[str, str], what: str, sent: dict[str, object]
) -> None:
    with open_ledger(root) as ledger:
        before = ledger.last_seq()
    status, answer = site.post(what, **({"experiment": ids["better"]} | sent))  # type: ignore[arg-type]
    assert status in (409, 422)
    assert answer["error"]
    with open_ledger(root) as ledger:
        assert ledger.last_seq() == before


def test_a_foreign_page_can_neither_read_nor_write(site: Site, ids: dict[str, str]) -> None:
    body = json.dumps({"press": uuid.uuid4().hex, "experiment": ids["better"], "add": ["x"]}).encode()
    given = {"Origin": "http://evil.example", "Content_Type": "application/json"}
    assert site.ask("POST", f"/{TOKEN}/api/tags", body=body, **given)[0] == 403
    assert site.ask("GET", f"/{TOKEN}/api/experiments", Sec_Fetch_Site="cross-site")[0] == 403
    assert site.ask("GET", f"/{TOKEN}/api/news?since=0", Host="evil.example")[0] == 403


def test_news_name_the_experiments_that_changed(site: Site, root: Path, ids: dict[str, str]) -> None:
    seq = site.get("start")["seq"]
    assert news_since(root, seq) == (seq, [])
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request("GET", f"/{TOKEN}/api/news?since={seq}")
    answer = connection.getresponse()
    assert answer.getheader("Content-Type", "").startswith("text/event-stream")
    with open_ledger(root, write=True) as ledger:
        ledger.append(ids["running"], "got", got=got(0.84, 0.01))
        last = ledger.last_seq()
    lines: list[str] = []
    while not any(line.startswith("data:") for line in lines):
        lines.append(answer.readline().decode().strip())
    connection.close()
    assert json.loads(lines[-1].removeprefix("data:")) == {"seq": last, "experiments": [ids["running"]]}
    assert lines[-2] == f"id: {last}", "a browser that lost the server goes on from here"
    assert news_since(root, last + 5) == (last, None), "a ledger that counts anew is read anew"
    assert news_since(root, last - MOST_EVENTS - 1)[1] is None
    assert site.ask("GET", f"/{TOKEN}/api/news?since=x")[0] == 422


def test_a_project_without_experiments_has_a_page(tmp_path: Path) -> None:
    with served_workbench(tmp_path / "eyeshot-out") as site:
        assert site.get("experiments")["total"] == 0
        assert site.get("timeline")["ids"] == []
        assert "No expectation" in site.get("expectations")["words"][0]
    assert not (tmp_path / "eyeshot-out").exists(), "looking writes nothing"
