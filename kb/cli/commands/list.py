"""The command ``kb list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import filter_options, json_option, refuse_conflicts
from kb.cli.output import formats
from kb.cli.output.notices import unmatched_notices
from kb.cli.output.reports import list_text
from kb.records import Filters

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="List the indexed files.", remote=True)
@click.option("-l", "--long", is_flag=True, help="Also show passages, size, date, language, title and tags.")
@click.option("-0", "--null", is_flag=True, help="End each path with NUL, for xargs -0.")
@json_option
@filter_options
@click.pass_obj
def list_files(session: Session, long: bool, null: bool, as_json: bool, filters: Filters) -> int:
    """List the indexed files. The exit code is 0 with files, 1 without."""
    refuse_conflicts({"--long": long, "--null": null, "--json": as_json})
    with session.open_to_ask() as kb:
        files = kb.documents(filters)
        lost = list(unmatched_notices(kb.unmatched(filters)))
    style = session.style()
    for notice in lost:
        session.notice(notice)
    if not files and not lost:
        session.notice("the index is empty" if filters == Filters() else "nothing matches")
    if as_json:
        session.write_json({"files": [formats.file_object(file) for file in files]})
    elif long:
        session.write(list_text(files, style))
    else:
        paths = [file.absolute_path for file in files]
        session.write(formats.paths(paths, cwd=style.cwd, null=null, exact=not session.client.stdout_tty))
    return 0 if files else 1
