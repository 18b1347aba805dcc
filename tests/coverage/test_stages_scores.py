"""Scores of stages: the last layer's are the ordinary ones, a stage's follow from the definitions."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from brute_force import slow_cover
from torch import nn

from eyeshot.augment import Pool, augmentation
from eyeshot.core import CallbackProgress, draw_half_samples
from eyeshot.coverage.clouds import make_target
from eyeshot.coverage.data import Data, Part
from eyeshot.coverage.kept_labels import fit_clean_head, mcnemar
from eyeshot.coverage.measure import Bench, Measured, measure, measure_generated
from eyeshot.coverage.reference_space import fit_reference_space
from eyeshot.coverage.report import StageReport
from eyeshot.coverage.shift import measure_shift
from eyeshot.coverage.stages import bench_at, choose_stage, measure_stages
from eyeshot.digits import large_digits
from eyeshot.images import Geometry
from eyeshot.models import LAST, Backbone, FeatureBank, extract, feature_bank, load_backbone
from eyeshot.models.backbone import fingerprint_of
from eyeshot.models.stages import find_stages

CANDIDATES = ("clean", "no-op", "invert", "quarter-turns", "edges")
HALF = (0.5, 0.5, 0.5)


def part(images: np.ndarray, labels: np.ndarray) -> Part:
    return Part(
        Pool(images, [hashlib.md5(image.tobytes()).hexdigest() for image in images]),
        labels.astype(np.int64),
        [str(number) for number in range(len(images))],
    )


def data_of(images: np.ndarray, labels: np.ndarray, target: np.ndarray, counts: tuple[int, int]) -> Data:
    """Sources, held-out images and an unlabelled target."""
    sources, val = counts
    rows = np.arange(len(images))
    first, second = rows[:sources], rows[sources : sources + val]
    return Data(
        classes=[str(number) for number in np.unique(labels)],
        baseline=None,
        sources=part(images[first], labels[first]),
        more=part(images[:0], labels[:0]),
        val=part(images[second], labels[second]),
        target=part(target, np.full(len(target), -1)),
        generated=part(images[second][::2] // 2, labels[second][::2]),
        skipped=[],
        notes=[],
    )


def digits() -> Data:
    """Three digits; the target is other ones, inverted."""
    images, labels = large_digits()
    rows = np.flatnonzero(np.isin(labels, (0, 1, 4)))[:110]
    images = np.repeat(images[rows][..., None], 3, axis=3)
    return data_of(images, np.unique(labels[rows], return_inverse=True)[1], 255 - images[72:], (40, 32))


def bench_of(backbone: Backbone, data: Data, cache: Path) -> Bench:
    """A bench at the last layer, with half-samples as a run has them."""
    bank = FeatureBank(cache, backbone)
    sources, target, val = (bank.clean(one.pool, np.arange(len(one))) for one in (data.sources, data.target, data.val))
    space = fit_reference_space(sources, target, seed=0)
    points = space.transform(sources)
    head = fit_clean_head(
        points,
        data.sources.labels,
        space.transform(val),
        data.val.labels,
        class_count=len(data.classes),
        clean_model=None,
        transform=space.transform,
        held_out_features=val,
    )
    halves = draw_half_samples(len(target), len(sources), seed=0)
    return Bench(bank, space, data, make_target(space.transform(target), halves=halves), points, head, seed=0, draws=2)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    data = digits()
    backbone = load_backbone("test_resnet.r160_in1k", from_scratch=True, size=data.sources.pool.images.shape[1])
    return bench_of(backbone, data, tmp_path_factory.mktemp("stages"))


@pytest.fixture(scope="module")
def measured(bench: Bench) -> list[Measured]:
    candidates = [measure(bench, augmentation(name)) for name in CANDIDATES]
    return [*candidates, measure_generated(bench, bench.data.generated)]


@pytest.fixture(scope="module")
def reports(bench: Bench, measured: list[Measured]) -> list[StageReport]:
    return measure_stages(bench, measured)


def test_every_stage_is_reported_with_every_candidate(bench: Bench, reports: list[StageReport]) -> None:
    assert [one.name for one in reports] == ["layer1", "layer2", "layer3", LAST]
    assert [one.width for one in reports] == [32, 48, 192, bench.bank.backbone.feature_count]
    assert all(set(one.candidates) == {*CANDIDATES, "generated"} for one in reports)


def test_mixtures_have_no_class_to_agree_on_and_are_left_out(bench: Bench, measured: list[Measured]) -> None:
    mixed = measure(bench, augmentation("mixup"))
    assert all(one.candidates.keys() == {"clean"} for one in measure_stages(bench, [measured[0], mixed]))


def test_the_last_stage_has_the_ordinary_scores(
    bench: Bench, measured: list[Measured], reports: list[StageReport]
) -> None:
    last = reports[-1]
    for one in measured:
        scores = last.candidates[one.name]
        assert scores.coverage == one.cover.coverage
        assert scores.density == one.cover.density
        assert scores.reach == one.cover.label_consistent_coverage - one.yardstick.label_consistent_coverage
    shift = measure_shift(
        bench.clean, bench.labels, bench.head.held_out, bench.target.points, target_is_validation=False, seed=0
    )
    assert (last.target_coverage, last.held_out_coverage) == (shift.target_coverage, shift.held_out_coverage)
    assert (last.head_accuracy, last.head_p_value) == (bench.head.accuracy, None)


def test_measuring_the_last_layer_like_an_earlier_stage_gives_its_ordinary_scores(
    bench: Bench, measured: list[Measured], reports: list[StageReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = bench.bank.backbone
    (twin,) = [stage for stage in backbone.stages if stage.name == "layer3"]
    # The last layer's columns under the name of a stage: then all goes the way of an earlier one.
    monkeypatch.setattr(Backbone, "columns", lambda self, stage=LAST: slice(0, self.feature_count))
    monkeypatch.setattr(Backbone, "stage_names", property(lambda self: (twin.name, LAST)))
    as_stage, last = measure_stages(bench, measured)
    assert as_stage.candidates == last.candidates == reports[-1].candidates
    assert (as_stage.target_coverage, as_stage.head_accuracy) == (last.target_coverage, last.head_accuracy)
    assert as_stage.head_p_value == 1.0


@pytest.mark.parametrize("name", ["invert", "edges", "generated"])
def test_scores_of_a_stage_follow_from_the_definitions(
    name: str, bench: Bench, measured: list[Measured], reports: list[StageReport]
) -> None:
    stage = bench_at(bench, "layer2")
    (one,) = [candidate for candidate in measured if candidate.name == name]

    def points(part: Part) -> np.ndarray:
        backbone = stage.bank.backbone
        rows = extract(backbone, part.pool.images, with_stages=True)[:, backbone.columns("layer2")]
        return stage.space.transform(rows.astype(np.float16))

    clean, labels = points(bench.data.sources), bench.labels
    if one.augmentation is None:
        cloud = np.concatenate([clean, points(bench.data.generated)])[:, None]
        labels, present = np.concatenate([labels, bench.data.generated.labels]), None
    else:
        views = [
            stage.bank.views(one.augmentation, bench.data.sources.pool, np.arange(len(clean)), seed=0, draw=draw)
            for draw in range(one.draws)
        ]
        cloud = np.stack([clean, *(stage.space.transform(view.features) for view in views)], axis=1)
        present = np.stack([np.ones(len(clean), bool), *(view.success for view in views)], axis=1)
    slow = slow_cover(points(bench.data.target), cloud, labels, present=present)
    assert slow.margin > 1e-6
    scores = next(report for report in reports if report.name == "layer2").candidates[name]
    assert scores.coverage == pytest.approx(slow.covered.mean())
    assert scores.density == pytest.approx(slow.density)
    assert scores.nearest_distance == pytest.approx(np.median(slow.distance), rel=1e-3)
    assert scores.label_consistent_coverage == pytest.approx(slow.reached.mean())


def test_clean_and_no_op_reach_nothing_more_in_any_stage(reports: list[StageReport]) -> None:
    for report in reports:
        assert report.candidates["no-op"].reach == 0.0
        assert abs(report.candidates["clean"].reach) < 0.1


def test_stages_cost_no_forward_pass_and_no_labels_of_the_target(
    bench: Bench, measured: list[Measured], reports: list[StageReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a forward pass")

    monkeypatch.setattr(feature_bank, "extract", refuse)
    target = bench.data.target
    labelled = replace(bench.data, target=replace(target, labels=np.arange(len(target), dtype=np.int64) % 2))
    said: list[tuple[int, int]] = []
    again = measure_stages(
        replace(bench, data=labelled), measured, progress=CallbackProgress(lambda *news: said.append(news[:2]))
    )
    assert again == reports
    assert said == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def wrapped(module: nn.Module, features: int, size: int) -> Backbone:
    geometry = Geometry(size=size)
    return Backbone(
        name="made",
        module=module,
        geometry=geometry,
        mean=HALF,
        std=HALF,
        feature_count=features,
        pretrained=True,
        fingerprint=fingerprint_of(module, "made", geometry, HALF, HALF),
        reason="",
        stages=find_stages(module, size),
    )


class Doubled(nn.Module):
    """A stage whose features are half of the last layer's."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(3, 12, 4, stride=4), nn.ReLU(inplace=True))
        self.rest = nn.Conv2d(12, 12, 2, stride=2, groups=12, bias=False)
        nn.init.constant_(self.rest.weight, 0.5)  # the sum of 4 places halved: twice their average

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.rest(self.first(images)).mean((2, 3))


