"""The sentences of some hits that answer a question best, without a language model."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

import numpy as np

from kb.answers.introduced import has_block, introduced, lead_in
from kb.answers.kinds import holds, kind_of
from kb.answers.roles import asks_how, asks_why, gives_reason, gives_step, refers_back, states_problem
from kb.records import Quote
from kb.records.characters import compared
from kb.records.documents import ALIAS_KEYS, TAG_KEYS
from kb.search.sentences import BY_LINE, sentences
from kb.search.words import content_words, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from kb.answers.introduced import Introduced
    from kb.records import Answer, Hit, StoredPassage
    from kb.search.sentence_vectors import SentenceVectors
    from kb.search.words import Words

MOST: Final = 3
# What a sentence is chosen by, fitted by hand on every second question of XQuAD, and on half of the questions over
# longer notes in benchmarks/notes_answers.tsv: see docs/answers.md.
COSINE_WEIGHT: Final = 4.5
WORDS_WEIGHT: Final = 4.0
AROUND_WEIGHT: Final = 3.0
PASSAGE_WEIGHT: Final = 0.4
KIND_WEIGHT: Final = 2.0
# The question's words that only the sentence before has, where this one refers back to it.
REFERENCE_WEIGHT: Final = 3.0
# Where the question asks how or why: a sentence that states the problem, the words of the problem for those after it,
# a block of code or a list, a step, a reason.
PROBLEM_WEIGHT: Final = -3.0
AFTER_PROBLEM_WEIGHT: Final = 2.0
BLOCK_WEIGHT: Final = 2.0
STEP_WEIGHT: Final = 1.0
REASON_WEIGHT: Final = 1.0
# How many sentences after a problem the answer to it follows.
_AFTER_PROBLEM: Final = 6
# How far behind the best passage another one counts at most, in standard deviations.
_FARTHEST: Final = 4.0
# A deviation of cosines, where passages were not ranked by a fused score.
_DEVIATION: Final = 0.1
# How many sentences are embedded; the others keep the cosine of their passage. With twelve, no more of them are right.
_EMBEDDED: Final = 5
# The least weight of a word that most sentences have.
_LEAST_WEIGHT: Final = 0.05
# A picture alone says nothing, nor do tags.
_SAYS_NOTHING: Final = re.compile(
    r"!\[[^\[\]]*\]\([^()]*\)|<img\b[^<>]*>|#[^\W\d][\w/-]*(?:\s+#[^\W\d][\w/-]*)*", re.IGNORECASE
)
# Front matter begins on one of these lines of a file; its keys that name a note and say nothing, and items of a list.
_METADATA_LINES: Final = (1, 2)
_NAMING: Final = re.compile(rf"(?:{'|'.join((*TAG_KEYS, *ALIAS_KEYS))})\s*[:=]", re.IGNORECASE)
_ITEM: Final = (" ", "\t", "-", "]")
_FENCES: Final = frozenset({"---", "...", "+++"})
# Between paragraphs.
_APART: Final = re.compile(r"\n[^\S\n]*\n")
# How far behind the best sentence another one may be.
BEHIND: Final = 6.0
# The least share of the best sentence's cosine that another one has, in the same passage and in others.
_SHARE_IN_PASSAGE: Final = 0.25
_SHARE_ELSEWHERE: Final = 0.4
# In an index too small to tell what unrelated passages are like, the best sentence or its passage has to have this
# cosine, or the sentence with its neighbours this share of the question's words.
_LEAST_COSINE: Final = 0.2
_LEAST_WORDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A sentence of a hit.

    Attributes:
        quote: The sentence.
        hit: The position of its hit.
        language: The language of its document.
        passage: How far its passage is behind the best one, in standard deviations, 0 or less.
        cosine: The cosine of its passage; 0 where that waits to be embedded, so that the words decide.
    """

    quote: Quote
    hit: int
    language: str
    passage: float
    cosine: float


