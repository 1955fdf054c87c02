"""``kb sync`` and ``--wait`` without a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command_line import CommandLine


pytest_plugins = ["command_line"]


def test_without_a_daemon_sync_and_wait_index(command: CommandLine) -> None:
    """Everything on the disk is taken in before the question is asked."""
    assert command("sync")[0] == 0
    assert command("search", "--wait", "x")[0] == 0

    assert [name for name, _ in command.kb.asked] == ["index", "index", "search"]


@pytest.mark.parametrize(("limit", "code"), [("0", 1), ("60", 0)])
def test_without_a_daemon_sync_gives_up_after_its_time(command: CommandLine, limit: str, code: int) -> None:
    """The run is stopped, and what is left is told, as beside a daemon."""
    ended, _, errors = command("sync", "--timeout", limit)

    assert ended == code
    assert ("some changes are not indexed yet; run kb index to resume" in errors) == bool(code)
