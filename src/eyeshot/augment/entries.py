"""The catalogue's entries, as data. Strengths were fixed before any measurement; each names its source."""

from __future__ import annotations

from eyeshot.augment.blur_noise import Dilate, Erode, GaussianBlur, GaussianNoise, Jpeg, MotionBlur
from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.colour import (
    AutoContrast,
    Equalize,
    Grey,
    Invert,
    Jitter,
    Posterize,
    Sharpness,
    Solarize,
)
from eyeshot.augment.controls import Identity, OneLevelNoise, ShuffledPixels
from eyeshot.augment.edges import Edges, Pencil
from eyeshot.augment.geometric import Affine, Flip, Perspective, QuarterTurns, ResizedCrop, Rotate
from eyeshot.augment.masking import Cutout, Erasing, GridMask, PatchMask
from eyeshot.augment.mixing import CutMix, MixUp, Mosaic
from eyeshot.augment.policy import TrivialAugment

_DEFAULT_RATIOS = (3 / 4, 4 / 3)


def controls() -> tuple[Augmentation, ...]:
    """What every run holds: the images as they are, next to nothing, and the end of all labels."""
    return (
        Augmentation(
            name="clean",
            family="control",
            strength="none",
            probability=1.0,
            description="The image as it is.",
            may_destroy="nothing",
            source="control",
            operation=Identity(),
        ),
        Augmentation(
            name="no-op",
            family="control",
            strength="1 grey level",
            probability=0.5,
            description="Noise of one grey level: shows what counts as nothing.",
            may_destroy="nothing",
            source="control",
            operation=OneLevelNoise(),
        ),
        Augmentation(
            name="shuffled-pixels",
            family="control",
            strength="all pixels",
            probability=0.5,
            description="Pixels in a new random order for every view: a planted label destroyer.",
            may_destroy="every label but those that colour alone tells",
            source="control",
            operation=ShuffledPixels(),
        ),
    )


