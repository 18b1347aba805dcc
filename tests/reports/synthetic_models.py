"""A made-up ranking of models with hostile names, all three rungs and a test folder."""

from __future__ import annotations

import numpy as np

from eyeshot.predictions import Accuracy, TargetEstimate
from eyeshot.rankings import LeftOut, ModelsReport, RankedModel
from eyeshot.rankings.models.report import (
    Advice,
    ClassAccuracy,
    CurvePoint,
    FineTuning,
    LearningCurve,
    ModelCost,
    ModelOrData,
    Probe,
    Resolution,
    SizeResult,
    TestImages,
)
from eyeshot.training import TrainConfig

LINES = ("ResNet", "EfficientNet", "ViT", "MAE", "ConvNeXt", "CLIP", "<b>own</b>", "DINO", "Swin", "BEiT")
JUDGED = 600


def synthetic_models(count: int = 10, *, test: bool = True, rungs: int = 3) -> ModelsReport:
    """A report of `count` models, of which the first two cannot be told apart."""
    models = [_model(place, test=test, rungs=rungs) for place in range(count)]
    return ModelsReport(
        headline=f"Take {models[0].name}: 94.0 % right, with an interval of 91.8 to 95.6 %.",
        advised=Advice(name=models[0].name, reason="It is the most accurate, and none of its group is cheaper."),
        cheap=Advice(name=models[-1].name, reason="It is ten times as fast and loses 3.1 points."),
        trust="600 images judge; differences below 3 points are noise.",
        n_images=700, n_judged=JUDGED, n_test=200 if test else 0,
        classes=["cat", "<script>alert(1)</script>", "two\nlines"], folds=5, models=models,
        not_at_hand=[
            LeftOut(name=f"vit_large_{place}.mae", why="Its weights are not here.", ways=["eyeshot models fetch"])
            for place in range(40)
        ],
        left_out=[LeftOut(name="broken<i>", why="Its weights do not fit.", ways=[])],
        notes=["One class has one image; it trains in every fold."], budget_s=1200, used_s=321.5, seed=0,
        next_command=f"eyeshot rank augmentations train --model {models[0].name}",
        hardware="2 processors", versions={"torch": "2.14.1"}, command="eyeshot rank models <train>",
    )  # fmt: skip


def _model(place: int, *, test: bool, rungs: int) -> RankedModel:
    right = JUDGED - 36 - 11 * place
    accuracy = Accuracy.of_counts(right, JUDGED)
    estimate = TargetEstimate(
        n=200, value=0.7 - 0.03 * place, low=0.6 - 0.03 * place, high=0.8 - 0.03 * place, temperature=1.2,
        confidence=0.8, mismatch=0.1, gap=0.0, assumptions=(), warnings=(),
    )  # fmt: skip
    tested = np.geomspace(1e-6, 1.0, 40)
    model = RankedModel(
        name=f"network_{place}_with_a_long_name.weights_of_{place}_in22k_ft_in1k", line=LINES[place % len(LINES)],
        weights="from the cache", fingerprint=f"{place:032x}", size=224, feature_count=512, rank=place + 1,
        state="fine-tuned" if rungs > 1 and place < 3 else "recipe untested",
        cost=ModelCost(
            parameters=int(5e6 * (count_factor := 1 + 2 * (9 - place))), weights_bytes=int(2e7 * count_factor),
            seconds_per_1000=3.0 * count_factor, timed_images=64, memory_bytes=int(9e7 * count_factor), memory_batch=16,
        ),
        probe=Probe(
            accuracy=accuracy, log_loss=0.3, with_best=place < 2, penalty=10.0, seconds=30.0,
            difference=None if place == 0 else -11 * place / JUDGED,
            difference_interval=None if place == 0 else (-11 * place / JUDGED - 0.02, -11 * place / JUDGED + 0.02),
            worst_classes=[ClassAccuracy(name="two\nlines", accuracy=Accuracy.of_counts(3, 9))],
            test=TestImages(n=200, n_train=700, coverage=0.4, consistent_coverage=0.3, estimate=estimate)
            if test else None,
        ),
    )  # fmt: skip
    if rungs > 1 and place < 3:
        model.fine_tuning = FineTuning(
            fold=0, n_train=480, accuracy=Accuracy.of_counts(110 - place, 120), probe=Accuracy.of_counts(108, 120),
            difference=0.01, difference_interval=(-0.02, 0.04), settings=TrainConfig(epochs=3, learning_rate=1e-3),
            recipe="The recipe of its paper (Table 9).", rate="1e-3 is where the loss falls fastest.",
            tested_rates=tested.tolist(), tested_losses=[*np.linspace(2.3, 0.5, 30).tolist(), *([float("1e6")] * 10)],
            steps=300, seconds=93.0, alarms=["Training stayed at chance."] if place == 2 else [],
        )  # fmt: skip
    if rungs > 2 and place < 2:
        errors = (0.3, 0.22, 0.15, 0.1)
        model.curve = LearningCurve(
            how="probe", asymptote=0.02, factor=2.1, exponent=0.5, gain=0.03, gain_interval=(0.01, 0.05), judged=120,
            words="Twice the images would bring 3 points.",
            points=[
                CurvePoint(images=60 * 2**step, draws=5, error=error, low=error - 0.03, high=error + 0.03)
                for step, error in enumerate(errors)
            ],
        )  # fmt: skip
        model.model_or_data = ModelOrData(words="More data: the bigger model brings nothing.")
    if rungs > 2 and place == 0:
        model.resolution = Resolution(
            words="Higher resolution brings nothing that can be told.",
            sizes=[
                SizeResult(
                    size=160, accuracy=accuracy, difference=-0.02, difference_interval=(-0.04, 0.0),
                    seconds_per_1000=9.0,
                ),
                SizeResult(size=224, accuracy=accuracy, seconds_per_1000=18.0, enlarged=0.3),
                SizeResult(size=288, why="Its position embeddings are fixed."),
            ],
        )  # fmt: skip
    return model
