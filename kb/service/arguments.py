"""Parsing of a command line into options, their values and plain words, without importing the commands.

Options may be anywhere, so finding the global ones requires knowing which of the others take a value. Both the client
of the daemon and the command group use this, so that a command line means the same with a daemon and without one. The
names of the options come from ``kb.service.command_table``, which is generated from the commands.
"""

from __future__ import annotations

from kb.service.command_table import (
    FLAGS,
    GLOBAL_FLAGS,
    GLOBAL_VALUED,
    LEADING,
    LOCAL,
    OPTIONAL,
    REMOTE,
    SHORT_HELP,
    VALUED,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Final

HELP: Final = frozenset({"-h", "--help"})

# Kinds of arguments: a word, a global option, an option of a command, an unknown option, ``--``.
WORD, GLOBAL, OPTION, UNKNOWN, END = "word", "global", "option", "unknown", "end"


class CommandTable:
    """The options of all commands, and what is known of a command before it is imported.

    Attributes:
        global_valued: Options of kb itself that take a value.
        global_flags: Options of kb itself that take none.
        valued: Options of commands that take a value. No name takes a value in one command and none in another.
        leading: Short options of commands whose value may be any word, before the words of the command only: behind
            them, ``git commit -m`` may be meant.
        flags: Options of commands that take none.
        optional: Options whose value may be left out, each with the values it takes.
        local: Commands that always run in the process of the caller.
        remote: Commands that can ask another machine.
        short_help: Each command with its line in ``kb --help``, in that order.
    """

    __slots__ = (
        "flags",
        "global_flags",
        "global_valued",
        "leading",
        "local",
        "optional",
        "remote",
        "short_help",
        "valued",
    )

    def __init__(
        self,
        *,
        global_valued: frozenset[str],
        global_flags: frozenset[str],
        valued: frozenset[str],
        leading: frozenset[str],
        flags: frozenset[str],
        optional: Mapping[str, frozenset[str]],
        local: frozenset[str],
        remote: frozenset[str],
        short_help: Mapping[str, str],
    ) -> None:
        self.global_valued = global_valued
        self.global_flags = global_flags
        self.valued = valued
        self.leading = leading
        self.flags = flags
        self.optional = optional
        self.local = local
        self.remote = remote
        self.short_help = short_help

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CommandTable) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]  # mappings have no hash


GENERATED: Final = CommandTable(
    global_valued=GLOBAL_VALUED,
    global_flags=GLOBAL_FLAGS,
    valued=VALUED,
    leading=LEADING,
    flags=FLAGS,
    optional=OPTIONAL,
    local=LOCAL,
    remote=REMOTE,
    short_help=SHORT_HELP,
)


class Argument:
    """One option with its value, or one word.

    Attributes:
        kind: ``WORD``, ``GLOBAL``, ``OPTION``, ``UNKNOWN`` or ``END``.
        tokens: What was typed: the word or option, and its value where that is a token of its own.
    """

    __slots__ = ("kind", "tokens")

    def __init__(self, kind: str, *tokens: str) -> None:
        self.kind = kind
        self.tokens = tokens

    @property
    def name(self) -> str:
        """The option, without a value that is attached to it."""
        argument = self.tokens[0]
        return argument.partition("=")[0] if argument.startswith("--") else argument[:2]

    @property
    def value(self) -> str:
        """The value of an option that takes one."""
        if len(self.tokens) > 1:
            return self.tokens[1]
        argument = self.tokens[0]
        return argument.partition("=")[2] if argument.startswith("--") else argument[2:]


