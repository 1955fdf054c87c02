"""The command ``kb ask``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.last_results import save_results
from kb.cli.options import (
    OutputOptions,
    RankingOptions,
    filter_options,
    output_options,
    question_of,
    ranking_options,
    rerank_option,
)
from kb.cli.output.render import Detail, ask_text
from kb.cli.querying import finish, index_first, request_of, write_answer
from kb.search.words import words_of

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.records import Filters, Rerank

_ASK_LIMIT = 5


@command(short_help="Quote the passage that answers best, with its source.", takes_text=True)
@click.argument("question", nargs=-1, required=True)
@output_options
@ranking_options
@filter_options
@rerank_option
@click.pass_obj
def ask(
    session: Session,
    question: tuple[str, ...],
    *,
    output: OutputOptions,
    ranking: RankingOptions,
    filters: Filters,
    rerank: Rerank | None,
) -> int:
    """Quote the passage that best answers a QUESTION, with its source, then list the next ones."""
    chosen = output.chosen()
    text = question_of(session, question)
    style = session.style(fits=output.limit is None)
    output = replace(output, limit=output.limit or _ASK_LIMIT)
    with session.open() as kb:
        index_first(session, kb, output)
        answer = kb.search(request_of(session, text, output, ranking, filters=filters, rerank=rerank))
    # All hits are shown as whole passages, so none is singled out.
    if chosen != "text" or output.full or output.context:
        return write_answer(session, answer, output)
    save_results(session.client.terminal, answer)
    session.write(ask_text(answer, words_of(answer.query), style, Detail(l2=output.l2)))
    return finish(session, answer, output)
