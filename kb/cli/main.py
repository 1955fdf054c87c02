"""The command ``kb``: its global options, a bare question taken as a search, and the one place where errors end."""

from __future__ import annotations

import difflib
import io
import os
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
from kb.cli.options import Command, file_names, folder_names, overrides_of
from kb.cli.session import InputNeeded, Session
from kb.errors import KbError, StoreBusy

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """Commands by name; whatever else comes first, or follows ``--``, begins a question."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Notice whether ``--`` ended the options of kb itself: then no command is meant."""
        try:
            _, rest, _ = self.make_parser(ctx).parse_args(list(args))
        except click.NoSuchOption as error:
            raise _misplaced(error, ctx) from error
        before = len(args) - len(rest)
        ctx.meta["kb.question"] = bool(rest) and before > 0 and args[before - 1] == "--"
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the first word; a word that is none begins a question."""
        if ctx.meta.get("kb.question"):
            return "search", search, ["--", *args]
        word = args[0]
        if self.get_command(ctx, word) is not None or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        # A short word is like some command or other by chance: how is no mistyped show.
        near = len(word) >= _TYPED and difflib.get_close_matches(word, self.list_commands(ctx), n=1, cutoff=0.75)
        if near:
            session: Session = ctx.obj
            session.notice(f"searching for {word!r}; the command is called kb {near[0]}")
        return "search", search, args

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """All commands, in the order in which they are first needed."""
        return list(self.commands)


def _misplaced(error: click.NoSuchOption, ctx: click.Context) -> click.UsageError:
    """What to say of an option that is none of kb itself, though it may be one of a search, or begin a question."""
    name = error.option_name
    if any(name in parameter.opts for parameter in search.params):
        return click.UsageError(f"{name} stands behind the question, or behind search: kb search {name} ...", ctx)
    if not name.startswith("--"):
        return click.UsageError(f"There is no option {name}; a question that begins with a minus stands behind --", ctx)
    return error


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from kb import __version__

        session: Session = ctx.obj
        session.write(f"kb {__version__}\n")
        ctx.exit()


@click.group(cls=Questions, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "config_file", metavar="FILE", shell_complete=file_names, help="The configuration to use.")
@click.option("--found", metavar="FILE", hidden=True, help="As --config, of a file that was found by looking around.")
@click.option("-s", "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Override a value: embed.device=cpu.")
@click.option("--store", metavar="DIR", shell_complete=folder_names, help="Override where the store is.")
@click.option("--offline", is_flag=True, help="Never fetch a model.")
@click.option(
    "--color",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    help="Colours and links; always lays out a pipe too. NO_COLOR is respected.",
)
@click.option("--debug", is_flag=True, help="Show where an error came from.")
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
    """A folder of notes, searchable by meaning, on your own machine.

    kb QUESTION searches; so does kb search QUESTION, for a question that begins with the name of a command.
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
        return _ended(error, session) if answered is None else answered
    except Exception as error:  # noqa: BLE001 - the end of the line: whatever it is, it becomes one sentence
        return _ended(error, session)
    return code if isinstance(code, int) else 0


def _ended(error: Exception, session: Session) -> int:
    """Tell an error as one sentence and what to do about it, and give the exit code."""
    if isinstance(error, click.ClickException):
        # Arguments are quoted in it, and a shell's * makes arguments of file names.
        told = io.StringIO()
        error.show(told)
        session.complain(terminal.sanitize(told.getvalue()))
        return _ERROR
    if session.debug:
        session.complain(terminal.sanitize(traceback.format_exc()))
    if isinstance(error, KbError):
        session.notice(error.message)
        remedy = error.remedy
    elif isinstance(error, OSError):
        session.notice(str(error))
        remedy = ""
    else:
        session.notice(f"{type(error).__name__}: {error}")
        remedy = "This is a bug in kb. Run it again as kb --debug ... to see where it came from"
    if remedy:
        session.complain(f"    {terminal.sanitize(remedy)}\n")
    return error.exit_code if isinstance(error, KbError) else _ERROR
