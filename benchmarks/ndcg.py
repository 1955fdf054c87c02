"""Normalised discounted cumulative gain (nDCG): the quality of a ranking relative to the ideal one, from 0 to 1.

K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM Transactions on Information
Systems 20(4), 2002; with the grade as gain and the discount log2(rank + 1).
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def ndcg(ranking: Sequence[str], grades: Mapping[str, float], depth: int = 10) -> float:
    """The nDCG of one ranking.

    Args:
        ranking: Distinct documents, best first.
        grades: The grades of relevant documents.
        depth: The number of documents that count.

    Raises:
        ValueError: A document is ranked twice, or nothing is relevant.
    """
    if len(set(ranking)) < len(ranking):
        raise ValueError("a document stands twice in a ranking")
    best = _gained(sorted(grades.values(), reverse=True)[:depth])
    if best <= 0:
        raise ValueError("no document is relevant, so no ranking is better than another")
    return _gained([grades.get(document, 0.0) for document in ranking[:depth]]) / best


def _gained(gains: Sequence[float]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, 1))
