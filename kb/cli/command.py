"""The click classes of all commands, which know where a command runs and write help through the session."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.cli.session import Session


class Command(click.Command):
    """A click command whose help is written to the client, which may be another process.

    Args:
        args: As for ``click.Command``.
        takes_text: Whether the arguments are free text, such as a question: an unknown short option is a word of it.
        local: Whether it always runs in the process of the caller, never in the daemon.
        remote: Whether it can ask another machine, named by ``--server``.
        kwargs: As for ``click.Command``.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own
        takes_text: bool = False,
        local: bool = False,
        remote: bool = False,
        **kwargs: Any,  # noqa: ANN401 - click's own
    ) -> None:
        super().__init__(*args, **kwargs)
        self.takes_text = takes_text
        self.local = local
        self.remote = remote

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Allow an option whose value may be omitted before the words of a question, which are not its value."""
        ended = args.index("--") if "--" in args else len(args)
        optional = optional_values(self)
        for at, word in enumerate(args[:ended]):
            if word in optional and args[at + 1 : at + 2] and not self._is_value(word, args[at + 1]):
                args = [*args[:at], f"{word}={optional[word][0]}", *args[at + 1 :]]
        return super().parse_args(ctx, args)

    def _is_value(self, name: str, word: str) -> bool:
        """Whether a word can be the value of an option whose value may be omitted."""
        option = next(one for one in self.params if name in one.opts)
        return option.type.is_one(word) if isinstance(option.type, Address) else word in optional_values(self)[name]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the usual help option, which writes through the session."""
        # click keeps the first one it made, whatever names the next context wants.
        self._help_option = None
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _help
        return option


class Address(click.ParamType[str]):
    """A host and a port, as the value of an option."""

    name = "address"
    _SHAPE: Final = re.compile(r"(.*:)?[0-9]+")

    def is_one(self, word: str) -> bool:
        """Whether a word looks like one; it may still be wrong."""
        return self._SHAPE.fullmatch(word) is not None


class Group(Command, click.Group):
    """A command with commands of its own, listed in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Return the names of all commands, in that order."""
        return list(self.commands)


def command(
    *, short_help: str, takes_text: bool = False, local: bool = False, remote: bool = False
) -> Callable[[Callable[..., Any]], Command]:
    """Turn a function into the command that its module is named after."""

    def decorate(function: Callable[..., Any]) -> Command:
        name = function.__module__.rpartition(".")[2]
        return click.command(
            name, cls=Command, short_help=short_help, takes_text=takes_text, local=local, remote=remote
        )(function)

    return decorate


def optional_values(command: click.Command) -> dict[str, tuple[str, ...]]:
    """Return the options whose value may be omitted, each with its values, the first being the default."""
    return {
        name: (option.flag_value, *(choice for choice in _choices(option) if choice != option.flag_value))
        for option in command.params
        if isinstance(option, click.Option)
        and isinstance(option.flag_value, str)
        and isinstance(option.type, (click.Choice, Address))
        for name in option.opts
        if not option.is_flag
    }


def _choices(option: click.Option) -> tuple[str, ...]:
    return tuple(option.type.choices) if isinstance(option.type, click.Choice) else ()


def _help(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        session: Session = ctx.obj
        session.write(f"{ctx.get_help()}\n")
        ctx.exit()
