"""Whether an answer is one: hits compared with what unrelated passages reach under the same model."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records.characters import THREES, TWOS
from kb.search.centroids import centroids_of, file_of
from kb.search.rank import ROUNDING, with_centroids
from kb.search.words import content_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from kb.ports import Catalog, Embedder, Nearest
    from kb.records import StoredPassage

# Question and function words of languages other than English, left out where shares of words are compared. A question
# contains *who*, *how many* and *which*; the passage that answers it does not. Counted among the words to be found,
# they would hide an answer, in languages without spaces also as parts of longer runs.

# Spanish; Portuguese, Italian and French; German and Dutch; Russian; Turkish; Vietnamese.
_QUESTION_WORDS: Final = (
    "cuál cuáles cuánto cuántos cuánta cuántas quiénes quienes qué quién cómo cuándo dónde adónde como donde cuando "
    "fue fueron era eran ser sido está están estaba hay había ha han haber se su sus le les más muy este esta estos "
    "estas ese esa esos esas eso esto desde hasta sobre entre sin según durante tiene tienen tuvo hizo hacer hace "
    "puede pueden cual cuya cuyo otro otra otros otras también a e u "
    "quais quanto quantos quanta quantas quem onde são foi foram estão tem têm sua seu suas seus pelo pela quali "
    "quanti quante sono erano stato stata hanno suo suoi sue alla dalla combien lesquels lesquelles était étaient "
    "été avait ont leur leurs sa son ses plus aux sans "
    "welche welcher welches welchen wieviel wieviele viele wurde wurden hat hatte haben wird werden kann können welk "
    "welke hoeveel waar wanneer waarom werd heeft had hebben wordt "
    "что кто где когда как какой какая какие какое сколько почему чем кого какого каких был была было были "
    "в на и с по из к от за для не это "  # noqa: RUF001
    "ne kim nerede nasıl kaç hangi neden kimdir nedir bir ve "  # noqa: RUF001
    "gì ai đâu khi nào như thế bao nhiêu mấy tại sao là của và các những một có được cho trong với "
)
_SPACED: Final = frozenset(_QUESTION_WORDS.split())
# Chinese; Japanese; Korean; Thai.
_JOINED: Final = re.compile(
    "什么时候|为什么|什么|多少|哪些|哪个|哪里|哪儿|哪种|哪位|哪一|哪|谁|何时|何地|如何|怎么样|怎么|怎样|是否|几|什麼|為什麼|哪裡|誰|怎麼|嗎|"
    "吗|呢|的|了|是|在|和|与|有|被|由|于|对|中|为|这|那|个|與|對|為|這|個|"
    "ですか|ますか|でしたか|ましたか|なぜ|どこ|いつ|だれ|どの|どれ|どう|なに|何|いくつ|いくら|は|が|を|に|の|で|と|も|"
    "무엇|누구|어디|언제|어떻게|어떤|어느|몇|왜|입니까|습니까|인가요|인가|는|은|을|를|의|"
    "อะไร|ใคร|ที่ไหน|ไหน|เมื่อไหร่|เมื่อใด|เมื่อไร|เท่าไหร่|เท่าใด|เท่าไร|อย่างไร|ทำไม|กี่|หรือไม่|ใด|บ้าง|ได้แก่|"
    "และ|ของ|เป็น|ที่|ใน|การ|ความ|คือ|มี|ได้|ให้|จาก|โดย|กับ|ว่า|ถูก|ไป|มา"
)
_AROUND: Final = ".,;:!?()[]\"'\u2026\u201c\u201d\u00ab\u00bb\u00bf\u00a1\u3002\uff1f\uff01"


def without_question_words(question: str) -> str:
    """Return a question without question and function words; the question itself where nothing is left."""
    content = content_words(question) or question
    words = [word for word in content.split() if word.casefold().strip(_AROUND) not in _SPACED]
    return _JOINED.sub(" ", " ".join(words)).strip() or question


# Calibration per language, with questions made from the index itself. A sentence of a passage, cut to the length of a
# question, is searched for in the passages of all other files. Few of these answer it, so their scores are those of an
# unanswered question in this language, under this model, over this many passages. It needs no knowledge of the model or
# the language.

# The weight of the words of a question against its cosine, and the quantile of the calibration questions that is the
# threshold: see docs/retrieval.md.
WORDS_WEIGHT: Final = 110.0
_MARK: Final = 0.63
# The model supports a language if, for at least this share of sentences, the passage a sentence was taken from is the
# nearest of the sample.
_KNOWN: Final = 0.5
# The fewest passages of a language to calibrate with.
LEAST: Final = 32
QUESTIONS: Final = 128
# How many of the best passages by words are scored.
_JUDGED: Final = 30
# Thai, Lao, Khmer and Burmese have no full stop, but a space after each sentence and clause.
_SENTENCE: Final = re.compile(rf"(?<=[.!?\u3002\uff01\uff1f])\s*|\n+|(?<=[{THREES}]) +(?=[{THREES}])")
_WORDS, _LEAST_WORDS = 12, 6
_TWOS: Final = re.compile(f"[{TWOS}]")
_THREES: Final = re.compile(f"[{THREES}]")


@dataclass(frozen=True, slots=True)
class Language:
    """The calibration of one language with unanswered questions.

    Attributes:
        threshold: The evidence that an answer has to reach.
        known: Whether the model supports this language.
    """

    threshold: float
    known: bool


@dataclass(frozen=True, slots=True)
class SampledPassage:
    """A passage of the sample: its id, its text, and its unit vector."""

    id: str
    text: str
    vector: NDArray[np.float64]


def calibrate_language(
    catalog: Catalog, embedder: Embedder, index: Nearest, sample: Sequence[SampledPassage]
) -> Language | None:
    """Calibrate one language with questions made from its passages; None where too few passages have a sentence."""
    made = [(one, text) for one in sample if (text := calibration_question(one.text))][:QUESTIONS]
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
        by_words = _others(catalog, text, one.id)
        theirs = index.vectors(list(by_words))
        evidence = [both(float(_unit(vector) @ question), near, by_words[id_]) for id_, vector in theirs.items()]
        reached.append(max(evidence, default=0.0))
    return Language(float(np.quantile(reached, _MARK)), found / len(made) >= _KNOWN)


def calibration_question(text: str) -> str:
    """Return a sentence from the middle of a passage, cut to the length of a question, or an empty string."""
    cut = [_cut(sentence.strip()) for sentence in _SENTENCE.split(text)]
    long_enough = [sentence for sentence in cut if sentence]
    return long_enough[len(long_enough) // 2] if long_enough else ""


def both(cosine: float, among: NDArray[np.float64], by_words: float) -> float:
    """Return the evidence of a cosine and of the words together, 0 or more, as ``kb.search.rank`` adds it up.

    Args:
        cosine: The cosine of a passage with the question.
        among: The cosines of other passages with it.
        by_words: The BM25 score of the passage for the question without question words, relative to what a text can
            reach, 0..1.
    """
    above = max(deviation(cosine, among), 0.0)
    return above**2 / 2 + WORDS_WEIGHT * by_words


def deviation(cosine: float, among: NDArray[np.float64]) -> float:
    """Return how many standard deviations a cosine is above the mean of other passages with the same question."""
    spread = float(among.std()) if len(among) else 0.0
    return (cosine - float(among.mean())) / spread if spread > ROUNDING else 0.0


def _cut(sentence: str) -> str:
    """Return the beginning of a sentence, as long as a question in its script; empty where it is shorter."""
    for script, least, most in ((_TWOS, 10, 24), (_THREES, 20, 50)):
        if len(script.findall(sentence)) >= least:
            return sentence[:most]
    words = sentence.split()
    return " ".join(words[:_WORDS]) if len(words) >= _LEAST_WORDS else ""


def _others(catalog: Catalog, text: str, id_: str) -> dict[str, float]:
    """Return the BM25 scores of the best passages of other files for a calibration question, 0..1."""
    found = catalog.keyword_matches(without_question_words(text), _JUDGED)
    return {other: score / found.most for other, score in found.scores.items() if file_of(other) != file_of(id_)}


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vector.astype(np.float64)
    return wide / max(float(np.linalg.norm(wide)), 1e-12)


# Questions about anything: what they find shows how near a passage comes to a question that it does not answer.

PROBES: Final = (
    "How deep is the deepest point of the ocean?",
    "Which spices go into a garam masala?",
    "When did the last passenger pigeon die?",
    "How do I change the brake pads of a bicycle?",
    "What is the offside rule in football?",
    "Who painted the ceiling of the Sistine Chapel?",
    "How long does it take to hard-boil an egg?",
    "What causes the northern lights?",
    "Which instrument has forty-seven strings?",
    "How do bees tell each other where the flowers are?",
    "What should be said in a speech at a wedding?",
    "How is parmesan cheese aged?",
    "Which countries border Lake Victoria?",
    "How often should tomato plants be watered?",
    "What does a notary do?",
    "How does a steam locomotive work?",
    "What is the difference between a sonata and a symphony?",
    "How do I remove red wine from a carpet?",
    "Which vaccinations does a puppy need?",
    "What were the causes of the Thirty Years' War?",
    "How is the date of Easter determined?",
    "Can a tenant paint the walls of a rented flat?",
    "How many players are there in a volleyball team?",
    "What is the boiling point of nitrogen?",
    "How do you tie a bowline?",
    "Which muscles does rowing train?",
    "What is the plot of Madame Bovary?",
    "How are diamonds formed?",
    "How do I renew a driving licence?",
    "What did people eat in ancient Rome?",
    "Why do leaves turn red in autumn?",
    "How is a violin tuned?",
    "What is the capital of Mongolia?",
    "How do I treat a wasp sting?",
    "Who was the first woman to fly across the Atlantic?",
    "What is a good exercise for lower back pain?",
    "How is paper recycled?",
    "What are the rules of baccarat?",
    "How does a camera's aperture change a picture?",
    "When should apple trees be pruned?",
    "What is the origin of the word robot?",
    "How do whales sleep?",
    "Which wine goes with roast lamb?",
    "How do I get from the airport to the city centre?",
    "What is the weight of a blue whale's heart?",
    "How does compound interest work?",
    "Which gods lived on Mount Olympus?",
    "How is glass blown?",
    "What time do the shops close on Sunday?",
    "How do I knit a scarf?",
    "Why is the sky dark at night?",
    "What is the tallest mountain in Africa?",
    "How do I prepare for a job interview?",
    "What is the treatment for a sprained ankle?",
    "How do elections to the senate work?",
    "Which birds cannot fly?",
    "How do I descale a kettle?",
    "What was the Hanseatic League?",
    "How does a heat pump warm a house?",
    "What is the record for the marathon?",
    "How do I fold a paper crane?",
    "What do dreams about falling mean?",
    "How is chocolate made from cocoa beans?",
    "Which metals are magnetic?",
)
"""Their topics lie far apart, so that few of them are answered by any one collection of notes."""


SAMPLE: Final = 500
_KEPT: Final = "unrelated"
# Measured again where the index has grown or shrunk by more than this.
_GROWTH: Final = 1.5
# The weight of the words of a question against its cosine, in standard deviations, and the threshold above what chance
# gives: see docs/retrieval.md.
_SHARE_WEIGHT: Final = 3.0
_ASKED: Final = 2.7
# The share of a question's words, by their weight, that answers it whatever the cosine: all of them (up to rounding),
# or most in a search by words.
ALL_WORDS: Final = 0.999
MOST_WORDS: Final = 0.7
# A word in more than this share of passages counts as a stop word.
COMMON: Final = 0.5
# The language of the probes, and passages without a detected language, such as code.
_OF_PROBES: Final = "en"
_BY_PROBES: Final = frozenset({_OF_PROBES, ""})
# With fewer passages there is no reliable distribution, and so short a list is better shown than left out.
FEW: Final = 32


@dataclass(frozen=True, slots=True)
class UnrelatedCosines:
    """The distribution of cosines of questions with passages that do not answer them.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation.
        passages: How many passages the index had when they were measured.
        fingerprint: The fingerprint of the model.
        languages: The calibration of each language with enough passages, except English and unknown languages.
    """

    mean: float
    deviation: float
    passages: int
    fingerprint: str
    languages: Mapping[str, Language]

    def evidence(self, cosine: float, share: float, passages: int) -> float:
        """Return how far a hit is above the best of that many unrelated passages; 0 or more is an answer.

        Args:
            cosine: The cosine of the hit with the question.
            share: The share of the question's words in the hit, 0..1.
            passages: How many passages were searched. The best of n values of a normal distribution is about
                sqrt(2 ln n) standard deviations above its mean (Leadbetter, Lindgren and Rootzén, "Extremes and
                Related Properties of Random Sequences and Processes", 1983, theorem 1.5.3).
        """
        if self.deviation <= 0:
            return 0.0
        return (cosine - self.mean) / self.deviation - _expected(passages) + _SHARE_WEIGHT * share - _ASKED


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides for one question whether a hit answers it.

    Attributes:
        unrelated: The distribution for unrelated passages of the index.
        passages: How many passages are searched.
        near: The cosines of the question with sampled passages, by calibrated language.
        usual: The calibrated language of more than half of the sample; empty if there is none.
    """

    unrelated: UnrelatedCosines
    passages: int
    near: Mapping[str, NDArray[np.float64]]
    usual: str = ""

    def calibrated(self, language: str) -> str:
        """Return the language whose calibration is for passages in a language; empty for the probes.

        A passage without a detected language, or in one with too few passages to calibrate with, which may be a wrong
        one, is most likely in the usual language.
        """
        if language in self.near or language == _OF_PROBES:
            return language if language in self.near else ""
        return self.usual

    def evidence(self, language: str, cosine: float, by_words: float) -> float:
        """Return how far a hit is above unrelated passages; 0 or more is an answer.

        Args:
            language: The code of the language of the hit's document.
            cosine: The cosine of the hit with the question.
            by_words: The share of the question's words in the hit, 0..1. In ``calibrated`` languages, its BM25 score
                for the question without question words, relative to what a text can reach, 0..1.
        """
        calibrated = self.calibrated(language)
        if not calibrated:
            return self.unrelated.evidence(cosine, by_words, self.passages)
        found = both(cosine, self.near[calibrated], by_words)
        # Of fewer passages, the best unrelated one has less: half the square of what ``_expected`` returns.
        fewer = log(max(self.unrelated.passages, 1)) - log(max(self.passages, 1))
        return found - self.unrelated.languages[calibrated].threshold + max(fewer, 0.0)


@dataclass(slots=True)
class _Sample:
    """Passages taken at random from an index of ``passages``, with unit vectors and centroids of their files."""

    passages: int
    ids: tuple[str, ...]
    vectors: NDArray[np.float64]
    centroids: NDArray[np.float64] | None = None
    known: dict[str, StoredPassage] | None = None

    def of_language(self, code: str) -> list[int]:
        """Return the positions of the passages in one language."""
        return [
            at for at, id_ in enumerate(self.ids) if (one := (self.known or {}).get(id_)) and one.file.language == code
        ]


class Background:
    """A random sample of passages, and the distribution of their cosines with unrelated questions.

    ``keep`` writes the measurements to the catalog.

    Args:
        embedder: The embedding model.
        catalog: The catalog.
    """

    def __init__(self, embedder: Embedder, catalog: Catalog) -> None:
        self._embedder = embedder
        self._some_probes: tuple[str, NDArray[np.float64]] | None = None
        self._catalog = catalog
        self._sample: _Sample | None = None
        self._unrelated: UnrelatedCosines | None = None
        self._is_kept = True

    def cosines(self, index: Nearest, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the cosines of a question with the sample, each combined with that of its file's centroid."""
        question = vector.astype(np.float64)
        sample = self._sampled(index)
        if sample.centroids is None:
            files = [file_of(id_) for id_ in sample.ids]
            known = centroids_of(self._catalog, index, files, self._embedder.dimension)
            rows = [known.get(file_id, own) for file_id, own in zip(files, sample.vectors, strict=True)]
            sample.centroids = np.array(rows, np.float64).reshape(sample.vectors.shape)
        return with_centroids(sample.vectors @ question, sample.centroids @ question)

    def unrelated(self, index: Nearest) -> UnrelatedCosines:
        """Return the distribution for unrelated passages; measured once, and again when the index has grown."""
        passages = self._catalog.count_embedded()
        known = self._unrelated or self._stored()
        if known is None or known.fingerprint != self._embedder.fingerprint or _has_resized(known.passages, passages):
            known = self._measured(index, passages)
            self._is_kept = False
        self._unrelated = known
        return known

    def some_probes(self) -> NDArray[np.float64]:
        """The vectors of some of the probes, shape (number, dimension); looked up once for all questions."""
        known = self._some_probes
        if known is None or known[0] != self._embedder.fingerprint:
            vectors = np.array([self._embedder.embed_query(probe) for probe in SOME_PROBES], np.float64)
            self._some_probes = known = self._embedder.fingerprint, vectors
        return known[1]

    def keep(self) -> None:
        """Write new measurements to the catalog, since measuring them again takes seconds."""
        if self._unrelated is not None and not self._is_kept:
            self._catalog.set_meta(_KEPT, json.dumps(asdict(self._unrelated)))
            self._is_kept = True

    def judge(self, index: Nearest, vector: NDArray[np.float32], passages: int) -> Judge:
        """Return the judge for a question with this vector, searched for in that many passages."""
        unrelated = self.unrelated(index)
        if not unrelated.languages:
            return Judge(unrelated, passages, {})
        sample = self._described(index)
        near = sample.vectors @ vector.astype(np.float64)
        of_language = {code: near[sample.of_language(code)] for code in unrelated.languages}
        known = {code: found for code, found in of_language.items() if len(found)}
        usual = next((code for code, found in known.items() if 2 * len(found) > len(near)), "")
        return Judge(unrelated, passages, known, usual)

    def _measured(self, index: Nearest, passages: int) -> UnrelatedCosines:
        probes = np.array([self._embedder.embed_query(probe) for probe in PROBES], np.float64)
        cosines = self._sampled(index).vectors @ probes.T
        mean, spread = (float(cosines.mean()), float(cosines.std())) if cosines.size else (0.0, 0.0)
        return UnrelatedCosines(mean, spread, passages, self._embedder.fingerprint, self._languages(index))

    def _languages(self, index: Nearest) -> dict[str, Language]:
        """Return the calibration of each language with enough passages in the sample."""
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
            measured = calibrate_language(self._catalog, self._embedder, index, passages)
            if measured is not None:
                found[code] = measured
        return found

    def _stored(self) -> UnrelatedCosines | None:
        kept = self._catalog.meta(_KEPT)
        try:
            found = json.loads(kept) if kept else None
            languages = {code: Language(**one) for code, one in found["languages"].items()} if found else {}
            return UnrelatedCosines(**{**found, "languages": languages}) if found else None
        except (ValueError, TypeError, LookupError, AttributeError):
            # Written by another version of kb: measure again.
            return None

    def _described(self, index: Nearest) -> _Sample:
        """Return the sample, with its texts and languages."""
        sample = self._sampled(index)
        if sample.known is None:
            sample.known = self._catalog.passages(sample.ids)
        return sample

    def _sampled(self, index: Nearest) -> _Sample:
        passages = self._catalog.count_embedded()
        if self._sample is None or _has_resized(self._sample.passages, passages):
            vectors = index.vectors(self._catalog.sample(SAMPLE))
            rows = np.array(list(vectors.values()), np.float64).reshape(len(vectors), self._embedder.dimension)
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            self._sample = _Sample(passages, tuple(vectors), rows / np.where(lengths > 0, lengths, 1.0))
        return self._sample


def _expected(passages: int) -> float:
    """Return how far the best of that many unrelated passages is above the mean, in standard deviations."""
    return sqrt(2 * log(max(passages, 1)))


def _has_resized(before: int, now: int) -> bool:
    """Whether an index has grown or shrunk so much that it has to be measured again."""
    return max(before, now) > _GROWTH * max(min(before, now), 1)


# An index, or a selection of files, that is too small to decide whether there is an answer.

# The first query should not wait for more probes; their vectors are cached for when all are needed.
SOME_PROBES: Final = PROBES[::4]


def usual_cosine(embedder: Embedder, catalog: Catalog, index: Nearest, background: Background) -> float:
    """Return a cosine that most unrelated passages do not exceed: mean plus one deviation, 84 % if they are normal.

    A small index is measured each time, with some of the probes: their vectors are cached, and there are few passages.
    """
    if catalog.count_embedded() >= FEW:
        unrelated = background.unrelated(index)
        return unrelated.mean + unrelated.deviation
    vectors = index.vectors(catalog.sample(FEW))
    rows = np.array(list(vectors.values()), np.float64).reshape(len(vectors), embedder.dimension)
    cosines = rows @ background.some_probes().T
    return float(cosines.mean() + cosines.std()) if cosines.size else 1.0
