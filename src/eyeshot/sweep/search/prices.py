"""What the work of a sweep costs on this machine: measured before the first trial, corrected by every one since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eyeshot.sweep.search import planning
from eyeshot.sweep.search.planning import Costs, Level, SearchPlan
from eyeshot.sweep.search.space import AT, MODEL, PX, SIZE, Choice, settings_of, with_size
from eyeshot.sweep.search.trials import SearchTrial
from eyeshot.sweep.store import DecisionFile

WRITING_S = 0.05
"""Of what a probe leaves behind, ledger included."""
ENDING_S = 0.5
"""Of what a training leaves behind: predictions, weights, a state."""
CHUNK_IMAGES = 256
"""Images whose features are computed at a time, about; the time is looked at between two chunks."""


class Prices:
    """Measured costs of a sweep, and its plan; both lie in its file of decisions."""

    def __init__(self, decisions: DecisionFile, space: Sequence[Choice], model: str) -> None:
        """`model`: of the trial that changes nothing."""
        self._decisions = decisions
        self.base_model: dict[str, Any] = {MODEL: model}
        names = next((choice.values for choice in space if choice.name == MODEL), (model,))
        sizes = next((choice.values for choice in space if choice.name == SIZE), (None,))
        others = [with_size({MODEL: name}) | ({SIZE: size} if size else {}) for name in names for size in sizes]
        self.models = [self.base_model, *(other for other in others if other != self.base_model)]
        """Every model at every size that may be chosen, the base first."""
        self.measured: dict[str, dict[str, Any]] = dict(decisions.get("measured") or {})
        """By model: seconds an image takes, and for the base those of a step and its recipe."""

    @property
    def own(self) -> dict[str, Any]:
        """What was measured of the base."""
        return self.measured.get(model_key(self.base_model), {})

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that the base is trained with."""
        return dict(self.own.get("settings") or {})

    @property
    def images(self) -> int:
        """Training and validation images together."""
        return int(self.own["n_train"] + self.own["n_val"])

    @property
    def is_planned(self) -> bool:
        """Whether there is a plan yet."""
        return self._decisions.get("plan") is not None

    @property
    def plan(self) -> SearchPlan:
        """The plan; before it is made, a single probe."""
        kept = self._decisions.get("plan")
        if kept is None:
            return SearchPlan((Level("probe"),), (1,), 0.0)
        levels = tuple(Level(*level) for level in kept["levels"])
        return SearchPlan(levels, tuple(kept["counts"]), kept["seconds"], tuple(kept["words"]))

    def keep_measured(self, config: Mapping[str, Any], measured: dict[str, Any]) -> None:
        """Keep what was measured of a model."""
        self.measured[model_key(config)] = measured
        self._decisions.keep("measured", self.measured)

    def keep_first_costs(self, fit_s: float) -> None:
        """Costs of all work from what was measured, when the base's probe has shown what a fit takes."""
        own, known = self.own, self._forwards()
        ratio = sum(known.values()) / len(known) / own["forward_s"]
        once_s = sum(
            self.images * (measured["forward_s"] + measured["decode_s"])
            for key, measured in self.measured.items()
            if key in known and measured is not own
        )
        costs = Costs(
            once_s=once_s,
            probe_s=fit_s + WRITING_S,
            last_stage_s=ratio * own["n_train"] * own["last-stage_s"],
            full_s=ratio * own["n_train"] * own["none_s"],
            evaluate_s=ratio * own["n_val"] * own["forward_s"] + ENDING_S,
        )
        self._decisions.keep("costs", list(costs))

    def keep_plan(self, plan: SearchPlan) -> None:
        """Keep the plan, and how many trials its first round has."""
        # The plan last: where there is one, everything that goes with it is there too.
        self._decisions.keep("trials", [plan.counts[0]])
        self._decisions.keep("plan", plan._asdict())

    def costs(self, trials: Iterable[SearchTrial]) -> Costs:
        """As measured first, corrected by what trials took since."""
        costs = Costs(*(self._decisions.get("costs") or ()))
        taken: dict[Any, list[float]] = {}
        planned: dict[Any, list[float]] = {}
        levels = {level.name: level for level in self.plan.levels[1:]}
        for trial in trials:
            for name, seconds in trial.seconds.items():
                if name in levels:
                    rung = levels[name].rung
                    taken.setdefault(rung, []).append(seconds)
                    planned.setdefault(rung, []).append(self.scale(trial) * costs.of(levels[name]))
        return planning.scaled(costs, taken, planned)

    def expected_s(self, trial: SearchTrial, level: Level, costs: Costs, *, with_features: bool) -> float:
        """Seconds that a trial takes at a level at most; `with_features`: those of its model come before its probe."""
        if level.rung != "probe":
            return planning.SLOWER * self.scale(trial) * costs.of(level)
        return planning.SLOWER * (costs.probe_s + (self.features_s(trial.config) if with_features else 0.0))

    def features_s(self, config: Mapping[str, Any]) -> float:
        """Seconds of decoding all images and computing a model's features of them."""
        measured = self.measured.get(model_key(config), {})
        return self.images * float(measured.get("forward_s", 0.0) + measured.get("decode_s", 0.0))

    def scale(self, trial: SearchTrial) -> float:
        """What a trial's network costs as a multiple of the mean of all."""
        known = self._forwards()
        own = known.get(model_key(trial.config))
        return 1.0 if own is None else float(own * len(known) / sum(known.values()))

    def tail_s(self, trial: SearchTrial, level: Level, costs: Costs) -> float:
        """Seconds that work goes on after it looked at the time for the last time: a step and the validation."""
        if level.rung == "probe":
            return CHUNK_IMAGES * self._forwards().get(model_key(trial.config), 0.0)
        batch = int(settings_of(trial.config).get("batch_size") or self.recipe.get("batch_size") or 64)
        image_s = costs.full_s / max(1, int(self.own["n_train"]))
        return planning.SLOWER * self.scale(trial) * (batch * image_s + costs.evaluate_s)

    def _forwards(self) -> dict[str, float]:
        return {key: float(measured["forward_s"]) for key, measured in self.measured.items() if "forward_s" in measured}


def model_key(config: Mapping[str, Any]) -> str:
    """A model with the size of its images, in words."""
    size = config.get(SIZE)
    return str(config[MODEL]) if not size else f"{config[MODEL]}{AT}{size}{PX}"
