"""How good rankings are, by ir-measures (over trec_eval's own code), and whether a difference is chance, by SciPy."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from kb.errors import KbError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# How kb calls each measure, and how ir-measures does.
BY_FILE: Final = {
    "nDCG@10": "nDCG@10",
    "Recall@10": "R@10",
    "Recall@100": "R@100",
    "MRR@10": "RR@10",
    "Success@1": "Success@1",
}
DEPTH: Final = 100
_RESAMPLES: Final = 9999
_AT_ONCE: Final = 500

# The value of each measure for one question.
Measured = dict[str, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure in two runs over the same questions.

    Attributes:
        measure: The measure.
        difference: The mean of the later run less that of the earlier.
        p: How often chance alone makes a mean difference at least so large, either way: the two-sided p of a paired
            randomisation test with 9,999 draws.
        better: In how many questions the later run is better.
        worse: In how many it is worse.
    """

    measure: str
    difference: float
    p: float
    better: int
    worse: int


def measured(rankings: Mapping[str, Sequence[str]], relevant: Mapping[str, Mapping[str, int]]) -> dict[str, Measured]:
    """The measures by file of each question; a question without a ranking has zero.

    Args:
        rankings: For each question its documents, best first, each once.
        relevant: For each question the grade of each relevant document.

    Raises:
        ValueError: A document stands twice in a ranking.
        KbError: The library is not installed.
    """
    for question, ranking in rankings.items():
        if len(set(ranking)) < len(ranking):
            raise ValueError(f"a document stands twice in the ranking of question {question}")
    library = _ir_measures()
    # By rank, since trec_eval orders equal scores by the names of documents.
    scores = {
        question: {document: float(-place) for place, document in enumerate(ranking)}
        for question, ranking in rankings.items()
    }
    wanted = {library.parse_measure(name): told for told, name in BY_FILE.items()}
    found: dict[str, Measured] = {question: dict.fromkeys(BY_FILE, 0.0) for question in relevant}
    for metric in library.iter_calc(list(wanted), {id_: dict(grades) for id_, grades in relevant.items()}, scores):
        found[metric.query_id][wanted[metric.measure]] = float(metric.value)
    return found


def means(values: Mapping[str, Measured]) -> Measured:
    """The mean of each measure over the questions that have it."""
    names = dict.fromkeys(name for one in values.values() for name in one)
    return {name: fmean(one[name] for one in values.values() if name in one) for name in names}


def differences(earlier: Mapping[str, Measured], later: Mapping[str, Measured]) -> list[Difference]:
    """What a later run does otherwise than an earlier one, over the questions and measures that both have."""
    both = [question for question in earlier if question in later]
    names = dict.fromkeys(name for question in both for name in earlier[question] if name in later[question])
    return [
        _difference(name, [later[one][name] - earlier[one][name] for one in both if name in earlier[one]])
        for name in names
    ]


def _difference(measure: str, values: Sequence[float]) -> Difference:
    better, worse = sum(value > 0 for value in values), sum(value < 0 for value in values)
    # Of one question either sign is as likely as the other.
    p = _chance(values) if better + worse and len(values) > 1 else 1.0
    return Difference(measure, fmean(values), p, better, worse)


def _chance(values: Sequence[float]) -> float:
    """The p of Fisher's paired randomisation test, which information retrieval prefers (Smucker et al., CIKM 2007)."""
    import numpy as np

    test = _permutation_test()
    found = test(
        (np.asarray(values),),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=_AT_ONCE,
        rng=0,
    )
    return float(found.pvalue)


def _ir_measures() -> Any:  # noqa: ANN401 - a module without types
    try:
        import ir_measures
    except ImportError as error:
        raise _not_installed() from error
    return ir_measures


def _permutation_test() -> Any:  # noqa: ANN401 - a module without types
    try:
        from scipy.stats import permutation_test
    except ImportError as error:
        raise _not_installed() from error
    return permutation_test


def _not_installed() -> KbError:
    return KbError("kb eval measures with ir-measures and SciPy", "Run: pip install ir-measures scipy")
