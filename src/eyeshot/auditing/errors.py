"""`eyeshot.find_errors()`: where runs are wrong on validation images, how sure that is, and what to do about it."""

from __future__ import annotations

import shlex
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.error_actions import carry_over, conflicts_between, list_to_do, read_done
from eyeshot.auditing.error_images import MOST_PANELS, SeenImages, find_panels, see_images
from eyeshot.auditing.error_report import (
    ERRORS_FILE,
    ClassErrors,
    ErrorReport,
    PairErrors,
    RunErrors,
    SliceErrors,
    read_errors,
)
from eyeshot.auditing.findings import AuditReport, Finding, make_finding, read_report
from eyeshot.core import (
    InputError,
    Progress,
    audit_file,
    find_project,
    find_workspace,
    listing,
    percent,
    plural,
    shown_progress,
)
from eyeshot.data import Decisions, find_log, load_dataset, project_data
from eyeshot.ledger import find_predictions, find_run, list_runs, members_behind, recipe_of, stored_estimate
from eyeshot.models import choose_device
from eyeshot.predictions import (
    FILE_ENDINGS,
    Accuracy,
    Calibration,
    Predictions,
    SharedErrors,
    TargetEstimate,
    Tested,
    align,
    check_probabilities,
    confused_pairs,
    confusion,
    errors_of_parts,
    fisher_greater,
    holm,
    join_folds,
    label_suspects,
    labelled_only,
    match_ids,
    measure_calibration,
    overlap_chance,
    shared_errors,
)
from eyeshot.training import VALIDATION_FILE, read_result

MOST_PAIRS = 200  # in the report; the page shows fewer
FEWEST_WORST = 5
"""So many classes of the lowest recall count as the worst even where none is beyond chance, of at least twice as many
classes: teams of the reference competition looked at so many."""
CHANCE = 0.05


@dataclass(frozen=True, eq=False)
class ErrorAnalysis:
    """The result of `find_errors()`.

    Attributes:
        report: the contents of `errors.json`.
        paths: file of each image that the report names, by its id.
        maps: for the images of panels, by id: uint8 (S, S, 3) as the network sees it, and float32 (S, S) saliency of
            the predicted class, 0 to 1.
    """

    report: ErrorReport
    paths: dict[str, str] = field(default_factory=dict)
    maps: dict[str, tuple[NDArray[np.uint8], NDArray[np.float32]]] = field(default_factory=dict)


