"""Reranking of the first hits by a model that reads question and passage together, within a time limit."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kb.records import Reranking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.ports import Reranker
    from kb.records import Answer, Hit, StoredPassage

# Passages per call; few, so that the time limit is checked often.
_AT_ONCE: Final = 4


def reranked(
    answer: Answer,
    reranker: Reranker,
    *,
    limit: int,
    most: int,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """Return an answer with its hits in the order of a reranker; their cosines do not change.

    The best hits are scored first. Hits that were not scored follow in their previous order.

    Args:
        answer: The answer, with enough hits to choose from, best first.
        reranker: The reranker. Loading it does not count towards the time; at least four passages are scored.
        limit: How many hits to keep.
        most: How many hits to score at most.
        seconds: The time after which no more are scored.
        clock: Monotonic time in seconds.
    """
    if not answer.hits:
        return answer
    reranker.load()
    began = clock()
    scores: list[float] = []
    wanted = answer.hits[:most]
    while len(scores) < len(wanted) and (not scores or clock() - began < seconds):
        part = wanted[len(scores) : len(scores) + _AT_ONCE]
        scores += reranker.scores(answer.query, [text_of(hit.passage) for hit in part])
    reranking = Reranking(
        by=reranker.name,
        read=len(scores),
        of=len(wanted),
        seconds=clock() - began,
        cut_off=len(scores) < len(wanted),
    )
    return replace(answer, hits=_in_order(answer.hits, scores)[:limit], reranking=reranking)


def text_of(passage: StoredPassage) -> str:
    """Return the text of a passage for a reranker: its heading trail, unless the text begins with it, and its text."""
    own = passage.heading[-1:] and passage.heading[-1] in passage.text.split("\n", 1)[0]
    trail = " > ".join(passage.heading[:-1] if own else passage.heading)
    return f"{trail}\n{passage.text.strip()}" if trail else passage.text.strip()


def _in_order(hits: Sequence[Hit], scores: Sequence[float]) -> tuple[Hit, ...]:
    """Return scored hits by score, equal ones in their previous order; then the others."""
    read = [replace(hit, rerank=score) for hit, score in zip(hits, scores, strict=False)]
    read.sort(key=lambda hit: -(hit.rerank or 0.0))
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate([*read, *hits[len(scores) :]], 1))
