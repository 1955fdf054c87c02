"""Retrieval of candidates in each search mode: by vectors, by words, or by both.

Another mode is another ``Strategy``, here or in a module of its own, and its row in ``kb.records.modes``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

import numpy as np

from kb.records import MODES, Mode
from kb.search.candidates import BY_WORDS, LEAST_COSINE, CandidatePool, ranks
from kb.search.centroids import file_of
from kb.search.rank import FILE_WEIGHT, cosines, fused, with_centroids, with_further, without_cosine

if TYPE_CHECKING:
    from kb.records import Signals
    from kb.search.candidates import CandidateRetriever

# Parts of the sentence that explains the rank of a hit, which each mode puts together.


_UNEMBEDDED: Final = "no cosine yet"


def cosine_text(cosine: float | None, signals: Signals) -> str:
    """Return the cosine of a hit and its rank by that, where candidates were taken by cosine."""
    if cosine is None:
        return _UNEMBEDDED
    place = f"rank {signals.cosine_rank}" if signals.cosine_rank else "not among the nearest"
    return f"cosine {cosine:.3f}, {place}"


def bm25_text(signals: Signals) -> str:
    """Return the BM25 score of a hit and its rank by that."""
    if not signals.bm25:
        return "none of the question's words"
    place = f"rank {signals.bm25_rank}" if signals.bm25_rank else "not among the best"
    return f"BM25 {signals.bm25:.1f}, {place}"


def sources_text(signals: Signals) -> str:
    """Return which of vectors and words found a hit."""
    if signals.cosine_rank and signals.bm25_rank:
        return "found by meaning and by words"
    return "found by meaning alone" if signals.cosine_rank else "found by words alone"


# One candidate by words for so many by vectors.
_FEWER_BY_WORDS: Final = 4


class Strategy(Protocol):
    """How one mode finds and orders candidates. Made without arguments; keeps no state.

    One that leaves passages out takes its candidates from ``retriever.containing``, or from ``retriever.of`` a smaller
    scope, and has to be answered by any hit (``ModeTraits``).
    """

    def candidates(self, retriever: CandidateRetriever, wanted: int) -> CandidatePool:
        """Return about ``wanted`` candidates each by vectors and by words, as the mode uses them, with their scores."""

    def why(self, cosine: float | None, signals: Signals) -> str:
        """Return the sentence that explains the rank of a hit."""


class ByMeaning:
    """By the cosine with the question."""

    def candidates(self, retriever: CandidateRetriever, wanted: int) -> CandidatePool:
        """Return the nearest passages."""
        found, exhausted = retriever.nearest(wanted)
        scores = cosines(retriever.vector, found)
        known = dict(zip(found.ids, scores.tolist(), strict=True))
        return CandidatePool(
            found.ids, scores, known, exhausted, min(known.values(), default=1.0), cosine_ranks=ranks(known)
        )

    def why(self, cosine: float | None, signals: Signals) -> str:
        """Return the sentence; the cosine decides."""
        return f"{cosine_text(cosine, signals)} (which decides); {bm25_text(signals)}"


class ByWords:
    """By BM25 over the words of the question."""

    def candidates(self, retriever: CandidateRetriever, wanted: int) -> CandidatePool:
        """Return the best passages by BM25, whether they have a vector or not."""
        matches = retriever.matches(wanted)
        known = retriever.cosines_of(matches.scores)
        ids = tuple(id_ for id_, score in matches.scores.items() if score > 0)
        scores = np.array([matches.scores[id_] for id_ in ids])
        exhausted = len(matches.scores) < wanted
        return CandidatePool(ids, scores, known, exhausted, bm25=matches.scores, bm25_ranks=ranks(matches.scores))

    def why(self, cosine: float | None, signals: Signals) -> str:
        """Return the sentence; BM25 decides. There is no rank by cosine, since no candidates were taken by it."""
        about = _UNEMBEDDED if cosine is None else f"cosine {cosine:.3f}"
        return f"{bm25_text(signals)} (which decides); {about}"


class ByBoth:
    """By cosine and BM25 together, each combined with that of the whole file."""

    def candidates(self, retriever: CandidateRetriever, wanted: int) -> CandidatePool:
        """Return the nearest passages and the best by BM25, in one order.

        Of a passage that waits to be embedded, the words are evidence of its cosine too.
        """
        nearest = ByMeaning().candidates(retriever, wanted)
        matches = retriever.matches(max(BY_WORDS, wanted // _FEWER_BY_WORDS), nearest.ids, FILE_WEIGHT)
        more = retriever.cosines_of([id_ for id_ in matches.scores if id_ not in nearest.cosines])
        known = {**nearest.cosines, **more}
        words_only = [id_ for id_, score in matches.scores.items() if score > 0 and id_ not in known]
        ids = (*known, *words_only)
        bm25 = [matches.scores.get(id_, 0.0) for id_ in ids]
        own = np.array(list(known.values()))
        by_words = np.array([matches.deviations.get(id_, 0.0) for id_ in ids])
        near = with_centroids(own, retriever.centroid_cosines(known))
        with_vector, waiting = np.split(by_words, [len(known)])
        by_both = fused(near, retriever.background_cosines(), with_vector)
        evidence = np.concatenate([by_both, without_cosine(waiting, with_vector, by_both)])
        scores = with_further(evidence, list(map(file_of, ids)), ids)
        return CandidatePool(
            ids,
            scores,
            known,
            nearest.exhausted,
            nearest.beyond,
            cosine_ranks=nearest.cosine_ranks,
            bm25=dict(zip(ids, bm25, strict=True)),
            bm25_ranks=ranks(matches.scores),
            fused=dict(zip(ids, evidence.tolist(), strict=True)),
        )

    def why(self, cosine: float | None, signals: Signals) -> str:
        """Return the sentence; both decide, though one of them may have found the hit alone."""
        score = signals.fused or 0.0
        return f"fused {score:.1f} of {cosine_text(cosine, signals)} and {bm25_text(signals)}: {sources_text(signals)}"


@cache
def strategy_of(mode: Mode) -> Strategy:
    """Return the strategy of a mode."""
    module, _, name = MODES[mode].strategy.partition(":")
    return cast("Strategy", getattr(import_module(module), name)())


def retrieved(retriever: CandidateRetriever, mode: Mode, wanted: int, min_cosine: float) -> CandidatePool:
    """Return about ``wanted`` candidates each by vectors and by words, as a mode uses them.

    Args:
        retriever: Where they come from.
        mode: The search mode.
        wanted: How many, at least.
        min_cosine: The least cosine of a candidate, -1..1.
    """
    found = strategy_of(mode).candidates(retriever, wanted)
    if min_cosine <= LEAST_COSINE:
        return found
    # Beyond the last of the nearest ones no other can be near enough.
    return replace(found.at_least(min_cosine), exhausted=found.exhausted or found.beyond < min_cosine)
