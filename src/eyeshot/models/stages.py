"""What a model sees on the way to its last layer: up to three earlier stages, averaged over places.

Their features come from the very forward pass that gives the last layer's: a hook averages each stage's map.
Which stages there are follows from the network alone. For timm models they are those of timm's own `feature_info`;
for any other network they are the children of its `features` (or of itself) after which the map changes its size.
Networks that hand on lists of maps (HRNet, CrossViT) have none. Of n stages, the last layer counted, those at a
quarter, half and three quarters of the depth are taken, as timm's four-stage networks have them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LAST = "last"
MOST = 4  # stages, the last layer counted
TRIAL_IMAGES = 2  # two, so that an axis of images is known as such


@dataclass(frozen=True)
class Stage:
    """One stage before the last layer, and how its output is averaged.

    Attributes:
        name: to show, for instance "layer2"; never "last", which means the pooled features themselves.
        path: of the submodule within the backbone's module.
        width: features of it.
        places: axes of its output to average over: (2, 3) of a map (n, D, h, w), (1, 2) of one with channels last,
            (1,) of tokens (n, t, D).
        skipped: class and register tokens in front, which are no places.
    """

    name: str
    path: str
    width: int
    places: tuple[int, ...]
    skipped: int = 0

    def pool(self, output: Tensor) -> Tensor:
        """Output of the submodule for n images -> float (n, width)."""
        return (output[:, self.skipped :] if self.skipped else output).mean(self.places)


@contextmanager
def tapped(module: nn.Module, stages: Sequence[Stage]) -> Iterator[dict[str, Tensor]]:
    """While open, each forward pass of `module` leaves its stages' features here, by path."""
    found: dict[str, Tensor] = {}

    def hook(stage: Stage) -> Callable[[nn.Module, Any, Tensor], None]:
        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            # Averaged at once: the next layer may write into the same memory.
            found[stage.path] = stage.pool(output)

        return keep

    handles = [module.get_submodule(stage.path).register_forward_hook(hook(stage)) for stage in stages]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def find_stages(module: nn.Module, size: int) -> tuple[Stage, ...]:
    """The stages before the last layer, shallow ones first; none where a network has no maps on the way.

    Costs one forward pass of two images of noise, always the same.

    Args:
        module: float (n, 3, `size`, `size`) -> float (n, D).
    """
    network, path = _network(module)
    channels: Mapping[str, int | None] = _listed(network)
    if not channels:
        inside, path = _container(network, path)
        channels = dict.fromkeys(_parts(inside))
    listed = any(channels.values())
    parts = {".".join(filter(None, (path, name))): count for name, count in channels.items()}
    stages, averages, last = _try(module, parts, size, network)
    if not listed:
        stages = _before_size_changes(stages, averages)
    # Where the last stage's average is what the last layer gives (as in most convolutional networks), it is no
    # other stage. Elsewhere the last map is left out all the same: only a norm or a small head lies between.
    earlier = [stage for stage in stages if not _equal(averages[stage.path][0], last)]
    if earlier and len(earlier) == len(stages):
        earlier = earlier[:-1]
    count = len(earlier) + 1
    chosen = sorted({math.ceil(count * number / MOST) for number in range(1, MOST)} - {count})
    return tuple(earlier[number - 1] for number in chosen)


Averages = dict[str, tuple[Tensor, int]]


