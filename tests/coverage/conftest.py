"""What the tests of this room share."""

from __future__ import annotations

import importlib.util
import sys

# Without the package `coverage` this very folder would be found under its name, and numba (of UMAP) would use it.
_found = importlib.util.find_spec("coverage") if "coverage" not in sys.modules else None
if _found is not None and _found.origin is None:
    sys.modules["coverage"] = None  # type: ignore[assignment]
