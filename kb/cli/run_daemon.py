"""Runs the daemon in this process, with its log and its signals."""

from __future__ import annotations

import logging
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from kb.cli.output.terminal import sanitize
from kb.cli.resource_errors import resource_error
from kb.errors import KbError
from kb.service.client import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from kb.cli.daemon import Daemon
    from kb.cli.session import Session

# The exit code by which shells report SIGTERM: 128 plus its number.
TERMINATED: Final = 143
_LOG_BYTES: Final = 1_000_000
_LOG_FILES: Final = 3


def run_daemon(session: Session, *, folders_given: bool, log_file: str | None) -> int:
    """Run the daemon in this process until a signal or a request stops it."""
    from kb.cli.daemon import Daemon

    with _log(session, log_file) as logger:
        daemon = Daemon(
            session.settings,
            folders_given=folders_given,
            say=lambda text: logger.info("%s", sanitize(text)),
            run=session.run or _nothing,
            log=log_file or "",
        )
        # Until commands are answered, either signal ends it as Ctrl-C does.
        signal.signal(signal.SIGTERM, _terminated)
        try:
            daemon.serve(lambda: _stop_on_signals(daemon))
        except KeyboardInterrupt as error:
            logger.info("stopped during startup")
            return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
        except (KbError, MemoryError, OSError, RuntimeError) as error:
            known = resource_error(error) or error
            if log_file:
                logger.info("%s", sanitize(str(known)))
            raise known from error
    return 0


class Terminated(KeyboardInterrupt):
    """SIGTERM was received; handled like Ctrl-C."""


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _nothing(_args: Sequence[str], _session: Session) -> int:
    """Stands in for the command line in a session that has none."""
    raise KbError("this session runs no other commands")


def _stop_on_signals(daemon: Daemon) -> None:
    """From here on, SIGTERM, Ctrl-C, and on Windows the end of the console stop the daemon in an orderly way."""
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, lambda _number, _frame: daemon.stop())


@contextmanager
def _log(session: Session, file: str | None) -> Iterator[logging.Logger]:
    """The log: a file of limited size, else standard error."""
    handler: logging.Handler
    if file:
        from logging.handlers import RotatingFileHandler

        handler = RotatingFileHandler(
            file, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8", errors="replace"
        )
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    else:
        handler = logging.StreamHandler(session.client.err)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("kb.watching.log")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        handler.close()
