"""`eyeshot.predict()`: probabilities of finished runs on the test images, once per run and set of images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from eyeshot.core import (
    InputError,
    Progress,
    StorageError,
    check_file,
    find_project,
    find_workspace,
    listing,
    make_folder,
    paired_difference,
    plural,
    points,
    shown_progress,
)
from eyeshot.data import ImageTable, load_dataset, read_images
from eyeshot.ledger.ensemble_folder import EnsembleReport, combine_members, mean_of, read_ensemble
from eyeshot.ledger.runs import find_run, logged_recipe
from eyeshot.models import choose_device
from eyeshot.predictions import (
    FILE_ENDINGS,
    SOUPS,
    SUBMISSIONS_FOLDER,
    Accuracy,
    Predictions,
    SubmissionPlan,
    TargetEstimate,
    align,
    check_probabilities,
    check_submission_output,
    estimate_target_accuracy,
    keep_answers,
    load_predictions,
    plan_submission,
    read_predictions,
    write_submission,
)
from eyeshot.training import VALIDATION_FILE, FinishedRun, check_views, read_validation

PREDICTIONS_FOLDER = "predictions"


class ViewEffect(BaseModel):
    """What one view of test-time augmentation changes on the run's validation images.

    Attributes:
        view: its name.
        difference: accuracy of the mean with and without this view, less accuracy without any; a share.
        low, high: its 95 % interval.
        used: whether the test images are predicted with it; left out where it is worse by more than noise.
    """

    model_config = ConfigDict(frozen=True)

    view: str
    difference: float
    low: float
    high: float
    used: bool


class PredictedRun(BaseModel):
    """Predictions of one run on one set of images.

    Attributes:
        run: id of the run.
        file: where they are, an npz file.
        split: which images these are.
        n: how many.
        made: False: they were there already, for the same weights and images.
        validation: accuracy of the run on its validation images, with the views that are used.
        views: each view asked for, compared on the validation images.
        cost: forward passes an image; 1 without test-time augmentation.
        estimate: estimated accuracy on the predicted images, without their labels; null where the project's rules do
            not allow to look at them so, or where nothing can be estimated.
        submission: the submission that was written; None where none was asked for.
        notes: what was left out, and how a submission was made, in sentences.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    file: Path
    split: str
    n: int
    made: bool
    validation: Accuracy
    views: tuple[ViewEffect, ...] = ()
    cost: int = 1
    estimate: TargetEstimate | None = None
    submission: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The answer in a sentence."""
        done = "Predicted" if self.made else "Already predicted"
        return f"{done} {self.n} {self.split} {plural(self.n, 'image')} with {self.run}."


def predict(
    runs: Sequence[str | Path] | str | Path,
    *,
    data: str | Path | None = None,
    tta: Sequence[str] = (),
    own: Sequence[str] = (),
    class_shares: str | None = None,
    submission: str | Path | None = None,
    out: str | Path | None = None,
    labels: str | Path | None = None,
    form_only: bool | None = None,
    force: bool = False,
    logits: bool = False,
    device: str | None = None,
    progress: Progress | bool | None = None,
) -> list[PredictedRun]:
    """Write the probabilities of finished runs on images, once per run and set of images; of one run, a submission too.

    Each view of `tta` is first compared on the run's validation images; a view that makes them worse by more than noise
    is left out. The members of an ensemble are predicted first, where that has not been done.

    Args:
        runs: ids, beginnings of ids, or folders; for a submission one of these, or a .csv, .tsv or .npz file of
            predictions.
        data: folder of images; None: the project's test images.
        tta: views whose probabilities are averaged with those of the image as it is: hflip, vflip, rot90, rot180,
            rot270, scale.
        own: for members of an ensemble that are files of the user's own, "NAME=FILE" with their predictions of these
            images.
        class_shares: how often classes occur among these images, for the estimate of accuracy on them: "even", or
            None: as among the run's validation images.
        submission: sample submission of the competition: its columns, spelling of ids and labels, and order are those
            of the file to write. None: that of the project where `out` is given.
        out: the submission to write.
        labels: CSV with the names and the numbers of the classes, if the competition asks for numbers; None: that of
            the run or the project.
        form_only: what to do if the sample names a part of the images: True: it shows the form, write all images;
            False: write its rows; None: refuse.
        force: write over `out` if it is there.
        logits: the file of predictions, and those of `own`, hold scores before softmax.
        device: cuda, mps or cpu; None: the fastest there is.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Returns:
        one record a run: where the predictions are, and what was compared.

    Raises:
        InputError: a run, a folder, a view or a sample submission cannot be used, or `out` exists.
        ModelError: the model of a run cannot be loaded.
        StorageError: the disk is full or a folder cannot be written.
    """
    names = [runs] if isinstance(runs, str | Path) else list(runs)
    if not names:
        raise InputError("At least one run is needed, got none. eyeshot train makes one.")
    check_views(tta)
    check_class_shares(class_shares)
    sample = _checked_sample(names, submission, out, force) if submission is not None or out is not None else None
    labels = None if labels is None else check_file(labels, "--labels")
    if sample is not None and Path(names[0]).suffix.lower() in FILE_ENDINGS:
        if data is not None or tta:
            raise InputError(
                f"A file of predictions is used as it is, got {str(names[0])!r} with {'--data' if data else '--tta'}. "
                "Leave it out."
            )
        return [_submit_file(Path(names[0]), sample, out, logits=logits, labels=labels, form_only=form_only)]
    folders = [find_run(find_workspace().results("runs"), name) for name in names]
    source = find_project().value("test", data, needed="The images to predict must be a folder")
    split = _split_name(Path(source))
    chosen_device, _ = choose_device(device)
    own_files = _own_files(own)
    loaded: dict[Path, FinishedRun | EnsembleReport | Predictions] = {}
    for folder in folders:
        _load(folder, loaded, own_files, chosen_device, split)
    cache = find_workspace().cache
    with shown_progress(progress) as shown:
        images = read_images(Path(source), labelled=False, cache=cache, progress=shown.sub("reading test files"))
        plan = None
        if sample is not None:  # what is wrong with it is said before the forward passes
            trained = [run.result.data.get("labels") for run in loaded.values() if isinstance(run, FinishedRun)]
            run_labels = next(iter(trained), None)
            classes = read_validation(folders[0]).classes
            try:
                plan = _plan(sample, images.ids, classes, run_labels=run_labels, labels=labels, form_only=form_only)
            except InputError as error:
                if not images.skipped:
                    raise
                unread = listing([f"{Path(each.path).name} ({each.reason})" for each in images.skipped], most=3)
                raise InputError(f"{error} Files that cannot be read are no images: {unread}.") from error
        predicted: dict[Path, PredictedRun] = {}
        for number, (folder, run) in enumerate(loaded.items(), 1):
            steps = shown.sub(f"run {number} of {len(loaded)}") if len(loaded) > 1 else shown
            if isinstance(run, FinishedRun):
                predicted[folder] = _predict_run(run, images, split, tta, class_shares, cache, steps)
            elif isinstance(run, Predictions):
                predicted[folder] = _logged(folder, run, split, class_shares)
            else:
                predicted[folder] = _predict_ensemble(
                    folder, run, predicted, own_files, split, tta, class_shares, logits=logits
                )
        records = [predicted[folder.resolve()] for folder in folders]
        if plan is None:
            return records
        assert out is not None
        return [_written(records[0], plan, load_predictions(records[0].file), Path(out), made_by=records[0].run)]


def _split_name(source: Path) -> str:
    """The name of the images in a folder: "test" for the project's test images, and for no others if there are some."""
    place, own = source.resolve(), find_project().data.get("test")
    if own is not None and Path(own).resolve() == place:
        return "test"
    if place.name == "validation" or (place.name == "test" and own is not None):
        return f"{place.parent.name}-{place.name}"
    return place.name


