"""Why a hit stands where it stands, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kb.records import Signals
    from kb.search.candidates import Mode


def why(mode: Mode, cosine: float, signals: Signals) -> str:
    """What each side says of a hit, and which of them brought it here."""
    near = f"cosine {cosine:.3f}"
    # Where only the words were asked for candidates, nobody has counted what is nearer.
    if mode != "keyword":
        near += f", rank {signals.cosine_rank}" if signals.cosine_rank else ", not among the nearest"
    said = _said(signals)
    match mode:
        case "cosine":
            return f"{near} (which decides); {said}"
        case "keyword":
            return f"{said} (which decides); {near}"
        case "hybrid":
            return f"fused {signals.fused or 0.0:.1f} of {near} and {said}: {_brought_by(signals)}"


def _said(signals: Signals) -> str:
    if not signals.bm25:
        return "none of the question's words"
    place = f"rank {signals.bm25_rank}" if signals.bm25_rank else "not among the best"
    return f"BM25 {signals.bm25:.1f}, {place}"


def _brought_by(signals: Signals) -> str:
    near, said = signals.cosine_rank, signals.bm25_rank
    if near and said:
        return "found by meaning and by words"
    return "found by meaning alone" if near else "found by words alone"
