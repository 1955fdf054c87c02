"""``kb mcp``: what it needs, and what it says where that is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import kb.cli.commands.mcp

if TYPE_CHECKING:
    import pytest
    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_missing_extra_is_one_sentence_and_one_remedy(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the SDK, the error names the extra and how to install it; nothing is on standard output."""
    monkeypatch.setattr(kb.cli.commands.mcp, "find_spec", lambda _name: None)

    for args in (("mcp",), ("mcp", "inspect")):
        code, out, err = command(*args)

        assert code == 2
        assert out == ""
        assert "needs the extra mcp, which is not installed" in err
        assert "pip install 'localkb[mcp]'" in err


def test_help_names_what_it_offers(command: CommandLine) -> None:
    """The help lists the options and the commands of the group."""
    code, out, _ = command("mcp", "--help")

    assert code == 0
    assert "--write" in out
    assert "--no-daemon" in out
    assert "inspect" in out
    assert "install" in out
