"""Writes what the help of a command says into its page in docs/commands: `python -m scripts.command_pages`.

A page is written by hand, but for the parts between two marks: the options of its commands, and the list of all pages
in `index.md`. A test compares these parts with the help, so they cannot be stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGES = Path(__file__).resolve().parents[1] / "docs" / "commands"
INDEX = PAGES / "index.md"
BEGIN, END = "<!-- Written by scripts/command_pages.py from the help. -->", "<!-- End of what is written. -->"
SEPARATE = ("rank",)
"""Groups whose commands are so large that each has a page of its own."""
VALUES = {int: "N", float: "NUMBER", Path: "PATH", str: "TEXT"}


def command_lines() -> Iterator[tuple[tuple[str, ...], Any]]:
    """The words of each command, and the command: all that can be run, in the order of the help."""
    from typer.main import get_command

    from eyeshot.cli import app

    def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, child in getattr(command, "commands", {}).items():
            yield from below(child, (*words, name))
        if words and (not hasattr(command, "commands") or command.invoke_without_command):
            yield words, command

    yield from below(get_command(app), ())


def page_of(words: tuple[str, ...]) -> str:
    """The name of the page that a command stands on, without its ending."""
    return "-".join(words if words[0] in SEPARATE else words[:1])


def commands_by_page() -> dict[str, list[tuple[tuple[str, ...], Any]]]:
    """The commands of each page, in the order of the help."""
    pages: dict[str, list[tuple[tuple[str, ...], Any]]] = {}
    for words, command in command_lines():
        pages.setdefault(page_of(words), []).append((words, command))
    return pages


def plain(text: str) -> str:
    """Words as they stand, for a table of Markdown; options become code, as what is between backticks is already."""
    parts = " ".join(text.split()).split("`")
    for place in range(0, len(parts), 2):
        escaped = re.sub(r"([*_<>\[\]])", r"\\\1", parts[place])
        parts[place] = re.sub(r"(?<![\w-])(--[a-z][a-z-]*)", r"`\1`", escaped)
    return "`".join(parts).replace("|", r"\|")


def typed(option: Any) -> str:
    """What is typed for an option, with the name of its value."""
    if option.param_type_name == "argument":
        return f"`{option.metavar or option.name.upper()}`"
    names = " / ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    annotation = option.type_descriptor.annotation
    if annotation is bool:
        return names
    value = option.metavar or VALUES.get(annotation, "TEXT")
    return f"{names[:-1]} {value}`".replace("|", r"\|")


def default(option: Any) -> str:
    """What holds where an option is not given; empty where its text says it."""
    if option.required:
        return "required"
    if isinstance(option.default, bool):
        return "on" if option.default else "off"
    return "" if option.default in (None, "") else f"`{option.default}`"


def options_table(words: tuple[str, ...], command: Any) -> str:
    """The usage line of a command, what its help says beyond the first line, and all its options."""
    usage = " ".join(
        f"{name}…" if option.multiple or option.nargs != 1 else name
        for option in command.params
        if option.param_type_name == "argument"
        for name in [option.metavar or option.name.upper()]
    )
    lines = [f"### `{' '.join(filter(None, ('eyeshot', *words, usage)))}`", ""]
    lines += [f"{plain(paragraph)}\n" for paragraph in (command.help or "").split("\n\n")]
    lines += ["| option | what it does | default |", "|---|---|---|"]
    for option in command.params:
        lines.append(f"| {typed(option)} | {plain(option.help or '')} | {default(option)} |")
    return "\n".join(lines)


def list_of_pages() -> str:
    """All pages of commands with their purpose, in the panels of the help."""
    from typer.main import get_command

    from eyeshot.cli import app

    group: Any = get_command(app)
    lines: list[str] = []
    for panel in dict.fromkeys(command.rich_help_panel for command in group.commands.values()):
        lines += ["", f"## {panel}", ""]
        for page, commands in commands_by_page().items():
            words, command = commands[0]
            if group.commands[words[0]].rich_help_panel == panel:
                said = command if len(commands) == 1 else group.commands[words[0]]
                purpose = plain(str(said.help).partition("\n\n")[0])
                lines.append(f"- [eyeshot {page.replace('-', ' ')}]({page}.md): {purpose}")
    return "\n".join(lines).strip()


def with_written(text: str, written: str) -> str:
    """A page with the part between its marks replaced."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"a page needs a line {BEGIN!r} and after it a line {END!r}")
    return f"{before}{BEGIN}\n\n{written}\n\n{END}{after}"


def expected_pages() -> dict[Path, str]:
    """Every page of a command and what it should hold."""
    pages = {INDEX: with_written(INDEX.read_text("utf-8"), list_of_pages())}
    for page, commands in commands_by_page().items():
        file = PAGES / f"{page}.md"
        tables = "\n\n".join(options_table(words, command) for words, command in commands)
        pages[file] = with_written(file.read_text("utf-8"), tables)
    return pages


if __name__ == "__main__":
    for file, text in expected_pages().items():
        file.write_text(text, "utf-8")
