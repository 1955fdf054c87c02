"""The command ``kb similar``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.file_arguments import resolve_file
from kb.cli.options import (
    OutputOptions,
    file_names,
    filter_options,
    output_options,
)
from kb.cli.querying import index_first, warn_if_piped, write_answer
from kb.records import SearchRequest

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.records import Filters


@command(short_help="Find passages similar to a file.", remote=True)
@click.argument("file", shell_complete=file_names)
@output_options
@filter_options
@click.pass_obj
def similar(session: Session, file: str, output: OutputOptions, filters: Filters) -> int:
    """Find the passages in other files that are nearest to an indexed FILE.

    FILE is a path, a file name with or without its suffix, an alias or a title; a number is a hit of the last search.
    """
    output.chosen()
    if output.l2:
        warn_if_piped(session, output)
    with session.open_to_ask() as kb:
        index_first(session, kb, output)
        answer = resolve_file(
            session,
            kb,
            file,
            lambda path, _: kb.search(
                SearchRequest(
                    like=path,
                    limit=output.limit,
                    min_score=output.min_score,
                    per_file=output.per_file,
                    filters=filters,
                    fold=output.fold,
                )
            ),
        )
    return write_answer(session, answer, output)
