"""The command ``kb mcp install``: kb in the configuration of an agent's client, tried as that client would."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kb.agents.clients import BY_NAME, CLIENTS, Client, Launch, Machine
from kb.cli.command import Command
from kb.cli.login_service import own_environment
from kb.cli.options import refuse_conflicts
from kb.cli.output.terminal import one_line, sanitize
from kb.errors import WAYS_TO_CONFIGURE, ClientError, ConfigError
from kb.service.background import own_command

if TYPE_CHECKING:
    from kb.agents.check import Reply
    from kb.agents.install import Change
    from kb.cli.session import Session

_OUTCOMES: Final = {
    "added": "Added kb to {title}: {file}",
    "updated": "Changed kb's entry for {title}: {file}",
    "unchanged": "{title} has kb already, and nothing was changed: {file}",
    "removed": "Removed kb from {title}: {file}",
    "absent": "{title} does not have kb, and nothing was changed: {file}",
}


@click.command("install", cls=Command, short_help="Add kb to an agent's client, and try it there.")
@click.argument("client", required=False, type=click.Choice(tuple(BY_NAME)), metavar="[CLIENT]")
@click.option("--write", is_flag=True, help="Let agents write notes, too.")
@click.option("--print", "prints", is_flag=True, help="Show the entry and where it would go; change nothing.")
@click.option("--remove", is_flag=True, help="Take kb out again.")
@click.pass_obj
def install(session: Session, *, client: str | None, write: bool, prints: bool, remove: bool) -> int:
    """Add kb to CLIENT with the configuration in effect, start it as CLIENT would, and ask it something.

    CLIENT is claude-code, claude-desktop, codex, cursor, vscode, zed, windsurf, opencode or lmstudio; without one,
    those on this machine are listed. The client's own command adds kb where there is one; else its file is changed,
    just kb's entry, with a copy of the file beside it.
    """
    machine = Machine(sys.platform, Path.home(), session.client.environ)
    if client is None:
        if write or remove:
            raise click.UsageError("no client was named")
        return _list(session, machine)
    refuse_conflicts({"--write": write, "--remove": remove})
    refuse_conflicts({"--print": prints, "--remove": remove})
    chosen = BY_NAME[client]
    if remove:
        from kb.agents.install import remove as remove_from
        from kb.agents.install import run_program

        _tell(session, chosen, remove_from(chosen, machine, run_program))
        return 0
    launch = _launch(session, write=write)
    return _print(session, chosen, machine, launch) if prints else _install(session, chosen, machine, launch)


def _list(session: Session, machine: Machine) -> int:
    """List the clients on this machine, and which of them have kb."""
    from kb.agents.install import is_found, state_of

    found = [client for client in CLIENTS if is_found(client, machine)]
    if not found:
        session.say(f"None of the known clients was found here: {', '.join(BY_NAME)}\n")
    for client in found:
        try:
            state = state_of(client, machine)
            about = f"{'has kb' if state.entry else 'without kb'}  {state.file}"
        except ClientError as error:
            about = error.message
        session.write(f"{client.name:<15} {one_line(about)}\n")
    return 0


def _print(session: Session, client: Client, machine: Machine, launch: Launch) -> int:
    """Show what would be done."""
    from kb.agents.install import command_to_add, entry_text
    from kb.system import shell

    if command := command_to_add(client, machine, launch):
        session.notice(f"would run {shell.join(command)}, which changes {client.file(machine)}")
    else:
        session.notice(f"would go into {client.file(machine)}")
    session.write(sanitize(entry_text(client, machine, launch)))
    return 0


def _install(session: Session, client: Client, machine: Machine, launch: Launch) -> int:
    """Add kb to a client and try what its configuration then says.

    Raises:
        ClientError: The configuration cannot be changed, or kb does not answer.
    """
    from kb.agents.install import install as install_into
    from kb.agents.install import is_found, run_program, state_of

    if not is_found(client, machine):
        session.notice(f"{client.title} was not found on this machine; it will have kb once it is there")
    change = install_into(client, machine, launch, run_program)
    _tell(session, client, change)
    configured = state_of(client, machine).launch
    if configured is None:
        raise ClientError(f"{change.file} lost kb's entry again", f"Quit {client.title} and run the command again")
    session.say(f"{_tried(client, configured, machine)}\n")
    if change.outcome in ("added", "updated"):
        session.say(f"Next: {client.next}\n")
    return 0


def _tell(session: Session, client: Client, change: Change) -> None:
    for notice in change.notices:
        session.notice(notice)
    by = f" (by {change.by})" if change.by else ""
    said = _OUTCOMES[change.outcome].format(title=client.title, file=one_line(str(change.file)))
    session.say(f"{said}{one_line(by)}\n")
    if change.backup:
        session.say(f"As it was before: {one_line(str(change.backup))}\n")


def _tried(client: Client, launch: Launch, machine: Machine) -> str:
    """Start kb as a client would and say what came back.

    Raises:
        ClientError: It does not answer; the configuration stays.
    """
    from kb.agents.check import ask, bare_environment
    from kb.system import shell

    environ = bare_environment(str(machine.home), machine.environ)
    try:
        return _answered(client, ask(launch, environ, str(machine.home)))
    except ClientError as error:
        raise ClientError(
            f"{client.title} has kb in its configuration now, but {error.message}",
            error.remedy
            or f"See what it says: {shell.join(launch.command)}; kb mcp install {client.name} --remove takes it out",
        ) from error


def _answered(client: Client, reply: Reply) -> str:
    files = f"{reply.files:,} {'file' if reply.files == 1 else 'files'}"
    files += " so far, more are being indexed" if reply.indexing else ""
    return f"kb answers {client.title}: {files}, {len(reply.tools)} tools, search took {reply.seconds:.1f} s"


def _launch(session: Session, *, write: bool) -> Launch:
    """How a client has to start kb, from any folder, for the configuration in effect here.

    Raises:
        ConfigError: There is no configuration file.
    """
    settings = session.settings()
    if settings.file is None:
        raise ConfigError("no configuration file for kb to start with", WAYS_TO_CONFIGURE)
    command = (*own_command(), *session.options(settings), "mcp", *(["--write"] if write else []))
    return Launch(command, own_environment(session, settings))
