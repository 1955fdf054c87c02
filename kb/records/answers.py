"""Answers to questions: candidates, hits, how a question was read, freshness."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from kb.records.documents import StoredPassage
from kb.records.files import KnownFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class VectorRecord:
    """What the vector index stores for one passage.

    Attributes:
        id: The passage's id.
        vector: Its unit vector.
        text: Its text.
        labels: Its metadata, always with the same keys.
    """

    id: str
    vector: NDArray[np.float32]
    text: str
    labels: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Passages near a question: ids and their unit vectors, shape (len(ids), dimension)."""

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class KeywordMatches:
    """Passages that contain words of a question.

    Attributes:
        scores: BM25 scores by passage id, 0 or more; the best come first, best first.
        shares: The share of the question that each contains, by the weight of its words, 0..1.
        deviations: The score of each, in standard deviations above the mean of all passages; 0 or more.
        most: More than any text can score: the upper bound for the question with one more word, which no passage has.
    """

    scores: Mapping[str, float]
    shares: Mapping[str, float]
    deviations: Mapping[str, float]
    most: float


@dataclass(frozen=True, slots=True)
class Holding:
    """Passages that contain at least some share of a question.

    Attributes:
        ids: Some of them, best first by BM25.
        rarest: The share of all passages that contain the rarest of the words, 0..1; 1 where there is no word.
    """

    ids: tuple[str, ...] = ()
    rarest: float = 1.0


@dataclass(frozen=True, slots=True)
class Signals:
    """Ranks and scores of a hit, besides its cosine. None where they were not computed or did not find it.

    Attributes:
        cosine_rank: Its rank by cosine, from 1.
        bm25: Its BM25 score.
        bm25_rank: Its rank by BM25, from 1.
        fused: The score that hybrid search orders by, before further passages of a file are counted less.
    """

    cosine_rank: int | None = None
    bm25: float | None = None
    bm25_rank: int | None = None
    fused: float | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage.

    Attributes:
        text: The sentence, on one line.
        line: The line of the passage on which it begins, from 0.
        cosine: Its cosine with the question, where that was computed.
    """

    text: str
    line: int
    cosine: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage in an answer.

    Attributes:
        rank: Its place in the answer, from 1.
        passage: The passage.
        score: Its cosine with the question, -1..1; None while it waits to be embedded and is found by its words alone.
        l2: The Euclidean distance of both vectors, 0..2; None where there is no cosine.
        changed: Whether its file changed since it was indexed.
        embedded_in: The notes that embed the passage's file, as they do with attachments.
        rerank: The score of the reranker, where one was used; its scale is the model's own.
        signals: Ranks and scores by cosine and by BM25.
        why: The sentence that explains its rank, where ``explain`` was requested.
        best: Its best sentences by their own cosines, best first; empty where they were not requested, or not
            computed in time.
        duplicates: The near duplicates folded under it, as hits of the same rank.
    """

    rank: int
    passage: StoredPassage
    score: float | None
    l2: float | None
    changed: bool = False
    embedded_in: tuple[KnownFile, ...] = ()
    rerank: float | None = None
    signals: Signals = Signals()
    why: str = ""
    best: tuple[Sentence, ...] = ()
    duplicates: tuple[Hit, ...] = ()

    @property
    def alike(self) -> tuple[Hit, ...]:
        """The former name of ``duplicates``."""
        warnings.warn("Hit.alike is called Hit.duplicates", DeprecationWarning, stacklevel=2)
        return self.duplicates


