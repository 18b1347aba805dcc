"""Text of a plain Python file from a template of this folder, with the imports that it needs."""

from __future__ import annotations

import re
import sys
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from eyeshot.training.script.sources import merged_imports, used_imports


def render(template: str, *, imports: set[str], **values: Any) -> str:
    """A template of this folder with its values, and those of the imports that it then needs."""
    environment = Environment(
        loader=PackageLoader("eyeshot.training", "script"),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    environment.filters["py"] = repr
    page = environment.get_template(template)
    used = used_imports(imports, page.render(**values, imports="", packages=[]))
    roots = {re.split(r"[ .]", line)[1] for line in used} - sys.stdlib_module_names
    packages = sorted("pillow" if name == "PIL" else name.replace("_", "-") for name in roots)
    text = page.render(**values, imports=merged_imports(used), packages=packages)
    return re.sub(r"\n{4,}", "\n\n\n", text)
