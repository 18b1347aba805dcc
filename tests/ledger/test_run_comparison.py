"""Comparison of stored runs: what counts as one recipe, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

import eyeshot
from eyeshot.core import InputError
from eyeshot.predictions import Predictions, compare_members, load_predictions
from stored_runs import CLASSES, probabilities_of, store_run

IMAGES = 300


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def right(share, *, seed=0, images=IMAGES):
    """Easy images are right in every run: a nested order with a little noise of its own."""
    hard = np.random.default_rng(7).random(images)
    return hard + np.random.default_rng(seed).normal(0, 0.05, images) < share


def rules(project, use):
    (project / "eyeshot.toml").write_text(f'[data]\ntest = "test"\n[rules]\ntest_images = "{use}"\n')


def test_two_runs_are_compared_by_their_right_answers(project):
    answers = [right(0.9), right(0.7, seed=1)]
    good, bad = store_run(project, answers[0]), store_run(project, answers[1], model="resnet50.a1_in1k")
    compared = eyeshot.compare([bad, good], progress=False)
    _, (_, expected) = compare_members([answers[0][None], answers[1][None]])
    assert [member.name for member in compared.members] == [good, bad]
    assert compared.members[1].difference == expected
    assert (compared.reference, compared.n) == (good, IMAGES)
    assert f"{bad} ({100 * expected.value:.1f} points) is worse than {good}" in compared.answer
    assert compared.next_step.endswith(f"eyeshot predict {good}")
    assert compared.notes[0].startswith("The noise between seeds is not measured here")
    assert eyeshot.compare(bad, good, progress=False) == compared


def test_not_distinguishable_is_an_answer_with_what_would_tell(project):
    names = [store_run(project, right(0.80)), store_run(project, right(0.795, seed=1), model="vit.x")]
    compared = eyeshot.compare(names, progress=False)
    assert "is not distinguishable from" in compared.answer
    needed = compared.members[1].difference.images_needed
    assert needed is None or f"{needed:,} images" in compared.next_step
    until = "Until then" if "would show it" in compared.next_step else "So"
    assert compared.next_step.endswith(f"{until} choose the cheaper of them.")


def test_runs_that_differ_in_the_seed_alone_are_one_member(project):
    first = [store_run(project, right(0.8, seed=seed), seed=seed) for seed in range(3)]
    second = [store_run(project, right(0.6, seed=9 + seed), seed=seed, epochs=7) for seed in range(2)]
    compared = eyeshot.compare([*second, *first], progress=False)
    assert [(member.seeds, member.folds) for member in compared.members] == [(3, 1), (2, 1)]
    assert compared.members[0].runs == tuple(first)
    mean = np.mean([right(0.8, seed=seed).mean() for seed in range(3)])
    assert compared.members[0].accuracy.value == pytest.approx(mean)
    assert compared.members[0].seed_spread == pytest.approx(
        np.std([right(0.8, seed=seed).mean() for seed in range(3)], ddof=1)
    )
    assert compared.members[1].difference.verdict == "worse"
    assert "other images and other seeds" in compared.notes[0]
    assert "(3 seeds)" in compared.members[0].words


def test_seeds_of_one_recipe_alone_have_nothing_to_be_compared_with(project):
    compared = eyeshot.compare([store_run(project, right(0.8, seed=seed), seed=seed) for seed in range(2)])
    assert len(compared.members) == 1
    assert "All 2 runs are one recipe" in compared.answer


def test_runs_on_other_training_images_are_no_seeds_of_each_other(project):
    names = [store_run(project, right(0.8, seed=n), seed=n, n_train=234 - n) for n in range(2)]
    compared = eyeshot.compare(names, progress=False)
    assert [(member.seeds, member.runs) for member in compared.members] == [(1, (name,)) for name in (
        sorted(names, key=lambda name: -right(0.8, seed=names.index(name)).mean()))]  # fmt: skip
    said = f"no seeds of each other: {names[0]} (234 + {IMAGES}) and {names[1]} (233 + {IMAGES})."
    assert any(note.endswith(said) for note in compared.notes)


def test_the_next_step_does_not_predict_with_a_file_of_the_users_own(project):
    name = store_run(project, right(0.5))
    table = probabilities_of(np.arange(IMAGES) % 3, right(0.9))
    lines = ["id,cat,dog,owl", *(f"{n},{a},{b},{c}" for n, (a, b, c) in enumerate(table))]
    (project / "mine.csv").write_text("\n".join(lines), encoding="utf-8")
    assert "eyeshot predict" not in eyeshot.compare([name, "mine.csv"], progress=False).next_step


def fold_runs(project, share, *, folds=(0, 1), seed=0, **more):
    """One run a fold, each on its own images."""
    return [
        store_run(
            project, right(share, seed=10 * fold + seed), fold=fold, seed=seed,
            ids=[f"{fold}-{number}.jpg" for number in range(IMAGES)], **more,
        )
        for fold in folds
    ]  # fmt: skip


def test_runs_that_differ_in_the_fold_are_joined_out_of_fold(project):
    first, second = fold_runs(project, 0.8), fold_runs(project, 0.6, augmentations=("mirror",))
    compared = eyeshot.compare([*first, *second], progress=False)
    assert [(member.seeds, member.folds) for member in compared.members] == [(1, 2), (1, 2)]
    assert compared.n == 2 * IMAGES
    values = [right(0.8, seed=0).mean(), right(0.8, seed=10).mean()]
    assert compared.members[0].accuracy.value == pytest.approx(np.mean(values))


def test_folds_of_several_seeds_are_joined_seed_by_seed(project):
    names = [*fold_runs(project, 0.8), *fold_runs(project, 0.8, seed=1), *fold_runs(project, 0.6, model="vit.x")]
    compared = eyeshot.compare(names, progress=False)
    assert [(member.seeds, member.folds) for member in compared.members] == [(2, 2), (1, 2)]


def test_a_fold_that_is_missing_is_named(project):
    names = [*fold_runs(project, 0.8), *fold_runs(project, 0.6, folds=(1,), model="vit.x")]
    with pytest.raises(InputError, match=f"none like '{names[2]}' of fold 0"):
        eyeshot.compare(names)


def test_other_weights_are_another_recipe(project):
    names = [
        store_run(project, right(0.8), command="eyeshot train --weights a.safetensors"),
        store_run(project, right(0.8), command="eyeshot train --weights b.safetensors", seed=1),
    ]
    assert len(eyeshot.compare(names, progress=False).members) == 2


def test_a_file_of_the_users_own_is_a_run(project):
    name = store_run(project, right(0.9))
    own = right(0.7, seed=3)
    table = probabilities_of(np.arange(IMAGES) % 3, own)
    lines = ["id,dog,cat,owl", *(f"{n},{b},{a},{c}" for n, (a, b, c) in enumerate(table))]  # classes in another order
    (project / "mine.csv").write_text("\n".join(lines), encoding="utf-8")
    compared = eyeshot.compare([name, "mine.csv"], progress=False)
    assert compared.members[1].name == "mine"
    assert compared.members[1].accuracy.value == pytest.approx(own.mean())


def test_an_ensemble_is_compared_like_a_run_also_where_runs_have_folds(project):
    folds = [fold_runs(project, share, model=f"m{share}.x") for share in (0.9, 0.6)]
    ensemble = eyeshot.ensemble([*folds[0], *folds[1]], method="soft", progress=False)
    compared = eyeshot.compare([ensemble.run, *folds[1]], progress=False)
    values = {member.name: member.accuracy for member in compared.members}
    assert values[ensemble.run].value == pytest.approx(ensemble.accuracy.value)
    assert (compared.n, set(values)) == (2 * IMAGES, {ensemble.run, folds[1][0]})


def test_a_run_that_ended_in_nan_is_refused(project):
    names = [store_run(project, right(0.9)), store_run(project, right(0.8), model="vit.x")]
    file = project / "eyeshot-out" / "runs" / names[1] / "validation.npz"
    table = load_predictions(file)
    replace(table, probabilities=np.full(table.probabilities.shape, np.nan)).save(file)
    with pytest.raises(InputError, match=f"'{names[1]}' hold NaN"):
        eyeshot.compare(names, progress=False)


def test_files_of_the_same_name_are_told_apart(project):
    for folder, share in (("one", 0.9), ("two", 0.6)):
        table = probabilities_of(np.arange(IMAGES) % 3, right(share))
        (project / folder).mkdir()
        lines = ["id,cat,dog,owl,label", *(f"{n},{a},{b},{c},{CLASSES[n % 3]}" for n, (a, b, c) in enumerate(table))]
        (project / folder / "mine.csv").write_text("\n".join(lines), encoding="utf-8")
    compared = eyeshot.compare(["one/mine.csv", "two/mine.csv"], against="two/mine.csv", progress=False)
    assert [member.name for member in compared.members] == ["one/mine.csv", "two/mine.csv"]
    assert compared.reference == "two/mine.csv"


def test_scores_before_softmax_are_converted_on_request(project):
    name = store_run(project, right(0.9))
    table = np.log(probabilities_of(np.arange(IMAGES) % 3, right(0.6)))
    lines = ["id,cat,dog,owl", *(f"{n},{a},{b},{c}" for n, (a, b, c) in enumerate(table))]
    (project / "mine.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match="--logits"):
        eyeshot.compare([name, "mine.csv"], progress=False)
    compared = eyeshot.compare([name, "mine.csv"], logits=True, progress=False)
    assert compared.members[1].accuracy.value == pytest.approx(right(0.6).mean())


def test_classes_in_another_order_change_nothing(project):
    answers = [right(0.9), right(0.8, seed=1)]
    plain = [store_run(project, answers[0]), store_run(project, answers[1], model="vit.x")]
    turned = store_run(project, answers[1], model="vit.y", classes=("owl", "cat", "dog"))
    differences = [eyeshot.compare([plain[0], other]).members[1].difference for other in (plain[1], turned)]
    assert differences[0] == differences[1]


def test_the_reference_can_be_named(project):
    names = [store_run(project, right(share, seed=n), model=f"m{n}.x") for n, share in enumerate((0.6, 0.8, 0.7))]
    compared = eyeshot.compare(names, against=names[0], progress=False)
    assert compared.reference == names[0]
    assert [member.difference and member.difference.verdict for member in compared.members] == [
        "better",
        "better",
        None,
    ]
    assert "allowance for 2 comparisons" in compared.notes[1]
    assert "allowance for 3 comparisons" in eyeshot.compare(names, progress=False).notes[1]
    other = store_run(project, right(0.5), model="other.x")
    with pytest.raises(InputError, match="--against must be one of the runs"):
        eyeshot.compare(names, against=other)


def test_accuracy_on_the_test_images_is_estimated_where_they_are_predicted(project):
    rules(project, "features")
    test = probabilities_of(np.arange(90) % 3, np.ones(90, bool))
    predicted = store_run(project, right(0.8), test=test)
    without = store_run(project, right(0.7, seed=1), model="vit.x")
    compared = eyeshot.compare([predicted, without], progress=False)
    stored = eyeshot.estimate_target_accuracy(
        Predictions(tuple(map(str, range(90))), test.astype(np.float16), CLASSES),
        validation=(probabilities_of(np.arange(IMAGES) % 3, right(0.8)), np.arange(IMAGES) % 3),
    )
    assert compared.members[0].estimate.value == pytest.approx(stored.value, abs=1e-3)
    assert compared.members[1].estimate is None
    even = eyeshot.compare([predicted, without], class_shares="even", progress=False)
    assert even.members[0].estimate.assumptions[0] == "Classes occur among the target images evenly."
    with pytest.raises(InputError, match="--class-shares must be even, got 'odd'"):
        eyeshot.compare([predicted, without], class_shares="odd")
    assert any(note.endswith(f"eyeshot predict {without}") for note in compared.notes)


def shifted_pair(project, shares=(0.8, 0.7)):
    """Two runs: the first validates better and answers mostly one class on the test images, the second all."""
    labels = np.arange(90) % 3
    constant = probabilities_of(np.where(np.arange(90) % 4, 0, labels), np.ones(90, bool))
    spread = probabilities_of(labels, np.ones(90, bool))
    first = store_run(project, right(shares[0]), test=constant)
    return first, store_run(project, right(shares[1], seed=1), model="vit.x", test=spread), spread


def test_under_a_shift_the_run_to_take_is_chosen_by_the_estimate_and_the_verdict_stays(project):
    rules(project, "features")
    validates, transfers, spread = shifted_pair(project)
    compared = eyeshot.compare([validates, transfers], progress=False)
    assert compared.reference == validates
    assert compared.members[1].difference.verdict == "worse"
    assert (compared.choice.by, compared.choice.chosen, compared.choice.tied) == ("estimate", transfers, (transfers,))
    assert f"{transfers} is chosen by the estimate on the test images" in compared.answer
    assert compared.next_step == f"Go on with {transfers}: eyeshot predict {transfers}"
    as_good = store_run(project, right(0.71, seed=2), model="cnn.x", test=spread)
    three = eyeshot.compare([validates, transfers, as_good], progress=False).choice
    assert (three.chosen, set(three.tied)) == (as_good, {as_good, transfers})


def test_where_one_has_not_predicted_the_test_images_nothing_is_chosen_by_estimates(project):
    rules(project, "features")
    validates, transfers, _ = shifted_pair(project)
    without = store_run(project, right(0.75, seed=2), model="cnn.x")
    compared = eyeshot.compare([validates, transfers, without], progress=False)
    assert compared.choice is None
    assert "is chosen by" not in compared.answer


def test_the_rules_of_the_project_can_forbid_the_estimate(project):
    rules(project, "nothing")
    test = probabilities_of(np.arange(90) % 3, np.ones(90, bool))
    names = [store_run(project, right(0.8), test=test), store_run(project, right(0.7), model="vit.x", test=test)]
    compared = eyeshot.compare(names, progress=False)
    assert [member.estimate for member in compared.members] == [None, None]
    assert any('Rules for test images: "nothing"' in note for note in compared.notes)


def test_runs_that_cannot_be_compared_are_refused(project):
    name = store_run(project, right(0.8))
    with pytest.raises(InputError, match="At least two runs are needed to compare, got 1"):
        eyeshot.compare(name)
    with pytest.raises(InputError, match="is the same training as"):
        eyeshot.compare([name, name])
    other_images = store_run(project, right(0.8), model="vit.x", ids=[f"x{n}.jpg" for n in range(IMAGES)])
    with pytest.raises(InputError, match="same images only"):
        eyeshot.compare([name, other_images])
    test = probabilities_of(np.arange(30) % 3, np.ones(30, bool))
    unlabelled = [store_run(project, right(0.8), model=f"t{n}.x", test=test) for n in range(2)]
    with pytest.raises(InputError, match="no test image has one"):
        eyeshot.compare(unlabelled, split="test")
    (project / "eyeshot-out" / "runs" / name / "result.json").unlink()
    with pytest.raises(InputError, match="is not finished"):
        eyeshot.compare([name, other_images])
