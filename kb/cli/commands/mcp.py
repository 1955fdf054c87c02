"""The command ``kb mcp``: kb for agents, by the Model Context Protocol."""

from __future__ import annotations

import click

from kb.cli.command import Group
from kb.cli.mcp_install import install


@click.group(cls=Group, local=True, short_help="Answer agents, over the Model Context Protocol.")
def mcp() -> None:
    """Answer agents such as Claude Code, Codex and Cursor, over the Model Context Protocol."""


mcp.add_command(install)
