"""How an answer is told from nothing in each language of the index, by questions made from the index itself.

A sentence of a passage, cut to the length of a question, is asked of the passages of all other files. Few of these
answer it, so what they reach is what a question reaches that nothing answers: in this language, under this model, over
this many passages. Nothing about the model or the language has to be known for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records.scripts import THREES, TWOS
from kb.search.asking import bare
from kb.search.middles import file_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kb.ports import Catalog, Embedder, Nearest

# What all words of a question weigh beside the distance of its cosine, in standard deviations; and which of the made
# questions marks the bar, from the lowest: see docs/retrieval.md.
SHARE_WEIGHT: Final = 15.0
_MARK: Final = 0.6
# A model knows a language in which the passage a sentence was taken from is nearest to it, of all passages of the
# sample, at least so often.
_KNOWN: Final = 0.5
# Fewer passages of a language are no measure.
LEAST: Final = 32
QUESTIONS: Final = 64
# As many of the best by words are judged as of an answer.
_JUDGED: Final = 30
_SENTENCE: Final = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s*|\n+")
_WORDS, _LEAST_WORDS = 12, 6
_TWOS: Final = re.compile(f"[{TWOS}]")
_THREES: Final = re.compile(f"[{THREES}]")


@dataclass(frozen=True, slots=True)
class Language:
    """What unanswered questions reach in one language.

    Attributes:
        bar: The evidence that an answer has to reach.
        known: Whether the model tells passages of this language apart.
    """

    bar: float
    known: bool


@dataclass(frozen=True, slots=True)
class SampledPassage:
    """A passage of the sample: its id, its text, and its unit vector."""

    id: str
    text: str
    vector: NDArray[np.float64]


def calibrated(
    catalog: Catalog, embedder: Embedder, index: Nearest, sample: Sequence[SampledPassage]
) -> Language | None:
    """What unanswered questions reach among passages of one language; None where too few give a sentence."""
    made = [(one, text) for one in sample if (text := made_question(one.text))][:QUESTIONS]
    if len(made) < LEAST // 2:
        return None
    vectors = np.array([one.vector for one in sample])
    reached: list[float] = []
    found = 0
    for one, text in made:
        question = embedder.embed_query(text).astype(np.float64)
        near = vectors @ question
        own = np.array([file_of(other.id) == file_of(one.id) for other in sample])
        found += bool(near[own].max() >= near[~own].max()) if (~own).any() else 0
        shares = _others(catalog, text, one.id)
        theirs = index.vectors(list(shares))
        deviations = [
            deviation(float(_unit(vector) @ question), near) + SHARE_WEIGHT * shares[id_]
            for id_, vector in theirs.items()
        ]
        reached.append(max(deviations, default=0.0))
    return Language(float(np.quantile(reached, _MARK)), found / len(made) >= _KNOWN)


def made_question(text: str) -> str:
    """A sentence from the middle of a passage, cut to the length of a question; empty where none is long enough."""
    cut = [_cut(sentence.strip()) for sentence in _SENTENCE.split(text)]
    long_enough = [sentence for sentence in cut if sentence]
    return long_enough[len(long_enough) // 2] if long_enough else ""


def deviation(cosine: float, among: NDArray[np.float64]) -> float:
    """How many standard deviations a cosine is above the mean of those of other passages with the same question."""
    spread = float(among.std()) if len(among) else 0.0
    return (cosine - float(among.mean())) / spread if spread > 0 else 0.0


def _cut(sentence: str) -> str:
    """The beginning of a sentence, as long as a question is in its script; empty where it is shorter than that."""
    for script, least, most in ((_TWOS, 10, 24), (_THREES, 20, 50)):
        if len(script.findall(sentence)) >= least:
            return sentence[:most]
    words = sentence.split()
    return " ".join(words[:_WORDS]) if len(words) >= _LEAST_WORDS else ""


def _others(catalog: Catalog, text: str, id_: str) -> dict[str, float]:
    """The shares of a made question's words that the best passages of other files hold."""
    found = catalog.keyword_matches(bare(text), _JUDGED).shares
    return {other: share for other, share in found.items() if file_of(other) != file_of(id_)}


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vector.astype(np.float64)
    return wide / max(float(np.linalg.norm(wide)), 1e-12)
