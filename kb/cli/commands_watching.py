"""The commands that keep the index live: watch and sync."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from kb.cli.commands_indexing import INTERRUPTED, run_index
from kb.cli.commands_setup import checked_folder
from kb.cli.options import Command, folder_names, json_option
from kb.cli.reports import owner_text
from kb.cli.shortage import shortage
from kb.cli.terminal import sanitize
from kb.errors import WAYS_TO_CONFIGURE, ConfigError, KbError, StoreBusy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from kb.cli.owning import Ownership
    from kb.cli.session import Session
    from kb.config import Settings
    from kb.serve.service import Service

# As shells tell a process that SIGTERM ended: 128 and its number.
TERMINATED: Final = 143
_STARTING: Final = 600.0
_STOPPING: Final = 90.0
_LOOK: Final = 0.05
# Where models are kept and had from; without them a service would fetch them anew.
_OF_MODELS: Final = frozenset({"KB_MODELS", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT"})
_LOG_BYTES: Final = 1_000_000
_LOG_FILES: Final = 3


@click.command(cls=Command, short_help="Keep the index up to date and answer at once.")
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", shell_complete=folder_names)
@click.option("--background", is_flag=True, help="Run in the background, with a log file.")
@click.option(
    "--status", "asks_status", is_flag=True, help="Show whether a daemon is running, and its state. Exit code 0 or 1."
)
@click.option("--stop", "stops", is_flag=True, help="Stop the running daemon.")
@click.option("--once", is_flag=True, help="Index once and exit, like kb index.")
@click.option("--poll", is_flag=True, help="Poll for changes instead of using file system events.")
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
    install_service: bool,
    prints: bool,
    log_file: str | None,
    as_json: bool,
) -> int:
    """Keep the index up to date as files change, and answer other commands at once.

    Any FOLDERs replace the configured ones. Runs until Ctrl-C or kb watch --stop.
    """
    _check(background + asks_status + stops + once + install_service, prints_alone=prints and not install_service)
    if folders:
        found = [checked_folder(one) for one in folders]
        # TOML has no pairs of surrogates, as which JSON would escape an emoji.
        session.overrides["folders.paths"] = json.dumps(found, ensure_ascii=False)
    if poll:
        session.overrides["watch.polling"] = "true"
    settings = session.settings()
    if asks_status:
        return _tell_status(session, settings, as_json=as_json)
    if stops:
        return _stop(session, settings)
    if not settings.config.folders.paths:
        raise ConfigError("no folder is configured", WAYS_TO_CONFIGURE)
    if once:
        return _once(session, settings, as_json=as_json)
    if install_service:
        return _install(session, settings, folders, prints=prints)
    _refuse_second(settings)
    if background:
        return _start_behind(session, settings)
    # One started behind, or by the system, gets the folders that were typed as an override.
    return _own(session, folders_given="folders.paths" in session.overrides, log_file=log_file)


@click.command(cls=Command, short_help="Wait until every change on disk is indexed.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after this time.  [default: no limit]"
)
@click.pass_obj
def sync(session: Session, timeout: float | None) -> int:
    """Wait until everything on disk at the time of the call is indexed. The exit code is 1 if it is not.

    If kb watch is running, it does the work; otherwise this is kb index.
    """
    if session.owner is None:
        return run_index(session)
    return 0 if session.synced(session.owner, timeout) else 1


def _check(things: int, *, prints_alone: bool) -> None:
    """One thing at a time, and nothing in silence.

    Raises:
        UsageError: It is otherwise.
    """
    if things > 1:
        raise click.UsageError("--background, --status, --stop, --once and --install-service exclude one another")
    if prints_alone:
        raise click.UsageError("--print goes with --install-service: kb watch --install-service --print")


def _once(session: Session, settings: Settings, *, as_json: bool) -> int:
    """What kb index does: where an owner runs, it does it."""
    if _owner_of(settings) is not None:
        from kb.serve.client import forward

        code = forward([*session.options(settings), "index", *(["--json"] if as_json else [])])
        if code is not None:
            return code
    return run_index(session, as_json=as_json)


def _owner_of(settings: Settings) -> dict[str, Any] | None:
    """How the owner of the store is, or None where none answers."""
    from kb.serve.client import Refused, ask

    try:
        return ask(settings.store_path(), "/status")
    except Refused as error:
        raise KbError(f"the owner of the store does not say how it is: {error}") from error


def _refuse_second(settings: Settings) -> None:
    """One owner is enough.

    Raises:
        StoreBusy: One runs already.
    """
    owner = _owner_of(settings)
    if owner is not None:
        raise StoreBusy(
            f"kb watch runs already for the store at {settings.store_path()}: process {owner['pid']}",
            "kb watch --stop ends it",
        )


def _beyond_reach(session: Session, settings: Settings) -> bool:
    """Tell of a process that has the store and answers nobody; says whether there is one."""
    from kb.store.lock import StoreLock, read_owner

    holder = read_owner(settings.store_path())
    if holder is None:
        return False
    try:
        # What a dead process left behind may name the number of another one by now.
        with StoreLock(settings.store_path()):
            return False
    except StoreBusy:
        who = f"process {holder.pid} ({holder.command})"
        session.notice(f"{who} has the store and cannot be asked; kill {holder.pid} ends it")
        return True


def _tell_status(session: Session, settings: Settings, *, as_json: bool) -> int:
    owner = _owner_of(settings)
    if owner is None:
        _beyond_reach(session, settings)
    if as_json:
        session.write_json({"owner": owner})
    elif owner is None:
        session.write("not running\n")
    else:
        log = f"log: {owner['log']}\n" if owner["log"] else ""
        session.write(sanitize(f"{owner_text(owner)}\n{log}"))
    return 0 if owner else 1


def _stop(session: Session, settings: Settings) -> int:
    """Ask the owner to end, and wait until it has let go of the store."""
    from kb.serve.client import ask
    from kb.store.lock import read_owner

    owner = _owner_of(settings)
    if owner is None or ask(settings.store_path(), "/stop", {}) is None:
        if not _beyond_reach(session, settings):
            session.notice("kb watch does not run")
        return 1
    until = time.monotonic() + _STOPPING
    while time.monotonic() < until:
        holder = read_owner(settings.store_path())
        if holder is None or holder.pid != owner["pid"]:
            session.write(f"process {owner['pid']} has ended\n")
            return 0
        time.sleep(_LOOK)
    raise StoreBusy(f"process {owner['pid']} is still ending", "It finishes what it is writing; look again later")


def _own(session: Session, *, folders_given: bool, log_file: str | None) -> int:
    """Own the store until a signal or a request ends that."""
    from kb.cli.owning import Ownership

    with _log(session, log_file) as logger:
        ownership = Ownership(
            session.settings,
            folders_given=folders_given,
            say=lambda text: logger.info("%s", sanitize(text)),
            run=session.run or _nothing,
            log=log_file or "",
        )
        # Until commands are answered, either signal ends it as Ctrl-C does.
        signal.signal(signal.SIGTERM, _terminated)
        try:
            ownership.serve(lambda: _stopped_by_signals(ownership))
        except KeyboardInterrupt as error:
            logger.info("stopped while it was starting")
            return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
        except (KbError, MemoryError, OSError, RuntimeError) as error:
            known = shortage(error) or error
            if log_file:
                logger.info("%s", sanitize(str(known)))
            raise known from error
    return 0


class Terminated(KeyboardInterrupt):
    """SIGTERM came; it passes through whatever lets Ctrl-C through."""


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _nothing(_args: Sequence[str], _session: Session) -> int:
    """What a session without the way to run others makes of them."""
    raise KbError("this session runs no other commands")


def _stopped_by_signals(ownership: Ownership) -> None:
    """From here on SIGTERM and Ctrl-C end the owner in order."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ownership.stop())


