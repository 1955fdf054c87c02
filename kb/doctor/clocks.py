"""The check of the clocks: whether files, the last run and the system agree about what is past."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from kb.doctor.catalog_view import opened_catalog
from kb.doctor.finding import ok, warning
from kb.system import shell

if TYPE_CHECKING:
    from kb.doctor.case import Case
    from kb.doctor.finding import Finding
    from kb.records import KnownFile

# Clocks of servers and drives differ by seconds.
_TOLERANCE: Final = 120.0
_NANOSECONDS: Final = 1e9
_DAY: Final = 86_400
# The command that sets the clock from the network, by platform.
_SYNC: Final = {"win32": "w32tm /resync", "darwin": "sudo sntp -sS time.apple.com"}.get(
    sys.platform, "sudo timedatectl set-ntp true"
)


def clocks(case: Case) -> Finding:
    """Whether neither the last run nor a file lies in the future."""
    with opened_catalog(case) as view:
        completed, files = view.meta("completed"), view.files()
    now = case.now()
    last = _seconds(completed)
    if last is not None and last - now > _TOLERANCE:
        return warning(
            "the system's clock is {days:,.1f} days behind the last index run: it was wrong then, or is now",
            _SYNC,
            days=(last - now) / _DAY,
        )
    ahead = [file for file in files if max(file.stat.mtime_ns, _modified(file)) / _NANOSECONDS - now > _TOLERANCE]
    if ahead:
        first, folders = _place(ahead[0]), sorted({file.folder for file in ahead})
        touch = shell.touch(first) if len(ahead) == 1 else shell.touch_newer(folders)
        return warning(
            "{count:,} files were modified in the future, as {file}; their dates mislead --since and --until",
            shell.then(touch, case.command("index")),
            count=len(ahead), file=first,
        )  # fmt: skip
    return ok("nothing lies in the future")


def _place(file: KnownFile) -> str:
    return os.path.join(file.folder, file.path)  # noqa: PTH118 - undecodable bytes included


def _modified(file: KnownFile) -> int:
    """When a file was modified, in nanoseconds; 0 if it is gone."""
    try:
        return os.lstat(_place(file)).st_mtime_ns
    except OSError:
        return 0


def _seconds(moment: str | None) -> float | None:
    """A recorded time in seconds since the epoch; None if there is none, or it makes no sense."""
    try:
        found = datetime.fromisoformat(moment or "")
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
