"""What to do about errors, and what was done about them since."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from eyeshot.auditing.error_report import ErrorReport, PairErrors, ToDo
from eyeshot.auditing.findings import AuditReport, Finding
from eyeshot.core import find_project, find_workspace, listing, percent, plural, shown_path
from eyeshot.data import Decisions
from eyeshot.ledger import RunRecord, list_runs
from eyeshot.training import TrainResult

CURES: dict[tuple[str, str], tuple[str, ...]] = {
    ("brightness", ""): ("jitter", "autocontrast"),
    ("contrast", "low"): ("autocontrast", "equalize"),
    ("contrast", "high"): ("jitter", "posterize"),
    ("colourfulness", ""): ("grey", "jitter-strong"),
    ("colour or grey", ""): ("grey", "jitter-strong"),
    ("colour mode", ""): ("grey", "jitter-strong"),
    ("sharpness", "low"): ("gaussian-blur", "motion-blur"),
    ("sharpness", "high"): ("sharpness", "gaussian-noise"),
    ("border", ""): ("invert", "jitter-strong"),
    ("border brightness", ""): ("invert", "jitter-strong"),
    ("border less centre brightness", ""): ("invert", "jitter-strong"),
    ("image area", "low"): ("downscale", "gaussian-blur"),
    ("image area", "high"): ("crop-strong", "affine"),
    ("file size", "low"): ("jpeg", "gaussian-blur"),
    ("file size", "high"): ("crop-strong", "gaussian-noise"),
    ("aspect ratio", ""): ("affine-stretch", "crop-strong"),
    ("image size", ""): ("affine-stretch", "crop-strong"),
    ("file format", ""): ("jpeg", "gaussian-noise-mild"),
    ("JPEG quality", ""): ("jpeg", "gaussian-noise-mild"),
}
"""Augmentations that make training images more like a slice, by property and side; chosen by what they change, not by
any measurement. Properties that no augmentation changes are left to the whole catalogue."""


MOST_PAIRS, MOST_SLICES = 3, 3
FEWEST_ERRORS = 2
"""A single error between two classes says nothing about the pair."""
EACH_WAY, CONFUSABLE = 3, 1 / 3
"""Errors each way, as for the audit, and the share of all images of two classes that are taken for the other (a coin
gives a half), from which on it is worth asking whether people can tell the two apart. Set before any measurement."""
CHANCE = 0.05


class Done(NamedTuple):
    """What happened in a project: what may have been done about errors.

    Attributes:
        decisions: all of them.
        runs: records of all runs.
        ranked: names of the augmentations in the project's latest ranking.
        ranked_at: when it was written, in seconds since 1970; 0 without one.
    """

    decisions: Decisions
    runs: Sequence[RunRecord]
    ranked: frozenset[str]
    ranked_at: float


def cures_of(name: str, side: str) -> tuple[str, ...]:
    """Augmentations that may cure a slice; none where no augmentation changes its property."""
    return CURES.get((name, side), CURES.get((name, ""), ()))


def carry_over(found: Sequence[ToDo], earlier: Sequence[ToDo], done: Done) -> list[ToDo]:
    """The list of an earlier report continued with what is found now; nothing falls off it.

    What was found before keeps its date. What is not found any more stays, as `acted` or `gone`. Open entries come
    first, those that are open for longest before others.
    """
    before = {entry.id: entry for entry in earlier}
    now = {entry.id for entry in found}
    entries = [
        entry if entry.id not in before else entry.model_copy(update={"since": before[entry.id].since})
        for entry in found
    ]
    judged = [_judged(entry, done) for entry in entries]
    for entry in earlier:
        if entry.id not in now:
            settled = _judged(entry, done)
            judged.append(settled if settled.state == "acted" else settled.model_copy(update={"state": "gone"}))
    order = {"open": 0, "acted": 1, "gone": 2}
    return sorted(judged, key=lambda entry: (order[entry.state], entry.since))


def _judged(entry: ToDo, done: Done) -> ToDo:
    """The entry with what was done about it."""
    words, finished = _decided(entry, done.decisions)
    later = [
        record for record in done.runs if record.created > entry.since and set(record.augmentations) & set(entry.tries)
    ]
    if later:
        names = listing([name for name in later[-1].augmentations if name in entry.tries])
        words, finished = f"{later[-1].id} was trained with {names} afterwards", True
    elif entry.kind == "slice" and done.ranked_at > entry.since.timestamp():
        ranked = sorted(done.ranked & set(entry.tries))
        if ranked or not entry.tries:
            words = f"{listing(ranked) or 'augmentations'} {plural(len(ranked) or 2, 'was', 'were')} ranked afterwards"
            finished = True
    return entry.model_copy(update={"state": "acted" if finished else "open", "acted": words})


def _decided(entry: ToDo, decisions: Decisions) -> tuple[str, bool]:
    """How many of its images a decision is about, in words, and whether that settles it."""
    merged = [decision for decision in decisions.active if decision.kind == "merge-classes"]
    if entry.classes and any(set(entry.classes) <= {*decision.classes, decision.label} for decision in merged):
        return "the classes were merged", True
    about = {content for decision in decisions.active for content in decision.images}
    count, total = len(about & set(entry.contents)), len(set(entry.contents))
    if not count:
        return "", False
    return f"{count} of {total} {plural(total, 'image')} decided", count == total


def read_done(decisions: Decisions) -> Done:
    """What happened in the project so far."""
    workspace = find_workspace()
    names: frozenset[str] = frozenset()
    ranking = workspace.results("augmentations") / "augmentations.json"
    when = 0.0
    if ranking.is_file():
        try:
            candidates = json.loads(ranking.read_text(encoding="utf-8"))["candidates"]
            names, when = frozenset(candidate["name"] for candidate in candidates), ranking.stat().st_mtime
        except (ValueError, KeyError, TypeError):  # damaged, or of another version
            pass
    return Done(decisions, list_runs(workspace.results("runs")), names, when)


def conflicts_between(audited: AuditReport, names: set[str]) -> list[Finding]:
    """The audit's groups of equal or nearly equal pictures that stand under both of two classes."""
    return [
        finding for finding in audited.findings
        if finding.kind == "conflict" and names <= {image.label for image in finding.images}
    ]  # fmt: skip