class Arguments:
    """A parsed command line.

    Args:
        args: The arguments after ``kb``.
        table: The options there are; by default those of ``kb.service.command_table``.

    Attributes:
        parsed: All arguments, in the order in which they were typed.
        lacks_value: Whether it ends with an option whose value is missing.
    """

    __slots__ = ("lacks_value", "parsed")

    def __init__(self, args: Sequence[str], table: CommandTable | None = None) -> None:
        table = table or GENERATED
        self.parsed = list(_parsed(args, table))
        last = self.parsed[-1] if self.parsed else None
        self.lacks_value = last is not None and last.kind in (GLOBAL, OPTION) and _lacks_value(last, table)

    @property
    def words(self) -> list[str]:
        """The plain words, what follows ``--`` among them."""
        return [argument.tokens[0] for argument in self.parsed if argument.kind == WORD]

    @property
    def literal(self) -> bool:
        """Whether ``--`` comes before the first word: then no command is meant."""
        first = next((argument.kind for argument in self.parsed if argument.kind in (WORD, END)), "")
        return first == END

    @property
    def unknown(self) -> Argument | None:
        """The first option that no command has; None where all are known.

        One minus counts only before the first word: behind it, ``-xzvf`` may be a word of a question.
        """
        after_word = False
        for argument in self.parsed:
            if argument.kind == UNKNOWN and (not after_word or argument.tokens[0].startswith("--")):
                return argument
            after_word = after_word or argument.kind == WORD
        return None

    def of(self, kind: str) -> list[Argument]:
        """Return the arguments of one kind."""
        return [argument for argument in self.parsed if argument.kind == kind]


def _parsed(args: Sequence[str], table: CommandTable) -> Iterator[Argument]:
    at = words = 0
    while at < len(args):
        argument = args[at]
        following = args[at + 1] if at + 1 < len(args) else None
        at += 1
        if argument == "--":
            yield Argument(END, argument)
            yield from (Argument(WORD, word) for word in args[at:])
            return
        # The first word is the command.
        kind, takes = _kind(argument, table) if argument not in table.leading or words <= 1 else (UNKNOWN, False)
        words += kind == WORD
        if takes and following is not None and _is_value(argument, following, table):
            at += 1
            yield Argument(kind, argument, following)
        else:
            yield Argument(kind, argument)


def _kind(argument: str, table: CommandTable) -> tuple[str, bool]:
    """Return the kind of an argument, and whether the next one may be its value."""
    if not argument.startswith("-") or argument == "-":
        return WORD, False
    found = _long(argument, table) if argument.startswith("--") else _short(argument, table)
    # No option has white space in its name, so this is a question in quotes.
    return found or (WORD if any(character.isspace() for character in argument) else UNKNOWN, False)


def _long(argument: str, table: CommandTable) -> tuple[str, bool] | None:
    """Return the kind of a long option, and whether the next argument may be its value; None if no command has it."""
    name, equals, _ = argument.partition("=")
    if name in table.global_valued:
        return GLOBAL, not equals
    if name in table.valued or name in table.optional:
        return OPTION, not equals
    if argument in table.global_flags:
        return GLOBAL, False
    return (OPTION, False) if argument in table.flags or argument in HELP else None


def _short(argument: str, table: CommandTable) -> tuple[str, bool] | None:
    """Return the kind of short options, and whether the next argument may be the value of the last.

    They may be joined, as in ``-ln 3``. None where no command has one of them.
    """
    if argument[:2] in table.global_valued:
        return (GLOBAL, argument == argument[:2]) if len(argument) == 2 or "=" in argument else None  # noqa: PLR2004 - a minus and a letter
    if argument in table.leading:
        return OPTION, True
    for place, letter in enumerate(argument[1:], 1):
        option = f"-{letter}"
        if option in table.valued:
            attached = argument[place + 1 :]
            # All of them are numbers, so -nginx is a word with a minus before it.
            return (OPTION, not attached) if not attached or attached.isdecimal() else None
        if option not in table.flags and option not in HELP:
            return None
    return OPTION, False


def _is_value(argument: str, following: str, table: CommandTable) -> bool:
    return argument not in table.optional or following in table.optional[argument]


def _lacks_value(argument: Argument, table: CommandTable) -> bool:
    if len(argument.tokens) > 1 or argument.name in table.optional:
        return False
    return _kind(argument.tokens[0], table)[1]