def find_predictions(name: str | Path, split: str = "validation", *, logits: bool = False) -> Predictions:
    """Predictions by the id of a run, its folder, or a file of the user's own.

    Args:
        name: a run or a .csv, .tsv or .npz file.
        split: "validation", "test" or the name of a folder that was predicted.
        logits: a file of the user's own holds scores before softmax.

    Raises:
        InputError: there are none; the message names the command that makes them.
        StorageError: they are damaged.
    """
    if Path(name).suffix.lower() in FILE_ENDINGS:
        return read_predictions(Path(name), logits=logits)
    folder = find_run(find_workspace().results("runs"), name)
    if split == "validation":
        if not (folder / VALIDATION_FILE).is_file():
            raise InputError(f"The run {folder.name!r} is not finished: it has no {VALIDATION_FILE}.")
        return replace(read_validation(folder), run=folder.name)
    # After a plus come views. A pattern "test*" would also find the folder "test-old", and names may hold brackets.
    made = [
        file for file in (folder / PREDICTIONS_FOLDER).glob("*.npz")
        if file.stem == split or file.stem.startswith(f"{split}+")
    ]  # fmt: skip
    made.sort(key=lambda file: file.stat().st_mtime)
    if not made:
        what = "the test images" if split == "test" else repr(split)
        raise InputError(f"The run {folder.name!r} has not predicted {what}. Next: eyeshot predict {folder.name}")
    return load_predictions(made[-1])


