"""What every package stands on: work in parallel, arrays kept on disk."""

from eyeshot.core.array_cache import ArrayCache as ArrayCache
from eyeshot.core.array_cache import Failure as Failure
from eyeshot.core.array_cache import read_description as read_description
from eyeshot.core.parallel import default_workers as default_workers
from eyeshot.core.parallel import in_parallel as in_parallel
from eyeshot.core.parallel import keep_freed_memory as keep_freed_memory

__all__ = ["ArrayCache", "Failure", "default_workers", "in_parallel", "keep_freed_memory", "read_description"]
