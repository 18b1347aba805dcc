import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from eyeshot.augment import Pool
from eyeshot.core import CallbackProgress
from eyeshot.core.errors import InputError
from eyeshot.training.checks.one_batch import AVERAGES_FOLLOW, MOST_STEPS, _batch_of, fit_batch

from .helpers import SETTINGS, make_pool, tiny_backbone


class Pixels(nn.Module):
    def forward(self, images):
        return images.flatten(1)


def network(module=None):
    return tiny_backbone(module or nn.Sequential(Pixels(), nn.Linear(768, 32), nn.ReLU()), features=32)


def fit(backbone, pool, labels, **changes):
    settings = SETTINGS.model_copy(update={"batch_size": 16, "learning_rate": 1e-3} | changes)
    return fit_batch(backbone, pool, labels, class_count=3, settings=settings)


def test_a_network_that_can_learn_fits_one_batch_and_the_sentence_says_so():
    pool, labels = make_pool(16)
    result = fit(network(), pool, labels, label_smoothing=0.5)  # smoothing is off while one batch is fitted
    assert (result.fitted, result.images, result.classes) == (True, 16, 3)
    assert result.steps < MOST_STEPS
    assert result.fitting_rate == result.learning_rate == 1e-3
    assert "network, labels and learning rate (0.001) can learn" in result.words


@pytest.mark.parametrize(
    ("backbone", "rate", "fitting", "words"),
    [(network(), 3e-5, 3e-4, "too low"), (tiny_backbone(), 3.0, 0.3, "too high")],
)
def test_a_learning_rate_that_is_off_is_told_from_network_and_labels(backbone, rate, fitting, words):
    pool, labels = make_pool(16)
    result = fit(backbone, pool, labels, learning_rate=rate)
    assert (result.fitted, result.fitting_rate) == (False, pytest.approx(fitting))
    assert f"the learning rate is {words}. Give --learning-rate {fitting:g}." in result.words


def test_a_network_through_which_no_gradient_flows_cannot_be_fitted():
    class Cut(nn.Module):
        def forward(self, images):
            return images.new_zeros(len(images), 32)

    pool, labels = make_pool(16)
    result = fit(network(Cut()), pool, labels)
    assert (result.fitted, result.fitting_rate) == (False, None)
    assert "does not learn from these images" in result.words


def test_images_without_what_their_labels_say_cannot_be_fitted():
    pool, labels = make_pool(16)
    grey = Pool(np.full_like(pool.images, 100), pool.keys)
    assert "does not learn from these images" in fit(network(), grey, labels).words


def test_one_image_under_two_labels_is_an_input_error():
    pool, labels = make_pool(16)
    with pytest.raises(InputError, match="2 of the 16 images"):
        fit(network(), Pool(pool.images, [pool.keys[1], *pool.keys[1:]]), labels)


def test_a_batch_holds_as_many_classes_as_there_are():
    labels = np.array([0] * 90 + [1] * 9 + [2])
    rows = _batch_of(labels, SETTINGS.model_copy(update={"batch_size": 8}))
    assert np.bincount(labels[rows]).tolist() == [4, 3, 1]
    with pytest.raises(InputError, match="at least two classes"):
        _batch_of(np.zeros(5, np.int64), SETTINGS)


def test_a_fitted_batch_that_evaluation_does_not_know_is_told():
    class Stuck(nn.Module):
        """Normalises batches, but its running averages never follow."""

        def __init__(self):
            super().__init__()
            self.linear, self.norm = nn.Linear(768, 32), nn.BatchNorm1d(32, momentum=0.0)
            nn.init.constant_(self.linear.bias, 30.0)

        def forward(self, images):
            return self.norm(self.linear(images.flatten(1)))

    torch.manual_seed(0)
    pool, labels = make_pool(16)
    result = fit(dataclasses.replace(network(Stuck())), pool, np.roll(labels, 1), learning_rate=3e-4)
    assert result.fitted
    assert "running averages" in result.words


def test_progress_names_the_most_steps_and_not_a_total_that_is_seldom_reached():
    pool, labels = make_pool(16)
    told = []
    fit_batch(
        network(), pool, labels, class_count=3, settings=SETTINGS.model_copy(update={"learning_rate": 1e-3}),
        progress=CallbackProgress(lambda done, total, text: told.append((total, text))),
    )  # fmt: skip
    first = [total for total, text in told if f"of at most {MOST_STEPS}" in text]
    assert set(first) == {0}
    assert {total for total, text in told if "running averages follow" in text} <= {AVERAGES_FOLLOW}
    assert len(first) < MOST_STEPS
