"""The measures are what their definitions say, by other code, and a difference that chance makes is called chance."""

from __future__ import annotations

import random
from itertools import product
from statistics import fmean

import numpy as np
import pytest

from benchmarks.ndcg import ndcg
from kb.evaluation.measures import BY_FILE, differences, means, measured

DOCUMENTS = [f"d{number:03}" for number in range(150)]


def chance(seed: int) -> tuple[dict[str, list[str]], dict[str, dict[str, int]]]:
    """Rankings and judgements at random, ties of nothing, some relevant documents never retrieved."""
    random_ = random.Random(seed)
    rankings, relevant = {}, {}
    for number in range(20):
        rankings[str(number)] = random_.sample(DOCUMENTS, random_.randint(0, 120))
        relevant[str(number)] = {one: random_.randint(1, 3) for one in random_.sample(DOCUMENTS, random_.randint(1, 9))}
    return rankings, relevant


@pytest.mark.parametrize("seed", range(3))
def test_measures_are_their_definitions(seed: int) -> None:
    """Each measure of each question equals what its formula gives."""
    rankings, relevant = chance(seed)

    found = measured(rankings, relevant)

    for question, ranking in rankings.items():
        grades = relevant[question]
        ranks = [rank for rank, one in enumerate(ranking, 1) if one in grades]
        first = min(ranks, default=1000)
        expected = {
            "nDCG@10": ndcg(ranking, grades, 10),
            "Recall@10": sum(rank <= 10 for rank in ranks) / len(grades),
            "Recall@100": sum(rank <= 100 for rank in ranks) / len(grades),
            "MRR@10": 1 / first if first <= 10 else 0.0,
            "Success@1": float(first == 1),
        }
        assert found[question] == pytest.approx(expected), question


def test_ndcg_is_that_of_another_library() -> None:
    """scikit-learn gives the same nDCG@10 from scores of all documents."""
    from sklearn.metrics import ndcg_score

    rankings, relevant = chance(7)
    found = measured(rankings, relevant)

    for question, ranking in rankings.items():
        gains = np.array([[relevant[question].get(one, 0) for one in DOCUMENTS]])
        # Documents that were not retrieved come last and must not count, so only full rankings can be compared.
        full = [*ranking, *(one for one in DOCUMENTS if one not in ranking)]
        scores = np.array([[-full.index(one) for one in DOCUMENTS]])
        if len(ranking) >= 10:
            assert found[question]["nDCG@10"] == pytest.approx(ndcg_score(gains, scores, k=10))


def test_a_question_without_an_answer_counts_as_zero() -> None:
    """Nothing found is the worst ranking, not a question less."""
    found = measured({"1": ["a"], "2": []}, {"1": {"a": 1}, "2": {"a": 1}, "3": {"b": 1}})

    assert found["2"] == found["3"] == dict.fromkeys(BY_FILE, 0.0)
    assert means(found)["Success@1"] == pytest.approx(1 / 3)


def test_a_document_twice_in_a_ranking_is_refused() -> None:
    """It would gain twice."""
    with pytest.raises(ValueError, match="twice"):
        measured({"1": ["a", "a"]}, {"1": {"a": 1}})


def test_p_is_that_of_all_ways_to_swap() -> None:
    """For few questions the test is exact: the share of all swaps of sign that differ at least as much."""
    earlier = {str(at): {"m": value} for at, value in enumerate([0.1, 0.5, 0.2, 0.9, 0.3, 0.4])}
    later = {str(at): {"m": value} for at, value in enumerate([0.3, 0.6, 0.1, 1.0, 0.8, 0.4])}

    (found,) = differences(earlier, later)

    values = [later[one]["m"] - earlier[one]["m"] for one in earlier]
    swaps = [
        abs(fmean(sign * value for sign, value in zip(signs, values, strict=True)))
        for signs in product((1, -1), repeat=6)
    ]
    assert found.difference == pytest.approx(fmean(values))
    assert (found.better, found.worse) == (4, 1)
    assert found.p == pytest.approx(sum(swap >= abs(fmean(values)) - 1e-12 for swap in swaps) / 64)


def test_what_is_better_everywhere_is_no_chance() -> None:
    """A run that is better in every question differs surely; one that is equal does not."""
    earlier = {str(at): {"m": 0.1 + at / 1000} for at in range(100)}
    later = {str(at): {"m": 0.2 + at / 900} for at in range(100)}

    assert differences(earlier, later)[0].p < 0.001
    assert differences(earlier, earlier)[0].p == 1.0


@pytest.mark.parametrize("later", [0.0, 0.5, 1.0])
def test_one_question_shows_nothing(later: float) -> None:
    """A difference in one question may always be chance; it is told all the same."""
    (found,) = differences({"1": {"nDCG@10": 0.5}}, {"1": {"nDCG@10": later}})

    assert (found.p, found.better, found.worse) == (1.0, int(later > 0.5), int(later < 0.5))
