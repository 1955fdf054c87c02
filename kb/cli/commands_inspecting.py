"""The commands that look at what is indexed: show, list, status."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

from kb.cli import formats
from kb.cli.naming import of_file
from kb.cli.notices import unmatched_notices
from kb.cli.options import Command, file_names, filter_options, json_option
from kb.cli.privacy import tell_privacy
from kb.cli.render import shown_text
from kb.cli.reports import failure_line, list_text, status_text
from kb.records import Filters

if TYPE_CHECKING:
    from kb.cli.session import Session


@click.command(cls=Command, short_help="Show the passages of a file.")
@click.argument("place", metavar="FILE[:LINE]", shell_complete=file_names)
@json_option
@click.pass_obj
def show(session: Session, place: str, as_json: bool) -> int:
    """Show the indexed passages of a file, or the one at a line.

    FILE is a path, a file name with or without its suffix, an alias or a title; a number is a hit of the last search.
    Piped output is the text alone, each line at the line number that hits give.
    """
    with session.open() as kb:
        shown = of_file(session, kb, place, kb.show)
    if as_json:
        session.write_json(formats.shown_object(shown))
    else:
        session.write(shown_text(shown, session.look(), whole=shown.line is None))
    if shown.changed:
        session.notice("the file changed since it was indexed: run kb index")
    if shown.file.state == "failed":
        session.notice(f"the file could not be indexed: {shown.file.reason}")
    return 0 if shown.passages else 1


@click.command("list", cls=Command, short_help="List the indexed files.")
@click.option("-l", "--long", is_flag=True, help="Also show passages, size, date, language, title and tags.")
@click.option("-0", "--null", is_flag=True, help="End each path with NUL, for xargs -0.")
@json_option
@filter_options
@click.pass_obj
def list_files(session: Session, long: bool, null: bool, as_json: bool, filters: Filters) -> int:
    """List the indexed files. The exit code is 0 with files, 1 without."""
    if long + null + as_json > 1:
        raise click.UsageError("--long, --null and --json cannot be had together: choose one")
    with session.open() as kb:
        files = kb.documents(filters)
        lost = list(unmatched_notices(kb.unmatched(filters)))
    look = session.look()
    for told in lost:
        session.notice(told)
    if not files and not lost:
        session.notice("the index is empty" if filters == Filters() else "nothing matches")
    if as_json:
        session.write_json({"files": [formats.file_object(file) for file in files]})
    elif long:
        session.write(list_text(files, look))
    else:
        keys = [file.key for file in files]
        session.write(formats.paths(keys, cwd=look.cwd, null=null, exact=not session.is_terminal()))
    return 0 if files else 1


@click.command(cls=Command, short_help="Show what is indexed and what is not.")
@click.option("--problems", is_flag=True, help="Show only the files that could not be indexed, and why.")
@click.option("--privacy", is_flag=True, help="Show only what could send data, and whether it is off.")
@json_option
@click.pass_obj
def status(session: Session, problems: bool, privacy: bool, as_json: bool) -> int:
    """Show what is indexed, with which model and where, and what could not be indexed."""
    if problems and privacy:
        raise click.UsageError("--problems and --privacy cannot be had together: choose one")
    if privacy:
        return tell_privacy(session, as_json=as_json)
    with session.open() as kb:
        state = kb.status()
    owner = session.owner.status() if session.owner else None
    if as_json:
        session.write_json(formats.status_object(state, owner))
    elif problems:
        session.write("".join(failure_line(one, session.look()) for one in state.problems))
        if not state.problems:
            session.notice("no problems")
    else:
        session.write(status_text(state, session.look(), owner, tesseract=bool(shutil.which("tesseract"))))
    return 0
