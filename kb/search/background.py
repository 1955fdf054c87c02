"""What unrelated passages look like under a model: the measure by which an answer is told from nothing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.search.calibrate import LEAST, SHARE_WEIGHT, Language, SampledPassage, calibrated, deviation
from kb.search.fuse import beside
from kb.search.middles import file_of, middles_of
from kb.search.probes import PROBES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from kb.ports import Catalog, Embedder, Nearest
    from kb.records import StoredPassage

SAMPLE: Final = 500
_KEPT: Final = "unrelated"
# Measured again where the index has grown or shrunk by more than this.
_GROWTH: Final = 1.5
# What the words of a question are worth beside its cosine, in standard deviations, and how many have to be there
# beyond what chance gives: see docs/retrieval.md.
_SHARE_WEIGHT: Final = 3.0
_ASKED: Final = 2.7
# How much of a question's words, by their weight, answers it whatever the cosine: all of them (sums of floating point
# numbers come out a little apart), or most where the words are what is asked for.
ALL_WORDS: Final = 0.999
MOST_WORDS: Final = 0.7
# A word in more passages than this says no more of a question than those that every question has.
COMMON: Final = 0.5
# What the probes are in, and what no language was found in, such as code.
_BY_PROBES: Final = frozenset({"en", ""})
# Of fewer passages the best is no measure, and so short a list is better shown than held back.
FEW: Final = 32


@dataclass(frozen=True, slots=True)
class Unrelated:
    """The cosines of questions with passages that do not answer them: mean and standard deviation.

    ``passages`` is how many the index had when they were measured, ``fingerprint`` the model's. ``languages`` are those
    that hold enough of the index to be measured by themselves; English, and what is in no known language, is not.
    """

    mean: float
    deviation: float
    passages: int
    fingerprint: str
    languages: Mapping[str, Language]

    def evidence(self, cosine: float, share: float, passages: int) -> float:
        """How far a hit is above what the best of so many unrelated passages would have; 0 or more is an answer.

        Args:
            cosine: Of the hit with the question.
            share: How much of the question's words the hit holds, 0..1.
            passages: How many passages were asked. The best of n values of a normal distribution lies about
                sqrt(2 ln n) standard deviations above its mean (Leadbetter, Lindgren and Rootzén, "Extremes and
                Related Properties of Random Sequences and Processes", 1983, theorem 1.5.3).
        """
        if self.deviation <= 0:
            return 0.0
        return (cosine - self.mean) / self.deviation - _expected(passages) + _SHARE_WEIGHT * share - _ASKED


@dataclass(frozen=True, slots=True)
class Judge:
    """What is known of one question, by which an answer to it is told from nothing.

    Attributes:
        unrelated: What was measured of the index.
        passages: How many passages the question is asked of.
        near: The cosines of the question with sampled passages of each language that was measured by itself.
    """

    unrelated: Unrelated
    passages: int
    near: Mapping[str, NDArray[np.float64]]

    def evidence(self, language: str, cosine: float, share: float) -> float:
        """How far a hit is above what unrelated passages have; 0 or more is an answer.

        Args:
            language: Of the hit's document, by code.
            cosine: Of the hit with the question.
            share: How much of the question's words the hit holds, 0..1: of a language that was measured by itself
                without the words that ask.
        """
        measured = self.unrelated.languages.get(language)
        if measured is None or language not in self.near:
            return self.unrelated.evidence(cosine, share, self.passages)
        fewer = _expected(self.unrelated.passages) - _expected(self.passages)
        return deviation(cosine, self.near[language]) + SHARE_WEIGHT * share - measured.bar + max(fewer, 0.0)


@dataclass(slots=True)
class _Sample:
    """Passages taken at random, of an index of so many: ids, unit vectors, middles of their files, languages."""

    passages: int
    ids: tuple[str, ...]
    vectors: NDArray[np.float64]
    middles: NDArray[np.float64] | None = None
    known: dict[str, StoredPassage] | None = None

    def of_language(self, code: str) -> list[int]:
        """The places of the passages in one language."""
        return [
            at for at, id_ in enumerate(self.ids) if (one := (self.known or {}).get(id_)) and one.file.language == code
        ]


class Background:
    """Passages taken at random, and what they have to do with questions about something else.

    What was measured is in the catalog as soon as ``keep`` has been called, and not before.

    Args:
        embedder: The model.
        catalog: Keeps what was measured.
    """

    def __init__(self, embedder: Embedder, catalog: Catalog) -> None:
        self._embedder = embedder
        self._catalog = catalog
        self._sample: _Sample | None = None
        self._unrelated: Unrelated | None = None
        self._is_kept = True

    def cosines(self, index: Nearest, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """The cosines of a question with passages from all over the index, each beside that of its file's middle."""
        question = vector.astype(np.float64)
        sample = self._sampled(index)
        if sample.middles is None:
            files = [file_of(id_) for id_ in sample.ids]
            known = middles_of(self._catalog, index, files, self._embedder.dimension)
            rows = [known.get(file_id, own) for file_id, own in zip(files, sample.vectors, strict=True)]
            sample.middles = np.array(rows, np.float64).reshape(sample.vectors.shape)
        return beside(sample.vectors @ question, sample.middles @ question)

    def unrelated(self, index: Nearest) -> Unrelated:
        """How near passages come to questions they do not answer: measured once, and again as the index grows."""
        passages = self._catalog.count()
        known = self._unrelated or self._kept()
        if known is None or known.fingerprint != self._embedder.fingerprint or _far(known.passages, passages):
            known = self._measured(index, passages)
            self._is_kept = False
        self._unrelated = known
        return known

    def keep(self) -> None:
        """Write what was measured to the catalog, where it is not yet there: measuring it again takes seconds."""
        if self._unrelated is not None and not self._is_kept:
            self._catalog.set_meta(_KEPT, json.dumps(asdict(self._unrelated)))
            self._is_kept = True

    def judge(self, index: Nearest, vector: NDArray[np.float32], passages: int) -> Judge:
        """What tells an answer to a question with this vector from nothing, among so many passages."""
        unrelated = self.unrelated(index)
        if not unrelated.languages:
            return Judge(unrelated, passages, {})
        sample = self._described(index)
        near = sample.vectors @ vector.astype(np.float64)
        of_language = {code: near[sample.of_language(code)] for code in unrelated.languages}
        return Judge(unrelated, passages, {code: found for code, found in of_language.items() if len(found)})

    def _measured(self, index: Nearest, passages: int) -> Unrelated:
        probes = np.array([self._embedder.embed_query(probe) for probe in PROBES], np.float64)
        cosines = self._sampled(index).vectors @ probes.T
        mean, spread = (float(cosines.mean()), float(cosines.std())) if cosines.size else (0.0, 0.0)
        return Unrelated(mean, spread, passages, self._embedder.fingerprint, self._languages(index))

    def _languages(self, index: Nearest) -> dict[str, Language]:
        """What is measured of each language that holds enough of the sample."""
        sample = self._described(index)
        counts = Counter(one.file.language for one in (sample.known or {}).values())
        found: dict[str, Language] = {}
        for code, count in sorted(counts.items()):
            if count < LEAST or code in _BY_PROBES:
                continue
            passages = [
                SampledPassage(sample.ids[at], (sample.known or {})[sample.ids[at]].text, sample.vectors[at])
                for at in sample.of_language(code)
            ]
            measured = calibrated(self._catalog, self._embedder, index, passages)
            if measured is not None:
                found[code] = measured
        return found

    def _kept(self) -> Unrelated | None:
        kept = self._catalog.meta(_KEPT)
        try:
            found = json.loads(kept) if kept else None
            languages = {code: Language(**one) for code, one in found["languages"].items()} if found else {}
            return Unrelated(**{**found, "languages": languages}) if found else None
        except (ValueError, TypeError, LookupError, AttributeError):
            # Written by another version of kb: measured anew.
            return None

    def _described(self, index: Nearest) -> _Sample:
        """The sample, with its texts and languages."""
        sample = self._sampled(index)
        if sample.known is None:
            sample.known = self._catalog.passages(sample.ids)
        return sample

    def _sampled(self, index: Nearest) -> _Sample:
        passages = self._catalog.count()
        if self._sample is None or _far(self._sample.passages, passages):
            vectors = index.vectors(self._catalog.sample(SAMPLE))
            rows = np.array(list(vectors.values()), np.float64).reshape(len(vectors), self._embedder.dimension)
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            self._sample = _Sample(passages, tuple(vectors), rows / np.where(lengths > 0, lengths, 1.0))
        return self._sample


def _expected(passages: int) -> float:
    """How far above the mean the best of so many unrelated passages lies, in standard deviations."""
    return sqrt(2 * log(max(passages, 1)))


def _far(before: int, now: int) -> bool:
    """Whether an index has become so much larger or smaller that what was measured of it is no longer good."""
    return max(before, now) > _GROWTH * max(min(before, now), 1)
