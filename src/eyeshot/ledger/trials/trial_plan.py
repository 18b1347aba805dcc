"""What `eyeshot try` will train: the child's recipe, its difference to the parent, seeds and folds, and how long."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from eyeshot.core import InputError, Progress, Workspace, duration, find_project, plural
from eyeshot.data import Dataset, folds_of, load_dataset, project_data
from eyeshot.ledger.augmentation_names import chosen_augmentations
from eyeshot.ledger.judging.judgement import SEED, seed_of
from eyeshot.ledger.judging.noise import project_noise
from eyeshot.ledger.judging.verdicts import planned_looks, planned_rounds
from eyeshot.ledger.runs import record_of
from eyeshot.ledger.store.database import open_ledger
from eyeshot.ledger.store.records import Experiment
from eyeshot.ledger.training_runs import place_training
from eyeshot.ledger.trials.parents import check_validation, trained_parent
from eyeshot.ledger.trials.training_settings import (
    Settings,
    changed,
    data_of,
    difference_of,
    load_model,
    plan_of,
    settings_of,
    settings_of_plan,
)
from eyeshot.training import (
    VALIDATION_FILE,
    TrainPlan,
    TrainResult,
    estimate_training,
    plan_training,
    read_result,
    read_validation,
)

MOST_SEEDS_UNTIL_CLEAR = 21
Pair = tuple[int | None, int]
"""Fold and seed of one training; the fold as the settings say it: None without folds, or for the first."""
RESERVE = 0.1
"""Share of the time for adding seeds that is not planned, since trainings do not all take as long."""
LASTING = ("model", "size", "training.epochs", "training.freeze", "training.small_size", "training.precision")
"""Settings that change how long a training takes."""
DATA_CHANGED = "data.contents"
DECIDED = "data.decided"
"""What decisions do to the images, in words, beside the hashes or the file of decisions."""


@dataclass(frozen=True)
class TryPlan:
    """What `try` will do, before anything is written.

    Attributes:
        experiment: id of the one that is continued; None for a new one.
        parent: id of the experiment or run to go on from; None for a beginning.
        difference: to the parent: setting → (before, after).
        seeds: of the child, in their order.
        trainings: those that are planned: "own" or "parent", the seed, and the fold (None without folds, or for the
            first).
        run_s: estimated seconds of one.
        seconds: of all.
        looks: numbers of trainings of each at which the difference is looked at.
        notes: what was chosen and why, in sentences.
    """

    experiment: str | None
    parent: str | None
    difference: dict[str, tuple[Any, Any]]
    seeds: tuple[int, ...]
    trainings: tuple[tuple[str, int, int | None], ...]
    run_s: float
    seconds: float
    looks: tuple[int, ...]
    notes: tuple[str, ...]


class Trial:
    """One `try`: first `begin`, `branch` or `resume`, then `choose_seeds`.

    Attributes:
        settings, parent_settings: recipes of the child and of the parent; None without a parent.
        difference: of the two.
        pairs: folds and seeds of the child, in the order in which they are trained.
        parent_pairs: that the parent is to have, so that both have as many, and a further one that tells the noise.
        parent_anew: images, weights or code have changed since the parent was trained, and it is trained again.
        looks: numbers of trainings of each at which the difference is looked at.
        run_s: seconds of a training, estimated.
        notes: in sentences.
    """

    def __init__(self, root: Path, cache: Path, *, device: str | None, progress: Progress) -> None:
        """Nothing is read yet."""
        self.runs = root / "runs"
        self.workspace = Workspace(root=root, cache=cache)
        self.device = device
        self.progress = progress
        self.settings: Settings = {}
        self.parent_settings: Settings | None = None
        self.difference: dict[str, tuple[Any, Any]] = {}
        self.pairs: tuple[Pair, ...] = ()
        self.parent_pairs: tuple[Pair, ...] = ()
        self.parent_anew = False
        self.looks: tuple[int, ...] = (1,)
        self.run_s = 0.0
        self.notes: list[str] = []
        self._known: tuple[Pair, ...] = ()  # that the parent has finished, those for its other children included
        self._of_parent: tuple[Pair, ...] = ()  # that are its own
        self._datasets: dict[str, Dataset] = {}
        self._first_seed = 0
        self._plan: TrainPlan | None = None

    def begin(self, asked: Settings, train: str | Path | None) -> None:
        """A recipe without a parent, on the images of the project or of a folder."""
        columns: dict[str, Any] = {
            name: asked.get(f"data.{name}") for name in ("labels", "path_column", "label_column", "image_root")
        }
        data = project_data(
            asked.get("data.train", train), decisions=asked.get("data.decisions", True) or False, **columns
        )
        plan = plan_training(
            data,
            model=asked.get("model"),
            weights=None if asked.get("weights") is None else Path(asked["weights"]),
            from_scratch=asked.get("from_scratch", False),
            size=asked.get("size"),
            mean=asked.get("mean"),
            std=asked.get("std"),
            interpolation=asked.get("interpolation"),
            fit=asked.get("fit", "crop"),
            augment=asked["augmentation"] if "augmentation" in asked else self._usual_augmentations(),
            settings={
                name.removeprefix("training."): value for name, value in asked.items() if name.startswith("training.")
            },
            device=self.device,
            workspace=self.workspace,
            progress=self.progress,
        )
        self.settings = settings_of_plan(plan, weights=asked.get("weights"))
        self._datasets[str(data_of(self.settings))] = plan.dataset
        self._first_seed = plan.settings.seed
        self.notes += plan.notes
        self._plan = plan

    def branch(self, parent: Experiment | Path, asked: Settings) -> None:
        """The recipe of a parent with what is asked for.

        Args:
            parent: an experiment, or the folder of a run that none has.
            asked: of `read_changes`.
        """
        folder, result = self._trained(parent)
        recorded = settings_of(result)
        before, key = self._planned(recorded, result.settings.seed)
        self.parent_settings = settings_of_plan(before, weights=recorded["weights"])
        stale = before.folder.resolve() != folder.resolve()
        wanted = {name: value for name, value in asked.items() if name != SEED}
        self.settings, why = changed(
            self.parent_settings, wanted, before, backbone_of=lambda settings: load_model(settings)
        )
        self._plan, _ = self._planned(self.settings, result.settings.seed)
        self.settings = settings_of_plan(self._plan, weights=self.settings["weights"])
        self.difference = difference_of(self.parent_settings, self.settings)
        # Where the images have changed and nothing else, the parent is not trained again: it had them as they were.
        images_before = result.data.get("notes") if stale and not self.difference else before.dataset.notes
        decided = _decided(images_before), _decided(self._plan.dataset.notes)
        if any(name.startswith("training.") for name in wanted):
            self.notes.append(f"Settings: {why}.")
        self._first_seed = result.settings.seed
        if SEED in asked:
            self._first_seed = asked[SEED]
        elif not self.difference and not stale:
            self._first_seed = -1  # chosen with the others: the parent's own would be the same training
        if stale and self.difference:
            self.parent_anew = True
            self.notes.append(
                f"Images, labels, weights or code have changed since {folder.name} was trained: the parent is trained "
                "again, so that both are compared on the same."
            )
        elif stale:
            self.difference = {DATA_CHANGED: (_recorded_key(folder), key[:8])}
            self.notes.append("No setting changes, but images, labels, weights or code have since the parent's run.")
        if decided[0] != decided[1]:
            self.difference[DECIDED] = decided
        self._know(parent, stale=stale, first=((self._fold, result.settings.seed),))

    def resume(self, earlier: Experiment, parent: Experiment | None) -> None:
        """The experiment as it was stated."""
        self.settings, self.difference = dict(earlier.config), dict(earlier.difference)
        self.looks = tuple(earlier.plan["looks"])
        self.pairs = tuple((fold, seed) for fold, seed in earlier.plan["pairs"])
        self.parent_pairs = tuple((fold, seed) for fold, seed in earlier.plan["parent_pairs"])
        self.parent_anew = bool(earlier.plan.get("parent_anew"))
        self.run_s = float(earlier.plan["run_s"])
        if parent is not None:
            self.parent_settings = settings_of(self._trained(parent)[1])
            self._know(parent, stale=False, first=())

    def _usual_augmentations(self) -> list[str]:
        project = find_project(self.workspace.project)
        return chosen_augmentations((), project=project, runs=self.runs)[0]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the child, in their order."""
        return tuple(dict.fromkeys(seed for _, seed in self.pairs))

    def choose_seeds(self, number: int, *, until_clear_s: float, measure_noise: bool) -> None:
        """Which seeds and folds are trained, at which the difference is looked at, and how long a training takes."""
        self.run_s = self._estimated_run_s()
        of_parent = tuple(seed for fold, seed in self._known if fold == self._fold)
        replicate = self.parent_settings is not None and not self.difference
        # The images of a parent that other images replace are gone: it has the trainings that it has.
        fixed = self.parent_settings is None or replicate or DATA_CHANGED in self.difference
        seeds = self._seed_order(number if not until_clear_s else MOST_SEEDS_UNTIL_CLEAR, of_parent, replicate)
        if until_clear_s:
            folds = [self._fold, *([] if fixed else folds_of(data_of(self.settings))[1:])]
            self._choose_rounds(folds, seeds, until_clear_s * (1 - RESERVE), shared=not replicate)
        else:
            self.pairs = tuple((self._fold, seed) for seed in seeds)
        if replicate:
            if set(self.seeds) <= set(of_parent):
                raise InputError(
                    f"An experiment must change something, but seed {self.seeds[0]} of this recipe is trained already. "
                    "Change a setting with --set, or leave the seed out."
                )
            self.difference = {SEED: (list(of_parent), list(self.seeds))}
            self.notes.append("This changes nothing but the seed: it tells the noise, and no difference can be real.")
        if fixed:
            return
        # What was trained for another child is taken over, in no time.
        self.parent_pairs = tuple(pair for pair in self.pairs if pair not in self._of_parent)
        trained = {seed for fold, seed in (*self._known, *self.parent_pairs) if fold == self._fold}
        if measure_noise and len(self.seeds) == 1 and len(trained) < 2 and not self._noise_freedom():
            further = next(seed for seed in count() if seed not in trained)
            self.parent_pairs += ((self._fold, further),)
            self.notes.append(
                f"The parent is trained with seed {further} too: no recipe here has two seeds yet, and only they tell "
                "the noise. This is done once (--no-measure-noise leaves it out)."
            )

    def _seed_order(self, most: int, of_parent: tuple[int, ...], replicate: bool) -> list[int]:
        """So many seeds: the first, then those that the parent has, then new ones; a replicate has new ones alone."""
        fresh = (seed for seed in count() if seed not in of_parent)
        if replicate:
            first = next(fresh) if self._first_seed < 0 else self._first_seed
            chosen = [first, *(seed for seed in (next(fresh) for _ in range(most)) if seed != first)]
        else:
            chosen = [self._first_seed, *(seed for seed in of_parent if seed != self._first_seed)]
            chosen += [seed for seed in (next(fresh) for _ in range(most + 1)) if seed not in chosen]
        return chosen[:most]

    def _choose_rounds(self, folds: list[int | None], seeds: list[int], seconds: float, *, shared: bool) -> None:
        """As many rounds of folds and seeds as the time allows, with the parent's trainings where it lacks them."""
        planned = planned_rounds(len(folds), len(folds) * len(seeds), freedom=self._noise_freedom())
        pairs: list[Pair] = []
        rounds: list[tuple[int, int]] = []
        for reached in planned:
            grid = [(fold, seed) for seed in seeds[: reached[1]] for fold in folds[: reached[0]]]
            lacking = len(set(grid) - set(self._known)) if shared else 0
            if rounds and (reached[1] > len(seeds) or (len(grid) + lacking) * self.run_s > seconds):
                break
            rounds.append(reached)
            pairs += [pair for pair in grid if pair not in pairs]
        self.pairs, self.looks = tuple(pairs), planned_looks(rounds)
        if len(folds) > 1:
            steps = ", ".join(f"{of_folds} x {of_seeds}" for of_folds, of_seeds in rounds[:8])
            more = ", ..." if len(rounds) > 8 else ""
            self.notes.append(f"Folds x seeds, each step by what narrows the interval more: {steps}{more}.")

    def _noise_freedom(self) -> float:
        """Degrees of freedom of the noise between seeds that is measured."""
        images = len(self._dataset(self.settings).val_rows)
        return project_noise(self.runs, images=[images], models=[self.settings["model"]])[1]

    @property
    def _fold(self) -> int | None:
        """The fold that validates, as the settings say it."""
        fold = self.settings["data.fold"]
        return fold if isinstance(fold, int) else None

    def trainings(self) -> list[tuple[str, int, int | None]]:
        """What is to be trained, in this order: what seeds and folds share is next to each other."""
        order: list[tuple[str, int, int | None]] = []
        further = [("parent", seed, fold) for fold, seed in self.parent_pairs if (fold, seed) not in self.pairs]
        for fold, seed in self.pairs:
            order += [("parent", seed, fold)] if (fold, seed) in self.parent_pairs else []
            order.append(("own", seed, fold))
        return [*further, *order]

    def planned_s(self) -> float:
        """Seconds of all trainings but those that the parent has finished."""
        return self.run_s * sum(
            role == "own" or (fold, seed) not in self._known for role, seed, fold in self.trainings()
        )

    def check_time(self, left_s: float, *, until_clear: bool) -> None:
        """Refuse a budget in which not even the first comparison can be made.

        Raises:
            InputError: with what would suffice.
        """
        first = 1 + (self.pairs[0] in self.parent_pairs and self.pairs[0] not in self._known) if until_clear else 1
        needed = first * self.run_s
        if needed > left_s:
            option = "--until-clear" if until_clear else "--budget"
            raise InputError(
                f"{option} must suffice for {first} {plural(first, 'training')} of about {duration(self.run_s)}, but "
                f"{duration(max(0.0, left_s))} are left of it. Give more, or fewer epochs."
            )

    def shown(self, earlier: Experiment | None, parent: Experiment | Path | None) -> TryPlan:
        """What will be done."""
        order = self.trainings()
        return TryPlan(
            experiment=None if earlier is None else earlier.id,
            parent=parent.name if isinstance(parent, Path) else None if parent is None else parent.id,
            difference=self.difference,
            seeds=self.seeds,
            trainings=tuple(order),
            run_s=self.run_s,
            seconds=self.planned_s(),
            looks=self.looks,
            notes=tuple(self.notes),
        )

    def training(self, role: str, seed: int, fold: int | None) -> tuple[TrainPlan, str, Settings]:
        """The plan of one training with its folder and key, and its recipe."""
        settings = self.settings if role == "own" else self.parent_settings
        assert settings is not None
        settings = settings | {"data.fold": fold}
        plan, key = self._planned(settings, seed)
        return plan, key, settings

    def _planned(self, settings: Settings, seed: int) -> tuple[TrainPlan, str]:
        plan = plan_of(
            settings, seed=seed, dataset=self._dataset(settings), workspace=self.workspace, device=self.device,
            progress=self.progress,
        )  # fmt: skip
        return place_training(plan, self.runs)

    def _dataset(self, settings: Settings) -> Dataset:
        config = data_of(settings)
        if str(config) not in self._datasets:
            self._datasets[str(config)] = load_dataset(config, cache=self.workspace.cache, progress=self.progress)
        return self._datasets[str(config)]

    def _trained(self, parent: Experiment | Path) -> tuple[Path, TrainResult]:
        if isinstance(parent, Experiment):
            return trained_parent(self.runs, parent)
        result = read_result(parent)
        if result is None:
            raise InputError(f"The run {parent.name!r} is not finished. The command that began it continues it.")
        check_validation(parent)
        return parent, result

    def _know(self, parent: Experiment | Path, *, stale: bool, first: tuple[Pair, ...]) -> None:
        """What the parent has finished, and what its other children needed of it."""
        if self.parent_anew:
            self._known = self._of_parent = ()
            return
        own = [parent.name] if isinstance(parent, Path) else list(parent.runs)
        others: list[str] = []
        if isinstance(parent, Experiment) and not stale:
            with open_ledger(self.workspace.root) as ledger:
                for sibling in ledger.experiments("parent = ?", (parent.id,)):
                    others += [] if sibling.plan.get("parent_anew") else sibling.parent_runs
        self._of_parent = tuple(dict.fromkeys((*first, *self._finished(own))))
        self._known = tuple(dict.fromkeys((*self._of_parent, *self._finished(others))))

    def _finished(self, ids: list[str]) -> list[Pair]:
        """Folds and seeds of the runs among these that are finished."""
        return [
            (read_validation(self.runs / run_id).fold, seed)
            for run_id in dict.fromkeys(ids)
            if (self.runs / run_id / VALIDATION_FILE).is_file()
            if (seed := seed_of(self.runs / run_id)) is not None
        ]

    def _estimated_run_s(self) -> float:
        """As long as the parent's training took, or a few steps tried out."""
        assert self._plan is not None
        if self.parent_settings is not None and not self.difference.keys() & set(LASTING):
            seed = next((seed for fold, seed in self._known if fold == self._fold), None)
            folder = None if seed is None else self._planned(self.parent_settings, seed)[0].folder
            result = None if folder is None else read_result(folder)
            if result is not None:
                return result.seconds
        return estimate_training(self._plan, progress=self.progress).seconds


def _decided(notes: object) -> str | None:
    """What decisions did by the notes of a dataset: "1 of 24 images left out, 2 under another label (3 decisions)"."""
    said = (str(note) for note in (notes if isinstance(notes, (list, tuple)) else ()))
    said = (note for note in said if note.startswith("Decisions of "))
    return next((note.partition(": ")[2].rstrip(".") for note in said), None)


def _recorded_key(folder: Path) -> str:
    return record_of(folder).key[:8]
