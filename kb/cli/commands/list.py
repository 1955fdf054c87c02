"""The command ``kb list``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from kb.cli.command import command
from kb.cli.options import filter_options, json_option, limit_option, refuse_conflicts
from kb.cli.output import formats
from kb.cli.output.notices import unmatched_notices
from kb.cli.output.reports import list_text
from kb.records import Filters
from kb.search.filters import day_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.cli.session import Session
    from kb.records import KnownFile

# What the files are sorted by, the newest or largest first; by path they are anyway.
_ORDERS: Final[dict[str, Callable[[KnownFile], tuple[int, int]] | None]] = {
    "path": None,
    "date": lambda file: (day_of(file).toordinal(), file.stat.mtime_ns),
    "size": lambda file: (file.stat.size, 0),
}


@command(short_help="List the indexed files.", remote=True)
@click.option("-l", "--long", is_flag=True, help="Also show passages, size, date, language, title and tags.")
@click.option("-0", "--null", is_flag=True, help="End each path with NUL, for xargs -0.")
@json_option
@click.option(
    "--sort", type=click.Choice(list(_ORDERS)), default="path", help="Newest or largest first.  [default: path]"
)
@limit_option("files")
@filter_options
@click.pass_obj
def list_files(
    session: Session, *, long: bool, null: bool, as_json: bool, sort: str, limit: int | None, filters: Filters
) -> int:
    """List the indexed files. The exit code is 0 with files, 1 without."""
    refuse_conflicts({"--long": long, "--null": null, "--json": as_json})
    with session.open_to_ask() as kb:
        files = kb.documents(filters)
        if order := _ORDERS[sort]:
            files = sorted(files, key=order, reverse=True)
        lost = list(unmatched_notices(kb.unmatched(filters)))
    style = session.style()
    for notice in lost:
        session.notice(notice)
    if not files and not lost:
        session.notice("the index is empty" if filters == Filters() else "nothing matches")
    first = files[:limit]
    if as_json:
        session.write_json({"files": [formats.file_object(file) for file in first], "total": len(files)})
        return 0 if files else 1
    if long:
        session.write(list_text(first, style))
    else:
        paths = [file.absolute_path for file in first]
        session.write(formats.paths(paths, cwd=style.cwd, null=null, exact=not session.client.stdout_tty))
    session.notice_more("file", len(first), len(files))
    return 0 if files else 1
