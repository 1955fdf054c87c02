"""The pages stay true: generated parts are up to date, commands, files and links exist, Python blocks run."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from real_daemon import World

from kb import KnowledgeBase
from kb.cli import commands
from kb.cli.main import cli
from kb.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.embedding.spec import Located

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str, text: str = README) -> list[str]:
    """The code blocks of the README, or of another page, in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    """Help, configuration and matrix are what program and tests say now; ``make docs`` brings them up to date."""
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    text = page.read_text("utf-8")

    assert generate["filled"](text) == text


def test_configuration_of_the_example_is_up_to_date() -> None:
    """``make docs`` writes it anew too."""
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))

    assert generate["configuration"]() == (ROOT / "config.toml").read_text("utf-8")


def test_every_command_is_on_its_page() -> None:
    """Each command is listed, and has a section with its options."""
    for name in cli.list_commands(click.Context(cli)):
        assert re.search(rf"^  {name} ", COMMANDS, re.MULTILINE), name
        assert f"\n## kb {name}\n\n```text\nUsage: kb {name} " in COMMANDS, name


def test_help_on_the_page_is_what_kb_prints() -> None:
    """The list of commands is the output of ``kb --help``, options and all."""
    command = [sys.executable, "-m", "kb", "--help"]
    printed = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True, check=True
    )

    assert f"```text\n{printed.stdout.strip()}\n```" in COMMANDS


def console_lines(program: str = "kb", text: str = README) -> list[str]:
    """The commands of a page's sessions that run a program."""
    lines = [line for block in blocks("console", text) for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith(f"$ {program} ")]


@pytest.mark.parametrize("line", console_lines(text="\n".join(page.read_text("utf-8") for page in PAGES)))
def test_commands_of_the_pages_are_valid(line: str) -> None:
    """Each command line in a session on a page is one that kb takes."""
    typed = line.split("|", maxsplit=1)[0].split("#", maxsplit=1)[0]
    words = shlex.split(typed)[1:]
    name = words[0] if words[0] in commands.names() else "search"

    command, words = commands.load(name), words[1:] if name == words[0] else words
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        name, *words = words
        command = command.commands[name]

    context = command.make_context(name, words, obj=Session())

    assert context.params.keys() == {one.name for one in command.params if one.expose_value}


def test_sessions_of_the_readme_name_commands_that_exist() -> None:
    """A bare first word is a command: ``kb sinc`` would be a question. Questions stand in quotes."""
    first = [line.split()[1] for line in console_lines()]
    bare = {word for word in first if word[0] not in "\"'"}

    assert len(bare) > 3
    assert bare <= set(cli.list_commands(click.Context(cli)))


@pytest.mark.slow
def test_first_session_of_the_readme(tmp_path: Path, onnx_minilm: Located, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command does what the README shows, in its order, over the files that it names."""
    shutil.copytree(ROOT / "examples", tmp_path / "notes")
    World(tmp_path, tmp_path / "notes", onnx_minilm.name).configure()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (session,) = [block for block in blocks("console") if "kb init" in block]
    typed = [shlex.split(line[2:], comments=True) for line in session.splitlines() if line.startswith("$ ")]
    assert [words[1] for words in typed[:3]] == ["init", "watch", "sync"]

    _done("index")
    found = json.loads(_done(*typed[3][1:], "--json"))
    shown = [
        f"{hit['rank']}  {Path(hit['path']).relative_to(tmp_path)}:{hit['lines'][0]}-{hit['lines'][1]}  "
        f"{hit['score']:.3f}  {hit['title']}"
        for hit in found["hits"]
    ]
    assert [line for line in session.splitlines() if re.match(r"\d  ", line)] == shown
    for command in typed[4:]:
        assert _done(*command[1:], *(["--print"] if command[1] == "open" else [])).strip()


def _done(*arguments: str) -> str:
    """What a command prints that ends well."""
    command = [sys.executable, "-P", "-m", "kb", "--config", "config.toml", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout


def test_make_targets_of_the_readme_exist() -> None:
    """What the README says to make can be made."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {line.split()[1] for line in console_lines("make")} | set(re.findall(r"`make ([\w-]+)`", README))

    assert {"try", "test"} <= named
    assert named <= targets


def test_extras_are_in_the_readme() -> None:
    """Each extra of the package has a row, and the ways to install name no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = set(project["optional-dependencies"])
    named = {extra for found in re.findall(r"'\.\[([\w,]+)\]'", README) for extra in found.split(",")}

    assert set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) == extras
    assert named
    assert named <= extras


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A link to a page or file of the project leads to one that is there, and to a heading that it has."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def anchors(page: Path) -> list[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    ]


PYTHON = (ROOT / "docs" / "python.md").read_text("utf-8")


@pytest.fixture
def asked(notes: Path, tmp_path: Path, onnx_minilm: Located, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The notes of the example, with their configuration in the current folder."""
    monkeypatch.chdir(tmp_path)
    with tempfile.TemporaryDirectory(prefix="kb-", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        world = World(tmp_path, notes, onnx_minilm.name)
        world.configure()
        yield world


@pytest.mark.parametrize("code", [*blocks("python"), *blocks("python", PYTHON)])
def test_python_blocks_run(code: str, asked: World) -> None:
    """Each Python block in the README and on the page of the Python API runs as it stands."""
    assert asked.config.exists()

    exec(compile(code, "python.md", "exec"), {})  # noqa: S102  # the block is the project's own


@pytest.mark.slow
def test_python_blocks_run_beside_a_daemon(asked: World) -> None:
    """The same blocks, asking ``kb watch``."""
    with asked.watching():
        for code in [*blocks("python"), *blocks("python", PYTHON)]:
            exec(compile(code, "python.md", "exec"), {})  # noqa: S102  # the block is the project's own


def cited(world: World) -> tuple[str, list[str]]:
    """What the example of a RAG flow makes of a question, with a model that cites two of its sources."""
    rag = runpy.run_path(str(ROOT / "examples" / "rag.py"))
    prompts: list[str] = []

    def model(prompt: str) -> str:
        prompts.append(prompt)
        return "As [1] says, and [2], but not [99]."

    with KnowledgeBase.open(world.config) as kb:
        kb.sync()
        text, sources = rag["answer"](kb, "How does sourdough bread rise?", model)
        assert f"[1] {sources[0].removeprefix('[1] ')}\n" in prompts[0]
    return text, sources


def test_the_example_of_a_rag_flow_cites_its_sources(asked: World) -> None:
    """The citations lead to files and lines; a number that no source has is none."""
    text, sources = cited(asked)

    assert text.startswith("As [1]")
    assert sources
    for number, source in enumerate(sources, 1):
        path, line = re.fullmatch(rf"\[{number}\] (.+):(\d+)", source).groups()  # type: ignore[union-attr]  # or it fails
        assert int(line) <= len((asked.notes / path).read_text().splitlines())


@pytest.mark.slow
def test_the_example_of_a_rag_flow_asks_the_daemon(asked: World) -> None:
    """The same sources; without a language model, the script prints the prompt."""
    alone = cited(asked)
    with asked.watching():
        assert cited(asked) == alone
        script = [sys.executable, str(ROOT / "examples" / "rag.py"), "How does sourdough bread rise?"]
        done = subprocess.run(script, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("Answer from these sources only")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_pages_name_exist(page: Path) -> None:
    """A path of the project in a page is one that is there."""
    named = re.findall(r"`((?:kb|tests|docs|benchmarks|examples)/[\w./-]+)`", page.read_text("utf-8"))

    assert [name for name in named if not (ROOT / name.rstrip("/")).exists()] == []