class Colourless(nn.Module):
    """A stage that sees colours, before a last layer that sees only brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.eye = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.eye.weight)
        self.blind = nn.Conv2d(3, 4, 4, stride=4, bias=False)
        torch.manual_seed(0)
        with torch.no_grad():
            self.blind.weight.copy_(torch.rand(4, 1, 4, 4).expand(-1, 3, -1, -1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.blind(self.eye(images)).mean((2, 3))


def colours(count: int = 120, size: int = 16) -> Data:
    """Red and blue images of equal mean brightness."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = random.integers(60, 120, (count, size, size, 3))
    images[..., 0] += np.where(labels == 0, 60, 0)[:, None, None]
    images[..., 2] += np.where(labels == 1, 60, 0)[:, None, None]
    pixels = images.astype(np.uint8)
    return data_of(pixels, labels, pixels[80:], (50, 30))


def test_a_stage_that_is_the_last_layer_up_to_a_factor_has_its_scores(tmp_path: Path) -> None:
    data = digits()
    size = data.sources.pool.images.shape[1]
    small = bench_of(wrapped(Doubled(), 12, size), data, tmp_path)
    seen = [measure(small, augmentation(name)) for name in ("clean", "invert")]
    stage, last = measure_stages(small, seen)
    assert (stage.name, last.name) == ("first", LAST)
    for name, scores in last.candidates.items():
        assert stage.candidates[name].model_dump() == pytest.approx(scores.model_dump(), abs=0.02), name
    assert last.candidates["invert"].coverage > last.candidates["clean"].coverage + 0.2
    assert stage.target_coverage == pytest.approx(last.target_coverage, abs=0.05)
    assert stage.head_accuracy == pytest.approx(last.head_accuracy, abs=0.05)


