"""The state of a project at a glance: what was done, what is open, and the next best step with its reason."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from eyeshot.auditing import NAMES, open_findings, read_report
from eyeshot.core import SETTINGS_FILE, EyeshotError, plural
from eyeshot.data import DECISIONS_FILE, SPLIT_FILE, DecisionLog
from eyeshot.ledger import Ledger, next_step
from eyeshot.predictions import SUBMISSIONS_FILE, read_submissions
from eyeshot.web.queue import HARM_ORDER
from eyeshot.web.workbench.results import JsonObject, read_json, report_of, results_of, time_of

TABS = {
    "models": "models", "augmentations": "augmentation", "optimizers": "models", "errors": "errors",
}  # fmt: skip
MODEL_WORTH = (
    "The choice of the pretrained model comes before all the rest: among the 24 teams of one competition it was worth "
    "24 points, and everything else 2.5."
)


def overview_answer(ledger: Ledger) -> JsonObject:
    """The steps of a project in the order in which they are best taken, and the next one with its reason.

    A step has `name`, `tab`, `state` ("done", "open": something waits for a person, "none": not yet, "wrong": it cannot
    be read), `words` (what it gave), `more` (what is open), `command` and `made` (UTC).
    """
    root = ledger.root
    data = [_audit(root), _split(root)]
    ranked = [_ranked(root, name) for name in ("models", "augmentations", "optimizers")]
    counts = _counts(ledger)
    trials = _experiments(ledger, counts)
    after = [_ranked(root, "errors"), _submissions(root)]
    steps = [*data, *ranked, trials, *after]
    return {"steps": steps, "next": _next(ledger, {step["name"]: step for step in steps}, counts)}


def findings_by_kind(root: Path) -> tuple[Counter[str], Counter[str]] | None:
    """Findings of the audit and those of them that are open, counted by kind; None without an audit.

    Raises:
        EyeshotError: the audit or the decisions cannot be read.
    """
    file, log = root / "audit" / "audit.json", root.parent / DECISIONS_FILE
    if not file.is_file():
        return None
    places = [(str(place), _state(place)) for place in (file, log)]
    found, still_open = _findings(*places)
    return Counter(dict(found)), Counter(dict(still_open))


def _state(file: Path) -> tuple[int, int]:
    return (file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else (0, 0)


@lru_cache(maxsize=4)
def _findings(audit: tuple[str, Any], decisions: tuple[str, Any]) -> tuple[tuple[tuple[str, int], ...], ...]:
    """Findings and open findings by kind, of files in the state that time and size name."""
    report = read_report(Path(audit[0]))
    waiting = open_findings(report, DecisionLog(Path(decisions[0])).read())
    return tuple(tuple(Counter(f.kind for f in findings).items()) for findings in (report.findings, waiting))


def _step(name: str, tab: str, command: str, *, state: str = "none", words: str = "", **more: Any) -> JsonObject:
    return {
        "name": name,
        "tab": tab,
        "command": command,
        "state": state,
        "words": words,
        "more": "",
        "made": None,
    } | more


def _audit(root: Path) -> JsonObject:
    step = _step("audit", "data", "eyeshot audit", made=time_of(root / "audit" / "audit.json"))
    try:
        report, counted = report_of(root, "audit"), findings_by_kind(root)
    except EyeshotError as error:
        return step | {"state": "wrong", "words": str(error)}
    if report is None or counted is None:
        return step
    answer = report.get("answer") or [f"{sum(counted[0].values()):,} findings."]
    waiting = {kind: counted[1][kind] for kind in HARM_ORDER if counted[1][kind]}
    return step | {
        "state": "open" if waiting else "done", "words": answer[0], "waiting": waiting,
        "more": f"{_kinds(waiting)} without a decision" if waiting else "",
        "command": "eyeshot review" if waiting else "eyeshot audit",
    }  # fmt: skip


def _kinds(counts: dict[str, int]) -> str:
    """Counts of findings in words: "leak (3), near-duplicate (2)"."""
    return ", ".join(f"{NAMES[kind]} ({count:,})" for kind, count in counts.items())


def _split(root: Path) -> JsonObject:
    file = root.parent / SPLIT_FILE
    step = _step("split", "data", "eyeshot split", made=time_of(file))
    if step["made"] is None:
        return step
    try:
        split = read_json(file)
    except EyeshotError as error:
        return step | {"state": "wrong", "words": str(error)}
    assert split is not None
    folds, share = split.get("folds") or 0, split.get("val") or 0
    parts = [f"{folds} folds" if folds else "", f"{100 * share:.0f} % held out" if share else ""]
    return step | {"state": "done", "words": ", ".join(filter(None, parts)) + "; duplicates stay on one side."}


def _ranked(root: Path, name: str) -> JsonObject:
    first = next(result for result in results_of(root, TABS[name]) if result["name"] == name)
    step = _step(name, TABS[name], first["command"], made=first["made"])
    if first["wrong"]:
        return step | {"state": "wrong", "words": first["wrong"]}
    if first["made"] is None:
        return step
    step |= {"state": "done", "words": (first["sentences"] or [""])[0], "more": first["old"]}
    if name == "errors":
        to_do = [one for one in (report_of(root, "errors") or {}).get("to_do", []) if one.get("state") == "open"]
        if to_do:
            count = f"{len(to_do)} {plural(len(to_do), 'thing')} to do"
            step |= {"state": "open", "more": count, "to_do": to_do[0]}
    return step


def _counts(ledger: Ledger) -> JsonObject:
    """Experiments by state, gains, and what waits to be written."""
    rows = ledger.rows("state", "gain", "open_insights", "learned", "author_kind")
    return {
        "all": len(rows),
        "states": Counter(row["state"] for row in rows),
        "gains": Counter(row["gain"] for row in rows if row["gain"]),
        "insights": sum(row["open_insights"] for row in rows),
        "unwritten": sum(bool(row["gain"]) and not row["learned"] and row["author_kind"] != "sweep" for row in rows),
    }


def _experiments(ledger: Ledger, counts: JsonObject) -> JsonObject:
    step = _step("experiments", "experiments", 'eyeshot try "WHY" --set NAME=VALUE --expect "up accuracy"')
    if not counts["all"]:
        return step
    best = ledger.rows("id", "value", "low", "high", where="value IS NOT NULL", sort="-value", limit=1)
    latest = ledger.rows("created", sort="-first_seq", limit=1)[0]["created"]
    words = f"{counts['all']:,} {plural(counts['all'], 'experiment')}"
    gains = [
        f"{counts['gains'][gain]:,} {gain}"
        for gain in ("better", "worse", "not distinguishable")
        if counts["gains"][gain]
    ]
    words += f" ({', '.join(gains)})" if gains else ""
    if best:
        row = best[0]
        interval = "" if row["low"] is None else f" ({100 * row['low']:.1f} to {100 * row['high']:.1f})"
        words += f"; the highest has {100 * row['value']:.1f} %{interval} on validation"
    waiting = [
        f"{counts['insights']} open {plural(counts['insights'], 'insight')}" if counts["insights"] else "",
        f"{counts['unwritten']} without what was learned" if counts["unwritten"] else "",
        *(
            f"{counts['states'][state]} {state}"
            for state in ("running", "failed", "stopped")
            if counts["states"][state]
        ),
    ]
    return step | {
        "state": "open" if any(waiting) else "done", "words": f"{words}.", "more": ", ".join(filter(None, waiting)),
        "made": latest, "best": best[0]["id"] if best else None,
    }  # fmt: skip


def _submissions(root: Path) -> JsonObject:
    file = root.parent / SUBMISSIONS_FILE
    step = _step("submissions", "submissions", "eyeshot submit FILE", made=time_of(file))
    if step["made"] is None:
        return step
    try:
        sent, _ = read_submissions(file)
    except EyeshotError as error:
        return step | {"state": "wrong", "words": str(error)}
    scores = [one.score for one in sent if one.score is not None]
    words = f"{len(sent)} {plural(len(sent), 'submission')}" + (f", the best score {max(scores):.4f}" if scores else "")
    missing = len(sent) - len(scores)
    more = f"{missing} without a score" if missing else ""
    return step | {"state": "open" if missing else "done", "words": f"{words}.", "more": more}


def _advice(command: str, reason: str, tab: str, experiment: str | None = None) -> JsonObject:
    return {"command": command, "reason": reason, "tab": tab, "open": experiment}


def _next(ledger: Ledger, steps: dict[str, JsonObject], counts: JsonObject) -> JsonObject:
    """The next best step: `command`, `reason`, `tab`, and `open`, an experiment that it is about.

    The first that is missing, in the order in which a later step is worth nothing without the earlier ones.
    """
    project = ledger.root.parent
    if not (project / SETTINGS_FILE).is_file() and all(step["state"] == "none" for step in steps.values()):
        return _advice("eyeshot init FOLDER", "The project does not know yet where its images are.", "data")
    broken = next((step for step in steps.values() if step["state"] == "wrong"), None)
    if broken:
        return _advice(broken["command"], broken["words"], broken["tab"])
    if steps["audit"]["state"] == "none":
        return _advice(
            "eyeshot audit",
            "Broken files, duplicates and leaks spoil every comparison that comes after them.", "data",
        )  # fmt: skip
    if steps["audit"]["state"] == "open":
        return _advice(
            "eyeshot review",
            f"Findings that can spoil every later comparison wait for a decision: {_kinds(steps['audit']['waiting'])}. "
            "A policy decides about all of a kind: eyeshot decisions apply.", "data",
        )  # fmt: skip
    if steps["split"]["state"] == "none":
        return _advice(
            "eyeshot split",
            "Numbers can only be compared on a fixed split, and duplicates on both sides of it make them too high.",
            "data",
        )
    if steps["models"]["state"] == "none":
        return _advice("eyeshot rank models", MODEL_WORTH, "models")
    model = _advised_model(report_of(ledger.root, "models") or {})
    if steps["augmentations"]["state"] == "none":
        return _advice(
            f"eyeshot rank augmentations {model}",
            "It is not known yet which augmentation brings the training images to the test images for this model.",
            "augmentation",
        )
    return _next_experiment(ledger, steps, counts, model)


def _advised_model(report: JsonObject) -> str:
    """The options that name the model that the ranking advises, with its weights, size and fit as in that ranking."""
    words = shlex.split(str(report.get("next_command") or ""))
    pairs = dict(pairwise(words))
    name = (report.get("advised") or {}).get("name") or "NAME"
    typed = {"--model": name} | {
        option: pairs[option] for option in ("--weights", "--size", "--fit") if option in pairs
    }
    return shlex.join(word for pair in typed.items() for word in pair)


def _next_experiment(ledger: Ledger, steps: dict[str, JsonObject], counts: JsonObject, model: str) -> JsonObject:
    """The next best step once data, model and augmentation are known; `model`: the options that name it."""
    if counts["states"]["running"]:
        running = counts["states"]["running"]
        return _advice(
            "eyeshot pace",
            f"{running} {plural(running, 'experiment is', 'experiments are')} running, and this page follows them. The "
            "command says how fast that goes and what is left.", "experiments",
        )  # fmt: skip
    if not counts["all"]:
        advice = (report_of(ledger.root, "augmentations") or {}).get("advice") or "clean"
        augment = "" if advice == "clean" else f" --augment {shlex.quote(advice)}"
        return _advice(
            f"eyeshot train {model}{augment}",
            "No experiment yet: this trains the first one with what the rankings advise, to compare others with it.",
            "experiments",
        )
    newest = ledger.experiments("author_kind <> 'sweep'", sort="-first_seq", limit=1)
    if newest and newest[0].state in ("failed", "stopped"):
        record = newest[0]
        return _advice(
            f"eyeshot show {record.id}", f"The latest experiment {record.state}. {next_step(record)}", "experiments",
            record.id,
        )  # fmt: skip
    if counts["unwritten"]:
        row = ledger.rows(
            "id", where="gain IS NOT NULL AND learned = '' AND author_kind <> 'sweep'", sort="-first_seq", limit=1
        )[0]
        return _advice(
            f'eyeshot learned {row["id"]} "..."',
            "Its verdict is known, and nobody has written what it taught; the report asks for it.", "experiments",
            row["id"],
        )  # fmt: skip
    if counts["insights"]:
        return _advice(
            "eyeshot insights --open", "Something was understood, and nothing was done about it yet.", "experiments"
        )
    if steps["errors"]["state"] == "none":
        return _advice("eyeshot errors", "Where the best run is wrong says what to try next.", "errors")
    if steps["errors"].get("to_do"):
        to_do = steps["errors"]["to_do"]
        command = next(iter(to_do.get("commands") or ()), "eyeshot errors")
        return _advice(command, f"{to_do.get('words', '')} {to_do.get('action', '')}".strip(), "errors")
    size = re.search(r"--size \S+", model)
    return _advice(
        f'eyeshot sweep "which settings fit?" --budget 8h{f" {size[0]}" if size else ""}',
        "All steps are done. A sweep searches models, augmentations and settings within a budget.", "experiments",
    )  # fmt: skip
