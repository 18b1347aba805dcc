import numpy as np
import pytest
import torch

from eyeshot.augment import augmentation
from eyeshot.core import CallbackProgress
from eyeshot.core.errors import InputError, ModelError
from eyeshot.training import TrainingRun, warm_up_cosine
from eyeshot.training.checkpoints import load_checkpoint, save_checkpoint

from .helpers import SETTINGS, make_pool, tiny_backbone

SCHEDULE = warm_up_cosine(0.01, 20, warm_up_share=0.1)
AUGMENTATIONS = [augmentation("crop-mild"), augmentation("cutmix")]


def make_run(**options):
    pool, labels = make_pool()
    arguments = {"class_count": 3, "config": SETTINGS, "augmentations": AUGMENTATIONS} | options
    return TrainingRun(tiny_backbone(), pool, labels, **arguments)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def twenty_steps(**options):
    run = make_run(**options)
    run.advance(20, schedule=SCHEDULE)
    return run


@pytest.mark.parametrize("first", [1, 8, 14])
def test_a_short_run_that_is_saved_and_loaded_ends_in_the_same_weights(tmp_path, first):
    begun = make_run()
    begun.advance(first, schedule=SCHEDULE)
    save_checkpoint(tmp_path, {"run": begun.state_dict()})
    torch.manual_seed(99)
    continued = make_run()
    continued.load_state_dict(load_checkpoint(tmp_path)["run"])
    assert continued.step == first
    continued.advance(20, schedule=SCHEDULE)
    assert same(continued.weights(), twenty_steps().weights())


def test_a_run_that_loses_its_optimizer_state_ends_in_other_weights():
    begun = make_run()
    begun.advance(8, schedule=SCHEDULE)
    continued = make_run(start=begun.weights())
    continued.step = 8
    continued.advance(20, schedule=SCHEDULE)
    assert not same(continued.weights(), twenty_steps().weights())


def test_a_state_is_a_copy_that_later_steps_leave_alone():
    run = make_run()
    run.advance(3, schedule=SCHEDULE)
    state = run.state_dict()
    weights = {name: value.clone() for name, value in state["model"].items()}
    average = state["optimizer"]["state"][0]["exp_avg"].clone()
    run.advance(6, schedule=SCHEDULE)
    assert same(weights, state["model"])
    assert torch.equal(average, state["optimizer"]["state"][0]["exp_avg"])
    assert state["step"] == 3


def test_a_state_in_another_memory_layout_is_brought_into_that_of_the_weights():
    run = make_run()
    run.advance(4, schedule=SCHEDULE)
    state = run.state_dict()
    for averages in state["optimizer"]["state"].values():
        averages["exp_avg"] = averages["exp_avg"].contiguous()  # as a safetensors file gives it back
    continued = make_run()
    continued.load_state_dict(state)
    for parameter, averages in continued.optimizer.state.items():
        assert averages["exp_avg"].stride() == parameter.stride()


def test_a_run_that_is_stopped_stays_where_it_is_and_can_go_on():
    run = make_run()
    totals = run.advance(20, schedule=SCHEDULE, stop=lambda: run.step == 7)
    assert (run.step, totals.seen) == (7, 56)
    run.advance(20, schedule=SCHEDULE)
    assert same(run.weights(), twenty_steps().weights())


def test_steps_that_are_done_are_not_done_again():
    run = make_run()
    run.advance(5, schedule=SCHEDULE)
    before = run.weights()
    totals = run.advance(5, schedule=SCHEDULE)
    assert totals.seen == 0
    assert np.isnan(totals.loss)
    assert same(run.weights(), before)


def test_progress_counts_all_steps_of_the_run():
    seen = []
    run = make_run()
    run.advance(2, schedule=SCHEDULE)
    run.advance(5, schedule=SCHEDULE, progress=CallbackProgress(lambda *said: seen.append(said)))
    assert [(done, total) for done, total, _ in seen] == [(3, 5), (4, 5), (5, 5)]
    assert seen[0][2].startswith("loss ")


def test_runs_with_other_augmentations_see_the_same_images_in_the_same_order():
    rows = []
    for augmentations in ([], AUGMENTATIONS):
        run = make_run(augmentations=augmentations)
        seen = []
        for _ in range(10):
            seen.append(run._rows(run.step)[0])
            run.step += 1
        rows.append(np.stack(seen))
    assert (rows[0] == rows[1]).all()


def test_an_objective_of_ones_own_is_trained():
    def score_sum(model, images, targets):
        scores = model(images)
        return scores.sum(), torch.zeros(())

    run = make_run(objective=score_sum)
    first = run.advance(1, schedule=lambda step: 0.1)
    last = run.advance(6, schedule=lambda step: 0.1)
    assert last.loss < first.loss
    assert last.right == 0


