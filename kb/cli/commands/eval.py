"""The command that measures: eval."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kb.cli.command import command
from kb.cli.options import json_option
from kb.cli.output.evaluation import (
    evaluation_object,
    heading_text,
    missed_object,
    missed_text,
    pairs_text,
    questions_text,
    table_text,
)
from kb.cli.output.reports import failures_text, freshness_notice
from kb.errors import KbError, reason_of
from kb.records import MODE_NAMES, RERANKERS, Mode, SearchRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kb.cli.output.evaluation import Pairs
    from kb.cli.session import Session
    from kb.evaluation.judged import Judged
    from kb.evaluation.known_items import KnownItem
    from kb.evaluation.measures import Measured
    from kb.evaluation.run import Result, SearchFunction
    from kb.ports import Knowledge
    from kb.records import Hit, Rerank

_TELL_EVERY: Final = 100


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """The modes of an evaluation, and how its results are compared, saved and shown."""

    modes: tuple[Mode, ...]
    rerank: Rerank | None
    compare: str | None
    save: str | None
    per_question: bool
    as_json: bool


@command(short_help="Measure search quality on known questions.")
@click.argument("queries", required=False)
@click.argument("qrels", required=False)
@click.option("--spans", metavar="FILE", help="Answer spans: question, document, first and last offset.")
@click.option("--folder", metavar="DIR", help="Index this folder in a temporary store and search that.")
@click.option("--keep", metavar="STORE", help="Keep the index of --folder in STORE and reuse it.")
@click.option("--self", "own", is_flag=True, help="Search for your own files by their titles and headings.")
@click.option(
    "--questions",
    type=click.IntRange(min=1),
    default=200,
    metavar="N",
    help="Number of questions for --self.  [default: 200]",
)
@click.option("--seed", type=int, default=1, metavar="N", help="Random seed that selects the questions for --self.")
@click.option(
    "--mode", "modes", multiple=True, type=click.Choice(MODE_NAMES), help="Search mode. Repeatable.  [default: all]"
)
@click.option(
    "--rerank", type=click.Choice(RERANKERS[1:]), metavar="BY", help="Also run each mode with its hits reranked."
)
@click.option("--compare", metavar="RUN", help="Compare with a run in TREC format.")
@click.option("--save", metavar="RUN", help="Write the run in TREC format; needs a single mode.")
@click.option("--per-query", "per_question", is_flag=True, help="Show the result of each question.")
@json_option
@click.pass_obj
def evaluate(
    session: Session,
    queries: str | None,
    qrels: str | None,
    *,
    spans: str | None,
    folder: str | None,
    keep: str | None,
    own: bool,
    questions: int,
    seed: int,
    modes: tuple[str, ...],
    rerank: Rerank | None,
    compare: str | None,
    save: str | None,
    per_question: bool,
    as_json: bool,
) -> int:
    """Run the QUERIES and measure whether the files named in QRELS come first.

    QUERIES is queries.tsv (id, tab, text) or queries.jsonl ("_id", "text"), or the folder that contains it. QRELS has
    BEIR's three columns or TREC's four; by default it is looked for beside QUERIES. A document is named by its path or
    file name, with or without the suffix. If a spans.tsv gives the character ranges of the answers, those are measured
    too.

    With --self, the questions are titles and headings of your own files, each removed from its file before the search;
    those whose file is not in the top ten are listed.
    """
    from kb.evaluation.judged import read_judged

    ways = tuple(Mode(mode) for mode in modes or MODE_NAMES)
    options = EvalOptions(ways, rerank, _there(session, compare), _there(session, save), per_question, as_json)
    if save and (rerank or len(options.modes) > 1):
        raise click.UsageError("--save needs a single --mode and no --rerank")
    if keep and not folder:
        raise click.UsageError("--keep requires --folder")
    if own == bool(queries) or (own and folder):
        raise click.UsageError("give either QUERIES or --self")
    if own:
        return _known_items(session, questions, seed, options)
    judged = read_judged(_there(session, queries) or "", _there(session, qrels), _there(session, spans))
    with _asked(session, _there(session, folder), _there(session, keep)) as kb:
        return _evaluated(session, kb, judged, options)


def _known_items(session: Session, count: int, seed: int, options: EvalOptions) -> int:
    """Search for files by titles and headings removed from them, in a temporary index."""
    from kb.evaluation.known_items import Withheld, judged, known_items

    with tempfile.TemporaryDirectory(prefix="kb-eval-") as made, session.open() as kb:
        files = kb.documents()
        items = known_items(files, lambda file: kb.show(file.absolute_path), count, seed)
        if not items:
            raise KbError(
                "no indexed file has a title or heading to search for",
                "Run kb index first; a title needs at least three words and must be unique",
            )
        with kb.beside(made, edit=Withheld(items)) as other:
            _index(session, other)
            return _evaluated(session, other, judged(items), options, items)


def _evaluated(
    session: Session, kb: Knowledge, judged: Judged, options: EvalOptions, items: tuple[KnownItem, ...] = ()
) -> int:
    """Run the questions in each mode, and show the results."""
    from kb.evaluation.measures import means, measured
    from kb.evaluation.run import Names, read_run, run_questions

    files = kb.documents()
    names = Names(files, judged.documents)
    earlier: dict[str, dict[str, Measured]] = {}
    if options.compare:
        run = read_run(options.compare)
        known = {id_: run[id_] for id_ in judged.questions if id_ in run}
        # A question without hits has no line, and counts as zero all the same (trec_eval -c).
        earlier[Path(options.compare).name] = measured(known, {id_: judged.relevant[id_] for id_ in judged.questions})
    results = []
    # A question is read alike in every mode.
    long: set[str] = set()
    with session.stoppable() as should_stop:
        for mode, by in product(options.modes, dict.fromkeys(("off", options.rerank or "off"))):
            name = mode if by == "off" else f"{mode}, {by}"
            search = ask_with(kb, mode, by, on_long=long.add)
            results.append(run_questions(name, search, judged, names, _watched(session, name, judged, should_stop)))
    if long:
        which = "1 question is" if len(long) == 1 else f"{len(long):,} questions are"
        session.notice(f"{which} longer than the model reads: embedded in parts and averaged")
    if options.save:
        _save(options.save, results[0])
    rows = {name: means(values) for name, values in earlier.items()}
    rows |= {result.name: means(result.values) for result in results}
    pairs = paired(earlier, results)
    if options.as_json:
        report = evaluation_object(
            results, rows, pairs, judged, files=len(files), missing=names.missing, per_question=options.per_question
        )
        session.write_json(report | missed_object(results, judged, items) if items else report)
        return 0
    if options.per_question:
        session.write(questions_text(results, judged) + "\n")
    session.write(heading_text(judged, names.missing, len(files)) + table_text(rows) + pairs_text(pairs))
    if items:
        session.write(missed_text(results, judged, items, session.style()))
    return 0


def ask_with(
    kb: Knowledge, mode: Mode, rerank: Rerank = "off", *, on_long: Callable[[str], None] = lambda _: None
) -> SearchFunction:
    """A function that searches in one mode, with no hits left out.

    Args:
        kb: The knowledge base.
        mode: The mode.
        rerank: By what to have the hits read again.
        on_long: Called with each question that is longer than the model reads.
    """
    from kb.evaluation.run import LEAST

    def ask(question: str, *, limit: int, per_file: int) -> tuple[Hit, ...]:
        request = SearchRequest(
            question,
            limit=limit,
            per_file=per_file,
            min_score=LEAST,
            mode=mode,
            weak=True,
            fold=False,
            literal=True,
            rerank=rerank,
        )
        answer = kb.search(request)
        if answer.parts > 1:
            on_long(question)
        return answer.hits

    return ask


def paired(earlier: dict[str, dict[str, Measured]], results: list[Result]) -> Pairs:
    """The differences of each mode from the run to compare with, else from the first mode."""
    from kb.evaluation.measures import differences

    base = earlier or {results[0].name: dict(results[0].values)}
    return {
        (name, result.name): differences(values, result.values)
        for name, values in base.items()
        for result in results
        if result.name != name or earlier
    }


@contextmanager
def _asked(session: Session, folder: str | None, keep: str | None) -> Iterator[Knowledge]:
    """The knowledge base to search: the configured one, or a temporary one over a folder."""
    if folder is None:
        with session.open() as kb:
            if notice := freshness_notice(kb.status().index, hits=1):
                session.notice(notice)
            yield kb
        return
    if not Path(folder).is_dir():
        raise KbError(f"{folder} is not a folder")
    with tempfile.TemporaryDirectory(prefix="kb-eval-") as made, session.open_over(folder, keep or made) as kb:
        _index(session, kb)
        yield kb


def _index(session: Session, kb: Knowledge) -> None:
    """Index what is to be searched, and show progress.

    Raises:
        click.Abort: It was stopped.
    """
    with (
        session.stoppable() as should_stop,
        session.progress() as on_progress,
    ):
        report = kb.index(on_progress=on_progress, should_stop=should_stop)
    if report.interrupted:
        raise click.Abort
    if report.failures:
        session.write_error(failures_text(report.failures, session.error_style()))


def _watched(session: Session, mode: str, judged: Judged, should_stop: Callable[[], bool]) -> Callable[[int], None]:
    """A function to call after each question: reports progress now and then, and stops when asked to."""

    def on_question(number: int) -> None:
        if should_stop():
            raise click.Abort
        if number % _TELL_EVERY == 0:
            session.notice(f"{mode}: {number:,} of {len(judged.questions):,} questions")

    return on_question


def _save(file: str, result: Result) -> None:
    from kb.evaluation.run import run_text

    try:
        Path(file).write_text(run_text(result.rankings, f"kb-{result.name}"), "utf-8")
    except OSError as error:
        raise KbError(f"{file} cannot be written: {reason_of(error)}") from error


def _there(session: Session, file: str | None) -> str | None:
    """The absolute path of a file argument."""
    return None if file is None else str(session.place(file))
