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
    refuse_conflicts,
    rerank_option,
)
from kb.cli.output.replies import cited, reply_markdown, reply_notices, reply_object, reply_text
from kb.cli.output.terminal import sanitize
from kb.cli.querying import FOUND, NONE, STALE, finish, index_first, request_of, write_answer
from kb.errors import Cancelled
from kb.records import Step
from kb.service.client import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.cli.session import Session
    from kb.records import Claim, Filters, Reply, Rerank


@command(short_help="Answer in sentences of your files, with their sources.", takes_text=True, remote=True)
@click.argument("question", nargs=-1, required=True)
@click.option("-m", "--model", metavar="MODEL", help="Have this language model answer.  [default: answer.model]")
@click.option("--no-llm", is_flag=True, help="Answer without a language model.")
@click.option("--show-prompt", is_flag=True, help="Print what a language model would be sent, and send nothing.")
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
    model: str | None,
    no_llm: bool,
    show_prompt: bool,
    sources: bool,
    output: OutputOptions,
    ranking: RankingOptions,
    filters: Filters,
    rerank: Rerank | None,
) -> int:
    """Answer a QUESTION in the one to three sentences of your files that answer it best, with their sources.

    With answer.model or --model, a language model answers from the passages found. Of what it writes, only sentences
    with a quote that stands in your files are shown; that does not prove that the sentence follows from the quote.

    '-' reads the question from standard input. The exit code is 0 with an answer, 1 without, 2 on an error.
    """
    chosen = output.chosen()
    refuse_conflicts({"--model": model is not None, "--no-llm": no_llm, "--show-prompt": show_prompt})
    if session.server and (model is not None or no_llm or show_prompt):
        raise click.UsageError("--model, --no-llm and --show-prompt are for this machine: the server chooses its model")
    text = question_of(session, question)
    request = request_of(session, text, output, ranking, filters=filters, rerank=rerank)
    if chosen in {"text", "md"}:
        # The sentences of the answer are shown, not those of the hits.
        request = replace(request, best_seconds=0.0)
    if session.server:
        with session.open_server() as server:
            index_first(session, server, output)
            reply = server.ask(request)
    else:
        with session.open() as kb:
            index_first(session, kb, output)
            if show_prompt:
                prompt = kb.prompt(request)
                session.write(f"{prompt.system}\n{sanitize(prompt.user)}\n")
                return FOUND
            try:
                with session.stoppable() as should_stop:
                    chosen_model = "" if no_llm else model
                    reply = kb.ask(request, model=chosen_model, on_step=steps(session), should_stop=should_stop)
            except Cancelled:
                return INTERRUPTED
    # These formats are about hits, not about sentences.
    if chosen in {"jsonl", "csv", "paths"} or output.full or output.context:
        return write_answer(session, reply.answer, output)
    return write_reply(session, reply, output, sources=sources)


def steps(session: Session) -> Callable[[Step | Claim], None]:
    """Return a function that says where a language model is asked, and on a terminal that it is asked once more."""

    def tell(step: Step | Claim) -> None:
        if isinstance(step, Step) and (
            step.kind == "asking" or (step.kind == "repairing" and session.client.stderr_tty)
        ):
            session.notice(step.text)

    return tell


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
        save_results(session.client.terminal, cited(reply), session.server)
    for line in reply_notices(reply, style.cwd):
        session.notice(line)
    # The hits are not shown, so it says nothing that there are more of them.
    code = finish(session, replace(reply.answer, below=0), output)
    return code if reply.quotes or code == STALE else NONE
