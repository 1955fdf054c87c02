"""The command ``kb``: global options, bare questions as searches, and the handling of all errors."""

from __future__ import annotations

import difflib
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

import click

from kb.cli import commands
from kb.cli.command import Command
from kb.cli.command_table import read_arguments
from kb.cli.options import file_names, folder_names, overrides_of
from kb.cli.output import terminal
from kb.cli.resource_errors import resource_error
from kb.cli.session import ConfigurationEdited, InputNeeded, Session
from kb.cli.usage_errors import CommandLineError, also_as_search, describe, takes, takes_text
from kb.errors import Cancelled, KbError, StoreBusy, reason_of, sentence_of
from kb.service.arguments import GENERATED, GLOBAL, HELP, OPTION, UNKNOWN, WORD, Arguments
from kb.service.client import INTERRUPTED, SERVER
from kb.system import shell
from kb.system.terminals import leave_standard_output, prepare_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

    from kb.service.arguments import Argument

_ERROR: Final = 2
_TYPED: Final = 4


class RootGroup(Command, click.Group):
    """The commands by name, each imported when used; any other first word begins a question.

    Options may be anywhere: global ones are moved before the command, the others after it.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """The names of all commands, in the order in which they are first needed."""
        return commands.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the signature is click's
        """A command by its name; None if there is none."""
        return commands.load(cmd_name) if cmd_name in commands.names() else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in the help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, commands.short_help(name)) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, without importing any."""
        from click.shell_completion import CompletionItem

        found = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=commands.short_help(name)) for name in found), *options]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the arguments of a command line into the order in which click reads them."""
        if not ctx.resilient_parsing:
            args = self._arranged(ctx, args)
        return super().parse_args(ctx, args)

    def _arranged(self, ctx: click.Context, args: list[str]) -> list[str]:
        read = read_arguments(args, self)
        own = [token for argument in read.of(GLOBAL) for token in argument.tokens]
        words = read.words
        if not words:
            if any(argument.kind == OPTION and argument.tokens[0] not in HELP for argument in read.parsed):
                remedy = f"To search: {shell.join(['kb', *args])} 'your question'. kb --help lists the commands"
                raise CommandLineError("no question and no command", remedy, ctx)
            return [*own, *(token for argument in read.parsed if argument.kind != GLOBAL for token in argument.tokens)]
        self._reject_unknown(ctx, read)
        command = None if read.literal else self.get_command(ctx, words[0])
        if read.lacks_value:
            named = words[0] if command else "search"
            raise CommandLineError(
                f"{read.parsed[-1].tokens[0]} needs a value", f"kb --help and kb {named} --help list the options", ctx
            )
        if command is None and not read.literal and (helps := self._help_wanted(ctx, words)):
            return [*own, *helps]
        if command is None:
            if not read.literal:
                self._notice_typo(ctx, words[0])
            return [*own, "search", *_with_words(commands.load("search"), read.parsed, ctx.obj)]
        first = next(argument for argument in read.parsed if argument.kind == WORD)
        rest = [argument for argument in read.parsed if argument is not first]
        if takes_text(command):
            return [*own, words[0], *_with_words(command, rest, ctx.obj)]
        return [*own, words[0], *(token for argument in rest if argument.kind != GLOBAL for token in argument.tokens)]

    def _help_wanted(self, ctx: click.Context, words: list[str]) -> list[str]:
        """Return the arguments that ``kb help`` and ``kb help COMMAND`` stand for; other words are a question."""
        if words == ["help"]:
            return ["--help"]
        named = len(words) == 2 and words[0] == "help" and self.get_command(ctx, words[1]) is not None  # noqa: PLR2004 - help and a name
        return [words[1], "--help"] if named else []

    def _reject_unknown(self, ctx: click.Context, read: Arguments) -> None:
        """Reject a question that begins with an unknown option.

        Raises:
            CommandLineError: It does.
        """
        unknown = read.unknown
        if unknown is not None and not unknown.tokens[0].startswith("--"):
            typed = [token for argument in read.parsed if argument.kind != GLOBAL for token in argument.tokens]
            raise CommandLineError(
                f"no option {unknown.tokens[0]}",
                f"Put -- before a question that begins with a minus: {shell.join(['kb', '--', *typed])}",
                ctx,
            )

    def _notice_typo(self, ctx: click.Context, word: str) -> None:
        """Suggest a command if a question begins with nearly its name."""
        # Short words resemble some command by chance: "how" is not a mistyped "show".
        near = len(word) >= _TYPED and difflib.get_close_matches(word, self.list_commands(ctx), n=1, cutoff=0.75)
        if near:
            session: Session = ctx.obj
            session.notice(f"no command {word!r}, so this is a search; did you mean kb {near[0]}?")


def _with_words(command: click.Command, parsed: Sequence[Argument], session: Session) -> list[str]:
    """Return the options of a command that takes any words, then ``--`` and the words.

    A word that begins with one minus and is not an option of the command is kept as a word, with a notice.

    Raises:
        CommandLineError: It is a long option with one minus.
    """
    options: list[str] = []
    words: list[str] = []
    for argument in parsed:
        token = argument.tokens[0]
        if argument.kind == WORD:
            words.append(token)
        elif argument.kind not in (OPTION, UNKNOWN):
            continue
        elif token.startswith("--") or (argument.kind == OPTION and takes(command, token)):
            options += argument.tokens
        elif takes(command, f"-{token}"):
            remedy = f"As a word of the text, put it in quotes with the others: kb {command.name} '... {token} ...'"
            raise CommandLineError(f"{command.name} has no option {token}; did you mean -{token}?", remedy)
        else:
            text = "note" if command.name == "note" else "question"
            known = token in GENERATED.leading and takes(command, token)
            unknown = f"{token} is an option before the {text} only" if known else f"no option {token}"
            session.notice(f"{unknown}: taken as a word of the {text}")
            words += argument.tokens
    return [*options, "--", *words]


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from kb import __version__

        session: Session = ctx.obj
        session.write(f"kb {__version__}\n")
        ctx.exit()


@click.group(cls=RootGroup, context_settings={"help_option_names": ["-h", "--help"]})
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
@click.option("--server", metavar="URL", help="Ask the kb of another machine, as in https://HOST:7420.  [KB_SERVER]")
@click.option("--offline", is_flag=True, help="Never download a model.")
@click.option(
    "--color",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    help="When to use colours and links; always also formats piped output. NO_COLOR is respected.",
)
@click.option("--debug", is_flag=True, help="Show a traceback on errors.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def cli(
    ctx: click.Context,
    *,
    config_file: str | None,
    found: str | None,
    pairs: tuple[str, ...],
    store: str | None,
    server: str | None,
    offline: bool,
    color: terminal.ColorChoice,
    debug: bool,
) -> None:
    """Search a folder of notes by meaning, on your own machine.

    kb QUESTION searches. Use kb search QUESTION if the question begins with the name of a command.
    """
    session: Session = ctx.obj
    session.server = _server(ctx, server)
    if session.server:
        here = {"--config": config_file, "-s": pairs, "--store": store, "--offline": offline}
        _refuse_of_this_machine(ctx, next((name for name, given in here.items() if given), ""), server)
    session.config_file = found or config_file
    session.found = found is not None
    session.overrides = overrides_of(pairs)
    session.overrides |= {"store.path": store} if store else {}
    session.overrides |= {"embed.offline": "true"} if offline else {}
    session.color = color
    session.debug = debug


def _server(ctx: click.Context, given: str | None) -> str:
    """Return the address of the machine to ask: the one given, or for commands that can ask, that of the environment.

    Raises:
        CommandLineError: The command needs the folders or the store themselves.
    """
    session: Session = ctx.obj
    name = ctx.invoked_subcommand or ""
    if name in GENERATED.remote:
        return given or session.client.environ.get(SERVER, "")
    if given and name in GENERATED.short_help:
        can = ", ".join(f"kb {one}" for one in GENERATED.short_help if one in GENERATED.remote)
        raise CommandLineError(f"kb {name} cannot ask another machine", f"Run it there; --server is for {can}", ctx)
    return ""


def _refuse_of_this_machine(ctx: click.Context, option: str, server: str | None) -> None:
    """Refuse an option about the folders and the store of this machine where another one is asked.

    Raises:
        CommandLineError: There is one.
    """
    if option:
        raise CommandLineError(
            f"{option} is about this machine, and {'--server' if server else SERVER} names another",
            f"Leave {option} out" if server else f"Leave {option} out, or ask this machine: {SERVER}= kb ...",
            ctx,
        )


def run(args: Sequence[str], session: Session | None = None) -> int:
    """Run the command line with some arguments and return its exit code. Every error ends here.

    Raises:
        InputNeeded: The command is run for another process, and needs something that only that one has.
        ConfigurationEdited: The command is to begin again with the edited configuration.
    """
    session = session or Session()
    session.run = run
    here = session.client.here
    if here:
        prepare_streams()
        terminal.prepare(sys.stdout)
    try:
        code: Any = cli.main(
            list(args), prog_name="kb", standalone_mode=False, obj=session, terminal_width=session.client.columns
        )
        session.flush()
    except (InputNeeded, ConfigurationEdited):
        raise
    except BrokenPipeError:
        if here:
            # The reader closed the pipe. What is left in the buffer must not fail again at exit.
            leave_standard_output()
        return 0
    except Cancelled as stopped:
        session.notice(stopped.message)
        return INTERRUPTED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except StoreBusy as error:
        # A daemon that was still starting when the client looked for it may have the store open.
        answered = session.ask_daemon() if session.ask_daemon else None
        return _ended(error, session, args) if answered is None else answered
    except Exception as error:  # noqa: BLE001 - the end of the line: whatever it is, it becomes one sentence
        if here and isinstance(error, OSError) and _cannot_write():
            error = KbError(f"standard output cannot be written: {reason_of(error)}")
        return _ended(error, session, args)
    return code if isinstance(code, int) else 0


def _cannot_write() -> bool:
    """Whether standard output takes nothing more; what is left in its buffer must not fail again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        leave_standard_output()
        return True
    return False


def _ended(error: Exception, session: Session, args: Sequence[str]) -> int:
    """Write an error as a message and a remedy, and return the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        session.write_error(f"{error.format_message()}\n", wrap=False)
        return _ERROR
    if session.debug:
        session.write_error(terminal.sanitize(traceback.format_exc()), wrap=False)
    error = resource_error(error) or error
    if isinstance(error, click.UsageError):
        message, remedy = describe(error, cli, args)
    elif isinstance(error, KbError):
        message, remedy = error.message, error.remedy
        if question := also_as_search(error, cli, args):
            remedy = (
                f"{remedy}; to search for these words: {question}"
                if remedy
                else f"To search for these words: {question}"
            )
    elif isinstance(error, (OSError, click.ClickException)):
        message = error.format_message() if isinstance(error, click.ClickException) else sentence_of(error)
        remedy = ""
    else:
        message = f"{type(error).__name__}: {error}"
        remedy = "This is a bug in kb. Run it again with --debug to see where it comes from"
    # Messages quote arguments, and a shell's * makes arguments of file names.
    session.notice(message)
    if remedy:
        session.hint(remedy)
    return error.exit_code if isinstance(error, KbError) else _ERROR
