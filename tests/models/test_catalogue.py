import dataclasses
import fnmatch
import json
import subprocess
import sys

import pytest
import timm
import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch.utils.flop_counter import FlopCounterMode

from eyeshot.core.errors import ModelError
from eyeshot.models import ModelRecipe, ModelRecord, line_of, list_models, model_recipe
from eyeshot.models.catalogue.listing import LINE_PATTERNS, PREFIXES
from eyeshot.models.catalogue.records import RECORDS

SMALL = [record for record in RECORDS if record.parameters < 6e6]
"""Those that are built in a moment; all are built by the slow test."""
KINDS = ("supervised", "semi-supervised", "self-supervised", "masked", "image-text")


def on_meta(record, **options):
    with torch.device("meta"):
        return timm.create_model(record.tag, pretrained=False, num_classes=0, **options).eval()


def check_cost(record):
    network = on_meta(record)
    assert sum(value.numel() for value in network.parameters()) == record.parameters
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), counter:
        network(torch.zeros(1, 3, record.size, record.size))
    assert counter.get_total_flops() / 2e9 == pytest.approx(record.gmacs, rel=0.01, abs=6e-4)


def smallest_of_each_recipe():
    by_recipe = {}
    for record in sorted(RECORDS, key=lambda record: -record.parameters):
        by_recipe[record.recipe] = record
    return list(by_recipe.values())


def test_every_tag_has_weights_in_timm_with_the_size_and_the_licence_of_its_record():
    tags = set(timm.list_pretrained())
    for record in RECORDS:
        assert record.tag in tags
        config = timm.get_pretrained_cfg(record.tag)
        assert (config.input_size[-1], config.license) == (record.size, record.licence), record.tag
        assert config.hf_hub_id == f"timm/{record.tag}"  # what finds its file without timm


def test_every_field_of_every_record_is_known_and_the_sentences_are_sentences():
    assert len({record.tag for record in RECORDS}) == len(RECORDS) >= 60
    for record in RECORDS:
        assert None not in dataclasses.astuple(record)[:9], record.tag
        assert record.objective.startswith(KINDS)
        assert record.when_to_take.startswith("Take it ")
        assert record.when_to_take.endswith(".")
        assert 2015 <= record.year <= 2026


def test_every_line_that_people_ask_for_has_a_small_and_a_larger_model():
    lines = {}
    for record in RECORDS:
        lines.setdefault(record.line, []).append(record.parameters)
    wanted = {"ResNet", "RegNet", "EfficientNet", "ConvNeXt", "MobileNet", "ViT", "Swin", "DINO", "CLIP", "SigLIP"}
    assert wanted | {"EVA", "MAE", "BEiT"} <= lines.keys()
    assert all(max(sizes) > 1.4 * min(sizes) for sizes in lines.values()), lines
    assert {"EVA", "MAE", "BEiT"} <= {record.line for record in RECORDS if record.objective.startswith("masked")}


@pytest.mark.parametrize("record", SMALL, ids=lambda record: record.tag)
def test_parameters_and_operations_of_small_models_are_those_of_timms_network(record):
    check_cost(record)


@pytest.mark.slow
@pytest.mark.parametrize("record", [one for one in RECORDS if one not in SMALL], ids=lambda record: record.tag)
def test_parameters_and_operations_of_larger_models_are_those_of_timms_network(record):
    check_cost(record)


@pytest.mark.parametrize("record", smallest_of_each_recipe(), ids=lambda record: record.tag)
def test_a_recipe_can_be_carried_out_by_timms_factories(record):
    recipe = record.recipe
    network = on_meta(record, drop_path_rate=recipe.drop_path) if recipe.drop_path else on_meta(record)
    momentum = {} if recipe.momentum is None else {"momentum": recipe.momentum}
    optimizer = create_optimizer_v2(
        network, opt=recipe.optimizer, lr=recipe.learning_rate, weight_decay=recipe.weight_decay,
        layer_decay=recipe.layer_decay, **momentum,
    )  # fmt: skip
    scales = [group.get("lr_scale", 1.0) for group in optimizer.param_groups]
    assert (min(scales) < 1) == (recipe.layer_decay is not None)
    assert all(group["lr"] == recipe.learning_rate for group in optimizer.param_groups)
    create_scheduler_v2(optimizer, sched=recipe.schedule, num_epochs=10)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.tag)
def test_recipes_are_within_what_fine_tuning_uses_and_name_their_source(record):
    recipe = record.recipe
    assert 1e-6 <= recipe.learning_rate <= (0.05 if recipe.optimizer == "sgd" else 2e-3)
    assert 64 <= recipe.batch_size <= 4096
    assert 0 <= recipe.weight_decay <= 0.3
    assert recipe.layer_decay is None or 0.5 <= recipe.layer_decay < 1
    assert 0 <= recipe.drop_path <= 0.5
    assert 0 <= recipe.label_smoothing <= 0.2
    assert 0 <= recipe.warm_up_share <= 0.3
    assert any(f" {year}" in recipe.source for year in range(2019, 2026)) or "ours" in recipe.source.lower()