@dataclass(frozen=True, slots=True)
class Reranking:
    """What a reranker did.

    Attributes:
        by: Its name.
        read: How many hits it scored.
        of: How many hits it was given.
        seconds: How long that took, without loading it.
        cut_off: Whether the time limit was reached before it had scored all of them.
    """

    by: str
    read: int
    of: int
    seconds: float
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The passages that a question excluded by ``-word``.

    Attributes:
        passages: How many there are.
        files: How many files they are in.
        ahead: How many of them would rank above the first hit.
    """

    passages: int
    files: int
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Searched:
    """The passages that were searched, where the question itself contains phrases, exclusions or filters.

    Attributes:
        passages: How many there are.
        files: How many files they are in.
    """

    passages: int
    files: int


@dataclass(frozen=True, slots=True)
class ReadAs:
    """How a typed question was parsed.

    Attributes:
        text: The query, without the operators.
        phrases: What a passage has to contain.
        without: What a passage must not contain.
        filters: The filters on files, as they were typed.
        as_words: What looks like an exclusion or a filter and was taken as words, as it was typed.
        left_out: What ``without`` excluded; None where it is empty.
        asked: What was searched; None where ``phrases``, ``filters`` and ``without`` are all empty.
    """

    text: str
    phrases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    as_words: tuple[str, ...] = ()
    left_out: LeftOut | None = None
    asked: Searched | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How up to date the index is.

    Attributes:
        as_of: When the last complete run ended; None where there was none.
        pending: How many files are waiting to be indexed.
        watching: Whether a daemon watches the folders.
        counted: When ``pending`` was counted; None if that was for this answer alone, or a watcher keeps the count.
        files: How many files are in the index, all of them found by their words.
        words_only: How many of these are not found by meaning yet, or only in part: some of their passages wait to be
            embedded.
        without_server: Why the vectors were those of this machine and not of the configured Chroma server, in one
            sentence; empty where they were not, or where there is none.
    """

    as_of: datetime | None
    pending: int
    watching: bool = False
    counted: datetime | None = None
    files: int = 0
    words_only: int = 0
    without_server: str = ""

    @property
    def by_meaning(self) -> int:
        """How many files are found by meaning."""
        return self.files - self.words_only