def test_weights_that_are_not_finite_are_a_model_error():
    run = make_run()
    with pytest.raises(ModelError, match="tiny diverged: weights are not finite after 1 steps"):
        run.advance(1, schedule=lambda step: float("inf"))


def records_of(run, *, steps=20):
    records = []
    run.advance(steps, schedule=SCHEDULE, on_step=records.append)
    return [record._replace(seconds=0.0, wait_s=0.0) for record in records]


def test_batches_made_ahead_and_losses_read_later_change_nothing():
    plain, other = make_run(), make_run()
    other.feed.ahead, other._read_every = 3, 8
    assert records_of(other) == records_of(plain)
    assert same(other.weights(), plain.weights())


def test_a_run_that_is_stopped_between_two_readings_counts_all_its_steps():
    run, steps = make_run(), []
    run._read_every = 8
    run.advance(20, schedule=SCHEDULE, stop=lambda: run.step == 5, on_step=lambda record: steps.append(record.step))
    assert steps == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("read_every", [1, 8])
def test_a_loss_that_is_not_finite_names_its_step_however_late_it_is_read(read_every):
    done = []

    def third_is_nan(model, images, targets):
        done.append(1)
        return model(images).sum() * (float("nan") if len(done) == 3 else 1.0), torch.zeros(())

    run = make_run(objective=third_is_nan)
    run._read_every = read_every
    with pytest.raises(ModelError, match="the loss is nan at step 3, in epoch 1"):
        run.advance(8, schedule=SCHEDULE)


def test_each_step_says_how_much_of_its_time_went_to_waiting_for_the_batch():
    records = []
    make_run().advance(3, schedule=SCHEDULE, on_step=records.append)
    assert all(0 < record.wait_s < record.seconds for record in records)


def test_an_error_ends_the_thread_that_makes_batches():
    run = make_run()
    run.feed.ahead = 2

    def stop_there(record):
        assert run.feed._thread is not None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.advance(5, schedule=SCHEDULE, on_step=stop_there)
    assert run.feed._thread is None


def test_a_run_in_bfloat16_says_so_and_keeps_its_weights_in_float32():
    run = make_run(config=SETTINGS.model_copy(update={"precision": "bf16"}))
    run.advance(4, schedule=SCHEDULE)
    assert run.reasons[0] == "precision: bf16 (asked for)"
    assert {value.dtype for value in run.weights().values() if value.is_floating_point()} == {torch.float32}
    plain = make_run()
    plain.advance(4, schedule=SCHEDULE)
    assert plain.reasons[0].startswith("precision: fp32 (float32, a CPU")
    assert not same(run.weights(), plain.weights())
    assert torch.allclose(run.weights()["head.weight"], plain.weights()["head.weight"], atol=0.02)


def test_the_scale_of_float16_gradients_is_part_of_the_state():
    begun = make_run()
    begun._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
    begun.advance(4, schedule=SCHEDULE)
    state = begun.state_dict()
    assert state["scaler"]["scale"] == 2.0**11
    continued = make_run()
    continued._scaler = torch.amp.GradScaler("cpu", growth_interval=3)
    continued.load_state_dict(state)
    begun.advance(12, schedule=SCHEDULE)
    continued.advance(12, schedule=SCHEDULE)
    assert same(begun.weights(), continued.weights())
    assert begun._scaler.state_dict() == continued._scaler.state_dict()


def test_float16_is_refused_where_no_gpu_computes_in_it():
    with pytest.raises(InputError, match="fp16 needs a CUDA GPU, got device cpu"):
        make_run(config=SETTINGS.model_copy(update={"precision": "fp16"}))


def test_steps_before_one_that_runs_out_of_memory_are_counted():
    done, steps = [], []

    def fourth_fails(model, images, targets):
        done.append(1)
        if len(done) == 4:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return model(images).sum(), torch.zeros(())

    run = make_run(objective=fourth_fails)
    run._read_every = 8
    with pytest.raises(torch.cuda.OutOfMemoryError):
        run.advance(7, schedule=SCHEDULE, on_step=lambda record: steps.append(record.step))
    assert (steps, run.step) == ([1, 2, 3], 3)
    run.advance(7, schedule=SCHEDULE, on_step=lambda record: steps.append(record.step))
    assert steps == [1, 2, 3, 4, 5, 6, 7]


def test_a_step_whose_record_is_asked_for_is_read_before_the_next_begins():
    run, steps = make_run(), {}
    run._read_every = 8
    run.read_after |= {2, 3}
    run.advance(7, schedule=SCHEDULE, on_step=lambda record: steps.setdefault(record.step, run.step))
    assert steps == {1: 2, 2: 2, 3: 3, 4: 7, 5: 7, 6: 7, 7: 7}
