"""The command ``kb ask``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.last_results import save_results
from kb.cli.options import (
    Asking,
    Ranking,
    asking_options,
    filter_options,
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
@asking_options
@ranking_options
@filter_options
@rerank_option
@click.pass_obj
def ask(
    session: Session,
    question: tuple[str, ...],
    *,
    asking: Asking,
    ranking: Ranking,
    filters: Filters,
    rerank: Rerank | None,
) -> int:
    """Quote the passage that best answers a QUESTION, with its source, then list the next ones."""
    chosen = asking.chosen()
    text = question_of(session, question)
    look = session.look(fits=asking.limit is None)
    asking = replace(asking, limit=asking.limit or _ASK_LIMIT)
    with session.open() as kb:
        index_first(session, kb, asking)
        answer = kb.search(request_of(session, text, asking, ranking, filters=filters, rerank=rerank))
    # Whole passages are asked for of every hit, so no one stands out.
    if chosen != "text" or asking.full or asking.context:
        return write_answer(session, answer, asking)
    save_results(session.client.terminal, answer)
    session.write(ask_text(answer, words_of(answer.asked), look, Detail(l2=asking.l2)))
    return finish(session, answer, asking)
