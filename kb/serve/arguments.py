"""Reads a command line as far as it can be read without the commands: options, their values, and plain words.

Options may stand anywhere, so whoever looks for the global ones has to know which of the others take a value. Both the
client of the daemon and the command group read with this, so a command line means the same with a daemon and without
one. A test holds the names below to the options that the commands have.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

GLOBAL_VALUED: Final = frozenset({"--config", "--found", "-s", "--set", "--store", "--color"})
GLOBAL_FLAGS: Final = frozenset({"--offline", "--debug", "--version"})
HELP: Final = frozenset({"-h", "--help"})
# The options of all commands together. No name takes a value in one command and none in another.
VALUED: Final = frozenset({
    "--compare", "--context", "--folder", "--format", "--keep", "--lang", "--limit", "--log", "--min-score", "--mode",
    "--model", "--path", "--per-file", "--questions", "--save", "--seconds", "--seed", "--since", "--spans", "--tag",
    "--timeout", "--title", "--type", "--until", "-C", "-n",
})  # fmt: skip
FLAGS: Final = frozenset({
    "--accept-deletions", "--add", "--all", "--background", "--broken", "--distrust", "--dry-run", "--explain",
    "--files-with-matches", "--force", "--full", "--here", "--install-service", "--int8", "--json", "--l2", "--literal",
    "--long", "--null", "--once", "--per-query", "--poll", "--print", "--privacy", "--problems", "--quiet", "--repair",
    "--require-fresh", "--self", "--status", "--stop", "--take-over", "--trust", "--trusted", "--user", "--wait",
    "--weak", "-0", "-l", "-q",
})  # fmt: skip
# An option whose value may be left out: what follows is its value only where it is one of these.
OPTIONAL: Final = {"--rerank": frozenset({"cross-encoder", "colbert", "lexical", "off"})}

# A word, an option of kb itself, an option of a command, what looks like an option and is none, or ``--``.
WORD, GLOBAL, OPTION, UNKNOWN, END = "word", "global", "option", "unknown", "end"


class Piece:
    """One option with its value, or one word.

    Attributes:
        kind: ``WORD``, ``GLOBAL``, ``OPTION``, ``UNKNOWN`` or ``END``.
        tokens: The arguments it is made of, as they were typed.
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
    """A command line in pieces.

    Attributes:
        pieces: All of it, in the order in which it was typed.
        lacks_value: Whether it ends with an option whose value is missing.
    """

    __slots__ = ("lacks_value", "pieces")

    def __init__(self, args: Sequence[str]) -> None:
        self.pieces = list(_pieces(args))
        last = self.pieces[-1] if self.pieces else None
        self.lacks_value = last is not None and last.kind in (GLOBAL, OPTION) and _lacks_value(last)

    @property
    def words(self) -> list[str]:
        """The plain words, what follows ``--`` among them."""
        return [piece.tokens[0] for piece in self.pieces if piece.kind == WORD]

    @property
    def literal(self) -> bool:
        """Whether ``--`` comes before the first word: then no command is meant."""
        first = next((piece.kind for piece in self.pieces if piece.kind in (WORD, END)), "")
        return first == END

    @property
    def strange(self) -> Piece | None:
        """The first option that no command has.

        One minus counts only before the first word: behind it, ``-xzvf`` may be a word of a question.
        """
        asked = False
        for piece in self.pieces:
            if piece.kind == UNKNOWN and (not asked or piece.tokens[0].startswith("--")):
                return piece
            asked = asked or piece.kind == WORD
        return None

    def of(self, kind: str) -> list[Piece]:
        """The pieces of one kind."""
        return [piece for piece in self.pieces if piece.kind == kind]


def _pieces(args: Sequence[str]) -> Iterator[Piece]:
    at = 0
    while at < len(args):
        argument = args[at]
        following = args[at + 1] if at + 1 < len(args) else None
        at += 1
        if argument == "--":
            yield Piece(END, argument)
            yield from (Piece(WORD, word) for word in args[at:])
            return
        kind, takes = _kind(argument)
        if takes and following is not None and _is_value(argument, following):
            at += 1
            yield Piece(kind, argument, following)
        else:
            yield Piece(kind, argument)


def _kind(argument: str) -> tuple[str, bool]:
    """What an argument is, and whether the next one may be its value."""
    if not argument.startswith("-") or argument == "-":
        return WORD, False
    found = _long(argument) if argument.startswith("--") else _short(argument)
    # No option has white space in its name, so this is a question in quotes.
    return found or (WORD if any(character.isspace() for character in argument) else UNKNOWN, False)


def _long(argument: str) -> tuple[str, bool] | None:
    """The same of an option with two minuses; None where it is none."""
    name, equals, _ = argument.partition("=")
    if name in GLOBAL_VALUED:
        return GLOBAL, not equals
    if name in VALUED or name in OPTIONAL:
        return OPTION, not equals
    if argument in GLOBAL_FLAGS:
        return GLOBAL, False
    return (OPTION, False) if argument in FLAGS or argument in HELP else None


def _short(argument: str) -> tuple[str, bool] | None:
    """The same of short options, which may be joined, as in ``-ln 3``; None where they are none."""
    if argument[:2] in GLOBAL_VALUED:
        return (GLOBAL, argument == argument[:2]) if len(argument) == 2 or "=" in argument else None  # noqa: PLR2004 - a minus and a letter
    for place, letter in enumerate(argument[1:], 1):
        option = f"-{letter}"
        if option in VALUED:
            attached = argument[place + 1 :]
            # All of them are numbers, so -nginx is a word with a minus before it.
            return (OPTION, not attached) if not attached or attached.isdecimal() else None
        if option not in FLAGS and option not in HELP:
            return None
    return OPTION, False


def _is_value(argument: str, following: str) -> bool:
    return argument not in OPTIONAL or following in OPTIONAL[argument]


def _lacks_value(piece: Piece) -> bool:
    if len(piece.tokens) > 1 or piece.name in OPTIONAL:
        return False
    return _kind(piece.tokens[0])[1]
