"""Planted copies among PACS photographs and drawings: how many `eyeshot audit` finds, and how many pairs are false.

`--sample` pictures of each domain get a changed copy of each kind. Each kind is planted alone, among all originals of
both domains; crops and small turns are promised for a thorough search only. A copy is found if it is in the same group
as its original. A pair is false if it was neither planted nor is among the originals' own copies (copies in the set
before anything was planted, checked by hand: two mirrored photographs of houses).
"""

from __future__ import annotations

import argparse
import io
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from benchmarks.common import keep, shared
from eyeshot.auditing import Audit, audit

Change = Callable[[Image.Image], bytes]


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def watermarked(image: Image.Image) -> bytes:
    made = image.copy()
    place = (image.width * 0.1, image.height * 0.45)
    ImageDraw.Draw(made).text(
        place, "SAMPLE PHOTO", fill="white", font_size=image.width // 9, stroke_width=1, stroke_fill="black"
    )
    return png(made)


def cropped(image: Image.Image, share: float) -> bytes:
    width, height = image.size
    left, top = round(width * share), round(height * share)
    return jpeg(image.crop((left, top, width - left, height - top)))


def turned(image: Image.Image, degrees: float) -> bytes:
    """Turned, and cropped to the part without empty corners."""
    whole = image.rotate(degrees, Image.Resampling.BICUBIC)
    radians = math.radians(abs(degrees))
    share = 0.5 * (1 - 1 / (math.cos(radians) + math.sin(radians)))
    return cropped(whole, share)


CHANGES: dict[str, Change] = {
    "JPEG q30": lambda image: jpeg(image, 30),
    "half size": lambda image: png(image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)),
    "grey": lambda image: png(image.convert("L")),
    "contrast x0.7": lambda image: png(ImageEnhance.Contrast(image).enhance(0.7)),
    "saturation x1.6": lambda image: jpeg(ImageEnhance.Color(image).enhance(1.6)),
    "brightness x1.3": lambda image: png(ImageEnhance.Brightness(image).enhance(1.3)),
    "watermark": watermarked,
    **{
        method.name.lower(): lambda image, method=method: jpeg(image.transpose(method))  # type: ignore[misc]
        for method in Image.Transpose
    },
    "crop 3 % a side": lambda image: cropped(image, 0.03),
    "crop 6 % a side": lambda image: cropped(image, 0.06),
    "turned by 5 degrees": lambda image: turned(image, 5),
}  # fmt: skip
BEYOND = ("crop 3 % a side", "crop 6 % a side", "turned by 5 degrees")  # not promised without a thorough search


def linked(folder: Path, files: list[Path], root: Path) -> None:
    for file in files:
        place = folder / file.parent.name / f"{file.parent.parent.name}-{file.name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)


def pairs_of(result: Audit) -> set[frozenset[str]]:
    found = set()
    for group in result.report.groups:
        names = sorted(ref.id for ref in group.images)
        found |= {frozenset((first, second)) for first in names for second in names if first < second}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=400, help="pictures of each domain that get a copy")
    parser.add_argument(
        "--only", nargs="*", help="kinds; default: all, with --thorough what is not promised without it"
    )
    parser.add_argument("--thorough", action="store_true", help="search for crops and small turns too")
    options = parser.parse_args()
    root = shared() / "data" / "pacs"
    files = {domain: sorted((root / domain).rglob("*.*")) for domain in ("photo", "sketch")}
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        linked(work / "set", [file for each in files.values() for file in each], root)
        begun = time.process_time()
        plain = audit(work / "set", cache=work / "cache", workers=1, thorough=options.thorough)
        cpu = time.process_time() - begun
        own = pairs_of(plain)
        print(f"all checks on {plain.report.n_train} images: {cpu:.1f} CPU-s, own pairs {sorted(map(sorted, own))}")
        kinds: dict[str, Any] = {}
        for kind, change in CHANGES.items():
            # Drawn for kinds that are left out too: the same pictures, whichever kinds are asked for.
            drawn = {domain: random.choice(len(each), options.sample, replace=False) for domain, each in files.items()}
            if kind not in (options.only or (BEYOND if options.thorough else CHANGES)):
                continue
            planted: dict[str, tuple[str, str]] = {}
            for domain, each in files.items():
                for row in drawn[domain]:
                    file = each[row]
                    made = change(Image.open(file).convert("RGB"))
                    ending = "jpg" if made.startswith(b"\xff\xd8") else "png"
                    name = f"{file.parent.name}/planted-{domain}-{file.stem}.{ending}"
                    (work / "set" / name).write_bytes(made)
                    planted[name] = (domain, f"{file.parent.name}/{domain}-{file.name}")
            found = pairs_of(audit(work / "set", cache=work / "cache", workers=1, thorough=options.thorough))
            hits = {name: frozenset((name, original)) in found for name, (_, original) in planted.items()}
            near_own = {name for pair in own for name in pair}
            false = [
                pair for pair in found - own
                if not any(pair == frozenset((name, original)) for name, (_, original) in planted.items())
                and not all(planted.get(name, ("", name))[1] in near_own for name in pair)
            ]  # fmt: skip
            kinds[kind] = {
                "n": options.sample,
                **{
                    domain: sum(hits[name] for name, (of, _) in planted.items() if of == domain) / options.sample
                    for domain in files
                },
                "pairs": len(found),
                "false": len(false),
                "promised": options.thorough or kind not in BEYOND,
            }
            print(kind, kinds[kind], flush=True)
            for name in planted:
                (work / "set" / name).unlink()
    if options.only or options.sample != 400:
        return  # a partial run, whose result is not kept
    how = " --thorough" if options.thorough else ""
    keep(
        "copies_planted" + ("_thorough" if options.thorough else ""),
        {
            "command": f"python -m benchmarks.copies_planted{how}",
            "images": plain.report.n_train,
            "cpu_seconds_all_checks": round(cpu, 2),
            "kinds": kinds,
        },
    )


if __name__ == "__main__":
    main()
