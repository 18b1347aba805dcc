"""What the project holds when a report is written: every file is read once, and what cannot be read is said."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import ValidationError

from eyeshot.auditing import (
    AuditReport,
    ErrorReport,
    StoredComparison,
    read_comparison,
    read_errors,
    read_report,
)
from eyeshot.core import InputError, StorageError, find_project, find_workspace, listing, plural
from eyeshot.data import COMPARISON_FILE, SPLIT_FILE, Decision, Split, bad_lines, find_log, read_split
from eyeshot.ledger import (
    RECORD_FILE,
    EnsembleReport,
    Experiment,
    WrittenField,
    find_experiments,
    last_author,
    list_runs,
    open_ledger,
    submit,
)
from eyeshot.predictions import Submission
from eyeshot.rankings import ModelsReport, OptimizersReport, RankingReport
from eyeshot.reports.document import Block, Link, Paragraph, anchor_of, paragraph, quoted
from eyeshot.reports.wrapup.texts import QUESTIONS, Field, read_report_texts
from eyeshot.reports.wrapup.words import Say
from eyeshot.training import TrainResult, read_result

T = TypeVar("T")


class Facts:
    """All that a report is written from.

    Attributes:
        say: how the report speaks.
        workspace, project: folders, and the content of `eyeshot.toml`.
        audit, split, models, augmentations, optimizers, errors: results of commands; None where there is none.
        further_augmentations: rankings for further models, by the name of their source.
        cleaning: accuracy with and without decisions, as it was measured last.
        sources: file and command of each of these, by name.
        decisions: those that are in force, in their order.
        experiments: of the ledger, the earliest first.
        runs: records of all runs by id, the earliest first.
        unread_runs: folders of runs whose record cannot be read.
        results: of trainings that ended, by the id of the run.
        ensembles: by the id of the run.
        submissions: what `eyeshot submit` lists; None without a submission.
        texts: what people wrote, by field and person.
        notes: what could not be read, in sentences.
        missing: texts that only people can write and that sections asked for: `field`, `person`, `question`, `command`.
    """

    def __init__(self, say: Say) -> None:
        self.say = say
        self.notes: list[str] = []
        self.missing: list[dict[str, str]] = []
        self.workspace = find_workspace()
        self.project = find_project()
        self.sources: dict[str, tuple[Path, str]] = {}
        results = self.workspace.results
        self.audit: AuditReport | None = self._result(
            "audit", results("audit") / "audit.json", "eyeshot audit", read_report
        )
        self.split: Split | None = self._result(
            "split", self.workspace.project / SPLIT_FILE, "eyeshot split", read_split
        )
        self.cleaning: StoredComparison | None = self._result(
            "cleaning", self.workspace.root / COMPARISON_FILE, "eyeshot decisions compare", read_comparison
        )
        self.models = self._result(
            "models", results("models") / "models.json", "eyeshot rank models",
            lambda file: ModelsReport.model_validate_json(file.read_bytes()),
        )  # fmt: skip
        folder = results("augmentations")
        self.augmentations = self._augmentations(folder, "augmentations")
        self.further_augmentations: dict[str, RankingReport] = {}
        for part in sorted(file.parent for file in folder.glob("*/augmentations.json")):
            name = f"augmentations/{part.name}"
            if not part.is_symlink() and (further := self._augmentations(part, name)) is not None:
                self.further_augmentations[name] = further
        self.optimizers = self._result(
            "optimizers", results("optimizers") / "optimizers.json", "eyeshot rank optimizers",
            lambda file: OptimizersReport.model_validate_json(file.read_bytes()),
        )  # fmt: skip
        self.errors: ErrorReport | None = self._result(
            "errors", results("errors") / "errors.json", "eyeshot errors", read_errors
        )
        decisions = find_log().read()
        self._decided = [decision.time for decision in decisions.stored]
        self.decisions: tuple[Decision, ...] = decisions.active
        self.notes += bad_lines(decisions)
        self.experiments: list[Experiment] = sorted(
            find_experiments(), key=lambda experiment: (experiment.created, experiment.id)
        )
        with open_ledger() as ledger:
            self._writers = {
                (each.id, field): last_author(ledger, each.id, field)
                for each in self.experiments
                for field in get_args(WrittenField)
                if getattr(each, field)
            }
        runs = results("runs")
        self.runs = {record.id: record for record in list_runs(runs)}
        self.unread_runs = self._unread(runs)
        self.results: dict[str, TrainResult] = {}
        self.ensembles: dict[str, EnsembleReport] = {}
        for run_id in self.runs:
            if (result := self._read(runs / run_id / "result.json", lambda file: read_result(file.parent))) is not None:
                self.results[run_id] = result
            ensemble = self._read(
                runs / run_id / "ensemble.json", lambda file: EnsembleReport.model_validate_json(file.read_bytes())
            )
            if ensemble is not None:
                self.ensembles[run_id] = ensemble
        listed = submit()
        self.notes += listed.notes
        self.submissions = listed if listed.submissions else None
        self.texts, bad = read_report_texts(self.workspace.project)
        self.notes += bad
        self._numbers = {experiment.id: f"E{number}" for number, experiment in enumerate(self.experiments, 1)}
        self._experiments_of_run: defaultdict[str, list[str]] = defaultdict(list)
        for experiment in self.experiments:
            for run in dict.fromkeys((*experiment.runs, *experiment.parent_runs)):
                self._experiments_of_run[run].append(experiment.id)

    def _result(self, name: str, file: Path, command: str, read: Callable[[Path], T]) -> T | None:
        """A result of a command, which the list at the end then names."""
        result = self._read(file, read)
        if result is not None:
            self.sources[name] = (file, command)
        return result

    def _augmentations(self, folder: Path, name: str) -> RankingReport | None:
        return self._result(
            name, folder / "augmentations.json", "eyeshot rank augmentations",
            lambda file: RankingReport.model_validate_json(file.read_bytes()),
        )  # fmt: skip

    def _unread(self, runs: Path) -> list[str]:
        """Folders of runs whose record cannot be read; a note names them."""
        names = sorted({file.parent.name for file in runs.glob(f"*/{RECORD_FILE}")} - self.runs.keys())
        if names:
            self.notes.append(
                self.say(
                    f"{RECORD_FILE} of {plural(len(names), 'the run', 'the runs')} {listing(names)} in {runs} is "
                    "damaged or was written by another version, and is left out. Restore it, or train anew.",
                    f"{runs}: 실행 {len(names):,}건({listing(names)})의 {RECORD_FILE}이 손상되었거나 다른 버전에서 "
                    "작성되어 제외함. 복원하거나 다시 학습 필요.",
                )
            )
        return names

    def _read(self, file: Path, read: Callable[[Path], T]) -> T | None:
        if not file.is_file():
            return None
        try:
            return read(file)
        except (ValidationError, InputError, StorageError, OSError, UnicodeDecodeError):
            name = file.relative_to(self.workspace.project) if file.is_relative_to(self.workspace.project) else file
            self.notes.append(
                self.say(
                    f"{name} is damaged or was written by another version, and is left out. Make it anew.",
                    f"{name}: 손상되었거나 다른 버전에서 작성되어 제외함. 다시 생성 필요.",
                )
            )
            return None

    @property
    def empty(self) -> bool:
        """Nothing was done in this project that a report could tell."""
        read = (self.audit, self.split, self.models, self.augmentations, self.optimizers, self.errors)
        return not (
            self.experiments
            or self.runs
            or self.unread_runs
            or self.decisions
            or self.submissions
            or any(map(bool, read))
        )

    @property
    def authors(self) -> list[str]:
        """Everybody who made an experiment or a decision, wrote or did something about one, or whom a text is about."""
        names = [experiment.author for experiment in self.experiments if experiment.author_kind != "sweep"]
        names += [decision.author for decision in self.decisions]
        for experiment in self.experiments:
            for insight in experiment.insights:
                names += [insight.author, *(action.get("author", "") for action in insight.actions)]
        names += [*self._writers.values(), *(person for _, person in self.texts)]
        return sorted({name for name in names if name})

    def writer(self, experiment: Experiment, field: WrittenField) -> str:
        """Who wrote a field of an experiment, which need not be the experiment's author; empty if it is not known."""
        return self._writers.get((experiment.id, field), "")

    def decided_since(self, moment: datetime) -> int:
        """How many decisions were made or undone after a moment."""
        return sum(time > moment for time in self._decided)

    def words_of(self, name: str) -> int:
        """How often a person's words stand in what an experiment taught, or why it came so."""
        return sum(writer == name for writer in self._writers.values())

    def signed(self, experiment: Experiment, field: WrittenField) -> str:
        """The words in a field of an experiment, and who wrote them."""
        name = self.writer(experiment, field)
        words: str = getattr(experiment, field)
        return f"{words} ({name})" if name else words

    def number(self, experiment: str) -> str:
        """What the report calls an experiment: "E7"; its id where it is not in the ledger."""
        return self._numbers.get(experiment, experiment)

    def link(self, experiment: str) -> Link:
        """Leads to an experiment in the list at the end."""
        return {"text": self.number(experiment), "anchor": anchor_of("experiment", experiment)}

    def links(self, experiments: Iterable[str | None]) -> list[Link]:
        """Leads to those of these experiments that are in the ledger."""
        return [self.link(name) for name in dict.fromkeys(experiments) if name in self._numbers]

    def has_run(self, run: str) -> bool:
        """Whether a run has a folder in the project, so that the list at the end names it."""
        return run in self.runs or run in self.unread_runs

    def run_links(self, runs: Iterable[str]) -> list[Link]:
        """Leads to those of these runs that have a folder in the project."""
        return [{"text": run, "anchor": anchor_of("run", run)} for run in dict.fromkeys(runs) if self.has_run(run)]

    def result_links(self, name: str) -> list[Link]:
        """Leads to a result of a command in the list at the end, if it was read."""
        return (
            [{"text": self.sources[name][0].name, "anchor": anchor_of("result", name)}] if name in self.sources else []
        )

    def sent_links(self, submissions: Iterable[Submission]) -> list[Link]:
        """Leads to submissions in their table, which names the run of each that has one."""
        return [{"text": each.name, "anchor": anchor_of("submission", each.content)} for each in submissions]

    def has_text(self, field: Field, person: str = "") -> bool:
        """Whether somebody wrote a field."""
        return (field, person) in self.texts

    def written(self, field: Field, person: str = "") -> list[Block]:
        """What a person wrote, with the name, or that it is missing and how to write it."""
        text = self.texts.get((field, person))
        question = self.say(*QUESTIONS[field])
        if text is not None:
            own = text["author"] == person
            words = quoted(text["text"] if own else f"{text['text']} ({text['author']})")
            return [{**line, "field": field, "person": person} for line in words]
        about = f" --person {shlex.quote(person)}" if person else ""
        command = f'eyeshot write {field} "…"{about}'
        self.missing.append({"field": field, "person": person, "question": question, "command": command})
        return [{**self._gap(question, command), "field": field, "person": person}]

    def ask(self, field: str, question: str, command: str, experiment: str, *, insight: str = "") -> Block:
        """A question about an experiment, or about an insight of it, that nobody has answered yet."""
        self.missing.append({"field": field, "person": "", "question": question, "command": command})
        gap: Paragraph = {**self._gap(question, command), "field": field, "experiment": experiment}
        return {**gap, "insight": insight} if insight else gap

    def _gap(self, question: str, command: str) -> Paragraph:
        return paragraph(self.say(f"Not written yet: {question}", f"미작성: {question}"), "missing", command=command)