def list_to_do(
    report: ErrorReport,
    wrong: Mapping[frozenset[str], Sequence[str]],
    audited: AuditReport | None,
    audit_json: Path | None,
    result: TrainResult | None,
    *,
    folder: Path,
) -> list[ToDo]:
    """What follows from a report: each entry with a sentence and, where a command helps, the line to type.

    Args:
        report: without its list.
        wrong: content keys of the images that are taken for each other, by pair of classes.
        audited: the audit's report.
        audit_json: its file.
        result: of the run that the report is about; None for a file of the user's own.
        folder: where the report will lie.
    """
    again = [] if "train" in find_project().data or not report.train else [report.train]
    audit_words = [] if audit_json is None or not again else ["--audit", shown_path(audit_json.parent)]
    entries: list[ToDo] = []

    def add(kind: str, name: str, words: str, action: str, commands: Sequence[Sequence[str]], **more: object) -> None:
        lines = [shlex.join(["eyeshot", *command]) for command in commands]
        fields = {"id": f"{kind}:{name}", "kind": kind, "words": words, "action": action, "commands": lines}
        entries.append(ToDo.model_validate(fields | {"since": report.created} | more))

    count = len(report.findings)
    if count:
        add(
            "labels", "all-runs",
            f"{count} {plural(count, 'label is', 'labels are')} contradicted by all runs, with the same class.",
            "Look at each image, and keep, relabel or drop it.", [["review", *again, "--errors", shown_path(folder)]],
            contents=[finding.images[0].content for finding in report.findings],
        )  # fmt: skip
    for pair in report.pairs[:MOST_PAIRS]:
        _add_pair(pair, wrong, audited, again, audit_words, add)
    found = sorted(
        (part for part in report.slices if part.found), key=lambda part: (part.chance_within >= CHANCE, part.p)
    )
    for part in found[:MOST_SLICES]:
        tries = cures_of(part.property, part.side)
        candidates = [word for name in tries for word in ("--candidates", name)]
        commands = [["rank", "augmentations", *again, *candidates]]
        action = "Rank all augmentations: which covers these images?"
        if tries:
            action = f"Try {' or '.join(tries)}: training images become more like these."
            if part.chance_within >= CHANCE:
                action = f"Look at the confused pairs first. {action}"
            elif result is not None:
                commands.append(["train", *again, *_same_model(result), "--augment", tries[0]])
        add("slice", f"{part.property} {part.side}", part.words, action, commands, tries=list(tries))
    _add_classes(report, audited, again, audit_words, add)
    calibration = report.calibration
    if calibration.low > calibration.error_by_chance:
        add(
            "calibration", "confidence", report.calibration_words,
            f"Divide the logarithms of the probabilities by {calibration.temperature:.2f} before they are read as "
            "confidence; the predicted classes stay the same.", [],
        )  # fmt: skip
    return entries


