from __future__ import annotations

import ast
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

import eyeshot.core
from eyeshot.core import describe_hardware, describe_versions


def test_importing_the_package_loads_nothing_heavy():
    heavy = ["torch", "polars", "scipy", "sklearn", "timm"]
    code = "import sys, eyeshot.core; print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_imports_nothing_of_eyeshot_but_itself():
    for file in Path(eyeshot.core.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eyeshot"):
                assert (node.module or "").startswith("eyeshot.core"), file.name


def test_every_public_name_is_there():
    assert all(hasattr(eyeshot.core, name) for name in eyeshot.core.__all__)


def test_the_environment_names_processor_and_versions():
    assert describe_hardware("cpu").startswith("CPU, ")
    assert f"({torch.get_num_threads()} threads)" in describe_hardware(torch.device("cpu"))
    assert describe_versions()["numpy"] == metadata.version("numpy")
    assert describe_versions()["python"] == sys.version.split()[0]
