"""Damaged files: mutated images of every format that Pillow writes, and mutated CSV files with labels.

`python -m benchmarks.fuzzing`; `--rounds` files for each format and mutation, from `--seed`. A file fails if a reader
raises anything but an error for the user, if two readers disagree on whether it can be used, or if it takes over 2 s.
`--store` keeps the result, and `--failures` is a folder for the files that failed.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import keep
from eyeshot.core import InputError
from eyeshot.data import Geometry, UnreadableImageError, decode, decode_upright, read_images, strict_pillow
from eyeshot.data.headers import read_header
from eyeshot.data.layout import find_layout

Random = np.random.Generator
MOST_SECONDS = 2.0
WIDTH, HEIGHT = 34, 26  # sizes that a header holds nowhere else
SIZES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)  # where counts and lengths overflow
VARIANTS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("JPEG", "RGB", {}),
    ("JPEG", "L", {"progressive": True}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {}),
    ("PNG", "P", {"transparency": 0}),
    ("PNG", "RGBA", {}),
    ("PNG", "I;16", {}),
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    ("BMP", "P", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "I;16", {"compression": "tiff_deflate"}),
    ("TIFF", "F", {}),
    ("TIFF", "1", {"compression": "group4"}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
)
ANIMATED = ("GIF", "PNG", "TIFF", "WEBP", "MPO")
USUAL = frozenset({*(name for name, _, _ in VARIANTS), *ANIMATED})


def picture(mode: str, *, shift: int = 0) -> Image.Image:
    """A small picture with edges, gradients and some noise."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(shift).integers(0, 40, (HEIGHT, WIDTH, 3))
    levels = np.stack([rows * 8 + shift, columns * 6, (rows // 6 + columns // 8) % 2 * 200], axis=2) + noise
    image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.convert(mode)


def samples() -> dict[str, bytes]:
    """Sound files by a name that begins with the format: usual formats in several forms, the others once."""
    made: dict[str, bytes] = {}
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    turned: tuple[tuple[str, str, dict[str, object]], ...] = (
        ("JPEG", "RGB", {"exif": exif}),
        ("PNG", "RGB", {"exif": exif}),
    )
    for name, mode, options in (*VARIANTS, *turned):
        made[f"{name} {mode} {' '.join(options)}".strip()] = saved(name, mode, options)
    for name in ANIMATED:
        mode = "P" if name == "GIF" else "RGB"
        made[f"{name} animated"] = saved(name, mode, {"save_all": True, "append_images": [picture(mode, shift=9)]})
    Image.init()
    for name, mode in ((name, mode) for name in Image.SAVE for mode in ("RGB", "L", "1", "F")):
        if name in made or name in USUAL:
            continue
        try:
            data = saved(name, mode, {})
            decode_upright(data)
        except (OSError, ValueError, KeyError, UnreadableImageError):  # it writes another mode, or is not read
            continue
        made[name] = data
    return made


def saved(name: str, mode: str, options: dict[str, object]) -> bytes:
    """The picture as the bytes of a file."""
    buffer = io.BytesIO()
    picture(mode).save(buffer, name, **options)
    return buffer.getvalue()


def cut(data: bytes, random: Random, _: bytes) -> bytes:
    return data[: random.integers(0, len(data))]


def flip_bytes(data: bytes, random: Random, _: bytes) -> bytes:
    changed = bytearray(data)
    for place in random.integers(0, len(data), random.integers(1, 17)):
        changed[place] = random.integers(0, 256)
    return bytes(changed)


def flip_bits_of_header(data: bytes, random: Random, _: bytes) -> bytes:
    changed = bytearray(data)
    for place in random.integers(0, min(len(data), 128), random.integers(1, 5)):
        changed[place] ^= 1 << int(random.integers(0, 8))
    return bytes(changed)


def set_numbers(data: bytes, random: Random, _: bytes) -> bytes:
    """Numbers of 1, 2 or 4 bytes become extreme, most of them in the header."""
    changed = bytearray(data)
    for _number in range(random.integers(1, 4)):
        width = int(random.choice([1, 2, 4]))
        value = int(random.choice(SIZES)) & (1 << 8 * width) - 1
        place = int(random.integers(0, min(len(data), 256 if random.random() < 0.8 else len(data))))
        changed[place : place + width] = value.to_bytes(width, "big" if random.random() < 0.5 else "little")
    return bytes(changed)


def swap_header(data: bytes, random: Random, other: bytes) -> bytes:
    size = int(random.choice([4, 8, 16, 32, 64]))
    return other[:size] + data[size:]


def drop_block(data: bytes, random: Random, _: bytes) -> bytes:
    start, end = sorted(random.integers(0, len(data), 2).tolist())
    return data[:start] + data[end:]


def repeat_block(data: bytes, random: Random, _: bytes) -> bytes:
    start, end = sorted(random.integers(0, len(data), 2).tolist())
    return data[:end] + data[start:end] * int(random.integers(1, 4)) + data[end:]


def blank_block(data: bytes, random: Random, _: bytes) -> bytes:
    start, end = sorted(random.integers(0, len(data), 2).tolist())
    return bytes(data[:start] + bytes([int(random.choice([0, 255]))]) * (end - start) + data[end:])


def splice(data: bytes, random: Random, other: bytes) -> bytes:
    return data[: random.integers(0, len(data))] + other[random.integers(0, len(other)) :]


def append(data: bytes, random: Random, other: bytes) -> bytes:
    return data + (other if random.random() < 0.5 else bytes(random.bytes(200)))


def claim_size(data: bytes, random: Random, _: bytes) -> bytes:
    """The width and the height that the header names become large, some within Pillow's limit for a picture."""
    changed = bytearray(data)
    claimed = int(random.choice([300, 3_000, 9_000, 20_000, 60_000]))
    for side in (WIDTH, HEIGHT):
        for order in ("big", "little"):
            for width in (4, 2):
                place = bytes(changed[:512]).find(side.to_bytes(width, order))
                if place >= 0:
                    changed[place : place + width] = claimed.to_bytes(width, order)
                    break
    return bytes(changed)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the right checksums, so that damage is met behind them."""
    changed, place = bytearray(data), 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        if end + 4 > len(data):
            break
        changed[end : end + 4] = zlib.crc32(data[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(changed)


Mutation = Callable[[bytes, Random, bytes], bytes]
MUTATIONS: tuple[Mutation, ...] = (
    cut, flip_bytes, flip_bits_of_header, set_numbers, swap_header, drop_block, repeat_block, blank_block, splice,
    append, claim_size,
)  # fmt: skip


def mutated_images(rounds: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """(format, mutation, bytes) of `rounds` files for each of both."""
    sound = samples()
    names = list(sound)
    for name, data in sound.items():
        yield name, "none", data
        for number, mutation in enumerate(MUTATIONS):
            for turn in range(rounds):
                random = np.random.default_rng([seed, names.index(name), number, turn])
                other = sound[names[random.integers(0, len(names))]]
                mutated = mutation(data, random, other)
                if mutated.startswith(b"\x89PNG") and random.random() < 0.7:
                    mutated = with_checksums(mutated)
                yield name, mutation.__name__, mutated


def read_image(file: Path) -> str:
    """Read a file by every reader; "used", or the reason why it cannot be.

    Raises:
        AssertionError: the readers disagree.
    """
    data = file.read_bytes()
    reasons = []
    for read in (
        lambda: decode(file, Geometry(size=32)),
        lambda: decode(data, Geometry(size=32, fit="pad")),
        lambda: decode_upright(data),
    ):
        try:
            read()
            reasons.append("used")
        except UnreadableImageError as error:
            reasons.append(error.reason)
    header, _ = read_header(str(file))
    if len({reason == "used" for reason in reasons}) > 1:
        raise AssertionError(f"the readers disagree: {reasons}")
    if header.reason and reasons[0] == "used" and "smaller than" not in header.reason:
        raise AssertionError(f"decoded, but its header is refused: {header.reason}")
    return header.reason or reasons[0]


SAID = ("test", "labels", "path_column", "label_column", "image_root", "submission")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp949", "latin-1", "utf-16-le", "utf-32")
INSERTED = (b'"', b"\0", b",,,,\n", b"\xef\xbb\xbf", b"x" * 140_000, b'"\n"', b"\xe2\x80\xa8", b"\r", b"\xff", b"../")
READ = frozenset({"utf-8", "utf-8-sig", "utf-16"})
NAMES = [f"그림 {number}.png" if number % 3 else f"a,b;{number}.png" for number in range(8)]


def mutated_csv(random: Random) -> tuple[str, bytes, bool]:
    """What was done, the bytes of a CSV, and whether they still say for each image which label it has."""
    rows = [[name, ("cat", "dog")[number % 2], str(number * 7 % 5)] for number, name in enumerate(NAMES)]
    header = ["path", "label", "fold"]
    order = random.permutation(3)
    delimiter, quote = str(random.choice([",", ";", "\t", "|"])), bool(random.random() < 0.5)
    end = str(random.choice(["\n", "\r\n", "\r"]))
    encoding = str(random.choice(ENCODINGS))

    def line(cells: list[str]) -> str:
        cells = [cells[place] for place in order]
        special = {delimiter, '"', ",", ";"}
        return delimiter.join(
            '"' + cell.replace('"', '""') + '"' if quote or special & set(cell) else cell for cell in cells
        )

    text = end.join([line(header), *map(line, rows), ""])
    words = f"{encoding} {delimiter!r} {'quoted' if quote else 'plain'} {end!r} {order.tolist()}"
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        data, encoding = text.encode("utf-8"), "utf-8"
    if random.random() < 0.3:
        return words, data, encoding in READ
    mutation = MUTATIONS[random.integers(0, len(MUTATIONS))]
    other = INSERTED[random.integers(0, len(INSERTED))]
    if random.random() < 0.4:
        place = int(random.integers(0, len(data)))
        return f"{words} with {other[:8]!r}", data[:place] + other + data[place:], False
    return f"{words} {mutation.__name__}", mutation(data, random, other), False


def check_csv(root: Path, file: Path, sound: bool) -> str:
    """Read labels, and find them as `eyeshot init` does; "used", or the error for the user.

    Raises:
        AssertionError: a sound file is refused or read wrong.
    """
    try:
        data, _, _ = find_layout(root.parent, dict.fromkeys(SAID))
        if sound and data.get("labels") != file:
            raise AssertionError(f"a sound file is not found: {data}")
    except InputError as error:
        if sound:
            raise AssertionError(f"a sound file is refused by init: {error}") from error
    try:
        table = read_images(root, labels=file, minimum_classes=1, workers=1)
    except InputError as error:
        if sound:
            raise AssertionError(f"a sound file is refused: {error}") from error
        return str(error).split(", got")[0]
    if sound:
        found = {Path(path).name: label for path, label in zip(table.paths, table.frame["label"], strict=True)}
        wanted = {name: ("cat", "dog")[number % 2] for number, name in enumerate(NAMES)}
        if found != wanted:
            raise AssertionError(f"read wrong: {found}")
    return "used"


def run(rounds: int, csv_files: int, seed: int, failures: Path | None) -> dict[str, object]:
    """Read all files, and count."""
    failed: list[str] = []
    outcomes: Counter[str] = Counter()
    slowest: tuple[float, str] = (0.0, "")
    peak, start = 0.0, memory_mib()
    largest = (0.0, "")
    count, formats = 0, set()

    def watched(what: str, file: Path, read: Callable[[], str]) -> None:
        nonlocal slowest, largest, peak
        before, begin, cpu = memory_mib(), time.perf_counter(), time.process_time()
        try:
            outcome = read()
        except Exception as error:
            failed.append(f"{what}: {''.join(traceback.format_exception(error)[-3:])}")
            outcome = "failed"
        if ", none (" in what and outcome not in ("used", "failed"):
            failed.append(f"{what}: a sound file is refused: {outcome}")
        # Of a loaded machine the wall clock says little; a wait that costs no time of the processor is a hang too.
        seconds = min(time.perf_counter() - begin, max(time.process_time() - cpu, time.perf_counter() - begin - 10))
        outcomes["used" if outcome == "used" else "failed" if outcome == "failed" else "refused"] += 1
        slowest = max(slowest, (seconds, what))
        largest = max(largest, (memory_mib() - before, what))
        peak = memory_mib() - start
        if seconds > MOST_SECONDS:
            failed.append(f"{what}: {seconds:.1f} s")
        if failures is not None and failed and failed[-1].startswith(f"{what}:"):
            failures.mkdir(parents=True, exist_ok=True)
            (failures / f"{len(failed)}").write_bytes(file.read_bytes())

    with tempfile.TemporaryDirectory() as name, strict_pillow(), warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        folder = Path(name)
        for count, (kind, mutation, data) in enumerate(mutated_images(rounds, seed), 1):
            formats.add(kind)
            file = folder / "mutated.png"
            file.write_bytes(data)
            watched(f"{kind}, {mutation} (file {count})", file, partial(read_image, file))
        images = Counter(outcomes)
        root = folder / "set" / "train"
        root.mkdir(parents=True)
        for number, image in enumerate(NAMES):
            picture("RGB", shift=number).save(root / image)
        outcomes.clear()
        for number in range(csv_files):
            what, data, sound = mutated_csv(np.random.default_rng([seed, number]))
            file = root.parent / "train.csv"
            file.write_bytes(data)
            watched(f"CSV {what} (file {number})", file, partial(check_csv, root, file, sound))
    return {
        "formats": len(formats),
        "mutations": len(MUTATIONS),
        "images": count,
        "image_outcomes": dict(images),
        "csv_files": csv_files,
        "csv_outcomes": dict(outcomes),
        "slowest_s": round(slowest[0], 3),
        "slowest": slowest[1],
        "peak_mib": round(peak, 1),
        "largest": largest[1],
        "failed": failed,
    }


def memory_mib() -> float:
    """Most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--csv-files", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=24)
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--failures", type=Path)
    arguments = parser.parse_args()
    result = run(arguments.rounds, arguments.csv_files, arguments.seed, arguments.failures)
    if arguments.store:
        keep("fuzzing", result)
    else:
        print(json.dumps(result, indent=2))
