"""Checks of who holds the store, and of the daemon: its socket, its answer, its version."""

from __future__ import annotations

import os
import re
import stat
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb import __version__
from kb.doctor.finding import Fix, Plain, Remedy, advice, failed, ok, warning
from kb.service.address import PROTOCOL, addresses_of, is_safe
from kb.store.lock import LOCK_FILE, OWNER_FILE, is_locked, read_owner
from kb.system import WINDOWS, shell
from kb.system.users import is_own, rights_of_others

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

# A daemon whose socket was deleted makes another one within this time; it looks once a second.
_RETURNS_SECONDS: Final = 2.5
_POLL_SECONDS: Final = 0.1
_VERSION: Final = re.compile(r"\d+(\.\d+)*([a-z]+\d+)?")


def socket_folder(case: Case) -> Finding:
    """Whether the folder of the daemon's socket, and the socket, are the user's alone: commands trust no other."""
    # A new daemon listens in the first of its folders that it can use.
    address = addresses_of(case.store, case.environ)[0]
    folder = os.path.dirname(address)  # noqa: PTH120 - plain strings, as in kb.service.address
    if os.path.lexists(folder) and not is_safe(address):
        return _open_folder(folder)
    if os.path.lexists(address) and rights_of_others(os.lstat(address)):
        return failed(
            "others may connect to the daemon's socket {socket}",
            shell.keep_others_out(address, folder=False),
            Fix("chmod 600 the socket of the daemon", partial(Path(address).chmod, 0o600)),
            socket=address,
        )
    return ok("its folder is yours alone")


def _open_folder(folder: str) -> Finding:
    about = Path(folder).lstat()
    if not stat.S_ISDIR(about.st_mode) or not is_own(about):
        return failed(
            "{folder} is not a folder of yours, so no command trusts a daemon's socket in it",
            advice("Set XDG_RUNTIME_DIR to a folder that only you can use"),
            folder=folder,
        )
    return failed(
        "{folder} can be used by others (mode {mode}), so no command trusts a daemon's socket in it",
        shell.keep_others_out(folder),
        Fix("chmod 700 the folder of the daemon's socket", partial(Path(folder).chmod, 0o700)),
        folder=folder,
        mode=Plain(f"{stat.S_IMODE(about.st_mode):04o}"),
    )


def lock(case: Case) -> Finding:
    """Whether the record of who has the store open is right."""
    holder = case.holder
    if not holder.locked:
        if not os.path.lexists(case.file(OWNER_FILE)):
            return ok("no process has the store open")
        remove = shell.remove([case.file(OWNER_FILE)])
        fix = Fix(
            f"remove {OWNER_FILE} of a process that no longer holds the store", lambda: _remove_record(case.store)
        )
        if holder.owner is None:
            return warning("free, but {file} is there and cannot be read", remove, fix, file=Plain(OWNER_FILE))
        return warning(
            "free, but {file} still names a holder: process {pid}, which {state}",
            remove,
            fix,
            file=Plain(OWNER_FILE),
            pid=holder.owner.pid,
            state=Plain("no longer holds it" if holder.alive else "has ended"),
        )
    if holder.owner is None or not holder.alive:
        return warning(
            "held by a process that {file} does not name",
            _find_holder(case.file(LOCK_FILE)),
            file=Plain(OWNER_FILE),
        )
    who = {"pid": holder.owner.pid, "command": holder.owner.command}
    return ok("held by process {pid} ({command})", **who).with_details(("since", Plain(_moment(holder.owner.since))))


def _find_holder(file: str) -> Remedy:
    """How to find the process that has a file open."""
    if WINDOWS:
        return advice(f"Find it: resmon.exe, CPU, Associated Handles, {file}")
    return Remedy(shell.join(["fuser", "-v", file]), "Find it: ")


def _moment(text: str) -> str:
    """A time as it was recorded; empty if it is none."""
    try:
        return datetime.fromisoformat(text).isoformat(timespec="seconds")
    except ValueError:
        return ""


def _remove_record(store: str) -> None:
    """Remove the record of a process that no longer holds the lock, unless another one has taken it meanwhile."""
    if not is_locked(store):
        Path(store, OWNER_FILE).unlink(missing_ok=True)