def geometric(aspect_ratios: tuple[float, float] | None) -> tuple[Augmentation, ...]:
    """Flips, turns, warps and crops."""
    stretch, origin = _stretch(aspect_ratios)
    return (
        Augmentation(
            name="mirror",
            family="geometric",
            strength="left-right",
            probability=0.5,
            description="Left and right exchanged.",
            may_destroy="left from right: text, digits, hands, signs",
            source="torchvision RandomHorizontalFlip",
            operation=Flip(),
        ),
        Augmentation(
            name="vertical-flip",
            family="geometric",
            strength="top-bottom",
            probability=0.5,
            description="Top and bottom exchanged.",
            may_destroy="up from down: text, digits, scenes with a horizon",
            source="torchvision RandomVerticalFlip",
            operation=Flip(sideways=False, upside_down=True),
        ),
        Augmentation(
            name="half-turns",
            family="geometric",
            strength="180°",
            probability=0.5,
            description="Turned upside down.",
            may_destroy="6 from 9, arrows, scenes with a horizon",
            source="orientations of Cohen and Welling 2016 (group p4)",
            operation=Flip(upside_down=True),
        ),
        Augmentation(
            name="quarter-turns",
            family="geometric",
            strength="90°, 180° or 270°",
            probability=0.5,
            description="Turned by one, two or three quarters of a circle.",
            may_destroy="6 from 9, arrows, - from |",
            source="orientations of Cohen and Welling 2016 (group p4)",
            operation=QuarterTurns(),
        ),
        Augmentation(
            name="rotate-15",
            family="geometric",
            strength="up to 15° either way",
            probability=0.5,
            description="A small turn.",
            may_destroy="little",
            source="Cireşan et al. 2010 (handwritten digits)",
            operation=Rotate(15.0),
        ),
        Augmentation(
            name="rotate-30",
            family="geometric",
            strength="up to 30° either way",
            probability=0.5,
            description="A turn.",
            may_destroy="little",
            source="AutoAugment, RandAugment (Cubuk et al. 2019, 2020)",
            operation=Rotate(30.0),
        ),
        Augmentation(
            name="rotate-180",
            family="geometric",
            strength="up to 180° either way",
            probability=0.5,
            description="Turned to any angle.",
            may_destroy="6 from 9, arrows, scenes with a horizon",
            source="Dieleman et al. 2015 (galaxies)",
            operation=Rotate(180.0),
        ),
        Augmentation(
            name="translate",
            family="geometric",
            strength="up to 20 % of the side either way",
            probability=0.5,
            description="Shifted across and down.",
            may_destroy="what stands at the edge",
            source="Keras blog, small image data sets (Chollet 2016)",
            operation=Affine(shift=0.2),
        ),
        Augmentation(
            name="affine",
            family="geometric",
            strength="turn 15°, size 0.8-1.2, shift 10 %",
            probability=0.5,
            description="Turned, resized and shifted; the ratio of width to height is kept.",
            may_destroy="little",
            source="Cireşan et al. 2010 (turn), Chollet 2016 (size), Simard et al. 2003 (the idea)",
            operation=Affine(degrees=15.0, scale=(0.8, 1.2), shift=0.1),
        ),
        Augmentation(
            name="affine-stretch",
            family="geometric",
            strength=f"turn 15°, size 0.8-1.2, shift 10 %, ratio {stretch[0]:.2f}-{stretch[1]:.2f}",
            probability=0.5,
            description=f"Like affine, and stretched: the ratio of width to height changes ({origin}).",
            may_destroy="classes told by proportions: 0 from o, circle from ellipse",
            source="as affine; ratios of the data, or of torchvision's RandomResizedCrop",
            operation=Affine(degrees=15.0, scale=(0.8, 1.2), shift=0.1, stretch=stretch),
        ),
        Augmentation(
            name="perspective",
            family="geometric",
            strength="corners up to 25 % inwards",
            probability=0.5,
            description="Seen at an angle.",
            may_destroy="little",
            source="torchvision RandomPerspective (distortion_scale 0.5)",
            operation=Perspective(0.5),
        ),
        Augmentation(
            name="crop-mild",
            family="geometric",
            strength="70-100 % of the area, ratio 3/4-4/3",
            probability=1.0,
            description="A large part of the image, brought to full size.",
            may_destroy="little",
            source="DomainBed (Gulrajani and Lopez-Paz 2021)",
            operation=ResizedCrop(scale=(0.7, 1.0)),
        ),
        Augmentation(
            name="crop-strong",
            family="geometric",
            strength="20-100 % of the area, ratio 3/4-4/3",
            probability=1.0,
            description="A part of the image, brought to full size.",
            may_destroy="small objects, classes told by size",
            source="MoCo (He et al. 2020); torchvision's own default begins at 8 %",
            operation=ResizedCrop(scale=(0.2, 1.0)),
        ),
    )


def _stretch(aspect_ratios: tuple[float, float] | None) -> tuple[tuple[float, float], str]:
    """Limits of the stretch, and where they come from. They always hold 1, which is no stretch."""
    if aspect_ratios is None:
        return _DEFAULT_RATIOS, "by 3/4 to 4/3, since the data's ratios are not known"
    low, high = aspect_ratios
    if low == high:
        return _DEFAULT_RATIOS, "by 3/4 to 4/3, since all images have one ratio"
    return (min(low, 1.0), max(high, 1.0)), "by the ratios seen in the data, 5th to 95th percentile, and none"


