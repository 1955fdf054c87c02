"""The commands that ask: search, ask, similar."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from kb.cli import formats
from kb.cli.naming import of_file
from kb.cli.notices import notices
from kb.cli.options import (
    Asking,
    Command,
    Ranking,
    asking_options,
    file_names,
    filter_options,
    question_of,
    ranking_options,
    rerank_option,
)
from kb.cli.recall import remember
from kb.cli.render import Detail, Surroundings, ask_text, grep_lines, hits_text
from kb.cli.reports import freshness_notice
from kb.records import SearchRequest
from kb.search.words import words_of

if TYPE_CHECKING:
    from kb.cli.session import Knowledge, Session
    from kb.records import Answer, Filters, Rerank

FOUND, NONE, STALE = 0, 1, 3
_ASK_LIMIT = 5


@click.command(cls=Command, short_help="Find the passages nearest to a question.")
@click.argument("question", nargs=-1, required=True)
@asking_options
@ranking_options
@filter_options
@rerank_option
@click.pass_obj
def search(
    session: Session,
    question: tuple[str, ...],
    *,
    asking: Asking,
    ranking: Ranking,
    filters: Filters,
    rerank: Rerank | None,
) -> int:
    """Find the passages nearest to a QUESTION. '-' reads the question from standard input.

    In the question, "exact words" must appear in a passage and -word must not; tag:, path:, type:, lang:, since: and
    until: select files. --literal turns all of this off. Put -- before a question that begins with a minus.

    Piped output has one hit per line, path:line:text. The exit code is 0 with hits, 1 without, 2 on an error.
    """
    if ranking.explain or asking.l2:
        _tell_of_no_place(session, asking)
    text = question_of(session, question)
    with session.open() as kb:
        _waited(session, kb, asking)
        answer = kb.search(_request(session, text, asking, ranking, filters=filters, rerank=rerank))
    return write_answer(session, answer, asking)


@click.command(cls=Command, short_help="Quote the passage that answers best, with its source.")
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
        _waited(session, kb, asking)
        answer = kb.search(_request(session, text, asking, ranking, filters=filters, rerank=rerank))
    # Whole passages are asked for of every hit, so no one stands out.
    if chosen != "text" or asking.full or asking.context:
        return write_answer(session, answer, asking)
    remember(session.asker.terminal, answer)
    session.write(ask_text(answer, words_of(answer.asked), look, Detail(l2=asking.l2)))
    return _told(session, answer, asking)


@click.command(cls=Command, short_help="Find passages similar to a file.")
@click.argument("file", shell_complete=file_names)
@asking_options
@filter_options
@click.pass_obj
def similar(session: Session, file: str, asking: Asking, filters: Filters) -> int:
    """Find the passages in other files that are nearest to an indexed FILE.

    FILE is a path, a file name with or without its suffix, an alias or a title; a number is a hit of the last search.
    """
    asking.chosen()
    if asking.l2:
        _tell_of_no_place(session, asking)
    with session.open() as kb:
        _waited(session, kb, asking)
        answer = of_file(
            session,
            kb,
            file,
            lambda path, _: kb.search(
                SearchRequest(
                    like=path,
                    limit=asking.limit,
                    min_score=asking.min_score,
                    per_file=asking.per_file,
                    filters=filters,
                    fold=asking.fold,
                )
            ),
        )
    return write_answer(session, answer, asking)


def write_answer(session: Session, answer: Answer, asking: Asking) -> int:
    """Write an answer in the format asked for and say what has to be said about the index."""
    look = session.look(fits=asking.limit is None)
    remember(session.asker.terminal, answer)
    match asking.chosen():
        case "json":
            session.write_json(formats.answer_object(answer))
        case "jsonl":
            session.write(formats.jsonl(answer))
        case "csv":
            session.write(formats.to_csv(answer))
        case "md":
            session.write(formats.markdown(answer, cwd=look.cwd, full=asking.full))
        case "paths":
            files = formats.answer_paths(answer)
            session.write(formats.paths(files, cwd=look.cwd, null=asking.null, exact=not session.is_terminal()))
        case "text":
            detail = Detail(l2=asking.l2, full=asking.full, around=_around(answer, asking.context))
            render = hits_text if look.laid_out else grep_lines
            session.write(render(answer, words_of(answer.asked), look, detail))
    return _told(session, answer, asking)


def _tell_of_no_place(session: Session, asking: Asking) -> None:
    """Say that what was asked for has no place in the lines of a pipe, where that is what is written."""
    if asking.chosen() == "text" and not session.look().laid_out:
        session.notice("--explain and --l2 have no place in lines of a pipe: --json and --color always have")


def _request(
    session: Session, question: str, asking: Asking, ranking: Ranking, *, filters: Filters, rerank: Rerank | None
) -> SearchRequest:
    """What a command line asks."""
    shows_best = _quotes(asking) and (session.look().laid_out or ranking.explain)
    return SearchRequest(
        question,
        limit=asking.limit,
        min_score=asking.min_score,
        per_file=asking.per_file,
        filters=filters,
        mode=ranking.mode,
        weak=ranking.weak,
        fold=asking.fold,
        explain=ranking.explain,
        literal=ranking.literal,
        rerank=rerank,
        best_seconds=None if shows_best else 0.0,
    )


def _quotes(asking: Asking) -> bool:
    """Whether the format shows the best sentences of hits; a program that waits gets those by the words, at once."""
    chosen = asking.chosen()
    return chosen in {"json", "jsonl"} or (chosen in {"text", "md"} and not (asking.full or asking.context))


def _waited(session: Session, kb: Knowledge, asking: Asking) -> None:
    """Take in what is on the disk before anything is asked, where that is wished; the owner does it where one is."""
    if asking.wait and session.owner is not None:
        session.synced(session.owner)
    elif asking.wait:
        with session.stoppable() as should_stop:
            if kb.index(should_stop=should_stop).interrupted:
                session.notice("not everything on the disk could be taken in: see kb status")


def _told(session: Session, answer: Answer, asking: Asking) -> int:
    """Say what the answer lacks, and give the exit code."""
    reranking = answer.reranking
    if reranking and reranking.cut_off:
        session.notice(
            f"reranked {reranking.read} of {reranking.of} hits in {reranking.seconds:.1f} s, the time it may take "
            "(search.rerank_seconds); the others follow as they were"
        )
    folded = sum(len(hit.alike) for hit in answer.hits)
    if folded and not _names_alike(session, asking):
        session.notice(f"{folded} {'hit' if folded == 1 else 'hits'} like others folded: --all shows them")
    for told in notices(answer, session.look().cwd):
        session.notice(told)
    if notice := freshness_notice(answer.index, hits=len(answer.hits)):
        session.notice(notice)
    if asking.require_fresh and (answer.index.pending or (session.owner and not answer.index.watching)):
        return STALE
    return FOUND if answer.hits else NONE


def _names_alike(session: Session, asking: Asking) -> bool:
    """Whether what is written names the passages folded under each hit: all but bare lines and paths do."""
    chosen = asking.chosen()
    return session.look().laid_out if chosen == "text" else chosen != "paths"


def _around(answer: Answer, count: int) -> dict[str, Surroundings]:
    """The lines around each hit whose file still stands as it was indexed. Each file is read once."""
    if not count:
        return {}
    from kb.cli.nearby import around, read_lines

    files: dict[str, list[str]] = {}
    found: dict[str, Surroundings] = {}
    for hit in answer.hits:
        passage = hit.passage
        path = formats.absolute(passage.file.folder, passage.file.path)
        if hit.changed or not passage.exact:
            found[passage.id] = Surroundings()
            continue
        if path not in files:
            files[path] = read_lines(path)
        found[passage.id] = around(files[path], passage.text, passage.first_line, passage.last_line, count)
    return found
