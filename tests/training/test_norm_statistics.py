"""BatchNorm's averages stay as they were pretrained where the recipe says so."""

import torch

from eyeshot.training import TrainingRun, warm_up_cosine

from .helpers import SETTINGS, make_pool, tiny_backbone


def trained(kind, steps=6):
    pool, labels = make_pool()
    settings = SETTINGS.model_copy(update={"norm_statistics": kind})
    run = TrainingRun(tiny_backbone(), pool, labels, class_count=3, config=settings)
    before = run.weights()
    run.advance(steps, schedule=warm_up_cosine(0.01, steps, warm_up_share=0))
    return before, run.weights()


def changed(kind):
    before, after = trained(kind)
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_frozen_averages_stay_and_all_weights_are_trained():
    frozen, usual = changed("frozen"), changed("batch")
    averages = {name for name in usual if "running" in name or "num_batches" in name}
    assert len(averages) == 6
    assert frozen == usual - averages


def test_the_setting_is_named_and_leaves_the_key_of_other_runs_alone():
    assert "frozen" in SETTINGS.model_copy(update={"norm_statistics": "frozen"}).words
    assert "norm_statistics" not in SETTINGS.identity()
