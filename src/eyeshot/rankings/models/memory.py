"""How much memory a forward pass needs: the bytes of all arrays that are alive at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from eyeshot.models import Backbone, normalise, place, to_batch


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of arrays made inside, from the operation that makes them until they are freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count what it made."""
        given = {
            value.untyped_storage()._cdata for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)
        }
        made = function(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                if storage._cdata not in given | self._known:
                    self._add(storage)
        self.peak = max(self.peak, self.now)
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self.now += size
        self._known.add(key)

        def freed() -> None:
            self.now -= size
            self._known.discard(key)

        weakref.finalize(storage, freed)


def forward_memory(backbone: Backbone, images: NDArray[np.uint8], *, device: torch.device) -> int:
    """Bytes of the weights and of the arrays alive at once in a forward pass of `images` (n, S, S, 3).

    On CUDA it is what the allocator handed out at most; elsewhere the arrays are counted, without the work space inside
    single operations.
    """
    module, layout = place(backbone.module, device)
    weights = sum(value.numel() * value.element_size() for value in [*module.parameters(), *module.buffers()])
    with torch.inference_mode():
        batch = normalise(to_batch(images), backbone, device=device, layout=layout)
        if device.type == "cuda":
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            module(batch)
            return int(weights + torch.cuda.max_memory_allocated(device) - before + batch.nbytes)
        with _LiveBytes() as counted:
            module(batch)
    return int(weights + batch.nbytes + counted.peak)
