"""Which trial of the last rung a sweep takes: by the estimate on the test images under a shift."""

from types import SimpleNamespace

import numpy as np
import pytest

from eyeshot.sweep.search.report import choose_trial
from stored_runs import probabilities_of, store_run


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "eyeshot.toml").write_text('[data]\ntest = "test"\n[rules]\ntest_images = "features"\n')
    return tmp_path


def trial(project, share, *, spread=True, predicts=True):
    """A trial that is right on this share of the validation images; not spread: one class for most test images."""
    random = np.random.default_rng(int(100 * share))
    labels = np.arange(90) % 3
    answers = labels if spread else np.where(np.arange(90) % 4, 0, labels)
    test = probabilities_of(answers, np.ones(90, bool)) if predicts else None
    return SimpleNamespace(experiment=store_run(project, random.random(300) < share, model=f"m{share}", test=test))


def test_under_a_shift_the_estimate_chooses_the_trial(project):
    trials = [trial(project, 0.85, spread=False), trial(project, 0.75)]
    choice = choose_trial(trials, project / "eyeshot-out" / "runs")
    assert (choice.by, choice.chosen) == ("estimate", trials[1].experiment)


def test_without_a_shift_or_without_predictions_of_all_validation_chooses(project):
    runs = project / "eyeshot-out" / "runs"
    alike = [trial(project, 0.8), trial(project, 0.7)]
    choice = choose_trial(alike, runs)
    assert (choice.by, choice.chosen) == ("validation", alike[0].experiment)
    assert choose_trial([*alike, trial(project, 0.9, predicts=False)], runs) is None
    assert choose_trial(alike[:1], runs) is None
    assert choose_trial([], runs) is None
