"""The tabs of the workbench: the state of a project, its next step, results of commands and their exported pages."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_made import TOKEN, Site
from workbench_made import served_workbench

from eyeshot.auditing import read_report
from eyeshot.data import DecisionLog, decide
from eyeshot.ledger import open_ledger
from made_ledger import HOSTILE, make_ledger
from results_made import make_result

MODELS: dict[str, Any] = {"headline": "Take a.b: 91.0 % (89.0 to 92.7) on 900 images.", "advised": {"name": "a.b"}}


@pytest.fixture
def root(folder: Path) -> Path:
    """An audited project that nothing else was done in."""
    root = folder / "eyeshot-out"
    shutil.copytree(folder / "audit", root / "audit")
    return root


@pytest.fixture
def workbench(root: Path) -> Iterator[Site]:
    with served_workbench(root) as served:
        yield served


def steps(site: Site) -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in site.get("overview")["steps"]}


def next_command(site: Site) -> str:
    return str(site.get("overview")["next"]["command"])


def test_an_empty_project_begins_with_its_images(tmp_path: Path) -> None:
    with served_workbench(tmp_path / "eyeshot-out") as site:
        answer = site.get("overview")
        assert answer["next"]["command"] == "eyeshot init FOLDER"
        assert "where its images are" in answer["next"]["reason"]
        assert {step["state"] for step in answer["steps"]} == {"none"}
        (tmp_path / "eyeshot.toml").write_text('[data]\ntrain = "train"\n', encoding="utf-8")
        assert next_command(site) == "eyeshot audit"
        for tab in ("data", "models", "augmentation", "errors", "submissions"):
            told = site.get(f"tab?name={tab}")
            commands = [one["command"] for one in (*told["sections"], *told["results"])]
            assert all(command.startswith("eyeshot ") for command in commands), (tab, commands)
        assert "Nothing is missing" in site.get("tab?name=report")["sections"][0]["words"][0]
    assert not (tmp_path / "eyeshot-out").exists(), "looking writes nothing"


def test_the_next_step_goes_from_the_data_to_the_experiments(root: Path, workbench: Site) -> None:
    project = root.parent
    answer = workbench.get("overview")
    assert answer["next"]["command"] == "eyeshot review"
    assert "duplicates across training and test (1)" in answer["next"]["reason"]
    report = read_report(root / "audit" / "audit.json")
    decisions = [
        decide("drop", [image.content], author="ann", reason=f"review of {finding.id}")
        for finding in report.findings
        for image in finding.images[:1]
        if image.content
    ]
    DecisionLog(project / "decisions.jsonl").append(decisions)
    assert next_command(workbench) == "eyeshot split"
    (project / "split.json").write_text('{"folds": 5, "val": 0.2, "seed": 0, "counts": {"0": 3, "val": 2}}', "utf-8")
    assert steps(workbench)["split"]["words"].startswith("5 folds, 20 % held out")
    assert next_command(workbench) == "eyeshot rank models"
    make_result(root, "models", MODELS)
    assert next_command(workbench) == "eyeshot rank augmentations --model a.b"
    make_result(root, "augmentations", {"headline": "Invert.", "advice": "invert", "models": [{"name": "a.b"}]})
    assert next_command(workbench) == "eyeshot train --model a.b --augment invert"
    with open_ledger(root, write=True) as ledger:
        first = ledger.add("A baseline", author="ann").id
        ledger.append(first, "run", run="one", seed=0)
        assert next_command(workbench) == "eyeshot pace"
        ledger.append(first, "state", state="failed", words="Out of memory.")
        told = workbench.get("overview")["next"]
        assert (told["command"], told["open"]) == (f"eyeshot show {first}", first)
        assert "Out of memory." in told["reason"]
        ledger.append(first, "got", got={"value": 0.8})
        ledger.append(first, "verdict", verdict="better", gain="better")
        ledger.append(first, "state", state="done")
        assert next_command(workbench) == f'eyeshot learned {first} "..."'
        ledger.append(first, "learned", text="Much.")
        ledger.append(first, "insight", text="Try more")
        assert next_command(workbench) == "eyeshot insights --open"
        (insight,) = ledger.experiment(first).insights
        ledger.append(first, "action", insight_id=insight.id, text="Tried")
    assert next_command(workbench) == "eyeshot errors"
    to_do = {"state": "open", "words": "a and b are mixed up.", "action": "Look.", "commands": ["eyeshot review --x"]}
    make_result(root, "errors", {"answer": "5 of 90 are wrong.", "to_do": [{**to_do, "state": "done"}, to_do]})
    told = workbench.get("overview")["next"]
    assert (told["command"], told["reason"]) == ("eyeshot review --x", "a and b are mixed up. Look.")
    make_result(root, "errors", {"answer": "5 of 90 are wrong.", "to_do": []})
    assert next_command(workbench).startswith("eyeshot sweep")


def test_a_report_that_cannot_be_read_is_said_and_hides_nothing_else(root: Path, workbench: Site) -> None:
    make_result(root, "models", MODELS)
    (root / "models" / "models.json").write_text('{"headline": "cut o', encoding="utf-8")
    (root.parent / "split.json").write_text("[]", encoding="utf-8")
    told = steps(workbench)
    assert {name for name, step in told.items() if step["state"] == "wrong"} == {"models", "split"}
    assert "Run its command again" in told["models"]["words"]
    (result, _) = workbench.get("tab?name=models")["results"]
    assert "cannot be read" in result["wrong"]
    titles = {section["title"]: section for section in workbench.get("tab?name=data")["sections"]}
    assert "cannot be read" in titles["Split"]["wrong"]
    assert titles["Findings by kind"]["rows"]


def test_findings_are_counted_with_those_that_are_open(root: Path, workbench: Site) -> None:
    def open_leaks() -> list[str]:
        rows = workbench.get("tab?name=data")["sections"][0]["rows"]
        return next(row for row in rows if row[0] == "duplicates across training and test")

    assert open_leaks()[1:] == ["1", "1"]
    leak = next(one for one in read_report(root / "audit" / "audit.json").findings if one.kind == "leak")
    contents = [image.content for image in leak.images if image.split == "train"]
    DecisionLog(root.parent / "decisions.jsonl").append([decide("drop", contents, author="ann")])
    assert open_leaks()[1:] == ["1", "0"]
    decisions = workbench.get("tab?name=data")["sections"][1]
    assert decisions["words"] == ["1 decision is in effect."]
    assert decisions["rows"][0][1:3] == ["ann", "drop"]


def test_a_result_older_than_a_decision_says_so(root: Path, workbench: Site) -> None:
    make_result(root, "models", MODELS)
    assert workbench.get("tab?name=models")["results"][0]["old"] == ""
    decisions = root.parent / "decisions.jsonl"
    decisions.write_text("", encoding="utf-8")
    os.utime(decisions, (2e9, 2e9))
    assert "older than a decision" in workbench.get("tab?name=models")["results"][0]["old"]
    assert "older than a decision" in steps(workbench)["models"]["more"]


def test_augmentations_of_several_models_stand_beside_each_other(root: Path, workbench: Site) -> None:
    make_result(root, "augmentations", {"headline": "First.", "models": [{"name": "a.b"}]}, page="<p>first")
    make_result(root, "augmentations", {"headline": "Second.", "models": [{"name": "C"}]}, part="C", page="<p>second")
    results = workbench.get("tab?name=augmentation")["results"]
    assert [(one["part"], one["title"], one["sentences"], one["page"]) for one in results] == [
        ("", "Ranking of augmentations for a.b", ["First."], True),
        ("C", "Ranking of augmentations for C", ["Second."], True),
    ]
    for part, words in (("", b"<p>first"), ("C", b"<p>second")):
        assert workbench.ask("GET", f"/{TOKEN}/page?of=augmentations&part={part}")[2] == words


def test_an_exported_page_is_served_without_an_origin_and_may_load_nothing(root: Path, workbench: Site) -> None:
    make_result(root, "models", MODELS, page="<!doctype html><p>Page")
    status, headers, body = workbench.ask("GET", f"/{TOKEN}/page?of=models")
    assert (status, body) == (200, b"<!doctype html><p>Page")
    policy = headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'; ")
    for word in ("allow-same-origin", "allow-top-navigation", "connect-src", "http", "*"):
        assert word not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert workbench.ask("GET", "/wrong/page?of=models")[0] == 403
    assert workbench.ask("GET", f"/{TOKEN}/page?of=models", Sec_Fetch_Site="cross-site")[0] == 403
    assert workbench.ask("GET", f"/{TOKEN}/api/overview", Origin="null")[0] == 403, "what the frame asks is refused"
    assert "sandbox" not in workbench.ask("GET", f"/{TOKEN}/")[1]["content-security-policy"]


@pytest.mark.parametrize(
    "query",
    ["of=models&part=..", "of=models&part=../models", "of=..", "of=runs", "of=", "of=models&part=/", "of=audit%00"],
)
def test_only_pages_that_are_listed_are_served(root: Path, workbench: Site, query: str) -> None:
    make_result(root, "models", MODELS, page="<p>Page")
    (root.parent / "models.html").write_text("outside", encoding="utf-8")
    assert workbench.ask("GET", f"/{TOKEN}/page?{query}")[0] == 404


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_is_not_followed(root: Path, workbench: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret.html"
    secret.write_text("secret", encoding="utf-8")
    make_result(root, "models", MODELS)
    (root / "models" / "models.html").symlink_to(secret)
    assert workbench.ask("GET", f"/{TOKEN}/page?of=models")[0] == 404
    ids = make_ledger(root)
    run = root / "runs" / f"{ids['better']}-s0"
    (run / "secret.json").symlink_to(secret)
    told = workbench.get(f"experiment?id={ids['better']}")
    assert [file["name"] for file in told["files"][0]["files"]] == ["metrics.jsonl"]


def test_an_experiment_shows_configuration_computed_difference_and_files(root: Path, workbench: Site) -> None:
    ids = make_ledger(root)
    with open_ledger(root, write=True) as ledger:
        ledger.append(ids["better"], "note", text="A note", author="bob")
    for name, count in (("baseline", 900), ("better", 880)):
        result = root / "runs" / f"{ids[name]}-s0" / "result.json"
        result.write_text(json.dumps({"n_train": count, "n_val": 100}), encoding="utf-8")
    (root / "runs" / f"{ids['better']}-s0" / "weights.safetensors").write_bytes(b"\x00" * 1000)
    told = workbench.get(f"experiment?id={ids['better']}")
    assert told["config"] == [["model", "resnet18.a1_in1k"], ["training.optimizer", "radam"]]
    assert told["difference"] == [
        ["settings", "training.optimizer", "adamw", "radam"],
        ["data", "training images", "900", "880"],
        ["code", "code.commit", "none", "0123456789abcdef"],
    ]
    assert [note["text"] for note in told["notes"]] == ["A note"]
    assert (told["cost_planned_s"], told["cost_s"]) == (900, 812)
    files = {file["name"]: file for file in told["files"][0]["files"]}
    assert files["weights.safetensors"] == {"name": "weights.safetensors", "bytes": 1000, "text": False}
    assert files["metrics.jsonl"]["text"]
    query = f"id={ids['better']}&run={ids['better']}-s0"
    status, headers, body = workbench.ask("GET", f"/{TOKEN}/api/file?{query}&name=metrics.jsonl")
    assert (status, headers["content-type"], body[:8]) == (200, "text/plain; charset=utf-8", b'{"step":')
    for wrong in (
        f"{query}&name=weights.safetensors", f"{query}&name=../../ledger.sqlite", f"{query}&name=",
        f"id={ids['better']}&run=..&name=ledger.sqlite", f"id={ids['better']}&run={ids['worse']}-s0&name=metrics.jsonl",
    ):  # fmt: skip
        assert workbench.ask("GET", f"/{TOKEN}/api/file?{wrong}")[0] == 409, wrong


def test_what_the_report_asks_for_leads_to_its_experiment(root: Path, workbench: Site) -> None:
    ids = make_ledger(root)
    unwritten, insights = workbench.get("tab?name=report")["sections"]
    assert [row[0]["open"] for row in unwritten["rows"]] == [ids["worse"], ids["noise"]]
    assert insights["rows"] == [[{"text": "Try it for the large model", "open": ids["better"]}, "ann"]]


def test_submissions_show_score_and_validation(root: Path, workbench: Site) -> None:
    lines = [
        {"time": "2026-11-01T10:00:00Z", "content": "a", "name": HOSTILE, "n": 10, "images": "i", "run": "one",
         "validation": {"n": 90, "value": 0.9, "low": 0.82, "high": 0.95}},
        {"time": "2026-11-02T10:00:00Z", "content": "a", "name": "", "n": 10, "images": "i", "score": 0.8125,
         "digits": 4},
    ]  # fmt: skip
    file = root.parent / "submissions.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{broken\n", encoding="utf-8")
    section = workbench.get("tab?name=submissions")["sections"][0]
    (row,) = section["rows"]
    assert row[1:6] == [HOSTILE, "one", "90.0 % (82.0 to 95.0), n 90", "0.8125", "10"]
    assert "line 3" in section["words"][0]
    assert steps(workbench)["submissions"]["words"] == "1 submission, the best score 0.8125."
    assert workbench.ask("GET", f"/{TOKEN}/submissions.svg")[0] == 404
    assert workbench.ask("GET", f"/{TOKEN}/api/tab?name=secrets")[0] == 404