class SentenceExtractor:
    """Chooses the sentences that answer a question. Threads may share it.

    Args:
        vectors: Embeds sentences.
    """

    def __init__(self, vectors: SentenceVectors) -> None:
        self._vectors = vectors

    def best(
        self, answer: Answer, question: NDArray[np.float32], seconds: float, *, weak: bool = False
    ) -> tuple[Quote, ...]:
        """Return up to three sentences, best first; none where there are no hits, or none of them is near enough.

        Args:
            answer: The hits.
            question: The vector of the question.
            seconds: How long to embed sentences; those that are not embedded have the cosine of their passage.
            weak: Whether to return sentences that are not near enough too.
        """
        words = words_of(answer.query)
        candidates = _unique(_candidates(answer.hits))
        if not candidates:
            return ()
        shares = _word_shares(candidates, words)
        scores = _scores_without_cosines(candidates, answer.query, shares)
        scores += _scores_of_instructions(candidates, answer, shares)
        cosines = _expected_cosines(candidates, answer.hits)
        repeats = [_repeats(one, words) for one in candidates]
        order = np.argsort(-(scores + COSINE_WEIGHT * cosines), kind="stable").tolist()
        likely = ([at for at in order if not repeats[at]] or order)[:_EMBEDDED]
        texts = [candidates[at].quote.text for at in likely]
        vectors = self._vectors.of(texts, self._vectors.within(seconds), at_once=True)
        chosen = [
            (float(scores[at]) + COSINE_WEIGHT * (candidates[at].cosine if cosine is None else cosine), at, cosine)
            for at, cosine in zip(likely, (_cosine(vector, question) for vector in vectors), strict=True)
        ]
        chosen.sort(key=lambda one: (-one[0], one[1]))
        best, first, cosine = chosen[0]
        near = candidates[first].cosine if cosine is None else cosine
        far = max(near, candidates[first].cosine) < _LEAST_COSINE and shares.of_question[first] < _LEAST_WORDS
        if far and not weak:
            return ()
        found = [
            replace(candidates[at].quote, cosine=cosine)
            for score, at, cosine in chosen[:MOST]
            if at == first or (score >= best - BEHIND and self._belongs(candidates, first, at, near, cosine))
        ]
        return _with_antecedents(_with_introduced(found, answer.hits), candidates, answer.hits)

    @staticmethod
    def _belongs(candidates: Sequence[_Candidate], first: int, at: int, near: float, cosine: float | None) -> bool:
        """Whether another sentence belongs to the answer: it is nearly as near, or in the same passage and not far."""
        same = candidates[at].hit == candidates[first].hit
        own = candidates[at].cosine if cosine is None else cosine
        return own >= near * (_SHARE_IN_PASSAGE if same else _SHARE_ELSEWHERE)


def _candidates(hits: Sequence[Hit]) -> Iterable[_Candidate]:
    """Yield the sentences of hits, those of one hit in the order of its text."""
    fused = [hit.signals.fused for hit in hits]
    cosines = [hit.score or 0.0 for hit in hits]
    deviations = [own / _DEVIATION if score is None else score for own, score in zip(cosines, fused, strict=True)]
    top = max(deviations, default=0.0)
    for at, (hit, deviation) in enumerate(zip(hits, deviations, strict=True)):
        file, passage = hit.passage.file, max(deviation - top, -_FARTHEST)
        text = hit.passage.text
        if hit.passage.first_line in _METADATA_LINES:
            text = _without_names(text)
        for one in sentences(text, file.kind):
            if _SAYS_NOTHING.fullmatch(one.text):
                continue
            quote = Quote(one.text, hit.rank, hit.passage.first_line + one.line)
            yield _Candidate(quote, at, file.language, passage, cosines[at])


def _without_names(text: str) -> str:
    """Return the beginning of a file without the tags and aliases of its metadata, as empty lines."""
    lines = text.split("\n")
    naming = False
    for number, line in enumerate(lines):
        if not line or (number and line in _FENCES):
            break
        naming = bool(_NAMING.match(line)) or (naming and line.startswith(_ITEM))
        if naming:
            lines[number] = ""
    return "\n".join(lines)


def _expected_cosines(candidates: Sequence[_Candidate], hits: Sequence[Hit]) -> NDArray[np.float64]:
    """Return the cosine of each candidate's passage; for one that waits to be embedded, the mean of those known."""
    known = [hit.score for hit in hits if hit.score is not None]
    usual = sum(known) / len(known) if known else 0.0
    return np.array([usual if hits[one.hit].score is None else one.cosine for one in candidates])