def find_errors(
    runs: Sequence[str | Path] | str | Path = (),
    *,
    out: str | Path | None = None,
    audit: str | Path | None = None,
    decisions_file: str | Path | None = None,
    logits: bool = False,
    network: bool = True,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress | bool | None = None,
    command: str = "",
) -> ErrorAnalysis:
    """Find the errors of finished runs on their validation images; nothing is written.

    Classes, pairs, slices and calibration are those of the most accurate run. With several runs, labels that all of
    them contradict with the same class become findings for the review.

    Args:
        runs: ids, beginnings of ids, folders, or .csv, .tsv or .npz files with labels; none: all finished trainings
            that validated on the same images as the latest. Runs that differ only in the fold count as one. An
            ensemble has to be named, and does not count as a further run beside its members.
        out: folder with the errors.json of an earlier report, whose list of things to do is continued; None: that of
            the project.
        audit: folder of an audit, or its audit.json; None: the audit of the project, where there is one.
        decisions_file: None: decisions.jsonl of the project.
        logits: files hold scores before softmax.
        network: ask the network of the run for nearest training images, distances to them and saliency; all training
            images pass through it once.
        device: cuda, mps or cpu; None: the fastest there is.
        workers: threads that read images; None: one per core.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.
        command: what was typed, for the report.

    Raises:
        InputError: a run cannot be used: not finished, without labels, of other classes or other images.
        ModelError: the model of the run cannot be loaded.
        StorageError: predictions are damaged, or the cache cannot be written.
    """
    begin = time.perf_counter()
    workspace = find_workspace()
    earlier_file = (workspace.results("errors") if out is None else Path(out)) / ERRORS_FILE
    earlier = read_errors(earlier_file).to_do if earlier_file.is_file() else []
    near = audit_file(audit)
    audited = None if near is None else read_report(near)
    log = find_log(decisions_file).read()
    given = [runs] if isinstance(runs, str | Path) else list(runs)
    members, notes = _members(given, logits=logits)
    counted = _independent(members, notes)
    chosen_device = str(choose_device(device)[0]) if network else "cpu"
    with shown_progress(progress) as shown:
        tables = align(_with_labels([member.table for member in members], workspace.cache, shown))
    tables = [labelled_only(table) for table in tables]
    place = max(range(len(tables)), key=lambda number: int(tables[number].right.sum()))
    lead, folders = tables[place], members[place].folders
    independent = [tables[number] for number in counted]
    shared = shared_errors(independent)
    wrong = lead.probabilities.argmax(1) != lead.labels
    assert lead.labels is not None
    with shown_progress(progress) as shown:
        shown(0, 0, "counting errors")
        counts = confusion(lead)
        pairs = confused_pairs(counts)
        suspects = label_suspects(independent, shared)
        panel_rows = _panel_rows(lead, wrong, pairs, suspects)
        seen = see_images(
            lead, folders, panel_rows, network=network, device=chosen_device, cache=workspace.cache, workers=workers,
            progress=shown,
        )  # fmt: skip
        tested = errors_of_parts(seen.parts, wrong, lead.labels)
        calibration = measure_calibration(lead)
    notes += seen.notes
    classes = _classes(lead, counts, wrong, audited)
    findings = _suspect_findings(independent, shared, suspects, seen, log)
    panels = find_panels(lead, panel_rows, seen, wrong_in=shared.wrong.sum(0))
    estimates = [_estimate_on_test(member) for member in members]
    report = ErrorReport(
        answer="",
        next_step="",
        run=lead.run,
        runs=[
            RunErrors(run=table.run, accuracy=table.accuracy(), errors=int((~table.right).sum()),
                      alone=len(shared.alone[counted.index(number)]) if number in counted and len(counted) > 1 else 0,
                      counted=number in counted, estimate=estimates[number])
            for number, table in enumerate(tables)
        ],
        n=len(lead),
        errors=int(wrong.sum()),
        accuracy=lead.accuracy(),
        classes=classes,
        worst_with_two_labels=_overlap_words(classes, audited),
        pairs=[_pair(lead, counts, pair, audited) for pair in pairs[:MOST_PAIRS]],
        slices=[_slice(test) for test in tested],
        calibration=calibration,
        calibration_words=_calibration_words(calibration),
        shared=len(shared.by_all) if len(counted) > 1 else None,
        shared_expected=shared.expected if len(counted) > 1 else None,
        findings=findings,
        panels=panels,
        to_do=[],
        train=seen.train,
        notes=notes,
        created=datetime.now(UTC),
        seconds=0.0,
        command=command,
    )  # fmt: skip
    result = read_result(folders[0]) if folders else None
    found = list_to_do(report, _wrong_contents(lead, wrong, seen), audited, near, result, folder=earlier_file.parent)
    report.to_do = carry_over(found, earlier, read_done(log))
    report.answer = _answer(report)
    report.next_step = _next_step(report, members[place])
    report.seconds = round(time.perf_counter() - begin, 3)
    return ErrorAnalysis(report, seen.paths, seen.maps)


class _Member(NamedTuple):
    """Predictions that errors are found in: of a run, of all folds of a training, of an ensemble, or of a file.

    Attributes:
        table: the predictions.
        folders: of the runs whose images and networks these are, one for each fold; none for a file.
        sources: the trainings and files that the predictions come from in the end.
        ensemble: whether they are combined.
    """

    table: Predictions
    folders: list[Path]
    sources: frozenset[Path]
    ensemble: bool = False


