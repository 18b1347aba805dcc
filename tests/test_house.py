"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "eyeshot"
ORDER = ["core", "images", "augment", "models", "training", "auditing", "coverage", "reports", "web", "cli"]
LONGEST_FILE = 400


def imports_of(file: Path) -> list[tuple[str, list[str]]]:
    """Modules of eyeshot that a file imports, with the names taken from each."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "eyeshot":
            found.append((node.module, [alias.name for alias in node.names]))
        elif isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names if alias.name.split(".")[0] == "eyeshot"]
    return found


def exported(room: str) -> set[str]:
    tree = ast.parse((SOURCE / room / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return {element.value for element in node.value.elts}
    return set()


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_rooms_before_it_and_only_their_public_names(room: str) -> None:
    wrong = []
    for file in sorted((SOURCE / room).rglob("*.py")):
        for module, names in imports_of(file):
            parts = module.split(".")
            other = parts[1] if len(parts) > 1 else (names[0] if names and names[0] in ORDER else None)
            if other is None or other == room or other not in ORDER:
                continue
            late = ORDER.index(other) > ORDER.index(room)
            private = len(parts) > 2 or bool(set(names) - exported(other))
            if late or private:
                wrong.append(f"{file.relative_to(SOURCE)} imports {names} from {module}")
    assert not wrong


def test_root_modules_import_no_room_before_it_is_needed() -> None:
    heavy = {"torch", "timm", "sklearn", "polars", "bokeh", "numpy", "torchvision", "rich"}
    code = "import sys, eyeshot, eyeshot.cli; print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_file_is_longer_than_a_hard_look_allows() -> None:
    lengths = {
        str(file.relative_to(SOURCE)): len(file.read_text("utf-8").splitlines()) for file in SOURCE.rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_ruff_finds_nothing() -> None:
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_line_is_typed() -> None:
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_public_name_exists_and_has_a_docstring() -> None:
    import eyeshot

    for name in eyeshot.__all__:
        assert name == "__version__" or getattr(eyeshot, name).__doc__, name


def test_no_index_address_stands_in_a_lock_or_a_script() -> None:
    files = [ROOT / "requirements.lock", ROOT / "pyproject.toml", *ROOT.glob("scripts/*"), ROOT / ".ci" / "run"]
    for file in files:
        assert "://" not in file.read_text(encoding="utf-8"), file


def test_the_wheel_runs_outside_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")
    assert "eyeshot/py.typed" in names
    assert any(name.endswith("cover.html.j2") for name in names)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    code = "import eyeshot; print(eyeshot.__file__); print(len(eyeshot.augmentations()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    place, count = done.stdout.split()
    assert str(tmp_path) in place
    assert int(count) >= 28