def test_the_catalogue_is_listed_without_torch_and_timm():
    code = (
        "import json, sys, eyeshot; from eyeshot.models import cached_weights; cached_weights('resnet18.a1_in1k');"
        "records = eyeshot.list_models(); eyeshot.model_recipe('vit_base_patch16_224.mae'); eyeshot.list_models('ViT');"
        "print(json.dumps([len(records), sorted({'torch', 'timm'} & set(sys.modules))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout) == [len(RECORDS), []]


def test_a_pattern_chooses_a_line_a_tag_an_architecture_or_all_that_fits():
    assert {record.line for record in list_models("mae")} == {"MAE"}
    assert [record.tag for record in list_models("resnet18.a1_in1k")] == ["resnet18.a1_in1k"]
    names = [record.tag for record in list_models("vit_base_patch16_224")]
    assert {"vit_base_patch16_224.mae", "vit_base_patch16_224.orig_in21k"} <= set(names)
    assert all(name.startswith("vit_base_patch16_224.") for name in names)
    fitting = list_models("vit_*dinov3*")
    assert [record.tag for record in fitting] == timm.list_pretrained("vit_*dinov3*")
    assert [record.tag for record in list_models("test_vit?.*")] == timm.list_pretrained("test_vit?.*")


def test_beyond_the_catalogue_a_record_has_what_timm_knows_and_the_rest_is_unknown():
    record = next(record for record in list_models("vit_7b*") if record.tag == "vit_7b_patch16_dinov3.lvd1689m")
    assert record == ModelRecord(
        "vit_7b_patch16_dinov3.lvd1689m", "DINO", size=256, pretraining_data="lvd1689m (timm's name)",
        licence="dinov3-license",
    )  # fmt: skip


@pytest.mark.parametrize(("pattern", "near"), [("SigLIPP", "SigLIP"), ("resnet81", "resnet"), ("*nothing*", "Lines: ")])
def test_a_pattern_that_fits_nothing_names_the_nearest(pattern, near):
    with pytest.raises(ModelError, match="must fit a tag of timm with weights or be a line") as error:
        list_models(pattern)
    assert near in str(error.value)


@pytest.mark.parametrize(
    ("tag", "source", "reason"),
    [
        ("vit_base_patch16_224.mae", "vit_base_patch16_224.mae", "recipe of vit_base_patch16_224.mae"),
        ("vit_base_patch16_224.orig_in21k", "vit_base_patch16_224.augreg2_in21k_ft_in1k", "same architecture"),
        ("vit_huge_patch14_224.mae", "vit_large_patch16_224.mae", "in the line MAE"),
        ("tf_efficientnet_lite0", "tf_efficientnet_lite0.in1k", "same architecture"),
        ("convnext_small.fb_in1k", "convnext_base.fb_in22k_ft_in1k", "in the line ConvNeXt"),
        ("test_resnet.r160_in1k", "resnet18.a1_in1k", "in the line ResNet"),
        ("resnet101.a1h_in1k", "resnet18.a1_in1k", "in the line ResNet"),
        ("vit_large_patch14_dinov2.lvd142m", "vit_large_patch14_reg4_dinov2.lvd142m", "in the line DINO"),
    ],
)
def test_the_recipe_of_any_tag_is_that_of_the_nearest_record_and_says_which(tag, source, reason):
    recipe, why = model_recipe(tag)
    assert recipe == next(record.recipe for record in RECORDS if record.tag == source)
    assert reason in why


@pytest.mark.parametrize(
    ("model", "kind"), [("xcit_nano_12_p8_224", "attention"), ("dla34", "convolutional"), ("mine:net", "convolutional")]
)
def test_a_model_of_no_line_takes_the_default_of_its_kind_and_says_so(model, kind):
    recipe, why = model_recipe(model)
    assert isinstance(recipe, ModelRecipe)
    assert f"default for {kind} networks" in why
    assert "Ours" in recipe.source


def test_lines_by_name_agree_with_the_catalogue():
    by_name = {}
    for record in RECORDS:
        name = PREFIXES.sub("", record.tag)
        by_name[record.tag] = next(
            (line for line, ps in LINE_PATTERNS if any(fnmatch.fnmatch(name, p) for p in ps)), None
        )
    differing = {tag: line for tag, line in by_name.items() if line != line_of(tag)}
    # A ConvNeXt by its architecture that stands with the weights it shares.
    assert differing == {"convnext_tiny.dinov3_lvd1689m": "ConvNeXt"}
