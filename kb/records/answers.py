"""Questions and their answers: candidates, hits, filters, freshness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

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
        mean: The mean score of all passages of the index.
        deviation: The standard deviation of it.
    """

    scores: Mapping[str, float]
    shares: Mapping[str, float]
    mean: float = 0.0
    deviation: float = 0.0


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
class Filters:
    """Which files a question is asked of. Empty fields leave all files in.

    ``paths`` are globs as in .gitignore and ``types`` names as in ``kb.search.types``, of which one has to match;
    ``tags`` must all be there, and ``a`` is where ``a/b`` is; ``languages`` are codes of ISO 639, one of which has to
    be the document's. In each of these a leading ``!`` leaves out what matches. ``since`` and ``until`` bound the
    document's own date, else its day of modification, both included.
    """

    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is filtered at all."""
        return bool(self.paths or self.tags or self.types or self.languages or self.since or self.until)


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
class Alike:
    """A passage that says the same as a hit, or hardly anything else, and its own cosine."""

    passage: StoredPassage
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that answers, its cosine in -1..1 and its Euclidean distance (unit vectors: 0..2).

    ``embedded_in`` are the notes that show the passage's file in place, as they do with attachments.
    ``rerank`` is the score of the model that read it again, where one did; its scale is that model's own.
    ``why`` says why it stands where it stands, where that was asked for. ``best`` are the sentences that answer, best
    first, by their own cosines; empty where those were not asked for, or not computed in time. ``alike`` are the
    passages folded under it.
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
    alike: tuple[Alike, ...] = ()


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
class ReadAs:
    """What a typed question was read as.

    Attributes:
        text: What was asked.
        phrases: What had to stand in a passage.
        without: What must not stand in one.
        filters: The filters that chose files, as they were typed.
    """

    text: str
    phrases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the index follows the disk: the time of its last complete run, how many files wait, who watches."""

    as_of: datetime | None
    pending: int
    watching: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The ranked hits of one question, how fresh the index was when it was asked, and whether they were read again.

    ``weak`` says that nothing found is nearer to the question than unrelated passages are; its hits are left out then,
    unless weak ones were asked for. ``elsewhere`` says that what answers does so by the words it has
    of the question, and is not among the hits: its cosine is too low for that. ``read_as`` says how the question
    was read, where one was asked in words.
    """

    question: str
    mode: str
    index: Freshness
    hits: tuple[Hit, ...] = ()
    reranking: Reranking | None = None
    weak: bool = False
    elsewhere: bool = False
    read_as: ReadAs | None = None

    @property
    def asked(self) -> str:
        """The question without its operators; empty where a file was asked with."""
        if self.mode == "similar":
            return ""
        return self.read_as.text if self.read_as else self.question


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage of a file, or all of them, for reading: text as it stands in the catalog."""

    file: KnownFile
    passages: tuple[StoredPassage, ...]
    changed: bool = False
