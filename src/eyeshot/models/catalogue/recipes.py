"""How each line of models is fine-tuned: optimizer, schedule, rates, as its paper or its authors' code says.

Data only. `source` names where the values come from and which of them are ours. Augmentation, EMA and the number of
epochs stand elsewhere: they depend on the data more than on the model.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelRecipe:
    """What a model is fine-tuned with.

    Attributes:
        optimizer: name in timm's factory of optimizers.
        schedule: cosine, step or another name of the schedules.
        learning_rate: the peak, for steps of `batch_size` images.
        batch_size: images a step.
        weight_decay: as the optimizer takes it; decoupled for AdamW.
        layer_decay: factor on the learning rate from each layer to the one below; None: one rate for all.
        drop_path: probability that a residual branch is skipped, in the last block.
        label_smoothing: probability spread over all classes.
        warm_up_share: share of the steps in which the rate rises.
        clip_norm: largest norm of the gradient; None: not clipped.
        source: the paper or the authors' code, and what was adapted.
        momentum: of SGD and RMSProp; None: the optimizer's own.
    """

    optimizer: str
    schedule: str
    learning_rate: float
    batch_size: int
    weight_decay: float
    layer_decay: float | None
    drop_path: float
    label_smoothing: float
    warm_up_share: float
    clip_norm: float | None
    source: str
    momentum: float | None = None


def _adamw(
    learning_rate: float,
    batch_size: int,
    weight_decay: float,
    layer_decay: float | None,
    drop_path: float,
    warm_up_share: float,
    source: str,
    *,
    label_smoothing: float = 0.1,
    clip_norm: float | None = None,
) -> ModelRecipe:
    return ModelRecipe(
        "adamw", "cosine", learning_rate, batch_size, weight_decay, layer_decay, drop_path, label_smoothing,
        warm_up_share, clip_norm, source,
    )  # fmt: skip


SGD_CONVOLUTIONAL = ModelRecipe(
    "sgd", "cosine", 0.01, 256, 1e-4, None, 0.0, 0.0, 0.0, None,
    "Rate 0.01, momentum 0.9 and weight decay 1e-4 are the common practice named by Li et al. 2020 (Rethinking the "
    "Hyperparameters for Fine-tuning, section 1); Nesterov momentum, cosine and 256 images are those of Kornblith et "
    "al. 2019 (Do Better ImageNet Models Transfer Better?), who search the rate between 1e-4 and 0.1.",
    momentum=0.9,
)  # fmt: skip
BIT = ModelRecipe(
    "sgd", "step", 0.003, 512, 0.0, None, 0.0, 0.0, 0.05, None,
    "Kolesnikov et al. 2020 (Big Transfer), BiT-HyperRule: SGD 0.003, momentum 0.9, 512 images, a tenth at 30, 60 and "
    "90 % of the steps, no weight decay; 500 of 10,000 steps warm up, as for data of medium size.",
    momentum=0.9,
)  # fmt: skip
EFFICIENTNET_V2 = ModelRecipe(
    "rmsproptf", "cosine", 0.001, 512, 0.0, None, 0.0, 0.0, 0.0, None,
    "Tan and Le 2021 (EfficientNetV2), section on transfer: rate 0.001 with cosine, 512 images, 10,000 steps, no "
    "weight decay; RMSProp with momentum 0.9 from their training on ImageNet. Drop path 0 is ours.",
    momentum=0.9,
)  # fmt: skip

_CONVNEXT = (
    "Liu et al. 2022 (ConvNeXt), TRAINING.md of facebookresearch/ConvNeXt, fine-tuning from ImageNet-22k: AdamW 5e-5 "
    "at 512 images, weight decay 1e-8, layer decay 0.8, no warm-up; drop path {}."
)
CONVNEXT_SMALL = _adamw(
    5e-5, 512, 1e-8, 0.8, 0.1, 0.0, _CONVNEXT.format("0.1 is ours for sizes below base (0.2 there)")
)  # fmt: skip
CONVNEXT_BASE = _adamw(5e-5, 512, 1e-8, 0.8, 0.2, 0.0, _CONVNEXT.format("0.2 as for ConvNeXt-B"))
CONVNEXT_LARGE = _adamw(5e-5, 512, 1e-8, 0.8, 0.3, 0.0, _CONVNEXT.format("0.3 as for ConvNeXt-L"))
CONVNEXT_V2 = _adamw(
    6.25e-4, 256, 0.05, 0.6, 0.1, 0.2,
    "Woo et al. 2023 (ConvNeXt V2), TRAINING.md of facebookresearch/ConvNeXt-V2, base size after FCMAE: 6.25e-4 for "
    "each 256 images, 20 of 100 epochs warm up. Their layer decay 0.6 is per group of blocks, as in the code there.",
)  # fmt: skip

AUGREG = ModelRecipe(
    "sgd", "cosine", 0.01, 512, 0.0, None, 0.0, 0.0, 0.05, 1.0,
    "Steiner et al. 2022 (How to train your ViT?) and Dosovitskiy et al. 2021, Table 4: SGD with momentum 0.9, 512 "
    "images, no weight decay, gradients clipped at norm 1; 500 of 10,000 steps warm up, as in vit_jax/configs. 0.01 is "
    "our pick from their grid 0.001 to 0.03.",
    momentum=0.9,
)  # fmt: skip
_DEIT3 = (
    "Touvron et al. 2022 (DeiT III), README_revenge.md of facebookresearch/deit, fine-tuning from ImageNet-21k: LAMB "
    "3e-4 at 2048 images, weight decay 0.02, 5 of 50 epochs warm up, smoothing 0.1, drop path as for this size."
)
DEIT3_SMALL = ModelRecipe("lamb", "cosine", 3e-4, 2048, 0.02, None, 0.05, 0.1, 0.1, None, _DEIT3)
DEIT3_BASE = ModelRecipe("lamb", "cosine", 3e-4, 2048, 0.02, None, 0.15, 0.1, 0.1, None, _DEIT3)
_SWIN = (
    "Liu et al. 2021 (Swin) and 2022 (V2), configs of microsoft/Swin-Transformer, from ImageNet-22k to 1k: AdamW 2e-5 "
    "for each 512 images, weight decay 1e-8, 5 of 30 epochs warm up, norm clipped at 5; drop path {}."
)
SWIN_TINY = _adamw(2e-5, 512, 1e-8, None, 0.1, 0.17, _SWIN.format("0.1 is ours for the tiny size"), clip_norm=5.0)
SWIN = _adamw(2e-5, 512, 1e-8, None, 0.2, 0.17, _SWIN.format("0.2 as for the base size"), clip_norm=5.0)
TINY_VIT = _adamw(
    2.5e-4, 512, 1e-8, 0.8, 0.1, 0.17,
    "Wu et al. 2022 (TinyViT), configs/22kto1k of microsoft/Cream for 21M: base rate 2.5e-4 (for 512 images, as in "
    "Swin's code, which it builds on), weight decay 1e-8, layer decay 0.8, 5 of 30 epochs warm up, norm clipped at 5.",
    clip_norm=5.0,
)  # fmt: skip

MAE_BASE = _adamw(
    5e-4, 256, 0.05, 0.65, 0.1, 0.05,
    "He et al. 2022 (MAE), FINETUNE.md of facebookresearch/mae for ViT-B: 5e-4 for each 256 images (they use 1024), "
    "weight decay 0.05, layer decay 0.65, drop path 0.1, 5 of 100 epochs warm up.",
)  # fmt: skip
MAE_LARGE = _adamw(
    1e-3, 256, 0.05, 0.75, 0.2, 0.1,
    "He et al. 2022 (MAE), FINETUNE.md of facebookresearch/mae for ViT-L: 1e-3 for each 256 images (they use 1024), "
    "weight decay 0.05, layer decay 0.75, drop path 0.2, 5 of 50 epochs warm up.",
)  # fmt: skip
HIERA = _adamw(
    5e-4, 256, 0.05, 0.65, 0.1, 0.05,
    "Ours: the recipe of MAE's ViT-B (He et al. 2022), whose objective Hiera (Ryali et al. 2023) is pretrained with.",
)  # fmt: skip
BEIT_BASE = _adamw(
    2e-5, 512, 1e-8, 0.85, 0.1, 0.17,
    "Bao et al. 2022 (BEiT), get_started_for_image_classification.md of microsoft/unilm/beit, base size after "
    "intermediate fine-tuning on ImageNet-22k: 2e-5 at 512 images, layer decay 0.85, drop path 0.1, 5 of 30 epochs.",
)  # fmt: skip
_BEITV2 = (
    "Peng et al. 2022 (BEiT v2), get_started_for_image_classification.md of microsoft/unilm/beit2, {} size after "
    "intermediate fine-tuning on ImageNet-21k, 1024 images; {}."
)
BEITV2_BASE = _adamw(
    5e-5, 1024, 0.05, 0.75, 0.1, 0.1,
    _BEITV2.format("base", "a warm-up of 10 % is ours for short runs, theirs is 20 of 30 epochs"),
)  # fmt: skip
BEITV2_LARGE = _adamw(7e-5, 1024, 0.05, 0.8, 0.25, 0.25, _BEITV2.format("large", "5 of 20 epochs warm up"))
_EVA02 = "Fang et al. 2023 (EVA-02), README of baaivision/EVA/EVA-02/asuka, fine-tuning on ImageNet-1k, {}."
EVA02_TINY = _adamw(2e-4, 1024, 0.05, 0.9, 0.1, 0.05, _EVA02.format("tiny, 1024 images, 5 of 100 epochs warm up"))
EVA02_SMALL = _adamw(1e-4, 1024, 0.05, 0.8, 0.1, 0.05, _EVA02.format("small, 1024 images, 5 of 100 epochs warm up"))
EVA02_BASE = _adamw(
    5e-5, 512, 0.05, 0.8, 0.15, 0.13,
    _EVA02.format("base after ImageNet-21k, 512 images, 2 of 15 epochs warm up"), label_smoothing=0.2,
)  # fmt: skip
EVA02_LARGE = _adamw(
    2e-5, 512, 0.05, 0.85, 0.15, 0.1,
    _EVA02.format("large after Merged-38M and ImageNet-21k, 512 images, 2 of 20 epochs warm up"), label_smoothing=0.2,
)  # fmt: skip

DEFAULT_TRANSFORMER = _adamw(
    5e-5, 256, 0.05, 0.75, 0.1, 0.1,
    "Ours for attention networks without a recipe here: AdamW with weight decay 0.05, layer decay 0.75 and drop path "
    "0.1, as MAE, BEiT v2 and EVA-02 agree for base size; the rate is their middle, to be checked by a range test.",
)  # fmt: skip
DEFAULT_CONVOLUTIONAL = _adamw(
    2e-4, 256, 0.05, None, 0.0, 0.1,
    "Ours for convolutional networks without a recipe here: AdamW at a rate to be checked by a range test. It suits "
    "networks with and without batch norm, where SGD's best rate differs by ten.",
)  # fmt: skip
SELF_SUPERVISED = _adamw(
    5e-5, 256, 0.05, 0.75, 0.1, 0.1,
    "Ours: the default for attention networks. The DINO papers (Caron et al. 2021, Oquab et al. 2023, Siméoni et al. "
    "2025) judge mainly frozen features and publish no recipe for small data; check the rate by a range test.",
)  # fmt: skip
CLIP = _adamw(
    3e-5, 256, 0.05, 0.65, 0.0, 0.1,
    "Ours, after Dong et al. 2022 (CLIP Itself is a Strong Fine-tuner), who find for ViT-B/16 and L/14 that a small "
    "rate, layer decay and few epochs matter; the values are ours, to be checked by a range test.",
)  # fmt: skip
