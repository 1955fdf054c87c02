"""The command ``kb note``."""

from __future__ import annotations

import os
import stat
import traceback
from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.output.reports import failures_text
from kb.cli.output.terminal import sanitize, shown_path
from kb.cli.resource_errors import resource_error
from kb.errors import KbError, OutputError, reason_of, sentence_of
from kb.notes import require_place
from kb.service.client import INTERRUPTED
from kb.system import shell

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Write a note and index it.", takes_text=True)
@click.argument("text", nargs=-1)
@click.option("--title", help="The title of the note.  [default: its first line]")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag the note. Repeatable.")
@click.pass_obj
def note(session: Session, text: tuple[str, ...], title: str | None, tags: tuple[str, ...]) -> int:
    """Write a dated note with this TEXT to the folder and index it.

    Without TEXT, the note is read from standard input if that is piped, else typed in $VISUAL or $EDITOR; if it cannot
    be written, what was typed is kept in a temporary file. The path is printed as soon as the file is written. From
    then on the exit code is 0, even if the note cannot be indexed, which is reported on standard error: the next index
    run adds it. Do not repeat the command, which would write the note twice.
    """
    words = _note_text(session, text)
    if not words.strip():
        raise click.UsageError("the note is empty; nothing was written")
    written = False

    def on_written(path: str) -> None:
        nonlocal written
        written = True
        _take_rights(session, path)
        if session.client.given is not None:
            session.client.given.taken = True
        shown = shown_path(path, session.style().cwd)
        try:
            session.write(f"{shown}\n")
            session.flush()
        except OutputError as error:
            session.notice(f"the note is written to {shown}, but {error.message}")
        if session.client.stdout_tty:
            session.notice(f"this file is the new note; to undo: {shell.remove([shown])}")

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
    own = [one for one in report.failures if one.absolute_path == path]
    if own:
        session.write_error(failures_text(own, session.error_style()))
    return 0


def _take_rights(session: Session, path: str) -> None:
    """Take from a new note the rights that new files of its writer do not have, though the daemon wrote it."""
    umask = session.client.umask
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 - undecodable bytes
        if mode & umask:
            os.chmod(path, mode & ~umask)  # noqa: PTH101 - the same
    except OSError as error:
        if umask:
            session.notice(f"others may read the note, whose rights cannot be changed: {reason_of(error)}")


def _not_indexed(session: Session, error: BaseException) -> int:
    """Report that a note is written but could not be indexed, and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        session.notice("the note is written but not indexed yet; kb index adds it")
        return INTERRUPTED
    if session.debug:
        session.write_error(sanitize("".join(traceback.format_exception(error))), wrap=False)
    said = sentence_of(error) if isinstance(error, OSError) else str(error) or type(error).__name__
    known = error if isinstance(error, KbError) else resource_error(error) or KbError(said)
    session.notice(f"the note is written, but not indexed: {known.message}")
    remedy = f"{known.remedy.rstrip('.')}. " if known.remedy else ""
    session.hint(f"{remedy}kb index adds the note")
    return 0


def _note_text(session: Session, parts: tuple[str, ...]) -> str:
    if parts and parts != ("-",):
        return " ".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if parts or not session.client.stdin_tty:
        return session.client.text()
    # Before the editor opens: nobody writes for long to be told that there is no place for it.
    settings = session.settings_with_folders()
    require_place(settings.folder_paths()[0], settings.config.note.folder)
    return session.client.typed()
