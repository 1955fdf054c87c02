"""Questions and their answers: candidates, hits, filters, freshness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from kb.records.documents import StoredPassage
    from kb.records.files import KnownFile


@dataclass(frozen=True, slots=True)
class VectorRecord:
    """What the vector index keeps for one passage. ``labels`` is the fixed set of metadata keys."""

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
    """Passages that hold words of a question.

    Attributes:
        scores: The BM25 score by passage id, best first where they were asked for as the best; 0 or more.
        shares: How much of the question stands in each, by the weight of its words, 0..1.
        said: What the words say of each, in standard deviations above what they say of all passages; 0 or more.
    """

    scores: Mapping[str, float]
    shares: Mapping[str, float]
    said: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Holding:
    """Passages that hold so much of a question.

    Attributes:
        ids: Some of them, best first by BM25.
        rarest: In which share of all passages the rarest of the words stands, 0..1; 1 where there is no word.
    """

    ids: tuple[str, ...] = ()
    rarest: float = 1.0


@dataclass(frozen=True, slots=True)
class Signals:
    """What speaks for a hit beside its cosine: its places by cosine and by BM25, its BM25 score, and what they make.

    None where a side was not asked or did not find it.
    """

    cosine_rank: int | None = None
    bm25: float | None = None
    bm25_rank: int | None = None
    fused: float | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage on one line, and the line of the passage, from 0, on which it begins.

    ``cosine`` is its own with the question, where that was computed.
    """

    text: str
    line: int
    cosine: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that answers, its cosine in -1..1 and its Euclidean distance (unit vectors: 0..2).

    ``embedded_in`` are the notes that show the passage's file in place, as they do with attachments.
    ``rerank`` is the score of the model that read it again, where one did; its scale is that model's own.
    ``why`` says why it stands where it stands, where that was asked for. ``best`` are the sentences that answer, best
    first, by their own cosines; empty where those were not asked for, or not computed in time. ``alike`` are the
    passages folded under it, which say the same, as hits of the same rank.
    """

    rank: int
    passage: StoredPassage
    score: float
    l2: float
    changed: bool = False
    embedded_in: tuple[KnownFile, ...] = ()
    rerank: float | None = None
    signals: Signals = Signals()
    why: str = ""
    best: tuple[Sentence, ...] = ()
    alike: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class Reranking:
    """What a reranker did: ``read`` so many ``of`` the hits it was given, in ``seconds``, loading it left out.

    ``cut_off`` says that the time was over before it had read them all.
    """

    by: str
    read: int
    of: int
    seconds: float
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The passages that a question left out by its own words, of those that it was asked of otherwise.

    Attributes:
        passages: How many there are.
        files: In how many files they stand.
        ahead: How many of them would come before the first hit.
    """

    passages: int
    files: int
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is left to ask where a question itself names phrases or filters.

    Attributes:
        passages: How many there are.
        files: In how many files they stand.
    """

    passages: int
    files: int


@dataclass(frozen=True, slots=True)
class ReadAs:
    """What a typed question was read as.

    Attributes:
        text: What was asked.
        phrases: What had to stand in a passage.
        without: What must not stand in one.
        filters: The filters that chose files, as they were typed.
        as_words: What looks like an exclusion or a filter and was asked as it stands, as it was typed.
        left_out: What ``without`` left out; None where it names nothing.
        asked: What ``phrases``, ``filters`` and ``without`` left to ask; None where there is none of them.
    """

    text: str
    phrases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    as_words: tuple[str, ...] = ()
    left_out: LeftOut | None = None
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the index follows the disk: the time of its last complete run, how many files wait, who watches."""

    as_of: datetime | None
    pending: int
    watching: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """What an answer may lack, since it is not in the index, or in it and kept back.

    Attributes:
        waiting: How many files are new or changed and were not indexed yet.
        held: How many files are gone from the disk and kept in the index until that is confirmed; they give no hits.
        failed: How many files could not be indexed.
    """

    waiting: int = 0
    held: int = 0
    failed: int = 0

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return bool(self.waiting or self.held or self.failed)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A value of a filter that no file in the index has.

    Attributes:
        filter: What it chooses by: ``tag``, ``path``, ``type`` or ``lang``.
        value: The value as it was given, without the ``!`` that leaves files out.
        near: Values of the index that are like it, the nearest first; of languages and types all there are.
        similar: Whether those are like it; else they are what there is.
    """

    filter: str
    value: str
    near: tuple[str, ...] = ()
    similar: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """The ranked hits of one question, how fresh the index was when it was asked, and whether they were read again.

    Attributes:
        question: What was asked, as it was typed; the path of a file where one was asked with.
        mode: What orders the hits.
        index: How fresh the index is.
        hits: The hits, best first.
        reranking: What a reranker did, where one did.
        weak: Whether nothing found is nearer to the question than unrelated passages are; its hits are left out then,
            unless weak ones were asked for.
        elsewhere: Whether what answers does so by the words it has of the question, and is not among the hits: its
            cosine is too low for that.
        unfamiliar: The code of the best hit's language where the model does not know it and the hits are ordered by
            cosine: those mean nothing then, and nothing is held back.
        read_as: How the question was read, where one was asked in words.
        nearest: The hit with the highest cosine, where ``weak`` left out all of them.
        below: How many hits were left out at the end of a short list, being no nearer than unrelated passages.
        missing: What is not in the index; only where there is no hit, or weak ones alone.
        unmatched: Values of filters that no file in the index has.
        parts: In how many parts the question was read, being longer than the model reads at once.
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
    def asked(self) -> str:
        """The question without its operators; empty where a file was asked with."""
        if self.mode == "similar":
            return ""
        return self.read_as.text if self.read_as else self.question


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage of a file, or all of them, for reading: text as it stands in the catalog.

    Attributes:
        file: The file.
        passages: Its passages in the order of their lines, or those at ``line``.
        changed: Whether the file changed since it was indexed.
        line: The line that was asked for; None where all passages were.
    """

    file: KnownFile
    passages: tuple[StoredPassage, ...]
    changed: bool = False
    line: int | None = None