def check_class_shares(class_shares: str | None) -> None:
    """Refuse shares of classes that have no name, before long work.

    Raises:
        InputError: neither "even" nor None.
    """
    if class_shares not in (None, "even"):
        raise InputError(
            f"--class-shares must be even, got {class_shares!r}. Leave it out for shares as among the validation "
            "images; eyeshot.estimate_target_accuracy takes any shares."
        )


def estimate_on(target: Predictions, validation: Predictions, class_shares: str | None = None) -> TargetEstimate | None:
    """The estimated accuracy of a run on target images; None where there is one class or no image."""
    if len(target.classes) < 2 or not len(target):
        return None
    labelled = validation.labels is not None and bool((validation.labels >= 0).any())
    return estimate_target_accuracy(target, validation=validation if labelled else None, class_shares=class_shares)


def stored_estimate(run: str | Path, class_shares: str | None = None) -> TargetEstimate | None:
    """The estimated accuracy of a run on the test images, from what it has stored; None where `stored_test` is."""
    test = stored_test(run)
    try:
        return None if test is None else estimate_on(test, find_predictions(run), class_shares)
    except (InputError, StorageError):
        return None


def stored_test(run: str | Path) -> Predictions | None:
    """What a run has stored of the test images, where it may be looked at.

    None where the rules forbid it, where the run has not predicted them or the file is damaged or holds NaN, so that it
    has to be predicted again, and for a file of the user's own, which holds one set of images.
    """
    if Path(run).suffix.lower() in FILE_ENDINGS or not may_estimate():
        return None
    try:
        table = find_predictions(run, "test")
        check_probabilities(table.probabilities, name=table.run)
    except (InputError, StorageError):
        return None
    return table


def stored_tests(runs: Iterable[str | Path]) -> list[Predictions] | None:
    """What runs have stored of the same test images, aligned; None unless all have."""
    tables: list[Predictions] = []
    for run in runs:
        table = stored_test(run)
        if table is None:
            return None
        tables.append(table)
    try:
        return align(tables)
    except InputError:  # of images that have changed since
        return None


def may_estimate() -> bool:
    """Whether the project's rules allow to look at what its test images are like."""
    try:
        find_project().check_use("features", "The estimate of accuracy on the test images")
    except InputError:
        return False
    return True


def _checked_sample(
    names: Sequence[str | Path], submission: str | Path | None, out: str | Path | None, force: bool
) -> Path:
    """The sample submission, if a submission can be written."""
    if len(names) > 1:
        raise InputError(
            f"A submission is made of one run or ensemble, got {len(names)} runs. Make an ensemble of them first: "
            f"eyeshot ensemble {' '.join(map(str, names))}"
        )
    named = submission if submission is not None else find_project().submission.get("file")
    if named is None:
        raise InputError(
            "--out needs a sample submission of the competition, got none, and eyeshot.toml names none under "
            "[submission]. Name it: --submission SAMPLE.csv"
        )
    sample = check_file(named, "--submission")
    if out is None:
        raise InputError("--submission needs a file to write, got none. Name it: --out submission.csv")
    check_submission_output(Path(out), sample, force=force)
    return sample