def test_the_last_layer_is_used_although_an_earlier_stage_knows_more(tmp_path: Path) -> None:
    found = bench_of(wrapped(Colourless(), 4, 16), colours(), tmp_path)
    eye, last = measure_stages(found, [measure(found, augmentation("clean"))])
    assert eye.name == "eye"
    assert eye.head_accuracy == 1.0
    assert last.head_accuracy < 0.8
    lost = round((1 - last.head_accuracy) * len(found.data.val))
    assert eye.head_p_value == pytest.approx(0.5**lost)
    name, reason = choose_stage([eye, last])
    assert name == LAST
    assert "although a head on eye is right on 100 % of held-out images" in reason


def test_a_model_without_stages_has_the_last_layer_alone(tmp_path: Path) -> None:
    flat = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    found = bench_of(wrapped(flat, 48, 16), colours(), tmp_path)
    one = measure(found, augmentation("clean"))
    (only,) = measure_stages(found, [one])
    assert only.candidates["clean"].coverage == one.cover.coverage
    assert choose_stage([only]) == (
        LAST,
        "The last layer is used: no earlier stage with a map of its own was found in this model.",
    )


def stage(name: str, accuracy: float, p_value: float | None) -> StageReport:
    return StageReport(
        name=name,
        width=8,
        dimensions=8,
        head_accuracy=accuracy,
        head_p_value=p_value,
        target_coverage=0.5,
        held_out_coverage=0.5,
        candidates={},
    )


def test_the_reason_names_the_accuracies() -> None:
    reports = [stage("layer1", 0.42, 1.0), stage("layer2", 0.643, 0.9), stage(LAST, 0.81, None)]
    name, reason = choose_stage(reports)
    assert name == LAST
    assert reason.startswith("The last layer is used: a head on it is right on 81 % of held-out images")
    assert "layer1 42 %, layer2 64 %" in reason


@pytest.mark.parametrize(("p_value", "clear"), [(0.024, True), (0.026, False)])
def test_of_two_stages_each_must_be_twice_as_clear(p_value: float, clear: bool) -> None:
    reports = [stage("layer1", 0.9, p_value), stage("layer2", 0.7, 0.5), stage(LAST, 0.81, None)]
    assert ("although a head on layer1" in choose_stage(reports)[1]) is clear


def test_mcnemars_test_counts_coins() -> None:
    assert mcnemar(5, 0) == pytest.approx(1 / 32)
    assert mcnemar(2, 1) == pytest.approx(4 / 8)
    assert mcnemar(0, 7) == 1.0
