"""The catalogue of models: one record for each of 82 pretrained models, from small to large in each line.

Data only: neither torch nor timm is imported, so that listing it is fast. What was checked, and how:

- tags, sizes and licences equal timm's (1.0.31); `parameters` is the count of the network without its classifier;
- `gmacs` is half the operations that torch.utils.flop_counter counts in one forward pass of one image at the model's
  own size, without the classifier: convolutions and matrix products, attention included;
- the year is that of the weights' paper or release; pretraining data and objective are those of its authors.

Licences are those of the weights, in the hub's words: "cc-by-nc-4.0" and "…-license" restrict commercial use or have
terms of their own. What the images of the pretraining allow is another matter.
"""

from __future__ import annotations

from dataclasses import dataclass

from eyeshot.models.catalogue.recipes import (
    AUGREG,
    BEIT_BASE,
    BEITV2_BASE,
    BEITV2_LARGE,
    BIT,
    CLIP,
    CONVNEXT_BASE,
    CONVNEXT_LARGE,
    CONVNEXT_SMALL,
    CONVNEXT_V2,
    DEFAULT_CONVOLUTIONAL,
    DEFAULT_TRANSFORMER,
    DEIT3_BASE,
    DEIT3_SMALL,
    EFFICIENTNET_V2,
    EVA02_BASE,
    EVA02_LARGE,
    EVA02_SMALL,
    EVA02_TINY,
    HIERA,
    MAE_BASE,
    MAE_LARGE,
    SELF_SUPERVISED,
    SGD_CONVOLUTIONAL,
    SWIN,
    SWIN_TINY,
    TINY_VIT,
    ModelRecipe,
)

SUPERVISED = "supervised"
IMAGE_TEXT = "image-text"
IMAGE_TEXT_SUPERVISED = "image-text, then supervised"


@dataclass(frozen=True)
class ModelRecord:
    """What is known of a pretrained model; None where it is not known.

    Attributes:
        tag: timm's full tag, architecture.weights.
        line: the line of models that it belongs to.
        year: of the paper or the release of these weights.
        parameters: count, without the classifier.
        gmacs: multiplications and additions for one image of its own size, in 10^9, without the classifier.
        size: side of its images, pixels.
        pretraining_data: what it was trained on, in the order of training.
        objective: what it was trained for; begins with supervised, semi-supervised, self-supervised, masked or
            image-text.
        licence: of the weights.
        recipe: how it is fine-tuned.
        when_to_take: one sentence.
    """

    tag: str
    line: str | None = None
    year: int | None = None
    parameters: int | None = None
    gmacs: float | None = None
    size: int | None = None
    pretraining_data: str | None = None
    objective: str | None = None
    licence: str | None = None
    recipe: ModelRecipe | None = None
    when_to_take: str | None = None

    @property
    def architecture(self) -> str:
        """The tag without the name of the weights."""
        return self.tag.partition(".")[0]


