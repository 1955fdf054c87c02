"""An agent's task, simulated: the tokens that it takes to find answers by ``kb mcp``, and by ``grep`` and ``cat``."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

from benchmarks.agent_tasks import AskKb, AskShell, run, tasks
from benchmarks.child import progress
from benchmarks.daemon import program
from benchmarks.mcp_session import mcp_session
from benchmarks.programs_mcp import mcp_command
from benchmarks.programs_python import documents_store
from benchmarks.table import Row, at_least, skipped
from benchmarks.tokens import WHEEL, NoTokenizer, download

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.agent_tasks import Outcome, Task
    from benchmarks.bench import Bench

NAME: Final = "programs-agent"
QUESTIONS: Final = 50
KB: Final = "kb mcp"
LINES: Final = "grep -rn and cat"
READ: Final = "grep -rn and cat, quoting only from cat"
COUNTS: Final = "grep -rc and cat"
_COLLECTION: Final = "til-simonw"
_WHAT: Final = f"tokens per answered question, {LINES} / {KB}"


def rows(work: Bench) -> list[Row]:
    """Each way to answer the same questions, and their ratio."""
    asked = chosen(work)
    if not asked:
        return [skipped(NAME, _WHAT, f"there is no {_COLLECTION}", "at least 10.0 x")]
    try:
        count = download(work.folder / "tokenizer")
    except NoTokenizer as error:
        return [skipped(NAME, _WHAT, f"no {WHEEL}: {error}", "at least 10.0 x")]
    store = documents_store(work)
    kb = program(work.documents, store, work.threads)
    progress(f"{NAME}: {len(asked)} questions")
    found: dict[str, list[Outcome]] = {}
    with kb.daemon(work.folder / "programs-agent.log"), mcp_session(mcp_command(store)) as session:
        session.initialize()
        found[KB] = [run(task, AskKb(session, lambda result: result.text), count) for task in asked]
        found[f"{KB}, with structured content"] = [
            run(task, AskKb(session, lambda result: result.whole), count) for task in asked
        ]
    found[LINES] = [run(task, AskShell(work.documents, "lines"), count) for task in asked]
    found[READ] = [run(task, AskShell(work.documents, "lines", quotes_lines=False), count) for task in asked]
    found[COUNTS] = [run(task, AskShell(work.documents, "counts"), count) for task in asked]
    return judged(found)


def chosen(work: Bench) -> list[Task]:
    """Questions spread over the collection; none if there is no collection."""
    collection = work.collection(_COLLECTION)
    if collection is None:
        return []
    texts = {file.name: file.read_text("utf-8", "replace") for file in sorted(work.documents.iterdir())}
    names = {Path(name).stem: name for name in texts}
    answered_by = {
        id_: names[document]
        for id_, relevant in collection.relevant.items()
        for document in relevant
        if document in names
    }
    count = max(5, work.scaled(QUESTIONS))
    ids = list(answered_by)[:: max(1, len(answered_by) // count)]
    return list(islice(tasks({id_: collection.questions[id_] for id_ in ids}, texts, answered_by), count))


def judged(found: Mapping[str, Sequence[Outcome]]) -> list[Row]:
    """The rows for the outcomes of each way.

    The way that is judged is the one that favours ``grep``: an agent would have to know the answer among its lines.
    """
    kb = per_answer(found[KB])
    return [
        at_least(NAME, _WHAT, per_answer(found[LINES]) / kb, 10, "x", digits=1),
        Row(NAME, f"the same, {READ} / {KB}", f"{per_answer(found[READ]) / kb:.1f} x"),
        *(Row(NAME, f"{name}, {len(outcomes)} questions", _told(outcomes)) for name, outcomes in found.items()),
    ]


def per_answer(outcomes: Sequence[Outcome]) -> float:
    """The tokens of all tasks for each one that was answered; infinite if none was."""
    answered = sum(one.answered for one in outcomes)
    return sum(one.tokens for one in outcomes) / answered if answered else float("inf")


def _told(outcomes: Sequence[Outcome]) -> str:
    share = 100 * fmean(one.answered for one in outcomes)
    steps = fmean(one.steps for one in outcomes)
    return f"{per_answer(outcomes):.0f} tokens per answer, {share:.0f} % answered, {steps:.1f} calls a question"
