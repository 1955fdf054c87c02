"""The command ``kb rebuild``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import json_option
from kb.cli.output import formats
from kb.cli.output.reports import rebuild_text

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Rebuild the vector index.")
@json_option
@click.pass_obj
def rebuild(session: Session, as_json: bool) -> int:
    """Rebuild the vector index from the catalog and the embedding cache, and delete the old one."""
    with session.open() as kb:
        report = kb.rebuild()
    session.write_report(formats.rebuild_object(report), rebuild_text(report), as_json=as_json)
    return 0
