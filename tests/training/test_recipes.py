"""Every part of the recipe: resumed bit for bit, and doing what it says."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers import DropPath
from timm.optim import create_optimizer_v2
from torch import nn

from eyeshot.core import InputError
from eyeshot.models import load_backbone
from eyeshot.training import StepRecord, TrainConfig, TrainingRun, make_schedule
from eyeshot.training.batches import epoch_batches
from eyeshot.training.checkpoints import load_checkpoint, save_checkpoint
from eyeshot.training.classifier import Classifier
from eyeshot.training.recipe.averages import estimate_norms
from eyeshot.training.recipe.drop_path import drop_path_rates
from eyeshot.training.recipe.freezing import trained_names
from eyeshot.training.recipe.objectives import classification, inverse_frequencies
from eyeshot.training.recipe.optimizer_catalogue import OPTIMIZERS, list_optimizers, usual_rate
from eyeshot.training.recipe.optimizers import make_optimizer
from eyeshot.training.recipe.parameter_groups import layer_numbers

from .helpers import make_pool, tiny_backbone

STEPS = 12
AT_HAND = ("timm", "own")


def backbone_of(kind):
    if kind == "tiny":
        return tiny_backbone()
    with torch.random.fork_rng():
        return load_backbone({"vit": "test_vit", "resnet": "test_resnet"}[kind], from_scratch=True, size=32)


def run_of(kind="tiny", count=40, labels=None, backbone=None, **recipe):
    size = 16 if kind == "tiny" else 32
    pool, made = make_pool(count, size)
    config = TrainConfig(**{"epochs": 3, "batch_size": 8, "learning_rate": 0.003} | recipe)
    chosen = backbone or backbone_of(kind)
    return TrainingRun(chosen, pool, made if labels is None else labels, class_count=3, config=config)


def advance(run, to_step=STEPS, **options):
    schedule = make_schedule(run.config, run.config.epochs * run.epoch_steps, epoch_losses=run.epoch_losses)
    return run.advance(to_step, schedule=schedule, **options)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def optional(name):
    record = OPTIMIZERS[name]
    if record.package not in AT_HAND:
        pytest.importorskip(record.package)


RECIPES = [
    *(("tiny", {"optimizer": record.name}) for record in list_optimizers()),
    *(("tiny", {"schedule": name}) for name in ("one-cycle", "step", "wsd", "plateau", "constant")),
    ("vit", {"optimizer": "muon", "layer_decay": 0.7}),
    ("vit", {"layer_decay": 0.75, "drop_path": 0.3, "dropout": 0.2, "clip_norm": 0.5}),
    ("resnet", {"drop_path": 0.3, "ema_decay": 0.9}),
    ("tiny", {"accumulate": 3, "clip_norm": 1.0, "ema_decay": 0.99}),
    ("tiny", {"freeze": "head-first", "head_epochs": 1}),
    ("tiny", {"freeze": "head"}),
    ("resnet", {"freeze": "last-stage", "optimizer": "sam-sgd"}),
    ("tiny", {"class_weights": True, "sampling": "balanced", "label_smoothing": 0.1}),
    ("tiny", {"small_size": 8, "small_share": 0.5}),
]


@pytest.mark.parametrize(("kind", "recipe"), RECIPES, ids=lambda value: str(value))
def test_a_run_of_any_recipe_resumes_bit_for_bit(tmp_path, kind, recipe):
    optional(recipe.get("optimizer", "adamw"))
    whole = run_of(kind, **recipe)
    start = whole.state_dict()["model"]
    advance(whole)
    begun = run_of(kind, **recipe)
    advance(begun, 7)
    begun.weights()  # validation in between changes nothing
    save_checkpoint(tmp_path, {"run": begun.state_dict()})
    torch.manual_seed(99)
    continued = run_of(kind, **recipe)
    continued.load_state_dict(load_checkpoint(tmp_path)["run"])
    advance(continued)
    assert same(continued.weights(), whole.weights())
    assert continued.epoch_losses == whole.epoch_losses
    assert not same(start, whole.state_dict()["model"])
    assert same(whole.weights(), whole.weights())


@pytest.mark.parametrize("name", [record.name for record in list_optimizers()])
def test_every_optimizer_lowers_the_loss_at_its_usual_rate(name):
    optional(name)
    record = OPTIMIZERS[name]

    def gain(adamw_rate):
        rate = usual_rate(record, adamw_rate)
        run = run_of(optimizer=name, learning_rate=rate, epochs=12, weight_decay=0.0, schedule=record.schedule)
        losses = []
        advance(run, 60, on_step=lambda step: losses.append(step.loss))
        return np.mean(losses[:5]) - np.mean(losses[-5:])

    assert any(gain(rate) > 0.1 for rate in (1e-3, 5e-3, 2e-2))


def gradients(run):
    images, targets, _ = run.feed.make(*run._rows(0))
    run.model.eval()  # no BatchNorm of a part, no dropout
    run._gradients(images, targets)
    return [weight.grad.clone() for weight in run.model.parameters()]


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_a_batch_in_parts_gives_the_gradients_of_the_whole_batch(parts):
    whole, split = gradients(run_of()), gradients(run_of(accumulate=parts))
    for first, second in zip(whole, split, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_clipping_shortens_gradients_and_reports_their_norm_before():
    records, free = [], []
    advance(run_of(clip_norm=1e-3, optimizer="sgd", schedule="constant"), 4, on_step=records.append)
    advance(run_of(optimizer="sgd", schedule="constant"), 1, on_step=free.append)
    assert records[0].grad_norm == pytest.approx(free[0].grad_norm, rel=1e-5)
    assert records[0].grad_norm > 1e-3
    run = run_of(clip_norm=1e-3)
    advance(run, 1)
    norms = [weight.grad.norm() for weight in run.model.parameters()]
    assert float(torch.stack(norms).norm()) == pytest.approx(1e-3, rel=1e-2)


def test_a_step_record_says_what_the_step_did():
    records: list[StepRecord] = []
    run = run_of()
    totals = advance(run, 7, on_step=records.append)
    assert [record.step for record in records] == list(range(1, 8))
    assert [record.epoch for record in records] == [0] * 5 + [1] * 2
    assert sum(record.seen for record in records) == totals.seen == 56
    assert sum(record.right for record in records) == totals.right
    assert run.epoch_losses == [pytest.approx(np.mean([record.loss for record in records[:5]]))]
    schedule = make_schedule(run.config, 15)
    assert [record.learning_rate for record in records] == [schedule(step) for step in range(7)]


def test_watching_steps_changes_no_weight():
    watched, alone = run_of(), run_of()
    advance(watched, on_step=lambda step: None)
    advance(alone)
    assert same(watched.weights(), alone.weights())


def test_averaged_weights_follow_their_formula():
    run = run_of(ema_decay=0.6)
    average = None
    for step in range(1, 7):
        advance(run, step)
        decay = min(0.6, (step - 1) / (step - 1 + 10))  # TensorFlow's rule
        now = run.model.head.weight.detach().double()
        average = now if average is None else decay * average + (1 - decay) * now
    torch.testing.assert_close(run.averaged_model().head.weight.detach().double(), average, rtol=1e-5, atol=1e-7)
    assert not torch.equal(run.weights()["head.weight"], run.state_dict()["model"]["head.weight"])


def test_a_schedule_free_run_saves_the_weights_its_optimizer_calls_those_of_evaluation():
    pytest.importorskip("schedulefree")
    run = run_of(optimizer="schedulefree-adamw", schedule="constant")
    advance(run)
    averaged = run.averaged_model()
    before = run.state_dict()
    run.optimizer.eval()
    for first, second in zip(averaged.parameters(), run.model.parameters(), strict=True):
        assert torch.equal(first, second)
    run.optimizer.train()
    torch.testing.assert_close(run.state_dict()["model"]["head.weight"], before["model"]["head.weight"])


def test_batch_norm_is_estimated_from_the_batches_it_is_given():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    batches = [torch.randn(8, 3, 5, 5) for _ in range(3)]
    estimate_norms(model, batches)
    means = torch.stack([model[0](images).mean((0, 2, 3)) for images in batches]).mean(0)
    torch.testing.assert_close(model[1].running_mean, means)
    assert not model[1].training
    assert model[1].momentum == 0.1


@pytest.mark.parametrize("tag", ["test_vit", "test_resnet", "test_convnext", "test_efficientnet"])
def test_drop_path_rates_are_those_of_timms_factory(tag):
    backbone = load_backbone(tag, from_scratch=True)
    factory = timm.create_model(tag, num_classes=0, drop_path_rate=0.3)
    wanted = {name: part.drop_prob for name, part in factory.named_modules() if isinstance(part, DropPath)}
    rates = drop_path_rates(backbone, 0.3)
    assert rates == pytest.approx(wanted)
    run = TrainingRun(
        backbone, *make_pool(8, backbone.geometry.size), class_count=3, config=TrainConfig(batch_size=4, drop_path=0.3)
    )
    made = {name: part.drop_prob for name, part in run.model.backbone.named_modules() if isinstance(part, DropPath)}
    assert made == pytest.approx(wanted)
    assert not any(isinstance(part, DropPath) for part in backbone.module.modules())
    assert run.model.state_dict().keys() == Classifier(backbone, 3).state_dict().keys()


@pytest.mark.parametrize("name", ["my.package:factory", "vgg11"])
def test_drop_path_is_refused_where_there_are_no_branches(name):
    with pytest.raises(InputError, match="`drop_path` needs a network of timm's with residual branches"):
        drop_path_rates(replace(tiny_backbone(), name=name), 0.1)


def test_dropout_hides_features_in_training_alone():
    model = Classifier(tiny_backbone(), 3, dropout=0.5)
    images = torch.randn(4, 3, 16, 16)
    model.eval()
    assert torch.equal(model(images), model(images))
    model.backbone.eval()
    model.head.train()
    model.training = True
    assert not torch.equal(model(images), model(images))


@pytest.mark.parametrize("name", ["sgd", "adamw", "lamb", "lion", "muon", "cadamw"])
def test_an_optimizer_is_the_one_that_timm_makes_by_name(name):
    model = Classifier(backbone_of("vit"), 3)
    ours = make_optimizer(model, TrainConfig(optimizer=name, learning_rate=0.01, weight_decay=0.2))
    timms = create_optimizer_v2(model, opt=name, lr=0.01, weight_decay=0.2, momentum=0.9)
    assert type(ours) is type(timms)
    hidden = {"params", "use_fallback", "initial_lr"}
    ours_by_weight, timms_by_weight = (
        {id(weight): {key: value for key, value in group.items() if key not in hidden}
         for group in optimizer.param_groups for weight in group["params"]}
        for optimizer in (ours, timms)
    )  # fmt: skip
    assert ours_by_weight == timms_by_weight


def test_layers_learn_by_timms_rates():
    backbone = backbone_of("vit")
    model = Classifier(backbone, 3)
    ours = make_optimizer(model, TrainConfig(layer_decay=0.7, weight_decay=0.1))
    # timm on its own network with its own head
    network = timm.create_model("test_vit", img_size=32, num_classes=3)
    timms = create_optimizer_v2(network, opt="adamw", lr=0.01, weight_decay=0.1, layer_decay=0.7)
    names = {id(weight): name.removeprefix("backbone.") for name, weight in model.named_parameters()}
    theirs = {id(weight): name for name, weight in network.named_parameters()}
    first, second = (
        {known[id(weight)]: (group["lr_scale"], group["weight_decay"])
         for group in optimizer.param_groups for weight in group["params"]}
        for optimizer, known in ((ours, names), (timms, theirs))
    )  # fmt: skip
    assert {name: pytest.approx(value) for name, value in first.items()} == second
    advance(run := run_of("vit", layer_decay=0.7), 1)
    assert {round(group["lr"] / group["lr_scale"], 9) for group in run.optimizer.param_groups} == {
        round(make_schedule(run.config, 15)(0), 9)
    }


def test_a_network_that_does_not_name_its_layers_has_some_in_order():
    numbers = layer_numbers(Classifier(tiny_backbone(nn.Sequential(*[nn.Linear(4, 4) for _ in range(15)])), 3))
    assert numbers["backbone.0.weight"] == 0
    assert numbers["backbone.14.bias"] == 2
    assert numbers["head.weight"] == numbers["head.bias"] == 3


@pytest.mark.parametrize(
    ("tag", "stage"),
    [
        ("test_resnet", "layer4."), ("test_vit", "blocks.5."), ("test_convnext", "stages.3."),
        ("test_efficientnet", "blocks.4."),
    ],
)  # fmt: skip
def test_the_last_stage_is_that_of_the_network(tag, stage):
    model = Classifier(load_backbone(tag, from_scratch=True), 3)
    names = trained_names(model, TrainConfig(freeze="last-stage"), 0)
    stages = {name for name, _ in model.named_parameters() if name.startswith(f"backbone.{stage}")}
    assert stages
    assert stages | {"head.weight", "head.bias"} <= names
    rest = {name.removeprefix("backbone.") for name in names - stages - {"head.weight", "head.bias"}}
    assert all(not name.startswith(("layer", "blocks", "stages", "stem", "conv_stem", "conv1")) for name in rest)


def test_frozen_parts_do_not_change_and_neither_do_their_batch_norms():
    run = run_of(freeze="head")
    before = run.state_dict()["model"]
    advance(run)
    after = run.state_dict()["model"]
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}


def test_the_head_is_trained_first_and_then_all():
    run = run_of(freeze="head-first", head_epochs=2)
    before = run.state_dict()["model"]
    advance(run, 10)
    middle = run.state_dict()["model"]
    assert {name for name in before if not torch.equal(before[name], middle[name])} == {"head.weight", "head.bias"}
    advance(run, 11)
    after = run.state_dict()["model"]
    assert all(not torch.equal(middle[name], after[name]) for name in after if name.endswith("weight"))


def test_class_weights_are_scikit_learns_balanced_ones():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 10 + [1] * 3 + [2] * 7)
    weights = inverse_frequencies(torch.from_numpy(labels), 3)
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    torch.testing.assert_close(weights, torch.from_numpy(wanted).float())
    assert float(weights[torch.from_numpy(labels)].mean()) == pytest.approx(1)
    assert inverse_frequencies(torch.tensor([0, 0, 2]), 4)[[1, 3]].tolist() == [0, 0]


def test_equal_class_weights_give_the_plain_loss():
    model, images = nn.Flatten(), torch.randn(5, 4)
    targets = torch.eye(4)[torch.tensor([0, 1, 2, 3, 0])]
    plain, _ = classification(model, images, targets, label_smoothing=0.1)
    weighted, _ = classification(model, images, targets, label_smoothing=0.1, class_weights=torch.ones(4))
    torch.testing.assert_close(plain, weighted)


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    epoch=st.integers(0, 5),
    batch=st.integers(2, 8),
)
def test_balanced_epochs_show_each_class_equally_often(counts, epoch, batch):
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    batches = epoch_batches(len(labels), 1, seed=3, epoch=epoch, balanced=labels)
    rows = np.concatenate(batches)
    assert len(rows) == len(labels)
    shown = np.bincount(labels[rows], minlength=len(counts))
    assert shown.max() - shown.min() <= 1
    for label in range(len(counts)):
        times = np.bincount(rows[labels[rows] == label], minlength=len(labels))[labels == label]
        assert times.max() - times.min() <= 1
    again = epoch_batches(len(labels), batch, seed=3, epoch=epoch, balanced=labels)
    assert np.concatenate(again).tolist() == rows[: sum(map(len, again))].tolist()


def test_images_are_small_first_and_full_at_the_end():
    sizes = []

    def remembering(model, images, targets):
        sizes.append(tuple(images.shape[2:]))
        return classification(model, images, targets)

    pool, labels = make_pool(40)
    config = TrainConfig(epochs=2, batch_size=8, small_size=8, small_share=0.6)
    run = TrainingRun(tiny_backbone(), pool, labels, class_count=3, config=config, objective=remembering)
    advance(run, 10)
    assert sizes == [(8, 8)] * 6 + [(16, 16)] * 4


def test_small_images_are_refused_by_a_network_of_one_size_before_any_step():
    fixed = load_backbone("vit_tiny_patch16_224", from_scratch=True, size=32)
    with pytest.raises(InputError, match=r"vit_tiny_patch16_224\S* takes 32 px only"):
        run_of("vit", backbone=fixed, small_size=16, small_share=0.5)
    with pytest.raises(InputError, match="must be below the 16 px of the images, got 16"):
        run_of(small_size=16, small_share=0.5)
