"""`eyeshot.submit()`: what was sent and what came back, and what is known of a submission before it is sent."""

from __future__ import annotations

import math
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import BaseModel, ConfigDict

from eyeshot.core import InputError, find_project, find_workspace, listing, percent, plural, points, wilson
from eyeshot.ledger.runs import list_runs
from eyeshot.predictions import (
    FILE_ENDINGS,
    SUBMISSIONS_FILE,
    SUBMISSIONS_FOLDER,
    Submission,
    append_submission,
    difference_noise,
    equal_answers,
    form_differences,
    keep_answers,
    kept_answers,
    merged,
    public_count,
    read_submissions,
    right_bounds,
    right_counts,
    score_noise,
)


class SubmissionComparison(BaseModel):
    """A submission beside an earlier one.

    Attributes:
        name, content: of the earlier one.
        n: images of both.
        equal: how many of them have the same answer.
        score: of the earlier one; null where none came back.
        low, high: bounds on the score that follow from that of the earlier one alone; null without one.
        difference: score less the earlier score; null unless both are known.
        noise: half the 95 % interval of such a difference, at most, on the public images.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    content: str
    n: int
    equal: int
    score: float | None = None
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    noise: float

    @property
    def agreement(self) -> float:
        """Share of images with the same answer."""
        return self.equal / self.n


class SubmissionReport(BaseModel):
    """What is known of a submission, or of all.

    Attributes:
        version: of this form.
        answer: the result in a sentence.
        next_step: the command that helps most.
        submission: the one that was given; null for a list.
        comparisons: of it with each earlier one of the same images, the most similar first.
        low, high: bounds on its score from all earlier scores together; null without one.
        noise: half the 95 % interval of its score, or of a score like those before, on the public images; null where
            nothing says how high it is.
        public: images that scores are computed on, as assumed; null for a list.
        public_share: their share as it was said last; null where it was not.
        assumption: what the bounds and the noise rest on.
        submissions: all that are stored, in order of time, with the latest that is known of each.
        gap, gap_low, gap_high: mean score less validation accuracy of the scored submissions whose run is known, with
            its 95 % interval; null without one.
        gap_runs: how many these are.
        warnings: what should be acted on.
        notes: what was left out, in sentences.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    answer: str
    next_step: str
    submission: Submission | None = None
    comparisons: tuple[SubmissionComparison, ...] = ()
    low: float | None = None
    high: float | None = None
    noise: float | None = None
    public: int | None = None
    public_share: float | None = None
    assumption: str = ""
    submissions: tuple[Submission, ...] = ()
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    gap_runs: int = 0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def submit(
    file: str | Path | None = None,
    *,
    score: float | str | None = None,
    public_share: float | None = None,
    run: str | Path | None = None,
    note: str = "",
) -> SubmissionReport:
    """Record a submission and, once it is known, its score; compare it with earlier ones before it is sent.

    Args:
        file: the submission; a file that is gone may be named by its name or the beginning of its content hash. None:
            list all submissions.
        score: accuracy on the leaderboard, from 0 to 1; as text it keeps its decimals, which say how it was rounded.
        public_share: share of the test images that the leaderboard's score is computed on, above 0; None: as with the
            submissions before, or all.
        run: that made it: an id, its beginning, a folder, or a file of predictions. None: as `eyeshot predict` knows.
        note: free text.

    Returns:
        agreement with earlier submissions, bounds on the score, how far noise reaches, and all submissions.

    Raises:
        InputError: the file is no submission, or a number is out of its range.
        StorageError: the log cannot be written.
    """
    value, digits = _checked_score(score)
    _check_share(public_share)
    workspace = find_workspace()
    log, folder = workspace.project / SUBMISSIONS_FILE, workspace.results(SUBMISSIONS_FOLDER)
    stored, bad = read_submissions(log)
    notes = list(bad)
    if file is None:
        if (value, public_share, run) != (None, None, None) or note:
            raise InputError("--score, --public-share, --run and --note belong to a submission, got no FILE. Name it.")
        return _listed(stored, notes)
    # A name that cannot be resolved is refused before anything is kept, and "latest" is another run tomorrow.
    named = None if run is None else _made_by(run, notes, needed=True)
    line = _line_of(Path(file), stored, folder, run="" if named is None else str(named["run"]))
    news = line.model_copy(update={"score": value, "digits": digits, "public_share": public_share, "note": note})
    before = next((each for each in stored if each.content == line.content), None)
    if named is not None:
        news = news.model_copy(update=named)
    elif line.run and (before is None or not before.run):
        news = news.model_copy(update=_made_by(line.run, notes, needed=False))
    current = merged(before, Submission.model_validate(news.model_dump(exclude_none=True)))
    misfits = _misfits(Path(file)) if current.score is None else []
    if before is None or current != before:
        append_submission(log, news)
    others = [each for each in stored if each.content != current.content]
    report = _compared(current, others, [*others, current], folder, notes, scored_now=value is not None)
    return report.model_copy(update={"warnings": (*misfits, *report.warnings)})


