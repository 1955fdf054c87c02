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
from kb.cli.shortage import shortage
from kb.cli.terminal import sanitize, shown_path
from kb.errors import KbError

if TYPE_CHECKING:
    from kb.cli.session import Session

INTERRUPTED = 130


@click.command(cls=Command, short_help="Update the index from the folders.")
@click.option("--full", is_flag=True, help="Read every file again; after a change of model, re-embed everything.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, without doing it.")
@click.option(
    "--accept-deletions",
    is_flag=True,
    help="Remove deleted files from the index even if most of a folder disappeared at once.",
)
@click.option("--take-over", is_flag=True, help="Take over a store that belongs to another configuration.")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print no progress and no summary; failures are still reported.")
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
    """Update the index: add new and changed files, remove deleted ones.

    A file that cannot be indexed is reported on standard error and skipped; the exit code is still 0. Ctrl-C stops
    after the current file with exit code 130, and the next run resumes from there.
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


@click.command(cls=Command, short_help="Check files, catalog and vectors against each other.")
@click.option("--repair", is_flag=True, help="Repair the differences.")
@json_option
@click.pass_obj
def check(session: Session, repair: bool, as_json: bool) -> int:
    """Compare the files on disk, the catalog and the vectors, and report the differences.

    The exit code is 0 if nothing differs or everything was repaired, else 1.
    """
    with session.open() as kb:
        report = kb.check(repair=repair)
    if as_json:
        session.write_json(formats.check_object(report))
    else:
        session.write(check_text(report))
    return 0 if report.repaired >= len(report.differences) else 1


@click.command(cls=Command, short_help="Rebuild the vector index.")
@json_option
@click.pass_obj
def rebuild(session: Session, as_json: bool) -> int:
    """Rebuild the vector index from the catalog and the embedding cache, and delete the old one."""
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
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag the note. Repeatable.")
@click.pass_obj
def note(session: Session, text: tuple[str, ...], title: str | None, tags: tuple[str, ...]) -> int:
    """Write a dated note with this TEXT to the folder and index it.

    Without TEXT, the note is read from standard input if that is piped, else written in $VISUAL or $EDITOR. The path is
    printed as soon as the file is written. From then on the exit code is 0, even if the note cannot be indexed, which
    is reported on standard error: the next index run adds it. Do not repeat the command, which would write the note
    twice.
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
    known = error if isinstance(error, KbError) else shortage(error) or KbError(str(error) or type(error).__name__)
    session.notice(f"the note is written, but not indexed: {known.message}")
    remedy = f"{known.remedy.rstrip('.')}. " if known.remedy else ""
    session.complain(f"    {sanitize(remedy)}kb index adds the note\n")
    return 0


def _note_text(session: Session, parts: tuple[str, ...]) -> str:
    if parts and parts != ("-",):
        return " ".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return session.asker.text() if parts or not session.asker.stdin_tty else session.asker.typed()
