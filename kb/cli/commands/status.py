"""The command ``kb status``."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, Final

import click

from kb.cli.command import command
from kb.cli.options import json_option, refuse_conflicts
from kb.cli.output import formats
from kb.cli.output.reports import problems_text, status_text
from kb.cli.output.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.cli.session import Session
    from kb.privacy import PrivacyRow

# Where the facts of kb status begin.
_FACTS: Final = 13


@command(short_help="Show what is indexed and what is not.", remote=True)
@click.option("--problems", is_flag=True, help="Show only files that could not be indexed, or were read in part.")
@click.option("--privacy", is_flag=True, help="Show only what could send data, and whether it is off.")
@json_option
@click.pass_obj
def status(session: Session, problems: bool, privacy: bool, as_json: bool) -> int:
    """Show what is indexed, with which model and where, and what could not be indexed."""
    refuse_conflicts({"--problems": problems, "--privacy": privacy})
    if privacy and session.server:
        raise click.UsageError("--privacy is about this machine")
    if privacy:
        return show_privacy(session, as_json=as_json)
    daemon: dict[str, Any] | None
    if session.server:
        with session.open_server() as server:
            found = server.service_status()
        state, daemon = found.index, found.daemon
    else:
        with session.open() as kb:
            state = kb.status()
        daemon = session.daemon.status() if session.daemon else None
    if as_json:
        session.write_json(formats.status_object(state, daemon))
    elif problems:
        session.say(problems_text(state, session.style()))
        if not state.problems and not state.partly:
            session.notice("no problems")
    else:
        text = status_text(state, daemon, tesseract=bool(shutil.which("tesseract")))
        session.say(text, indent=_FACTS)
    return 0


def show_privacy(session: Session, *, as_json: bool) -> int:
    """Show what in this process could send data, and whether it is off."""
    from kb.privacy import privacy_rows

    rows = privacy_rows(session.settings())
    daemon = session.daemon is not None
    if as_json:
        session.write_json(privacy_object(rows, process=os.getpid(), daemon=daemon))
    else:
        text = privacy_text(rows, process=os.getpid(), daemon=daemon)
        # Continuation lines are aligned with the last column.
        first = text.split("\n")[1]
        session.say(text, indent=len(first) - len(one_line(rows[0].detail)))
    return 0


def privacy_text(rows: Sequence[PrivacyRow], *, process: int, daemon: bool) -> str:
    """The process, then one row a line; rows that break the promise begin with an exclamation mark."""
    wide = max(len(row.name) for row in rows)
    state = max(len(row.state) for row in rows)
    lines = [f"{'the daemon' if daemon else 'this command'}, process {process}:\n"]
    for row in rows:
        mark = " " if row.ok else "!"
        lines.append(f"{mark} {row.name:<{wide}}  {row.state:<{state}}  {one_line(row.detail)}\n")
    return "".join(lines)


def privacy_object(rows: Sequence[PrivacyRow], *, process: int, daemon: bool) -> dict[str, Any]:
    """The process and the rows as a JSON object."""
    return {
        "process": process,
        "daemon": daemon,
        "rows": [{"name": row.name, "state": row.state, "ok": row.ok, "detail": row.detail} for row in rows],
    }
