"""The commands that keep the index in line with the folders: index, check, rebuild, note."""

from __future__ import annotations

import shlex
import traceback
from typing import TYPE_CHECKING

import click

from kb.cli import formats
from kb.cli.options import Command, json_option
from kb.cli.progress import shown_progress
from kb.cli.reports import check_text, failures_text, index_text, rebuild_text
from kb.cli.terminal import sanitize, shown_path
from kb.errors import KbError

if TYPE_CHECKING:
    from kb.cli.session import Session

INTERRUPTED = 130


@click.command(cls=Command, short_help="Bring the index in line with the folders.")
@click.option("--full", is_flag=True, help="Read every file again; after a change of model, embed again.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and do nothing.")
@click.option(
    "--accept-deletions", is_flag=True, help="Remove files from the index even where most of a folder went at once."
)
@click.option("--take-over", is_flag=True, help="Fill the store of another configuration from now on.")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary; failures are still told.")
@click.pass_obj
def index(
    session: Session,
    *,
    full: bool,
    dry_run: bool,
    accept_deletions: bool,
    take_over: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Bring the index in line with the folders: read what is new or changed, forget what is gone.

    A file that cannot be indexed is told on standard error and stops nothing: the exit code is still 0. Ctrl-C stops
    at the end of a file with exit code 130, and the next run goes on from there.
    """
    return run_index(
        session,
        full=full,
        dry_run=dry_run,
        accept_deletions=accept_deletions,
        take_over=take_over,
        as_json=as_json,
        quiet=quiet,
    )


def run_index(
    session: Session,
    *,
    full: bool = False,
    dry_run: bool = False,
    accept_deletions: bool = False,
    take_over: bool = False,
    as_json: bool = False,
    quiet: bool = False,
) -> int:
    """Bring the index in line with the folders, show how far it is, tell what was done, and give the exit code."""
    color = session.error_look().color
    with (
        session.open() as kb,
        session.stoppable() as should_stop,
        shown_progress(
            quiet=quiet, stream=session.asker.err, bar=session.has_bar(), color=color, width=session.asker.columns
        ) as on_progress,
    ):
        report = kb.index(
            full=full,
            dry_run=dry_run,
            accept_deletions=accept_deletions,
            take_over=take_over,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    if as_json:
        session.write_json(formats.index_object(report))
    elif not quiet:
        session.write(index_text(report))
    news = [one for one in report.failures if one not in report.standing]
    if news or report.standing:
        session.complain(failures_text(news, session.error_look(), standing=len(report.standing)))
    if report.interrupted:
        session.notice("stopped; run kb index to go on")
        return INTERRUPTED
    return 0


@click.command(cls=Command, short_help="Compare files, catalog and vectors.")
@click.option("--repair", is_flag=True, help="Mend what differs.")
@json_option
@click.pass_obj
def check(session: Session, repair: bool, as_json: bool) -> int:
    """Compare the files on the disk, the catalog and the vectors, and say what differs.

    The exit code is 0 where all is in order or was mended, else 1.
    """
    with session.open() as kb:
        report = kb.check(repair=repair)
    if as_json:
        session.write_json(formats.check_object(report))
    else:
        session.write(check_text(report))
    return 0 if report.repaired >= len(report.differences) else 1


@click.command(cls=Command, short_help="Build the vector index anew.")
@json_option
@click.pass_obj
def rebuild(session: Session, as_json: bool) -> int:
    """Build the vector index anew from the catalog and the embedding cache, and drop the old one."""
    with session.open() as kb:
        report = kb.rebuild()
    if as_json:
        session.write_json(formats.rebuild_object(report))
    else:
        session.write(rebuild_text(report))
    return 0


@click.command(cls=Command, short_help="Write a note and index it.")
@click.argument("text", nargs=-1)
@click.option("--title", help="The title of the note.  [default: its first line]")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag of the note. Repeatable.")
@click.pass_obj
def note(session: Session, text: tuple[str, ...], title: str | None, tags: tuple[str, ...]) -> int:
    """Write a dated note with this TEXT into the folder and index it.

    Without TEXT it is read from standard input where that is piped, else written in $VISUAL or $EDITOR. Its path is
    printed as soon as the file is written. Then the exit code is 0, also where the note could not be indexed, which is
    told on standard error: the next index run adds it, and to repeat the command would write it twice.
    """
    words = _note_text(session, text)
    if not words.strip():
        raise click.UsageError("The note is empty, nothing was written.")
    written = False

    def on_written(path: str) -> None:
        nonlocal written
        written = True
        shown = shown_path(path, session.look().cwd)
        session.write(f"{shown}\n")
        session.asker.out.flush()
        if session.is_terminal():
            session.notice(f"this file is the new note; to undo: rm {shlex.quote(shown)}")

    try:
        with session.open() as kb:
            path, report = kb.note(words, title=title, tags=tags, on_written=on_written)
    except BrokenPipeError:
        raise
    except (KbError, OSError, RuntimeError, MemoryError, KeyboardInterrupt) as error:
        if not written:
            raise
        return _not_indexed(session, error)
    # Other files that cannot be indexed are no news of this note.
    own = [one for one in report.failures if formats.absolute(one.folder, one.path) == path]
    if own:
        session.complain(failures_text(own, session.error_look()))
    return 0


def _not_indexed(session: Session, error: BaseException) -> int:
    """Say that a note is written and what kept it out of the index, and give the exit code."""
    if isinstance(error, KeyboardInterrupt):
        session.notice("the note is written, and not indexed yet; kb index adds it")
        return INTERRUPTED
    if session.debug:
        session.complain(sanitize("".join(traceback.format_exception(error))))
    known = error if isinstance(error, KbError) else KbError(str(error) or type(error).__name__)
    session.notice(f"the note is written, but not indexed: {known.message}")
    remedy = f"{known.remedy.rstrip('.')}. " if known.remedy else ""
    session.complain(f"    {sanitize(remedy)}kb index adds the note\n")
    return 0


def _note_text(session: Session, parts: tuple[str, ...]) -> str:
    if parts and parts != ("-",):
        return " ".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return session.asker.text() if parts or not session.asker.stdin_tty else session.asker.typed()
