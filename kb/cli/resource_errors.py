"""Describes errors for which the system lacks memory, files or threads."""

from __future__ import annotations

import errno
from typing import Final

from kb.errors import KbError
from kb.service.address import FILES_REMEDY

_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})
_PROCESSES: Final = frozenset({errno.EAGAIN})
_NO_THREAD: Final = "can't start new thread"


def resource_error(error: BaseException) -> KbError | None:
    """Return an error with a remedy, if the system lacks a resource; else None."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return KbError(
            "there is not enough memory",
            "Close other programs, lower embed.batch_tokens, or set embed.model to a smaller one",
        )
    if number in _FILES:
        return KbError("too many files are open", f"Run it again after this: {FILES_REMEDY}")
    if number in _PROCESSES or (isinstance(error, RuntimeError) and _NO_THREAD in str(error)):
        return KbError(
            "the system gives this user no more threads or processes",
            "End other programs, or raise the limit with ulimit -u (TasksMax of a systemd unit)",
        )
    return None
