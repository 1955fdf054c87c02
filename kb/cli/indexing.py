"""An index run with its progress and report, for every command that starts one."""

from __future__ import annotations

import time
from contextlib import ExitStack
from math import inf
from typing import TYPE_CHECKING

from kb.cli.output import formats
from kb.cli.output.reports import failures_text, index_text
from kb.formats.registry import REGISTRY
from kb.service.client import INTERRUPTED

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.ports import Knowledge


def run_index(
    session: Session,
    *,
    full: bool = False,
    dry_run: bool = False,
    accept_deletions: bool = False,
    take_over: bool = False,
    as_json: bool = False,
    quiet: bool = False,
    timeout: float | None = None,
) -> int:
    """Update the index, show progress and a report, and return the exit code.

    After ``timeout`` seconds the run is stopped; what it has done is kept.
    """
    until = inf if timeout is None else time.monotonic() + timeout
    with ExitStack() as stack:
        kb = stack.enter_context(session.open())
        gone = stack.enter_context(session.stoppable())
        if not (quiet or as_json) and session.client.stderr_tty:
            _show_forecast(session, kb)
        on_progress = stack.enter_context(session.progress(quiet=quiet))
        report = kb.index(
            full=full,
            dry_run=dry_run,
            accept_deletions=accept_deletions,
            take_over=take_over,
            on_progress=on_progress,
            should_stop=lambda: gone() or time.monotonic() >= until,
        )
        given_up = report.interrupted and not gone()
    if as_json:
        session.write_json(formats.index_object(report))
    elif not quiet:
        session.say(index_text(report))
    news = [one for one in report.failures if one not in report.standing]
    standing = sum(not REGISTRY.unread(one.path, one.reason) for one in report.standing)
    if news or standing:
        session.write_error(failures_text(news, session.error_style(), standing=standing))
    if given_up:
        session.notice(f"some changes are not indexed yet; run {session.command('index')} to resume")
        return 1
    if report.interrupted:
        session.notice(f"interrupted; run {session.command('index')} to resume")
        return INTERRUPTED
    return 0


def _show_forecast(session: Session, kb: Knowledge) -> None:
    """Say what a first run will do, if it is in this process; the daemon has its log for that."""
    from kb.app import LocalKnowledgeBase
    from kb.cli.forecast import show_forecast

    if session.daemon is None and isinstance(kb, LocalKnowledgeBase):
        show_forecast(kb.settings, kb.forecast, session.notice)
