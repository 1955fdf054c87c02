"""Why a hit stands where it stands: the parts of the sentence, which each mode puts together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kb.records import Signals


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
