"""The command ``kb ask``."""

from __future__ import annotations

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
from kb.cli.output.replies import cited, reply_markdown, reply_object, reply_text
from kb.cli.querying import finish, index_first, request_of, write_answer

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.records import Filters, Reply, Rerank


@command(short_help="Answer in sentences of your files, with their sources.", takes_text=True)
@click.argument("question", nargs=-1, required=True)
@click.option("--sources", is_flag=True, help="Show the text that is quoted under each source.")
@output_options
@ranking_options
@filter_options
@rerank_option
@click.pass_obj
def ask(
    session: Session,
    question: tuple[str, ...],
    *,
    sources: bool,
    output: OutputOptions,
    ranking: RankingOptions,
    filters: Filters,
    rerank: Rerank | None,
) -> int:
    """Answer a QUESTION in the one to three sentences of your files that answer it best, with their sources.

    '-' reads the question from standard input. The exit code is 0 with an answer, 1 without, 2 on an error.
    """
    chosen = output.chosen()
    text = question_of(session, question)
    with session.open() as kb:
        index_first(session, kb, output)
        reply = kb.ask(request_of(session, text, output, ranking, filters=filters, rerank=rerank))
    # These formats are about hits, not about sentences.
    if chosen in {"jsonl", "csv", "paths"} or output.full or output.context:
        return write_answer(session, reply.answer, output)
    return write_reply(session, reply, output, sources=sources)


def write_reply(session: Session, reply: Reply, output: OutputOptions, *, sources: bool) -> int:
    """Write a reply as text, Markdown or JSON with its notices, and return the exit code."""
    style = session.style()
    match output.chosen():
        case "json":
            session.write_json(reply_object(reply))
        case "md" if reply.quotes:
            session.write(reply_markdown(reply, style.cwd))
        case _ if reply.quotes:
            session.write(reply_text(reply, style, quoted=sources))
    if reply.quotes:
        save_results(session.client.terminal, cited(reply))
    return finish(session, reply.answer, output)
