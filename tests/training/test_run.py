import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from eyeshot.augment import augmentation
from eyeshot.core import CallbackProgress
from eyeshot.core.errors import InputError, ModelError
from eyeshot.training import run as run_module
from eyeshot.training import sitting
from eyeshot.training.classifier import Classifier
from eyeshot.training.result import read_validation

from .helpers import SETTINGS, make_pool, run, tiny_backbone


def weights(folder):
    return load_file(folder / "weights.safetensors")


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_an_easy_task_is_learned(tmp_path):
    result = run(tmp_path, SETTINGS.model_copy(update={"epochs": 30}))
    assert result.accuracy.value == 1.0
    assert result.history[-1].loss < result.history[0].loss
    assert result.alarms == ()
    assert (result.epochs, result.steps, result.n_train) == (30, 150, 42)


def test_two_runs_end_in_the_same_weights_bit_for_bit(tmp_path):
    run(tmp_path / "a", augmentations=[augmentation("rotate-15")])
    torch.manual_seed(99)
    run(tmp_path / "b", augmentations=[augmentation("rotate-15")])
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


@pytest.mark.parametrize("change", [{"seed": 1}, {"weight_decay": 0.5}, {"label_smoothing": 0.1}])
def test_each_setting_matters(tmp_path, change):
    run(tmp_path / "a")
    run(tmp_path / "b", SETTINGS.model_copy(update=change))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_training_leaves_the_given_backbone_and_the_global_generator_alone(tmp_path):
    backbone = tiny_backbone()
    before = {key: value.clone() for key, value in backbone.module.state_dict().items()}
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    run(tmp_path, backbone=backbone)
    assert torch.equal(torch.rand(3), wanted)
    assert same(before, backbone.module.state_dict())


def test_labels_of_the_validation_images_do_not_change_the_training(tmp_path):
    pool, labels = make_pool()
    run(tmp_path / "a")
    other = labels.copy()
    other[42:] = 0
    run(tmp_path / "b", data=(pool, other))
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_a_finished_run_is_not_done_again(tmp_path, monkeypatch):
    first = run(tmp_path)
    monkeypatch.setattr(run_module, "TrainingRun", lambda *_, **__: pytest.fail("trained again"))
    assert run(tmp_path) == first


def test_nothing_of_an_unfinished_run_is_left_in_the_folder_of_a_finished_one(tmp_path):
    run(tmp_path, curves=True)
    names = {file.name for file in tmp_path.iterdir()} - {"lock"}
    assert names == {
        "config.json", "curves.svg", "log.txt", "metrics.jsonl", "result.json", "validation.npz", "weights.safetensors"
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"settings": SETTINGS.model_copy(update={"seed": 4})}, {"augmentations": [augmentation("mirror")]}],
)
def test_a_folder_that_holds_another_run_is_an_input_error(tmp_path, change):
    run(tmp_path)
    with pytest.raises(InputError, match="holds another run"):
        run(tmp_path, **change)


def test_a_loss_that_is_not_finite_is_a_model_error_with_the_next_step(tmp_path):
    class Explodes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(1e38))

        def forward(self, images):
            return images.mean((2, 3)) * self.scale * 1e10

    backbone = tiny_backbone(Explodes(), features=3)
    with pytest.raises(
        ModelError, match=r"tiny diverged: .* at step 1, in epoch 1\. Give a learning rate smaller than 0.01"
    ):
        run(tmp_path, backbone=backbone)


def test_after_a_loss_that_is_not_finite_the_folder_takes_other_settings(tmp_path, monkeypatch):
    monkeypatch.setattr(sitting, "CHECKPOINT_EVERY_S", 0)
    settings = SETTINGS.model_copy(update={"learning_rate": 1e30, "warm_up_share": 0.5})
    with pytest.raises(ModelError, match="diverged"):
        run(tmp_path, settings)
    assert run(tmp_path).epochs == 6


def test_an_alarm_is_raised_where_training_stays_at_chance(tmp_path):
    pool, labels = make_pool()
    pool.images[:] = 100  # nothing to learn
    result = run(tmp_path, data=(pool, labels))
    (alarm,) = [alarm for alarm in result.alarms if alarm.kind == "chance"]
    assert "stayed at chance" in alarm.words
    assert "33.3%" in alarm.words


