"""The command ``kb export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.backup.tables import TABLE_FORMATS
from kb.cli.command import command
from kb.cli.options import file_names, json_option, refuse_conflicts
from kb.cli.output.terminal import escape_json
from kb.cli.output.transfers import export_text, transfer_object, vectors_text

if TYPE_CHECKING:
    from kb.backup.tables import TableFormat
    from kb.cli.session import Session

_OUTPUT = "-"


@command(short_help="Write passages for other tools, or vectors for another machine.")
@click.argument("file", shell_complete=file_names)
@click.option("--format", "kind", type=click.Choice(TABLE_FORMATS), help="Output format.  [default: jsonl]")
@click.option("--no-vectors", "plain", is_flag=True, help="Leave the vectors out.")
@click.option("--vectors", "moves", is_flag=True, help="Write only the vectors, for kb import on another machine.")
@click.option("--force", is_flag=True, help="Replace an existing FILE.")
@json_option
@click.pass_obj
def export(
    session: Session, *, file: str, kind: TableFormat | None, plain: bool, moves: bool, force: bool, as_json: bool
) -> int:
    """Write every passage to FILE, with text, place, metadata and vector: JSON Lines, or Parquet.

    With - as FILE, JSON Lines go to standard output. With --vectors, FILE has no text: take it to another machine that
    has the same files and the same model, and its kb embeds nothing.
    """
    for option, given in {"--format": kind is not None, "--no-vectors": plain, "--force": force}.items():
        refuse_conflicts({"--vectors": moves, option: given})
    if file == _OUTPUT and (moves or kind == "parquet" or as_json):
        raise click.UsageError("only JSON Lines can be written to standard output: name a file")
    with session.open() as kb, session.stoppable() as should_stop:
        if moves:
            moved = kb.export_vectors(session.place(file), should_stop=should_stop)
            session.write_report(transfer_object(moved), vectors_text(moved), as_json=as_json)
            return 0
        target = _Output(session) if file == _OUTPUT else session.place(file)
        report = kb.export(target, kind or "jsonl", vectors=not plain, replace=force, should_stop=should_stop)
    if file != _OUTPUT:
        session.write_report(transfer_object(report), export_text(report), as_json=as_json)
    return 0


class _Output:
    """Standard output of the client, for lines of JSON."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def write(self, data: bytes, /) -> int:
        """Write a line."""
        self._session.write(escape_json(data.decode()))
        return len(data)
