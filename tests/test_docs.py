"""The pages stay true: generated parts are up to date, commands and keys that they name exist, Python blocks run."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from kb.cli import commands
from kb.cli.main import cli
from kb.cli.session import Session
from kb.config import render_default

if TYPE_CHECKING:
    from kb.embed.locate import Located

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    """The code blocks of the README in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    """Help, configuration and matrix are what program and tests say now; ``make docs`` brings them up to date."""
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    text = page.read_text("utf-8")

    assert generate["filled"](text) == text


def test_every_command_is_in_the_readme() -> None:
    """No command is left untold."""
    for name in cli.list_commands(click.Context(cli)):
        assert re.search(rf"^  {name} ", README, re.MULTILINE), name


def console_lines() -> list[str]:
    """The kb commands of the README's sessions."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ kb ")]


@pytest.mark.parametrize("line", console_lines())
def test_commands_of_the_readme_are_valid(line: str) -> None:
    """Each command line in the README is one that kb takes."""
    command = line.split("|", maxsplit=1)[0].split("#", maxsplit=1)[0]
    words = shlex.split(command)[1:]
    name = words[0] if words[0] in commands.names() else "search"

    context = commands.load(name).make_context(name, words[1:] if name == words[0] else words, obj=Session())

    assert context.params


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(
    code: str, notes: Path, tmp_path: Path, minilm: Located, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each Python block in the README runs as it stands."""
    (tmp_path / "config.toml").write_text(render_default({"folders.paths": [str(notes)], "embed.model": minilm.name}))
    monkeypatch.chdir(tmp_path)

    exec(compile(code, "README.md", "exec"), {})  # noqa: S102  # the block is the project's own


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_pages_name_exist(page: Path) -> None:
    """A path of the project in a page is one that is there."""
    named = re.findall(r"`((?:kb|tests|docs|benchmarks|examples)/[\w./-]+)`", page.read_text("utf-8"))

    assert [name for name in named if not (ROOT / name.rstrip("/")).exists()] == []
