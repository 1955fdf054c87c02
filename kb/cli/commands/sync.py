"""The command ``kb sync``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.indexing import run_index
from kb.records.wording import count

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Wait until every change on disk is indexed.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after this time.  [default: no limit]"
)
@click.pass_obj
def sync(session: Session, timeout: float | None) -> int:
    """Wait until everything on disk at the time of the call is indexed. The exit code is 1 if it is not.

    If kb watch is running, it does the work; otherwise this is kb index.
    """
    if session.daemon is None:
        return run_index(session, timeout=timeout)
    if not session.wait_for_index(session.daemon, timeout):
        return 1
    with session.open() as kb:
        held = sum(number for _, number in kb.status().held)
    if held:
        session.notice(f"{count(held, 'missing file')} kept (run kb index --accept-deletions to drop them)")
    return 0
