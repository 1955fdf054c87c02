"""The command ``kb tags``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import filter_options, json_option
from kb.cli.output.notices import unmatched_notices
from kb.cli.output.terminal import one_line
from kb.records import Filters

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="List the tags in use.", remote=True)
@json_option
@filter_options
@click.pass_obj
def tags(session: Session, as_json: bool, filters: Filters) -> int:
    """List the tags and the number of files with each. The exit code is 0 with tags, 1 without.

    A tag counts for the tags above it: a file tagged a/b also counts for a.
    """
    with session.open_to_ask() as kb:
        found = kb.tags(filters)
        lost = list(unmatched_notices(kb.unmatched(filters)))
    if as_json:
        session.write_json({"tags": [{"tag": tag, "files": number} for tag, number in found]})
    else:
        session.write("".join(f"{number:>6,}  #{one_line(tag)}\n" for tag, number in found))
    for notice in lost:
        session.notice(notice)
    if not found and not lost:
        session.notice("no file has a tag" if filters == Filters() else "no file that matches the filters has a tag")
    return 0 if found else 1
