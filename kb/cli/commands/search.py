"""The command ``kb search``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.options import (
    OutputOptions,
    RankingOptions,
    filter_options,
    output_options,
    question_of,
    ranking_options,
    rerank_option,
)
from kb.cli.querying import index_first, request_of, warn_if_piped, write_answer

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.records import Filters, Rerank


@command(short_help="Find the passages nearest to a question.", takes_text=True, remote=True)
@click.argument("question", nargs=-1, required=True)
@output_options
@ranking_options
@filter_options
@rerank_option
@click.pass_obj
def search(
    session: Session,
    question: tuple[str, ...],
    *,
    output: OutputOptions,
    ranking: RankingOptions,
    filters: Filters,
    rerank: Rerank | None,
) -> int:
    """Find the passages nearest to a QUESTION. '-' reads the question from standard input.

    In the question, "exact words" must appear in a passage and -word must not; tag:, path:, type:, lang:, since: and
    until: select files. --literal turns all of this off. Put -- before a question that begins with a minus.

    Piped output has one hit per line, path:line:text. The exit code is 0 with hits, 1 without, 2 on an error.
    """
    if ranking.explain or output.l2:
        warn_if_piped(session, output)
    text = question_of(session, question)
    with session.open_to_ask() as kb:
        index_first(session, kb, output)
        answer = kb.search(request_of(session, text, output, ranking, filters=filters, rerank=rerank))
    return write_answer(session, answer, output)
