"""The catalogue of models: listed by pattern, with everything else that timm has, and a recipe for any model."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable

from eyeshot.core import ModelError
from eyeshot.models.catalogue.recipes import DEFAULT_CONVOLUTIONAL, DEFAULT_TRANSFORMER, ModelRecipe
from eyeshot.models.catalogue.records import RECORDS, ModelRecord

LINE_PATTERNS = (
    ("ConvNeXt", ("convnext*",)),
    ("EfficientNet", ("efficientnet*", "mixnet*", "lcnet*")),
    ("MobileNet", ("mobilenet*", "mnasnet*", "fbnet*")),
    ("RegNet", ("regnet*",)),
    ("ResNet", ("resnet*", "resnext*", "seresne*", "wide_resnet*", "ecaresnet*", "gcresne*", "res2ne*", "resnest*")),
    ("HGNet", ("hgnet*",)),
    ("FastViT", ("fastvit*",)),
    ("MetaFormer", ("caformer*", "convformer*", "poolformer*")),
    ("TinyViT", ("tiny_vit*",)),
    ("MaxViT", ("maxvit*", "maxxvit*", "coatnet*")),
    ("Swin", ("swin*",)),
    ("BEiT", ("beit*",)),
    ("EVA", ("eva*",)),
    ("MAE", ("hiera*", "vit_*.mae*")),
    ("DINO", ("vit_*dinov2*", "vit_*dinov3*", "vit_*.dino*")),
    ("SigLIP", ("vit_*siglip*",)),
    ("CLIP", ("vit_*clip*", "vit_pe_*", "vitamin*")),
    ("ViT", ("vit_*", "vit.*", "deit*", "flexivit*")),
)
"""Which line a tag of timm belongs to, by its name; the first that fits counts."""
SIZES = (
    "atto",
    "femto",
    "pico",
    "nano",
    "tiny",
    "small",
    "medium",
    "base",
    "large",
    "xlarge",
    "huge",
    "giant",
    "gigantic",
)
PREFIXES = re.compile(r"^(test_|tf_|legacy_)")
ATTENTION = re.compile(
    r"vit|former|swin|xcit|cait|pit_|twins|volo|coat|mixer|mlp|beit|eva|deit|nest_|tnt|clip|dino", re.IGNORECASE
)


def list_models(pattern: str | None = None) -> list[ModelRecord]:
    """The records of the catalogue, or all models of timm whose tag fits a pattern.

    Models that are not in the catalogue have what timm knows of them: size, licence, and the name of their weights as
    pretraining data. timm and torch are imported for them alone.

    Args:
        pattern: None for the catalogue; a line of it ("ConvNeXt"); a tag, or an architecture for all its weights; or
            a pattern with wildcards over all tags of timm ("vit_*dinov3*").

    Raises:
        ModelError: nothing fits; the message names the nearest lines and tags.
    """
    if pattern is None:
        return list(RECORDS)
    known = {record.tag: record for record in RECORDS}
    if pattern in known:
        return [known[pattern]]
    if line := [record for record in RECORDS if (record.line or "").lower() == pattern.lower()]:
        return line
    import timm

    tags = timm.list_pretrained()
    exact = not set("*?[") & set(pattern)
    fitting = [tag for tag in tags if tag == pattern or tag.startswith(f"{pattern}.")] if exact else []
    fitting = fitting or fnmatch.filter(tags, pattern)
    if not fitting:
        lines = dict.fromkeys(record.line for record in RECORDS if record.line)
        names = {name.lower(): name for name in [*lines, *tags]}
        near = [names[name] for name in difflib.get_close_matches(pattern.lower(), names, n=5, cutoff=0.5)]
        hint = f"Nearest: {', '.join(near)}" if near else f"Lines: {', '.join(lines)}"
        raise ModelError(f"A pattern must fit a tag of timm with weights or be a line, got {pattern!r}. {hint}.")
    return [known.get(tag) or _from_timm(tag) for tag in fitting]


def model_recipe(tag: str) -> tuple[ModelRecipe, str]:
    """How to fine-tune a model, and where that comes from: its own record, or that of the nearest model.

    Looked up by tag, then by architecture, then by line; where several records fit, by the most shared words of the
    names and then the nearest size. Other models take a default by kind, attention or convolutional, as their name
    says.

    Args:
        tag: timm's tag or architecture, or "package.module:factory".
    """
    architecture = tag.partition(".")[0]
    same = [record for record in RECORDS if record.recipe]
    if ":" not in tag:
        if own := next((record for record in same if record.tag == tag), None):
            return _recipe(own), f"recipe of {tag}"
        if kin := [record for record in same if record.architecture == architecture]:
            nearest = _nearest(tag, kin)
            return _recipe(nearest), f"recipe of {nearest.tag}, of the same architecture"
        line = line_of(tag)
        if kin := [record for record in same if line is not None and line_of(record.tag) == line]:
            nearest = _nearest(tag, kin)
            return _recipe(nearest), f"recipe of {nearest.tag}, the nearest by name in the line {line}"
    if ATTENTION.search(tag):
        return DEFAULT_TRANSFORMER, f"default for attention networks, which {tag} is by its name: no record of its line"
    return DEFAULT_CONVOLUTIONAL, f"default for convolutional networks: no record of the line of {tag}"


def line_of(tag: str) -> str | None:
    """The line that a tag belongs to: that of its record, or by its name; None for others."""
    own = next((record.line for record in RECORDS if record.tag == tag), None)
    if own is not None:
        return own
    name = PREFIXES.sub("", tag)
    name = name if "." in name else f"{name}."
    return next((line for line, patterns in LINE_PATTERNS if any(fnmatch.fnmatch(name, p) for p in patterns)), None)


def _recipe(record: ModelRecord) -> ModelRecipe:
    return record.recipe or DEFAULT_CONVOLUTIONAL


def _nearest(tag: str, records: Iterable[ModelRecord]) -> ModelRecord:
    words, size = _words(tag), _size(tag)
    return max(records, key=lambda record: (len(words & _words(record.tag)), -abs(_size(record.tag) - size)))


def _size(tag: str) -> int:
    """Place of the size that the name has among all sizes; the middle without one."""
    return next((place for place, name in enumerate(SIZES) if name in _words(tag)), SIZES.index("base"))


def _words(tag: str) -> set[str]:
    return set(re.split(r"[_.]", tag))


def _from_timm(tag: str) -> ModelRecord:
    import timm

    config = timm.get_pretrained_cfg(tag)
    weights = tag.partition(".")[2]
    return ModelRecord(
        tag=tag,
        line=line_of(tag),
        size=int(config.input_size[-1]),
        pretraining_data=f"{weights} (timm's name)" if weights else None,
        licence=config.license,
    )