def _members(given: Sequence[str | Path], *, logits: bool) -> tuple[list[_Member], list[str]]:
    """Predictions with the folders of the runs that they are from, one entry for all folds of a training."""
    runs = find_workspace().results("runs")
    notes: list[str] = []
    names = list(given)
    if not names:
        finished = [
            record.id for record in list_runs(runs)
            if record.kind == "train" and (runs / record.id / VALIDATION_FILE).is_file()
        ]  # fmt: skip
        if not finished:
            raise InputError(f"Errors need a finished run, but there is none in {str(runs)!r}. Next: eyeshot train.")
        names = list(finished)
    loose: list[_Member] = []
    groups: dict[str, list[tuple[Predictions, Path]]] = {}
    for name in dict.fromkeys(map(str, names)):
        table = find_predictions(name, logits=logits)
        if Path(name).suffix.lower() in FILE_ENDINGS:
            loose.append(_Member(table, [], frozenset({Path(name).resolve()})))
            continue
        folder = find_run(runs, name)
        check_probabilities(table.probabilities, name=folder.name)  # a training may have ended in NaN
        behind = members_behind(folder, runs)
        if behind is not None:
            loose.append(_ensemble(table, behind, notes))
            continue
        result = read_result(folder)
        key = folder.name
        if result is not None and result.data.get("fold") is not None:
            key = f"{recipe_of(result)} {result.settings.seed}"
        groups.setdefault(key, []).append((table, folder))
    members = [
        _Member(
            join_folds([table for table, _ in parts], run=parts[0][1].resolve().name),
            [folder for _, folder in parts],
            frozenset(folder.resolve() for _, folder in parts),
        )
        for parts in groups.values()
    ] + loose
    for member in members:
        if len(member.folders) > 1 and not member.ensemble:
            names_of_folds = listing([folder.name for folder in member.folders])
            notes.append(f"{names_of_folds} are folds of one training: {member.table.run}.")
    if given:
        return members, notes
    latest = members[-1].table
    same = [
        member for member in members if set(member.table.ids) == set(latest.ids)
        and set(member.table.classes) == set(latest.classes)
    ]  # fmt: skip
    if len(same) < len(members):
        others = [member.table.run for member in members if not any(member is kept for kept in same)]
        notes.append(
            f"{len(others)} {plural(len(others), 'run was', 'runs were')} validated on other images or classes than "
            f"{latest.run}, the latest, and left out: {listing(others, most=3)}. A split makes runs comparable: "
            "eyeshot split."
        )
    return same, notes


def _ensemble(table: Predictions, behind: Sequence[tuple[Path, ...]], notes: list[str]) -> _Member:
    """An ensemble, whose images are those of the trained member with the most weight."""
    trained = next((list(parts) for parts in behind if (parts[0] / VALIDATION_FILE).is_file()), [])
    if trained:
        notes.append(
            f"{table.run} is an ensemble: its images, their nearest training images and where a network looks are "
            f"those of its member {trained[0].name}."
        )
    sources = frozenset(part.resolve() for parts in behind for part in parts)
    return _Member(table, trained, sources, ensemble=True)


def _estimate_on_test(member: _Member) -> TargetEstimate | None:
    if member.ensemble:
        return stored_estimate(member.table.run)
    # Of several folds each has predicted the test images by itself.
    return stored_estimate(member.folders[0]) if len(member.folders) == 1 else None


def _independent(members: Sequence[_Member], notes: list[str]) -> list[int]:
    """Places of the members that count as runs of their own: an ensemble does not beside what it is made of."""
    taken: set[Path] = set()
    counted: list[int] = []
    for place in sorted(range(len(members)), key=lambda number: members[number].ensemble):
        member = members[place]
        if member.ensemble and member.sources & taken:
            notes.append(
                f"{member.table.run} is made of runs that are given too, so errors that runs share are counted without "
                "it."
            )
            continue
        taken |= member.sources
        counted.append(place)
    return sorted(counted)


