"""What `eyeshot try` will train: the child's recipe, its difference to the parent, seeds, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from eyeshot.core import InputError, Progress, Workspace, duration, plural
from eyeshot.data import Dataset, load_dataset, project_data
from eyeshot.ledger.judging.judgement import SEED, record_of, seed_of
from eyeshot.ledger.judging.noise import project_noise
from eyeshot.ledger.judging.verdicts import planned_looks
from eyeshot.ledger.store.database import open_ledger
from eyeshot.ledger.store.records import Experiment
from eyeshot.ledger.training_runs import place_training
from eyeshot.ledger.trials.parents import trained_parent
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
from eyeshot.training import VALIDATION_FILE, TrainPlan, TrainResult, estimate_training, plan_training, read_result

MOST_SEEDS_UNTIL_CLEAR = 21
RESERVE = 0.1
"""Share of the time for adding seeds that is not planned, since trainings do not all take as long."""
LASTING = ("model", "size", "training.epochs", "training.freeze", "training.small_size", "training.precision")
"""Settings that change how long a training takes."""
DATA_CHANGED = "data.contents"


@dataclass(frozen=True)
class TryPlan:
    """What `try` will do, before anything is written.

    Attributes:
        experiment: id of the one that is continued; None for a new one.
        parent: id of the experiment or run to go on from; None for a beginning.
        difference: to the parent: setting → (before, after).
        seeds: of the child, in their order.
        trainings: those that are planned: "own" or "parent", and the seed.
        run_s: estimated seconds of one.
        seconds: of all.
        looks: numbers of seeds at which the difference is looked at.
        notes: what was chosen and why, in sentences.
    """

    experiment: str | None
    parent: str | None
    difference: dict[str, tuple[Any, Any]]
    seeds: tuple[int, ...]
    trainings: tuple[tuple[str, int], ...]
    run_s: float
    seconds: float
    looks: tuple[int, ...]
    notes: tuple[str, ...]


class Trial:
    """One `try`: first `begin`, `branch` or `resume`, then `choose_seeds`.

    Attributes:
        settings, parent_settings: recipes of the child and of the parent; None without a parent.
        difference: of the two.
        seeds: of the child.
        parent_seeds: that the parent is to have, so that both have as many, and a further one that tells the noise.
        parent_anew: images, weights or code have changed since the parent was trained, and it is trained again.
        looks: numbers of seeds at which the difference is looked at.
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
        self.seeds: tuple[int, ...] = ()
        self.parent_seeds: tuple[int, ...] = ()
        self.parent_anew = False
        self.looks: tuple[int, ...] = (1,)
        self.run_s = 0.0
        self.notes: list[str] = []
        self._known_seeds: tuple[int, ...] = ()  # that the parent has finished
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
            augment=asked.get("augmentation", ()),
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
        self._know(parent, stale=stale, key_seeds=(result.settings.seed,))

    def resume(self, earlier: Experiment, parent: Experiment | None) -> None:
        """The experiment as it was stated."""
        self.settings, self.difference = dict(earlier.config), dict(earlier.difference)
        self.seeds, self.looks = earlier.seeds, tuple(earlier.plan.get("looks", (1,)))
        self.parent_seeds = tuple(earlier.plan.get("parent_seeds", ()))
        self.parent_anew = bool(earlier.plan.get("parent_anew"))
        self.run_s = (earlier.cost_planned_s or 0.0) / max(1, len(self.seeds) + len(self.parent_seeds))
        if parent is not None:
            self.parent_settings = settings_of(self._trained(parent)[1])
            self._know(parent, stale=False, key_seeds=())

    def choose_seeds(self, number: int, *, until_clear_s: float, measure_noise: bool) -> None:
        """Which seeds are trained, at which the difference is looked at, and how long a training takes."""
        self.run_s = self._estimated_run_s()
        of_parent = self._known_seeds
        replicate = self.parent_settings is not None and not self.difference
        most = number
        if until_clear_s:
            most = self._affordable(until_clear_s * (1 - RESERVE), shared=not replicate)
            self.looks = planned_looks(most)
        fresh = (seed for seed in count() if seed not in of_parent)
        if replicate:
            first = next(fresh) if self._first_seed < 0 else self._first_seed
            chosen = [first, *(seed for seed in (next(fresh) for _ in range(most)) if seed != first)]
        else:
            chosen = [self._first_seed, *(seed for seed in of_parent if seed != self._first_seed)]
            chosen += [seed for seed in (next(fresh) for _ in range(most + 1)) if seed not in chosen]
        self.seeds = tuple(chosen[:most])
        if replicate:
            if set(self.seeds) <= set(of_parent):
                raise InputError(
                    f"An experiment must change something, but seed {self.seeds[0]} of this recipe is trained already. "
                    "Change a setting with --set, or leave the seed out."
                )
            self.difference = {SEED: (list(of_parent), list(self.seeds))}
            self.notes.append("This changes nothing but the seed: it tells the noise, and no difference can be real.")
            return
        if self.parent_settings is None:
            return
        if DATA_CHANGED not in self.difference:  # the parent's images are gone: it has the seeds that it has
            self.parent_seeds = tuple(seed for seed in self.seeds if seed not in of_parent)
        images = len(self._dataset(self.settings).val_rows)
        unknown = project_noise(self.runs, images=[images], models=[self.settings["model"]])[1] == 0
        trained = {*of_parent, *self.parent_seeds}
        if unknown and measure_noise and most == 1 and len(trained) < 2 and DATA_CHANGED not in self.difference:
            further = next(seed for seed in count() if seed not in trained)
            self.parent_seeds += (further,)
            self.notes.append(
                f"The parent is trained with seed {further} too: no recipe here has two seeds yet, and only they tell "
                "the noise. This is done once (--no-measure-noise leaves it out)."
            )

    def trainings(self) -> list[tuple[str, int]]:
        """What is to be trained, in this order: what seeds share is next to each other."""
        order: list[tuple[str, int]] = []
        further = [seed for seed in self.parent_seeds if seed not in self.seeds]
        for seed in self.seeds:
            order += [("parent", seed)] if seed in self.parent_seeds else []
            order.append(("own", seed))
        return [*(("parent", seed) for seed in further), *order]

    def check_time(self, left_s: float, *, until_clear: bool) -> None:
        """Refuse a budget in which not even the first comparison can be made.

        Raises:
            InputError: with what would suffice.
        """
        first = 1 + (self.seeds[0] in self.parent_seeds) if until_clear else 1
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
            seconds=len(order) * self.run_s,
            looks=self.looks,
            notes=tuple(self.notes),
        )

    def training(self, role: str, seed: int) -> tuple[TrainPlan, str, Settings]:
        """The plan of one training with its folder and key, and its recipe."""
        settings = self.settings if role == "own" else self.parent_settings
        assert settings is not None
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
        return parent, result

    def _know(self, parent: Experiment | Path, *, stale: bool, key_seeds: tuple[int, ...]) -> None:
        """The seeds that the parent has finished, those that its other children needed included."""
        if self.parent_anew:
            self._known_seeds = ()
            return
        ids = [parent.name] if isinstance(parent, Path) else list(parent.runs)
        if isinstance(parent, Experiment) and not stale:
            with open_ledger(self.workspace.root) as ledger:
                for sibling in ledger.experiments("parent = ?", (parent.id,)):
                    ids += [] if sibling.plan.get("parent_anew") else sibling.parent_runs
        done = [run_id for run_id in dict.fromkeys(ids) if (self.runs / run_id / VALIDATION_FILE).is_file()]
        seeds = [seed for run_id in done if (seed := seed_of(self.runs / run_id)) is not None]
        self._known_seeds = tuple(dict.fromkeys((*key_seeds, *seeds)))

    def _estimated_run_s(self) -> float:
        """As long as the parent's training took, or a few steps tried out."""
        assert self._plan is not None
        if self.parent_settings is not None and not self.difference.keys() & set(LASTING):
            folder = self._planned(self.parent_settings, self._known_seeds[0])[0].folder if self._known_seeds else None
            result = None if folder is None else read_result(folder)
            if result is not None:
                return result.seconds
        return estimate_training(self._plan, progress=self.progress).seconds

    def _affordable(self, seconds: float, *, shared: bool) -> int:
        """How many seeds fit in the time, each with one of the parent where it lacks it."""
        left, number = seconds, 0
        while number < MOST_SEEDS_UNTIL_CLEAR:
            left -= self.run_s * (1 + (shared and number >= len(self._known_seeds)))
            if left < 0:
                break
            number += 1
        return max(1, number)


def _recorded_key(folder: Path) -> str:
    return record_of(folder).key[:8]
