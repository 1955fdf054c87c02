"""Candidates for an answer, by each mode: those near by vectors, those that hold the words, or both.

Another mode is another ``Strategy``, here or in a module of its own, and its row in ``kb.records.modes``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

import numpy as np

from kb.records import MODES, Mode
from kb.search.candidates import BY_WORDS, Pool, ranks
from kb.search.rank import WHOLE, beside, cosines, fused

if TYPE_CHECKING:
    from kb.records import Signals
    from kb.search.candidates import Gatherer

# Why a hit stands where it stands: the parts of the sentence, which each mode puts together.


def near(cosine: float, signals: Signals) -> str:
    """The cosine of a hit and its place by that, where candidates were taken by cosine."""
    place = f"rank {signals.cosine_rank}" if signals.cosine_rank else "not among the nearest"
    return f"cosine {cosine:.3f}, {place}"


def said(signals: Signals) -> str:
    """What the words say of a hit: its BM25 and its place by that."""
    if not signals.bm25:
        return "none of the question's words"
    place = f"rank {signals.bm25_rank}" if signals.bm25_rank else "not among the best"
    return f"BM25 {signals.bm25:.1f}, {place}"


def brought_by(signals: Signals) -> str:
    """Which side found a hit."""
    if signals.cosine_rank and signals.bm25_rank:
        return "found by meaning and by words"
    return "found by meaning alone" if signals.cosine_rank else "found by words alone"


_FEWER_BY_WORDS: Final = 4


class Strategy(Protocol):
    """How one mode finds and orders candidates. It is made without arguments and keeps nothing."""

    def candidates(self, gather: Gatherer, wanted: int) -> Pool:
        """About so many candidates by each side that the mode asks, with the scores that order them."""

    def why(self, cosine: float, signals: Signals) -> str:
        """What each side says of a hit, and which of them brought it here."""


class ByMeaning:
    """By the cosine with the question."""

    def candidates(self, gather: Gatherer, wanted: int) -> Pool:
        """The nearest passages."""
        found, exhausted = gather.nearest(wanted)
        scores = cosines(gather.vector, found)
        known = dict(zip(found.ids, scores.tolist(), strict=True))
        return Pool(found.ids, scores, known, exhausted, min(known.values(), default=1.0), cosine_ranks=ranks(known))

    def why(self, cosine: float, signals: Signals) -> str:
        """The cosine decides."""
        return f"{near(cosine, signals)} (which decides); {said(signals)}"


class ByWords:
    """By BM25 over the words of the question."""

    def candidates(self, gather: Gatherer, wanted: int) -> Pool:
        """The passages that hold the words best."""
        matches = gather.matches(wanted)
        known = gather.cosines_of(matches.scores)
        ids = tuple(id_ for id_, score in matches.scores.items() if score > 0 and id_ in known)
        scores = np.array([matches.scores[id_] for id_ in ids])
        exhausted = len(matches.scores) < wanted
        return Pool(ids, scores, known, exhausted, bm25=matches.scores, bm25_ranks=ranks(matches.scores))

    def why(self, cosine: float, signals: Signals) -> str:
        """The words decide; nobody has counted what is nearer, since only they were asked for candidates."""
        return f"{said(signals)} (which decides); cosine {cosine:.3f}"


class ByBoth:
    """By cosine and BM25 together, each passage beside its whole file."""

    def candidates(self, gather: Gatherer, wanted: int) -> Pool:
        """The nearest passages and those that hold the words best, in one order."""
        nearest = ByMeaning().candidates(gather, wanted)
        matches = gather.matches(max(BY_WORDS, wanted // _FEWER_BY_WORDS), nearest.ids, WHOLE)
        more = gather.cosines_of([id_ for id_ in matches.scores if id_ not in nearest.cosines])
        known = {**nearest.cosines, **more}
        ids = tuple(known)
        bm25 = [matches.scores.get(id_, 0.0) for id_ in ids]
        own = np.array(list(known.values()))
        by_words = np.array([matches.said.get(id_, 0.0) for id_ in ids])
        scores = fused(beside(own, gather.middle_cosines(known)), gather.background_cosines(), by_words)
        return Pool(
            ids,
            scores,
            known,
            nearest.exhausted,
            nearest.beyond,
            cosine_ranks=nearest.cosine_ranks,
            bm25=dict(zip(ids, bm25, strict=True)),
            bm25_ranks=ranks(matches.scores),
            fused=dict(zip(ids, scores.tolist(), strict=True)),
        )

    def why(self, cosine: float, signals: Signals) -> str:
        """Both decide; one of them may have found it alone."""
        score = signals.fused or 0.0
        return f"fused {score:.1f} of {near(cosine, signals)} and {said(signals)}: {brought_by(signals)}"


@cache
def strategy_of(mode: Mode) -> Strategy:
    """How a mode finds and orders candidates."""
    module, _, name = MODES[mode].strategy.partition(":")
    return cast("Strategy", getattr(import_module(module), name)())


def retrieved(gather: Gatherer, mode: Mode, wanted: int, min_cosine: float) -> Pool:
    """About so many candidates by each side that a mode asks, with at least this cosine."""
    found = strategy_of(mode).candidates(gather, wanted)
    if min_cosine <= -1:
        return found
    # Beyond the last of the nearest ones no other can be near enough.
    return replace(found.at_least(min_cosine), exhausted=found.exhausted or found.beyond < min_cosine)
