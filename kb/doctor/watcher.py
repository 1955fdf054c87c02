"""The check of the watcher: whether the system can report changes in all folders, and why they are polled if not."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.doctor.daemon import restart
from kb.doctor.finding import Plain, Remedy, failed, ok, warning
from kb.system.users import is_own
from kb.watching.mounts import below_without_events, without_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

INOTIFY: Final = Path("/proc/sys/fs/inotify")
_PROCESSES: Final = Path("/proc")
_COUNT_SECONDS: Final = 5.0
# Room for programs that are started later, and for new directories.
_ROOM: Final = 1.5


def watcher(case: Case) -> Finding:
    """Whether the system can report changes in all folders (limits of inotify, network drives)."""
    status = case.daemon.status
    if status is not None and status.get("state") == "blind":
        return failed(
            "kb watch notices no changes: {reason}",
            restart(case),
            reason=str(status.get("reason", "")),
        )
    limited = _beyond_limits(case)
    if limited is not None:
        return limited
    config = case.settings.config.watch
    if config.polling:
        return ok("folders are looked at every {seconds:g} s, as configured", seconds=config.poll_seconds)
    for folder in case.settings.folder_paths():
        if reason := without_events(folder) or below_without_events(folder):
            return warning(
                "{reason}; kb watch looks at the folders every {seconds:g} s",
                Remedy(case.command("-s", "watch.poll_seconds=5", "watch"), "To look more often: "),
                reason=reason, seconds=config.poll_seconds,
            )  # fmt: skip
    return ok("the system reports changes").with_details(*_limits())


def _limits() -> Iterator[tuple[str, object]]:
    for name in ("max_user_watches", "max_user_instances"):
        if (limit := _limit(name)) is not None:
            yield name, limit


def _beyond_limits(case: Case) -> Finding | None:
    """What is wrong with the limits of inotify for the configured folders; None if they suffice."""
    watches, instances = _limit("max_user_watches"), _limit("max_user_instances")
    if watches is None or instances is None or case.settings.config.watch.polling:
        return None
    status = case.daemon.status
    if status is not None:
        # It has its watches already, or says that it got too few.
        lacking = "max_user_watches" in str(status.get("reason", ""))
        return _too_few("max_user_watches", watches, _directories(case), 0) if lacking else None
    used_watches, used_instances = _in_use()
    directories = _directories(case)
    if directories + used_watches > watches:
        return _too_few("max_user_watches", watches, directories, used_watches)
    needed = len(case.settings.folder_paths())
    if needed + used_instances > instances:
        return _too_few("max_user_instances", instances, needed, used_instances)
    return None


def _too_few(name: str, limit: int, needed: int, used: int) -> Finding:
    better = max(int((needed + used) * _ROOM), limit * 2)
    return warning(
        "fs.inotify.{name} is {limit:,}: {needed:,} are needed and {used:,} are in use, so kb watch polls",
        f"sudo sysctl fs.inotify.{name}={better}",
        name=Plain(name), limit=limit, needed=needed, used=used,
    )  # fmt: skip


def _limit(name: str) -> int | None:
    """A limit of inotify; None on systems that have none."""
    try:
        return int((INOTIFY / name).read_text("ascii"))
    except (OSError, ValueError):
        return None


def _directories(case: Case) -> int:
    """How many directories are in the folders; of a very large tree, those that were counted in some seconds."""
    until = time.monotonic() + min(_COUNT_SECONDS, case.patience / 2)
    count = 0
    for folder in case.settings.folder_paths():
        for _ in os.walk(folder):
            count += 1
            if time.monotonic() > until:
                return count
    return count


def _in_use() -> tuple[int, int]:
    """How many watches and instances of inotify the programs of this user have."""
    watches = instances = 0
    for process in _PROCESSES.iterdir():
        if not process.name.isdigit():
            continue
        try:
            if not is_own(process.stat()):
                continue
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) == "anon_inode:inotify":  # noqa: PTH115 - not a path
                    instances += 1
                    watches += (process / "fdinfo" / descriptor.name).read_text("ascii").count("inotify wd:")
        except OSError:
            # It ended, or is another user's.
            continue
    return watches, instances
