"""``kb check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kb.records import CheckReport, Difference

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]


@pytest.mark.parametrize(("repaired", "code"), [(0, 1), (1, 0)])
def test_check_fails_while_something_differs(command: CommandLine, repaired: int, code: int) -> None:
    """A script learns from the exit code; what was mended no longer differs."""
    command.kb.checked = CheckReport(1, 1, 0, (Difference("vector missing", "a.md"),), repaired)

    assert command("check", "--repair")[0] == code
    assert command("check", "--json")[0] == code
    assert command.kb.asked[0] == ("check", {"repair": True})


def test_check_of_a_sound_index_is_zero(command: CommandLine) -> None:
    """All in order is exit code 0."""
    assert command("check") == (0, "all in order: 3 files, 9 passages, 9 vectors\n", "")
