"""What ``kb search``, ``kb ask`` and ``kb similar`` share: they run a query, write its answer and say what it lacks."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.cli.last_results import save_results
from kb.cli.output import formats
from kb.cli.output.notices import notices
from kb.cli.output.render import ContextLines, Detail, grep_lines, hits_text
from kb.cli.output.reports import freshness_notice
from kb.records import SearchRequest
from kb.records.wording import count
from kb.search.words import words_of

if TYPE_CHECKING:
    from kb.api.remote import RemoteKnowledgeBase
    from kb.cli.options import (
        OutputOptions,
        RankingOptions,
    )
    from kb.cli.session import Session
    from kb.ports import Knowledge
    from kb.records import Answer, Filters, Rerank

FOUND, NONE, STALE = 0, 1, 3
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def write_answer(session: Session, answer: Answer, output: OutputOptions) -> int:
    """Write an answer in the chosen format with its notices, and return the exit code."""
    style = session.style(fits=output.limit is None)
    save_results(session.client.terminal, answer, session.server)
    match output.chosen():
        case "json":
            session.write_json(formats.answer_object(answer))
        case "jsonl":
            session.write(formats.jsonl(answer))
        case "csv":
            session.write(formats.to_csv(answer))
        case "md":
            session.write(formats.markdown(answer, cwd=style.cwd, full=output.full))
        case "paths":
            files = [hit.passage.file.absolute_path for hit in answer.hits]
            session.write(formats.paths(files, cwd=style.cwd, null=output.null, exact=not session.client.stdout_tty))
        case "text":
            detail = Detail(l2=output.l2, full=output.full, around=_context_lines(answer, output.context))
            render = hits_text if style.laid_out else grep_lines
            session.write(render(answer, words_of(answer.query), style, detail))
    return finish(session, answer, output)


def warn_if_piped(session: Session, output: OutputOptions) -> None:
    """Warn that some options have no effect on piped text, if that is the output."""
    if output.chosen() == "text" and not session.style().laid_out:
        session.notice("--explain and --l2 have no effect on piped text; use --json or --color always")


def request_of(
    session: Session,
    question: str,
    output: OutputOptions,
    ranking: RankingOptions,
    *,
    filters: Filters,
    rerank: Rerank | None,
) -> SearchRequest:
    """The search that a command line asks for."""
    shows_best = _quotes(output) and (session.style().laid_out or ranking.explain)
    return SearchRequest(
        question,
        limit=output.limit,
        min_score=output.min_score,
        per_file=output.per_file,
        filters=filters,
        mode=ranking.mode,
        weak=ranking.weak,
        fold=output.fold,
        explain=ranking.explain,
        literal=ranking.literal,
        rerank=rerank,
        best_seconds=None if shows_best else 0.0,
        cwd=session.client.cwd,
    )


def _quotes(output: OutputOptions) -> bool:
    """Whether the format shows the best sentences of hits."""
    chosen = output.chosen()
    return chosen in {"json", "jsonl"} or (chosen in {"text", "md"} and not (output.full or output.context))


def index_first(session: Session, kb: Knowledge | RemoteKnowledgeBase, output: OutputOptions) -> None:
    """With --wait, index what changed on disk first; where a daemon does that, wait until it has done so."""
    if not output.wait:
        return
    if session.daemon is not None:
        session.wait_for_index(session.daemon)
        return
    from kb.api import remote

    if isinstance(kb, remote.RemoteKnowledgeBase):
        if not kb.sync():
            session.notice("some changes are not indexed yet")
        return
    with session.stoppable() as should_stop:
        if kb.index(should_stop=should_stop).interrupted:
            session.notice("indexing was interrupted; the answer may be incomplete")


def finish(session: Session, answer: Answer, output: OutputOptions) -> int:
    """Write the notices about an answer, and return the exit code."""
    reranking = answer.reranking
    if reranking and reranking.cut_off:
        session.notice(
            f"reranked {reranking.read} of {reranking.of} hits in {reranking.seconds:.1f} s (search.rerank_seconds); "
            "the rest keep their order"
        )
    folded = sum(len(hit.duplicates) for hit in answer.hits)
    if folded and not _names_duplicates(session, output):
        session.notice(f"{count(folded, 'near-duplicate')} hidden (--all shows {'it' if folded == 1 else 'them'})")
    for notice in notices(answer, session.style().cwd):
        session.notice(str(notice))
    if stale := freshness_notice(answer.index, hits=len(answer.hits), index_command=session.command("index")):
        session.notice(stale)
    if output.require_fresh and (answer.index.pending or (session.daemon and not answer.index.watching)):
        return STALE
    return FOUND if answer.hits else NONE


def _names_duplicates(session: Session, output: OutputOptions) -> bool:
    """Whether the output names the near-duplicates of each hit: all formats but bare lines and paths do."""
    chosen = output.chosen()
    return session.style().laid_out if chosen == "text" else chosen != "paths"


def _context_lines(answer: Answer, count: int) -> dict[str, ContextLines]:
    """The context lines of each hit whose file is unchanged. Each file is read once."""
    if not count:
        return {}
    files: dict[str, list[str]] = {}
    found: dict[str, ContextLines] = {}
    for hit in answer.hits:
        passage = hit.passage
        path = passage.file.absolute_path
        if hit.changed or not passage.exact:
            found[passage.id] = ContextLines()
            continue
        if path not in files:
            files[path] = read_lines(path)
        found[passage.id] = context_of(files[path], passage.text, passage.first_line, passage.last_line, count)
    return found


def read_lines(path: str) -> list[str]:
    """The lines of a file; none if it cannot be read."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return []
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    text = data.decode(encoding, "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def context_of(lines: list[str], text: str, first: int, last: int, count: int) -> ContextLines:
    """Up to ``count`` lines before and after a passage; none if the file no longer has the passage at its lines."""
    if text.strip("\n") not in "\n".join(lines[first - 1 : last]):
        return ContextLines()
    after = lines[last : last + count]
    if last + count >= len(lines) and after and not after[-1]:
        after.pop()
    return ContextLines(tuple(lines[max(0, first - 1 - count) : first - 1]), tuple(after))
