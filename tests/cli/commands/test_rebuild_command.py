"""``kb rebuild``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_rebuild_tells_what_it_made(command: CommandLine) -> None:
    """The new generation, for people and for programs."""
    assert command("rebuild")[1].startswith("g2 built")
    assert json.loads(command("rebuild", "--json")[1])["generation"] == "g2"
