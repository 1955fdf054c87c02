"""The command ``kb``: its global options, a bare question taken as a search, and the one place where errors end."""

from __future__ import annotations

import difflib
import os
import shlex
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

import click

from kb.cli import terminal
from kb.cli.commands_asking import ask, search, similar
from kb.cli.commands_evaluating import evaluate
from kb.cli.commands_indexing import INTERRUPTED, check, index, note, rebuild
from kb.cli.commands_inspecting import list_files, show, status
from kb.cli.commands_linking import links, tags
from kb.cli.commands_measuring import bench
from kb.cli.commands_models import model
from kb.cli.commands_opening import open_hit
from kb.cli.commands_setup import completion, init, show_config
from kb.cli.commands_watching import sync, watch
from kb.cli.mistakes import FREE, Mistake, also_as_search, takes, usage
from kb.cli.options import Command, file_names, folder_names, overrides_of
from kb.cli.session import InputNeeded, Session
from kb.cli.shortage import shortage
from kb.errors import KbError, StoreBusy
from kb.serve.arguments import GLOBAL, HELP, OPTION, UNKNOWN, WORD, Arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.serve.arguments import Piece

_ERROR: Final = 2
_TYPED: Final = 4
_COMMANDS: Final = (
    init,
    show_config,
    index,
    search,
    ask,
    similar,
    open_hit,
    show,
    list_files,
    tags,
    links,
    status,
    note,
    check,
    rebuild,
    evaluate,
    watch,
    sync,
    bench,
    model,
    completion,
)


class Questions(Command, click.Group):
    """Commands by name; whatever else comes first, or follows ``--``, begins a question.

    Options are taken wherever they stand: those of kb itself are put before the command, the others behind it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the parts of a command line into the order in which click reads them."""
        if not ctx.resilient_parsing:
            args = self._arranged(ctx, args)
        return super().parse_args(ctx, args)

    def _arranged(self, ctx: click.Context, args: list[str]) -> list[str]:
        read = Arguments(args)
        own = [token for piece in read.of(GLOBAL) for token in piece.tokens]
        words = read.words
        if not words:
            if any(piece.kind == OPTION and piece.tokens[0] not in HELP for piece in read.pieces):
                remedy = f"{shlex.join(['kb', *args])} 'your question' searches; kb --help lists the commands"
                raise Mistake("no question and no command", remedy, ctx)
            return [*own, *(token for piece in read.pieces if piece.kind != GLOBAL for token in piece.tokens)]
        self._refuse_strange(ctx, read)
        if read.lacks_value:
            raise Mistake(
                f"{read.pieces[-1].tokens[0]} needs a value", "kb --help and kb search --help list the options", ctx
            )
        command = None if read.literal else self.get_command(ctx, words[0])
        if command is None and not read.literal and (helps := self._help_wanted(ctx, words)):
            return [*own, *helps]
        if command is None:
            if not read.literal:
                self._tell_of_slip(ctx, words[0])
            return [*own, "search", *_with_words(search, read.pieces, ctx.obj)]
        first = next(piece for piece in read.pieces if piece.kind == WORD)
        rest = [piece for piece in read.pieces if piece is not first]
        if command.name in FREE:
            return [*own, words[0], *_with_words(command, rest, ctx.obj)]
        return [*own, words[0], *(token for piece in rest if piece.kind != GLOBAL for token in piece.tokens)]

    def _help_wanted(self, ctx: click.Context, words: list[str]) -> list[str]:
        """What ``kb help`` and ``kb help COMMAND`` mean; any other words are a question."""
        if words == ["help"]:
            return ["--help"]
        named = len(words) == 2 and words[0] == "help" and self.get_command(ctx, words[1]) is not None  # noqa: PLR2004 - help and a name
        return [words[1], "--help"] if named else []

    def _refuse_strange(self, ctx: click.Context, read: Arguments) -> None:
        """See that a question does not begin with what reads like an option.

        Raises:
            Mistake: It does.
        """
        strange = read.strange
        if strange is not None and not strange.tokens[0].startswith("--"):
            typed = [token for piece in read.pieces if piece.kind != GLOBAL for token in piece.tokens]
            raise Mistake(
                f"no option {strange.tokens[0]}",
                f"A question that begins with a minus goes behind --: {shlex.join(['kb', '--', *typed])}",
                ctx,
            )

    def _tell_of_slip(self, ctx: click.Context, word: str) -> None:
        """Say which command has nearly the name that a question begins with."""
        # A short word is like some command or other by chance: how is no mistyped show.
        near = len(word) >= _TYPED and difflib.get_close_matches(word, self.list_commands(ctx), n=1, cutoff=0.75)
        if near:
            session: Session = ctx.obj
            session.notice(f"no command {word!r}, so this is a search; did you mean kb {near[0]}?")

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """All commands, in the order in which they are first needed."""
        return list(self.commands)


