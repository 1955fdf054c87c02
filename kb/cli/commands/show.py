"""The command ``kb show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.file_arguments import resolve_file
from kb.cli.options import file_names, json_option
from kb.cli.output import formats
from kb.cli.output.render import shown_text

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Show the passages of a file.", remote=True)
@click.argument("place", metavar="FILE[:LINE]", shell_complete=file_names)
@json_option
@click.pass_obj
def show(session: Session, place: str, as_json: bool) -> int:
    """Show the indexed passages of a file, or the one at a line.

    FILE is a path, a file name with or without its suffix, an alias or a title; a number is a hit of the last search.
    Piped output is the text alone, each line at the line number that hits give.
    """
    with session.open_to_ask() as kb:
        shown = resolve_file(session, kb, place, kb.show)
    if as_json:
        session.write_json(formats.shown_object(shown))
    else:
        session.write(shown_text(shown, session.style(), whole=shown.line is None))
    if shown.changed:
        session.notice("the file changed since it was indexed: run kb index")
    if shown.file.state == "failed":
        session.notice(f"the file could not be indexed: {shown.file.reason}")
    return 0 if shown.passages else 1
