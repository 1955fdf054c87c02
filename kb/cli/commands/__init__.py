"""The commands of kb, one module each, imported when they are used.

A module here is the command of its name: ``kb.cli.commands.tags`` is ``kb tags``. No other file lists it. ``make docs``
updates ``kb/service/command_table.py``, from which the client of the daemon reads a command line without importing
any of this.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

import click

from kb.service.command_table import SHORT_HELP

# The order in which kb --help lists them: as they are first needed. Others follow by name.
_ORDER: Final = (
    "init", "config", "index", "search", "ask", "chat", "similar", "open", "show", "list", "tags", "links", "status",
    "doctor", "note", "check", "rebuild", "backup", "restore", "export", "import", "eval", "watch", "sync", "web",
    "mcp", "skill", "token", "bench", "model", "completion",
)  # fmt: skip


def names() -> list[str]:
    """The names of all commands, in the order in which ``kb --help`` lists them."""
    found = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [*(name for name in _ORDER if name in found), *(name for name in found if name not in _ORDER)]


def load(name: str) -> click.Command:
    """Import a command.

    Raises:
        AttributeError: Its module has no command of that name.
    """
    module = importlib.import_module(f"{__name__}.{name}")
    for value in vars(module).values():
        if isinstance(value, click.Command) and value.name == name:
            return value
    raise AttributeError(f"{module.__name__} has no command called {name}")


def short_help(name: str) -> str:
    """What a command does, in one line, without importing it if the table has the line."""
    return SHORT_HELP[name] if name in SHORT_HELP else load(name).get_short_help_str(limit=200)