@dataclass(frozen=True, slots=True)
class Missing:
    """Files that an answer does not cover.

    Attributes:
        waiting: How many files are new or changed and were not indexed yet.
        held: How many files are missing from the disk and kept in the index until that is confirmed; they give no
            hits.
        failed: How many files could not be indexed, without files of kinds that kb does not read, such as images.
    """

    waiting: int = 0
    held: int = 0
    failed: int = 0

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return bool(self.waiting or self.held or self.failed)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A value of a filter that matches no file in the index, or filters that match none together.

    Attributes:
        filter: The kind of filter: ``tag``, ``path``, ``type``, ``lang``, ``since`` or ``until``; ``all`` for filters
            of which each matches some file.
        value: The value as it was given, without the ``!`` that excludes files; for ``all`` the filters as they are
            written in a question.
        near: Similar values in the index, the most similar first; for languages and types all of them.
        similar: Whether those are similar; else they are all there are.
    """

    filter: str
    value: str
    near: tuple[str, ...] = ()
    similar: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """The ranked hits for one question, and how up to date the index was.

    Attributes:
        question: The question as it was typed; for ``similar`` the path of the file.
        mode: The search mode.
        index: How up to date the index is.
        hits: The hits, best first.
        reranking: What the reranker did, where one was used.
        weak: Whether no hit is nearer to the question than unrelated passages are; weak hits are left out unless they
            were requested.
        elsewhere: Whether there are passages that match by words and are not among the hits, since their cosine is too
            low.
        unfamiliar: The code of the best hit's language where the model does not support it and the hits are ordered by
            cosine: cosines mean nothing then, and no hit is left out as weak.
        read_as: How the question was parsed; None for ``similar``.
        nearest: The hit with the highest cosine, where ``weak`` left out all of them; the best by words where none has
            a cosine.
        below: How many hits were left out at the end of a short list, being no nearer than unrelated passages.
        missing: Files that are not in the index; only where there are no hits, or only weak ones.
        unmatched: Values of filters that match no file in the index.
        parts: In how many parts a question longer than the model's limit was embedded.
    """

    question: str
    mode: str
    index: Freshness
    hits: tuple[Hit, ...] = ()
    reranking: Reranking | None = None
    weak: bool = False
    elsewhere: bool = False
    unfamiliar: str = ""
    read_as: ReadAs | None = None
    nearest: Hit | None = None
    below: int = 0
    missing: Missing | None = None
    unmatched: tuple[Unmatched, ...] = ()
    parts: int = 1

    @property
    def query(self) -> str:
        """The question without its operators; empty for ``similar``."""
        if self.mode == "similar":
            return ""
        return self.read_as.text if self.read_as else self.question

    @property
    def asked(self) -> str:
        """The former name of ``query``."""
        warnings.warn("Answer.asked is called Answer.query", DeprecationWarning, stacklevel=2)
        return self.query


@dataclass(frozen=True, slots=True)
class Shown:
    """The indexed text of a file, or of the passages at one line.

    Attributes:
        file: The file.
        passages: Its passages in the order of their lines, or those at ``line``.
        changed: Whether the file changed since it was indexed.
        line: The requested line; None for the whole file.
    """

    file: KnownFile
    passages: tuple[StoredPassage, ...]
    changed: bool = False
    line: int | None = None


@dataclass(frozen=True, slots=True)
class FileText:
    """A part of the text of a file, exactly as it stands there.

    Attributes:
        file: The file.
        text: The text of the lines, each with its line end but for the last one.
        first_line: The first line of ``text``; lines of a document such as a PDF are those of its extracted text.
        last_line: The last line of ``text``; one less than ``first_line`` where there is no text.
        lines: How many lines the file has.
        page: The requested page; None where lines were requested.
        pages: How many pages the file has; None where it has none.
        changed: Whether the file changed since it was indexed.
    """

    file: KnownFile
    text: str
    first_line: int
    last_line: int
    lines: int
    page: int | None = None
    pages: int | None = None
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence that answers a question, with its source.

    Attributes:
        text: The sentence, on one line; with the one before it where it refers back.
        rank: The rank of the hit that it stands in.
        line: Its first line in the file.
        cosine: The cosine of what was chosen with the question: the sentence alone, or a line that it introduces; None
            where that was chosen by words.
        introduced: What it introduces, if it ends with a colon: the lines of code, of a list or of a paragraph after
            it, without fences and common indent, at most 16; else empty.
    """

    text: str
    rank: int
    line: int
    cosine: float | None = None
    introduced: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of a language model, with the quotes that it rests on.

    Every quote stands in the files, letter by letter but for white space, quotation marks and hyphens. That does not
    prove that the sentence follows from it.

    Attributes:
        text: The sentence, on one line.
        quotes: Its quotes, one or more.
    """

    text: str
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the files say to a question, in their own words.

    Attributes:
        quotes: The sentences that answer best, best first; of a language model's answer, its quotes in the order of the
            claims. Empty where nothing is near enough.
        answer: The hits in which they stand, and how up to date the index is.
        claims: The answer of a language model; empty without one, or where none of its claims holds.
        dropped: How many claims of the model were dropped, since their quotes were not in the files.
        model: The language model that was asked; empty for none.
        sent_to: The host that it was asked at; empty for none.
        problem: Why the model's answer is not given, in one sentence; empty where it is, or where no model was asked.
    """

    quotes: tuple[Quote, ...]
    answer: Answer
    claims: tuple[Claim, ...] = ()
    dropped: int = 0
    model: str = ""
    sent_to: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What is being done about a question.

    Attributes:
        kind: ``searching`` the index, ``asking`` a language model, ``checking`` the quotes of its claims, or
            ``repairing``: asking it once more about claims that did not hold.
        text: The same in a few words, with the model and its host.
    """

    kind: Literal["searching", "asking", "checking", "repairing"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The two messages that a language model is sent.

    Attributes:
        system: The rules.
        user: Question and passages, as one JSON object.
    """

    system: str
    user: str