def colour() -> tuple[Augmentation, ...]:
    """Colour and tone."""
    return (
        Augmentation(
            name="jitter",
            family="colour",
            strength="brightness, contrast, saturation 0.4, hue 0.1",
            probability=0.5,
            description="Brightness, contrast, saturation and hue changed in random order.",
            may_destroy="classes told by exact colour",
            source="SimCLR at half strength (Chen et al. 2020), as for CIFAR-10",
            operation=Jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
        ),
        Augmentation(
            name="grey",
            family="colour",
            strength="all colour",
            probability=0.5,
            description="Colour removed.",
            may_destroy="classes told by colour",
            source="torchvision RandomGrayscale",
            operation=Grey(),
        ),
        Augmentation(
            name="invert",
            family="colour",
            strength="all values",
            probability=0.5,
            description="The negative.",
            may_destroy="black from white, classes told by colour",
            source="torchvision RandomInvert",
            operation=Invert(),
        ),
        Augmentation(
            name="solarize",
            family="colour",
            strength="from grey level 128",
            probability=0.5,
            description="Bright values inverted.",
            may_destroy="classes told by colour",
            source="BYOL (Grill et al. 2020)",
            operation=Solarize(128),
        ),
        Augmentation(
            name="posterize",
            family="colour",
            strength="2 bits",
            probability=0.5,
            description="Four levels per channel.",
            may_destroy="fine shading",
            source="torchvision's gallery; the greatest strength of TrivialAugmentWide",
            operation=Posterize(2),
        ),
        Augmentation(
            name="equalize",
            family="colour",
            strength="full",
            probability=0.5,
            description="All grey levels made about equally frequent.",
            may_destroy="classes told by brightness",
            source="Pillow ImageOps.equalize, torchvision RandomEqualize",
            operation=Equalize(),
        ),
        Augmentation(
            name="autocontrast",
            family="colour",
            strength="full",
            probability=0.5,
            description="Each channel stretched to the whole range.",
            may_destroy="classes told by brightness or tint",
            source="Pillow ImageOps.autocontrast, torchvision RandomAutocontrast",
            operation=AutoContrast(),
        ),
        Augmentation(
            name="sharpness",
            family="colour",
            strength="factor 2",
            probability=0.5,
            description="Details doubled.",
            may_destroy="little",
            source="torchvision's gallery (RandomAdjustSharpness)",
            operation=Sharpness(2.0),
        ),
    )


def blur_and_noise() -> tuple[Augmentation, ...]:
    """Blur, noise, compression and the thickness of strokes."""
    return (
        Augmentation(
            name="gaussian-blur",
            family="blur and noise",
            strength="sigma 0.1-2 pixels",
            probability=0.5,
            description="Out of focus.",
            may_destroy="fine texture, thin lines",
            source="SimCLR (Chen et al. 2020)",
            operation=GaussianBlur((0.1, 2.0)),
        ),
        Augmentation(
            name="motion-blur",
            family="blur and noise",
            strength="3-7 pixels, any direction",
            probability=0.5,
            description="The camera moved.",
            may_destroy="fine texture, thin lines",
            source="albumentations MotionBlur (blur_limit 3 to 7)",
            operation=MotionBlur((3.0, 7.0)),
        ),
        Augmentation(
            name="gaussian-noise",
            family="blur and noise",
            strength="sigma 0.1 of the range",
            probability=0.5,
            description="Grain on every value.",
            may_destroy="faint texture",
            source="torchvision GaussianNoise; ImageNet-C severity 1 to 2 (Hendrycks and Dietterich 2019)",
            operation=GaussianNoise(0.1),
        ),
        Augmentation(
            name="jpeg",
            family="blur and noise",
            strength="quality 5-50",
            probability=0.5,
            description="Written as a small JPEG file and read again.",
            may_destroy="fine texture",
            source="torchvision's gallery (JPEG)",
            operation=Jpeg((5, 50)),
        ),
        Augmentation(
            name="erosion",
            family="blur and noise",
            strength="1/64 of the side to each side, 1 pixel at least",
            probability=0.5,
            description="Least value around: dark strokes on white thicker, bright ones on black thinner.",
            may_destroy="thin bright lines, small gaps between dark ones: e from c",
            source="Morpho-MNIST (Castro et al. 2019): about one stroke's width at 3 pixels a stroke",
            operation=Erode(1 / 64),
        ),
        Augmentation(
            name="dilation",
            family="blur and noise",
            strength="1/64 of the side to each side, 1 pixel at least",
            probability=0.5,
            description="Greatest value around: bright strokes on black thicker, dark ones on white thinner.",
            may_destroy="thin dark lines, small gaps between bright ones: e from c",
            source="Morpho-MNIST (Castro et al. 2019): about one stroke's width at 3 pixels a stroke",
            operation=Dilate(1 / 64),
        ),
    )


