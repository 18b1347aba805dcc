"""Images per second of eyeshot's training loop against ImageFolder + DataLoader, and against timm's loader and step.

    python -m benchmarks.training_speed                 on the processors: PACS photographs, a small network
    python -m benchmarks.training_speed --device cuda   on a GPU: at most ten minutes, on images that it writes itself

All three train the same network with the same optimizer, precision and memory layout on the same files with equal
transforms: decode, resize the shorter side, crop the centre, mirror half of the images, normalise. They take turns; a
ratio is of one round. eyeshot decodes each image once, before the training: `store_s` says how long that took.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from timm.data.loader import PrefetchLoader, fast_collate
from timm.data.transforms import ToNumpy
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler
from torchvision.transforms import v2

from benchmarks.common import keep, option, shared
from eyeshot.augment import Pool, augmentation
from eyeshot.core import describe_hardware
from eyeshot.core.statistics import student_mean
from eyeshot.data import Geometry, PixelStore, read_images
from eyeshot.models import autocast, load_backbone
from eyeshot.training import TrainConfig, TrainingRun
from eyeshot.training.loop import READ_EVERY
from eyeshot.training.recipe.optimizers import make_optimizer

ON_CPU = ("test_resnet:64:64",)  # model : side of the images in pixels : images in a batch
ON_GPU = ("resnet50:224:256", "resnet18:128:512")
GPU_IMAGES = 8192
GPU_WORKERS = 16
PREFETCHED = 2  # batches that each worker of a DataLoader has ready, as is usual
RATE = 1e-5

Take = Callable[[], tuple[Tensor, Tensor]]


@dataclass
class Way:
    """One way to train.

    Attributes:
        load: takes one batch, on the device, normalised.
        train: one or more steps, until its argument says to stop; returns how many.
        waited_s: seconds so far in which the device had no batch.
    """

    load: Callable[[], object]
    train: Callable[[Callable[[], bool]], int]
    waited_s: Callable[[], float]


class Clock:
    """Seconds in which the device had no batch: of the device itself on CUDA, else of this thread."""

    def __init__(self, take: Take, device: torch.device) -> None:
        self._take, self._device = take, device
        self._marks: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._total = 0.0

    def take(self) -> tuple[Tensor, Tensor]:
        """The next batch."""
        if self._device.type != "cuda":
            begin = time.perf_counter()
            batch = self._take()
            self._total += time.perf_counter() - begin
            return batch
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        before.record()
        batch = self._take()
        after.record()
        self._marks.append((before, after))
        return batch

    def total(self) -> float:
        """So far; waits for the device."""
        for before, after in self._marks:
            after.synchronize()
            self._total += before.elapsed_time(after) / 1000
        self._marks.clear()
        return self._total


def pictures(folder: Path, count: int) -> Path:
    """Write `count` JPEG files of 500 x 375 pixels, about 60 kB each, in ten class folders."""
    from PIL import Image

    def write(number: int) -> None:
        random = np.random.default_rng(number)
        coarse = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((500, 375))
        noisy = np.asarray(coarse, np.float32) + random.normal(0, 8, (375, 500, 1))
        place = folder / f"class{number % 10}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place / f"{number:06d}.jpg", quality=90)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(write, range(count)))
    return folder


def endless(loader: Any) -> Iterator[Any]:
    """Batches without an end."""
    while True:
        yield from loader


def peers(folder: Path, run: TrainingRun, *, workers: int, step_limit: int = 1 << 40) -> dict[str, Way]:
    """The same training as `run` from ImageFolder, by a plain loop and by timm's loader and step."""
    device, size, layout = run.device, run.backbone.geometry.size, run._layout
    interpolation = v2.InterpolationMode(run.backbone.geometry.interpolation)
    prepared = [v2.Resize(size, interpolation=interpolation), v2.CenterCrop(size), v2.RandomHorizontalFlip()]
    tensors = [
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(run.backbone.mean, run.backbone.std),
    ]
    gpu = device.type == "cuda"

    def loader(transform: Any, **more: Any) -> Any:
        images = torchvision.datasets.ImageFolder(folder, transform)
        return DataLoader(
            images, run.config.batch_size, num_workers=workers, pin_memory=gpu, drop_last=True,
            sampler=RandomSampler(images, replacement=True, num_samples=step_limit),
            persistent_workers=workers > 0, prefetch_factor=PREFETCHED if workers else None, **more,
        )  # fmt: skip

    plain = endless(loader(v2.Compose([*prepared, *tensors])))
    timm_loader = PrefetchLoader(
        loader(v2.Compose([*prepared, ToNumpy()]), collate_fn=fast_collate),
        mean=run.backbone.mean, std=run.backbone.std, device=device,
    )  # fmt: skip
    from_timm = endless(timm_loader)

    def take_plain() -> tuple[Tensor, Tensor]:
        images, labels = next(plain)
        return images.to(device, non_blocking=True, memory_format=layout), labels.to(device, non_blocking=True)

    def take_timm() -> tuple[Tensor, Tensor]:
        images, labels = next(from_timm)
        return images.contiguous(memory_format=layout), labels

    # timm's train.py reads the loss of each step.
    return {"ImageFolder + DataLoader": peer(run, take_plain), "timm": peer(run, take_timm, read_every=1)}


