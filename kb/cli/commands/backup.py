"""The command ``kb backup``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import file_names, json_option, refuse_conflicts
from kb.cli.output.transfers import backup_text, transfer_object, verified_text
from kb.transfer import KEPT, verify_backup

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Back up catalog and vectors, or check a backup.")
@click.argument("file", shell_complete=file_names)
@click.option(
    "--incremental", is_flag=True, help="Add what changed since the last backup to the folder FILE, which may be new."
)
@click.option(
    "--keep", type=click.IntRange(min=1), metavar="N", help=f"Keep N backups in the folder.  [default: {KEPT}]"
)
@click.option("--verify", "verifies", is_flag=True, help="Check every byte of an existing backup instead.")
@json_option
@click.pass_obj
def backup(session: Session, *, file: str, incremental: bool, keep: int | None, verifies: bool, as_json: bool) -> int:
    """Write a backup of the store to FILE, for kb restore: the text and the vectors of all indexed files.

    kb can be used meanwhile. The backup does not hold the files themselves. Only you can read FILE, unless you change
    its permissions.
    """
    refuse_conflicts({"--incremental": incremental, "--verify": verifies})
    if keep is not None and not incremental:
        raise click.UsageError("--keep needs --incremental")
    path = session.place(file)
    with session.stoppable() as should_stop:
        if verifies:
            report = verify_backup(path, should_stop)
        else:
            with session.open() as kb:
                report = kb.backup(path, incremental=incremental, keep=keep or KEPT, should_stop=should_stop)
    text = verified_text(report) if verifies else backup_text(report)
    session.write_report(transfer_object(report), text, as_json=as_json)
    return 0
