"""The command ``kb restore``."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import file_names, json_option
from kb.cli.output.transfers import restore_text, transfer_object
from kb.location import expanded
from kb.system.paths import real_path, with_slashes

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Restore a backup into the store.", local=True)
@click.argument("file", shell_complete=file_names)
@click.option("--force", is_flag=True, help="Replace a store that is not empty.")
@click.option(
    "--folder", "moved", multiple=True, metavar="OLD=NEW", help="The new place of a moved folder. Repeatable."
)
@json_option
@click.pass_obj
def restore(session: Session, *, file: str, force: bool, moved: tuple[str, ...], as_json: bool) -> int:
    """Restore a backup: FILE, or the newest one in a folder of backups.

    It is checked first, and the store is replaced at once or not at all. Where the files are as they were, the next
    kb index embeds nothing, on another machine too.
    """
    from kb.restore import restore as restore_store

    folders = dict(_folders(session, one) for one in moved)
    with session.stoppable() as should_stop:
        report = restore_store(
            session.settings(),
            session.place(file),
            folders=folders,
            force=force,
            warn=session.notice,
            should_stop=should_stop,
        )
    session.write_report(transfer_object(report), restore_text(report), as_json=as_json)
    return 0


def _folders(session: Session, text: str) -> tuple[str, str]:
    """The two folders of ``OLD=NEW``. The old one need not exist here, so no link in it is resolved."""
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise click.BadParameter(f"{text!r}: write OLD=NEW, as in /home/ann/notes=~/notes", param_hint="--folder")
    return posixpath.normpath(with_slashes(expanded(old))), real_path(str(session.place(new)))