# Input ---------------------------------------------------------------------------------------------------------------
def _checked_score(score: float | str | None) -> tuple[float | None, int | None]:
    if score is None:
        return None, None
    text = str(score).strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if 1 < value <= 100:
        raise InputError(
            f"--score must be an accuracy from 0 to 1, got {text}, which looks like percent. Did you mean "
            f"--score {value / 100:.6g}?"
        )
    if not 0 <= value <= 1:
        raise InputError(f"--score must be an accuracy from 0 to 1, got {text!r}.")
    mantissa, _, exponent = text.lower().partition("e")
    return value, max(0, len(mantissa.partition(".")[2]) - int(exponent or 0))


def _check_share(share: float | None) -> None:
    if share is None or 0 < share <= 1:
        return
    meant = f" Did you mean --public-share {share / 100:g}?" if 1 < share <= 100 else ""
    raise InputError(f"--public-share must be above 0 and at most 1, got {share:g}.{meant}")


def _misfits(file: Path) -> list[str]:
    """What of a file that was not sent yet does not fit the project's sample submission, in sentences."""
    answers = find_project().submission
    if "file" not in answers or not file.is_file() or not Path(answers["file"]).is_file():
        return []
    found = form_differences(file, Path(answers["file"]), answers.get("id_column"))
    if found:
        found.append(
            "The competition may refuse it. Write it in the form of the sample: eyeshot predict RUN --out FILE"
        )
    return found


def _line_of(file: Path, stored: list[Submission], folder: Path, *, run: str) -> Submission:
    if file.is_file():
        return keep_answers(file, folder, run=run)
    named = [each for each in stored if str(file) == each.name or each.content.startswith(str(file))]
    if not named:
        raise InputError(f"FILE must be a submission, got {str(file)!r}, which is no file and none that was recorded.")
    if len(named) > 1:
        raise InputError(
            f"{len(named)} recorded submissions are called {str(file)!r}: "
            f"{', '.join(each.content[:8] for each in named)}. Give the one that is meant by these letters."
        )
    return Submission.model_validate({**named[0].model_dump(include={"time", "content", "name", "n", "images", "run"})})


def _made_by(run: str | Path, notes: list[str], *, needed: bool) -> dict[str, object]:
    """The run of a submission, and its validation accuracy."""
    from eyeshot.ledger.run_predictions import find_predictions  # it loads torch, which takes seconds

    try:
        predictions = find_predictions(run)
    except InputError as error:
        if needed:
            raise
        notes.append(f"The validation accuracy of {str(run)!r} is not known. {error}")
        return {"run": str(run)}
    validation = predictions.accuracy()
    if validation.n == 0:
        notes.append(f"{str(run)!r} has no labels, so it says nothing of validation.")
    name = str(run) if Path(run).suffix.lower() in FILE_ENDINGS else predictions.run
    return {"run": name, "validation": validation if validation.n else None}