def _add_pair(
    pair: PairErrors,
    wrong: Mapping[frozenset[str], Sequence[str]],
    audited: AuditReport | None,
    again: list[str],
    audit_words: list[str],
    add: Callable[..., None],
) -> None:
    errors, names = pair.first_as_second + pair.second_as_first, sorted((pair.first, pair.second))
    if errors < FEWEST_ERRORS:
        return
    words = f"{pair.first} and {pair.second} are taken for each other in {errors} images"
    conflicts = [] if audited is None else conflicts_between(audited, set(names))
    if conflicts:
        count = len(conflicts)
        words += f", and {count} {plural(count, 'picture stands', 'pictures stand')} under both labels"
        contents = [image.content for finding in conflicts for image in finding.images if image.content]
        add(
            "pair", " / ".join(names), f"{words}.", "Decide about the pictures with two labels first.",
            [["review", *again, *audit_words]], contents=contents, classes=names,
        )  # fmt: skip
        return
    action, commands = (
        "Look at the panels of this pair: are the labels right, and does the network look at the object?",
        [],
    )
    often = (pair.share.value or 0.0) >= CONFUSABLE
    if often and min(pair.first_as_second, pair.second_as_first) >= EACH_WAY:
        action += " Only if people cannot tell the two apart either, merge them."
        merge = ["decisions", "add", "merge-classes", "--class", names[0], "--class", names[1], "--label", names[0]]
        commands.append(merge)
    if audited is None:
        commands.insert(0, ["audit", *again])
    contents = sorted(set(wrong.get(frozenset(names), ())))
    add("pair", " / ".join(names), f"{words}.", action, commands, contents=contents, classes=names)


def _add_classes(
    report: ErrorReport, audited: AuditReport | None, again: list[str], audit_words: list[str], add: Callable[..., None]
) -> None:
    hard = [row for row in report.classes if row.worst]
    if not hard:
        return
    named = listing([f"{row.label} ({percent(row.recall.value)})" for row in hard], most=5)
    sharing = {row.label for row in hard if row.two_labels}
    action, commands, contents = "Are their labels right, and are there enough different images of them?", [], []
    if audited is not None and sharing:
        count = len(sharing)
        action = f"{count} of them {plural(count, 'shares', 'share')} pictures with another class: decide about these."
        commands = [["review", *again, *audit_words]]
        contents = [
            image.content for finding in audited.findings if finding.kind == "conflict"
            and sharing & {image.label for image in finding.images} for image in finding.images if image.content
        ]  # fmt: skip
    elif audited is None:
        commands = [["audit", *again]]
    add("classes", "worst", f"The lowest recall: {named}.", action, commands, contents=sorted(set(contents)))


def _same_model(result: TrainResult) -> list[str]:
    """The words that train the same model on the same size with the same augmentations."""
    words = ["--model", result.model, *([] if result.pretrained else ["--from-scratch"]), "--size", str(result.size)]
    return [*words, *(word for name in result.augmentations for word in ("--augment", name))]
