"""A seeded result of `rank_augmentations()`, not measured: photographs of shapes, drawings as target."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from eyeshot.rankings.augmentations.report import (
    Candidate,
    ClassScores,
    MixedClasses,
    ModelInfo,
    ProjectionInfo,
    RankingReport,
    Scores,
    Shift,
    SkippedFile,
    ValidationCheck,
)
from eyeshot.rankings.augmentations.result import AugmentationRanking, JointMap, Pictures, Projection

CLASSES = ["arrow", "cross", "house", "kite", "ring", "star", "tree"]
RANKED = [
    ("pencil-sketch", "edge and texture", 0.142),
    ("sobel-edges", "edge and texture", 0.128),
    ("canny-edges", "edge and texture", 0.119),
    ("grey", "colour", 0.071),
    ("invert", "colour", 0.058),
    ("posterize", "colour", 0.044),
    ("autocontrast", "colour", 0.031),
    ("trivial-augment-wide", "policy", 0.029),
    ("equalize", "colour", 0.022),
    ("solarize", "colour", 0.018),
    ("crop-strong", "geometric", 0.014),
    ("affine-keep-ratio", "geometric", 0.011),
    ("perspective", "geometric", 0.008),
    ("sharpness", "colour", 0.006),
    ("rotate-15", "geometric", 0.004),
    ("translate", "geometric", 0.002),
    ("mirror", "geometric", 0.001),
    ("jpeg", "blur and noise", -0.002),
    ("gaussian-noise", "blur and noise", -0.004),
    ("jitter", "colour", -0.006),
    ("motion-blur", "blur and noise", -0.011),
    ("gaussian-blur", "blur and noise", -0.016),
]
HARDER = [("mixup", "mixing"), ("cutmix", "mixing"), ("erasing", "masking"), ("patch-mask", "masking")]
DESTROYERS = [
    ("shuffled-pixels", "control"),
    ("rotate-180", "geometric"),
    ("vertical-flip", "geometric"),
    ("quarter-turns", "geometric"),
]
CONTROLS = [("clean", "control"), ("no-op", "control")]
MAPPED = [
    "pencil-sketch",
    "trivial-augment-wide",
    "no-op",
    "sobel-edges",
    "canny-edges",
    "grey",
    "invert",
    "posterize",
]
PALETTE = [(214, 96, 77), (67, 147, 195), (90, 174, 97), (230, 171, 2), (153, 112, 171), (140, 100, 60)]


def _shape(number: int, middle: float, radius: float) -> list[tuple[float, float]]:
    turns = {
        0: [(0, 1), (90, 0.35), (100, 0.6), (180, 0.5), (260, 0.6), (270, 0.35)],
        1: [(a, r) for q in range(4) for a, r in ((q * 90 - 18, 1), (q * 90 + 18, 1), (q * 90 + 45, 0.45))],
        2: [(-35, 1), (0, 1.1), (35, 1), (140, 1), (220, 1)],
        3: [(0, 1), (60, 0.6), (180, 1.1), (300, 0.6)],
        4: [(a, 1) for a in range(0, 360, 15)],
        5: [(q * 36, 1 if q % 2 == 0 else 0.42) for q in range(10)],
        6: [(0, 1.1), (125, 0.9), (165, 0.4), (172, 1), (188, 1), (195, 0.4), (235, 0.9)],
    }[number % 7]
    angles = np.radians([turn - 90 for turn, _ in turns])
    lengths = radius * np.array([length for _, length in turns])
    return [
        (float(x), float(y))
        for x, y in zip(middle + lengths * np.cos(angles), middle + lengths * np.sin(angles), strict=True)
    ]


def photograph(number: int, random: np.random.Generator, side: int) -> Image.Image:
    """A coloured shape before a soft coloured ground."""
    big = 2 * side
    ground = random.integers(90, 220, (3, 3, 3)).astype(np.uint8)
    image = Image.fromarray(ground).resize((big, big), Image.Resampling.BICUBIC)
    middle = big / 2 + random.uniform(-0.08, 0.08) * big
    outline = _shape(number, middle, big * random.uniform(0.28, 0.42))
    ImageDraw.Draw(image).polygon(outline, fill=PALETTE[int(random.integers(len(PALETTE)))], outline=(40, 40, 40))
    return image.resize((side, side), Image.Resampling.LANCZOS)


def drawing(number: int, random: np.random.Generator, side: int) -> Image.Image:
    """The outline of a shape on paper."""
    big = 2 * side
    image = Image.new("RGB", (big, big), (250, 249, 245))
    outline = _shape(number, big / 2 + random.uniform(-0.06, 0.06) * big, big * random.uniform(0.3, 0.42))
    ImageDraw.Draw(image).line([*outline, outline[0]], fill=(30, 30, 30), width=max(2, big // 28))
    return image.resize((side, side), Image.Resampling.LANCZOS)


def view(name: str, image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Something like what the augmentation of this name does."""
    edges = ImageOps.autocontrast(ImageOps.invert(image.convert("L").filter(ImageFilter.FIND_EDGES)), cutoff=2)
    if "sketch" in name or "edges" in name:
        return edges.convert("RGB")
    if name == "grey":
        return image.convert("L").convert("RGB")
    if name == "invert":
        return ImageOps.invert(image)
    if name in ("posterize", "solarize", "equalize", "autocontrast"):
        return ImageOps.posterize(image, 2) if name == "posterize" else getattr(ImageOps, name)(image)
    if "flip" in name or name == "rotate-180":
        return ImageOps.flip(image)
    if name == "mirror":
        return ImageOps.mirror(image)
    if "blur" in name:
        return image.filter(ImageFilter.GaussianBlur(image.width / 24))
    if name == "shuffled-pixels":
        pixels = np.asarray(image).reshape(-1, 3)
        return Image.fromarray(random.permutation(pixels).reshape(image.height, image.width, 3))
    if name in ("erasing", "patch-mask"):
        copy = image.copy()
        copy.paste((127, 127, 127), (image.width // 4, image.height // 3, image.width // 2, image.height))
        return copy
    if name in ("clean", "no-op"):
        return image
    return image.rotate(float(random.uniform(-25, 25)), resample=Image.Resampling.BICUBIC, fillcolor=(128, 128, 128))


def _candidate(
    name: str, family: str, role: str, score: float | None, rank: int | None, classes: list[str], seed: int
) -> Candidate:
    random = np.random.default_rng(seed)
    reach = score if score is not None else float(random.normal(0, 0.01))
    width = 0.018 + 0.1 * abs(reach)
    destroyed = role == "label-breaking"
    mixing = family == "mixing"
    scores = Scores(
        coverage=0.41 + reach * 1.1,
        density=0.52 + 2 * reach,
        nearest_distance=1.31 - 2 * reach,
        consistent_coverage=None if mixing else 0.33 + reach,
        raw_coverage_gain=reach * 1.1,
        coverage_gain=None if mixing else reach,
        only_covered=max(0, int(reach * 120)),
        affinity=0.42 if destroyed else 0.97 - 2 * abs(reach),
        affinity_worst_class=0.05 if destroyed else 0.71,
        relearnability=None if mixing else 0.31 if destroyed else 0.92,
        relearnability_worst_class=None if mixing else 0.04 if destroyed else 0.81,
        retention=-0.13 if destroyed else -0.004,
        retention_worst_class=-0.31 if destroyed else -0.03,
    )
    lines = [f'eyeshot.augmentation("{name}").as_transform(),'] if family != "control" else []
    return Candidate(
        name=name,
        family=family,
        model="squeezenet1_1.tv_in1k",
        role=role,
        rank=rank,
        group=None if rank is None else 1 if rank <= 3 else 2 + (rank - 4) // 7,
        score=score,
        interval=None if score is None else (score - width, score + width * 0.9),
        scores=scores,
        missing={"consistent_coverage": "labels are mixed", "coverage_gain": "labels are mixed"} if mixing else {},
        reasons=[
            f"covers {100 * reach:.1f} points more of the target than the identity control"
            if not destroyed
            else "a linear probe trained on its samples classifies 31 % of them right; half-way to chance is 55 %"
        ],
        per_class={
            label: ClassScores(
                covered=int(random.integers(-2, 4) + reach * 80),
                affinity=float(random.uniform(0.6, 1)),
                relearnability=float(random.uniform(0.7, 1)),
                retention=float(random.normal(-0.01, 0.03)),
            )
            for label in classes
        },
        mixes=[
            MixedClasses(true=classes[0], taken_for=classes[-1], share=0.44),
            MixedClasses(true=classes[-1], taken_for=classes[len(classes) // 2], share=0.29),
        ]
        if destroyed and len(classes) > 1
        else [],
        warnings=["The operation failed on 37 of 1,000 samples (empty edge map)."] if name == "canny-edges" else [],
        left_out=37 if name == "canny-edges" else 0,
        samples=4000,
        samples_per_image=4,
        description=f"{name.replace('-', ' ')}, as in the catalogue",
        recipe=lines,
    )


def make_report(classes: list[str] | None = None, **changes: object) -> RankingReport:
    """The report alone."""
    classes = CLASSES if classes is None else classes
    candidates = [
        _candidate(name, family, "ranked", score, rank, classes, rank)
        for rank, (name, family, score) in enumerate(RANKED, start=1)
    ]
    for role, entries in (("regulariser", HARDER), ("label-breaking", DESTROYERS), ("control", CONTROLS)):
        candidates += [
            _candidate(name, family, role, 0.0 if name == "no-op" else None, None, classes, 100 + number)
            for number, (name, family) in enumerate(entries)
        ]
    report = RankingReport(
        headline="Train with pencil-sketch: it covers 14 points more of the test images than no augmentation.",
        next_step="Add the lines below to the training transform and train as usual.",
        answer=[
            "With pencil-sketch, training covers 55 % of the target; clean images cover 41 %.",
            "Its coverage gain is 14.2 points over the identity control.",
            "sobel-edges and canny-edges are indistinguishable from it.",
            "No candidate covers 18 % of the target.",
        ],
        advice="pencil-sketch",
        recipe=[
            "from torchvision.transforms import v2",
            "import eyeshot",
            "",
            "train_transform = v2.Compose([",
            '    v2.RandomApply([eyeshot.augmentation("pencil-sketch").as_transform()], p=0.5),',
            "])",
        ],
        trust="How far to trust this: on 35 comparable tasks the first suggestion lost 0.6 points against the best "
        "augmentation; always using TrivialAugment lost 7.7.",
        n_train=1336,
        n_val=334,
        n_target=3929,
        n_sources=1000,
        n_target_used=1000,
        n_val_used=334,
        target="test",
        classes=classes,
        models=[
            ModelInfo(
                name="squeezenet1_1.tv_in1k",
                pretrained=True,
                size=128,
                feature_count=512,
                fingerprint="9f3c2a71d0b84e55a6c1",
                reason="named with --model",
                baseline_accuracy=0.912,
            )
        ],
        size=128,
        fit="crop",
        neighbours=5,
        samples_per_image=4,
        max_images=1000,
        seed=0,
        ranked_by="coverage_gain",
        shift=Shift(
            target_coverage=0.39,
            held_out_coverage=0.96,
            ratio=0.41,
            target_consistent=0.28,
            held_out_consistent=0.68,
            weight=0.59,
            domain_auc=0.998,
            count=334,
            words="The target lies far from training: clean images cover 39 % of it and 96 % of held-out training "
            "images, at equal counts.",
        ),
        validation_check=ValidationCheck(
            inside=301,
            outside=33,
            accuracy_inside=0.937,
            accuracy_outside=0.697,
            interval_inside=(0.903, 0.959),
            interval_outside=(0.527, 0.826),
        ),
        candidates=candidates,
        uncovered=[f"sketch/n{number:05d}-{number % 9}.png" for number in range(176)],
        projections=[
            ProjectionInfo(
                name="PCA",
                trustworthiness=0.71,
                agreement=0.58,
                warning="Coverage on this map says little about coverage in feature space: "
                "they agree on 58 % of the target points; 50 % is chance.",
            ),
            ProjectionInfo(name="t-SNE", trustworthiness=0.96, agreement=0.83, warning=None),
            ProjectionInfo(name="UMAP", trustworthiness=0.93, agreement=0.79, warning=None),
        ],
        notes=["Labels are the names of the class folders.", "Half of the training images were augmented."],
        skipped=[
            SkippedFile(path="photo/dog/._056_0001.jpg", reason="hidden file of macOS"),
            SkippedFile(path="photo/house/broken.jpg", reason="truncated: the image ends after 3,120 bytes"),
        ],
        seconds={"read": 0.8, "decode": 6.1, "augment": 88.2, "forward": 241.0, "scores": 22.4, "map": 41.7},
        versions={"eyeshot": "0.1.0", "python": "3.12.3", "torch": "2.8.0", "timm": "1.0.20"},
        hardware="2 cores, x86-64, 7.8 GiB, no GPU",
        command="eyeshot rank augmentations photo --test sketch --model squeezenet1_1.tv_in1k --size 128",
    )
    return report.model_copy(update=changes)


def make_map(
    classes: list[str],
    *,
    seed: int = 0,
    train: int = 500,
    target: int = 400,
    validation: int = 200,
    samples: int = 180,
) -> JointMap:
    """A joint map: islands of classes, the target apart, sketches between."""
    random = np.random.default_rng(seed)
    steps = {"train": 0.0, "validation": 0.05, "target": 1.0, "pencil-sketch": 0.8, "sobel-edges": 0.7}
    steps |= {
        "canny-edges": 0.75,
        "grey": 0.35,
        "invert": 0.4,
        "posterize": 0.2,
        "trivial-augment-wide": 0.25,
    }
    sizes = {"train": train, "target": target, "validation": validation} | dict.fromkeys(MAPPED, samples)
    count = sum(sizes.values())
    cloud = np.repeat(list(sizes), list(sizes.values()))
    truth = random.integers(0, len(classes), count)
    # Views are of training images, point for point.
    for name in MAPPED:
        truth[cloud == name] = truth[cloud == "train"][np.arange(samples) % train]
    source = np.array([f"photo/{classes[k]}/{n:04d}.jpg" for n, k in enumerate(truth)])
    for name in MAPPED:
        source[cloud == name] = source[cloud == "train"][np.arange(samples) % train]
    step = np.array([steps.get(name, 0.03) for name in cloud]) + random.normal(0, 0.16, count)
    thumbnails = np.empty((count, 32, 32, 3), np.uint8)
    for point in range(count):
        if cloud[point] == "target":
            image = drawing(int(truth[point]), random, 32)
        else:
            image = photograph(int(truth[point]), random, 32)
            if cloud[point] in MAPPED:
                first = int((cloud == cloud[point]).argmax())
                image = view(str(cloud[point]), Image.fromarray(thumbnails[(point - first) % train]), random)
        thumbnails[point] = np.asarray(image)
    is_target = cloud == "target"
    is_validation = cloud == "validation"
    clean_covered = (step < np.where(is_target, 0.93, 0.3)).astype(np.int8)
    best_covered = (step < 1.12).astype(np.int8)
    wrong = is_validation & (random.random(count) < np.where(clean_covered == 1, 0.07, 0.35))
    predicted = np.where(is_validation, np.where(wrong, (truth + 1) % len(classes), truth), -1)
    angle = truth * 2 * np.pi / len(classes)
    middles = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    flat = 2.2 * middles * (1 - 0.3 * step[:, None]) + np.stack([5 * step, 0.8 * step], axis=1)
    flat = flat + random.normal(0, 0.75, (count, 2))
    islands = []
    for spread, turn in ((9.0, 0.3), (4.0, 1.1)):
        away = angle + turn + 0.35 * step
        ring = spread * (1 + 0.55 * step)[:, None] * np.stack([np.cos(away), np.sin(away)], axis=1)
        islands.append(ring + random.normal(0, spread / 11, (count, 2)))
    report = make_report(classes)
    labels = np.where(is_target, -1, truth).astype(np.int64)
    ids = np.where(is_target, np.array([f"sketch/n{n:05d}.png" for n in range(count)]), source)
    return JointMap(
        cloud=cloud,
        label=labels,
        ids=ids,
        thumbnails=thumbnails,
        covered_by_clean=np.where(is_target | is_validation, clean_covered, -1).astype(np.int8),
        covered_by_best=np.where(is_target, best_covered, -1).astype(np.int8),
        predicted=predicted.astype(np.int64),
        projections=[
            Projection(info=info, xy=xy.astype(np.float32))
            for info, xy in zip(report.projections, (flat, *islands), strict=True)
        ],
        candidates=list(MAPPED),
    )


def make_pictures(report: RankingReport, *, seed: int = 0, side: int = 64) -> Pictures:
    """Views of the same six images by every candidate, and some drawings that nothing reaches."""
    random = np.random.default_rng(seed)
    originals = [photograph(number, random, side) for number in range(6)]
    samples = {
        candidate.name: np.stack([np.asarray(view(candidate.name, image, random)) for image in originals])
        for candidate in report.candidates
    }
    uncovered = np.stack([np.asarray(drawing(number, random, side)) for number in range(24)])
    return Pictures(samples=samples, uncovered=uncovered, uncovered_ids=report.uncovered[:24])


def make_ranking(classes: list[str] | None = None, **changes: object) -> AugmentationRanking:
    """The whole result."""
    report = make_report(classes, **changes)
    return AugmentationRanking(report=report, map=make_map(report.classes), pictures=make_pictures(report))