# One submission ------------------------------------------------------------------------------------------------------
def _compared(
    current: Submission,
    others: list[Submission],
    all_of_them: list[Submission],
    folder: Path,
    notes: list[str],
    *,
    scored_now: bool,
) -> SubmissionReport:
    share = _public_share(all_of_them)
    count = public_count(current.n, share)
    own = kept_answers(folder, current.content, current.n)
    comparisons: list[SubmissionComparison] = []
    bounds = (0, count)
    uncompared, lost, misfits = 0, 0, 0
    for other in others:
        answers = None if own is None else kept_answers(folder, other.content, other.n)
        if other.images != current.images:
            uncompared += 1
            continue
        if own is None or answers is None:
            lost += 1
            continue
        if not set(own[1]) & set(answers[1]):
            uncompared += 1
            continue
        equal = equal_answers(own, answers)
        low = high = difference = None
        if other.score is not None:
            right = right_counts(other.score, other.digits or 0, count)
            if right is None:
                misfits += 1
                right = (math.floor(other.score * count), math.ceil(other.score * count))
            few, many = right_bounds(right, count, current.n, current.n - equal)
            bounds = (max(bounds[0], few), min(bounds[1], many))
            low, high = few / count, many / count
            difference = None if current.score is None else current.score - other.score
        comparisons.append(
            SubmissionComparison(
                name=other.name, content=other.content, n=current.n, equal=equal, score=other.score, low=low, high=high,
                difference=difference, noise=difference_noise(1 - equal / current.n, difference or 0.0, count),
            )
        )  # fmt: skip
    comparisons.sort(key=lambda each: -each.equal)
    if uncompared:
        notes.append(
            f"{uncompared} earlier {plural(uncompared, 'submission')} of other images or with other label spellings "
            f"{plural(uncompared, 'is', 'are')} not compared."
        )
    if lost:
        notes.append(f"The answers of {lost} {plural(lost, 'submission')} are lost: {str(folder)!r} has no copy.")
    if misfits:
        notes.append(
            f"{misfits} earlier {plural(misfits, 'score')} cannot come from {count} images: is --public-share right?"
        )
    scored = [each for each in comparisons if each.score is not None]
    contradiction = bounds[0] > bounds[1]
    if contradiction:
        notes.append(
            "The earlier scores contradict each other: no answers to the public images give all of them. Check the "
            "scores and --public-share, and whether the score is an accuracy."
        )
    known = bool(scored) and not contradiction
    low, high = (bounds[0] / count, bounds[1] / count) if known else (None, None)
    level = _level(current, low, high)
    noise = None if level is None else score_noise(level, count)
    fields = _gap_of(all_of_them)
    return SubmissionReport(
        answer=_answer(current, comparisons, low, high, noise, count, scored_now),
        next_step="eyeshot submit" + ("" if current.score is not None else f" {quote(current.name)} --score SCORE"),
        submission=current,
        comparisons=tuple(comparisons),
        low=low,
        high=high,
        noise=noise,
        public=count,
        public_share=share,
        assumption=_assumption(share, count, current.n),
        submissions=tuple(all_of_them),
        notes=tuple(notes),
        **fields,
    )


def _level(current: Submission, low: float | None, high: float | None) -> float | None:
    """The score that the noise is computed at: its own, the middle of the bounds, or that of validation."""
    if current.score is not None:
        return current.score
    if low is not None and high is not None:
        return (low + high) / 2
    return None if current.validation is None else current.validation.value


def _assumption(share: float | None, count: int, n: int) -> str:
    part = (
        f"all {n:,} images, because no --public-share is known"
        if share is None
        else f"all {n:,} images"
        if count == n
        else f"{count:,} of {n:,} images ({percent(share)}), drawn at random"
    )
    return f"The score is the accuracy on {part}."


def _answer(
    current: Submission,
    comparisons: list[SubmissionComparison],
    low: float | None,
    high: float | None,
    noise: float | None,
    count: int,
    scored_now: bool,
) -> str:
    reach = "" if noise is None else f" Noise reaches {points(noise)} to either side on {count:,} public images."
    scored = [each for each in comparisons if each.score is not None]
    if current.score is not None:
        begin = f"{'Recorded' if scored_now else 'On record:'} {current.score:g} for {current.name}."
        return begin + _told_apart(scored) + reach
    same = next((each for each in comparisons if each.equal == each.n), None)
    if same is not None:
        result = "" if same.score is None else f", whose score is {same.score:g}"
        return f"{current.name} has the same answers as {same.name}{result}: sending it tells nothing new."
    if scored and low is not None and high is not None:
        near = scored[0]
        return (
            f"{current.name} agrees with {near.name} ({near.score:g}) on {percent(near.agreement, 1)} of {near.n:,} "
            f"images; its score lies between {low:.4f} and {high:.4f} by the "
            f"{plural(len(scored), 'score')} so far.{reach}"
        )
    if comparisons:
        near = comparisons[0]
        return (
            f"{current.name} agrees with {near.name} on {percent(near.agreement, 1)} of {near.n:,} images; no earlier "
            f"score bounds its own.{reach}"
        )
    return f"{current.name} is recorded, {current.n:,} rows: no earlier submission to compare it with.{reach}"


