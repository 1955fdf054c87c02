"""How meaning and words become one order: each says how unlikely it is that a passage is unrelated; both are added.

R. A. Fisher's way of combining independent tests: the logarithms of the two tail probabilities are summed. Cosines of
unrelated passages are spread as a normal distribution, whose tail falls with the square of the distance from the mean;
BM25 scores have the tail of an exponential one, which falls with the distance itself. So a side that tells nothing
apart for this question, as a model that does not know its language, adds next to nothing, with no setting to choose.

On both sides a passage stands beside its whole file: what a short section does not say, the rest of its file may. The
file is there as the middle of its passages' vectors, and as its own BM25 score, as if it were one passage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEYWORD_WEIGHT: Final = 2.0
"""What the words count beside the cosines; found by measurement, as the two below: see docs/retrieval.md."""
MIDDLE: Final = 0.5
"""What the cosine of the middle of its file counts of a passage; its own has the rest."""
WHOLE: Final = 0.8
"""What the BM25 score of its whole file counts of a passage; its own has the rest."""


def fused(near: NDArray[np.float64], background: NDArray[np.float64], said: NDArray[np.float64]) -> NDArray[np.float64]:
    """The evidence that each passage has something to do with the question, 0 or more, without an upper end.

    Args:
        near: The cosines of the candidates with the question, beside those of their files: see ``beside``.
        background: The same of passages taken at random.
        said: What the words say of the candidates, in standard deviations above what they say of all passages.
    """
    total: NDArray[np.float64] = standardised(near, background) ** 2 / 2 + KEYWORD_WEIGHT * said
    return total


def beside(own: NDArray[np.float64], middles: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cosines of passages and those of the middles of their files as one number each."""
    mixed: NDArray[np.float64] = (1 - MIDDLE) * own + MIDDLE * middles
    return mixed


def standardised(scores: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many standard deviations scores are above the mean of others; 0 below it, and where nothing deviates."""
    deviation = float(among.std()) if len(among) else 0.0
    if deviation <= 0:
        return np.zeros_like(scores)
    above: NDArray[np.float64] = np.maximum((scores - float(among.mean())) / deviation, 0)
    return above
