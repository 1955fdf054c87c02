"""``kb token``: the token is made, shown and replaced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_token_is_printed_alone_for_scripts(command: CommandLine) -> None:
    """The same each time, until a new one is asked for."""
    first = command("token")
    assert first == command("token")
    assert (first[0], len(first[1]), first[2]) == (0, 44, "")

    renewed = command("token", "--new")
    assert renewed[1] != first[1]
    assert command("token") == renewed
    assert command.loaded == []


def test_file_is_where_it_is_kept(command: CommandLine) -> None:
    """It can be asked for before there is one."""
    code, out, _ = command("token", "--file")
    file = Path(out.removesuffix("\n"))
    assert (code, file.exists()) == (0, False)

    token = command("token")[1]
    assert file.read_text("ascii") == token
    assert command("token", "--file", "--new")[0] == 2


def test_a_token_that_others_can_read_is_not_printed(command: CommandLine) -> None:
    """One sentence and one remedy, which works."""
    file = Path(command("token", "--file")[1].removesuffix("\n"))
    command("token")
    file.chmod(0o644)

    code, out, err = command("token")
    assert (code, out) == (2, "")
    assert "others can read the token" in err
    assert "kb token --new" in err
    assert command("token", "--new")[0] == 0
    assert command("token")[0] == 0
