"""Which models are fine-tuned first."""

from made_models import made_model

from eyeshot.rankings.models.tuning_order import choose_for_fine_tuning


def names(ranked):
    return [model.name for model, _ in choose_for_fine_tuning(ranked)]


def test_the_lines_that_must_be_tried_come_before_better_probes_of_others():
    ranked = [
        made_model("swin-a", line="Swin", right=97), made_model("swin-b", line="Swin", right=96),
        made_model("convnext", line="ConvNeXt", right=95), made_model("vit-a", line="ViT", right=80),
        made_model("resnet", line="ResNet", right=70), made_model("efficient", line="EfficientNet", right=75),
        made_model("mae", line="MAE", right=50), made_model("vit-b", line="ViT", right=79),
        made_model("swin-c", line="Swin", right=94),
    ]  # fmt: skip
    assert names(ranked) == [
        "swin-a", "resnet", "efficient", "vit-a", "mae", "convnext", "swin-b", "vit-b",
    ]  # fmt: skip
    reasons = dict((model.name, reason) for model, reason in choose_for_fine_tuning(ranked))
    assert reasons["swin-a"] == "the best probe of all"
    assert "undersell" in reasons["mae"]
    assert reasons["vit-b"] == "the second probe of the line ViT"


def test_a_masked_model_of_another_line_is_known_by_its_record():
    from eyeshot.models import list_models

    masked = next(record for record in list_models() if (record.objective or "").startswith("masked"))
    ranked = [made_model("good", line="ConvNeXt", right=95), made_model("fine", line="ConvNeXt", right=94),
              made_model(masked.tag, line="ConvNeXt", right=40)]  # fmt: skip
    assert names(ranked) == ["good", masked.tag, "fine"]


def test_of_equal_probes_the_smaller_goes_first_whatever_was_timed_and_two_of_a_line_are_enough():
    sizes = {"large": (9, 1.0), "small": (1, 9.0), "middle": (5, 5.0)}
    ranked = [made_model(name, parameters=size, seconds=seconds) for name, (size, seconds) in sizes.items()]
    assert names(ranked) == ["small", "middle"]
    surer = made_model("surer", parameters=20)
    surer = surer.model_copy(update={"probe": surer.probe.model_copy(update={"log_loss": 0.1})})
    assert names([*ranked, surer]) == ["surer", "small"]


def test_models_without_a_line_are_a_line_each():
    ranked = [made_model(name, line="own", right=90 - place) for place, name in enumerate("abcd")]
    assert names(ranked) == ["a", "b", "c", "d"]


def test_a_single_model_is_taken_once():
    assert names([made_model("resnet")]) == ["resnet"]
    assert names([]) == []