def masking() -> tuple[Augmentation, ...]:
    """Parts hidden."""
    return (
        Augmentation(
            name="erasing",
            family="masking",
            strength="2-33 % of the area, ratio 0.3-3.3, random values",
            probability=0.5,
            description="A rectangle filled with random values.",
            may_destroy="classes told by one small part",
            source="Zhong et al. 2020; limits of torchvision RandomErasing",
            operation=Erasing(fill="noise"),
        ),
        Augmentation(
            name="cutout",
            family="masking",
            strength="a square of half the side, mean colour",
            probability=0.5,
            description="A square filled with the image's mean colour.",
            may_destroy="classes told by one small part",
            source="DeVries and Taylor 2017 (16 of 32 pixels, CIFAR-10)",
            operation=Cutout(fill="mean"),
        ),
        Augmentation(
            name="grid-mask",
            family="masking",
            strength="squares of 0.4 at every 0.43-1 of the side, black",
            probability=0.5,
            description="Squares in a regular grid filled with black.",
            may_destroy="classes told by small parts",
            source="Chen et al. 2020 (96 to 224 of 224 pixels, ratio 0.6)",
            operation=GridMask(fill="black"),
        ),
        Augmentation(
            name="patch-mask",
            family="masking",
            strength="75 % of 14 x 14 patches, colour of the border",
            probability=0.5,
            description="Three of four patches hidden by the paper's own colour, as in masked pre-training.",
            may_destroy="fine shapes",
            source="masked autoencoders (He et al. 2022)",
            operation=PatchMask(fill="border"),
        ),
    )


def mixing() -> tuple[Augmentation, ...]:
    """Several images in one, with shares of their labels."""
    return (
        Augmentation(
            name="mixup",
            family="mixing",
            strength="alpha 0.2",
            probability=0.5,
            description="Weighted mean with another image.",
            may_destroy="labels are mixed by weight",
            source="Zhang et al. 2018 (ImageNet)",
            operation=MixUp(0.2),
        ),
        Augmentation(
            name="cutmix",
            family="mixing",
            strength="alpha 1",
            probability=0.5,
            description="A rectangle of another image pasted in.",
            may_destroy="labels are mixed by area, also where the object is hidden",
            source="Yun et al. 2019",
            operation=CutMix(1.0),
        ),
        Augmentation(
            name="mosaic",
            family="mixing",
            strength="cross at 25-75 % of the side",
            probability=0.5,
            description="Four images in the four quarters of one.",
            may_destroy="labels are mixed by area; objects become small",
            source="YOLOv4 (Bochkovskiy et al. 2020); labels as RICAP (Takahashi et al. 2018)",
            operation=Mosaic((0.25, 0.75)),
        ),
    )


def edge_and_texture() -> tuple[Augmentation, ...]:
    """Lines without shading."""
    return (
        Augmentation(
            name="edges",
            family="edge and texture",
            strength="Sobel; twice the mean gradient is white",
            probability=0.5,
            description="Edges as bright lines on black.",
            may_destroy="classes told by colour or texture",
            source="Pratt 1978 (threshold of the Sobel detector); as a shape cue: Geirhos et al. 2019",
            operation=Edges(fine=1 / 128, faintest=16.0, fullest=0.35),
        ),
        Augmentation(
            name="pencil",
            family="edge and texture",
            strength="lines of 1/50 of the side",
            probability=0.5,
            description="A pencil sketch: dark lines on white.",
            may_destroy="classes told by colour or texture",
            source="colour-dodge sketch of image editors",
            operation=Pencil(fine=1 / 128, coarse=1 / 50, darkness=4.0, line=128, lines=(0.002, 0.5)),
        ),
    )


def policies() -> tuple[Augmentation, ...]:
    """Another operation for each view."""
    return (
        Augmentation(
            name="trivial-augment",
            family="policy",
            strength="one of 14 operations at one of 31 strengths",
            probability=1.0,
            description="TrivialAugmentWide: the control to beat.",
            may_destroy="little; some shears and turns are strong",
            source="Müller and Hutter 2021; magnitudes of torchvision",
            operation=TrivialAugment(),
        ),
    )
