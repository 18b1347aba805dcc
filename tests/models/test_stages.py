"""Stages against timm's own intermediates, slices of the network by hand, and what the bank keeps of them."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from eyeshot.augment import augmentation
from eyeshot.errors import InputError
from eyeshot.models import LAST, FeatureBank, extract, load_backbone, to_batch
from eyeshot.models.features import normalise
from eyeshot.models.stages import find_stages

from .helpers import Tiny, make_backbone, make_pool, small_timm, tiny_backbone

ROWS = np.arange(24)
SQUEEZENET = "torchvision.models:squeezenet1_0"


def rows_of(backbone, images):
    rows = extract(backbone, images, with_stages=True)
    return {name: rows[:, backbone.columns(name)] for name in backbone.stage_names}


def with_stages(backbone):
    return replace(backbone, stages=find_stages(backbone.module, backbone.geometry.size))


@pytest.mark.parametrize(
    ("model", "size", "names"),
    [
        ("test_resnet.r160_in1k", 64, ("layer1", "layer2", "layer3", LAST)),
        ("test_vit.r160_in1k", 160, ("blocks.1", "blocks.2", "blocks.4", LAST)),
        ("test_efficientnet.r160_in1k", 64, ("blocks.1", "blocks.2", "blocks.3", LAST)),
        ("test_convnext.r160_in1k", 64, ("stages.0", "stages.1", "stages.2", LAST)),
    ],
)
def test_stages_of_a_timm_model_are_averages_of_its_own_intermediates(model, size, names):
    backbone = load_backbone(model, from_scratch=True, size=size)
    assert backbone.stage_names == names
    pool, _ = make_pool(4, size)
    with torch.inference_mode():
        values = normalise(to_batch(pool.images), backbone, device=torch.device("cpu"))
        maps = backbone.module.forward_intermediates(values, output_fmt="NCHW", intermediates_only=True)
    places = [info["module"] for info in backbone.module.feature_info]
    found = rows_of(backbone, pool.images)
    for name in names[:-1]:
        wanted = maps[places.index(name)].mean((2, 3)).numpy()
        assert np.allclose(found[name], wanted, rtol=1e-4, atol=1e-5), name


def test_channels_last_maps_are_averaged_over_places():
    backbone = load_backbone("torchvision.models:swin_t", from_scratch=True, size=64)
    assert backbone.stage_names == ("features.1", "features.3", "features.5", LAST)
    pool, _ = make_pool(2, 64)
    with torch.inference_mode():
        values = normalise(to_batch(pool.images), backbone, device=torch.device("cpu"))
        wanted = backbone.module.module.features[:4](values).mean((1, 2)).numpy()
    assert np.allclose(rows_of(backbone, pool.images)["features.3"], wanted, rtol=1e-4, atol=1e-5)


def test_stages_of_squeezenet_end_where_its_map_changes_size():
    backbone = load_backbone(SQUEEZENET, from_scratch=True, size=64)
    assert backbone.stage_names == ("features.1", "features.5", "features.10", LAST)
    pool, _ = make_pool(4, 64)
    found = rows_of(backbone, pool.images)
    network = backbone.module.module
    with torch.inference_mode():
        values = normalise(to_batch(pool.images), backbone, device=torch.device("cpu"))
        for name, end in (("features.1", 2), ("features.5", 6), ("features.10", 11)):
            assert np.allclose(found[name], network.features[:end](values).mean((2, 3)), rtol=1e-4, atol=1e-5), name


class Steps(nn.Module):
    """So many convolutions of stride 2, each with a rectifier that writes in place, and an average."""

    def __init__(self, count):
        super().__init__()
        self.body = nn.Sequential()
        for number in range(count):
            self.body.append(nn.Conv2d(3 if number == 0 else 4 + number, 5 + number, 3, stride=2, padding=1))
            self.body.append(nn.ReLU(inplace=True))

    def forward(self, images):
        return self.body(images).mean((2, 3))


@pytest.mark.parametrize(
    ("count", "ends"), [(1, []), (2, [1]), (3, [1, 2]), (4, [1, 2, 3]), (5, [2, 3, 4]), (6, [2, 3, 5])]
)
def test_of_many_stages_those_at_quarters_of_the_depth_are_taken(count, ends):
    torch.manual_seed(0)
    found = find_stages(Steps(count), 64)
    assert [stage.name for stage in found] == [f"body.{2 * end - 1}" for end in ends]
    assert [stage.width for stage in found] == [4 + end for end in ends]


def test_a_list_of_stages_is_looked_into():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, padding=1)
            self.stages = nn.ModuleList(nn.Conv2d(4 + n, 5 + n, 3, stride=2, padding=1) for n in range(3))

        def forward(self, images):
            found = self.stem(images)
            for stage in self.stages:
                found = stage(found)
            return found.mean((2, 3))

    assert [stage.name for stage in find_stages(Listed(), 32)] == ["stem", "stages.0", "stages.1"]


class Tokens(nn.Module):
    """Blocks on tokens of 4 x 4 patches, behind a class token that is there from the start or added at the end."""

    def __init__(self, *, early, width=6):
        super().__init__()
        torch.manual_seed(0)
        self.early, self.num_prefix_tokens = early, 1
        self.embed = nn.Conv2d(3, width, 8, stride=8)
        self.token = nn.Parameter(torch.full((1, 1, width), 9.0))
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.feature_info = [{"module": f"blocks.{place}", "num_chs": width} for place in range(4)]

    def forward(self, images):
        found = self.embed(images).flatten(2).transpose(1, 2)
        token = self.token.expand(len(images), -1, -1)
        found = torch.cat([token, found], 1) if self.early else found
        for block in self.blocks:
            found = block(found)
        return found[:, 0] if self.early else (found.mean(1) + token[:, 0])


@pytest.mark.parametrize("early", [True, False])
def test_class_tokens_are_no_places(early):
    module = Tokens(early=early)
    backbone = with_stages(make_backbone(module, size=32))
    assert backbone.stage_names == ("blocks.0", "blocks.1", "blocks.2", LAST)
    pool, _ = make_pool(4, 32)
    with torch.inference_mode():
        values = normalise(to_batch(pool.images), backbone, device=torch.device("cpu"))
        patches = module.embed(values).flatten(2).transpose(1, 2)
        wanted = module.blocks[1](module.blocks[0](patches)).mean(1).numpy()
    assert np.allclose(rows_of(backbone, pool.images)["blocks.1"], wanted, rtol=1e-4, atol=1e-5)


def test_finding_stages_repeats_and_leaves_no_random_state_and_no_hook_behind():
    module = Steps(4)
    before = torch.get_rng_state()
    assert find_stages(module, 64) == find_stages(copy.deepcopy(module), 64)
    assert torch.equal(before, torch.get_rng_state())
    assert not any(part._forward_hooks for part in module.modules())


def test_a_network_without_maps_has_the_last_layer_only():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(48, 5)

        def forward(self, images):
            return self.line(images.flatten(1))

    backbone = with_stages(make_backbone(Flat(), size=4, features=5))
    assert backbone.stage_names == (LAST,)
    assert (backbone.row_width, backbone.row_fingerprint) == (5, backbone.fingerprint)


def test_a_layer_that_runs_twice_and_one_that_gives_no_tensor_are_no_stages():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
            self.again = nn.MaxPool2d(2)
            self.pair = Pair()
            self.end = nn.Conv2d(4, 6, 3, stride=2, padding=1)

        def forward(self, images):
            found, _ = self.pair(self.again(self.again(self.first(images))))
            return self.end(found).mean((2, 3))

    class Pair(nn.Module):
        def forward(self, images):
            return images, 1

    assert [stage.name for stage in find_stages(Odd(), 32)] == ["first"]


def test_features_of_the_last_layer_are_the_same_bits_with_and_without_stages():
    pool, _ = make_pool(size=32)
    backbone = small_timm()
    assert np.array_equal(rows_of(backbone, pool.images)[LAST], extract(backbone, pool.images))


def test_stages_come_from_the_one_forward_pass(tmp_path):
    backbone = with_stages(tiny_backbone())
    assert len(backbone.stages) == 1
    passes = []
    backbone.module.register_forward_hook(lambda module, inputs, output: passes.append(len(output)))
    pool, _ = make_pool()
    bank = FeatureBank(tmp_path, backbone)
    for stage in backbone.stage_names:
        bank.at(stage).clean(pool, ROWS)
        bank.at(stage).views(augmentation("mirror"), pool, ROWS, seed=0, draw=0)
    assert sum(passes) == 48


def test_the_bank_gives_the_columns_of_each_stage(tmp_path):
    pool, _ = make_pool(size=32)
    backbone = small_timm()
    wanted = rows_of(backbone, pool.images)
    bank = FeatureBank(tmp_path, backbone)
    for stage in (*backbone.stage_names, *backbone.stage_names[::-1]):
        found = bank.at(stage).clean(pool, ROWS[::-1])
        assert found.dtype == np.float16
        assert found.base is None or found.base.nbytes == found.nbytes
        assert np.array_equal(found, wanted[stage][::-1].astype(np.float16)), stage


def test_the_last_layer_in_the_bank_is_as_in_a_bank_without_stages(tmp_path):
    pool, _ = make_pool(size=32)
    backbone = small_timm()
    banks = [FeatureBank(tmp_path, one) for one in (backbone, replace(backbone, stages=()))]
    assert banks[0].folder != banks[1].folder
    edges = augmentation("edges")
    pool.images[::3] = 128  # without an edge
    assert np.array_equal(*[bank.clean(pool, ROWS) for bank in banks])
    whole, last = (bank.views(edges, pool, ROWS, seed=0, draw=0) for bank in banks)
    assert all(np.array_equal(one, other) for one, other in zip(whole, last, strict=True))
    early = banks[0].at("layer1").views(edges, pool, ROWS, seed=0, draw=0)
    assert np.array_equal(early.success, last.success)
    assert early.features.shape == (24, 32)


def test_a_stage_that_does_not_fit_into_half_precision_keeps_the_row_in_single(tmp_path):
    class Wide(Tiny):
        def __init__(self):
            super().__init__()
            nn.init.constant_(self.layers[0].bias, 1e6)
            nn.init.constant_(self.layers[2].weight, 1e-6)

    backbone = with_stages(make_backbone(Wide()))
    pool, _ = make_pool()
    bank = FeatureBank(tmp_path, backbone)
    for stage, wanted in rows_of(backbone, pool.images).items():
        found = bank.at(stage).clean(pool, ROWS)
        assert found.dtype == np.float32
        assert np.array_equal(found, wanted)


def test_other_weights_keep_the_stages_of_the_network():
    backbone = small_timm()
    trained = copy.deepcopy(backbone.module)
    with torch.no_grad():
        for value in trained.layer3.parameters():
            value.mul_(2)
    after = backbone.with_module(trained, pretrained=False, reason="trained here")
    assert after.stage_names == backbone.stage_names
    assert after.row_fingerprint != backbone.row_fingerprint
    pool, _ = make_pool(4, 32)
    old, new = rows_of(backbone, pool.images), rows_of(after, pool.images)
    assert np.array_equal(old["layer2"], new["layer2"])
    assert not np.array_equal(old["layer3"], new["layer3"])


def test_an_unknown_stage_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"layer1, layer2, layer3, last for test_resnet.*got 'layer9'"):
        FeatureBank(tmp_path, small_timm()).at("layer9")