def _plan(
    sample: Path, images: Sequence[str], classes: Sequence[str], *, labels: Path | None, run_labels: object,
    form_only: bool | None,
) -> SubmissionPlan:  # fmt: skip
    known = run_labels if isinstance(run_labels, str) else find_project().data.get("labels")
    usual = Path(known) if known is not None and Path(known).is_file() else None
    return plan_submission(
        sample, images, classes, labels=labels or usual, needs_labels=labels is not None, form_only=form_only
    )


def _submit_file(
    file: Path, sample: Path, out: str | Path | None, *, logits: bool, labels: Path | None, form_only: bool | None
) -> PredictedRun:
    table = read_predictions(file, logits=logits)
    plan = _plan(sample, table.ids, table.classes, labels=labels, run_labels=None, form_only=form_only)
    record = PredictedRun(
        run=table.run, file=file, split="test", n=len(table), made=False, validation=table.accuracy()
    )  # fmt: skip
    assert out is not None
    return _written(record, plan, table, Path(out), made_by=str(file))


def _written(
    record: PredictedRun, plan: SubmissionPlan, predictions: Predictions, out: Path, *, made_by: str
) -> PredictedRun:
    """Write the submission, and say in the record how."""
    over = [f"{out} was there and has been written over (--force)."] if out.exists() else []
    write_submission(plan, predictions, out)
    with suppress(InputError):  # so that `eyeshot submit` knows what made the file; it may not be able to read the form
        keep_answers(out, find_workspace().results(SUBMISSIONS_FOLDER), run=made_by)
    done = f"Wrote {out}: {len(plan.rows)} {plural(len(plan.rows), 'row')} in the form of {plan.sample.name}."
    return record.model_copy(update={"submission": out, "notes": (*record.notes, *over, *plan.notes, done)})


def _own_files(own: Sequence[str]) -> dict[str, Path]:
    """Files by the name of the member, from "NAME=FILE"."""
    files = {}
    for text in own:
        name, equals, file = text.partition("=")
        if not equals or not name or not Path(file).is_file():
            raise InputError(f"--own takes NAME=FILE with a file that exists, got {text!r}.")
        files[name] = Path(file)
    return files


def _load(
    folder: Path,
    loaded: dict[Path, FinishedRun | EnsembleReport | Predictions],
    own_files: Mapping[str, Path],
    device: Any,
    split: str,
) -> None:
    """Put the run into `loaded`, after the members that it combines."""
    folder = folder.resolve()
    if folder in loaded:
        return
    report = read_ensemble(folder)
    if report is None and logged_recipe(folder)[0] is not None:
        try:
            loaded[folder] = find_predictions(folder, split)
        except InputError as error:
            raise InputError(
                f"{folder.name!r} was logged: eyeshot has its predictions and not its network. Log it with those of "
                "the test images too: eyeshot log --test-predictions FILE."
            ) from error
        return
    if report is None:
        loaded[folder] = FinishedRun(folder, device=device)
        return
    runs = find_workspace().results("runs")
    if report.method in SOUPS:
        run = loaded[folder] = FinishedRun(find_run(runs, report.used[0].parts[0]), device=device, weights=[folder])
        run.folder = folder  # one network, which predicts like a run of its own
        return
    for member in report.used:
        if member.own and member.name not in own_files:
            raise InputError(
                f"The ensemble {report.run} combines {member.name!r}, a file of your own. Give its predictions of "
                f"these images with --own {member.name}=FILE."
            )
        for part in () if member.own else member.parts:
            _load(find_run(runs, part), loaded, own_files, device, split)
    loaded[folder] = report


