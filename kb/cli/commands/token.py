"""The command ``kb token``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import refuse_conflicts
from kb.cli.output.terminal import sanitize

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Print the token that programs need.", local=True)
@click.option("--new", "renews", is_flag=True, help="Replace the token; the former one is refused at once.")
@click.option("--file", "shows_file", is_flag=True, help="Print where the token is kept instead.")
@click.pass_obj
def token(session: Session, *, renews: bool, shows_file: bool) -> int:
    """Print the token that programs send to kb watch --http, and make it where there is none.

    Programs send it as Authorization: Bearer TOKEN. It is in a file that only you can read.
    """
    from kb.api.token import TokenFile

    refuse_conflicts({"--new": renews, "--file": shows_file})
    file = TokenFile.of(os.environ)
    if shows_file:
        session.write(sanitize(f"{file.path}\n"))
    else:
        session.write(f"{file.renewed() if renews else file.made()}\n")
    return 0