def test_failed_samples_are_counted_in_the_result(tmp_path):
    pool, labels = make_pool()
    pool.images[:] = 100
    assert run(tmp_path, data=(pool, labels), augmentations=[augmentation("edges")]).failed_samples > 20


def test_augmentations_are_named_in_the_result_in_their_order(tmp_path):
    steps = [augmentation("mirror"), augmentation("mixup")]
    assert run(tmp_path, augmentations=steps).augmentations == ("mirror", "mixup")


def test_progress_goes_up_to_all_steps(tmp_path):
    seen = []
    run(tmp_path, progress=CallbackProgress(lambda *said: seen.append(said)))
    assert [done for done, _, _ in seen] == list(range(1, 31))
    assert seen[-1][1] == 30
    assert seen[-1][2].startswith("epoch 6, loss ")


def test_a_time_cap_stops_between_epochs_and_the_result_says_so(tmp_path):
    result = run(tmp_path, SETTINGS.model_copy(update={"time_cap_s": 1e-6}))
    assert result.epochs == 1
    assert "after 1 of 6 epochs" in result.ended_early
    assert result.accuracy.n == 18


def test_the_same_time_cap_again_changes_nothing(tmp_path):
    settings = SETTINGS.model_copy(update={"time_cap_s": 1e-6})
    assert run(tmp_path, settings) == run(tmp_path, settings)


def test_more_time_continues_a_capped_run_to_the_weights_of_one_without_a_cap(tmp_path):
    run(tmp_path / "capped", SETTINGS.model_copy(update={"time_cap_s": 1e-6}))
    result = run(tmp_path / "capped", SETTINGS.model_copy(update={"time_cap_s": 1000}))
    run(tmp_path / "whole")
    assert result.ended_early is None
    assert same(weights(tmp_path / "capped"), weights(tmp_path / "whole"))


def test_fewer_than_two_images_are_an_input_error(tmp_path):
    pool, labels = make_pool()
    with pytest.raises(InputError, match="at least 2 images, got 1"):
        run_module.train(
            tiny_backbone(), pool, labels, np.array([0]), np.array([1]),
            classes=("a", "b", "c"), settings=SETTINGS, folder=tmp_path,
        )  # fmt: skip


def test_an_unlabelled_training_image_is_an_input_error(tmp_path):
    pool, labels = make_pool()
    labels[3] = -1
    with pytest.raises(InputError, match="labels 0 to 2, got -1"):
        run(tmp_path, data=(pool, labels))


def test_accuracy_after_each_epoch_ends_at_that_of_the_result(tmp_path):
    result = run(tmp_path)
    assert result.epoch_val_images == 18
    assert all(0 <= record.val_accuracy <= 1 for record in result.history)
    assert result.history[-1].val_accuracy == result.accuracy.value


def test_of_many_validation_images_some_are_judged_after_each_epoch_and_the_result_says_how_many(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "EPOCH_VAL_IMAGES", 5)
    result = run(tmp_path / "some")
    assert (result.epoch_val_images, result.n_val) == (5, 18)
    assert all(round(5 * record.val_accuracy) == pytest.approx(5 * record.val_accuracy) for record in result.history)
    monkeypatch.undo()
    run(tmp_path / "all")
    assert same(weights(tmp_path / "some"), weights(tmp_path / "all"))


def test_which_images_were_used_is_kept_in_the_result_and_the_fold_in_the_predictions(tmp_path):
    used = {"decisions": "decisions.jsonl", "split": "split.json", "fold": 2, "val_share": None}
    assert run(tmp_path / "folded", data_used=used).data == used
    predictions = read_validation(tmp_path / "folded")
    assert (predictions.fold, predictions.run, predictions.split) == (2, "folded", "validation")


def test_without_validation_images_there_is_no_accuracy_but_a_result(tmp_path):
    pool, labels = make_pool(42)
    result = run(tmp_path, data=(pool, labels))
    assert result.n_val == 0
    assert result.accuracy.value is None
    assert result.history[-1].val_accuracy is None


def test_parameters_that_the_architecture_exempts_get_no_weight_decay():
    class Asks(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Parameter(torch.ones(4, 4))
            self.other = torch.nn.Linear(4, 4)

        def no_weight_decay(self):
            return {"table"}

    backbone = dataclasses.replace(tiny_backbone(), module=Asks(), feature_count=4)
    assert Classifier(backbone, 2).no_weight_decay() == {"backbone.table"}
