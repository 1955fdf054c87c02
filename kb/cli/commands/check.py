"""The command ``kb check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import json_option
from kb.cli.output import formats
from kb.cli.output.reports import check_text

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Check files, catalog and vectors against each other.")
@click.option("--repair", is_flag=True, help="Repair the differences.")
@json_option
@click.pass_obj
def check(session: Session, repair: bool, as_json: bool) -> int:
    """Compare the files on disk, the catalog and the vectors, and report the differences.

    The exit code is 0 if nothing differs, or nothing does after the repair, else 1.
    """
    with session.open() as kb:
        report = kb.check(repair=repair)
    session.write_report(formats.check_object(report), check_text(report, repair=repair), as_json=as_json)
    return 1 if report.differences else 0