def _predict_ensemble(
    folder: Path,
    report: EnsembleReport,
    predicted: Mapping[Path, PredictedRun],
    own_files: Mapping[str, Path],
    split: str,
    tta: Sequence[str],
    class_shares: str | None,
    *,
    logits: bool,
) -> PredictedRun:
    """Combine what the members predict; they are in `predicted` already."""
    validation = read_validation(folder)
    parts = {
        member.name: [predicted[find_run(find_workspace().results("runs"), part).resolve()] for part in member.parts]
        for member in report.used
        if not member.own
    }
    tables = {name: [load_predictions(part.file) for part in runs] for name, runs in parts.items()}
    for member in report.used:
        if member.own:
            tables[member.name] = [read_predictions(own_files[member.name], classes=validation.classes, logits=logits)]
    table = combine_members(report, tables, validation.classes, split=split)
    file, made = _keep(table, folder, [split, *tta])
    runs = [part for parts_of_member in parts.values() for part in parts_of_member]
    estimate, why_none = _allowed_estimate(table, validation, split, class_shares)
    views = [f"The members' weights were fitted without {listing(tta)}."] if tta else []
    return PredictedRun(
        run=report.run,
        file=file,
        split=split,
        n=len(table),
        made=made,
        validation=validation.accuracy(),
        cost=sum(part.cost for part in runs),
        estimate=estimate,
        notes=(*views, *why_none),
    )


def _logged(folder: Path, table: Predictions, split: str, class_shares: str | None) -> PredictedRun:
    """What a program of the user's own predicted of these images."""
    validation = read_validation(folder)
    estimate, why_none = _allowed_estimate(table, validation, split, class_shares)
    return PredictedRun(
        run=folder.name, file=folder / PREDICTIONS_FOLDER / f"{split}.npz", split=split, n=len(table), made=False,
        validation=validation.accuracy(), estimate=estimate, notes=tuple(why_none),
    )  # fmt: skip


def combine_stored(folder: Path, report: EnsembleReport, split: str) -> Predictions | None:
    """Predictions of the ensemble, stored, where all of its members have some of the same images already; else None."""
    if report.method in SOUPS or any(member.own for member in report.used):
        return None
    try:
        tables = {member.name: [find_predictions(part, split) for part in member.parts] for member in report.used}
        table = combine_members(report, tables, read_validation(folder).classes, split=split)
    except (InputError, StorageError):  # one has none, or of images that have changed since: predict makes them
        return None
    _keep(table, folder, [split])
    return table


def _keep(table: Predictions, folder: Path, words: Sequence[str]) -> tuple[Path, bool]:
    """The file of the predictions of an ensemble, and whether they had not been there."""
    file = folder / PREDICTIONS_FOLDER / f"{'+'.join(words)}.npz"
    stored = _stored(file)
    made = stored is None or stored.key != table.key
    if made:
        make_folder(file.parent)
        table.save(file)
    return file, made


def _predict_run(
    run: FinishedRun,
    images: ImageTable,
    split: str,
    tta: Sequence[str],
    class_shares: str | None,
    cache: Path,
    progress: Progress,
) -> PredictedRun:
    validation = replace(read_validation(run.folder), run=run.folder.resolve().name)
    effects: list[ViewEffect] = []
    if tta:
        validation, effects = _compare_views(run, validation, tta, cache, progress.sub("validation images"))
    used = [effect.view for effect in effects if effect.used]
    file = run.folder / PREDICTIONS_FOLDER / f"{'+'.join([split, *used])}.npz"
    notes = [
        f"{effect.view} lowers accuracy on the validation images by {points(-effect.difference)} "
        f"({points(-effect.high)} to {points(-effect.low)}): left out."
        for effect in effects
        if not effect.used
    ]
    if images.skipped:  # a sample submission may name them
        notes.append(
            f"{len(images.skipped)} {plural(len(images.skipped), 'file')} cannot be read and "
            f"{plural(len(images.skipped), 'has', 'have')} no prediction: "
            f"{listing([f'{Path(each.path).name} ({each.reason})' for each in images.skipped], most=3)}."
        )
    stored = _stored(file)
    key = run.key(images, used)
    made = stored is None or stored.key != key
    if made:
        if stored is not None:
            notes.append(
                f"The {split} images or the weights have changed since they were predicted: {len(stored)} images then, "
                f"{len(images)} now. Predicted again."
            )
        tables, skipped = run.predict(images, views=used, split=split, cache=cache, progress=progress)
        if skipped:
            notes.append(
                f"{len(skipped)} {plural(len(skipped), 'image')} cannot be decoded and have no prediction: "
                f"{listing([str(each.path) for each in skipped], most=3)}."
            )
        stored = replace(_mean(tables), key=key)
        make_folder(file.parent)
        stored.save(file)
    assert stored is not None
    estimate, why_none = _allowed_estimate(stored, validation, split, class_shares)
    return PredictedRun(
        run=run.folder.resolve().name,
        file=file,
        split=split,
        n=len(stored),
        made=made,
        validation=validation.accuracy(),
        views=tuple(effects),
        cost=1 + len(used),
        estimate=estimate,
        notes=(*notes, *why_none),
    )


