"""``kb check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kb.records import CheckReport, Difference

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]


@pytest.mark.parametrize(("left", "code"), [(0, 0), (1, 1), (2, 1)])
def test_check_fails_while_something_differs(command: CommandLine, left: int, code: int) -> None:
    """A script learns from the exit code, however much was repaired."""
    command.kb.checked = CheckReport(1, 1, 0, left * (Difference("vector missing", "a.md"),), repaired=5)

    assert command("check", "--repair")[0] == code
    assert command("check", "--json")[0] == code
    assert command.kb.asked[0] == ("check", {"repair": True})


def test_check_of_a_sound_index_is_zero(command: CommandLine) -> None:
    """All in order is exit code 0."""
    assert command("check") == (0, "all in order: 3 files, 9 passages, 9 vectors\n", "")