# fmt: off
RECORDS = (
    ModelRecord(
        "resnet18.a1_in1k", "ResNet", 2021, 11_176_512, 1.814, 224,
        "ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it first to see within minutes that data and labels work; every other model has to beat it.",
    ),
    ModelRecord(
        "resnet50.a1_in1k", "ResNet", 2021, 23_508_032, 4.087, 224,
        "ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it to compare with older work, which nearly always reports a ResNet-50; newer lines usually beat it "
        "at its cost.",
    ),
    ModelRecord(
        "resnet50.fb_swsl_ig1b_ft_in1k", "ResNet", 2019, 23_508_032, 4.087, 224,
        "Instagram-1B hashtags, then ImageNet-1k", "semi-supervised, then supervised",
        "cc-by-nc-4.0", SGD_CONVOLUTIONAL,
        "Take it where a plain ResNet-50 must cope with a shift of style and the licence allows research use only.",
    ),
    ModelRecord(
        "resnetv2_50x1_bit.goog_in21k", "ResNet", 2020, 23_500_352, 4.087, 224,
        "ImageNet-21k", SUPERVISED, "apache-2.0", BIT,
        "Take it where a ResNet must be fine-tuned on few images a class: BiT was made for transfer, and has no "
        "batch norm to upset.",
    ),
    ModelRecord(
        "resnetv2_101x1_bit.goog_in21k", "ResNet", 2020, 42_492_480, 7.799, 224,
        "ImageNet-21k", SUPERVISED, "apache-2.0", BIT,
        "Take it as the next size of BiT, where the 50-layer one still gains from more training images.",
    ),
    ModelRecord(
        "seresnextaa101d_32x8d.sw_in12k_ft_in1k_288", "ResNet", 2022, 91_539_280, 28.391, 288,
        "ImageNet-12k, then ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it as the strongest of the ResNet line here, where a convolutional network is asked for and cost "
        "matters less.",
    ),
    ModelRecord(
        "regnety_004.tv2_in1k", "RegNet", 2021, 3_903_144, 0.401, 224,
        "ImageNet-1k", SUPERVISED, "bsd-3-clause", SGD_CONVOLUTIONAL,
        "Take it where a GPU must run very many images a second: few operations, regular shapes.",
    ),
    ModelRecord(
        "regnety_032.ra_in1k", "RegNet", 2020, 17_923_338, 3.175, 224,
        "ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it as a middle-sized convolutional network in place of a ResNet-50, at fewer operations.",
    ),
    ModelRecord(
        "regnety_160.sw_in12k_ft_in1k", "RegNet", 2022, 80_565_140, 15.908, 224,
        "ImageNet-12k, then ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it as the strong RegNet, as a member of an ensemble that is unlike the transformers.",
    ),
    ModelRecord(
        "tf_efficientnet_lite0.in1k", "EfficientNet", 2020, 3_371_008, 0.384, 224,
        "ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it for phones and microcontrollers: no squeeze-and-excite and no swish, so it quantises well.",
    ),
    ModelRecord(
        "tf_efficientnet_lite2.in1k", "EfficientNet", 2020, 4_811_072, 0.858, 260,
        "ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it where lite0 is too weak and the device still rules out larger networks.",
    ),
    ModelRecord(
        "efficientnet_b0.ra4_e3600_r224_in1k", "EfficientNet", 2024, 4_007_548, 0.385, 224,
        "ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it as the cheap EfficientNet: 4 million parameters, trained with a newer and longer recipe than the "
        "first weights.",
    ),
    ModelRecord(
        "tf_efficientnet_b4.ns_jft_in1k", "EfficientNet", 2019, 17_548_616, 4.392, 380,
        "JFT-300M without labels, ImageNet-1k", "semi-supervised (noisy student)", "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it where test images are noisier or otherwise shifted: the noisy-student weights were made for that.",
    ),
    ModelRecord(
        "tf_efficientnetv2_b3.in21k_ft_in1k", "EfficientNet", 2021, 12_821_406, 1.907, 240,
        "ImageNet-21k, then ImageNet-1k", SUPERVISED, "apache-2.0", EFFICIENTNET_V2,
        "Take it as the cheap EfficientNetV2, small images and wide pretraining.",
    ),
    ModelRecord(
        "tf_efficientnetv2_s.in21k_ft_in1k", "EfficientNet", 2021, 20_177_488, 5.306, 300,
        "ImageNet-21k, then ImageNet-1k", SUPERVISED, "apache-2.0", EFFICIENTNET_V2,
        "Take it as the first EfficientNet to fine-tune on one GPU: it trains faster than B4 and above.",
    ),
    ModelRecord(
        "tf_efficientnetv2_l.in21k_ft_in1k", "EfficientNet", 2021, 117_234_272, 35.898, 384,
        "ImageNet-21k, then ImageNet-1k", SUPERVISED, "apache-2.0", EFFICIENTNET_V2,
        "Take it as the strong EfficientNet, where detail matters and 384-pixel images can be paid for.",
    ),
    ModelRecord(
        "mobilenetv2_100.ra_in1k", "MobileNet", 2020, 2_223_872, 0.299, 224,
        "ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it where an old runtime supports nothing newer.",
    ),
    ModelRecord(
        "mobilenetv3_large_100.ra_in1k", "MobileNet", 2020, 4_202_032, 0.215, 224,
        "ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it on a phone's CPU, where 0.2 GMACs an image are what can be paid.",
    ),
    ModelRecord(
        "mobilenetv4_conv_small.e2400_r224_in1k", "MobileNet", 2024, 2_493_024, 0.185, 224,
        "ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it on a laptop without a GPU; it is the model that eyeshot takes when none is named.",
    ),
    ModelRecord(
        "mobilenetv4_conv_medium.e500_r256_in1k", "MobileNet", 2024, 8_434_512, 1.079, 256,
        "ImageNet-1k", SUPERVISED, "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it where the small one is too weak and the device still a phone.",
    ),
    ModelRecord(
        "mobilenetv4_hybrid_medium.e200_r256_in12k_ft_in1k", "MobileNet", 2024, 9_793_648, 1.27, 256,
        "ImageNet-12k, then ImageNet-1k", SUPERVISED, "apache-2.0", DEFAULT_CONVOLUTIONAL,
        "Take it as the middle size with attention and wider pretraining, where classes are many and alike.",
    ),
    ModelRecord(
        "mobilenetv4_conv_aa_large.e230_r384_in12k_ft_in1k", "MobileNet", 2024, 31_309_864, 7.006, 384,
        "ImageNet-12k, then ImageNet-1k", SUPERVISED, "apache-2.0", DEFAULT_CONVOLUTIONAL,
        "Take it as the strong MobileNet: less than twice the operations of a ResNet-50, at 384 pixels.",
    ),
    ModelRecord(
        "convnext_atto.d2_in1k", "ConvNeXt", 2022, 3_374_520, 0.547, 224,
        "ImageNet-1k", SUPERVISED, "apache-2.0", CONVNEXT_SMALL,
        "Take it to try ConvNeXt's recipe and augmentation at a third of a ResNet-18's operations.",
    ),
    ModelRecord(
        "convnext_nano.in12k_ft_in1k", "ConvNeXt", 2023, 14_952_560, 2.445, 224,
        "ImageNet-12k, then ImageNet-1k", SUPERVISED, "apache-2.0", CONVNEXT_SMALL,
        "Take it as the cheap strong convolutional network: ImageNet-12k pretraining at 15 million parameters.",
    ),
    ModelRecord(
        "convnext_tiny.in12k_ft_in1k", "ConvNeXt", 2023, 27_820_128, 4.455, 224,
        "ImageNet-12k, then ImageNet-1k", SUPERVISED, "apache-2.0", CONVNEXT_SMALL,
        "Take it in place of ResNet-50, at its cost.",
    ),
    ModelRecord(
        "convnext_base.fb_in22k_ft_in1k", "ConvNeXt", 2022, 87_566_464, 15.354, 224,
        "ImageNet-22k, then ImageNet-1k", SUPERVISED, "apache-2.0", CONVNEXT_BASE,
        "Take it as the usual ConvNeXt of published comparisons.",
    ),
    ModelRecord(
        "convnext_base.clip_laion2b_augreg_ft_in12k_in1k", "ConvNeXt", 2023, 87_566_464, 20.054, 256,
        "LAION-2B, then ImageNet-12k and -1k", IMAGE_TEXT_SUPERVISED, "apache-2.0", CONVNEXT_BASE,
        "Take it where test images are drawings, paintings or otherwise unlike photographs: image-text pretraining "
        "has seen them.",
    ),
    ModelRecord(
        "convnext_large_mlp.clip_laion2b_soup_ft_in12k_in1k_320", "ConvNeXt", 2023, 198_591_168, 70.125, 320,
        "LAION-2B, then ImageNet-12k and -1k", IMAGE_TEXT_SUPERVISED, "apache-2.0", CONVNEXT_LARGE,
        "Take it as the strong ConvNeXt under such a shift, if 70 GMACs an image can be paid.",
    ),
    ModelRecord(
        "convnextv2_nano.fcmae_ft_in22k_in1k", "ConvNeXt", 2023, 14_982_800, 2.445, 224,
        "ImageNet-1k masked, then ImageNet-22k and -1k", "masked (FCMAE), then supervised",
        "cc-by-nc-4.0", CONVNEXT_SMALL,
        "Take it where research use suffices and a small convolutional network should have masked pretraining.",
    ),
    ModelRecord(
        "convnextv2_base.fcmae", "ConvNeXt", 2023, 87_692_800, 15.354, 224,
        "ImageNet-1k without labels", "masked (FCMAE)", "cc-by-nc-4.0", CONVNEXT_V2,
        "Take it to fine-tune all layers on many images; its features alone are weak.",
    ),
    ModelRecord(
        "convnextv2_base.fcmae_ft_in22k_in1k", "ConvNeXt", 2023, 87_692_800, 15.354, 224,
        "ImageNet-1k masked, then ImageNet-22k and -1k", "masked (FCMAE), then supervised",
        "cc-by-nc-4.0", CONVNEXT_BASE,
        "Take it as the base size with masked pretraining, where research use suffices.",
    ),
    ModelRecord(
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k", "ViT", 2021, 5_524_416, 1.253, 224,
        "ImageNet-21k, then ImageNet-1k", SUPERVISED, "apache-2.0", AUGREG,
        "Take it as the cheapest transformer with good weights, to see whether the line suits the data.",
    ),
    ModelRecord(
        "vit_small_patch16_224.augreg_in21k_ft_in1k", "ViT", 2021, 21_665_664, 4.598, 224,
        "ImageNet-21k, then ImageNet-1k", SUPERVISED, "apache-2.0", AUGREG,
        "Take it as a transformer at the cost of a ResNet-50.",
    ),
    ModelRecord(
        "vit_base_patch16_224.augreg2_in21k_ft_in1k", "ViT", 2022, 85_798_656, 17.563, 224,
        "ImageNet-21k, then ImageNet-1k", SUPERVISED, "apache-2.0", AUGREG,
        "Take it as the supervised ViT-B that others are compared with; these weights were fine-tuned again by timm.",
    ),
    ModelRecord(
        "vit_large_patch16_384.augreg_in21k_ft_in1k", "ViT", 2021, 303_690_752, 191.065, 384,
        "ImageNet-21k, then ImageNet-1k", SUPERVISED, "apache-2.0", AUGREG,
        "Take it where a large supervised transformer and 384-pixel images can be paid for.",
    ),
    ModelRecord(
        "vit_little_patch16_reg1_gap_256.sbb_in12k_ft_in1k", "ViT", 2024, 22_194_048, 6.255, 256,
        "ImageNet-12k, then ImageNet-1k", SUPERVISED, "apache-2.0", DEFAULT_TRANSFORMER,
        "Take it as a newer small ViT: average pooling, a register token, ImageNet-12k.",
    ),
    ModelRecord(
        "vit_so150m2_patch16_reg1_gap_256.sbb_e200_in12k_ft_in1k", "ViT", 2025, 135_226_560, 36.957, 256,
        "ImageNet-12k, then ImageNet-1k", SUPERVISED, "apache-2.0", DEFAULT_TRANSFORMER,
        "Take it as the strong supervised ViT here, above base size and at a fifth of ViT-L's operations at 384.",
    ),
    ModelRecord(
        "deit3_small_patch16_224.fb_in22k_ft_in1k", "ViT", 2022, 21_674_496, 4.598, 224,
        "ImageNet-22k, then ImageNet-1k", SUPERVISED, "apache-2.0", DEIT3_SMALL,
        "Take it as a small ViT whose training recipe is public in full.",
    ),
    ModelRecord(
        "deit3_base_patch16_224.fb_in22k_ft_in1k", "ViT", 2022, 85_816_320, 17.563, 224,
        "ImageNet-22k, then ImageNet-1k", SUPERVISED, "apache-2.0", DEIT3_BASE,
        "Take it as a ViT-B whose training recipe is public in full.",
    ),
    ModelRecord(
        "swin_tiny_patch4_window7_224.ms_in22k_ft_in1k", "Swin", 2021, 27_519_354, 4.49, 224,
        "ImageNet-22k, then ImageNet-1k", SUPERVISED, "mit", SWIN_TINY,
        "Take it where details are small and a plain ViT's 16-pixel patches lose them.",
    ),
    ModelRecord(
        "swin_base_patch4_window7_224.ms_in22k_ft_in1k", "Swin", 2021, 86_743_224, 15.43, 224,
        "ImageNet-22k, then ImageNet-1k", SUPERVISED, "mit", SWIN,
        "Take it as the usual Swin of published comparisons.",
    ),
    ModelRecord(
        "swinv2_base_window12to16_192to256.ms_in22k_ft_in1k", "Swin", 2022, 86_893_816, 21.968, 256,
        "ImageNet-22k, then ImageNet-1k", SUPERVISED, "mit", SWIN,
        "Take it where training of the first Swin is unstable or the images will grow: V2 was made for both.",
    ),
    ModelRecord(
        "vit_small_patch16_224.dino", "DINO", 2021, 21_665_664, 4.598, 224,
        "ImageNet-1k without labels", "self-supervised (DINO)", "apache-2.0", SELF_SUPERVISED,
        "Take it for nearest neighbours and retrieval where the licence must be free and the model small.",
    ),
    ModelRecord(
        "vit_base_patch16_224.dino", "DINO", 2021, 85_798_656, 17.563, 224,
        "ImageNet-1k without labels", "self-supervised (DINO)", "apache-2.0", SELF_SUPERVISED,
        "Take it where images are unlike ImageNet's classes and labels of the pretraining should not bias it.",
    ),
    ModelRecord(
        "vit_small_patch14_reg4_dinov2.lvd142m", "DINO", 2023, 22_057_344, 46.883, 518,
        "LVD-142M without labels", "self-supervised (DINOv2)", "apache-2.0", SELF_SUPERVISED,
        "Take it for frozen features at 22 million parameters under a free licence; smaller images than 518 are "
        "much cheaper.",
    ),
    ModelRecord(
        "vit_base_patch14_reg4_dinov2.lvd142m", "DINO", 2023, 86_582_016, 152.116, 518,
        "LVD-142M without labels", "self-supervised (DINOv2)", "apache-2.0", SELF_SUPERVISED,
        "Take it as the first frozen backbone to probe on photographs, under a free licence.",
    ),
    ModelRecord(
        "vit_large_patch14_reg4_dinov2.lvd142m", "DINO", 2023, 304_370_688, 508.551, 518,
        "LVD-142M without labels", "self-supervised (DINOv2)", "apache-2.0", SELF_SUPERVISED,
        "Take it as the strong frozen backbone under a free licence.",
    ),
    ModelRecord(
        "convnext_tiny.dinov3_lvd1689m", "DINO", 2025, 27_820_128, 4.455, 224,
        "LVD-1689M without labels", "self-supervised (DINOv3), distilled", "dinov3-license", CONVNEXT_SMALL,
        "Take it where DINOv3's features are wanted in a convolutional network.",
    ),
    ModelRecord(
        "vit_small_patch16_dinov3.lvd1689m", "DINO", 2025, 21_586_944, 6.245, 256,
        "LVD-1689M without labels", "self-supervised (DINOv3), distilled", "dinov3-license", SELF_SUPERVISED,
        "Take it as the cheap DINOv3, if its own licence can be accepted.",
    ),
    ModelRecord(
        "vit_base_patch16_dinov3.lvd1689m", "DINO", 2025, 85_641_216, 23.575, 256,
        "LVD-1689M without labels", "self-supervised (DINOv3), distilled", "dinov3-license", SELF_SUPERVISED,
        "Take it for frozen features of photographs and fine detail, if its own licence can be accepted.",
    ),
    ModelRecord(
        "vit_large_patch16_dinov3.lvd1689m", "DINO", 2025, 303_079_424, 82.369, 256,
        "LVD-1689M without labels", "self-supervised (DINOv3), distilled", "dinov3-license", SELF_SUPERVISED,
        "Take it as the strong frozen backbone, if its own licence can be accepted.",
    ),
    ModelRecord(
        "vit_base_patch32_clip_224.laion2b", "CLIP", 2022, 87_456_000, 4.408, 224,
        "LAION-2B", IMAGE_TEXT, "apache-2.0", CLIP,
        "Take it as the cheapest CLIP: a quarter of the operations of 16-pixel patches.",
    ),
    ModelRecord(
        "vit_base_patch16_clip_224.openai", "CLIP", 2021, 85_799_424, 17.563, 224,
        "WIT-400M", IMAGE_TEXT, "apache-2.0", CLIP,
        "Take it where train and test differ in style, such as photographs and sketches; probe it before fine-tuning.",
    ),
    ModelRecord(
        "vit_base_patch16_clip_224.laion2b_ft_in12k_in1k", "CLIP", 2022, 85_799_424, 17.563, 224,
        "LAION-2B, then ImageNet-12k and -1k", IMAGE_TEXT_SUPERVISED, "apache-2.0", CLIP,
        "Take it as a ViT-B for objects in any style, already tuned for classes.",
    ),
    ModelRecord(
        "vit_large_patch14_clip_224.openai", "CLIP", 2021, 303_179_776, 81.012, 224,
        "WIT-400M", IMAGE_TEXT, "apache-2.0", CLIP,
        "Take it as the strong CLIP for a linear head on frozen features.",
    ),
    ModelRecord(
        "vit_large_patch14_clip_336.laion2b_ft_in12k_in1k", "CLIP", 2022, 303_507_456, 190.959, 336,
        "LAION-2B, then ImageNet-12k and -1k", IMAGE_TEXT_SUPERVISED, "apache-2.0", CLIP,
        "Take it as the strongest of the line for classes of objects in any style, if 190 GMACs an image can be paid.",
    ),
    ModelRecord(
        "vit_pe_core_base_patch16_224.fb", "CLIP", 2025, 92_886_528, 17.802, 224,
        "5.4 billion image-text pairs", IMAGE_TEXT, "apache-2.0", CLIP,
        "Take it as the newest ViT-B with image-text pretraining here, under a free licence.",
    ),
    ModelRecord(
        "vit_base_patch16_siglip_224.v2_webli", "SigLIP", 2025, 92_884_224, 17.708, 224,
        "WebLI", IMAGE_TEXT, "apache-2.0", CLIP,
        "Take it as the cheap SigLIP, where captions in many languages describe what the classes are about.",
    ),
    ModelRecord(
        "vit_so400m_patch14_siglip_224.v2_webli", "SigLIP", 2025, 427_680_704, 110.177, 224,
        "WebLI", IMAGE_TEXT, "apache-2.0", CLIP,
        "Take it as the strong SigLIP for frozen features at 224 pixels.",
    ),
    ModelRecord(
        "vit_so400m_patch14_siglip_378.webli_ft_in1k", "SigLIP", 2023, 428_225_600, 335.173, 378,
        "WebLI, then ImageNet-1k", IMAGE_TEXT_SUPERVISED, "apache-2.0", CLIP,
        "Take it where the last tenths of a point count and 378-pixel images can be paid for.",
    ),
    ModelRecord(
        "eva02_tiny_patch14_336.mim_in22k_ft_in1k", "EVA", 2023, 5_563_584, 4.662, 336,
        "ImageNet-22k without labels, then ImageNet-1k", "masked (EVA-02), then supervised", "mit", EVA02_TINY,
        "Take it as a masked-pretrained model of 6 million parameters.",
    ),
    ModelRecord(
        "eva02_small_patch14_336.mim_in22k_ft_in1k", "EVA", 2023, 21_744_000, 15.45, 336,
        "ImageNet-22k without labels, then ImageNet-1k", "masked (EVA-02), then supervised", "mit", EVA02_SMALL,
        "Take it as the small EVA-02, at 336 pixels.",
    ),
    ModelRecord(
        "eva02_base_patch14_448.mim_in22k_ft_in22k_in1k", "EVA", 2023, 86_348_544, 106.886, 448,
        "ImageNet-22k without labels, then its labels and ImageNet-1k", "masked (EVA-02), then supervised",
        "mit", EVA02_BASE,
        "Take it where accuracy counts and 448-pixel images can be paid for at base size.",
    ),
    ModelRecord(
        "eva02_large_patch14_448.mim_m38m_ft_in22k_in1k", "EVA", 2023, 304_055_232, 361.746, 448,
        "Merged-38M without labels, then ImageNet-22k and -1k", "masked (EVA-02), then supervised", "mit", EVA02_LARGE,
        "Take it for classes of objects in any style: frozen, with a linear head, it carried the winner of a "
        "contest on 500 classes of sketches.",
    ),
    ModelRecord(
        "vit_base_patch16_224.mae", "MAE", 2022, 85_798_656, 17.563, 224,
        "ImageNet-1k without labels", "masked (MAE)", "cc-by-nc-4.0", MAE_BASE,
        "Take it to fine-tune all layers with layer decay; a linear probe undersells it (68 against 83.6 points on "
        "ImageNet).",
    ),
    ModelRecord(
        "vit_large_patch16_224.mae", "MAE", 2022, 303_301_632, 61.554, 224,
        "ImageNet-1k without labels", "masked (MAE)", "cc-by-nc-4.0", MAE_LARGE,
        "Take it to fine-tune all layers where ViT-L can be paid for and images are many.",
    ),
    ModelRecord(
        "hiera_tiny_224.mae", "MAE", 2023, 27_141_216, 4.9, 224,
        "ImageNet-1k without labels", "masked (MAE)", "cc-by-nc-4.0", HIERA,
        "Take it as the cheap masked-pretrained model, a transformer of several scales.",
    ),
    ModelRecord(
        "hiera_base_224.mae", "MAE", 2023, 50_755_968, 9.374, 224,
        "ImageNet-1k without labels", "masked (MAE)", "cc-by-nc-4.0", HIERA,
        "Take it in place of MAE's ViT-B at half its operations.",
    ),
    ModelRecord(
        "beit_base_patch16_224.in22k_ft_in22k_in1k", "BEiT", 2021, 85_761_984, 17.563, 224,
        "ImageNet-22k without labels, then its labels and ImageNet-1k", "masked (BEiT), then supervised",
        "apache-2.0", BEIT_BASE,
        "Take it to compare with published work; the second version is better at the same cost.",
    ),
    ModelRecord(
        "beitv2_base_patch16_224.in1k_ft_in22k_in1k", "BEiT", 2022, 85_761_984, 17.563, 224,
        "ImageNet-1k without labels, then ImageNet-22k and -1k", "masked (BEiT v2), then supervised",
        "apache-2.0", BEITV2_BASE,
        "Take it as a ViT-B with masked pretraining that a linear probe does not undersell, under a free licence.",
    ),
    ModelRecord(
        "beitv2_large_patch16_224.in1k_ft_in22k_in1k", "BEiT", 2022, 303_405_568, 61.554, 224,
        "ImageNet-1k without labels, then ImageNet-22k and -1k", "masked (BEiT v2), then supervised",
        "apache-2.0", BEITV2_LARGE,
        "Take it as the strong BEiT at 224 pixels.",
    ),
    ModelRecord(
        "beit3_base_patch16_224.in22k_ft_in1k", "BEiT", 2022, 85_890_816, 17.563, 224,
        "images, texts and pairs masked, then ImageNet-22k and -1k", "masked (BEiT-3), then supervised",
        "apache-2.0", BEITV2_BASE,
        "Take it where BEiT v2 is close to the best and a relative with text in its pretraining is worth a run.",
    ),
    ModelRecord(
        "caformer_s18.sail_in22k_ft_in1k", "MetaFormer", 2022, 23_237_936, 4.104, 224,
        "ImageNet-22k, then ImageNet-1k", SUPERVISED, "apache-2.0", DEFAULT_TRANSFORMER,
        "Take it as convolutions below and attention above at the cost of a ResNet-50.",
    ),
    ModelRecord(
        "caformer_b36.sail_in22k_ft_in1k", "MetaFormer", 2022, 93_312_102, 23.155, 224,
        "ImageNet-22k, then ImageNet-1k", SUPERVISED, "apache-2.0", DEFAULT_TRANSFORMER,
        "Take it as the strong network of that mixture at 224 pixels.",
    ),
    ModelRecord(
        "tiny_vit_5m_224.dist_in22k_ft_in1k", "TinyViT", 2022, 5_071_764, 1.255, 224,
        "ImageNet-22k, then ImageNet-1k", "supervised, distilled", "apache-2.0", TINY_VIT,
        "Take it as a distilled network of 5 million parameters with wide pretraining, for small devices.",
    ),
    ModelRecord(
        "tiny_vit_21m_224.dist_in22k_ft_in1k", "TinyViT", 2022, 20_621_568, 4.25, 224,
        "ImageNet-22k, then ImageNet-1k", "supervised, distilled", "apache-2.0", TINY_VIT,
        "Take it at the cost of a ResNet-50, distilled from a CLIP model.",
    ),
    ModelRecord(
        "coatnet_rmlp_1_rw2_224.sw_in12k_ft_in1k", "MaxViT", 2023, 40_955_622, 8.066, 224,
        "ImageNet-12k, then ImageNet-1k", SUPERVISED, "apache-2.0", DEFAULT_TRANSFORMER,
        "Take it where small data asks for convolutions below and many classes for attention above.",
    ),
    ModelRecord(
        "maxvit_rmlp_base_rw_224.sw_in12k_ft_in1k", "MaxViT", 2023, 115_366_788, 23.041, 224,
        "ImageNet-12k, then ImageNet-1k", SUPERVISED, "apache-2.0", DEFAULT_TRANSFORMER,
        "Take it as the strong network of that mixture, with attention over the whole image in every stage.",
    ),
    ModelRecord(
        "hgnetv2_b0.ssld_stage2_ft_in1k", "HGNet", 2023, 3_947_550, 0.319, 224,
        "ImageNet-22k, then ImageNet-1k", "supervised, distilled", "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it as a small convolutional network that a GPU runs fast.",
    ),
    ModelRecord(
        "hgnetv2_b4.ssld_stage2_ft_in1k", "HGNet", 2023, 17_747_680, 2.732, 224,
        "ImageNet-22k, then ImageNet-1k", "supervised, distilled", "apache-2.0", SGD_CONVOLUTIONAL,
        "Take it in place of ResNet-50 where speed on a GPU counts.",
    ),
    ModelRecord(
        "fastvit_sa12.apple_in1k", "FastViT", 2023, 10_555_968, 1.943, 256,
        "ImageNet-1k", SUPERVISED, "fastvit-license", DEFAULT_TRANSFORMER,
        "Take it on Apple's devices, for which it was designed; its branches fold into one at inference.",
    ),
    ModelRecord(
        "fastvit_ma36.apple_in1k", "FastViT", 2023, 42_851_004, 7.824, 256,
        "ImageNet-1k", SUPERVISED, "fastvit-license", DEFAULT_TRANSFORMER,
        "Take it as the strong network of that line, where the device is Apple's and the small one is too weak.",
    ),
)
# fmt: on