def _told_apart(scored: list[SubmissionComparison]) -> str:
    """From which earlier scores this one differs by more than noise, in a sentence."""
    by_words: dict[str, list[str]] = {"better than": [], "worse than": [], "not distinguishable from": []}
    for each in scored:
        difference = each.difference or 0.0
        apart = abs(difference) > each.noise
        words = "not distinguishable from" if not apart else "better than" if difference > 0 else "worse than"
        by_words[words].append(f"{each.name} ({each.score:g})")
    parts = [f"{words} {listing(names, most=3)}" for words, names in by_words.items() if names]
    return f" It is {'; '.join(parts)}." if parts else ""


# All -----------------------------------------------------------------------------------------------------------------
def _listed(stored: list[Submission], notes: list[str]) -> SubmissionReport:
    scored = [each for each in stored if each.score is not None]
    if not stored:
        return SubmissionReport(
            answer="No submission is recorded yet.", next_step="eyeshot submit submission.csv", notes=tuple(notes)
        )  # fmt: skip
    fields = _gap_of(stored)
    gap = fields["gap"]
    best = max(scored, key=lambda each: each.score or 0.0, default=None)
    answer = f"{len(stored)} {plural(len(stored), 'submission')}, {len(scored)} with a score"
    answer += "." if best is None else f"; the best is {best.score:g} ({best.name})."
    if gap is not None:
        answer += (
            f" The leaderboard is {points(abs(gap))} {'below' if gap < 0 else 'above'} validation "
            f"({100 * fields['gap_low']:+.1f} to {points(fields['gap_high'])}; {fields['gap_runs']} "
            f"{plural(fields['gap_runs'], 'submission')})."
        )
    step = "eyeshot audit" if fields["warnings"] else _step_after(stored)
    return SubmissionReport(
        answer=answer,
        next_step=step,
        submissions=tuple(stored),
        notes=tuple(notes),
        public_share=_public_share(stored),
        **fields,
    )


def _step_after(stored: list[Submission]) -> str:
    """The score that is missing, or, where all are known, what makes the next submission better."""
    waiting = next((each for each in stored if each.score is None), None)
    if waiting is not None:
        names = [each.name for each in stored]
        name = waiting.name if names.count(waiting.name) == 1 else waiting.content[:8]
        return f"eyeshot submit {quote(name)} --score SCORE"
    trained = any(record.kind == "train" for record in list_runs(find_workspace().results("runs")))
    return "eyeshot errors" if trained else "eyeshot train"


def _public_share(submissions: list[Submission]) -> float | None:
    """The latest that was said: a leaderboard has one."""
    return next((each.public_share for each in reversed(submissions) if each.public_share is not None), None)


def _gap_of(submissions: list[Submission]) -> dict[str, Any]:
    """Mean of score less validation accuracy, its interval, and what it warns of.

    The interval of one difference is that of Newcombe, Statistics in Medicine 17 (1998), p. 873, method 10. Submissions
    share their images, so the widths are averaged: the standard error of a mean is at most the mean of the errors,
    however the values go together.
    """
    share = _public_share(submissions)
    differences, below, above = [], [], []
    for each in submissions:
        if each.score is None or each.validation is None or each.validation.interval is None:
            continue
        count = public_count(each.n, share)
        validation, (low, high) = each.validation.value or 0.0, each.validation.interval
        score_low, score_high = wilson(round(each.score * count), count)
        differences.append(each.score - validation)
        below.append(math.hypot(each.score - score_low, high - validation))
        above.append(math.hypot(score_high - each.score, validation - low))
    if not differences:
        return {"gap": None, "gap_low": None, "gap_high": None, "gap_runs": 0, "warnings": ()}
    number = len(differences)
    gap = sum(differences) / number
    gap_low, gap_high = gap - sum(below) / number, gap + sum(above) / number
    warnings: tuple[str, ...] = ()
    if gap_high < 0 or gap_low > 0:
        worse = "lower" if gap < 0 else "higher"
        ends = sorted((abs(gap_low), abs(gap_high)))
        warnings = (
            f"The leaderboard is {worse} than validation by {points(abs(gap))} ({points(ends[0])} to "
            f"{points(ends[1])}), more than noise: validation and test images differ, or "
            "validation images have copies among the training images. See eyeshot audit for both, and "
            "eyeshot rank augmentations for what brings training closer to the test images.",
        )
    return {"gap": gap, "gap_low": gap_low, "gap_high": gap_high, "gap_runs": number, "warnings": warnings}