@contextmanager
def _log(session: Session, file: str | None) -> Iterator[logging.Logger]:
    """Where the lines of the log go: a file of limited size, else standard error."""
    handler: logging.Handler
    if file:
        from logging.handlers import RotatingFileHandler

        handler = RotatingFileHandler(
            file, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8", errors="replace"
        )
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    else:
        handler = logging.StreamHandler(session.asker.err)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("kb.watch.log")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        handler.close()


def _command(session: Session, settings: Settings) -> list[str]:
    """The command that starts an owner with the settings of this one, from any folder."""
    # Without -P a folder called kb in the current one would be taken for the program.
    return [sys.executable, "-P", "-m", "kb", *session.options(settings), "watch"]


def _start_behind(session: Session, settings: Settings) -> int:
    """Start an owner in a session of its own, and return once it answers."""
    import subprocess

    import platformdirs

    folder = Path(platformdirs.user_log_dir("kb", appauthor=False))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / f"watch-{_name(settings)}.log"
    log.touch(mode=0o600)
    begin = log.stat().st_size
    # What it says before its log is open, or when it dies, goes to the same file.
    with log.open("ab") as stream:
        child = subprocess.Popen(
            [*_command(session, settings), "--log", str(log)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    fetches = os.sep in settings.config.embed.model and not Path(settings.model()).is_absolute()
    session.notice(
        f"starting process {child.pid}, log {log}{'; the first time it fetches the model' if fetches else ''}"
    )
    until = time.monotonic() + _STARTING
    while time.monotonic() < until and child.poll() is None:
        owner = _owner_of(settings)
        if owner is not None and owner["pid"] == child.pid:
            session.write(sanitize(f"running in the background: process {child.pid}, log {log}\n"))
            return 0
        time.sleep(_LOOK)
    if child.poll() is None:
        session.write(sanitize(f"still starting: process {child.pid}, log {log}\n"))
        return 0
    with log.open("rb") as stream:
        stream.seek(begin)
        told = stream.read().decode("utf-8", "replace").strip()
    raise KbError(f"kb watch ended at once:\n{told}", f"The log is {log}")


def _name(settings: Settings) -> str:
    """What tells this store's owner from others in the names of files."""
    from hashlib import sha256

    return sha256(os.fsencode(settings.store_path())).hexdigest()[:12]


def _install(session: Session, settings: Settings, folders: tuple[str, ...], *, prints: bool) -> int:
    """Write the service file of this platform, or show it."""
    if settings.file is None and not folders:
        raise ConfigError("there is no configuration file to start from", "Name the folders, or run kb init FOLDER")
    service = _service(session, settings)
    if prints:
        session.write(sanitize(service.text))
        return 0
    service.path.parent.mkdir(parents=True, exist_ok=True)
    service.path.write_text(service.text, "utf-8")
    session.write(sanitize(f"Wrote {service.path}\nNext: {service.next}\n"))
    return 0


def _service(session: Session, settings: Settings) -> Service:
    from kb.serve.service import launchd_agent, systemd_unit

    command, name, cwd = _command(session, settings), _name(settings), session.asker.cwd
    environ = {
        key: value
        for key, value in session.asker.environ.items()
        if key in _OF_MODELS
        or (key.startswith("KB_") and "__" in key)
        # Where it is remembered that a file which was found is trusted.
        or (settings.found and key == "XDG_STATE_HOME")
    }
    if sys.platform == "darwin":
        return launchd_agent(name, command, folder=cwd, environ=environ, home=Path.home())
    if sys.platform.startswith("linux"):
        config_home = Path(session.asker.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        return systemd_unit(name, command, folder=cwd, environ=environ, config_home=config_home)
    raise KbError("there is no service file for this system", "Start kb watch --background when you log in")