def _try(
    module: nn.Module, parts: dict[str, int | None], size: int, network: nn.Module
) -> tuple[list[Stage], Averages, Tensor]:
    """Stages among the parts in the order in which they run, their averages and places, and the last features."""
    stages: dict[str, Stage | None] = {}
    averages: Averages = {}

    def hook(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
            again = path in stages  # a module that runs twice is no one stage
            stage = stages[path] = None if again else _as_stage(path, output, parts[path], network)
            if stage is not None:
                averages[path] = stage.pool(output).clone(), math.prod(output.shape[axis] for axis in stage.places)

        return look

    handles = [module.get_submodule(path).register_forward_hook(hook(path)) for path in parts]
    device = next((value.device for value in module.parameters()), torch.device("cpu"))
    noise = torch.randn(TRIAL_IMAGES, 3, size, size, generator=torch.Generator().manual_seed(0))
    module.eval()
    try:
        with torch.inference_mode():
            last = module(noise.to(device))
    finally:
        for handle in handles:
            handle.remove()
    return [stage for stage in stages.values() if stage is not None], averages, last


def _as_stage(path: str, output: Any, channels: int | None, network: nn.Module) -> Stage | None:
    if not isinstance(output, Tensor) or output.ndim not in (3, 4) or len(output) != TRIAL_IMAGES:
        return None
    name = path.removeprefix("module.").removeprefix("network.")  # our own wrappers
    name = f"{name} (a stage)" if name == LAST else name
    shape = output.shape
    if output.ndim == 3:
        if channels not in (None, shape[2]):
            return None
        return Stage(name, path, shape[2], (1,), _tokens_in_front(network, shape[1]))
    # Images are square: two equal axes are the places.
    first = shape[1] == channels if channels else shape[2] == shape[3]
    behind = shape[3] == channels if channels else shape[1] == shape[2]
    if behind and (not first or getattr(network, "output_fmt", "") == "NHWC"):
        return Stage(name, path, shape[3], (1, 2))
    return Stage(name, path, shape[1], (2, 3)) if first else None


def _tokens_in_front(network: nn.Module, tokens: int) -> int:
    """How many class and register tokens come first: some networks (CaiT, XCiT) add theirs only after their blocks."""
    front = int(getattr(network, "num_prefix_tokens", 0) or 0)
    patches = tokens - front
    # Images are square, and so are their grids of patches.
    absent = patches <= 0 or (math.isqrt(patches) ** 2 != patches and math.isqrt(tokens) ** 2 == tokens)
    return 0 if absent else front


def _before_size_changes(stages: Sequence[Stage], averages: Averages) -> list[Stage]:
    """Of children in a row with maps of one size only the last."""
    sizes = [averages[stage.path][1] for stage in stages]
    return [stage for place, stage in enumerate(stages) if place + 1 == len(stages) or sizes[place] != sizes[place + 1]]


def _equal(average: Tensor, last: Tensor) -> bool:
    return average.shape == last.shape and torch.allclose(average.float(), last.float(), rtol=1e-3, atol=1e-5)


def _listed(network: nn.Module) -> dict[str, int]:
    """Channels of the stages that timm lists, by the path of their modules."""
    listed = getattr(network, "feature_info", None)
    if not isinstance(listed, list):
        return {}
    known = {name for name, _ in network.named_modules()}
    found = {str(one["module"]): int(one["num_chs"]) for one in listed if one.get("module") and one.get("num_chs")}
    return {path: channels for path, channels in found.items() if path in known}


def _network(module: nn.Module) -> tuple[nn.Module, str]:
    """The network within wrappers: the first that lists its stages, or `module` itself."""
    inner, path = module, ""
    while not _listed(inner):
        only = _only_child_with_weights(inner)
        if only is None:
            return module, ""
        path = ".".join(filter(None, (path, only)))
        inner = inner.get_submodule(only)
    return inner, path


def _container(network: nn.Module, path: str) -> tuple[nn.Module, str]:
    """Whose children are looked at: `features` if there is one, else the first with several children that learn."""
    while True:
        features = getattr(network, "features", None)
        if isinstance(features, nn.Sequential):
            return features, ".".join(filter(None, (path, "features")))
        only = _only_child_with_weights(network)
        if only is None:
            return network, path
        network, path = network.get_submodule(only), ".".join(filter(None, (path, only)))


def _parts(network: nn.Module) -> list[str]:
    """Its children, and in the place of a list, which is never called itself, those of the list."""
    found = []
    for name, child in network.named_children():
        listed = isinstance(child, nn.ModuleList)
        found += [f"{name}.{inner}" for inner, _ in child.named_children()] if listed else [name]
    return found


def _only_child_with_weights(network: nn.Module) -> str | None:
    learning = [name for name, child in network.named_children() if next(child.parameters(), None) is not None]
    return learning[0] if len(learning) == 1 else None
