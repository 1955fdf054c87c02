"""The time until ``kb ask`` shows the first sentence of an answer, beside ``kb search``, both through a daemon."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from benchmarks.child import progress
from benchmarks.daemon import program, succeeded
from benchmarks.table import Row, at_most
from kb.evaluation.bench import Times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

NAME: Final = "answers-time"
ASKED: Final = 200
_COLLECTION: Final = "xquad/en"
_WARM_UP: Final = 5
_NO_ANSWER: Final = 1


def rows(work: Bench) -> list[Row]:
    """The rows, or why they were skipped. Commands take turns, and no question is asked twice: vectors are cached."""
    collection = work.collection(_COLLECTION)
    if collection is None:
        return [Row(NAME, "kb ask beside kb search", f"skipped: there is no {_COLLECTION} (name a folder with --data)")]
    questions = list(collection.questions.values())
    random.Random(14).shuffle(questions)  # noqa: S311 - no secret
    kb = program(collection.docs, work.folder / f"{NAME}-store", work.threads)
    succeeded(kb("index"))
    searched, answered = [], []
    with kb.daemon(work.folder / f"{NAME}.log"):
        progress(f"{NAME}: {work.scaled(ASKED)} questions to each command")
        count = 2 * (_WARM_UP + work.scaled(ASKED))
        for first, second in zip(questions[:count:2], questions[1:count:2], strict=True):
            searched.append(succeeded(kb("search", "--weak", "--", first)).seconds)
            # Nothing is written before the answer is complete, so the first sentence is there when the command ends.
            ran = kb("ask", "--no-llm", "--", second)
            answered.append((ran if ran.code == _NO_ANSWER else succeeded(ran)).seconds)
    return judged(searched[_WARM_UP:], answered[_WARM_UP:])


def judged(searched: Sequence[float], answered: Sequence[float]) -> list[Row]:
    """The rows for the seconds of both commands."""
    search, ask = Times(tuple(searched)), Times(tuple(answered))
    return [
        at_most(NAME, "kb ask until its first sentence / kb search, no model, p50", ask.p50 / search.p50, 1.5, "x"),
        Row(NAME, "the same, p95", f"{ask.p95 / search.p95:.2f} x"),
        Row(NAME, "kb search; kb ask, p50", f"{1000 * search.p50:.0f} ms; {1000 * ask.p50:.0f} ms"),
    ]
