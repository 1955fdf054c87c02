"""The command ``kb import``."""  # noqa: N999 - the commands are named by their modules

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import file_names, json_option
from kb.cli.output.transfers import import_text, transfer_object

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Bring in vectors that another machine computed.")
@click.argument("file", shell_complete=file_names)
@json_option
@click.pass_obj
def import_(session: Session, *, file: str, as_json: bool) -> int:
    """Bring the vectors of FILE, which kb export --vectors or kb backup wrote, into the embedding cache.

    kb index then embeds only what is not among them. They have to be of the same model; the file is checked first.
    """
    with session.open() as kb, session.stoppable() as should_stop:
        report = kb.import_vectors(session.place(file), should_stop=should_stop)
    session.write_report(transfer_object(report), import_text(report), as_json=as_json)
    return 0