def _with_labels(tables: list[Predictions], cache: Path, progress: Progress) -> list[Predictions]:
    """Where no table has labels (a CSV file of the user's own), the first gets those of the project's images."""
    if any(table.labels is not None for table in tables) or "train" not in find_project().data:
        return tables
    images = load_dataset(project_data(None), cache=cache, progress=progress.sub("reading labels")).images
    first = tables[0]
    try:
        rows, _ = match_ids(first.ids, images.ids, what="ids of the file")
    except InputError:  # of other images, of which nobody knows labels
        return tables
    column = {name: number for number, name in enumerate(first.classes)}
    numbers = np.array([column.get(name, -1) for name in images.classes], np.int64)
    known = images.labels[rows]
    return [replace(first, labels=np.where(known < 0, -1, numbers[known])), *tables[1:]]


def _panel_rows(
    lead: Predictions, wrong: NDArray[np.bool_], pairs: Sequence[tuple[int, int]], suspects: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Errors to show: label suspects, then the surest errors of the most confused pairs, a few of each."""
    labels, chosen = lead.labels, lead.probabilities.argmax(1)
    assert labels is not None
    rows = suspects[: MOST_PANELS // 3].tolist()
    for first, second in pairs:
        between = ((labels == first) & (chosen == second)) | ((labels == second) & (chosen == first))
        own = np.flatnonzero(wrong & between)
        rows += own[np.argsort(-lead.probabilities[own, chosen[own]], kind="stable")][:3].tolist()
        if len(set(rows)) >= MOST_PANELS:
            break
    return np.array(list(dict.fromkeys(rows))[:MOST_PANELS], np.int64)


def _classes(
    lead: Predictions, counts: NDArray[np.int64], wrong: NDArray[np.bool_], audited: AuditReport | None
) -> list[ClassErrors]:
    """All classes that have images, the lowest recall first, then those with more errors."""
    sizes, right = counts.sum(1), np.diag(counts)
    present = np.flatnonzero(sizes)
    total = int(wrong.sum())
    chances = holm([
        fisher_greater(int(sizes[number] - right[number]), int(sizes[number]), total, len(lead)) for number in present
    ])  # fmt: skip
    order = sorted(range(len(present)), key=lambda place: (
        right[present[place]] / sizes[present[place]], right[present[place]] - sizes[present[place]]
    ))  # fmt: skip
    two_labels = None if audited is None else _pictures_with_two_labels(audited)
    fewest = FEWEST_WORST if len(present) >= 2 * FEWEST_WORST else 0
    rows = []
    for rank, place in enumerate(order):
        number = int(present[place])
        errors = counts[number].copy()
        errors[number] = 0
        most = int(errors.argmax())
        name = lead.classes[number]
        rows.append(
            ClassErrors(
                label=name,
                recall=Accuracy.of_counts(int(right[number]), int(sizes[number])),
                precision=Accuracy.of_counts(int(right[number]), int(counts[:, number].sum())),
                taken_for=lead.classes[most] if errors[most] else "",
                taken_for_count=int(errors[most]),
                chance=chances[place],
                worst=bool(errors[most]) and (chances[place] < CHANCE or rank < fewest),
                two_labels=None if two_labels is None else two_labels.get(name, 0),
            )
        )
    return rows


def _pictures_with_two_labels(audited: AuditReport) -> dict[str, int]:
    pictures: dict[str, int] = {}
    for pair in audited.conflicts:
        for name in (pair.first, pair.second):
            pictures[name] = pictures.get(name, 0) + pair.pictures
    return pictures


def _overlap_words(classes: Sequence[ClassErrors], audited: AuditReport | None) -> str:
    """The worst classes beside those that share pictures with another class, with how likely chance is."""
    if audited is None:
        return ""
    worst = {row.label for row in classes if row.worst}
    sharing = {row.label for row in classes if row.two_labels}
    if not worst or not sharing:
        return ""
    shared, expected, chance = overlap_chance(worst, sharing, len(classes))
    return (
        f"{shared} of the {len(worst)} worst {plural(len(worst), 'class', 'classes')} "
        f"{plural(shared, 'is', 'are')} among the {len(sharing)} of {len(classes)} classes that share pictures with "
        f"another class; {expected:.1f} would be by chance (p = {_p(chance)})."
    )


def _pair(
    lead: Predictions, counts: NDArray[np.int64], pair: tuple[int, int], audited: AuditReport | None
) -> PairErrors:
    first, second = pair
    names = {lead.classes[first], lead.classes[second]}
    there, back = int(counts[first, second]), int(counts[second, first])
    same = near = issues = None
    if audited is not None:
        conflicts = conflicts_between(audited, names)
        near = sum(finding.evidence.get("same") == "near" for finding in conflicts)
        same = len(conflicts) - near
        if audited.label_issues is not None:
            issues = sum(
                issue.first_as_second + issue.second_as_first
                for issue in audited.label_issues.pairs
                if {issue.first, issue.second} == names
            )
    return PairErrors(
        first=lead.classes[first],
        second=lead.classes[second],
        first_as_second=there,
        second_as_first=back,
        share=Accuracy.of_counts(there + back, int(counts[[first, second]].sum())),
        same_picture=same,
        near_duplicates=near,
        label_issues=issues,
    )


def _slice(test: Tested) -> SliceErrors:
    part = test.part
    rate, rest = Accuracy.of_counts(test.errors, test.n), Accuracy.of_counts(test.rest_errors, test.rest_n)
    found = test.adjusted < CHANCE
    words = (
        f"{slice_name(part.name, part.side, part.limit)}: {percent(rate.value, 1)} of {test.n} images are wrong "
        f"({_interval(rate)}), {percent(rest.value, 1)} of all others"
    )
    if found and test.adjusted_within >= CHANCE:
        words += (
            f"; the classes of these images may be the reason: they alone let {test.expected:.1f} of {test.errors} "
            "errors be expected"
        )
    return SliceErrors(
        property=part.name,
        side=part.side,
        limit=part.limit,
        n=test.n,
        errors=test.errors,
        rate=rate,
        rest=rest,
        expected=test.expected,
        p=test.p,
        chance=test.adjusted,
        p_within=test.p_within,
        chance_within=test.adjusted_within,
        found=found,
        words=words + ".",
    )


def all_runs(count: int) -> str:
    """All of two runs or more, in words."""
    return "both runs" if count == 2 else f"all {count} runs"


SLICE_UNITS = {"file size": "kB", "image area": "megapixels"}
"""Units of the audit's properties whose other values are levels or have none."""


def slice_name(name: str, side: str, limit: float | None) -> str:
    """A slice in words: "brightness at most 93", "file size at most 9.56 kB", "border: dark"."""
    if limit is None:
        return f"{name}: {side}"
    number = f"{limit:,.0f}" if abs(limit) >= 100 else f"{limit:.3g}"
    unit = SLICE_UNITS.get(name, "")
    return f"{name} at {'most' if side == 'low' else 'least'} {number}{' ' if unit else ''}{unit}"


def _calibration_words(calibration: Calibration) -> str:
    gap = calibration.confidence - (calibration.accuracy.value or 0.0)
    error = (
        f"calibration error {percent(calibration.error, 1)} "
        f"({percent(calibration.low, 1)} to {percent(calibration.high, 1)})"
    )
    if calibration.low <= calibration.error_by_chance:
        return (
            f"Confidence fits accuracy as far as {calibration.n} images can tell: {error}, of which chance alone makes "
            f"{percent(calibration.error_by_chance, 1)}."
        )
    return (
        f"The run is {'too sure' if gap > 0 else 'not sure enough'}: mean confidence "
        f"{percent(calibration.confidence, 1)}, accuracy {percent(calibration.accuracy.value, 1)}; {error}, "
        f"{percent(calibration.error_scaled, 1)} with a temperature of {calibration.temperature:.2f}."
    )


def _suspect_findings(
    tables: Sequence[Predictions],
    shared: SharedErrors,
    suspects: NDArray[np.int64],
    seen: SeenImages,
    decisions: Decisions,
) -> list[Finding]:
    """Labels that all runs contradict with the same class, as findings of the review; decided ones are left out."""
    decided = {content for decision in decisions.active for content in decision.images}
    labels, classes = tables[0].labels, tables[0].classes
    assert labels is not None
    findings = []
    for rank, row in enumerate(suspects.tolist(), 1):
        ref, proposed = seen.refs[row], int(shared.agreed[row])
        if not ref.content or ref.content in decided:
            continue
        given, other = classes[labels[row]], classes[proposed]
        probability = float(np.mean([table.probabilities[row, proposed] for table in tables]))
        of_label = float(np.mean([table.probabilities[row, labels[row]] for table in tables]))
        findings.append(
            make_finding(
                "label-issue",
                [ref],
                f"{ref.id} is labelled {given}, and {all_runs(len(tables))} say {other}.",
                basis="model",
                confidence=probability,
                suggestion="relabel",
                evidence={
                    "given": given,
                    "proposed": other,
                    "probability": probability,
                    "probability_given": of_label,
                    "margin": probability - of_label,
                    "rank": float(rank),
                    "nearest_given": seen.nearest(row, int(labels[row])),
                    "nearest_proposed": seen.nearest(row, proposed),
                },
            )
        )
    return findings


def _wrong_contents(lead: Predictions, wrong: NDArray[np.bool_], seen: SeenImages) -> dict[frozenset[str], list[str]]:
    """Content keys of the wrong images, by the pair of label and predicted class."""
    labels, chosen = lead.labels, lead.probabilities.argmax(1)
    assert labels is not None
    contents: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for row in np.flatnonzero(wrong).tolist():
        if seen.refs[row].content:
            contents[frozenset((lead.classes[labels[row]], lead.classes[chosen[row]]))].append(seen.refs[row].content)
    return contents


def _answer(report: ErrorReport) -> str:
    if not report.errors:
        return f"All {report.n} validation images are right."
    sentence = (
        f"{report.errors} of {report.n} validation images are wrong (accuracy {percent(report.accuracy.value, 1)}, "
        f"{_interval(report.accuracy)})"
    )
    if report.pairs:
        pair = report.pairs[0]
        sentence += (
            f", most often between {pair.first} and {pair.second} ({pair.first_as_second + pair.second_as_first})"
        )
    if report.findings:
        count = len(report.findings)
        sentence += f"; {all_runs(report.counted)} contradict {count} {plural(count, 'label')}"
    return sentence + "."


def _next_step(report: ErrorReport, lead: _Member) -> str:
    """A command that runs as it stands: the first cure, or the prediction of the test images with this run."""
    with_command = [entry for entry in report.to_do if entry.state == "open" and entry.commands]
    if with_command:
        return with_command[0].commands[0]
    data = find_project().data
    if not lead.folders and not lead.ensemble:  # a file of the user's own predicts nothing
        return "eyeshot train" if "train" in data else "eyeshot init TRAIN"
    run = next((str(folder) for folder in lead.folders if folder.name == lead.table.run), lead.table.run)
    if (find_workspace().results("runs") / lead.table.run).is_dir():
        run = lead.table.run
    return shlex.join(["eyeshot", "predict", run, *([] if "test" in data else ["--data", "TEST"])])


def _interval(share: Accuracy) -> str:
    return f"{percent(share.low, 1)} to {percent(share.high, 1)}"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