def peer(run: TrainingRun, take: Take, *, read_every: int = READ_EVERY) -> Way:
    """A loop of one's own around a copy of the run's network, which waits for a loss now and then."""
    model: nn.Module = copy.deepcopy(run.model)
    optimizer = make_optimizer(model, run.config)
    clock = Clock(take, run.device)

    def train(stop: Callable[[], bool]) -> int:
        model.train()
        steps = 0
        while not stop():
            images, labels = clock.take()
            with autocast(run.device, run.precision):
                loss = torch.nn.functional.cross_entropy(model(images).float(), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            steps += 1
            if steps % read_every == 0:
                loss.item()
        return steps

    return Way(take, train, clock.total)


def own(run: TrainingRun) -> Way:
    """eyeshot's loop."""
    step = [0]

    def load() -> object:
        batch = run.feed.batch(step[0], 1 << 40, run._rows)
        step[0] += 1
        return batch

    def train(stop: Callable[[], bool]) -> int:
        before = run.step
        run.advance(1 << 40, schedule=lambda step: RATE, stop=stop)
        return run.step - before

    return Way(load, train, run.feed.waited_s)


def turn(way: Way, device: torch.device, batch: int, *, seconds: float, warm: int, training: bool) -> dict[str, float]:
    """Images per second, and the share of the time without a batch, of a turn that follows `warm` untimed batches."""
    if training:
        counter = iter(range(warm))
        way.train(lambda: next(counter, None) is None)
    else:
        for _ in range(warm):
            way.load()
    _end_of_work(device)
    waited, worked, begin = way.waited_s(), processor_s(), time.perf_counter()
    if training:
        steps = way.train(lambda: time.perf_counter() - begin > seconds)
    else:
        steps = 0
        while time.perf_counter() - begin <= seconds:
            way.load()
            steps += 1
    _end_of_work(device)
    taken = time.perf_counter() - begin
    images = steps * batch
    return {
        "images_per_s": images / taken,
        "waiting": (way.waited_s() - waited) / taken,
        "processor_ms": 1e3 * (processor_s() - worked) / images,
    }


def processor_s() -> float:
    """Processor time of this process and its workers so far; other programs do not change it as they change a rate."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        stat = Path(f"/proc/{child.pid}/stat")
        if stat.exists():
            ticks = stat.read_text().rpartition(")")[2].split()[11:13]
            total += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return total


def _end_of_work(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def compared(
    ways: dict[str, Way], device: torch.device, batch: int, *, seconds: float, rounds: int, warm: int, training: bool,
    until: float,
) -> dict[str, Any]:  # fmt: skip
    """Rates of all ways, and eyeshot's ratio to each of the others, from turns in changing order."""
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    done = 0
    for number in range(rounds):
        if number and time.monotonic() > until:
            break
        for name in [*ways][number % len(ways) :] + [*ways][: number % len(ways)]:
            turns[name].append(turn(ways[name], device, batch, seconds=seconds, warm=warm, training=training))
        done += 1
    result: dict[str, Any] = {"rounds": done}
    for name, values in turns.items():
        rates = np.array([value["images_per_s"] for value in values])
        result[name] = {
            "images_per_s": float(np.median(rates)),
            "processor_ms_per_image": float(np.median([value["processor_ms"] for value in values])),
        }
        if training:
            result[name]["share_waiting_for_a_batch"] = float(np.median([value["waiting"] for value in values]))
        if name != "eyeshot":
            mean, half = student_mean(np.log([value["images_per_s"] for value in turns["eyeshot"]]) - np.log(rates))
            result[name]["eyeshot_is_times_as_fast"] = [
                float(np.exp(mean + side)) for side in (0.0, *((-half, half) if np.isfinite(half) else ()))
            ]
    return result


def measure(task: str, folder: Path, device: torch.device, *, seconds: float, rounds: int, workers: int,
            until: float) -> dict[str, Any]:  # fmt: skip
    """One network at one size."""
    model, size_text, batch_text = task.split(":")
    size, batch = int(size_text), int(batch_text)
    backbone = load_backbone(model, from_scratch=True, size=size)
    table = read_images(folder)
    with tempfile.TemporaryDirectory() as cache:
        begin = time.perf_counter()
        geometry = Geometry(size=size, interpolation=backbone.geometry.interpolation)
        pixels = PixelStore(Path(cache), geometry).load(table, np.arange(len(table)))
        store_s = time.perf_counter() - begin
        labels = table.labels[pixels.rows]
        # So many epochs that the memory layout is timed on a GPU, and too few to compile.
        config = TrainConfig(epochs=max(1, 1000 * batch // len(pixels)), batch_size=batch, learning_rate=RATE)
        begin = time.perf_counter()
        make_run = partial(
            TrainingRun, backbone, Pool(pixels.images, pixels.keys), labels,
            class_count=len(table.classes), config=config, augmentations=[augmentation("mirror")], device=device,
        )  # fmt: skip
        run = make_run()
        result: dict[str, Any] = {
            "model": model, "size": size, "batch": batch, "images": len(pixels), "store_s": store_s,
            "prepared_s": time.perf_counter() - begin, "reasons": run.reasons,
        }  # fmt: skip
        ways = {"eyeshot": own(run)} | peers(folder, run, workers=workers)
        if device.type == "cpu":  # what the reason of `choose_ahead` rests on
            threaded = make_run()
            threaded.feed.ahead = 2
            ways["eyeshot with a thread"] = own(threaded)
        options: dict[str, Any] = {
            "seconds": seconds,
            "rounds": rounds,
            "warm": max(3, PREFETCHED * workers + 1),
            "until": until,
        }
        result["training"] = compared(ways, device, batch, training=True, **options)
        result["loading_alone"] = compared(ways, device, batch, training=False, **options)
    return result


def main() -> None:
    device = torch.device(option("--device", "cpu"))
    gpu = device.type == "cuda"
    torch.backends.cudnn.benchmark = True  # as timm's script sets it
    until = time.monotonic() + 60 * float(option("--minutes", "9"))
    workers = int(option("--workers", str(GPU_WORKERS if gpu else os.cpu_count() or 1)))
    tasks = option("--tasks", ",".join(ON_GPU if gpu else ON_CPU)).split(",")
    count = int(option("--synthetic", str(GPU_IMAGES) if gpu and "--images" not in sys.argv else "0"))
    results = []
    with tempfile.TemporaryDirectory() as made:
        named = option("--images")
        if count:
            folder = pictures(Path(made), count)
        else:
            folder = Path(named) if named else shared() / "data" / "pacs" / "photo"
        for number, task in enumerate(tasks):
            left = (until - time.monotonic()) / (len(tasks) - number)
            results.append(
                measure(
                    task, folder, device,
                    seconds=float(option("--seconds", "8")), rounds=int(option("--rounds", "3" if gpu else "6")),
                    workers=workers, until=time.monotonic() + left,
                )
            )  # fmt: skip
            keep(
                f"training_speed_{device.type}",
                {
                    "hardware": describe_hardware(device),
                    "images": f"{count} written JPEG files of 500 x 375 pixels" if count else folder.name,
                    "workers": workers,
                    "processors": os.cpu_count(),
                    "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
                    "results": results,
                },
            )


if __name__ == "__main__":
    main()
