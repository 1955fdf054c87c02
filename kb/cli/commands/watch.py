"""The command ``kb watch``: runs, starts, stops and asks the daemon."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from kb.cli.background_daemon import daemon_command, exited
from kb.cli.command import Address, command
from kb.cli.config_files import checked_folder
from kb.cli.indexing import run_index
from kb.cli.login_service import service_of
from kb.cli.options import folder_names, json_option, refuse_conflicts
from kb.cli.output.reports import daemon_text
from kb.cli.output.terminal import sanitize
from kb.cli.run_daemon import run_daemon
from kb.errors import ConfigError, KbError, StoreBusy
from kb.system import shell
from kb.system.processes import may_be

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kb.cli.session import Session
    from kb.config import Settings

_START_SECONDS: Final = 600.0
# A daemon that does not answer after these many seconds is at its model, which takes torch up to half a minute.
_MODEL_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 90.0
_POLL_SECONDS: Final = 0.05
# Where programs reach the daemon, unless another address is named.
_HTTP: Final = "127.0.0.1:7420"


@command(short_help="Keep the index up to date and answer at once.", local=True)
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", shell_complete=folder_names)
@click.option("--background", is_flag=True, help="Run in the background, with a log file.")
@click.option(
    "--status", "asks_status", is_flag=True, help="Show whether a daemon is running, and its state. Exit code 0 or 1."
)
@click.option("--stop", "stops", is_flag=True, help="Stop the running daemon.")
@click.option("--once", is_flag=True, help="Index once and exit, like kb index.")
@click.option("--poll", is_flag=True, help="Poll for changes instead of using file system events.")
@click.option(
    "--http",
    type=Address(),
    metavar="[HOST:PORT]",
    is_flag=False,
    flag_value=_HTTP,
    help=f"Also answer programs over HTTP; they need the token that kb token prints. Without HOST:PORT: {_HTTP}.",
)
@click.option("--install-service", is_flag=True, help="Write a service file that starts kb watch at login.")
@click.option("--print", "prints", is_flag=True, help="With --install-service: print the file instead of writing it.")
@click.option("--log", "log_file", hidden=True, metavar="FILE")
@json_option
@click.pass_obj
def watch(
    session: Session,
    *,
    folders: tuple[str, ...],
    background: bool,
    asks_status: bool,
    stops: bool,
    once: bool,
    poll: bool,
    http: str | None,
    install_service: bool,
    prints: bool,
    log_file: str | None,
    as_json: bool,
) -> int:
    """Keep the index up to date as files change, and answer other commands at once.

    Any FOLDERs replace the configured ones. Runs until Ctrl-C or kb watch --stop.
    """
    refuse_conflicts(
        {
            "--background": background,
            "--status": asks_status,
            "--stop": stops,
            "--once": once,
            "--install-service": install_service,
        }
    )
    if prints and not install_service:
        raise click.UsageError("--print requires --install-service")
    _override(session, folders, poll=poll, http=http)
    if asks_status:
        return _show_status(session, _store_asked(session), as_json=as_json)
    if stops:
        return _stop(session, _store_asked(session))
    settings = session.settings_with_folders()
    if once:
        return _once(session, settings, as_json=as_json)
    if install_service:
        return _install(session, settings, folders, prints=prints)
    _require_none_running(settings)
    if background:
        return _start_in_background(session, settings)
    # One started in the background, or by the system, gets the folders that were typed as an override.
    return run_daemon(session, folders_given="folders.paths" in session.overrides, log_file=log_file)


def _override(session: Session, folders: tuple[str, ...], *, poll: bool, http: str | None) -> None:
    """Put what was typed over the configuration."""
    if folders:
        found = [checked_folder(one) for one in folders]
        # TOML has no pairs of surrogates, as which JSON would escape an emoji.
        session.overrides["folders.paths"] = json.dumps(found, ensure_ascii=False)
    if poll:
        session.overrides["watch.polling"] = "true"
    if http is not None:
        session.overrides["serve.http"] = _address(http)


def _address(typed: str) -> str:
    """The address for programs, as typed.

    Raises:
        UsageError: It is none.
    """
    from kb.service.listen import Endpoint

    try:
        return str(Endpoint.parsed(typed))
    except ConfigError as error:
        raise click.UsageError(str(error)) from error


def _once(session: Session, settings: Settings, *, as_json: bool) -> int:
    """Index once, in the daemon if one is running."""
    if _status_of_daemon(settings.store_path()) is not None:
        from kb.service.client import forward

        code = forward([*session.options(settings), "index", *(["--json"] if as_json else [])])
        if code is not None:
            return code
    return run_index(session, as_json=as_json)


def _store_asked(session: Session) -> str:
    """The store whose daemon is meant. A configuration that is not valid keeps nobody from stopping that daemon.

    Raises:
        ConfigError: The configuration is not valid, and no daemon answers for the store that it names.
    """
    try:
        return session.settings().store_path()
    except ConfigError as error:
        from kb.service.address import CommandLine, Undetermined, store_of

        line = CommandLine(session.config_file, session.overrides, "watch")
        try:
            store = store_of(line, session.client.environ, session.client.cwd, tolerant=True)
        except Undetermined:
            raise error from None
        if _status_of_daemon(store) is None:
            raise
        session.notice(error.message)
        return store


def _status_of_daemon(store: str) -> dict[str, Any] | None:
    """The state of the daemon; None if none is running."""
    return _asked(store, "/status")


def _asked(store: str, path: str, values: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """What the daemon answers, see ``kb.service.client.ask``; None if none is running.

    Raises:
        StoreBusy: It does not answer in time.
        KbError: It refuses, or stops before it answers.
    """
    from kb.service.client import RequestRefused, Silent, ask

    try:
        return ask(store, path, values)
    except Silent as error:
        remedy = f"{error.remedy[0].upper()}{error.remedy[1:]}"
        raise StoreBusy(f"{error.who} holds the store but does not answer", remedy) from error
    except RequestRefused as error:
        raise KbError(f"the daemon did not answer: {error}", "kb watch --status shows whether one runs") from error


def _require_none_running(settings: Settings) -> None:
    """Check that no daemon is running yet.

    Raises:
        StoreBusy: One is.
    """
    daemon = _status_of_daemon(settings.store_path())
    if daemon is not None:
        raise StoreBusy(
            f"kb watch is already running for the store at {settings.store_path()} (process {daemon['pid']})",
            "Stop it first: kb watch --stop",
        )


def _report_unreachable(session: Session, store: str) -> str:
    """Report a process that holds the store but does not answer; returns its command, empty if there is none."""
    from kb.store.lock import is_locked, read_owner

    holder = read_owner(store)
    # A record that a dead process left behind may by now name the id of another process.
    if holder is None or not is_locked(store):
        return ""
    who = f"process {holder.pid} ({holder.command})"
    watch = holder.command.startswith("kb watch")
    why = "does not answer yet; it may be loading the model" if watch else "answers no commands"
    session.notice(f"{who} holds the store and {why}; stop it with {shell.end_process(holder.pid)}")
    return holder.command


def _show_status(session: Session, store: str, *, as_json: bool) -> int:
    daemon = _status_of_daemon(store)
    silent = _report_unreachable(session, store) if daemon is None else ""
    if as_json:
        session.write_json({"owner": daemon})
    elif daemon is None:
        session.say("not answering\n" if silent.startswith("kb watch") else "not running\n")
    else:
        log = f"log: {daemon['log']}\n" if daemon["log"] else ""
        session.say(sanitize(f"{daemon_text(daemon)}\n{log}"))
    return 0 if daemon else 1


def _stop(session: Session, store: str) -> int:
    """Stop the daemon, and wait until it has released the store."""
    from kb.store.lock import read_owner

    daemon = _status_of_daemon(store)
    if daemon is None or _asked(store, "/stop", {}) is None:
        if not _report_unreachable(session, store):
            session.notice("kb watch is not running")
        return 1
    until = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < until:
        holder = read_owner(store)
        if holder is None or holder.pid != daemon["pid"]:
            session.say(f"stopped process {daemon['pid']}\n")
            return 0
        time.sleep(_POLL_SECONDS)
    raise StoreBusy(
        f"process {daemon['pid']} is still shutting down", "It is finishing a write; check with kb watch --status"
    )


def _start_in_background(session: Session, settings: Settings) -> int:
    """Start a daemon in the background, and return once it answers."""
    from kb.service.background import start_daemon

    started = start_daemon(daemon_command(session, settings), settings.store_path())
    pid, log = started.process.pid, started.log
    fetches = os.sep in settings.config.embed.model and not Path(settings.model()).is_absolute()
    session.notice(f"starting process {pid}, log {log}{'; it may download the model first' if fetches else ''}")
    begun, told = time.monotonic(), False
    until = begun + _START_SECONDS
    while time.monotonic() < until and started.running():
        daemon = _status_of_daemon(settings.store_path())
        if daemon is not None and may_be(daemon["pid"], pid):
            session.say(sanitize(f"running in the background: process {daemon['pid']}, log {log}\n"))
            return 0
        if not told and time.monotonic() - begun > _MODEL_SECONDS:
            session.notice(
                f"it does not answer yet: loading the model, {settings.config.embed.model}, can take half a minute"
            )
            told = True
        time.sleep(_POLL_SECONDS)
    if started.running():
        session.say(sanitize(f"still starting: process {pid}, log {log}\n"))
        return 0
    raise exited(started)


def _install(session: Session, settings: Settings, folders: tuple[str, ...], *, prints: bool) -> int:
    """Write the service file of this platform, or show it."""
    if settings.file is None and not folders:
        raise ConfigError("no configuration file to start from", "Name the folders, or run kb init FOLDER")
    service = service_of(session, settings)
    if prints:
        session.write(sanitize(service.text))
        return 0
    service.write()
    session.say(sanitize(f"Wrote {service.path}\nNext: {service.next}\n"))
    return 0
