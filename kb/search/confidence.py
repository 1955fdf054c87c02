"""What unrelated passages look like under a model: the measure by which an answer is told from nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records.characters import THREES, TWOS
from kb.search.centroids import file_of, middles_of
from kb.search.rank import beside
from kb.search.words import telling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from kb.ports import Catalog, Embedder, Nearest
    from kb.records import StoredPassage

# The words that ask and bind in languages whose notes hold them seldom: left out where shares of words are compared.
#
# A question says *who*, *how many* and *which*; the passage that answers it says none of these. Counted among the
# words to be found they would hide an answer, in a language without spaces as parts of longer runs too.

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


def bare(question: str) -> str:
    """A question without what asks and binds; the question itself where nothing is left."""
    told = telling(question) or question
    words = [word for word in told.split() if word.casefold().strip(_AROUND) not in _SPACED]
    return _JOINED.sub(" ", " ".join(words)).strip() or question


# How an answer is told from nothing in each language of the index, by questions made from the index itself.
#
# A sentence of a passage, cut to the length of a question, is asked of the passages of all other files. Few of these
# answer it, so what they reach is what a question reaches that nothing answers: in this language, under this model,
# over this many passages. Nothing about the model or the language has to be known for it.

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


# How near unrelated passages come in an index, or a choice of files, that is too small for a verdict.

# A first question is not to wait for more; their vectors are kept for the day when all of them are needed.
SOME_PROBES: Final = PROBES[::4]


def usual_cosine(embedder: Embedder, catalog: Catalog, index: Nearest, background: Background) -> float:
    """The cosine up to which most unrelated passages come: mean and one deviation, five of six of a normal law.

    A small index is asked some of the questions about anything each time: their vectors are remembered, and so few
    passages are compared in no time.
    """
    if catalog.count() >= FEW:
        unrelated = background.unrelated(index)
        return unrelated.mean + unrelated.deviation
    vectors = index.vectors(catalog.sample(FEW))
    rows = np.array(list(vectors.values()), np.float64).reshape(len(vectors), embedder.dimension)
    probes = np.array([embedder.embed_query(probe) for probe in SOME_PROBES], np.float64)
    cosines = rows @ probes.T
    return float(cosines.mean() + cosines.std()) if cosines.size else 1.0
