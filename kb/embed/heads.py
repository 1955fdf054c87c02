"""bge-m3's own multi-vector (ColBERT) and lexical heads, over the token states of the forward pass that also embeds.

Formulas as published: J. Chen et al., "M3-Embedding", arXiv:2402.03216, section 3.2, and its code (FlagEmbedding).
Functions of arrays: neither a model nor torch is needed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

COLBERT_FILE: Final = "colbert_linear.pt"
LEXICAL_FILE: Final = "sparse_linear.pt"

Linear = tuple["NDArray[np.float32]", "NDArray[np.float32]"]


def colbert_vectors(states: NDArray[np.float32], linear: Linear) -> NDArray[np.float32]:
    """A unit vector for each token but the first (``<s>``), shape (tokens - 1, size of the head).

    Args:
        states: The token states of one text, shape (tokens, hidden size), without padding.
        linear: Weight and bias of the head.
    """
    weight, bias = linear
    found = states[1:] @ weight.T + bias
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    units: NDArray[np.float32] = found / np.maximum(lengths, 1e-12)
    return units


def colbert_score(question: NDArray[np.float32], passage: NDArray[np.float32]) -> float:
    """The mean over the question's tokens of the cosine of the nearest token of the passage, in -1..1."""
    return float((question @ passage.T).max(axis=1).mean())


def lexical_weights(
    ids: NDArray[np.int64], states: NDArray[np.float32], linear: Linear, skipped: Collection[int | None]
) -> dict[int, float]:
    """The weight of each token of a text: the largest where it stands several times, those of 0 left out.

    Args:
        ids: The tokens.
        states: Their states.
        linear: Weight, shape (1, hidden size), and bias of the head.
        skipped: Tokens that carry no word: begin, end, padding, unknown.
    """
    weight, bias = linear
    weights: dict[int, float] = {}
    for id_, value in zip(ids.tolist(), (states @ weight[0] + bias[0]).tolist(), strict=True):
        if value > 0 and id_ not in skipped:
            weights[id_] = max(value, weights.get(id_, 0.0))
    return weights


def lexical_score(question: Mapping[int, float], passage: Mapping[int, float]) -> float:
    """The sum over the tokens of both of the products of their weights, 0 or more."""
    return sum(weight * passage[id_] for id_, weight in question.items() if id_ in passage)
