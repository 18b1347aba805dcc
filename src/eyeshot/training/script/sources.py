"""Source text of functions and classes with all that they use of eyeshot, for a file that runs without it."""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterable
from types import FunctionType
from typing import Any, TypeGuard

import torch

OWN = "eyeshot."
NOT_NEEDED = {"settings", "fingerprint", "kind", "version"}
"""Members that only name an operation for caches."""
COMMENTS_FOR_TOOLS = re.compile(r"\s+# (type: ignore|fmt: skip|noqa).*$", re.MULTILINE)

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


class SourceError(Exception):
    """A value cannot be written as source text; the message says which."""


class Sources:
    """Collects definitions in an order in which Python can run them, and the imports that they need.

    Args:
        given: names that the file has already, whose definitions are not copied.
    """

    def __init__(self, given: Collection[str] = ()) -> None:
        self._given = set(given)
        self._home: dict[str, str] = {}
        self._definitions: list[str] = []
        self.imports: set[str] = set()

    def add(self, value: Callable[..., object]) -> str:
        """Copy a function or class of eyeshot, with all that it uses; returns its name.

        Raises:
            SourceError: it is not one of eyeshot's modules, or another definition has its name.
        """
        name, module = getattr(value, "__qualname__", ""), getattr(value, "__module__", "")
        if not module.startswith(OWN) or "." in name or "<" in name:
            raise SourceError(f"{module}.{name or value!r} is not part of eyeshot's own modules")
        self._add(name, module)
        return name

    def take(self) -> str:
        """The text of what was copied since the last call."""
        text = "\n\n\n".join(self._definitions)
        self._definitions = []
        return text

    def expression(self, value: Any) -> str:
        """Python source of a value: numbers, texts, collections, functions and frozen dataclasses of eyeshot.

        Raises:
            SourceError: it holds something else.
        """
        if value is None or isinstance(value, bool | int | float | str):
            return repr(value)
        if isinstance(value, functools.partial):
            self.imports.add("from functools import partial")
            parts = [self.expression(value.func), *map(self.expression, value.args)]
            parts += [f"{name}={self.expression(inner)}" for name, inner in value.keywords.items()]
            return f"partial({', '.join(parts)})"
        if isinstance(value, FunctionType | type):
            return self.add(value)
        name = getattr(value, "__name__", "")
        if name and getattr(torch, name, None) is value:
            return f"torch.{name}"
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            names: tuple[str, ...] = value._fields
        elif dataclasses.is_dataclass(value):
            names = tuple(field.name for field in dataclasses.fields(value))
        elif isinstance(value, tuple):
            return f"({', '.join(map(self.expression, value))}{',' if len(value) == 1 else ''})"
        elif isinstance(value, list):
            return f"[{', '.join(map(self.expression, value))}]"
        elif isinstance(value, dict):
            return f"{{{', '.join(f'{self.expression(key)}: {self.expression(value[key])}' for key in value)}}}"
        else:
            raise SourceError(f"a value of type {type(value).__name__} cannot be written down")
        made_of = [f"{name}={self.expression(getattr(value, name))}" for name in names]
        return f"{self.add(type(value))}({', '.join(made_of)})"

    def _add(self, name: str, module: str) -> None:
        if name in self._given or self._home.get(name) == module:
            return
        if name in self._home:
            raise SourceError(f"{module} and {self._home[name]} both define {name}")
        known, imports = _definitions(module), _imports(module)
        self._home |= {each: module for each, node in known.items() if node is known[name]}
        node = copy.deepcopy(known[name])
        gone = _simplify(node)
        for used in _names_in(node):
            if used == name:
                continue
            if used in known:
                self._add(used, module)
            elif used in imports:
                self._add_import(used, *imports[used])
        for used in sorted(_names_in_annotations(node)):
            if isinstance(known.get(used), ast.Assign):
                self._add(used, module)
            elif used in imports and not f"{imports[used][0]}.".startswith(OWN):
                self._add_import(used, *imports[used])
        self._definitions.append(_text(node, gone, module))

    def _add_import(self, used: str, source: str, original: str) -> None:
        if not f"{source}.".startswith(OWN):
            renamed = "" if used == original else f" as {used}"
            line = f"from {source} import {original}{renamed}" if original else f"import {source}"
            self.imports.add(line if original or used == source.partition(".")[0] else f"{line} as {used}")
            return
        if used != original:
            raise SourceError(f"{original} of {source} is used under the name {used}")
        # A package names what its modules define.
        home = source
        if original not in _definitions(source):
            home = getattr(getattr(importlib.import_module(source), original), "__module__", source)
        self._add(original, home)


def used_imports(lines: Iterable[str], text: str) -> set[str]:
    """The import lines whose names the text uses."""
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    bound = {line: line.rpartition(" as ")[2].rpartition("import ")[2].partition(".")[0] for line in lines}
    return {line for line, name in bound.items() if name in names or "__future__" in line}