def _allowed_estimate(
    predictions: Predictions, validation: Predictions, split: str, class_shares: str | None
) -> tuple[TargetEstimate | None, list[str]]:
    """The estimate on the predicted images, and a note where the project's rules forbid it on its test images."""
    if split != "test" or may_estimate():
        return estimate_on(predictions, validation, class_shares), []
    return None, [f"No estimate of accuracy on the test images. {find_project().rules()}"]


def _compare_views(
    run: FinishedRun, validation: Predictions, tta: Sequence[str], cache: Path, progress: Progress
) -> tuple[Predictions, list[ViewEffect]]:
    """Validation predictions with the views that are used, and the effect of each."""
    tables, _ = run.predict(
        validation_images(run, validation, cache, progress), views=tta, split="validation", cache=cache,
        progress=progress,
    )  # fmt: skip
    plain, effects = tables[0], []
    for name, table in zip(tta, tables[1:], strict=True):
        difference, (low, high) = paired_difference(_mean([plain, table]).right, plain.right)
        effects.append(ViewEffect(view=name, difference=difference, low=low, high=high, used=high >= 0))
    kept = [table for effect, table in zip(effects, tables[1:], strict=True) if effect.used]
    views = [effect.view for effect in effects if effect.used]
    together = replace(_mean([plain, *kept]), fold=validation.fold)
    if views:
        make_folder(run.folder / PREDICTIONS_FOLDER)
        together.save(run.folder / PREDICTIONS_FOLDER / f"{'+'.join(['validation', *views])}.npz")
    return together, effects


def validation_images(run: FinishedRun, validation: Predictions, cache: Path, progress: Progress) -> ImageTable:
    """The images of the run's validation file, as they lie on the disk now."""
    config = run.result.data_config
    if config is None:
        raise InputError(
            f"Test-time augmentation is compared on validation images, but {run.folder.name!r} does not say where they "
            "are. Leave --tta out."
        )
    dataset = load_dataset(config, cache=cache, progress=progress)
    rows = {image: row for row, image in enumerate(dataset.images.ids)}
    missing = [image for image in validation.ids if image not in rows]
    if missing:
        raise InputError(
            f"Test-time augmentation is compared on the run's {len(validation)} validation images, but {len(missing)} "
            f"are not there any more: {listing(missing, most=3)}. Put them back, or leave --tta out."
        )
    images = dataset.images.take([rows[image] for image in validation.ids])
    return images if set(run.result.classes) != set(images.classes) else images.with_classes(run.result.classes)


def _mean(tables: Sequence[Predictions]) -> Predictions:
    return tables[0] if len(tables) == 1 else replace(tables[0], probabilities=mean_of(tables))


def _stored(file: Path) -> Predictions | None:
    """The predictions in `file`; None where there are none, or damaged or not finite ones, which are made again."""
    try:
        table = load_predictions(file) if file.is_file() else None
        if table is not None:
            check_probabilities(table.probabilities, name=table.run)
    except (InputError, StorageError):
        return None
    return table
