"""Reranking: the first hits are read again by a model that sees question and passage together, for so long at most."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kb.records import Reranking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.ports import Reranker
    from kb.records import Answer, Hit, StoredPassage

# Read at once: few, so that the time is looked at often.
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
    """An answer with its hits in the order of a reranker; their cosines stay what they are.

    The best hits are read first. What was not read follows in the order it had.

    Args:
        answer: Hits enough to choose from, best first.
        reranker: Reads them. Loading it does not count; four passages are always read.
        limit: How many hits to keep.
        most: How many to read.
        seconds: The time after which no more are read.
        clock: Tells the seconds.
    """
    if not answer.hits:
        return answer
    reranker.load()
    began = clock()
    scores: list[float] = []
    wanted = answer.hits[:most]
    while len(scores) < len(wanted) and (not scores or clock() - began < seconds):
        part = wanted[len(scores) : len(scores) + _AT_ONCE]
        scores += reranker.scores(answer.asked, [text_of(hit.passage) for hit in part])
    told = Reranking(
        by=reranker.name,
        read=len(scores),
        of=len(wanted),
        seconds=clock() - began,
        cut_off=len(scores) < len(wanted),
    )
    return replace(answer, hits=_in_order(answer.hits, scores)[:limit], reranking=told)


def text_of(passage: StoredPassage) -> str:
    """What a reranker reads of a passage: its heading trail, where the passage does not begin with it, and its text."""
    own = passage.heading[-1:] and passage.heading[-1] in passage.text.split("\n", 1)[0]
    trail = " > ".join(passage.heading[:-1] if own else passage.heading)
    return f"{trail}\n{passage.text.strip()}" if trail else passage.text.strip()


def _in_order(hits: Sequence[Hit], scores: Sequence[float]) -> tuple[Hit, ...]:
    """Hits that were read by their score, equal ones as they were; then the others."""
    read = [replace(hit, rerank=score) for hit, score in zip(hits, scores, strict=False)]
    read.sort(key=lambda hit: -(hit.rerank or 0.0))
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate([*read, *hits[len(scores) :]], 1))
