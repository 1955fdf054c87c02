"""The command ``kb tags``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import filter_options, json_option, limit_option
from kb.cli.output.notices import unmatched_notices
from kb.cli.output.terminal import one_line
from kb.records import Filters

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="List the tags in use.", remote=True)
@click.argument("prefix", default="")
@json_option
@limit_option("tags")
@filter_options
@click.pass_obj
def tags(session: Session, *, prefix: str, as_json: bool, limit: int | None, filters: Filters) -> int:
    """List the tags that begin with PREFIX, or all, and the number of files with each, the most frequent first.

    A tag counts for the tags above it: a file tagged a/b also counts for a. The exit code is 0 with tags, 1 without.
    """
    wanted = prefix.removeprefix("#").casefold()
    with session.open_to_ask() as kb:
        found = [one for one in kb.tags(filters) if one[0].casefold().startswith(wanted)]
        lost = list(unmatched_notices(kb.unmatched(filters)))
    first = found[:limit]
    if as_json:
        session.write_json({"tags": [{"tag": tag, "files": number} for tag, number in first], "total": len(found)})
    else:
        session.write("".join(f"{number:>6,}  #{one_line(tag)}\n" for tag, number in first))
        session.notice_more("tag", len(first), len(found))
    for notice in lost:
        session.notice(notice)
    if not found and not lost:
        files = "file" if filters == Filters() else "file that matches the filters"
        beginning = f" that begins with {one_line(prefix)}" if prefix else ""
        session.notice(f"no {files} has a tag{beginning}")
    return 0 if found else 1
