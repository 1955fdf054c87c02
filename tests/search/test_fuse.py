"""Cosine and BM25 become one order: a side that tells nothing apart has no say."""

from __future__ import annotations

import numpy as np
import pytest

from kb.search.fuse import KEYWORD_WEIGHT, MIDDLE, beside, fused, standardised

CHANCE = np.random.default_rng(1)
UNRELATED = CHANCE.normal(0.1, 0.05, 500)


def test_evidence_is_the_sum_of_both_tails() -> None:
    """Half the square of the distance of the cosine, and the weighted distance of the words."""
    mean, deviation = UNRELATED.mean(), UNRELATED.std()

    found = fused(np.array([mean + 3 * deviation]), UNRELATED, np.array([4.0]))

    assert found[0] == pytest.approx(4.5 + KEYWORD_WEIGHT * 4)


def test_a_model_that_knows_nothing_leaves_the_order_to_the_words() -> None:
    """Among cosines of chance, the passage with the words comes first."""
    cosines = CHANCE.choice(UNRELATED, 50)
    said = np.zeros(50)
    said[17] = 9.8

    assert fused(cosines, UNRELATED, said).argmax() == 17


def test_a_passage_stands_beside_its_file() -> None:
    """Its own cosine and that of its file's middle are mixed by fixed shares; where both are one, nothing changes."""
    assert beside(np.array([0.5, 0.5]), np.array([0.5, 0.1])) == pytest.approx([0.5, 0.5 - 0.4 * MIDDLE])


def test_nothing_deviates_nothing_is_said() -> None:
    """Where every passage has the same score, it says nothing."""
    assert standardised(np.array([1.0, 2.0]), np.array([1.0, 1.0])).tolist() == [0.0, 0.0]
    assert standardised(np.array([1.0, 2.0]), np.zeros(0)).tolist() == [0.0, 0.0]
