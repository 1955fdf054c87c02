"""Measures of rankings by ir-measures (with trec_eval's code), and significance of differences by SciPy."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

from kb.errors import KbError
from kb.evaluation.judged import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

# Measures by span: recall, precision and intersection over union, in characters.
#
# As in B. Smith and A. Troynikov, "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024), over characters.

DEPTHS: Final = (5, 10)


def measured_spans(retrieved: Sequence[Span], relevant: Sequence[Span]) -> Measured:
    """Return the measures of one question.

    Recall is the share of the relevant characters that are retrieved, precision the share of the retrieved ones that
    are relevant, IoU the relevant retrieved ones over all retrieved or relevant. Characters retrieved twice count twice
    as retrieved, once as found.

    Args:
        retrieved: The retrieved spans, best first.
        relevant: The spans that answer the question.
    """
    wanted = _characters(relevant)
    found: Measured = {}
    for depth in DEPTHS:
        first = retrieved[:depth]
        hit = len(wanted & _characters(first))
        length = sum(span.end - span.start for span in first)
        found[f"span recall@{depth}"] = hit / len(wanted)
        found[f"span precision@{depth}"] = hit / length if length else 0.0
        found[f"span IoU@{depth}"] = hit / (length + len(wanted) - hit)
    return found


def _characters(spans: Iterable[Span]) -> set[tuple[str, int]]:
    return {(span.document, at) for span in spans for at in range(span.start, span.end)}


class Offsets:
    r"""The offsets of passages in a file, in characters of the unchanged file, ``\r\n`` counting two.

    Args:
        file: The file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            raw = file.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise KbError(f"{file} has spans and cannot be read as UTF-8 ({error})") from error
        self._shift = int(raw.startswith("\ufeff"))
        self._text = raw[self._shift :].replace("\r\n", "\n").replace("\r", "\n")
        self._lines = [0, *(found.end() for found in re.finditer("\n", self._text))]
        # Positions where the file has one character more than the text.
        ends = (found.start() for found in re.finditer("\r\n", raw[self._shift :]))
        self._longer = [place - before for before, place in enumerate(ends)]

    def place(self, document: str, text: str, first_line: int) -> Span:
        """Return the span of a passage.

        Raises:
            KbError: The passage is not there: the file has changed since it was indexed.
        """
        start = self._text.find(text, self._lines[first_line - 1]) if first_line <= len(self._lines) else -1
        if start < 0:
            raise KbError(f"{self._file} has changed since it was indexed", "Run kb index first")
        return Span(document, self._in_file(start), self._in_file(start + len(text)))

    def _in_file(self, offset: int) -> int:
        return offset + self._shift + bisect_left(self._longer, offset)


# The name of each measure in kb, and in ir-measures.
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
        p: The two-sided p-value of a paired randomisation test with 9,999 draws.
        better: For how many questions the later run is better.
        worse: For how many it is worse.
    """

    measure: str
    difference: float
    p: float
    better: int
    worse: int


def measured(rankings: Mapping[str, Sequence[str]], relevant: Mapping[str, Mapping[str, int]]) -> dict[str, Measured]:
    """Return the measures by file of each question; 0 for a question without a ranking.

    Args:
        rankings: For each question its documents, best first, each once.
        relevant: For each question the grade of each relevant document.

    Raises:
        ValueError: A document occurs twice in a ranking.
        KbError: The library is not installed.
    """
    try:
        import ir_measures
    except ImportError as error:
        raise _not_installed() from error
    for question, ranking in rankings.items():
        if len(set(ranking)) < len(ranking):
            raise ValueError(f"a document occurs twice in the ranking of question {question}")
    # By rank, since trec_eval orders equal scores by document name.
    scores = {
        question: {document: float(-place) for place, document in enumerate(ranking)}
        for question, ranking in rankings.items()
    }
    wanted = {ir_measures.parse_measure(theirs): name for name, theirs in BY_FILE.items()}
    found: dict[str, Measured] = {question: dict.fromkeys(BY_FILE, 0.0) for question in relevant}
    for metric in ir_measures.iter_calc(list(wanted), {id_: dict(grades) for id_, grades in relevant.items()}, scores):
        found[metric.query_id][wanted[metric.measure]] = float(metric.value)
    return found


def means(values: Mapping[str, Measured]) -> Measured:
    """Return the mean of each measure over the questions that have it."""
    names = dict.fromkeys(name for one in values.values() for name in one)
    return {name: fmean(one[name] for one in values.values() if name in one) for name in names}


def differences(earlier: Mapping[str, Measured], later: Mapping[str, Measured]) -> list[Difference]:
    """Return the differences of a later run from an earlier one, over common questions and measures."""
    both = [question for question in earlier if question in later]
    names = dict.fromkeys(name for question in both for name in earlier[question] if name in later[question])
    return [
        _difference(name, [later[one][name] - earlier[one][name] for one in both if name in earlier[one]])
        for name in names
    ]


def _difference(measure: str, values: Sequence[float]) -> Difference:
    better, worse = sum(value > 0 for value in values), sum(value < 0 for value in values)
    # With one question, both signs are equally likely.
    p = _chance(values) if better + worse and len(values) > 1 else 1.0
    return Difference(measure, fmean(values), p, better, worse)


def _chance(values: Sequence[float]) -> float:
    """Return the p-value of Fisher's paired randomisation test, as preferred in IR (Smucker et al., CIKM 2007)."""
    import numpy as np

    try:
        from scipy.stats import permutation_test
    except ImportError as error:
        raise _not_installed() from error
    found = permutation_test(
        (np.asarray(values),),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=_AT_ONCE,
        rng=0,
    )
    return float(found.pvalue)


def _not_installed() -> KbError:
    return KbError("kb eval measures with ir-measures and SciPy", "Run: pip install ir-measures scipy")