def _with_words(command: click.Command, pieces: Sequence[Piece], session: Session) -> list[str]:
    """The options of a command that takes any words, then ``--`` and the words.

    What begins with one minus and is no option of the command is one of the words, which is told.

    Raises:
        Mistake: It is a long option with one minus.
    """
    options: list[str] = []
    words: list[str] = []
    for piece in pieces:
        token = piece.tokens[0]
        if piece.kind == WORD:
            words.append(token)
        elif piece.kind not in (OPTION, UNKNOWN):
            continue
        elif token.startswith("--") or (piece.kind == OPTION and takes(command, token)):
            options += piece.tokens
        elif takes(command, f"-{token}"):
            remedy = f"As a word of the text, put it in quotes with the others: kb {command.name} '... {token} ...'"
            raise Mistake(f"{command.name} has no option {token}; did you mean -{token}?", remedy)
        else:
            session.notice(
                f"no option {token}: taken as a word of the {'note' if command.name == 'note' else 'question'}"
            )
            words += piece.tokens
    return [*options, "--", *words]


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from kb import __version__

        session: Session = ctx.obj
        session.write(f"kb {__version__}\n")
        ctx.exit()


@click.group(cls=Questions, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "config_file", metavar="FILE", shell_complete=file_names, help="Use this configuration file.")
@click.option("--found", metavar="FILE", hidden=True, help="As --config, of a file that was found by looking around.")
@click.option(
    "-s",
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a configuration value, as in embed.device=cpu.",
)
@click.option("--store", metavar="DIR", shell_complete=folder_names, help="Use this store directory.")
@click.option("--offline", is_flag=True, help="Never download a model.")
@click.option(
    "--color",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    help="When to use colours and links; always also formats piped output. NO_COLOR is respected.",
)
@click.option("--debug", is_flag=True, help="Show a traceback on errors.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_obj
def cli(
    session: Session,
    *,
    config_file: str | None,
    found: str | None,
    pairs: tuple[str, ...],
    store: str | None,
    offline: bool,
    color: terminal.ColorChoice,
    debug: bool,
) -> None:
    """Search a folder of notes by meaning, on your own machine.

    kb QUESTION searches. Use kb search QUESTION if the question begins with the name of a command.
    """
    session.config_file = found or config_file
    session.found = found is not None
    session.overrides = overrides_of(pairs)
    session.overrides |= {"store.path": store} if store else {}
    session.overrides |= {"embed.offline": "true"} if offline else {}
    session.color = color
    session.debug = debug


for _command in _COMMANDS:
    cli.add_command(_command)


def run(args: Sequence[str], session: Session | None = None) -> int:
    """Run the command line with some arguments and return its exit code. Every error ends here.

    Raises:
        InputNeeded: The command is run for another process, and needs something that only that one has.
    """
    session = session or Session()
    session.run = run
    here = session.asker.here
    if here:
        terminal.prepare(sys.stdout)
    try:
        code: Any = cli.main(
            list(args), prog_name="kb", standalone_mode=False, obj=session, terminal_width=session.asker.columns
        )
        session.asker.out.flush()
    except InputNeeded:
        raise
    except BrokenPipeError:
        if here:
            # Whoever read has had enough. What is left in the buffer must not fail again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except StoreBusy as error:
        # Whoever has the store may be an owner that was only starting when it was looked for.
        answered = session.ask_owner() if session.ask_owner else None
        return _ended(error, session, args) if answered is None else answered
    except Exception as error:  # noqa: BLE001 - the end of the line: whatever it is, it becomes one sentence
        return _ended(error, session, args)
    return code if isinstance(code, int) else 0


def _ended(error: Exception, session: Session, args: Sequence[str]) -> int:
    """Tell an error as one sentence and what to do about it, and give the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        session.complain(f"{error.format_message()}\n")
        return _ERROR
    if session.debug:
        session.complain(terminal.sanitize(traceback.format_exc()))
    error = shortage(error) or error
    if isinstance(error, click.UsageError):
        message, remedy = usage(error, cli, args)
    elif isinstance(error, KbError):
        message, remedy = error.message, error.remedy
        if question := also_as_search(error, cli, args):
            remedy = (
                f"{remedy}; to search for these words: {question}"
                if remedy
                else f"To search for these words: {question}"
            )
    elif isinstance(error, (OSError, click.ClickException)):
        message, remedy = error.format_message() if isinstance(error, click.ClickException) else str(error), ""
    else:
        message = f"{type(error).__name__}: {error}"
        remedy = "This is a bug in kb. Run it again with --debug to see where it comes from"
    # Arguments are quoted in it, and a shell's * makes arguments of file names.
    session.notice(message)
    if remedy:
        session.complain(f"    {terminal.sanitize(remedy)}\n")
    return error.exit_code if isinstance(error, KbError) else _ERROR
