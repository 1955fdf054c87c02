"""How cosine and BM25 become one order: each says how unlikely it is that a passage is unrelated, and both are added.

R. A. Fisher's way of combining independent tests: the logarithms of the two tail probabilities are summed. Cosines of
unrelated passages are spread as a normal distribution, whose tail falls with the square of the distance from the mean;
BM25 scores have the tail of an exponential one, which falls with the distance itself. So a side that tells nothing
apart for this question, as a model that does not know its language, adds next to nothing, with no setting to choose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEYWORD_WEIGHT: Final = 2.5
"""Found by measurement on xquad/en, xquad/zh and cranfield; see docs/retrieval.md."""


def fused(
    cosines: NDArray[np.float64],
    background: NDArray[np.float64],
    bm25: NDArray[np.float64],
    mean: float,
    deviation: float,
) -> NDArray[np.float64]:
    """The evidence that each passage has something to do with the question, 0 or more, without an upper end.

    Args:
        cosines: Of the candidates with the question.
        background: Of passages taken at random with the same question.
        bm25: The scores of the candidates.
        mean: The mean of the BM25 scores of all passages for this question.
        deviation: The standard deviation of those.
    """
    near = standardised(cosines, float(background.mean()), float(background.std())) if background.size else 0 * cosines
    said = standardised(bm25, mean, deviation)
    total: NDArray[np.float64] = near**2 / 2 + KEYWORD_WEIGHT * said
    return total


def standardised(scores: NDArray[np.float64], mean: float, deviation: float) -> NDArray[np.float64]:
    """How many standard deviations scores are above a mean; 0 for those below it and where nothing deviates."""
    if deviation <= 0:
        return np.zeros_like(scores)
    above: NDArray[np.float64] = np.maximum((scores - mean) / deviation, 0)
    return above