def daemon(case: Case) -> Finding:
    """Whether ``kb watch``, where it runs, answers, its last run succeeded, and no dead one left its socket behind."""
    answer, holder = case.daemon, case.holder
    if answer.silent:
        pid = answer.pid or (holder.owner.pid if holder.owner and holder.alive else 0)
        return failed(
            "kb watch (process {pid}) does not answer",
            Remedy(
                shell.end_process(pid or "PID", at_once=True),
                "End it: " if WINDOWS else f"Resume it with kill -CONT {pid or 'PID'} if it is suspended, or end it: ",
            ),
            pid=pid,
        )
    if answer.refused:
        return failed("kb watch refuses to answer: {reason}", restart(case), reason=answer.refused)
    if answer.status is not None:
        return _running(case, answer.status)
    if holder.is_daemon and holder.owner:
        return _unreachable(case, holder.owner.pid)
    left = [one for one in addresses_of(case.store, case.environ) if os.path.lexists(one) and is_safe(one)]
    if left:
        return warning(
            "not running; one that died left its socket behind",
            shell.remove(left),
            *(Fix("remove the socket of a daemon that died", partial(_remove, one)) for one in left),
        )
    return ok("not running: each command opens the store itself")


def _running(case: Case, status: Mapping[str, Any]) -> Finding:
    errors = [str(one) for one in status.get("errors", ())]
    if errors:
        return warning(
            "its last index run failed: {error}",
            Remedy(case.command("index"), after=", which shows what fails"),
            error=errors[-1],
        )
    state, waiting = str(status.get("state", "")), int(status.get("waiting", 0))
    return ok(
        "kb watch answers: {state}, process {pid}",
        state=Plain(state if state in {"starting", "watching", "polling", "blind"} else "unknown"),
        pid=int(status.get("pid", 0)),
    ).with_details(("waiting", waiting), ("watches", int(status.get("watched", 0))))


def _unreachable(case: Case, pid: int) -> Finding:
    """What it means that a daemon holds the store and no socket leads to it, unless that changes in a moment."""
    until = time.monotonic() + min(_RETURNS_SECONDS, case.patience / 2)
    while time.monotonic() < until:
        if any(os.path.lexists(one) for one in addresses_of(case.store, case.environ)):
            return warning(
                "process {pid} (kb watch) has just begun to listen",
                Remedy(case.command("doctor"), after=" once more"),
                pid=pid,
            )
        owner = read_owner(case.store)
        if owner is None or owner.pid != pid:
            return ok("not running: it has just ended")
        time.sleep(_POLL_SECONDS)
    return failed(
        "process {pid} (kb watch) holds the store and cannot be reached: its socket is not where commands look",
        Remedy(
            shell.then(shell.end_process(pid), case.command("watch", "--background")),
            "If it has only just begun, wait until it has loaded its model; else ",
        ),
        pid=pid,
    )


def _remove(address: str) -> None:
    """Remove a socket, unless somebody listens at it by now."""
    from kb.service.client import connect_to

    try:
        connect_to(address).socket.close()
    except (OSError, ValueError, KeyError, TypeError):
        Path(address).unlink(missing_ok=True)


def version(case: Case) -> Finding:
    """Whether the daemon runs this version of kb, since it refuses the commands of another."""
    status = case.daemon.status
    if status is None:
        return ok("{version}; no daemon runs", version=Plain(__version__))
    theirs = str(status.get("version", "unknown"))
    if theirs != __version__:
        return failed(
            "kb watch runs kb {theirs}, and this is kb {ours}",
            restart(case),
            theirs=Plain(theirs) if _VERSION.fullmatch(theirs) else theirs,
            ours=Plain(__version__),
        )
    if status.get("protocol") != PROTOCOL:
        return failed("kb watch runs a kb {version} with other commands", restart(case), version=Plain(__version__))
    return ok("{version}, as that of the daemon", version=Plain(__version__))


def restart(case: Case) -> str:
    """The command that ends the daemon and starts it again."""
    return shell.then(case.command("watch", "--stop"), case.command("watch", "--background"))
