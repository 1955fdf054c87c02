"""A new command is one file in kb/cli/commands; everything else follows from it."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.shell_completion import ShellComplete

from kb.cli import commands
from kb.cli.command_table import source, table_of
from kb.cli.main import cli
from kb.service.arguments import Arguments, CommandTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from command_line import CommandLine

pytest_plugins = ["command_line"]

ROOT = Path(__file__).parents[2]
# A line of the list of commands.
LISTED = r"^  (\w+) {2,}(\S.*)$"
MODULE = '''
"""The command ``kb greet``."""

import click

from kb.cli.command import command
from kb.cli.options import json_option


@command(short_help="Greet somebody.")
@click.argument("name")
@click.option("--times", type=click.IntRange(min=1), default=1, metavar="N", help="Greet N times.")
@click.option("--shout", is_flag=True, help="Greet loudly.")
@json_option
@click.pass_obj
def greet(session, name, times, shout, as_json):
    """Greet NAME, who has so many files."""
    with session.open() as kb:
        files = kb.status().files
    session.write(f"{'HELLO' if shout else 'hello'} {name}: {files}\\n" * times)
    return 0
'''


@pytest.fixture
def greet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The command ``kb greet``: a module in the package, and nothing else."""
    (tmp_path / "greet.py").write_text(MODULE)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    yield
    sys.modules.pop("kb.cli.commands.greet", None)


def table_in(code: str) -> CommandTable:
    """The table that the source of ``kb.service.command_table`` holds."""
    names: dict[str, Any] = {}
    exec(compile(code, "command_table.py", "exec"), names)  # noqa: S102  # made by kb itself, just above
    slots = CommandTable.__slots__
    return CommandTable(**{slot: names[slot.upper()] for slot in slots})


@pytest.mark.usefixtures("greet")
def test_new_command_is_listed_and_runs(command: CommandLine) -> None:
    """In the help of kb after those that have their place there, in its own, and by its name."""
    listed = re.findall(LISTED, command("--help")[1], re.MULTILINE)
    assert ("greet", "Greet somebody.") in listed
    names = [name for name, _ in listed]
    assert names.index("completion") < names.index("greet")
    assert "--times N" in command("greet", "--help")[1]
    assert command("help", "greet")[1] == command("greet", "--help")[1]
    assert command("greet", "Ada", "--times", "2", "--shout") == (0, "HELLO Ada: 3\n" * 2, "")
    assert command("--times", "2", "greet", "Ada") == (0, "hello Ada: 3\n" * 2, "")


@pytest.mark.usefixtures("greet")
def test_new_command_is_completed() -> None:
    """Its name and its options."""
    complete = ShellComplete(cli, {}, "kb", "_KB_COMPLETE")

    assert ("greet", "Greet somebody.") in [(one.value, one.help) for one in complete.get_completions([], "gr")]
    assert [one.value for one in complete.get_completions(["greet"], "--t")] == ["--times"]


@pytest.mark.usefixtures("greet")
@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["gret", "Ada"], "no command 'gret', so this is a search; did you mean kb greet?"),
        (["greet", "Ada", "--time", "2"], "greet has no option --time; did you mean --times?"),
        (["greet", "the", "dead"], "To search for these words: kb search 'greet the dead'"),
        (["greet", "Ada", "--times"], "--times needs a value"),
    ],
)
def test_new_command_is_in_the_hints(command: CommandLine, args: list[str], hint: str) -> None:
    """As the others are."""
    assert hint in command(*args)[2]


@pytest.mark.usefixtures("greet")
def test_new_command_is_in_the_generated_table_and_the_pages() -> None:
    """``make docs`` writes both, and a test fails until it has been run."""
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))

    assert ("greet", "Greet somebody.") in re.findall(LISTED, generate["help_block"](), re.MULTILINE)
    table = table_in(generate["command_table"]())
    assert table == table_of(cli)
    assert "--times" in table.valued
    assert "--shout" in table.flags
    assert Arguments(["--times", "watch", "greet", "Ada"], table).words == ["greet", "Ada"]


@pytest.mark.usefixtures("greet")
def test_short_option_of_a_new_command_takes_a_number_or_leads(tmp_path: Path) -> None:
    """Else -nginx could be no word of a question; nor does a name take one kind of value here and another there."""
    module = tmp_path / "greet.py"
    # No other command has an option of this letter.
    module.write_text(MODULE.replace('"--times", type=click.IntRange(min=1), default=1', '"-Z", "--times"'))
    table = table_of(cli)
    assert ("-Z" in table.leading, "-Z" in table.valued, "--times" in table.valued) == (True, False, True)

    sys.modules.pop("kb.cli.commands.greet")
    module.write_text(MODULE.replace('"--times", type=click.IntRange(min=1), default=1', '"-n", "--times", default=""'))
    with pytest.raises(ValueError, match="-n takes a value in one place and none in another"):
        source(table_of(cli))

    sys.modules.pop("kb.cli.commands.greet")
    module.write_text(MODULE.replace("--times", "--full"))
    with pytest.raises(ValueError, match="--full takes a value in one place and none in another"):
        source(table_of(cli))


def test_module_without_its_command_is_a_mistake(
    greet: None,  # noqa: ARG001 - only for its module
    tmp_path: Path,
) -> None:
    """The name of the file is the name of the command."""
    (tmp_path / "greet.py").write_text('"""Nothing."""\n')

    with pytest.raises(AttributeError, match="has no command called greet"):
        commands.load("greet")


def test_a_command_is_imported_only_when_it_is_used(tmp_path: Path) -> None:
    """Neither the help of kb nor the completion of a name imports one; a search imports its own."""
    code = (
        "import sys; from kb.cli.main import cli, run; from click.shell_completion import ShellComplete\n"
        "used = lambda: sorted(name[16:] for name in sys.modules if name.startswith('kb.cli.commands.'))\n"
        "run(['--help']); ShellComplete(cli, {}, 'kb', 'X').get_completions([], 's'); before = used()\n"
        "run(['search', '--help']); print(before, used(), file=sys.stderr)"
    )
    environ = {**os.environ, "HOME": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environ)

    assert done.stderr == "[] ['search']\n"