def _with_introduced(quotes: Sequence[Quote], hits: Sequence[Hit]) -> tuple[Quote, ...]:
    """Return sentences with what they introduce, which takes the place of those that stand in it.

    A line of code or of a list gets the sentence that introduces it.
    """
    passages = {hit.rank: hit.passage for hit in hits}
    chosen = {_place(quote) for quote in quotes}
    shown: list[Quote] = []
    blocks: dict[Quote, set[tuple[int, int]]] = {}
    for quote in quotes:
        passage, line = passages[quote.rank], (quote.rank, quote.line)
        if any(line in block for block in blocks.values()):
            continue
        whole, block = (quote, None) if passage.file.kind in BY_LINE else _introduced(quote, passage, chosen)
        if block is None:
            shown.append(quote)
            continue
        blocks[whole] = {(quote.rank, passage.first_line + at) for at in range(block.first, block.last + 1)}
        inside = [at for at, one in enumerate(shown) if (one.rank, one.line) in blocks[whole]]
        shown.insert(min(inside, default=len(shown)), whole)
        shown = [one for one in shown if (one.rank, one.line) not in blocks[whole]]
    return tuple(shown)


def _with_antecedents(
    quotes: Sequence[Quote], candidates: Sequence[_Candidate], hits: Sequence[Hit]
) -> tuple[Quote, ...]:
    """Return sentences that refer back together with the one before in their paragraph, unless it is told already."""
    paragraphs = {
        hit.rank: [" ".join(one.split()) for one in _APART.split(normalize("NFC", hit.passage.text))] for hit in hits
    }
    before = {
        _place(own.quote): one.quote
        for one, own in pairwise(candidates)
        if one.hit == own.hit
        and refers_back(own.quote.text)
        and any(f"{one.quote.text} {own.quote.text}" in text for text in paragraphs[own.quote.rank])
    }
    shown: list[Quote] = []
    told: set[tuple[int, int, str]] = set()
    for quote in quotes:
        first = before.get(_place(quote))
        if _place(quote) in told:
            continue
        told.add(_place(quote))
        if first is None or _place(first) in told:
            shown.append(quote)
            continue
        told.add(_place(first))
        shown.append(replace(quote, text=f"{first.text} {quote.text}", line=first.line))
    return tuple(shown)


def _place(quote: Quote) -> tuple[int, int, str]:
    """Return what tells a sentence of an answer from the others."""
    return quote.rank, quote.line, quote.text


def _introduced(
    quote: Quote, passage: StoredPassage, chosen: set[tuple[int, int, str]]
) -> tuple[Quote, Introduced | None]:
    """Return the quote to show with its block: of a sentence and what it introduces, or of a line and its lead-in.

    Args:
        quote: The sentence.
        passage: Its passage.
        chosen: The places of all sentences that are shown; a lead-in among them is shown anyhow.
    """
    line = quote.line - passage.first_line
    if block := introduced(passage.text, quote.text, line):
        return replace(quote, introduced=block.text), block
    found = lead_in(passage.text, line, passage.file.kind)
    if found is None:
        return quote, None
    sentence, block = found
    whole = replace(quote, text=sentence.text, line=passage.first_line + sentence.line, introduced=block.text)
    return (quote, None) if _place(whole) in chosen else (whole, block)


