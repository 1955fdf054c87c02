"""Generates the table of options from the commands, for the client of the daemon, which imports none of them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import click

from kb.cli.command import Command, optional_values
from kb.service.arguments import UNKNOWN, Arguments, CommandTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DOCSTRING = '"""The commands and their options, for the client of the daemon. Made by ``make docs``: do not edit."""'
_OF_DIGEST = "# Of all that follows: a daemon refuses the commands of a kb with others."


def read_arguments(args: Sequence[str], root: click.Group) -> Arguments:
    """Parse a command line with the generated table, or with the commands themselves if it lacks an option."""
    read = Arguments(args)
    return Arguments(args, table_of(root)) if read.of(UNKNOWN) else read


def table_of(root: click.Group) -> CommandTable:
    """Return the global options and those of all commands, as the client needs them.

    Raises:
        ValueError: A name takes a value in one command and none in another, or is an option of kb itself too.
    """
    context = click.Context(root)
    commands = {name: command for name in root.list_commands(context) if (command := root.get_command(context, name))}
    own = [one for one in root.params if isinstance(one, click.Option)]
    below = [one for command in commands.values() for one in _options(command)]
    optional: dict[str, frozenset[str]] = {}
    for command in commands.values():
        optional |= {name: frozenset(values) for name, values in optional_values(command).items()}
    numbers = _names([one for one in below if isinstance(one.type, click.IntRange)], valued=True)
    others = _names([one for one in below if not isinstance(one.type, click.IntRange)], valued=True)
    leading = frozenset(name for name in others if not name.startswith("--"))
    table = CommandTable(
        global_valued=_names(own, valued=True),
        global_flags=_names(own, valued=False),
        valued=(numbers | (others - leading)) - frozenset(optional),
        leading=leading,
        flags=_names(below, valued=False),
        optional=optional,
        local=frozenset(name for name, one in commands.items() if isinstance(one, Command) and one.local),
        remote=frozenset(name for name, one in commands.items() if isinstance(one, Command) and one.remote),
        short_help={name: one.get_short_help_str(limit=200) for name, one in commands.items()},
    )
    _check(table)
    return table


def _check(table: CommandTable) -> None:
    own = table.global_valued | table.global_flags
    kinds = (own, table.valued, table.leading, table.flags, frozenset(table.optional))
    for at, kind in enumerate(kinds):
        for other in kinds[at + 1 :]:
            if both := kind & other:
                raise ValueError(f"{', '.join(sorted(both))} takes a value in one place and none in another")


def _options(command: click.Command) -> Iterator[click.Option]:
    """All options of a command and of those below it."""
    yield from (one for one in command.params if isinstance(one, click.Option))
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from _options(below)


def _names(options: list[click.Option], *, valued: bool) -> frozenset[str]:
    return frozenset(name for one in options if one.is_flag is not valued for name in one.opts)


def source(table: CommandTable) -> str:
    """Return the source of the module ``kb.service.command_table``."""
    tables = _tables(table)
    digest = hashlib.sha256(tables.encode()).hexdigest()[:8]
    return f'{_DOCSTRING}\n\n{_OF_DIGEST}\nDIGEST = "{digest}"\n{tables}'


def _tables(table: CommandTable) -> str:
    parts = [
        _set("GLOBAL_VALUED", table.global_valued),
        _set("GLOBAL_FLAGS", table.global_flags),
        "# The options of all commands together.",
        _set("VALUED", table.valued),
        _set("LEADING", table.leading),
        _set("FLAGS", table.flags),
        "# An option whose value may be left out: what follows is its value only if it is one of these.",
        "OPTIONAL = {",
        *(f'    "{name}": frozenset({_braced(values)}),' for name, values in sorted(table.optional.items())),
        "}",
        "# Commands that always run in the process of the caller.",
        _set("LOCAL", table.local),
        "# Commands that can ask another machine.",
        _set("REMOTE", table.remote),
        "SHORT_HELP = {",
        *(f'    "{name}": {_quoted(text)},' for name, text in table.short_help.items()),
        "}",
    ]
    return "\n".join(parts) + "\n"


def _set(name: str, values: frozenset[str]) -> str:
    return "\n".join([f"{name} = frozenset(", "    {", *(f'        "{one}",' for one in sorted(values)), "    }", ")"])


def _braced(values: frozenset[str]) -> str:
    return f"{{{', '.join(_quoted(value) for value in sorted(values))}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
