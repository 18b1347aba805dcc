"""What every package stands on: work in parallel, arrays kept on disk."""

from eyeshot.core.parallel import default_workers as default_workers
from eyeshot.core.parallel import in_parallel as in_parallel
from eyeshot.core.parallel import keep_freed_memory as keep_freed_memory

__all__ = ["default_workers", "in_parallel", "keep_freed_memory"]