def merged_imports(lines: Iterable[str]) -> str:
    """Import lines as they stand at the top of a file: the standard library's first, one line a module."""
    names: dict[str, set[str]] = {}
    plain = set()
    for line in lines:
        source, _, imported = line.removeprefix("from ").partition(" import ")
        if line.startswith("from "):
            names.setdefault(source, set()).add(imported)
        else:
            plain.add(line)
    whole = [*plain, *(f"from {source} import {', '.join(sorted(taken))}" for source, taken in names.items())]
    groups: list[list[str]] = [[], [], []]
    for line in sorted(whole, key=lambda line: (line.startswith("from "), line)):
        package = re.split(r"[ .]", line)[1]
        groups[0 if package == "__future__" else 1 if package in sys.stdlib_module_names else 2].append(line)
    return "\n\n".join("\n".join(group) for group in groups if group)


@functools.cache
def _source(module: str) -> str:
    return inspect.getsource(importlib.import_module(module))


@functools.cache
def _definitions(module: str) -> dict[str, Definition]:
    """Functions, classes and constants of a module by name."""
    found: dict[str, Definition] = {}
    for node in ast.parse(_source(module)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node for target in ast.walk(node) if _is_stored(target)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


@functools.cache
def _imports(module: str) -> dict[str, tuple[str, str]]:
    """Module and original name ("" for a whole module) of each imported name."""
    found: dict[str, tuple[str, str]] = {}
    for node in ast.parse(_source(module)).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (alias.name, "")
    return found


def _simplify(node: ast.AST) -> list[ast.stmt]:
    """Take off checks of arguments, which a finished run has passed, and what only caches ask; returns what went."""
    gone: list[ast.stmt] = []
    for inner in ast.walk(node):
        for part in (getattr(inner, "body", None), getattr(inner, "orelse", None)):
            if isinstance(part, list):
                members = isinstance(inner, ast.ClassDef)
                gone += [line for line in part if _is_check(line) or (members and _is_left_out(line))]
                part[:] = [line for line in part if line not in gone]
    return gone


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _is_check(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and not node.orelse and all(isinstance(line, ast.Raise) for line in node.body)


def _is_left_out(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name in NOT_NEEDED
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in NOT_NEEDED


def _names_in(node: ast.AST) -> list[str]:
    """Names from outside that must exist when the code runs, in order; annotations are read by nobody but dataclass."""
    found: dict[str, None] = {}

    def visit(inner: ast.AST, local: set[str], in_class: bool) -> None:
        if isinstance(inner, ast.FunctionDef | ast.Lambda):
            local = local | _bound_in(inner)
        if isinstance(inner, ast.Name) and inner.id not in local:
            found[inner.id] = None
        for field, value in ast.iter_fields(inner):
            if field in ("annotation", "returns"):
                if in_class and value is not None and "ClassVar" in ast.unparse(value):
                    found["ClassVar"] = None
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, local, isinstance(inner, ast.ClassDef))

    visit(node, set(), False)
    return list(found)


def _names_in_annotations(node: ast.AST) -> set[str]:
    found: list[ast.AST | None] = []
    for inner in ast.walk(node):
        found += [getattr(inner, "annotation", None), getattr(inner, "returns", None)]
    return {part.id for whole in found if whole is not None for part in ast.walk(whole) if isinstance(part, ast.Name)}


def _bound_in(function: ast.FunctionDef | ast.Lambda) -> set[str]:
    """Names of a function's arguments and variables."""
    names = {inner.arg for inner in ast.walk(function.args) if isinstance(inner, ast.arg)}
    for inner in ast.walk(function):
        if _is_stored(inner):
            names.add(inner.id)
        elif isinstance(inner, ast.FunctionDef) and inner is not function:
            names.add(inner.name)
    return names


def _text(node: Definition, gone: list[ast.stmt], module: str) -> str:
    """The text of a definition with its comments, without the parts that are `gone`, each docstring in one line."""
    lines = _source(module).splitlines()
    dropped = {number for part in gone for number in range(_first_line(part), _last_line(part) + 1)}
    replaced: dict[int, str] = {}
    for inner in ast.walk(node):
        text = ast.get_docstring(inner) if isinstance(inner, ast.FunctionDef | ast.ClassDef) else None
        if text and isinstance(inner, ast.FunctionDef | ast.ClassDef):
            doc = inner.body[0]
            replaced[doc.lineno] = f'{" " * doc.col_offset}"""{text.splitlines()[0]}"""'
            dropped |= set(range(doc.lineno + 1, _last_line(doc) + 1))
    start = _first_line(node)
    while start > 1 and lines[start - 2].startswith("#"):
        start -= 1
    numbers = (number for number in range(start, _last_line(node) + 1) if number not in dropped)
    text = "\n".join(replaced.get(number, lines[number - 1]) for number in numbers)
    return re.sub(r"\n{3,}", "\n\n", COMMENTS_FOR_TOOLS.sub("", text)).rstrip()


def _first_line(node: ast.stmt) -> int:
    """Line of the first decorator, or of the statement itself."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno
