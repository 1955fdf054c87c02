"""Cosine and BM25 become one order: a side that tells nothing apart has no say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from kb.search.rank import (
    CENTROID_WEIGHT,
    KEYWORD_WEIGHT,
    fused,
    standardised,
    with_centroids,
    with_further,
    without_cosine,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def spread(count: int = 400) -> NDArray[np.float64]:
    """Cosines of unrelated passages with mean 0 and a standard deviation of 1."""
    return np.tile([-1.0, 1.0], count // 2)


@pytest.mark.parametrize(("said", "first"), [(2.1, "cosine"), (2.4, "words")])
def test_words_outweigh_a_near_passage_from_a_certain_point_on(said: float, first: str) -> None:
    """A passage three deviations near, without any of the words, beside one that only the words speak for."""
    near, words = fused(np.array([3.0, 0.0]), spread(), np.array([0.0, said]))

    assert ("cosine" if near > words else "words") == first


def test_far_passages_are_as_good_as_average_ones() -> None:
    """A cosine below the mean is no evidence, for or against."""
    scores = fused(np.array([-4.0, -1.0, 0.0]), spread(), np.zeros(3))

    assert scores.tolist() == [0.0, 0.0, 0.0]


def test_a_passage_and_its_file_count_alike() -> None:
    """What its file is nearer makes up for what it is farther itself, and no more than that."""
    mixed = with_centroids(np.array([0.60, 0.45, 0.45]), np.array([0.20, 0.36, 0.34]))

    assert np.argsort(-mixed).tolist() == [1, 0, 2]


def test_a_passage_stands_beside_its_file() -> None:
    """Its own cosine and that of its file's centroid are mixed by fixed shares; where both are one, nothing changes."""
    assert with_centroids(np.array([0.5, 0.5]), np.array([0.5, 0.1])) == pytest.approx(
        [0.5, 0.5 - 0.4 * CENTROID_WEIGHT]
    )


def test_further_passages_of_a_file_count_less() -> None:
    """The best of each file keeps its score, the second has nine tenths of its own, the third nine tenths of that."""
    scores = np.array([5.0, 9.0, 3.0, 8.0, 1.0, 7.0])

    found = with_further(scores, [4, 2, 4, 2, 3, 4], list("abcdef"))

    assert found == pytest.approx([4.5, 9.0, 3 * 0.81, 7.2, 1.0, 7.0])
    assert scores.tolist() == [5.0, 9.0, 3.0, 8.0, 1.0, 7.0]
    assert with_further(np.zeros(0), [], []).tolist() == []


def test_equal_passages_of_a_file_have_an_order() -> None:
    """Whichever comes first as a candidate."""
    equal = np.array([4.0, 4.0, 4.0])

    assert with_further(equal, [7, 7, 7], ["7-x-1", "7-x-2", "7-x-0"]) == pytest.approx([3.6, 3.24, 4.0])


def test_nothing_deviates_nothing_is_said() -> None:
    """Where every passage has the same score, it says nothing."""
    assert standardised(np.array([1.0, 2.0]), np.array([1.0, 1.0])).tolist() == [0.0, 0.0]
    assert standardised(np.array([1.0, 2.0]), np.zeros(0)).tolist() == [0.0, 0.0]


def beside(waiting: list[float], near: list[float], said: list[float]) -> tuple[list[float], list[float]]:
    """The scores of passages that wait, by their words, and those of others, by the deviations of cosines and words."""
    others = np.array(said)
    scores = fused(np.array(near), spread(), others)
    return without_cosine(np.array(waiting), others, scores).tolist(), scores.tolist()


def test_without_a_vector_a_passage_is_as_near_as_those_with_no_more_of_the_words() -> None:
    """As the nearest of these; what is nearer and has more of the words says nothing about it."""
    (waiting,), _ = beside([5.0], near=[1.0, 3.0, 4.0], said=[5.0, 1.0, 6.0])

    assert waiting == pytest.approx(KEYWORD_WEIGHT * 5 + 4.5)
    (waiting,), (as_many,) = beside([5.0], near=[3.0], said=[5.0])
    assert waiting == pytest.approx(as_many)


def test_what_waits_is_not_behind_what_has_far_fewer_of_the_words() -> None:
    """Nor before what is as near and has more of them."""
    (waiting,), (few, as_many) = beside([4.0], near=[3.5, 4.0], said=[1.0, 4.5])

    assert few < waiting < as_many


def test_what_waits_without_words_is_not_taken_to_be_near() -> None:
    """For a question in another language than the files, the nearest passages stay first."""
    (none, chance), (near, _) = beside([0.0, 0.4], near=[4.0, 0.0], said=[0.0, 0.2])

    assert none == 0.0
    assert chance < near


def test_among_passages_that_wait_the_words_decide() -> None:
    """And where none has a vector, the words are all there is."""
    some, _ = beside([1.0, 4.0, 2.0], near=[2.0, 3.0], said=[0.5, 3.0])
    alone, _ = beside([1.0, 4.0, 2.0], near=[], said=[])

    assert np.argsort(some).tolist() == np.argsort(alone).tolist() == [0, 2, 1]
    assert alone == pytest.approx([KEYWORD_WEIGHT * one for one in (1.0, 4.0, 2.0)])