def _unique(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """Return candidates without those that say the same as one before."""
    return list({one.quote.text.casefold(): one for one in reversed(list(candidates))}.values())[::-1]


def _repeats(candidate: _Candidate, words: Words) -> bool:
    """Whether a sentence only repeats words of the question, as a heading does."""
    return all(any(one.search(word) for one in words.patterns) for word in _words_in(candidate.quote.text))


def _words_in(text: str) -> list[str]:
    """Return the content words of a sentence, as they are compared."""
    return content_words(text if text.isascii() else compared(text)[0]).split()


def _scores_without_cosines(
    candidates: Sequence[_Candidate], question: str, shares: _WordShares
) -> NDArray[np.float64]:
    """Return the scores of candidates by their passages, the words of the question, and what kind of thing it wants."""
    kind = kind_of(question)
    kinds = np.array(
        [kind is not None and holds(kind, one.quote.text, question, language=one.language) for one in candidates],
        float,
    )
    passages = np.array([one.passage for one in candidates])
    words = WORDS_WEIGHT * shares.own + AROUND_WEIGHT * shares.around + REFERENCE_WEIGHT * shares.referred
    return words + PASSAGE_WEIGHT * passages + KIND_WEIGHT * kinds


def _scores_of_instructions(
    candidates: Sequence[_Candidate], answer: Answer, shares: _WordShares
) -> NDArray[np.float64]:
    """Return what is added where a question asks how or why, 0 for any other.

    Notes often state a problem in the question's words before they say what helped.
    """
    how, why = asks_how(answer.query), asks_why(answer.query)
    if not (how or why):
        return np.zeros(len(candidates))
    texts = [one.quote.text for one in candidates]
    found = PROBLEM_WEIGHT * shares.is_problem + AFTER_PROBLEM_WEIGHT * shares.after_problem
    if why:
        found += REASON_WEIGHT * np.array([gives_reason(text) for text in texts], float)
    if how:
        passages = [hit.passage for hit in answer.hits]
        shows_block = [has_block("" if one.file.kind in BY_LINE else one.text, one.file.kind) for one in passages]
        blocks = [
            shows_block[one.hit](one.quote.text, one.quote.line - passages[one.hit].first_line) for one in candidates
        ]
        found += STEP_WEIGHT * np.array([gives_step(text) for text in texts], float)
        found += BLOCK_WEIGHT * np.array(blocks, float)
    return found


@dataclass(frozen=True, slots=True)
class _WordShares:
    """How much of the question's words each sentence has, 0..1.

    Attributes:
        own: In the sentence, by the weight of the words among those that any sentence has.
        around: The same in the sentence with its neighbours.
        referred: What the sentence before adds to those in it, where it refers back.
        after_problem: What the last problem before it adds, where that is near.
        is_problem: 1 where it states a problem, else 0.
        of_question: The share of all words of the question, each counted alike, in the sentence with its neighbours.
    """

    own: NDArray[np.float64]
    around: NDArray[np.float64]
    referred: NDArray[np.float64]
    after_problem: NDArray[np.float64]
    is_problem: NDArray[np.float64]
    of_question: NDArray[np.float64]


def _word_shares(candidates: Sequence[_Candidate], words: Words) -> _WordShares:
    """Return the shares of the question's words in each sentence.

    A word counts the more, the fewer of the sentences have it; one that none of them has does not count.
    """
    plain = [text if text.isascii() else compared(text)[0] for text in (one.quote.text for one in candidates)]
    rows = [[pattern.search(text) is not None for pattern in words.patterns] for text in plain]
    has = np.array(rows, bool).reshape(len(candidates), len(words.patterns))
    common = has.sum(axis=0)
    weights = np.where(common > 0, np.maximum(np.log((len(candidates) + 1) / (common + 0.5)), _LEAST_WEIGHT), 0.0)
    whole = float(weights.sum()) or 1.0
    around = has.copy()
    hits = np.array([one.hit for one in candidates])
    same = (hits[1:] == hits[:-1])[:, None]
    around[1:] |= has[:-1] & same
    around[:-1] |= has[1:] & same
    own = has @ weights
    referred = np.zeros(len(candidates))
    after_problem = np.zeros(len(candidates))
    is_problem = np.array([states_problem(one.quote.text) for one in candidates], float)
    problem: int | None = None
    for at, one in enumerate(candidates):
        follows = at > 0 and bool(hits[at] == hits[at - 1])
        if follows and refers_back(one.quote.text):
            referred[at] = (has[at] | has[at - 1]) @ weights - own[at]
        if is_problem[at]:
            problem = at
        elif not follows:
            problem = None
        elif problem is not None and at - problem <= _AFTER_PROBLEM:
            after_problem[at] = (has[at] | has[problem]) @ weights - own[at]
    return _WordShares(
        own / whole,
        around @ weights / whole,
        referred / whole,
        after_problem / whole,
        is_problem,
        around.sum(axis=1) / max(1, len(words.patterns)),
    )


def _cosine(vector: NDArray[np.float32] | None, question: NDArray[np.float32]) -> float | None:
    return None if vector is None else float(np.clip(vector @ question, -1.0, 1.0))
