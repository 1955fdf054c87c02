"""Messages for invalid command lines, such as a question that begins with the name of a command."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

import click

from kb.cli.command import Command
from kb.cli.command_table import read_arguments
from kb.cli.output.terminal import one_line
from kb.errors import KbError, StoreBusy
from kb.service.arguments import GLOBAL, OPTION, UNKNOWN, WORD
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Matches the name of a file or folder, or the number of a hit, none of which is a question.
_PLACE: Final = re.compile(r"[~.]?/.*|.*/|.*[^/\s]/[^/\s].*|.*\.\w{1,5}(:\d+(-\d+)?)?|\d+|\.{1,2}", re.DOTALL)
_UNEXPECTED: Final = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)


class CommandLineError(click.UsageError):
    """An invalid command line, with a remedy."""

    def __init__(self, message: str, remedy: str, ctx: click.Context | None = None) -> None:
        super().__init__(message, ctx)
        self.remedy = remedy


def takes_text(command: click.Command) -> bool:
    """Whether the arguments of a command are free text."""
    return isinstance(command, Command) and command.takes_text


def takes_arguments(command: click.Command | None) -> bool:
    """Whether a command takes arguments, so that a word behind it may be a wrong one."""
    return command is not None and any(isinstance(one, click.Argument) for one in command.params)


def describe(error: click.UsageError, root: click.Group, args: Sequence[str]) -> tuple[str, str]:
    """Return a message about an invalid command line, and a remedy."""
    ctx = error.ctx
    path = ctx.command_path if ctx else "kb"
    name = path.removeprefix("kb ")
    if isinstance(error, CommandLineError):
        return error.message, error.remedy
    if isinstance(error, click.MissingParameter):
        return _missing(error, ctx, path)
    bad_option = isinstance(error, click.BadParameter) and not isinstance(error.param, click.Argument)
    if not bad_option and (question := as_search(root, args)):
        words = " ".join(read_arguments(args, root).words)
        return f"{name} does not take '{words.removeprefix(name).strip()}'", f"To search for these words: {question}"
    if isinstance(error, click.NoSuchOption):
        return _no_option(error, ctx, root, args)
    message = error.format_message()
    if found := _UNEXPECTED.fullmatch(message):
        message = f"unexpected argument: {found[1]}"
    return _sentence(message), f"See {path} --help"


def _no_option(
    error: click.NoSuchOption, ctx: click.Context | None, root: click.Group, args: Sequence[str]
) -> tuple[str, str]:
    """Return the message for an unknown option, with similar ones."""
    name, path, words = error.option_name, ctx.command_path if ctx else "kb", read_arguments(args, root)
    near = difflib.get_close_matches(name, _options_of(ctx), n=1, cutoff=0.6)
    message = f"{path.removeprefix('kb ')} has no option {name}" + (f"; did you mean {near[0]}?" if near else "")
    if ctx and takes_text(ctx.command):
        skipped = int(bool(words.words) and not words.literal and words.words[0] == ctx.command.name)
        typed = [argument.tokens[0] for argument in words.parsed if argument.kind in (WORD, UNKNOWN)]
        verb = "" if ctx.command.name == "search" else f"{ctx.command.name} "
        return message, f"Put the words in quotes: kb {verb}{shell.quote(' '.join(typed[skipped:]))}"
    # Click names the first letter of what was typed, which may be the name of a file.
    dashed = next((arg for arg in args if arg.startswith(name) and len(arg) > len(name)), "")
    if dashed and takes_arguments(ctx.command if ctx else None) and not name.startswith("--"):
        others = [arg for arg in args if arg not in (dashed, "--")]
        whole = shell.join(["kb", *others, "--", dashed])
        return message, f"Put -- before a name that begins with a minus: {one_line(whole)}"
    return message, f"{path} --help lists the options"


def _options_of(ctx: click.Context | None) -> list[str]:
    """Return the possible long options: those of the command, and the global ones."""
    found: list[str] = []
    while ctx:
        found += [name for parameter in ctx.command.params for name in parameter.opts if name.startswith("--")]
        ctx = ctx.parent
    return found


def _missing(error: click.MissingParameter, ctx: click.Context | None, path: str) -> tuple[str, str]:
    """Return the message for a missing argument."""
    name = ctx.command.name if ctx else ""
    if name in ("search", "ask"):
        return f"{name} needs a question", f'Write it after the command: {path} "what you want to know"'
    what = error.param.make_metavar(ctx) if ctx and error.param else "an argument"
    return f"{name} needs {what}", f"See {path} --help"


def as_search(root: click.Group, args: Sequence[str]) -> str:
    """Return the command that searches for what was typed, if that may have been intended; else an empty string.

    It may if words follow the name of a command, none of them is a file or a number, and a search has all the options.
    """
    read = read_arguments(args, root)
    words = read.words
    context = click.Context(root)
    command = root.get_command(context, words[0]) if words and not read.literal else None
    if command is None or takes_text(command) or len(words) < 2 or any(map(_PLACE.fullmatch, words[1:])):  # noqa: PLR2004 - a command and a word
        return ""
    if isinstance(command, click.Group) and takes_arguments(command.commands.get(words[1])):
        return ""
    search = root.get_command(context, "search")
    options = read.of(OPTION)
    if search is None or read.of(UNKNOWN) or any(not takes(search, argument.tokens[0]) for argument in options):
        return ""
    own = [token for argument in read.of(GLOBAL) for token in argument.tokens]
    behind = [token for argument in options for token in argument.tokens]
    return one_line(shell.join(["kb", *own, "search", " ".join(words), *behind]))


def also_as_search(error: KbError, root: click.Group, args: Sequence[str]) -> str:
    """Return the command that searches for the words of one that found nothing of that name; see ``as_search``."""
    words = read_arguments(args, root).words[1:]
    if isinstance(error, StoreBusy) or not any(word in error.message for word in words):
        return ""
    return as_search(root, args)


def takes(command: click.Command, token: str) -> bool:
    """Whether a command has the option, or all of the joined short options, of an argument."""
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    names |= {"-h", "--help"}
    if token.startswith("--"):
        return token.partition("=")[0] in names
    return all(f"-{letter}" in names for letter in _letters(token, command.params))


def _letters(token: str, parameters: Iterable[click.Parameter]) -> str:
    """Return the letters of joined short options, without a value attached to the last one."""
    valued = {name for one in parameters if isinstance(one, click.Option) and not one.is_flag for name in one.opts}
    letters = ""
    for letter in token[1:]:
        letters += letter
        if f"-{letter}" in valued:
            break
    return letters


def _sentence(message: str) -> str:
    """Return one of click's messages in the style of kb's own."""
    return message[:1].lower() + message[1:].rstrip(".") if message[1:2].islower() else message.rstrip(".")
